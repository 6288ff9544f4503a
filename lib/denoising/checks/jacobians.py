"""Checks of notebook 3.3: subspace iteration, and the Jacobian of a low-rank mixture's denoiser."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from denoising.checks import missing, passed, require
from denoising.rng import Rng

__all__ = ["check_leading", "check_mixture_jacobian"]


def check_leading(leading: Callable[..., Any], *, strict: bool = False) -> None:
    """`leading(forward, backward, start, sweeps)`: the k leading right singular vectors and values of J.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "leading"
    for m, n, k in ((8, 8, 3), (12, 7, 2), (6, 9, 1)):
        source = Rng(0).spawn(m, n)
        J, left, right, values = _matrix(m, n, source)
        calls = {"forward": 0, "backward": 0}
        start = torch.randn(n, k, generator=source, dtype=torch.float64)
        got = leading(_counted(J, calls, "forward"), _counted(J.mT, calls, "backward"), start.clone(), 60)
        if missing(name, got, strict=strict):
            return
        require(
            isinstance(got, tuple) and len(got) == 2 and all(isinstance(part, Tensor) for part in got),
            name,
            "expected a pair of tensors: the vectors (n, k) and their values (k,)",
        )
        vectors, found = got
        case = f"J is {m} x {n}, k = {k}"
        require(calls["backward"] > 0, name, "backward was never called: without the way back this finds eigenvectors")
        require(
            vectors.shape == (n, k) and found.shape == (k,),
            name,
            f"expected shapes {(n, k)} and {(k,)}, got {tuple(vectors.shape)} and {tuple(found.shape)}; "
            f"right singular vectors live in the input ({case})",
        )
        require(
            bool(torch.isfinite(vectors).all() and torch.isfinite(found).all()),
            name,
            "not finite: the columns must be brought back to unit length in every sweep",
        )
        _compare_vectors(name, vectors, left[:, :k], right[:, :k], case)
        _compare_values(name, found, values[:k], case)
    passed(name)


def check_mixture_jacobian(mixture_jacobian: Callable[..., Any], *, strict: bool = False) -> None:
    """`mixture_jacobian(x, bases, alpha, sigma)`: the derivative of r sum_k w_k P_k x, weights included.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "mixture_jacobian"
    for k, n, d, alpha, sigma in ((2, 9, 2, 0.6, 0.9), (3, 12, 3, 1.0, 1.3), (2, 6, 1, 0.9, 0.5)):
        source = Rng(0).spawn(k, n, d)
        bases = torch.linalg.qr(torch.randn(n, k * d, generator=source, dtype=torch.float64)).Q
        bases = bases.unflatten(1, (k, d)).movedim(1, 0)
        x = torch.randn(n, generator=source, dtype=torch.float64)
        got = mixture_jacobian(x.clone(), bases.clone(), alpha, sigma)
        if missing(name, got, strict=strict):
            return
        case = f"K = {k}, n = {n}, d = {d}, alpha = {alpha}, sigma = {sigma}"
        require(
            isinstance(got, Tensor) and got.shape == (n, n),
            name,
            f"expected an {n} x {n} matrix, got {tuple(getattr(got, 'shape', ())) or type(got).__name__} ({case})",
        )
        want, slips = _mixture(x, bases, alpha, sigma)
        for slip, cause in slips:
            differs = (slip - want).abs().max() > 1e-6
            require(not (differs and _close(got, slip)), name, f"{cause} ({case})")
        gap = float((got - want).abs().max())
        require(_close(got, want), name, f"off by up to {gap:.3g} from the derivative of the guess ({case})")
    passed(name)


def _matrix(m: int, n: int, source: Rng) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A matrix with known singular vectors and well separated values; none is 1, so that squares show."""
    r = min(m, n)
    left, right = (torch.linalg.qr(torch.randn(size, r, generator=source, dtype=torch.float64)).Q for size in (m, n))
    values = 3.0 * 0.6 ** torch.arange(r, dtype=torch.float64)
    return left * values @ right.mT, left, right, values


def _counted(J: Tensor, calls: dict[str, int], name: str) -> Callable[[Tensor], Tensor]:
    def times(columns: Tensor) -> Tensor:
        require(
            isinstance(columns, Tensor) and columns.ndim == 2 and len(columns) == J.shape[1],
            "leading",
            f"{name} expects columns of length {J.shape[1]}, got {tuple(getattr(columns, 'shape', ()))}",
        )
        calls[name] += 1
        return J @ columns

    return times


def _compare_vectors(name: str, got: Tensor, left: Tensor, right: Tensor, case: str) -> None:
    def same(a: Tensor, b: Tensor) -> bool:  # column by column, up to sign
        return len(a) == len(b) and bool(((a * b).sum(0).abs() - 1).abs().max() < 1e-5)

    lengths = got.norm(dim=0)
    require(
        bool((lengths - 1).abs().max() < 1e-5), name, f"the vectors have lengths {lengths.tolist()}, not 1 ({case})"
    )
    if same(got, right):
        return
    require(not same(got, left), name, f"these are the left singular vectors; wanted those of the input ({case})")
    overlap = (got.mT @ got - torch.eye(got.shape[1]).to(got)).abs().max()
    require(
        float(overlap) < 1e-5,
        name,
        f"the columns are not orthogonal: each by itself runs to the first vector; use QR in every sweep ({case})",
    )
    spans = (right.mT @ got).square().sum() > got.shape[1] - 1e-5
    require(
        not (bool(spans) and same(got.flip(1), right)), name, f"falling values wanted: the order is reversed ({case})"
    )
    require(not bool(spans), name, f"the space is right, its axes are not: turn the columns by the SVD of J Q ({case})")
    require(False, name, f"these are not the leading singular vectors; is every sweep used? ({case})")


def _compare_values(name: str, got: Tensor, values: Tensor, case: str) -> None:
    def is_(want: Tensor) -> bool:
        return bool(((got - want).abs() < 1e-5 * want).all())

    require(not is_(values**2), name, f"these are eigenvalues of J^T J: the squares of the values ({case})")
    require(is_(values), name, f"values {got.tolist()}, expected {values.tolist()} ({case})")


def _close(got: Tensor, want: Tensor) -> bool:
    return bool((got.to(want) - want).abs().max() <= 1e-8 * max(1.0, float(want.abs().max())))


def _mixture(x: Tensor, bases: Tensor, alpha: float, sigma: float) -> tuple[Tensor, list[tuple[Tensor, str]]]:
    """The Jacobian by automatic differentiation, and what the usual slips give instead."""
    total = alpha**2 + sigma**2
    r, phi = alpha / total, alpha**2 / (2 * sigma**2 * total)
    P = bases @ bases.mT

    def guess(z: Tensor) -> Tensor:
        each = P @ z
        return r * ((phi * each.square().sum(1)).softmax(0) @ each)

    want = torch.autograd.functional.jacobian(guess, x)
    each = P @ x
    w = (phi * each.square().sum(1)).softmax(0)
    within = r * torch.einsum("k,kij->ij", w, P)
    outer = torch.einsum("k,ki,kj->ij", w, each, each)
    between = outer - torch.outer(w @ each, w @ each)
    return want, [
        (within, "the weights depend on x too: their gradient is missing"),
        (within + r * phi * between, "the gradient of a square has a factor 2"),
        (within + 2 * phi * between, "the second term has the factor r as well"),
        (within + 2 * r * phi * outer, "a softmax subtracts the mean gradient: g_k - sum_l w_l g_l"),
        (within - 2 * r * phi * between, "the sign: a larger logit raises its own weight"),
        (want / r, "the factor r = alpha / (alpha^2 + sigma^2) is missing"),
        (want / alpha, "r has alpha in its numerator"),
    ]
