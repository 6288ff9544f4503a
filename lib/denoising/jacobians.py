"""The derivative of a denoiser by its input: whole where it is small, its leading singular vectors where it is not.

A denoiser treats the items of a batch independently. So one backward pass gives a row of the Jacobian of every item,
and a batch of copies of one item gives several products with its Jacobian at once.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from denoising import validate

__all__ = ["Singular", "jacobian", "top_singular"]


@dataclass(frozen=True)
class Singular:
    """The k leading singular triples of one item's Jacobian, J = sum_i left_i values_i right_i^T.

    Attributes:
        left: directions of the output, unit length, (k, ...).
        values: falling, (k,).
        right: directions of the input, unit length, (k, ...); the entry of largest size is positive.
    """

    left: Tensor
    values: Tensor
    right: Tensor


def jacobian(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """d f(x)_i / d x_j of each item, by one backward pass for each number of the output.

    Args:
        f: maps a batch to a batch, each item by itself: `lambda x: denoiser(x, t)`.
        x: where, (B, ...), float.
    Returns:
        (B, m, n) for items of n numbers that become m.
    Raises:
        ValueError: if x is malformed, or f's answer cannot be differentiated.
    Example:
        >>> jacobian(lambda x: x**2, torch.tensor([[1.0, 3.0]]))
        tensor([[[2., 0.],
                 [0., 6.]]])
    """
    with _differentiating():
        at, out = _record(f, x)
        flat = out.flatten(1)
        # items do not look at each other, so the sum over the batch leaves each its own derivative
        rows = [torch.autograd.grad(one.sum(), at, retain_graph=True)[0].flatten(1) for one in flat.unbind(1)]
    return torch.stack(rows, 1)


def top_singular(
    f: Callable[[Tensor], Tensor], x: Tensor, k: int, *, generator: torch.Generator, sweeps: int = 20
) -> Singular:
    """The k leading singular vectors of the Jacobian at one point, without ever forming it.

    Subspace iteration: k directions are sent through J and back through its transpose, made orthonormal, and sent
    again. A sweep costs two backward passes over a batch of k. The share of a direction that does not belong falls by
    (s_{k+1} / s_k)^2 a sweep.

    Args:
        f: maps a batch to a batch, each item by itself: `lambda x: denoiser(x, t)`. Labels must fit a batch of k.
        x: one item, without a batch dimension.
        k: how many.
        generator: CPU source of the start.
        sweeps: how often to go there and back.
    Returns:
        a `Singular`.
    Raises:
        ValueError: if x is malformed, k exceeds its size, or f's answer cannot be differentiated.
    Source: subspace iteration (Golub and Van Loan, section 8.2.4); Chen et al. 2024, arXiv 2409.02374.
    Example:
        >>> from denoising.rng import Rng
        >>> found = top_singular(lambda x: x * torch.tensor([1.0, 5.0, 2.0]), torch.ones(3), 2, generator=Rng(0))
        >>> [round(value, 3) for value in found.values.tolist()]
        [5.0, 2.0]
    """
    validate.count("k", k), validate.count("sweeps", sweeps)
    if k > validate.finite("x", x).numel():
        raise ValueError(f"k: expected at most {x.numel()}, the size of x, got {k}")
    right = torch.randn((k, x.numel()), generator=generator, dtype=torch.float64).to(x)
    with _differentiating():
        at, out = _record(f, x.expand(k, *x.shape))
        # J^T u is linear in u, so its derivative by u is J: a forward derivative made of two backward ones, for layers
        # that have no forward one of their own
        u = torch.zeros_like(out, requires_grad=True)
        back = torch.autograd.grad(out, at, u, create_graph=True)[0]
        for _ in range(sweeps):
            right = _orthonormal(right)
            left = torch.autograd.grad(back, u, right.view_as(at), retain_graph=True)[0].flatten(1)
            right = torch.autograd.grad(out, at, _orthonormal(left).view_as(out), retain_graph=True)[0].flatten(1)
        right = _orthonormal(right)
        left = torch.autograd.grad(back, u, right.view_as(at))[0].flatten(1)
    rotation, values, left = torch.linalg.svd(left, full_matrices=False)
    right = rotation.mT @ right
    sign = right.gather(1, right.abs().argmax(1, keepdim=True)).sign()
    return Singular((sign * left).view_as(out), values, (sign * right).view_as(at))


def _orthonormal(rows: Tensor) -> Tensor:
    return torch.linalg.qr(rows.mT).Q.mT


@contextmanager
def _differentiating() -> Iterator[None]:
    """Gradients on, also inside inference mode; attention by the one kernel that can be differentiated twice."""
    kernel = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    with torch.inference_mode(False), torch.enable_grad(), kernel:
        yield


def _record(f: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    at = validate.finite("x", x).detach().clone().requires_grad_()
    out = f(at)
    if not out.requires_grad:  # without this a frozen denoiser would pass for a constant one
        raise ValueError("f: expected an answer that can be differentiated by x; is it run without gradients?")
    if len(out) != len(x):
        raise ValueError(f"f: expected one answer for each of the {len(x)} items, got shape {tuple(out.shape)}")
    return at, out
