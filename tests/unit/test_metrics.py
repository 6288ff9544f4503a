"""Distances against closed forms and brute force, and how they behave with n."""

import itertools
import math

import pytest
import torch

from denoising import metrics
from denoising.rng import Rng

F = torch.float64


def draw(n, d=3, *, shift=0.0, scale=1.0, seed=0):
    return shift + scale * torch.randn((n, d), generator=Rng(seed), dtype=F)


def test_frechet_distance_of_scalar_gaussians():
    def gaussian(mean, var):
        return metrics.Statistics(torch.tensor([mean], dtype=F), torch.tensor([[var]], dtype=F), 100)

    for m, v in ((0.0, 1.0), (2.0, 4.0), (-1.0, 0.25), (0.5, 0.0)):
        want = m**2 + (math.sqrt(v) - 1) ** 2
        assert abs(metrics.frechet_gaussians(gaussian(m, v), gaussian(0.0, 1.0)) - want) < 1e-12


def test_frechet_distance_of_gaussians_with_shared_axes():
    axes = torch.linalg.qr(draw(4, 4)).Q
    a, b = torch.tensor([1.0, 4.0, 0.0, 9.0], dtype=F), torch.tensor([4.0, 1.0, 2.0, 0.0], dtype=F)
    x, y = (metrics.Statistics(draw(1, 4, seed=s)[0], (axes * v) @ axes.T, 9) for s, v in ((1, a), (2, b)))
    want = (x.mean - y.mean).square().sum() + (a.sqrt() - b.sqrt()).square().sum()
    assert abs(metrics.frechet_gaussians(x, y) - float(want)) < 1e-7  # two zero variances under the root
    assert abs(metrics.frechet_gaussians(x, y) - metrics.frechet_gaussians(y, x)) < 1e-7
    assert abs(metrics.frechet_gaussians(x, x)) < 1e-7


def test_statistics():
    x = draw(50).float()
    got = metrics.statistics(x)
    assert got.n == 50 and got.mean.dtype == got.cov.dtype == F
    apart = x.double() - x.double().mean(0)
    assert torch.allclose(got.mean, x.double().mean(0)) and torch.allclose(got.cov, apart.T @ apart / 49)
    assert metrics.statistics(x[:, :1]).cov.shape == (1, 1)
    assert metrics.frechet_distance(x, got) == metrics.frechet_distance(got, x) == metrics.frechet_distance(x, x)


def test_bias_falls_like_one_over_n():
    truth = metrics.Statistics(torch.zeros(3, dtype=F), torch.eye(3, dtype=F), 10**9)
    bias = [
        sum(metrics.frechet_distance(draw(n, seed=seed), truth) for seed in range(150)) / 150 for n in (100, 200, 400)
    ]
    assert all(abs(math.log2(a / b) - 1) < 0.2 for a, b in itertools.pairwise(bias)), bias


def test_the_basic_interval_takes_the_bias_off():
    truth = metrics.Statistics(torch.zeros(3, dtype=F), torch.eye(3, dtype=F), 10**9)
    x = draw(100)  # resamples of it lie further from the truth than it does, so the truth lies on the other side
    low, high = metrics.bootstrap_interval(x, truth, generator=Rng(0))
    assert low < high and (low + high) / 2 < metrics.frechet_distance(x, truth)


def test_bootstrap_interval_covers_the_truth():
    truth = metrics.Statistics(torch.zeros(2, dtype=F), torch.eye(2, dtype=F), 10**9)
    hits, widths, n = 0, [], 300
    for seed in range(40):
        x = draw(n, 2, shift=0.5, seed=seed)
        low, high = metrics.bootstrap_interval(x, truth, generator=Rng(seed), resamples=60)
        hits += low < 0.5 < high  # the squared shift of two coordinates
        widths.append(high - low)
    assert hits >= 32 and 0.1 < sum(widths) / 40 < 0.5
    narrow = metrics.bootstrap_interval(x, truth, generator=Rng(0), resamples=60, level=0.5)
    wide = metrics.bootstrap_interval(x, truth, generator=Rng(0), resamples=60, level=0.99)
    assert wide[0] < narrow[0] < metrics.frechet_distance(x, truth) < wide[1] and narrow[1] < wide[1]


def test_the_distance_continued_to_infinity_has_no_bias_and_more_spread():
    truth = metrics.Statistics(torch.zeros(4, dtype=F), torch.eye(4, dtype=F), 10**9)
    sets = [draw(200, 4, shift=0.25, seed=seed) for seed in range(150)]  # the true distance is 4 * 0.25^2
    plain = torch.tensor([metrics.frechet_distance(x, truth) for x in sets])
    error = float(plain.std()) / math.sqrt(150)
    assert float(plain.mean()) - 0.25 > 4 * error
    for parts in (2, 4):
        free = torch.tensor([metrics.frechet_infinity(x, truth, generator=Rng(1), parts=parts) for x in sets])
        assert abs(float(free.mean()) - 0.25) < 4 * error and free.std() > plain.std()


def test_two_parts_are_one_line_through_two_points():
    x, truth = draw(40, 2), metrics.statistics(draw(99, 2, seed=1))
    halves = x[torch.randperm(40, generator=Rng(3))].chunk(2)
    want = 2 * metrics.frechet_distance(x, truth) - sum(metrics.frechet_distance(half, truth) for half in halves) / 2
    assert abs(metrics.frechet_infinity(x, truth, generator=Rng(3), parts=2) - want) < 1e-12
    assert metrics.frechet_infinity(x, truth, generator=Rng(3)) == metrics.frechet_infinity(x, truth, generator=Rng(3))


def test_the_interval_of_a_difference_uses_the_pairs():
    truth = metrics.Statistics(torch.zeros(3, dtype=F), torch.eye(3, dtype=F), 10**9)
    hits, ratios, n = 0, [], 200
    for seed in range(30):
        a = draw(n, shift=0.5, seed=seed)
        b = a - 0.1  # so the true difference is 3 * (0.5^2 - 0.4^2)
        low, high = metrics.bootstrap_difference(a, b, truth, generator=Rng(seed), resamples=60)
        hits += low < 3 * 0.09 < high
        apart = metrics.bootstrap_difference(a, b.flip(0), truth, generator=Rng(seed), resamples=60)
        ratios.append((high - low) / (apart[1] - apart[0]))
    assert hits >= 24 and sum(ratios) / 30 < 0.5
    assert metrics.bootstrap_difference(a, a, truth, generator=Rng(0)) == (0, 0)
    low, high = metrics.bootstrap_difference(b, a, truth, generator=Rng(0))
    assert low < high < 0


def test_kid_in_blocks():
    a, b = draw(400), draw(400, shift=0.5, seed=1)
    values = torch.tensor([metrics.kid(a[i : i + 40], b[i : i + 40]) for i in range(0, 400, 40)], dtype=F)
    mean, error = metrics.kid_blocks(a, b)
    assert mean == pytest.approx(float(values.mean())) and error == pytest.approx(float(values.std()) / math.sqrt(10))
    assert abs(mean - metrics.kid(a, b)) < 4 * error
    assert metrics.kid_blocks(a, b[:200], blocks=5)[1] > 0  # blocks of unequal size


def test_kid_has_no_bias_and_sees_a_shift():
    same = torch.tensor([metrics.kid(draw(60, seed=2 * i), draw(60, seed=2 * i + 1)) for i in range(60)])
    assert abs(float(same.mean())) < 4 * float(same.std()) / math.sqrt(60)
    assert metrics.kid(draw(200), draw(200, shift=0.5, seed=1)) > 5 * float(same.std())
    assert metrics.kid(draw(50), draw(70, seed=1)) == pytest.approx(metrics.kid(draw(70, seed=1), draw(50)))


def brute(real, fake, k):
    """Precision, recall and coverage in plain loops."""

    def far(a, b):
        return math.sqrt(sum((p - q) ** 2 for p, q in zip(a, b, strict=True)))

    def reach(points):
        return [sorted(far(p, q) for j, q in enumerate(points) if j != i)[k - 1] for i, p in enumerate(points)]

    real, fake = real.tolist(), fake.tolist()
    reach_real, reach_fake = reach(real), reach(fake)
    precision = sum(any(far(f, r) <= reach_real[i] for i, r in enumerate(real)) for f in fake) / len(fake)
    recall = sum(any(far(f, r) <= reach_fake[j] for j, f in enumerate(fake)) for r in real) / len(real)
    covered = sum(any(far(f, r) <= reach_real[i] for f in fake) for i, r in enumerate(real)) / len(real)
    dense = sum(far(f, r) <= reach_real[i] for f in fake for i, r in enumerate(real)) / len(fake) / k
    return precision, recall, covered, dense


@pytest.mark.parametrize("k", [1, 3])
def test_precision_recall_and_coverage_by_brute_force(k):
    real, fake = draw(40, 2), draw(30, 2, shift=0.8, scale=0.6, seed=1)
    precision, recall, covered, dense = brute(real, fake, k)
    assert metrics.precision_recall(real, fake, k=k) == pytest.approx((precision, recall))
    assert metrics.coverage(real, fake, k=k) == pytest.approx(covered)
    assert metrics.density(real, fake, k=k) == pytest.approx(dense)
    assert 0 < precision != recall > 0


def test_narrow_fakes_are_precise_and_wide_fakes_recall():
    real = draw(300, 2)
    narrow, wide = draw(300, 2, scale=0.2, seed=1), draw(300, 2, scale=4, seed=1)
    assert metrics.precision_recall(real, narrow)[0] > 0.95 > 0.5 > metrics.precision_recall(real, narrow)[1]
    assert metrics.precision_recall(real, wide)[1] > 0.9 > 0.5 > metrics.precision_recall(real, wide)[0]
    assert metrics.coverage(real, real) == 1 and metrics.coverage(real, narrow) < 0.5
    assert metrics.precision_recall(real, real) == (1, 1)


def test_density_is_near_one_for_equals_and_above_it_in_a_crowd():
    real = draw(600, 2)
    assert abs(metrics.density(real, draw(600, 2, seed=1)) - 1) < 0.15
    assert metrics.density(real, draw(600, 2, scale=0.5, seed=1)) > 1.05
    assert metrics.density(real, draw(600, 2, scale=4, seed=1)) < 0.5


def test_neighbour_ratio_finds_copies():
    train, fresh = draw(300, 4).float(), draw(40, 4, seed=1).float()
    near = (fresh[:, None] - train).double().norm(dim=2).sort(1).values
    assert torch.allclose(metrics.neighbour_ratio(fresh, train, batch=7), near[:, 0] / near[:, 1], atol=1e-6)
    assert (metrics.neighbour_ratio(train[:50], train) == 0).all()
    assert metrics.neighbour_ratio(train[:50] + 0.01, train).median() < 1 / 3
    twice = torch.cat([train[:1], train[:1]])
    assert float(metrics.neighbour_ratio(train[:1], twice)[0]) == 0  # a copy of an item that is there twice


def test_w2_in_one_dimension_is_sorting():
    a, b = draw(50, 1), draw(50, 1, shift=1, scale=2, seed=1)
    want = (a.sort(0).values - b.sort(0).values).square().mean().sqrt()
    assert abs(metrics.w2(a, b) - float(want)) < 1e-12
    assert abs(metrics.sliced_w2(a, b, generator=Rng(0), directions=3) - float(want)) < 1e-12


def test_w2_of_a_shift_is_its_length():
    a, shift = draw(60, 3), torch.tensor([1.0, -2.0, 2.0], dtype=F)
    assert abs(metrics.w2(a, a + shift) - 3) < 1e-12
    assert metrics.w2(a, a[torch.randperm(60, generator=Rng(0))]) < 1e-12
    # the mean square of a projection of a vector of length 3 on random directions in 3 dimensions is 9 / 3
    assert abs(metrics.sliced_w2(a, a + shift, generator=Rng(0), directions=4000) - math.sqrt(3)) < 0.05
    assert metrics.sliced_w2(a, a, generator=Rng(0)) == 0


def test_w2_is_the_best_of_all_assignments():
    from itertools import permutations

    a, b = draw(5, 2), draw(5, 2, seed=1)
    best = min(float((a - b[list(p)]).square().sum(1).mean()) for p in permutations(range(5)))
    assert abs(metrics.w2(a, b) - math.sqrt(best)) < 1e-12


def test_psnr():
    a = torch.zeros(2, 1, 4, 4)
    b = a + torch.tensor([0.2, 0.02]).view(2, 1, 1, 1)
    assert torch.allclose(metrics.psnr(a, b), torch.tensor([20.0, 40.0], dtype=F), atol=1e-4)
    assert torch.allclose(metrics.psnr(a, b, span=1.0), torch.tensor([13.9794, 33.9794], dtype=F), atol=1e-4)


X = draw(20)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: metrics.statistics(X[0]), "features"),
        (lambda: metrics.statistics(X[:1]), "features"),
        (lambda: metrics.statistics(X * float("nan")), "features"),
        (lambda: metrics.statistics(X.numpy()), "features"),
        (lambda: metrics.frechet_distance(X, X[:, :2]), "b"),
        (lambda: metrics.frechet_distance(X.long(), X), "features"),
        (lambda: metrics.bootstrap_interval(X, metrics.statistics(X), generator=Rng(0), resamples=1), "resamples"),
        (lambda: metrics.bootstrap_interval(X, metrics.statistics(X), generator=Rng(0), level=0), "level"),
        (lambda: metrics.bootstrap_interval(X.numpy(), metrics.statistics(X), generator=Rng(0)), "features"),
        (lambda: metrics.bootstrap_difference(X, X[:5], metrics.statistics(X), generator=Rng(0)), "a, b"),
        (lambda: metrics.bootstrap_difference(X, X * math.inf, metrics.statistics(X), generator=Rng(0)), "b"),
        (lambda: metrics.frechet_infinity(X, metrics.statistics(X), generator=Rng(0), parts=1), "parts"),
        (lambda: metrics.frechet_infinity(X[:12], metrics.statistics(X), generator=Rng(0)), "features"),
        (lambda: metrics.kid_blocks(X, X, blocks=1), "blocks"),
        (lambda: metrics.kid_blocks(X, X[:9], blocks=5), "a, b"),
        (lambda: metrics.density(X, X[:, :2]), "real, fake"),
        (lambda: metrics.density(X, X, k=0), "k"),
        (lambda: metrics.neighbour_ratio(X, X[:, :2]), "x, train"),
        (lambda: metrics.neighbour_ratio(X, X[:1]), "x, train"),
        (lambda: metrics.neighbour_ratio(X[0], X), "x"),
        (lambda: metrics.neighbour_ratio(X, X, batch=0), "batch"),
        (lambda: metrics.kid(X, X[:, :2]), "a, b"),
        (lambda: metrics.kid(X[:1], X), "a, b"),
        (lambda: metrics.kid(X, X.long()), "b"),
        (lambda: metrics.precision_recall(X, X[:5]), "real, fake"),
        (lambda: metrics.precision_recall(X, X, k=0), "k"),
        (lambda: metrics.coverage(X, X[:, :2]), "real, fake"),
        (lambda: metrics.coverage(X * float("inf"), X), "real"),
        (lambda: metrics.w2(X, X[:5]), "a, b"),
        (lambda: metrics.w2(X[:0], X[:0]), "a, b"),
        (lambda: metrics.w2(X[0], X[0]), "a"),
        (lambda: metrics.sliced_w2(X, X[:5], generator=Rng(0)), "a, b"),
        (lambda: metrics.sliced_w2(X, X, generator=Rng(0), directions=0), "directions"),
        (lambda: metrics.psnr(X, X[:5]), "a, b"),
        (lambda: metrics.psnr(X, 0.0), "b"),
        (lambda: metrics.psnr(X, X, span=0), "span"),
    ],
)
def test_bad_input_is_named(call, argument):
    with pytest.raises(ValueError, match=rf"^{argument}: expected"):
        call()
