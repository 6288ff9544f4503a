"""Jacobians against matrices that are known."""

import pytest
import torch

from denoising import exact, jacobians, schedules, zoo
from denoising.rng import Rng

F = torch.float64


def matrix(m, n, seed=0):
    return torch.randn((m, n), generator=Rng(seed), dtype=F)


def test_jacobian_of_a_linear_map_and_of_each_item():
    a = matrix(3, 5)
    found = jacobians.jacobian(lambda x: x @ a.T, matrix(2, 5, 1))
    assert torch.allclose(found, a.expand(2, 3, 5))
    x = matrix(4, 3, 2)
    assert torch.allclose(jacobians.jacobian(torch.sin, x), torch.diag_embed(x.cos()))


def test_jacobian_of_an_exact_denoiser_is_the_posterior_covariance():
    mixture = exact.GaussianMixture(matrix(3, 4), torch.eye(4, dtype=F).expand(3, 4, 4), schedule=schedules.Cosine())
    x, t = matrix(5, 4, 1), 0.4
    alpha, sigma = (float(scale) for scale in mixture.schedule.alpha_sigma(t))
    found = jacobians.jacobian(lambda z: mixture(z, t), x)
    assert torch.allclose(found, alpha / sigma**2 * mixture.cov(x, t), atol=1e-10)


def test_top_singular_against_the_whole_decomposition():
    a = matrix(7, 9) @ torch.diag(2.0 ** -torch.arange(9, dtype=F))
    found = jacobians.top_singular(lambda x: x @ a.T, matrix(1, 9)[0], 3, generator=Rng(0), sweeps=40)
    left, values, right = torch.linalg.svd(a)
    assert torch.allclose(found.values, values[:3])
    for i in range(3):
        sign = torch.dot(found.right[i], right[i]).sign()
        assert torch.allclose(sign * found.right[i], right[i], atol=1e-8)
        assert torch.allclose(sign * found.left[i], left[:, i], atol=1e-8)
        assert found.right[i].max() == found.right[i].abs().max()


def test_one_sweep_is_enough_for_a_matrix_of_rank_k():
    a = matrix(6, 3) @ matrix(3, 8, 1)
    found = jacobians.top_singular(lambda x: x @ a.T, matrix(1, 8, 2)[0], 3, generator=Rng(0), sweeps=1)
    assert torch.allclose(found.left.T @ torch.diag(found.values) @ found.right, a, atol=1e-9)
    assert torch.allclose(found.right @ found.right.T, torch.eye(3, dtype=F), atol=1e-9)
    assert torch.allclose(found.left @ found.left.T, torch.eye(3, dtype=F), atol=1e-9)


def test_both_on_the_shipped_network():
    denoiser = zoo.denoiser("fashion_unet")
    x = torch.randn((1, 32, 32), generator=Rng(0))

    def guess(z):
        return denoiser(z, 0.6, torch.full((len(z),), 3))

    with torch.inference_mode():
        found = jacobians.top_singular(guess, x, 3, generator=Rng(1), sweeps=15)
    step = 0.05
    with torch.no_grad():
        moved = (guess(x + step * found.right) - guess(x - step * found.right)) / (2 * step)
    assert found.right.shape == found.left.shape == (3, 1, 32, 32) and (found.values.diff() < 0).all()
    assert torch.allclose(moved, found.values[:, None, None, None] * found.left, atol=5e-3)
    random = torch.nn.functional.normalize(torch.randn((20, 1024), generator=Rng(2)), dim=1).view(20, 1, 32, 32)
    with torch.no_grad():
        others = ((guess(x + step * random) - guess(x - step * random)) / (2 * step)).flatten(1).norm(dim=1)
    assert found.values[-1] > 3 * others.max()


def test_bad_input():
    with pytest.raises(ValueError, match="k: expected at most 3"):
        jacobians.top_singular(lambda x: x, torch.ones(3), 4, generator=Rng(0))
    with pytest.raises(ValueError, match="x: expected finite"):
        jacobians.jacobian(lambda x: x, torch.full((1, 3), torch.nan))
    with pytest.raises(ValueError, match="f: expected an answer that can be differentiated"):
        jacobians.jacobian(lambda x: x.detach(), torch.ones(1, 3))
    with pytest.raises(ValueError, match="f: expected one answer for each of the 2 items"):
        jacobians.jacobian(lambda x: x.sum(0, keepdim=True), torch.ones(2, 3))
