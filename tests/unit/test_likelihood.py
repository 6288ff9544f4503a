"""Log-densities through the ODE against closed forms: Gaussians, mixtures, the divergence by brute force."""

import math

import pytest
import torch

from denoising.denoisers import Denoiser, NetworkDenoiser
from denoising.exact import Gaussian, GaussianMixture
from denoising.likelihood import ode_logp, slope_and_divergence
from denoising.networks.mlp import MLP
from denoising.rng import Rng
from denoising.samplers import grid, heun, last
from denoising.schedules import EDM, Cosine, Linear

F = torch.float64
MEANS = torch.tensor([[-1.5, 0.0], [1.0, 1.2], [0.8, -1.3]], dtype=F)
COVS = torch.tensor([[[0.15, 0.05], [0.05, 0.1]], [[0.08, 0.0], [0.0, 0.2]], [[0.12, -0.04], [-0.04, 0.1]]], dtype=F)


def mixture(schedule=None):
    return GaussianMixture(MEANS, COVS, torch.tensor([0.3, 0.45, 0.25], dtype=F), schedule=schedule or Linear())


def up(schedule, steps, start=1e-3, end=1.0, spacing="edm"):
    return grid(schedule, steps, spacing=spacing, t_start=end, t_end=start).flip(0)


def far(a, b):
    return float((a - b).abs().max())


@pytest.mark.parametrize("schedule", [Linear(), Cosine(), EDM()], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("t", [0.01, 0.3, 1.0])
def test_divergence_is_the_trace_of_the_slopes_jacobian(schedule, t):
    data = mixture(schedule)
    x, _ = data.sample(4, generator=Rng(0), t=t)
    slope, div = slope_and_divergence(data, x, t)
    alpha, sigma = schedule.alpha_sigma(t)
    alpha_dot, sigma_dot = schedule.rates(t)
    by_hand = alpha_dot * data(x, t) + sigma_dot * data.eps(x, t)
    assert far(slope, by_hand) < 1e-9 * max(1.0, float(slope.abs().max()))
    for i in range(4):
        jacobian = torch.autograd.functional.jacobian(
            lambda z: (alpha_dot * data(z[None], t) + sigma_dot * (z - alpha * data(z[None], t)) / sigma)[0], x[i]
        )
        assert abs(float(div[i] - jacobian.trace())) < 1e-9 * max(1.0, abs(float(div[i])))


@pytest.mark.parametrize("schedule", [Linear(), Cosine(), EDM()], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("c2", [0.04, 1.0, 4.0])
def test_gaussian_data_are_stretched(schedule, c2):
    # along the ODE x / sqrt(V) stands still, V = alpha^2 c^2 + sigma^2, so log p changes by d/2 ln(V_end / V_start)
    data = Gaussian(torch.zeros(3, dtype=F), c2 * torch.eye(3, dtype=F), schedule=schedule)
    spread = [c2 * float(a) ** 2 + float(s) ** 2 for a, s in (schedule.alpha_sigma(t) for t in (1e-3, 1.0))]
    x = torch.tensor([[0.3, -0.2, 0.1], [0.0, 0.0, 0.5]], dtype=F)
    got = ode_logp(data, x, up(schedule, 60))
    assert far(got.change, torch.full((2,), 1.5 * math.log(spread[1] / spread[0]), dtype=F)) < 0.02
    assert far(got.end, x * math.sqrt(spread[1] / spread[0])) < 0.02 * math.sqrt(spread[1] / spread[0])
    assert far(got.logp, got.prior + got.change) < 1e-12


@pytest.mark.parametrize("spacing", ["t", "lam", "edm"])
def test_mixture(spacing):
    data = mixture()
    x, _ = data.sample(50, generator=Rng(1), t=1e-3)
    got, truth = ode_logp(data, x, up(Linear(), 100, spacing=spacing)), data.logp(x, 1e-3)
    assert float((got.logp - truth).square().mean().sqrt()) < 1e-2
    assert float((got.prior - truth).mean().abs()) > 0.5  # the divergence is needed


def test_second_order_up_to_the_prior():
    data = mixture()
    x, _ = data.sample(40, generator=Rng(2), t=0.05)
    error = []
    for steps in (30, 60):
        got = ode_logp(data, x, up(Linear(), steps, start=0.05))
        error.append(float((got.change + data.logp(got.end, 1.0) - data.logp(x, 0.05)).abs().median()))
    assert 1.7 < math.log2(error[0] / error[1]) < 2.7, error


def test_the_prior_is_noise_of_the_last_level():
    data = mixture(EDM())
    x, _ = data.sample(3, generator=Rng(3), t=0.1)
    got = ode_logp(data, x, torch.tensor([0.1, 1.0], dtype=F))
    assert far(got.prior, torch.distributions.Normal(torch.zeros((), dtype=F), 80.0).log_prob(got.end).sum(1)) < 1e-9


def test_the_way_back_is_heuns():
    data = mixture()
    x, _ = data.sample(5, generator=Rng(4), t=0.1)
    times = up(Linear(), 60, start=0.1, end=0.9)
    assert far(last(heun(data, ode_logp(data, x, times).end, times.flip(0))), x) < 1e-2


def test_hutchinson_is_unbiased_and_more_probes_scatter_less():
    data = mixture()
    x, _ = data.sample(20, generator=Rng(5), t=1e-3)
    times, crowd = up(Linear(), 10), x.repeat(200, 1)
    exact = ode_logp(data, x, times).logp.repeat(200)
    spread = []
    for probes in (1, 4):
        error = ode_logp(data, crowd, times, probes=probes, generator=Rng(6)).logp - exact
        assert float(error.mean().abs()) < 3 * float(error.std()) / math.sqrt(len(error))
        spread.append(float(error.std()))
    assert 1.7 < spread[0] / spread[1] < 2.3
    # on a line the trace is the derivative itself
    one = Gaussian(torch.zeros(1, dtype=F), torch.ones((1, 1), dtype=F), schedule=Linear())
    exact, guess = (
        ode_logp(one, x[:, :1], times, **options).logp for options in ({}, {"probes": 1, "generator": Rng(0)})
    )
    assert far(exact, guess) < 1e-12


def test_probes_depend_on_the_generator_alone():
    x, _ = mixture().sample(6, generator=Rng(0), t=1e-3)
    runs = [ode_logp(mixture(), x, up(Linear(), 4), probes=2, generator=Rng(seed)).logp for seed in (1, 1, 2)]
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


def test_labels_batches_and_shapes():
    data, times = mixture(), up(Linear(), 6)
    x, y = data.sample(6, generator=Rng(7), t=1e-3)
    got = ode_logp(data, x, times, y=y)
    alone = torch.cat([ode_logp(data, x[i : i + 1], times, y=y[i : i + 1]).logp for i in range(6)])
    assert far(got.logp, alone) < 1e-10
    assert not torch.allclose(got.logp, ode_logp(data, x, times).logp)
    image = Gaussian(torch.zeros(4), torch.eye(4), schedule=Linear())
    got = ode_logp(image, torch.zeros(2, 1, 2, 2), up(Linear(), 30))
    assert got.logp.shape == (2,) and got.end.shape == (2, 1, 2, 2) and got.logp.dtype == F
    assert far(got.logp, torch.full((2,), -2 * math.log(2 * math.pi), dtype=F)) < 1e-3


def test_a_network_in_float32_and_without_global_gradients():
    net = NetworkDenoiser(MLP(2, width=8), Linear())
    x = torch.randn((3, 2), generator=Rng(1))
    with torch.no_grad():
        got = ode_logp(net, x, up(Linear(), 3))
    with torch.inference_mode():
        again = ode_logp(net, x, up(Linear(), 3))
    assert torch.equal(got.logp, again.logp) and torch.isfinite(got.logp).all()
    assert not got.logp.requires_grad and not got.end.requires_grad and not x.requires_grad
    assert all(parameter.grad is None for parameter in net.net.parameters())


class Frozen(Denoiser):
    schedule = Linear()

    def __call__(self, x, t, y=None):
        return mixture()(x.detach(), t, y)


X, TIMES = torch.zeros(3, 2), torch.tensor([0.1, 0.5, 1.0])


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: ode_logp(mixture(), X * float("nan"), TIMES), "x"),
        (lambda: ode_logp(mixture(), X.long(), TIMES), "x"),
        (lambda: ode_logp(mixture(), X, TIMES.flip(0)), "times"),
        (lambda: ode_logp(mixture(), X, TIMES[:1]), "times"),
        (lambda: ode_logp(mixture(), X, TIMES - 0.1), "times"),
        (lambda: ode_logp(mixture(), X, 2 * TIMES), "times"),
        (lambda: ode_logp(mixture(), X, TIMES.tolist()), "times"),
        (lambda: ode_logp(lambda x, t, y: x, X, TIMES), "denoiser"),
        (lambda: ode_logp(Frozen(), X, TIMES), "denoiser"),
        (lambda: ode_logp(mixture(), X, TIMES, probes=0, generator=Rng(0)), "probes"),
        (lambda: ode_logp(mixture(), X, TIMES, probes=1.5, generator=Rng(0)), "probes"),
        (lambda: ode_logp(mixture(), X, TIMES, probes=2), "generator"),
        (lambda: ode_logp(mixture(), X, TIMES, y=torch.zeros(2, dtype=torch.int64)), "y"),
        (lambda: slope_and_divergence(mixture(), X * float("inf"), 0.5), "x"),
        (lambda: slope_and_divergence(mixture(), X, 0.0), "t"),
    ],
)
def test_bad_input_is_named(call, argument):
    with pytest.raises(ValueError, match=rf"^{argument}: expected"):
        call()
