"""Pictures by formula: their manifold, their smoothness, their determinism."""

import pytest
import torch

from denoising import procedural
from denoising.rng import Rng


def test_a_disc_is_where_it_says():
    picture = procedural.disc(torch.tensor([[0.25, 0.5, 0.15, 0.9, 0.2]]))[0, 0]
    assert picture.shape == (32, 32) and abs(picture[8, 16] - 0.9) < 0.02 and abs(picture[30, 2] - 0.2) < 0.02
    row, column = (torch.arange(32) + 0.5 for _ in range(2))
    weight = (picture - 0.2) / (picture - 0.2).sum()
    assert abs((weight.sum(1) * row).sum() / 32 - 0.25) < 0.01 and abs((weight.sum(0) * column).sum() / 32 - 0.5) < 0.01


def test_discs_form_a_smooth_manifold_of_five_dimensions():
    pictures, parameters = procedural.discs(4, generator=Rng(0))
    assert pictures.shape == (4, 1, 32, 32) and pictures.min() >= 0 and pictures.max() <= 1
    assert torch.equal(procedural.disc(parameters), pictures)
    assert torch.equal(procedural.discs(4, generator=Rng(0))[0], pictures)
    for one in parameters.double():
        tangents = torch.autograd.functional.jacobian(lambda p: procedural.disc(p[None]).flatten(), one)
        assert torch.linalg.matrix_rank(tangents) == 5


@pytest.mark.parametrize("alpha", [1.0, 2.0, 3.0])
def test_the_spectrum_of_textures_falls_as_asked(alpha):
    frequency = torch.fft.fftfreq(256).abs()
    noise = procedural._noise((500, 256), frequency, alpha + 0.5, Rng(0))
    assert abs(noise.var(0).mean() - 1) < 0.1
    power = torch.fft.fft(noise).abs().square().mean(0)
    assert abs(torch.log2(power[4] / power[16]) / 2 - (2 * alpha + 1)) < 0.3  # two octaves apart


def test_contours_get_smoother():
    rough, smooth = (procedural.contours(30, smoothness=alpha, generator=Rng(0)) for alpha in (1.0, 3.0))
    assert rough.shape == (30, 1, 32, 32) and rough.min() >= 0 and rough.max() <= 1
    assert rough[:, :, 0].mean() > rough[:, :, -1].mean() + 0.2  # bright above, dark below
    within = [x[:, :, :4].diff(dim=3).square().mean() for x in (rough, smooth)]
    assert within[0] > 3 * within[1]


def test_bad_input():
    with pytest.raises(ValueError, match="parameters: expected last dimension 5"):
        procedural.disc(torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"n: .*got 0"):
        procedural.discs(0, generator=Rng(0))
    with pytest.raises(ValueError, match=r"smoothness: .*got -1"):
        procedural.contours(1, smoothness=-1, generator=Rng(0))
