"""Checks of notebook 2.4: all linear gauge fields of a Gaussian, and the residual of the gauge condition."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from denoising.checks import missing, passed, require

__all__ = ["check_gauge_residual", "check_linear_gauges"]

Field = Callable[[Tensor], Tensor]


def check_linear_gauges(linear_gauges: Callable[[Tensor], Any], *, strict: bool = False) -> None:
    """`linear_gauges(C)`: a basis (k, d, d) of the matrices R for which R x is a gauge field of N(0, C).

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "linear_gauges"
    for root in ([[1.4, 0.0], [0.4, 0.6]], [[1.0, 0.0, 0.0], [0.5, 0.8, 0.0], [-0.3, 0.2, 1.5]]):
        root = torch.tensor(root, dtype=torch.float64)
        C, d = root @ root.T, len(root)
        got = linear_gauges(C.clone())
        if missing(name, got, strict=strict):
            return
        shape = tuple(got.shape) if isinstance(got, Tensor) else type(got).__name__
        require(isinstance(got, Tensor) and got.ndim == 3 and got.shape[1:] == C.shape, name,
                f"expected a tensor (k, {d}, {d}), got {shape}")  # fmt: skip
        got = got.double()
        require(bool(torch.isfinite(got).all()), name, "expected finite numbers")
        for R in got:
            require(bool(R.abs().max() > 1e-9), name, "a basis does not hold the zero matrix")
            require(_antisymmetric(R @ C), name, _cause(R, C))
        rank, k = int(torch.linalg.matrix_rank(got.flatten(1), rtol=1e-6)), d * (d - 1) // 2
        require(rank == len(got), name, f"{len(got)} matrices of rank {rank}: they are not independent")
        require(rank == k, name, f"{rank} of {k} in {d} dimensions: every antisymmetric A gives one")
    passed(name)


def check_gauge_residual(gauge_residual: Callable[[Field, Field, Tensor], Any], *, strict: bool = False) -> None:
    """`gauge_residual(r, score, x)`: div r + r . score at each point, (B,).

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "gauge_residual"
    generator = torch.Generator().manual_seed(0)
    root = torch.tensor([[1.4, 0.0], [0.4, 0.6]], dtype=torch.float64)
    precision = torch.linalg.inv(root @ root.T)
    A = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    x = torch.randn((50, 2), generator=generator, dtype=torch.float64) @ root.T
    u, w = x[:, 0], x[:, 1]
    zero = torch.zeros_like(u)

    def score(x: Tensor) -> Tensor:
        return -x @ precision

    def lifted(x: Tensor) -> Tensor:
        """The gauge A grad(p h) / p for h = x1: its divergence is not 0, its residual is."""
        return A[:, 0] + x[:, :1] * score(x) @ A.T

    cases: tuple[tuple[str, Field, Tensor], ...] = (
        ("a rotation", lambda x: x @ A.T, zero),
        ("a radial field", lambda x: x + 0.0, zero + 2),
        ("a shear that bends", lambda x: torch.stack([x[:, 0].sin() * x[:, 1], x.prod(1) ** 2], 1),
         u.cos() * w + 2 * u**2 * w),
        ("the gauge A C^-1 x", lambda x: x @ precision @ A.T, zero),
        ("a gauge with a divergence of its own", lifted, -score(x) @ A[:, 0]),
    )  # fmt: skip
    for case, r, div in cases:
        got = gauge_residual(r, score, x.clone())
        if missing(name, got, strict=strict):
            return
        require(isinstance(got, Tensor), name, f"expected a tensor, got {type(got).__name__}")
        require(got.ndim != 0, name, f"one number for each of the {len(x)} points, (B,); this is one for all")
        require(got.shape == u.shape, name, f"expected shape {tuple(u.shape)}, got {tuple(got.shape)}")
        got, along = got.detach().double(), (r(x) * score(x)).sum(1)
        for value, cause in (
            (div, "this is the divergence alone: divergence-free is not enough, add r . score"),
            (along, "this is r . score alone: add the divergence of r"),
            (div - along, "the sign: div(p r) / p = div r + r . score"),
            (_everything(r, x) + along, "the divergence is the trace of the Jacobian, not the sum of all its entries"),
            (div.abs() + along.abs(), "the two terms may cancel: add them with their signs"),
        ):
            require(_same(value, div + along) or not _same(got, value), name, f"{cause} ({case})")
        off = float((got - div - along).abs().max())
        require(_same(got, div + along), name, f"off by {off:.3g} for {case}")
    _by_parts(name, gauge_residual, score, root, generator)
    passed(name)


def _antisymmetric(M: Tensor) -> bool:
    return bool((M + M.mT).abs().max() < 1e-8 * M.abs().max())


def _cause(R: Tensor, C: Tensor) -> str:
    """Why R x is no gauge field."""
    inverse = torch.linalg.inv(C)
    if _antisymmetric(R):
        return "A alone: its divergence is 0, but it crosses the level sets of the density; r . score is not 0"
    if _antisymmetric(R @ inverse) or _antisymmetric(C @ R):  # in the plane these two are the same line
        return "this is A C, or C^-1 A; r . score vanishes for A C^-1"
    if bool((R - R.mT).abs().max() < 1e-8 * R.abs().max()):
        return "a symmetric R is a gradient, and no gradient but 0 is a gauge field"
    if abs(float(R.trace())) > 1e-8:
        return f"the divergence is the trace, {float(R.trace()):.3g}; at x = 0 nothing makes up for it"
    return "the quadratic form x^T R^T C^-1 x does not vanish"


def _same(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() < 1e-8)


def _everything(r: Field, x: Tensor) -> Tensor:
    """The sum of all entries of each item's Jacobian: what one careless backward pass gives."""
    at = x.clone().requires_grad_()
    return torch.autograd.grad(r(at).sum(), at)[0].sum(1)


def _by_parts(name: str, gauge_residual: Callable, score: Field, root: Tensor, generator: torch.Generator) -> None:
    """E[residual phi] = -E[r . grad phi] for phi = sin(x1) x2, on samples."""
    x = torch.randn((20_000, 2), generator=generator, dtype=torch.float64) @ root.T
    u, w = x.unbind(1)

    def r(x: Tensor) -> Tensor:
        return torch.stack([x[:, 1].cos(), x[:, 0] ** 2], 1)

    gradient = torch.stack([u.cos() * w, u.sin()], 1)
    sample = gauge_residual(r, score, x.clone()).detach() * u.sin() * w + (r(x) * gradient).sum(1)
    z = float(sample.mean().abs() / (sample.std() / math.sqrt(len(x))))
    require(z < 3, name, f"E[residual phi] + E[r . grad phi] is {z:.1f} standard errors from 0")
