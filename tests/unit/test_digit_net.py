"""The small classifier of 8x8 pictures: its size, its inputs, its start."""

import pytest
import torch

from denoising.networks.digit_net import DigitNet
from denoising.rng import Rng


def test_size_and_repeatable_start():
    one, two, other = (DigitNet(generator=Rng(seed)) for seed in (0, 0, 1))
    assert sum(p.numel() for p in one.parameters()) == 15338
    x = torch.randn(3, 64, generator=Rng(2))
    assert one(x).shape == (3, 10) and torch.equal(one(x), two(x)) and not torch.equal(one(x), other(x))


def test_a_noise_aware_one_uses_the_time_of_each_item():
    net, x = DigitNet(True, generator=Rng(0)), torch.randn(1, 64, generator=Rng(2)).repeat(2, 1)
    early, late = net(x, torch.tensor([0.1, 0.9], dtype=torch.float64))
    assert not torch.allclose(early, late)


def test_wrong_inputs_are_named():
    net, aware, x = DigitNet(generator=Rng(0)), DigitNet(True, generator=Rng(0)), torch.zeros(2, 64)
    with pytest.raises(ValueError, match="expected no time"):
        net(x, torch.ones(2))
    with pytest.raises(ValueError, match="a time for each"):
        aware(x)
    with pytest.raises(ValueError, match=r"expected \(B, 64\)"):
        net(x.view(2, 1, 8, 8))
