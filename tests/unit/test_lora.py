"""Adapters begin as the network they were made for, train what they say, and merge; Softplus comes close to ReLU."""

import math

import pytest
import torch
from torch import nn

from denoising.networks import lora
from denoising.networks.convnet import ConvNet
from denoising.rng import Rng


def small():
    inner = nn.Sequential(nn.Conv2d(6, 4, 3), nn.ReLU())
    net = nn.Sequential(nn.Conv2d(2, 6, 3, stride=2, padding=1), nn.ReLU(), inner)
    for p in net.parameters():
        nn.init.normal_(p, std=0.5, generator=Rng(0).spawn(*p.shape))
    return net


def pictures():
    return torch.randn(3, 2, 8, 8, generator=Rng(1))


def test_an_adapted_network_begins_as_the_original_and_only_adapter_and_biases_are_trained():
    net = small()
    adapted = lora.with_lora(net, 2, generator=Rng(2))
    assert torch.equal(net(pictures()), adapted(pictures()))
    assert sorted(lora.adapter(adapted)) == ["0.conv.bias", "0.down", "0.up", "2.0.conv.bias", "2.0.down", "2.0.up"]
    assert all(p.requires_grad for p in net.parameters()), "the original must be left alone"
    assert sum(v.numel() for v in lora.adapter(adapted).values()) == 2 * 9 * (2 + 6 + 6 + 4) + 6 + 4


def test_the_first_gradient_reaches_up_and_not_the_frozen_weight():
    adapted = lora.with_lora(small(), 2, generator=Rng(2))
    adapted(pictures()).square().sum().backward()
    layer = adapted[0]
    assert layer.conv.weight.grad is None
    assert layer.up.grad.abs().max() > 0 and layer.down.grad.abs().max() == 0, "up is zero, so down waits for it"


def test_a_trained_layer_equals_the_merged_convolution():
    conv = small()[0]
    layer = lora.LoRAConv2d(conv, 2, generator=Rng(2))
    with torch.no_grad():
        layer.up.normal_(generator=Rng(3))
        merged = nn.Conv2d(2, 6, 3, stride=2, padding=1)
        merged.weight.copy_(conv.weight + (layer.up @ layer.down).reshape(6, 2, 3, 3))
        merged.bias.copy_(conv.bias)
        assert (merged(pictures()) - layer(pictures())).abs().max() < 1e-5
        assert torch.linalg.matrix_rank((layer.weight() - conv.weight).reshape(18, 6)) == 6  # rank r k of out k x in k


def test_the_norms_of_an_adapted_network_are_trained_but_their_averages_stand():
    net = ConvNet(width=4).eval()
    adapted = lora.with_lora(net, 1, generator=Rng(2))
    assert {"norms.0.weight", "norms.0.bias", "head.bias"} < set(lora.adapter(adapted))
    assert "head.weight" not in lora.adapter(adapted)
    before = adapted.norms[0].running_mean.clone()
    adapted(torch.randn(2, 1, 32, 32, generator=Rng(1)))
    assert torch.equal(before, adapted.norms[0].running_mean)


def test_an_adapter_comes_back():
    one, two = (lora.with_lora(small(), 2, generator=Rng(seed)) for seed in (2, 5))
    with torch.no_grad():
        one[0].up.normal_(generator=Rng(3))
    back = lora.load_adapter(two, {name: value.half().float() for name, value in lora.adapter(one).items()})
    assert (back(pictures()) - one(pictures())).abs().max() < 0.05
    assert not any(p.requires_grad for p in back.parameters())
    with pytest.raises(ValueError, match="stored: expected the 6 tensors"):
        lora.load_adapter(lora.with_lora(small(), 2, generator=Rng(0)), {"0.down": torch.zeros(6, 6)})


def test_fit_trains_the_adapter_alone_and_lowers_the_loss():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    for p in net.parameters():
        nn.init.normal_(p, std=0.5, generator=Rng(0).spawn(*p.shape))
    x = torch.randn(64, 1, 4, 4, generator=Rng(1))
    y = (x.mean((1, 2, 3)) > 0).long()
    student = lora.with_lora(net, 1, generator=Rng(2))
    before = nn.functional.cross_entropy(student(x), y).item()
    assert lora.fit(student, lambda step: (y, x), steps=40, lr=1e-2) is student
    assert nn.functional.cross_entropy(student(x), y).item() < 0.8 * before
    assert torch.equal(student[0].conv.weight, net[0].weight) and torch.equal(student[3].weight, net[3].weight)
    assert not lora.trained(student)
    with pytest.raises(ValueError, match="loss"):
        lora.fit(lora.with_lora(net, 1, generator=Rng(2)), lambda step: (y, x / 0), steps=1, lr=1e-2)


@pytest.mark.parametrize("beta", [1.0, 10.0, 100.0])
def test_softplus_is_within_log_2_over_beta_of_relu_and_the_original_is_untouched(beta):
    net = nn.Sequential(nn.ReLU(), nn.Sequential(nn.ReLU()))
    smooth, x = lora.softplus_swap(net[0:1], beta), torch.linspace(-3, 3, 101)
    assert (smooth(x) - x.relu()).abs().max() <= math.log(2) / beta + 1e-6
    assert (smooth(x) - x.relu()).max() > 0.99 * math.log(2) / beta
    both = lora.softplus_swap(net, beta)
    assert not any(isinstance(m, nn.ReLU) for m in both.modules())
    assert sum(isinstance(m, nn.ReLU) for m in net.modules()) == 2


def test_the_swap_keeps_the_weights_and_says_when_it_finds_no_relu():
    net = small()
    smooth = lora.softplus_swap(net, 3)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), smooth.parameters(), strict=True))
    with pytest.raises(ValueError, match=r"nn\.ReLU"):
        lora.softplus_swap(ConvNet(width=4), 3)
    with pytest.raises(ValueError, match="beta"):
        lora.softplus_swap(net, 0)


@pytest.mark.parametrize("n", [1, 3, 5])
def test_the_ranges_of_the_experts_cover_every_row_once(n):
    rows = [lora.expert_index((i + 1) / 1000, n) for i in range(1000)]
    counts = [rows.count(k) for k in range(n)]
    assert rows == sorted(rows) and sum(counts) == 1000 and max(counts) - min(counts) <= 1
    assert lora.expert_index(0.6, 5) == 2 and lora.expert_index(0.6001, 5) == 3
    with pytest.raises(ValueError, match="t:"):
        lora.expert_index(0.0, n)


def test_a_kernel_that_is_not_square_is_refused():
    with pytest.raises(ValueError, match="conv"):
        lora.LoRAConv2d(nn.Conv2d(2, 2, (3, 1)), 1, generator=Rng(0))
    with pytest.raises(ValueError, match="rank"):
        lora.LoRAConv2d(nn.Conv2d(2, 2, 3), 0, generator=Rng(0))
