"""The BiGAN and its training: two players that leave each other alone, and a run that resumes."""

from itertools import pairwise

import pytest
import torch

from denoising import datasets, training
from denoising.networks.bigan import BiGAN
from denoising.rng import Rng
from denoising.zoo import adversarial


def small():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BiGAN(sample_size=16, width=4, latent=5)


DATA = datasets.Images(torch.randn((40, 1, 16, 16), generator=Rng(0)).clamp(-1, 1), torch.zeros(40).long(), ())
RUN = {"steps": 8, "batch": 10, "lr": 1e-3, "seed": 0}


def test_shapes_and_layers():
    net, x = small().eval(), DATA.x[:3]
    assert net.encode(x).shape == (3, 5) and net(x).shape == x.shape and net(x).abs().max() <= 1
    assert net.critic(x, net.encode(x)).shape == (3, 3)
    layers = net.layers(x)
    assert list(layers) == [f"{part} {i}" for part in ("encoder", "critic") for i in range(3)] + ["code"]
    assert [value.shape[2] for value in layers.values()] == [8, 4, 2, 8, 4, 2, 1]
    with pytest.raises(ValueError, match=r"^x: expected \(B, 1, 16, 16\)"):
        net.encode(torch.zeros(1, 1, 8, 8))
    with pytest.raises(ValueError, match="multiple of 8"):
        BiGAN(sample_size=20)


def test_the_losses_by_hand():
    real, made = torch.tensor([[2.0, 0.5]]), torch.tensor([[-0.5, 1.0]])
    assert float(adversarial.critic_loss(real, made)) == 0.5 + 0.5 + 2.0
    assert float(adversarial.players_loss(real, made)) == 2.5 - 0.5


def test_both_players_move_and_the_critic_learns():
    net = small()
    before = {key: value.clone() for key, value in net.named_parameters()}
    losses = [step.loss for step in adversarial.fit(net, DATA, **RUN | {"steps": 60})]
    moved = {key for key, value in net.named_parameters() if not torch.equal(value, before[key])}
    assert moved >= {key for key, value in before.items() if value.ndim > 1}
    assert sum(losses[-10:]) < sum(losses[:10]) and not net.training
    assert all(weight.requires_grad for weight in net.parameters())


def test_a_resumed_run_ends_in_the_same_weights(tmp_path):
    whole, half = small(), small()
    averages = [training.EMA(net, 0.9) for net in (whole, half)]
    steps = [step.step for step in adversarial.fit(whole, DATA, ema=averages[0], **RUN)]
    assert steps == list(range(1, 9)) and all(b - a == 1 for a, b in pairwise(steps))
    assert not torch.equal(averages[0].module.to_code.weight, small().to_code.weight)  # it follows
    state = tmp_path / "state.safetensors"
    list(adversarial.fit(half, DATA, ema=averages[1], state=state, stop=3, **RUN))
    again = small()
    average = training.EMA(again, 0.9)
    assert [step.step for step in adversarial.fit(again, DATA, ema=average, state=state, **RUN)] == [4, 5, 6, 7, 8]
    for one, other in ((whole, again), (averages[0].module, average.module)):
        pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)
    with pytest.raises(ValueError, match="written by another recipe"):
        list(adversarial.fit(small(), DATA, ema=training.EMA(small(), 0.9), state=state, **RUN | {"lr": 2e-3}))
