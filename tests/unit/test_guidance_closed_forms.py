"""Guided samplers on two Gaussians end with the variances that 4.1 derives, also at strengths that it does not show.

Unconditional N(0, a), conditional N(0, b), strength s. Where the class is the wider one, b > a, guidance widens it.
"""

import pytest
import torch

from denoising import guidance, samplers
from denoising.denoisers import Denoiser
from denoising.exact import Gaussian
from denoising.schedules import EDM, Cosine

CASES = [(2.0, 1.0, 1.0), (2.0, 1.0, 1.5), (2.0, 1.0, 2.7), (2.0, 1.0, 6.0), (3.0, 0.5, 3.3), (1.0, 1.6, 1.7)]


class Two(Denoiser):
    """N(0, a) without a label, N(0, b) with one."""

    def __init__(self, a, b, schedule):
        self.variance, self.schedule = (a, b), schedule

    def __call__(self, x, t, y=None):
        alpha, sigma = self.schedule.alpha_sigma(t)
        c2 = self.variance[y is not None]
        return alpha * c2 / (alpha**2 * c2 + sigma**2) * x


def guided(a, b, s, schedule):
    return guidance.ClassifierFree(Two(a, b, schedule), s)


def ode_variance(a, b, s):
    return a ** (1 - s) * b**s


def sde_variance(a, b, s):
    return (a * b - a ** (2 - 2 * s) * b ** (2 * s)) / ((2 * s - 1) * (a - b))


@pytest.mark.parametrize(("a", "b", "s"), CASES)
@pytest.mark.parametrize("schedule", [EDM(sigma_max=500.0), Cosine(floor=1e-6)], ids=["exploding", "preserving"])
def test_the_ode(a, b, s, schedule):
    one = torch.ones((1, 1), dtype=torch.float64)  # all is linear: one point scales like the standard deviation
    times = samplers.grid(schedule, 300, spacing="edm")
    flow = samplers.edm_heun(guided(a, b, s, schedule), schedule.sigma(1.0) * one, times, y=one[:, 0].long())
    x = samplers.last(flow)
    assert float(x**2) == pytest.approx(ode_variance(a, b, s), rel=0.05)


@pytest.mark.parametrize(("a", "b", "s"), CASES)
def test_the_sde(a, b, s):
    schedule, n = EDM(sigma_max=500.0), 20_000
    generator = torch.Generator().manual_seed(0)
    start = schedule.sigma(1.0) * torch.randn((n, 1), generator=generator, dtype=torch.float64)
    times = samplers.grid(schedule, 500)
    walk = samplers.sde(guided(a, b, s, schedule), start, times, y=torch.zeros(n).long(), generator=generator)
    assert float(samplers.last(walk).var()) == pytest.approx(sde_variance(a, b, s), rel=0.05)


@pytest.mark.parametrize(("a", "b", "s"), CASES)
def test_the_tilt(a, b, s):
    x = torch.linspace(-30, 30, 6001, dtype=torch.float64)[:, None]
    free, given = (Gaussian(x[0] * 0, torch.full((1, 1), v).double(), schedule=EDM()).logp(x) for v in (a, b))
    weights = (free + s * (given - free)).softmax(0)
    assert float(weights @ x**2) == pytest.approx(1 / ((1 - s) / a + s / b), rel=1e-6)


def test_without_guidance_the_three_agree_and_above_one_they_part():
    assert ode_variance(2.0, 1.0, 1.0) == sde_variance(2.0, 1.0, 1.0) == 1.0
    for s in (1.5, 2.7, 6.0):
        assert ode_variance(2.0, 1.0, s) < 0.95 * sde_variance(2.0, 1.0, s) < 0.95**2 * 2 / (s + 1)
    assert ode_variance(1.0, 1.6, 1.7) > 1.6
