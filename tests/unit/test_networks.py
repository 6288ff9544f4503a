"""Networks: shapes, parts that add up to the whole, files, errors."""

import json

import pytest
import torch

from denoising.networks.bias_free import BiasFreeUNet
from denoising.networks.convnet import ConvNet
from denoising.networks.mlp import MLP
from denoising.networks.unet import UNet, timestep_features
from denoising.rng import Rng


def build(kind, seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return kind(**options).eval()


def unet(**options):
    small = {"sample_size": 8, "channels": (8, 16), "attention": (False, True), "emb": 16, "heads": 2, "num_classes": 3}
    net = build(UNet, **(small | options))
    with torch.no_grad():  # a fresh network answers 0 to everything
        for seed, value in enumerate(net.parameters()):
            value.add_(0.1 * torch.randn(value.shape, generator=Rng(seed)))
    return net


X = torch.randn((4, 1, 8, 8), generator=Rng(0))
T = torch.tensor([0.0, 300.0, 700.5, 999.0])
Y = torch.tensor([0, 1, 2, 3])


@torch.no_grad()
def test_a_fresh_unet_predicts_zero():
    net = build(UNet)
    x = torch.randn((2, 1, 32, 32), generator=Rng(0))
    assert torch.equal(net(x, 500).sample, torch.zeros_like(x))
    assert 1.5e6 < sum(value.numel() for value in net.parameters()) < 2.5e6


@torch.no_grad()
def test_parts_of_the_unet_add_up():
    net = unet()
    e = net.cond(T, Y)
    h, skips = net.encode(X, e)
    kept = [skip.clone() for skip in skips]
    v = net.decode(net.middle(h, e), skips, e)
    assert torch.equal(v, net(X, T, Y).sample) and v.shape == X.shape and v.abs().max() > 1e-3
    assert e.shape == (4, 16) and h.shape == (4, 16, 2, 2)
    assert [tuple(skip.shape[1:]) for skip in skips] == [(8, 4, 4), (8, 4, 4), (8, 2, 2), (16, 2, 2)]
    assert all(torch.equal(a, b) for a, b in zip(kept, skips, strict=True))  # decode consumes a copy
    assert torch.equal(net(X, T, Y, return_dict=False)[0], v)


@torch.no_grad()
def test_labels_and_times_matter_and_null_means_none():
    net = unet()
    assert net.null_label == 3
    null = net(X, T, torch.full((4,), 3)).sample
    assert torch.equal(net(X, T).sample, null)
    for label in range(3):
        assert (net(X, T, torch.full((4,), label)).sample - null).abs().max() > 1e-4
    assert (net(X, T + 100).sample - null).abs().max() > 1e-4
    assert torch.equal(net(X, 500).sample, net(X, torch.full((4,), 500.0)).sample)
    assert torch.equal(net(X, 500).sample, net(X, torch.tensor(500)).sample)
    one = torch.cat([net(X[i : i + 1], T[i : i + 1], Y[i : i + 1]).sample for i in range(4)])
    assert torch.allclose(net(X, T, Y).sample, one, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(
    "options", [{"fold": 1}, {"in_channels": 3, "fold": 4, "channels": (8,), "attention": (True,)}]
)
def test_other_shapes(options):
    net = unet(**options)
    x = torch.randn((2, net.config.in_channels, 8, 8), generator=Rng(0))
    assert net(x, 3).sample.shape == x.shape


def test_every_parameter_of_the_unet_learns():
    net = unet().train()
    net(X, T, Y).sample.square().mean().backward()
    assert [
        name for name, value in net.named_parameters() if value.grad is None or not value.grad.abs().max() > 0
    ] == []


@torch.no_grad()
def test_timestep_features():
    got = timestep_features(torch.tensor([0.0, 2.5]), 8)
    assert got.shape == (2, 8) and got[0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    angle = 2.5 * torch.tensor([1.0, 0.1, 0.01, 0.001])
    assert torch.allclose(got[1], torch.cat([angle.cos(), angle.sin()]))


@pytest.mark.parametrize(
    "net", [unet(), build(ConvNet, width=4), build(ConvNet, width=4, noise_aware=True, sample_size=8)]
)
def test_files_bring_the_same_network_back(net, tmp_path):
    net.save_pretrained(tmp_path)
    again = type(net).from_pretrained(tmp_path, local_files_only=True)
    ours = [
        json.dumps({key: one.config[key] for key in one.config if key[0] != "_"}, sort_keys=True)
        for one in (net, again)
    ]
    assert ours[0] == ours[1]
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True))
    assert (tmp_path / "diffusion_pytorch_model.safetensors").exists()
    assert not again.training


@torch.no_grad()
def test_convnet():
    net = build(ConvNet, width=4)
    x = torch.randn((3, 1, 32, 32), generator=Rng(0))
    assert net(x).shape == (3, 10) and net.features(x).shape == (3, 16)
    assert torch.equal(net.head(net.features(x)), net(x)) and (net.features(x) >= 0).all()
    aware = build(ConvNet, width=4, noise_aware=True)
    t = torch.tensor([0.1, 0.5, 0.9])
    assert (aware(x, t) - aware(x, t.flip(0))).abs().amax(1)[[0, 2]].min() > 1e-4
    assert torch.equal(aware(x, t.double()), aware(x, t.double()))
    assert build(ConvNet).features(x).shape == (3, 64)  # the 64 of FD-64


@torch.no_grad()
def test_mlp():
    net = build(MLP, num_classes=3)
    x, timestep = torch.randn((5, 2), generator=Rng(0)), torch.tensor([0.0, 10.0, 499.0, 700.5, 999.0])
    y = torch.tensor([0, 1, 2, 3, 3])
    assert net(x, timestep, y).shape == (5, 2)
    assert torch.equal(net(x, timestep), net(x, timestep, torch.full((5,), 3)))
    assert (net(x, timestep, y) - net(x, timestep)).abs().amax(1).tolist()[3:] == [0, 0]
    assert (net(x, timestep, y) - net(x, timestep)).abs().amax(1)[:3].min() > 1e-4
    assert (net(x, timestep + 100, y) - net(x, timestep, y)).abs().max() > 1e-3
    assert build(MLP, dim=1, depth=1)(x[:, :1], timestep).shape == (5, 1)


def test_bad_input_is_named():
    for x in (X[:, :, :4], X[0], X.expand(4, 3, 8, 8)):
        with pytest.raises(ValueError, match=r"^sample: expected \(B, 1, 8, 8\), got"):
            unet()(x, 3)
    clean, aware = build(ConvNet, width=4), build(ConvNet, width=4, noise_aware=True)
    with pytest.raises(ValueError, match=r"^x: expected \(B, 1, 32, 32\), got \(4, 1, 8, 8\)"):
        clean(X)
    with pytest.raises(ValueError, match=r"^t: expected no time"):
        clean(torch.zeros(4, 1, 32, 32), torch.ones(4))
    with pytest.raises(ValueError, match=r"^t: expected a time for each image"):
        aware(torch.zeros(4, 1, 32, 32))
    for argument in ("dim", "width", "depth"):
        with pytest.raises(ValueError, match=rf"^{argument}: expected"):
            MLP(**{argument: 0})


# Without bias --------------------------------


def bias_free():
    net = build(BiasFreeUNet)
    with torch.no_grad():  # statistics as after training, different in each channel
        for seed, value in enumerate(net.buffers()):
            value.mul_(torch.rand(value.shape, generator=Rng(seed)) + 0.5)
    return net.double()


def test_a_network_without_bias_scales_with_its_input():
    net, x = bias_free(), torch.randn((2, 1, 8, 8), generator=Rng(0), dtype=torch.float64)
    assert torch.allclose(net(7 * x), 7 * net(x), atol=1e-10) and net(x).std() > 0.1
    assert not any("bias" in name for name, _ in net.named_parameters())
    jacobian = torch.autograd.functional.jacobian(net, x[:1]).reshape(64, 64)
    assert torch.allclose(jacobian @ x[0].flatten(), net(x[:1]).flatten(), atol=1e-10)


def test_training_scales_by_the_batch_and_remembers():
    net, x = build(BiasFreeUNet).train(), 3 * torch.randn((16, 1, 8, 8), generator=Rng(0))
    before = next(net.buffers()).clone()
    train = net(x)
    assert not torch.equal(next(net.buffers()), before)
    for _ in range(100):
        net(x)
    assert torch.allclose(net.eval()(x), train, atol=0.02 * float(train.detach().std()))


def test_a_network_without_bias_names_a_wrong_shape():
    for shape in ((1, 2, 8, 8), (1, 1, 8, 6), (1, 8, 8)):
        with pytest.raises(ValueError, match=r"x: expected \(B, 1, H, W\), H and W multiples of 4"):
            build(BiasFreeUNet)(torch.zeros(shape))
