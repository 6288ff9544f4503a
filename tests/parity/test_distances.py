"""Metrics against scipy and scikit-learn."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.stats import wasserstein_distance_nd
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors

from denoising import metrics
from denoising.rng import Rng

F = torch.float64


def draw(n, d, *, seed, shift=0.0):
    mix = torch.randn((d, d), generator=Rng(9), dtype=F)
    return torch.randn((n, d), generator=Rng(seed), dtype=F) @ mix + shift


@pytest.mark.parametrize("d", [1, 4, 32])
def test_frechet_distance_is_the_formula_with_a_general_root(d):
    a, b = draw(200, d, seed=0).numpy(), draw(300, d, seed=1, shift=0.5).numpy()
    mean, cov = zip(*((x.mean(0), np.atleast_2d(np.cov(x, rowvar=False))) for x in (a, b)), strict=True)
    root = sqrtm(cov[0] @ cov[1]).real
    want = ((mean[0] - mean[1]) ** 2).sum() + np.trace(cov[0] + cov[1] - 2 * root)
    assert metrics.frechet_distance(torch.from_numpy(a), torch.from_numpy(b)) == pytest.approx(want, rel=1e-8)


def test_kid_has_the_polynomial_kernel():
    a, b = draw(50, 6, seed=0), draw(40, 6, seed=1, shift=0.3)
    within = [polynomial_kernel(x, degree=3, coef0=1) for x in (a.numpy(), b.numpy())]
    across = polynomial_kernel(a.numpy(), b.numpy(), degree=3, coef0=1)
    want = sum((k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in within) - 2 * across.mean()
    assert metrics.kid(a, b) == pytest.approx(want, rel=1e-10)


@pytest.mark.parametrize("k", [1, 5])
def test_neighbours(k):
    real, fake = draw(150, 3, seed=0), draw(120, 3, seed=1, shift=0.5)

    def reach(x):
        return NearestNeighbors(n_neighbors=k + 1).fit(x).kneighbors(x)[0][:, -1]

    distance = np.linalg.norm(real.numpy()[:, None] - fake.numpy(), axis=2)
    precision = (distance <= reach(real.numpy())[:, None]).any(0).mean()
    recall = (distance <= reach(fake.numpy())[None]).any(1).mean()
    covered = (distance.min(1) <= reach(real.numpy())).mean()
    assert metrics.precision_recall(real, fake, k=k) == pytest.approx((precision, recall), abs=1e-12)
    assert metrics.coverage(real, fake, k=k) == pytest.approx(covered, abs=1e-12)


def test_w2_is_between_the_first_and_the_infinite_order():
    # scipy solves W1 as a linear programme: W1 <= W2, and equal for a shift
    a, b = draw(25, 2, seed=0), draw(25, 2, seed=1, shift=1.0)
    assert wasserstein_distance_nd(a.numpy(), b.numpy()) <= metrics.w2(a, b) + 1e-9
    shifted = a + torch.tensor([3.0, 4.0], dtype=F)
    assert (
        wasserstein_distance_nd(a.numpy(), shifted.numpy()) == pytest.approx(metrics.w2(a, shifted)) == pytest.approx(5)
    )
