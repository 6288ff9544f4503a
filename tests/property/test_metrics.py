"""Distances on drawn sets: ranges, symmetry, invariances, named errors."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from denoising import metrics
from denoising.rng import Rng

few = settings(max_examples=25, deadline=None, derandomize=True, database=None)


@st.composite
def pairs(draw_from, same_n=False):
    n, d = draw_from(st.integers(6, 20)), draw_from(st.integers(1, 4))
    m = n if same_n else draw_from(st.integers(6, 20))
    dtype = draw_from(st.sampled_from([torch.float32, torch.float64]))
    a, b = (torch.randn((k, d), generator=Rng(draw_from(st.integers(0, 999))), dtype=torch.float64) for k in (n, m))
    return a.to(dtype), (draw_from(st.floats(0.1, 3)) * b + draw_from(st.floats(-2, 2))).to(dtype)


def turned(x):
    return x @ torch.linalg.qr(torch.randn((x.shape[1], x.shape[1]), generator=Rng(5), dtype=torch.float64)).Q


@few
@given(pairs())
def test_frechet_distance(pair):
    a, b = (x.double() for x in pair)
    got = metrics.frechet_distance(*pair)
    assert isinstance(got, float) and got > -1e-9
    assert got == pytest.approx(metrics.frechet_distance(b, a), abs=1e-6)
    assert metrics.frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert metrics.frechet_distance(a + 3, b + 3) == pytest.approx(metrics.frechet_distance(a, b), abs=1e-6)
    assert metrics.frechet_distance(turned(a), turned(b)) == pytest.approx(metrics.frechet_distance(a, b), abs=1e-5)
    assert metrics.frechet_distance(2 * a, 2 * b) == pytest.approx(4 * metrics.frechet_distance(a, b), abs=1e-5)


@few
@given(pairs(), st.integers(1, 5))
def test_shares(pair, k):
    precision, recall = metrics.precision_recall(*pair, k=k)
    covered = metrics.coverage(*pair, k=k)
    assert all(isinstance(one, float) and 0 <= one <= 1 for one in (precision, recall, covered))
    assert metrics.precision_recall(*pair[::-1], k=k) == (recall, precision)
    assert metrics.coverage(pair[0], pair[0], k=k) == 1 == metrics.precision_recall(pair[1], pair[1], k=k)[0]


@few
@given(pairs(same_n=True))
def test_transport(pair):
    a, b = (x.double() for x in pair)
    exact, sliced = metrics.w2(a, b), metrics.sliced_w2(a, b, generator=Rng(0), directions=50)
    assert exact == pytest.approx(metrics.w2(b, a)) and metrics.w2(a, a.flip(0)) < 1e-9
    assert 0 <= sliced <= exact + 1e-9  # a projection only shortens
    assert metrics.w2(turned(a), turned(b)) == pytest.approx(exact)
    assert float((a.mean(0) - b.mean(0)).norm()) <= exact + 1e-9
    assert sliced == metrics.sliced_w2(a.flip(0), b, generator=Rng(0), directions=50) or math.isclose(
        sliced, metrics.sliced_w2(a.flip(0), b, generator=Rng(0), directions=50)
    )


@few
@given(pairs())
def test_kid_is_symmetric(pair):
    assert metrics.kid(*pair) == pytest.approx(metrics.kid(*pair[::-1]), abs=1e-9)
    assert isinstance(metrics.kid(*pair), float)


@few
@given(pairs(), st.sampled_from(["nan", "inf", "int", "list", "flat", "wide", "empty"]), st.booleans())
def test_bad_input_is_named(pair, fault, first):
    place = 0 if first else 1
    bad = pair[place].clone()
    match fault:
        case "nan" | "inf":
            bad[0, 0] = float(fault)
        case "int":
            bad = bad.long()
        case "list":
            bad = bad.tolist()
        case "flat":
            bad = bad[:, 0]
        case "wide":
            bad = torch.cat([bad, bad], 1)
        case "empty":
            bad = bad[:0]
    both = [bad, pair[1]] if first else [pair[0], bad]
    names = r"^(a|b|a, b|features|real|fake|real, fake): expected"
    for call in (
        metrics.frechet_distance,
        metrics.kid,
        metrics.precision_recall,
        metrics.coverage,
        metrics.w2,
        lambda a, b: metrics.sliced_w2(a, b, generator=Rng(0)),
    ):
        with pytest.raises(ValueError, match=names):
            call(*both)


@few
@given(st.one_of(st.integers(max_value=0), st.floats(), st.booleans(), st.none()))
def test_bad_counts_are_named(count):
    x = torch.randn((9, 2), generator=Rng(0))
    with pytest.raises(ValueError, match=r"^k: expected"):
        metrics.precision_recall(x, x, k=count)
    with pytest.raises(ValueError, match=r"^directions: expected"):
        metrics.sliced_w2(x, x, generator=Rng(0), directions=count)
    with pytest.raises(ValueError, match=r"^resamples: expected"):
        metrics.bootstrap_interval(x, metrics.statistics(x), generator=Rng(0), resamples=count)
