"""Schedules, conversions and exact denoisers on drawn input: shapes, dtypes, ranges, round trips, named errors."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from denoising import schedules
from denoising.denoisers import PREDICTIONS, NetworkDenoiser, add_noise, from_x0, to_x0
from denoising.exact import GaussianMixture
from denoising.rng import Rng
from denoising.schedules import EDM, Cosine, Linear, Sigmoid, Table

few = settings(max_examples=25, deadline=None, derandomize=True, database=None)

NUMBER = st.floats(0.01, 0.99)
SCHEDULES = st.one_of(
    st.builds(Cosine, offset=st.floats(0, 0.1), floor=st.floats(1e-6, 0.1)),
    st.builds(Linear, beta_min=st.floats(0.01, 1), beta_max=st.floats(2, 40)),
    st.builds(Sigmoid, start=st.floats(-5, -1), end=st.floats(0, 5), floor=st.floats(1e-6, 0.1)),
    st.builds(EDM, sigma_min=st.floats(1e-3, 0.1), sigma_max=st.floats(1, 100), rho=st.floats(1, 9)),
    st.lists(st.floats(1e-4, 0.5), min_size=1, max_size=12).map(lambda b: Table(torch.tensor(b, dtype=torch.float64))),
)
TIME = st.floats(1e-6, 1)
TIMES = st.lists(TIME, min_size=1, max_size=6, unique=True).map(lambda t: torch.tensor(sorted(t), dtype=torch.float64))
SHAPE = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)
BAD_TIME = st.one_of(
    st.floats(max_value=0),
    st.floats(min_value=1, exclude_min=True),
    st.just(float("nan")),
    st.none(),
    st.text(max_size=3),
)


def draw(shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=Rng(seed), dtype=torch.float64).to(dtype)


@few
@given(SCHEDULES, TIMES)
def test_a_schedule_is_finite_monotone_and_float64(schedule, t):
    alpha, sigma = schedule.alpha_sigma(t)
    assert alpha.shape == sigma.shape == t.shape and alpha.dtype == sigma.dtype == torch.float64
    assert ((alpha > 0) & (alpha <= 1) & (sigma > 0)).all()
    assert (schedule.lam(t).diff() <= 0).all() and torch.isfinite(schedule.lam(t)).all()
    if not isinstance(schedule, EDM):
        assert (alpha**2 + sigma**2 - 1).abs().max() < 1e-12
    for rate, sign in zip(schedule.rates(t), (-1, 1), strict=True):
        assert torch.isfinite(rate).all() and (sign * rate >= 0).all() and not rate.requires_grad
    lam = schedule.lam(t)
    assert (schedule.lam(schedule.t_of_lam(lam).clamp(min=1e-300)) - lam).abs().max() < 1e-3
    assert torch.equal(schedule.alpha(float(t[0])), alpha[0])


@few
@given(SCHEDULES, st.integers(1, 40))
def test_a_table_has_betas_in_the_unit_interval(schedule, T):
    if isinstance(schedule, EDM):
        with pytest.raises(ValueError, match=r"^EDM: expected"):
            schedule.betas(T)
        return
    betas = schedule.betas(T)
    assert betas.shape == (T,) and ((betas > 0) & (betas < 1)).all()
    assert (Table(betas).betas(T) - betas).abs().max() < 1e-9


@few
@given(SCHEDULES, BAD_TIME)
def test_bad_times_are_named(schedule, t):
    for call in (schedule.alpha_sigma, schedule.lam, schedule.rates):
        with pytest.raises(ValueError, match=r"^t: expected"):
            call(t)


@few
@given(st.one_of(st.integers(max_value=0), st.floats(), st.booleans(), st.none(), st.text(max_size=3)))
def test_bad_table_lengths_are_named(T):
    for call in (schedules.rows, schedules.linear_betas, schedules.cosine_betas, Linear().betas):
        with pytest.raises(ValueError, match=r"^T: expected"):
            call(T)


@few
@given(
    SHAPE,
    st.sampled_from([torch.float32, torch.float64]),
    st.sampled_from(PREDICTIONS),
    st.sampled_from([Cosine(), EDM(0.1, 10)]),
)
def test_predictions_round_trip(shape, dtype, kind, schedule):
    x, x0 = draw(shape, 1, dtype), draw(shape, 2, dtype)
    t = torch.linspace(0.2, 1, shape[0], dtype=torch.float64)
    alpha, sigma = (s.to(dtype).view(-1, *[1] * (len(shape) - 1)) for s in schedule.alpha_sigma(t))
    value = from_x0(kind, x0, x, alpha, sigma)
    assert value.shape == shape and value.dtype == dtype
    assert torch.allclose(to_x0(kind, value, x, alpha, sigma), x0, atol=2e-2 if dtype == torch.float32 else 1e-9)
    noisy = add_noise(schedule, x0, t, x)
    assert noisy.shape == shape and noisy.dtype == dtype and torch.equal(noisy, alpha * x0 + sigma * x)


@few
@given(SHAPE, st.sampled_from([torch.float32, torch.float64]), TIME, st.booleans())
def test_a_wrapped_network_keeps_shape_and_dtype(shape, dtype, t, labelled):
    denoiser = NetworkDenoiser(lambda x, timestep, y: 0.5 * x, Cosine(), num_classes=4 if labelled else 0)
    x = draw(shape, 0, dtype)
    y = torch.arange(shape[0]) % 5 if labelled else None
    for call in (denoiser, denoiser.eps, denoiser.v, denoiser.score):
        got = call(x, max(t, 1e-3), y)
        assert got.shape == shape and got.dtype == dtype and torch.isfinite(got).all()


@st.composite
def mixtures(draw_from):
    k, d = draw_from(st.integers(1, 3)), draw_from(st.integers(1, 3))
    roots = draw((k, d, d), draw_from(st.integers(0, 99)))
    weights = torch.tensor(draw_from(st.lists(NUMBER, min_size=k, max_size=k)), dtype=torch.float64)
    return GaussianMixture(
        draw((k, d), draw_from(st.integers(0, 99))),
        roots @ roots.mT,
        weights / weights.sum(),
        schedule=draw_from(SCHEDULES),
    )


@few
@given(mixtures(), st.integers(1, 5), st.floats(0.05, 1))
def test_exact_denoisers_are_consistent(mixture, n, t):
    k, d = mixture.means.shape
    x, y = mixture.sample(n, generator=Rng(0), t=t)
    assert x.shape == (n, d) and y.shape == (n,) and ((y >= 0) & (y < k)).all()
    for label in (None, y, torch.full((n,), k)):
        guess = mixture(x, t, label)
        assert guess.shape == (n, d) and torch.isfinite(guess).all() and torch.isfinite(mixture.logp(x, t, label)).all()
    share = mixture.posterior(x, t)
    assert (share.sum(1) - 1).abs().max() < 1e-12 and (share >= 0).all()
    alpha, sigma = mixture.schedule.alpha_sigma(t)
    assert torch.allclose(alpha * mixture(x, t) + sigma * mixture.eps(x, t), x, atol=1e-8)
    assert (torch.linalg.eigvalsh(mixture.cov(x, t)) > -1e-9).all()
    # the guess for any class is the mean of the guesses for each
    each = torch.stack([mixture(x, t, torch.full((n,), c)) for c in range(k)], 1)
    assert torch.allclose(torch.einsum("nk,nkd->nd", share, each), mixture(x, t), atol=1e-9)


@few
@given(mixtures(), st.sampled_from(["nan", "int", "wide", "t", "label", "labels"]))
def test_bad_input_of_exact_denoisers_is_named(mixture, fault):
    k, d = mixture.means.shape
    x, t, y, argument = draw((4, d)), 0.5, torch.zeros(4, dtype=torch.int64), "x"
    if fault == "nan":
        x[0, 0] = float("nan")
    elif fault == "int":
        x = x.long()
    elif fault == "wide":
        x = draw((4, d + 1))
    elif fault == "t":
        t, argument = 1.5, "t"
    elif fault == "label":
        y, argument = y + k + 1, "y"
    else:
        y, argument = y[:3], "y"
    for call in (mixture, mixture.logp, mixture.score):
        with pytest.raises(ValueError, match=rf"^{argument}: expected"):
            call(x, t, y)
