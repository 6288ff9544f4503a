"""Adaptive guidance and the exact guides on drawn grids, batches and thresholds."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from denoising import samplers
from denoising.denoisers import Counted, Denoiser
from denoising.exact import GaussianMixture
from denoising.guidance import Adaptive, ClassifierFree, Guided, label_guide, strength_of_w, within
from denoising.rng import Rng
from denoising.schedules import EDM, Cosine, Linear

few = settings(max_examples=20, deadline=None, derandomize=True, database=None)

F = torch.float64
SCHEDULE = st.sampled_from([Cosine(), Linear(), EDM()])
STRENGTH = st.floats(-2, 6)
TIME = st.floats(0.02, 1)
THRESHOLD = st.floats(-1, 1)
SAMPLER = st.sampled_from(["ddim", "heun", "edm_heun", "dpmpp_2m", "dpmpp_2s", "euler"])
GRID = st.tuples(st.integers(1, 6), st.sampled_from(["t", "lam", "edm"]), st.floats(0.3, 1))
MASS = st.lists(st.floats(0.1, 1), min_size=4, max_size=4)


def mixture(schedule, mass=(0.1, 0.4, 0.2, 0.3), d=3):
    """Four components in two classes; of pictures (1, d) if asked to be."""
    weights, rng = torch.tensor(mass, dtype=F), Rng(1)
    means, roots = torch.randn((4, d), generator=rng, dtype=F), 0.4 * torch.randn((4, d, d), generator=rng, dtype=F)
    covs, classes = roots @ roots.mT + 0.05 * torch.eye(d, dtype=F), torch.tensor([1, 0, 1, 0])
    return GaussianMixture(means, covs, weights / weights.sum(), classes=classes, schedule=schedule)


def start(n, schedule=None, t=1.0, d=3):
    noise = torch.randn((n, d), generator=Rng(n), dtype=F)
    return noise * (schedule.sigma(t) if schedule else 1), torch.arange(n) % 2


def far(a, b):
    return float((a - b).abs().max())


@few
@given(SCHEDULE, STRENGTH, TIME, MASS)
def test_an_exact_classifier_is_classifier_free_guidance(schedule, s, t, mass):
    data, (x, y) = mixture(schedule, mass), start(5, schedule, t)
    free = ClassifierFree(data, s)(x, t, y)
    assert far(Guided(data, label_guide(data.log_posterior, 2), s)(x, t, y), free) < 1e-10
    w = strength_of_w(s) - 1
    assert far(free, (1 - w) * data(x, t) + w * data(x, t, y)) < 1e-11
    # guides can be stacked, the label handed on: strengths add up
    guide = label_guide(data.log_posterior, 2)
    twice = Guided(Guided(data, guide, s), guide, 1.5, conditional=True)
    assert far(twice(x, t, y), ClassifierFree(data, s + 1.5)(x, t, y)) < 1e-10


@few
@given(st.floats(0, 1), st.floats(0, 1), STRENGTH, TIME)
def test_an_interval_is_closed_and_one_outside(a, b, s, t):
    lo, hi = sorted((a, b))
    inside = lo - 1e-9 <= t <= hi + 1e-9  # up to rounding
    assert within(s, lo, hi)(t) == (s if inside else 1) and within(s, lo, hi)(lo) == within(s, lo, hi)(hi) == s
    if a != b:
        with pytest.raises(ValueError, match=r"^hi: expected"):
            within(s, hi, lo)


@few
@given(SAMPLER, SCHEDULE, GRID, THRESHOLD, st.sampled_from(["x0", "eps"]), st.integers(1, 4))
def test_each_item_decides_for_itself_and_is_counted(name, schedule, wish, threshold, space, batch):
    steps, spacing, t_start = wish
    times, sampler = samplers.grid(schedule, steps, spacing=spacing, t_start=t_start), getattr(samplers, name)
    counted = Counted(mixture(schedule))
    adaptive = Adaptive(counted, 2.0, threshold=threshold, space=space)
    x, y = start(4, schedule, t_start)
    whole, items = samplers.last(sampler(adaptive, x, times, y=y)), adaptive.items
    assert int(items.sum()) == counted.items
    for i in range(4):  # a batch of one gives the same answer for the same cost, and so does any other batch
        rest = samplers.last(sampler(adaptive, x[i : i + 1], times, y=y[i : i + 1]))
        assert far(rest, whole[i : i + 1]) < 1e-9 and adaptive.items.tolist() == items[i : i + 1].tolist()
    before = counted.items
    parts = samplers.sample(sampler, adaptive, x / schedule.sigma(t_start), times, y=y, batch=batch)
    assert far(parts, whole.float()) < 1e-4 and counted.items - before == int(items.sum())


@few
@given(SAMPLER, SCHEDULE, st.lists(THRESHOLD, min_size=2, max_size=4), st.integers(1, 6))
def test_the_cost_does_not_fall_with_the_threshold(name, schedule, thresholds, steps):
    times, (x, y), cost = samplers.grid(schedule, steps, spacing="edm"), start(4, schedule), []
    for threshold in [-1, *sorted(thresholds), 1.01]:
        adaptive = Adaptive(counted := Counted(mixture(schedule)), 1.01, threshold=threshold)
        samplers.last(getattr(samplers, name)(adaptive, x, times, y=y))
        cost.append(counted.items)
        n = counted.calls
    assert cost == sorted(cost) and cost[0] == 4 * (n // 2 + 1) and cost[-1] == 4 * n


@few
@given(SCHEDULE, st.floats(0.3, 1) | st.just(1.0), st.sampled_from([1, 2, 18, 40]), st.floats(0, 50))
def test_churn_is_no_new_trajectory_and_a_second_run_is(schedule, t_start, steps, churn):
    times = samplers.grid(schedule, steps, spacing="edm", t_start=t_start)[:20]
    adaptive = Adaptive(counted := Counted(mixture(schedule)), 2.0, threshold=-1)
    x, y = start(3, schedule, t_start)
    calls = 2 * (len(times) - 1) - int(times[-1] == 0)
    for _ in range(2):
        before = counted.calls
        samplers.last(samplers.edm_stochastic(adaptive, x, times, y=y, churn=churn, generator=Rng(0)))
        assert adaptive.items.tolist() == [calls + 1] * 3 and counted.calls - before == calls + 1


@few
@given(SCHEDULE, st.floats(0.3, 1), st.floats(0.3, 1), st.integers(2, 6))
def test_a_run_from_another_time_is_a_new_trajectory(schedule, first, second, steps):
    adaptive, (x, y) = Adaptive(mixture(schedule), 2.0, threshold=-1), start(3)
    for t_start in (first, second):
        samplers.last(samplers.ddim(adaptive, x, samplers.grid(schedule, steps, spacing="edm", t_start=t_start), y=y))
        assert adaptive.items.tolist() == [steps + 1] * 3


class Recorder(Denoiser):
    """Branches that agree from a time on that belongs to the item; it remembers who was asked for what."""

    def __init__(self, agree):
        self.agree, self.schedule, self.asked = agree, Cosine(), []

    def __call__(self, x, t, y=None):
        who = x[:, 0, 0, 0].long()  # an item wears its number in the corner
        self.asked.append((float(t), y is not None, who.tolist()))
        guess = torch.zeros_like(x)
        guess[..., 2, 2], guess[..., 3, 3] = 1.0, 0.5
        if y is not None:
            guess[..., 3, 3] = torch.where(float(t) <= self.agree[who], 0.5, -0.5)[:, None]
        guess[..., 0, 0], guess[..., 5, 5] = x[..., 0, 0], 9.0  # the corners are alike
        return guess


@few
@given(st.lists(st.floats(0, 1), min_size=3, max_size=5), st.integers(1, 8), st.sampled_from(["x0", "eps"]))
def test_rows_leave_the_batch_of_the_branch_without_a_label(agree, steps, space):
    n, times = len(agree), torch.linspace(1, 0, steps + 1, dtype=F)[:-1].tolist()
    recorder = Recorder(torch.tensor(agree, dtype=F))
    x = torch.zeros((n, 1, 6, 6), dtype=F)
    x[:, 0, 0, 0] = torch.arange(n)
    y, free = torch.zeros(n, dtype=torch.int64), ClassifierFree(recorder, 3.0)
    adaptive = Adaptive(recorder, 3.0, threshold=0.99, crop=1, space=space)
    on = list(range(n))
    for t in times:
        recorder.asked.clear()
        got = adaptive(x, t, y)
        expected = [(t, True, list(range(n)))] + ([(t, False, on)] if on else [])
        assert recorder.asked == expected
        assert torch.equal(got[on], free(x, t, y)[on])
        off = [i for i in range(n) if i not in on]
        assert torch.equal(got[off], recorder(x, t, y)[off])
        on = [i for i in on if t > agree[i]]  # those that agreed at this call leave from the next one on
    # without the crop the corners drown the difference
    adaptive = Adaptive(recorder, 3.0, threshold=0.95, crop=0)
    adaptive(x, 1.0, y)
    recorder.asked.clear()
    adaptive(x, 0.5, y)
    assert [labelled for _, labelled, _ in recorder.asked] == [True]
