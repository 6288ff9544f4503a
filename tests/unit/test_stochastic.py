"""Samplers with fresh noise: their law on Gaussian data, their limits, and what they say to bad input."""

import itertools
import math

import pytest
import torch

from denoising.denoisers import Denoiser, NetworkDenoiser
from denoising.exact import Gaussian, GaussianMixture
from denoising.rng import Rng
from denoising.samplers import edm_heun, edm_stochastic, euler, grid, last, sample, sde
from denoising.schedules import EDM, Cosine, Linear, Table, linear_betas

F = torch.float64
END = 1e-3
C2 = 0.25  # variance of the Gaussian data


def far(a, b):
    return float((a - b).abs().max())


def gaussian(schedule=None):
    return Gaussian(torch.zeros(1, dtype=F), torch.full((1, 1), C2, dtype=F), schedule=schedule or Linear())


def mixture(schedule=None):
    means = torch.tensor([[-1.5, 0.0], [1.0, 1.2]], dtype=F)
    return GaussianMixture(means, 0.1 * torch.eye(2, dtype=F).expand(2, 2, 2), schedule=schedule or Linear())


def noise(n, d=2, seed=0):
    return torch.randn((n, d), generator=Rng(seed), dtype=F)


def marginal(schedule, t):
    alpha, sigma = (float(scale) for scale in schedule.alpha_sigma(t))
    return C2 * alpha**2 + sigma**2


def law(k, steps, schedule=None, t_start=0.7, t_end=0.1):
    """Variance after the sampler's steps on Gaussian data, without sampling error.

    A step is x -> m x + noise, because a Gaussian's denoiser is linear. The sampler itself tells m: start at 1 and at
    0 with the same noise. The noise has the variance k g^2 (t - s).
    """
    schedule = schedule or Linear()
    data, V = gaussian(schedule), marginal(schedule, t_start)
    for t, s in itertools.pairwise(grid(schedule, steps, t_start=t_start, t_end=t_end).tolist()):
        ends = [
            last(sde(data, x, torch.tensor([t, s], dtype=F), stochasticity=k, generator=Rng(0)))
            for x in (torch.ones(1, 1, dtype=F), torch.zeros(1, 1, dtype=F))
        ]
        (alpha, sigma), (alpha_dot, sigma_dot) = schedule.alpha_sigma(t), schedule.rates(t)
        g2 = float(2 * sigma * (sigma_dot - alpha_dot / alpha * sigma))
        V = float(ends[0] - ends[1]) ** 2 * V + k * g2 * (t - s)
    return V


@pytest.mark.parametrize("k", [0, 0.5, 1, 2])
def test_weak_order_is_one(k):
    error = [abs(law(k, n) - marginal(Linear(), 0.1)) for n in (80, 160, 320)]
    assert all(abs(math.log2(a / b) - 1) < 0.1 for a, b in itertools.pairwise(error)), error
    assert error[-1] < 0.02


@pytest.mark.parametrize("k", [0.5, 1, 2])
@pytest.mark.parametrize("schedule", [Linear(), Cosine(), EDM(sigma_max=10)], ids=lambda s: type(s).__name__)
def test_the_samples_have_the_variance_of_that_law(k, schedule):
    times, n = grid(schedule, 20, t_start=0.7, t_end=0.1), 100_000
    start = math.sqrt(marginal(schedule, 0.7)) * noise(n, 1)
    got = last(sde(gaussian(schedule), start, times, stochasticity=k, generator=Rng(1)))
    assert float(got.var()) == pytest.approx(law(k, 20, schedule), rel=0.025)  # five standard errors
    assert abs(float(got.mean())) < 5 * float(got.std()) / math.sqrt(n)


@pytest.mark.parametrize("schedule", [Linear(), Cosine(), EDM()], ids=lambda s: type(s).__name__)
def test_no_stochasticity_is_euler(schedule):
    times = grid(schedule, 20)
    for a, b in zip(sde(mixture(schedule), noise(9), times, stochasticity=0), euler(mixture(schedule), noise(9), times),
                    strict=True):  # fmt: skip
        assert far(a.x, b.x) < 1e-10 and a.t == b.t and a.calls == b.calls


@pytest.mark.parametrize("k", [0.5, 1.0, 2.0])
def test_paths_are_correlated_as_the_forward_process_only_at_one(k):
    # in sigma / alpha the correlation of x at two times is (ratio of their variances, in x / alpha) ** (k / 2)
    schedule, n = EDM(sigma_max=10), 40_000
    times = grid(schedule, 400, t_start=0.6, t_end=0.2)
    start = math.sqrt(marginal(schedule, 0.6)) * noise(n, 1)
    end = last(sde(gaussian(schedule), start, times, stochasticity=k, generator=Rng(2)))
    got = float(torch.corrcoef(torch.cat([start, end], 1).T)[0, 1])
    assert got == pytest.approx((marginal(schedule, 0.2) / marginal(schedule, 0.6)) ** (k / 2), abs=0.02)


@pytest.mark.parametrize("schedule", [Linear(), Cosine(), EDM()], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("options", [{}, {"churn": 10.0, "lowest": 1e6}, {"churn": 10.0, "highest": 1e-9}])
def test_without_churn_it_is_edm_heun(schedule, options):
    times = grid(schedule, 12, spacing="edm")
    runs = edm_stochastic(mixture(schedule), noise(9), times, generator=Rng(0), **options)
    for a, b in zip(runs, edm_heun(mixture(schedule), noise(9), times), strict=True):
        assert torch.equal(a.x, b.x) and a.t == b.t and a.calls == b.calls


def algorithm_2(denoise, x, sigmas, churn, inflate, lowest, highest, generator):
    """Karras et al., in their coordinates and with their names."""
    N = len(sigmas) - 1
    for sigma, following in itertools.pairwise(sigmas):
        gamma = min(churn / N, math.sqrt(2) - 1) if lowest <= sigma <= highest else 0
        hat = sigma + gamma * sigma
        if gamma > 0:
            eps = inflate * torch.randn(x.shape, generator=generator, dtype=F)
            x = x + math.sqrt(hat**2 - sigma**2) * eps
        d = (x - denoise(x, hat)) / hat
        ahead = x + (following - hat) * d
        if following != 0:
            d = d / 2 + (ahead - denoise(ahead, following)) / following / 2
            ahead = x + (following - hat) * d
        x = ahead
    return x


@pytest.mark.parametrize("churn", [5.0, 1000.0])
def test_it_is_algorithm_2(churn):
    schedule = EDM(sigma_max=40)
    data = mixture(schedule)

    def denoise(x, sigma):
        return data(x, float(schedule.t_of_sigma_edm(sigma)))

    times = grid(schedule, 12, spacing="edm", t_start=0.8)
    sigmas = [float(schedule.sigma(t)) if t else 0.0 for t in times.tolist()]
    want = algorithm_2(denoise, noise(9), sigmas, churn, 1.01, 0.05, 5.0, Rng(3))
    got = last(edm_stochastic(data, noise(9), times, churn=churn, noise=1.01, lowest=0.05, highest=5.0,
                              generator=Rng(3)))  # fmt: skip
    assert far(got, want) < 1e-9


def test_churn_in_two_coordinates_is_one_process():
    vp, ve = Linear(), EDM(sigma_max=float(Linear().sigma_edm(1.0)))
    sigma = torch.logspace(2, -2, 15, dtype=F)
    x = 100 * noise(9)
    ends = [
        last(edm_stochastic(mixture(s), x * s.alpha(s.t_of_sigma_edm(sigma[0])), s.t_of_sigma_edm(sigma), churn=6.0,
                            generator=Rng(4))) / s.alpha(s.t_of_sigma_edm(sigma[-1]))
        for s in (vp, ve)
    ]  # fmt: skip
    assert far(*ends) < 1e-9


@pytest.mark.parametrize("schedule", [Linear(), EDM(sigma_max=20)], ids=lambda s: type(s).__name__)
def test_churn_keeps_the_law(schedule):
    n = 100_000
    start = math.sqrt(marginal(schedule, 0.8)) * noise(n, 1)
    times = grid(schedule, 40, spacing="edm", t_start=0.8, t_end=0.05)
    got = last(edm_stochastic(gaussian(schedule), start, times, churn=8.0, generator=Rng(5)))
    assert float(got.var()) == pytest.approx(marginal(schedule, 0.05), rel=0.03)
    louder = last(edm_stochastic(gaussian(schedule), start, times, churn=8.0, noise=1.3, generator=Rng(5)))
    assert float(louder.var()) > 1.1 * float(got.var())


class Times(Denoiser):
    """Keeps the times it was asked for."""

    def __init__(self, schedule):
        self.schedule, self.asked = schedule, []

    def __call__(self, x, t, y=None):
        self.asked.append(float(t))
        return 0 * x


def test_the_level_never_leaves_the_schedule():
    for schedule in (Linear(), Cosine(), EDM(), Table(linear_betas(1000))):
        seen = Times(schedule)
        last(edm_stochastic(seen, noise(3), grid(schedule, 4, spacing="edm"), churn=1e6, generator=Rng(0)))
        assert max(seen.asked) <= 1 and seen.asked[0] == 1.0
        raised, asked = float(schedule.sigma_edm(seen.asked[2])), float(schedule.sigma_edm(seen.asked[1]))
        assert raised == pytest.approx(min(math.sqrt(2) * asked, float(schedule.sigma_edm(1.0))), rel=1e-6)


def test_labels_pass_and_the_last_step_is_the_guess():
    times = grid(Cosine(), 6)
    net = NetworkDenoiser(lambda x, timestep, y: x * 0 + y.double()[:, None], Cosine(), predicts="x0", num_classes=3)
    y = torch.tensor([0, 2, 1])
    for sampler, options in ((sde, {}), (edm_stochastic, {"churn": 5.0})):
        got = sample(sampler, net, noise(3), times, y=y, generator=Rng(0), **options)
        assert far(got, y.float()[:, None].expand(3, 2)) < 1e-6


def test_the_global_state_does_not_matter():
    x, times = noise(5), grid(Linear(), 5)
    for sampler, options in ((sde, {}), (edm_stochastic, {"churn": 5.0})):
        kept = x.clone()
        torch.manual_seed(0)
        first = last(sampler(mixture(), x, times, generator=Rng(1), **options))
        torch.manual_seed(1)
        assert torch.equal(first, last(sampler(mixture(), x, times, generator=Rng(1), **options)))
        assert not torch.equal(first, last(sampler(mixture(), x, times, generator=Rng(2), **options)))
        assert torch.equal(x, kept)


OK = torch.tensor([1.0, 0.5, 0.0], dtype=F)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: last(sde(mixture(), noise(3) * float("nan"), OK, generator=Rng(0))), "x"),
        (lambda: last(sde(mixture(), noise(3), OK.flip(0), generator=Rng(0))), "times"),
        (lambda: last(sde(mixture(), noise(3), OK.flip(0), stochasticity=0)), "times"),
        (lambda: last(sde(lambda x, t, y: x, noise(3), OK, generator=Rng(0))), "denoiser"),
        (lambda: last(sde(mixture(), noise(3), OK)), "generator"),
        (lambda: last(sde(mixture(), noise(3), OK, generator=0)), "generator"),
        (lambda: last(sde(mixture(), noise(3), OK, stochasticity=-0.1, generator=Rng(0))), "stochasticity"),
        (lambda: last(sde(mixture(), noise(3), OK, stochasticity=float("nan"), generator=Rng(0))), "stochasticity"),
        (lambda: last(sde(mixture(), noise(3), OK, stochasticity="1", generator=Rng(0))), "stochasticity"),
        (lambda: last(edm_stochastic(mixture(), noise(3).long(), OK)), "x"),
        (lambda: last(edm_stochastic(mixture(), noise(3), OK * 1.1)), "times"),
        (lambda: last(edm_stochastic(lambda x, t, y: x, noise(3), OK)), "denoiser"),
        (lambda: last(edm_stochastic(mixture(), noise(3), OK, churn=1.0)), "generator"),
        (lambda: last(edm_stochastic(mixture(), noise(3), OK, churn=-1, generator=Rng(0))), "churn"),
        (lambda: last(edm_stochastic(mixture(), noise(3), OK, churn=None, generator=Rng(0))), "churn"),
        (lambda: last(edm_stochastic(mixture(), noise(3), OK, noise=-1.0)), "noise"),
        (lambda: last(edm_stochastic(mixture(), noise(3), OK, lowest=-1.0)), "lowest"),
        (lambda: last(edm_stochastic(mixture(), noise(3), OK, lowest=2.0, highest=1.0)), "highest"),
        (lambda: last(edm_stochastic(mixture(), noise(3), OK, highest="all")), "highest"),
    ],
)
def test_bad_input_is_named(call, argument):
    with pytest.raises(ValueError, match=rf"^{argument}: expected"):
        call()
