"""Tables, posteriors and races on drawn shapes, orders and schedules."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from denoising import classify
from denoising.classify import draws, error_table, n_calls, posterior, prune, scores
from denoising.denoisers import Counted, Denoiser
from denoising.rng import Rng
from denoising.schedules import EDM, Cosine, Linear

few = settings(max_examples=25, deadline=None, derandomize=True, database=None)

SCHEDULE = st.sampled_from([Linear(), Cosine(), EDM()])
SHAPE = st.lists(st.integers(1, 3), min_size=2, max_size=4).map(tuple)
SEED = st.integers(0, 1000)
TABLE = st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 9), SEED)


def table(size):
    b, k, n, seed = size
    return torch.rand((b, k, n), generator=Rng(seed), dtype=torch.float64)


@st.composite
def races(draw):
    """A number of classes and of draws, and a schedule that is legal for them."""
    k, n = draw(st.integers(1, 7)), draw(st.integers(1, 9))
    length = draw(st.integers(1, min(k, n)))
    stages = sorted(draw(st.lists(st.integers(1, n), min_size=length, max_size=length, unique=True)))
    few_left = (
        st.lists(st.integers(2, k), min_size=length - 1, max_size=length - 1, unique=True) if k > 1 else st.just([])
    )
    return k, n, stages, [*sorted(draw(few_left), reverse=True), 1]


class Pull(Denoiser):
    """Class c expects every pixel to be c / 4."""

    def __init__(self, schedule):
        self.schedule = schedule

    def __call__(self, x, t, y=None):
        return 0.1 * x + (y / 4).view(-1, *[1] * (x.ndim - 1))


@few
@given(SCHEDULE, SHAPE, st.integers(1, 5), st.integers(1, 4), st.integers(1, 40), st.booleans(), SEED)
def test_tables_have_their_shape_whatever_the_batch(schedule, shape, n, k, batch, shared, seed):
    x = torch.randn(shape, generator=Rng(seed), dtype=torch.float64)
    some = draws(schedule, shape, n, generator=Rng(seed), shared=shared, log_snr=(-8, 8))
    assert len(some) == n and ((some.t > 0) & (some.t <= 1)).all()
    counted = Counted(Pull(schedule))
    full = error_table(counted, x, some, torch.arange(k), batch=batch)
    assert full.shape == (shape[0], k, n) and (full >= 0).all() and counted.items == full.numel()
    assert torch.allclose(full, error_table(Pull(schedule), x, some, torch.arange(k)))
    order = torch.randperm(k, generator=Rng(seed))
    assert torch.allclose(full[:, order], error_table(Pull(schedule), x, some, order, batch=batch))


@few
@given(TABLE, st.floats(0.1, 40), st.floats(-50, 50))
def test_posteriors_are_probabilities_that_ignore_what_classes_share(size, width, shift):
    one = table(size)
    p = posterior(one, width=width)
    assert p.shape == one.shape[:2] and torch.allclose(p.sum(1), torch.ones(len(p), dtype=torch.float64))
    assert torch.allclose(posterior(one + torch.rand((len(one), 1, one.shape[2]), generator=Rng(1)), width=width), p)
    prior = torch.linspace(-3, 0, one.shape[1], dtype=torch.float64)
    with_prior = posterior(one, width=width, log_prior=prior)
    assert torch.allclose(posterior(one, width=width, log_prior=prior + shift), with_prior)
    odds = scores(one, width=width, log_prior=prior) - scores(one, width=width)
    assert (odds - prior).abs().max() < 1e-9


@few
@given(races(), SEED)
def test_a_race_costs_its_formula_and_permutes_with_its_classes(race, seed):
    k, n, stages, keep = race
    one = table((5, k, n, seed))
    winner, calls = prune(one, stages, keep)
    assert calls == n_calls(k, stages, keep) <= k * stages[-1] and winner.shape == (5,)
    order = torch.randperm(k, generator=Rng(seed))
    assert torch.equal(order[prune(one[:, order], stages, keep)[0]], winner)
    assert torch.equal(prune(one, [n], [1])[0], one.mean(2).argmin(1))
    assert torch.equal(prune(one, stages[-1:], [1])[0], posterior(one[:, :, : stages[-1]]).argmax(1))


@few
@given(SCHEDULE, races(), SEED)
def test_the_real_race_is_the_replayed_one(schedule, race, seed):
    k, n, stages, keep = race
    x = torch.randn((4, 2), generator=Rng(seed), dtype=torch.float64)
    some = draws(schedule, x.shape, n, generator=Rng(seed), log_snr=(-8, 8))
    counted, labels = Counted(Pull(schedule)), torch.randperm(k, generator=Rng(seed))
    found = classify.classify(counted, x, some, labels, stages, keep, batch=7)
    full = error_table(Pull(schedule), x, some, labels)
    winner, calls = prune(full, stages, keep)
    assert torch.equal(found.prediction, labels[winner]) and counted.items == 4 * calls == 4 * found.calls
    made = ~found.table.isnan()
    assert torch.allclose(found.table[made], full[:, :, : stages[-1]][made]) and made.sum() == 4 * calls


@few
@given(st.integers(1, 300), st.booleans())
def test_every_prefix_of_the_draws_is_spread(n, in_t):
    some = draws(Linear(), (1, 1), n, generator=Rng(0), weighting="t" if in_t else "snr", T=n)
    where = some.t if in_t else (2 * Linear().lam(some.t[0]) + 9) / 20
    assert len(where.unique()) == n
    prefix = 1
    while prefix <= n:
        here = where[:prefix].sort().values
        gaps = torch.cat([here.diff(), here[:1] + 1 - here[-1:]])  # around the circle
        assert gaps.max() < 1 / prefix + 2.001 / n, (n, prefix)
        prefix *= 2


@few
@given(st.integers(1, 5), st.lists(st.integers(-1, 6), max_size=3), st.lists(st.integers(-1, 6), max_size=3))
def test_a_bad_schedule_is_a_named_error(k, stages, keep):
    rising = bool(stages) and stages[0] > 0 and all(a < b for a, b in itertools.pairwise(stages))
    falling = bool(keep) and keep[-1] == 1 and all(a > b for a, b in itertools.pairwise(keep))
    if rising and falling and len(stages) == len(keep) and keep[0] <= k:
        assert n_calls(k, stages, keep) >= k * stages[0]
    else:
        with pytest.raises(ValueError, match=r"^(stages|keep)"):
            n_calls(k, stages, keep)


@few
@given(st.sampled_from([math.nan, math.inf, -1.0, 0.0]), TABLE)
def test_a_bad_width_or_table_is_a_named_error(bad, size):
    with pytest.raises(ValueError, match="width: expected"):
        scores(table(size), width=bad)
    if not math.isfinite(bad):
        with pytest.raises(ValueError, match="table: expected finite"):
            scores(table(size) * bad + bad)
