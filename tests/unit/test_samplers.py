"""Samplers on exact denoisers: measured orders, closed forms, states."""

import itertools
import math

import pytest
import torch
from scipy.integrate import solve_ivp

from denoising import samplers
from denoising.denoisers import Denoiser, add_noise
from denoising.exact import Gaussian, GaussianMixture
from denoising.rng import Rng
from denoising.samplers import ddim, ddpm, dpmpp_2m, dpmpp_2s, edm_heun, euler, grid, heun, last, sample
from denoising.schedules import EDM, Cosine, Linear

F = torch.float64
END = 1e-3
SOLVERS = {"ddim": ddim, "euler": euler, "heun": heun, "edm_heun": edm_heun, "dpmpp_2m": dpmpp_2m, "dpmpp_2s": dpmpp_2s}


def far(a, b):
    return float((a - b).abs().max())


def mixture(schedule=None):
    means = torch.tensor([[-1.5, 0.0], [1.0, 1.2], [0.8, -1.3]], dtype=F)
    covs = torch.tensor(
        [[[0.15, 0.05], [0.05, 0.1]], [[0.08, 0.0], [0.0, 0.2]], [[0.12, -0.04], [-0.04, 0.1]]], dtype=F
    )
    return GaussianMixture(means, covs, torch.tensor([0.3, 0.45, 0.25], dtype=F), schedule=schedule or Linear())


def gaussian(c2, schedule=None, mean=0.0):
    data = torch.tensor([mean], dtype=F), torch.full((1, 1), c2, dtype=F)
    return Gaussian(*data, schedule=schedule or Linear())


def noise(n, d=2, seed=0):
    return torch.randn((n, d), generator=Rng(seed), dtype=F)


@pytest.fixture(scope="module")
def reference():
    """End points of the probability-flow ODE at t = 1e-3, by an eighth-order solver that knows none of our samplers."""
    data, start = mixture(), noise(48)

    def slope(t, x):
        beta = 0.1 + t * 19.9  # dx/dt = -beta / 2 (x + score)
        x = torch.from_numpy(x).reshape(-1, 2)
        return (-0.5 * beta * (x + data.score(x, t))).reshape(-1).numpy()

    solved = solve_ivp(slope, (1.0, END), start.reshape(-1).numpy(), method="DOP853", rtol=1e-11, atol=1e-11)
    return start, torch.from_numpy(solved.y[:, -1]).reshape(-1, 2)


def orders(sampler, spacing, reference, steps=(80, 160)):
    start, end = reference
    errors = []
    for n in steps:
        times = grid(Linear(), n, spacing=spacing, t_end=END)
        # the median: means are dominated by points near the border of two basins
        errors.append(float((last(sampler(mixture(), start, times)) - end).norm(dim=1).median()))
    return [math.log2(a / b) for a, b in itertools.pairwise(errors)], errors


@pytest.mark.parametrize(
    ("sampler", "spacing", "order"),
    [
        ("euler", "t", 1),
        ("ddim", "t", 1),
        ("ddim", "lam", 1),
        ("heun", "t", 2),
        ("dpmpp_2m", "lam", 2),
        ("dpmpp_2s", "lam", 2),
        ("edm_heun", "edm", 2),
    ],
)
def test_order(sampler, spacing, order, reference):
    measured, _ = orders(SOLVERS[sampler], spacing, reference)
    assert all(abs(one - order) <= 0.1 for one in measured), measured


def test_at_equal_calls_2m_is_best(reference):
    error = {
        name: orders(SOLVERS[name], spacing, reference, steps=(n,))[1][0]
        for name, spacing, n in [("euler", "t", 40), ("heun", "t", 20), ("dpmpp_2m", "lam", 40)]
    }
    assert 1.5 * error["dpmpp_2m"] < min(error["euler"], error["heun"])  # 2M takes one call a step


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("schedule", [Linear(), Cosine(), EDM()], ids=lambda s: type(s).__name__)
def test_every_solver_finds_the_same_end_point(name, schedule):
    # Gaussian data: x_t / sqrt(alpha^2 c^2 + sigma^2) does not move along the ODE
    data = gaussian(0.5, schedule)
    ends = [schedule.alpha_sigma(t) for t in (1.0, END)]
    start, stop = (math.sqrt(0.5 * float(alpha) ** 2 + float(sigma) ** 2) for alpha, sigma in ends)
    x = start * torch.tensor([[-2.0], [-0.3], [0.0], [1.0]], dtype=F)
    spacing = {"euler": "t", "heun": "t"}.get(name, "edm" if name == "edm_heun" else "lam")
    got = last(SOLVERS[name](data, x, grid(schedule, 160, spacing=spacing, t_end=END)))
    assert far(got, x * stop / start) < (0.2 if name in ("euler", "ddim") else 5e-3)


def test_ddim_with_eta_one_is_ddpm_on_the_same_noise():
    times = grid(Linear(), 30)
    a = ddim(mixture(), noise(20), times, eta=1.0, generator=Rng(1))
    b = ddpm(mixture(), noise(20), times, generator=Rng(1))
    for one, other in zip(a, b, strict=True):
        assert far(one.x, other.x) < 1e-10


def test_ddpm_coefficients_are_those_of_the_paper():
    # one step at row i of a table, written with betas (Ho et al. 2020, eq. 6 and 7)
    i, T = 30, 50
    schedule = Cosine()
    betas, x, fixed = schedule.betas(T), noise(5, 1), gaussian(0.0, schedule, mean=0.7)
    bar = torch.cumprod(1 - betas, 0)
    mean = (bar[i - 1].sqrt() * betas[i] * 0.7 + (1 - betas[i]).sqrt() * (1 - bar[i - 1]) * x) / (1 - bar[i])
    times = torch.tensor([(i + 1) / T, i / T], dtype=F)
    z = torch.randn((5, 1), generator=Rng(3), dtype=F)
    for variance, value in (("small", (1 - bar[i - 1]) / (1 - bar[i]) * betas[i]), ("large", betas[i])):
        got = last(ddpm(fixed, x, times, generator=Rng(3), variance=variance))
        assert far(got, mean + value.sqrt() * z) < 1e-10


@pytest.mark.parametrize(("variance", "c2"), [("small", 0.0), ("large", 1.0)])
def test_ddpm_keeps_the_marginals_for_the_data_its_variance_is_made_for(variance, c2):
    # exact for a point (small) and, up to the last step's missing noise, for unit variance (large): any number of steps
    data, n = gaussian(c2, mean=0.3 if c2 < 1 else 0.0), 100_000
    times = grid(Linear(), 5)
    start, _ = data.sample(n, generator=Rng(1), t=1.0)
    *_, before, _ = ddpm(data, start, times, generator=Rng(2), variance=variance)
    alpha, sigma = (float(s) for s in Linear().alpha_sigma(before.t))
    want = alpha**2 * c2 + sigma**2
    spread = float(before.x.var())
    assert abs(spread / want - 1) < 0.03  # for unit variance, the larger noise puts back what the guess shrinks


def test_ancestral_error_falls_with_the_step():
    # covariance of DDPM on N(0, c^2) by its exact scalar recursion, with the weights read off one step each
    errors = []
    for n in (200, 400):
        schedule, c2, variance = Linear(), 0.25, float(Linear().alpha_bar(1.0)) * 0.25 + float(Linear().sigma(1.0)) ** 2
        data, times = gaussian(c2), grid(schedule, n, t_end=0.02)
        one = torch.ones((1, 1), dtype=F)
        for t, s in itertools.pairwise(times.tolist()):
            pair = torch.tensor([t, s], dtype=F)
            moved = [last(ddim(data, x, pair, eta=1.0, generator=Rng(0))) for x in (one, 0 * one)]
            drift = float(moved[0] - moved[1])
            (alpha, sigma), (alpha_s, sigma_s) = schedule.alpha_sigma(t), schedule.alpha_sigma(s)
            added = 1 - (alpha / alpha_s) ** 2
            variance = drift**2 * variance + float(added * sigma_s**2 / sigma**2)
        errors.append(abs(variance - (float(schedule.alpha_bar(0.02)) * c2 + float(schedule.sigma(0.02)) ** 2)))
    assert all(abs(math.log2(a / b) - 1) < 0.1 for a, b in itertools.pairwise(errors)), errors


def test_gaussian_data_follow_the_exact_linear_recursion():
    data, times, c2 = gaussian(4.0), grid(Linear(), 12), 4.0
    x = torch.tensor([[1.3]], dtype=F)
    want = 1.3
    for state in itertools.islice(ddim(data, x, times), 1, None):
        t = float(times[state.calls - 1])
        alpha, sigma = (float(s) for s in Linear().alpha_sigma(t))
        alpha_s, sigma_s = (float(s) for s in Linear().alpha_sigma(state.t)) if state.t else (1.0, 0.0)
        v = alpha**2 * c2 + sigma**2
        want *= (alpha_s * alpha * c2 + sigma_s * sigma) / v
        assert abs(float(state.x) - want) < 1e-12


@pytest.mark.parametrize("name", ["ddim", "dpmpp_2m", "dpmpp_2s", "edm_heun"])
def test_exponential_solvers_are_exact_in_one_step_on_a_point(name):
    point = gaussian(0.0, mean=0.7)
    x0, eps = torch.full((4, 1), 0.7, dtype=F), noise(4, 1)
    x = add_noise(Linear(), x0, 0.9, eps)
    got = last(SOLVERS[name](point, x, torch.tensor([0.9, 0.2], dtype=F)))
    assert far(got, add_noise(Linear(), x0, 0.2, eps)) < 1e-12


@pytest.mark.parametrize("name", [*SOLVERS, "ddpm"])
def test_the_last_step_to_zero_is_the_guess(name):
    sampler = getattr(samplers, name)
    options = {"generator": Rng(0)} if name == "ddpm" else {}
    times, data = torch.tensor([0.8, 0.4, 0.0], dtype=F), mixture()
    *_, before, end = sampler(data, noise(6), times, **options)
    assert far(end.x, data(before.x, 0.4)) < 1e-12 and far(end.x0, end.x) < 1e-12


def test_inversion_goes_there_and_back():
    data, down = mixture(), grid(Linear(), 200, spacing="lam", t_end=END)
    x, _ = data.sample(30, generator=Rng(4), t=END)
    back = last(ddim(data, last(ddim(data, x, down.flip(0))), down))
    assert float((back - x).norm(dim=1).median()) < 0.04
    coarse = grid(Linear(), 100, spacing="lam", t_end=END)
    worse = last(ddim(data, last(ddim(data, x, coarse.flip(0))), coarse))
    assert float((back - x).norm(dim=1).median()) < 0.6 * float((worse - x).norm(dim=1).median())


class Counts(Denoiser):
    """Counts its calls and remembers the times and labels that it is asked about."""

    def __init__(self, schedule):
        self.schedule, self.times, self.labels = schedule, [], []

    def __call__(self, x, t, y=None):
        assert x.dtype == F
        self.times.append(float(t))
        self.labels.append(y)
        return 0.5 * x


@pytest.mark.parametrize(
    ("name", "calls"),
    [("ddim", 6), ("ddpm", 6), ("euler", 6), ("heun", 11), ("edm_heun", 11), ("dpmpp_2m", 6), ("dpmpp_2s", 11)],
)
def test_states(name, calls):
    counts, y = Counts(Cosine()), torch.arange(3)
    times = grid(Cosine(), 6)
    options = {"generator": Rng(0)} if name == "ddpm" else {}
    states = list(getattr(samplers, name)(counts, noise(3).float(), times, y=y, **options))
    assert [state.t for state in states] == times.tolist()
    assert states[0].x0 is None and states[0].calls == 0 and far(states[0].x, noise(3).float()) == 0
    assert all(state.x.dtype == F and state.x.shape == (3, 2) for state in states)
    assert all(state.x0.dtype == F and state.x0.shape == (3, 2) for state in states[1:])
    assert states[-1].calls == len(counts.times) == calls
    assert all(b.calls > a.calls for a, b in itertools.pairwise(states))
    assert all(label is y for label in counts.labels)
    assert counts.times[0] == 1.0 and min(counts.times) == (times[-2] if name != "dpmpp_2s" else min(counts.times)) > 0


def test_the_middle_of_2s_lies_in_the_middle_of_lam():
    counts = Counts(Cosine())
    last(dpmpp_2s(counts, noise(3), torch.tensor([0.8, 0.3], dtype=F)))
    lam = Cosine().lam
    assert abs(float(lam(counts.times[1]) - (lam(0.8) + lam(0.3)) / 2)) < 1e-9


def test_grids():
    assert grid(Linear(), 4).tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]
    lam = Linear().lam(grid(Linear(), 10, spacing="lam", t_end=END))
    assert far(lam.diff(), lam.diff().mean().expand(10)) < 1e-9
    sigma = EDM().sigma(grid(EDM(), 10, spacing="edm", t_end=END))
    assert far(sigma ** (1 / 7), torch.linspace(float(sigma[0]) ** (1 / 7), float(sigma[-1]) ** (1 / 7), 11)) < 1e-6
    for spacing in ("lam", "edm"):
        to_data = grid(Cosine(), 5, spacing=spacing)
        assert len(to_data) == 6 and to_data[0] == 1 and to_data[-1] == 0 and to_data[-2] == END
        assert grid(Cosine(), 1, spacing=spacing).tolist() == [1.0, 0.0]
        assert (to_data.diff() < 0).all()
        part = grid(Cosine(), 5, spacing=spacing, t_start=0.7, t_end=0.2)
        assert part[0] == 0.7 and part[-1] == 0.2 and len(part) == 6


def test_sample_batches_and_scales():
    data, x, times = mixture(), noise(7), grid(Linear(), 8)
    got = sample(ddim, data, x, times, batch=3)
    assert got.shape == (7, 2) and got.dtype == torch.float32
    assert far(got, last(ddim(data, float(Linear().sigma(1.0)) * x, times))) < 1e-6
    y = torch.tensor([0, 1, 2, 3, 0, 1, 2])
    assert far(sample(ddim, data, x, times, y=y, batch=2), sample(ddim, data, x, times, y=y)) < 1e-6
    wide = sample(edm_heun, mixture(EDM()), x, grid(EDM(), 20, spacing="edm"))
    assert float(wide.abs().max()) < 4  # noise of 80, not of 1, was the start


def test_samples_have_the_right_shares():
    data = mixture()
    x = sample(dpmpp_2m, data, noise(4000, seed=9), grid(Linear(), 30, spacing="lam"), batch=4000).double()
    share = data.posterior(x, END).mean(0)
    assert far(share, torch.tensor([0.3, 0.45, 0.25], dtype=F)) < 0.03


def test_a_sampler_leaves_its_start_alone_and_ignores_the_global_state():
    x = noise(5)
    kept, times = x.clone(), grid(Linear(), 5)
    torch.manual_seed(0)
    first = last(ddpm(mixture(), x, times, generator=Rng(1)))
    torch.manual_seed(1)
    assert torch.equal(first, last(ddpm(mixture(), x, times, generator=Rng(1)))) and torch.equal(x, kept)


OK = torch.tensor([1.0, 0.5, 0.0], dtype=F)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: last(ddim(mixture(), noise(3) * float("nan"), OK)), "x"),
        (lambda: last(ddim(mixture(), noise(3).long(), OK)), "x"),
        (lambda: last(ddim(mixture(), torch.tensor(1.0), OK)), "x"),
        (lambda: last(ddim(mixture(), noise(3, 3), OK)), "x"),
        (lambda: last(euler(mixture(), noise(3), OK.flip(0))), "times"),
        (lambda: last(ddim(mixture(), noise(3), OK.flip(0))), "times"),
        (lambda: last(ddim(mixture(), noise(3), OK[1:].flip(0), eta=1.0, generator=Rng(0))), "times"),
        (lambda: last(heun(mixture(), noise(3), OK[:1])), "times"),
        (lambda: last(heun(mixture(), noise(3), [1.0, 0.0])), "times"),
        (lambda: last(heun(mixture(), noise(3), OK * 1.1)), "times"),
        (lambda: last(dpmpp_2m(mixture(), noise(3), OK - 0.1)), "times"),
        (lambda: last(dpmpp_2s(mixture(), noise(3), OK * float("nan"))), "times"),
        (lambda: last(edm_heun(mixture(), noise(3), OK[[0, 0, 2]])), "times"),
        (lambda: last(edm_heun(lambda x, t, y: x, noise(3), OK)), "denoiser"),
        (lambda: last(ddim(mixture(), noise(3), OK, eta=1.0)), "generator"),
        (lambda: last(ddpm(mixture(), noise(3), OK, generator=None)), "generator"),
        (lambda: last(ddim(mixture(), noise(3), OK, eta=-1)), "eta"),
        (lambda: last(ddim(mixture(), noise(3), OK, eta=1.5, generator=Rng(0))), "eta"),
        (lambda: last(ddim(mixture(), noise(3), OK, eta="1")), "eta"),
        (lambda: last(ddpm(mixture(), noise(3), OK, generator=Rng(0), variance="fixed")), "variance"),
        (lambda: last(ddim(mixture(), noise(3), OK, y=torch.tensor([0, 1, 4]))), "y"),
        (lambda: last(ddim(mixture(), noise(3), OK, y=torch.tensor([0, 1]))), "y"),
        (lambda: grid(Linear(), 0), "steps"),
        (lambda: grid(Linear(), 2.0), "steps"),
        (lambda: grid(Linear(), 5, spacing="uniform"), "spacing"),
        (lambda: grid(Linear(), 5, t_start=0), "t_start"),
        (lambda: grid(Linear(), 5, t_start=1.5), "t_start"),
        (lambda: grid(Linear(), 5, t_start=0.5, t_end=0.6), "t_end"),
        (lambda: grid(Linear(), 5, t_start=0.5, t_end=0.5), "t_end"),
        (lambda: grid(Linear(), 5, t_end=float("nan")), "t_end"),
        (lambda: sample(ddim, mixture(), noise(3), OK, batch=0), "batch"),
        (lambda: sample(ddim, mixture(), noise(3)[:0], OK), "noise, y"),
        (lambda: sample(ddim, mixture(), noise(3), OK, y=torch.arange(4)), "noise, y"),
        (lambda: sample(ddim, mixture(), noise(3).long(), OK), "noise"),
        (lambda: sample(ddim, mixture(), noise(3), [1.0, 0.0]), "times"),
    ],
)
def test_bad_input_is_named(call, argument):
    with pytest.raises(ValueError, match=rf"^{argument}: expected"):
        call()
