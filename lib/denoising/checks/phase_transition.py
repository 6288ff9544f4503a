"""Checks of notebook 3.2: the number of perfect partitions, and a distance between unordered sets of subspaces."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from denoising.checks import missing, passed, require
from denoising.rng import Rng
from denoising.subspaces import random_bases

__all__ = ["check_perfect_splits", "check_subspace_distance"]


def check_perfect_splits(perfect_splits: Callable[[int, int], Any], *, strict: bool = False) -> None:
    """`perfect_splits(d, k)`: partitions with residual zero of k d unlabelled points, d from each of k subspaces.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "perfect_splits"
    for d, k in ((3, 2), (2, 2), (4, 2), (2, 3), (3, 3), (1, 4), (5, 1)):
        got = perfect_splits(d, k)
        if missing(name, got, strict=strict):
            return
        require(
            not isinstance(got, bool) and float(got) == int(got),
            name,
            f"expected a whole number at d = {d}, k = {k}, got {got!r}; divide with // or use math.comb",
        )
        ordered = math.factorial(k * d) // math.factorial(d) ** k
        right = ordered // math.factorial(k)
        two = math.comb(k * d, d) // 2
        for slip, cause in (
            (ordered, "groups have no names, so each partition was counted once for every order of the groups"),
            (two, "this is the count for k = 2; the points outside the first group form k - 1 groups, not one"),
            (right - 1, "these are the wrong ones; the right partition is perfect too"),
            (k ** (k * d), "these are all ways to deal the points; a group of more than d points does not fit"),
            (k ** (k * d) // k, "these are all ways to deal the points; a group of more than d points does not fit"),
            (right * math.factorial(d) ** k, "the order of the points inside a group does not matter: divide by d!"),
            (1, "any d points span d dimensions, so many partitions fit, not only the right one"),
        ):
            require(slip == right or int(got) != slip, name, f"{cause} (d = {d}, k = {k})")
        require(int(got) == right, name, f"{int(got)} at d = {d}, k = {k}, expected {right}")
    passed(name)


def check_subspace_distance(subspace_distance: Callable[[Tensor, Tensor], Any], *, strict: bool = False) -> None:
    """`subspace_distance(a, b)`: the largest distance of projectors, for the matching that makes it smallest.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "subspace_distance"
    for case, a, b in _cases():
        got = subspace_distance(a.clone(), b.clone())
        if missing(name, got, strict=strict):
            return
        require(
            (isinstance(got, Tensor) and got.ndim == 0) or isinstance(got, float),
            name,
            f"expected one number, got {tuple(got.shape) if isinstance(got, Tensor) else type(got).__name__}",
        )
        table = _table(a, b)  # (K, K), distance of each pair
        orders = list(itertools.permutations(range(len(a))))
        matched = torch.stack([table[torch.arange(len(a)), list(order)] for order in orders])  # (K!, K)
        best = matched[matched.amax(1).argmin()]
        want = float(best.max())
        for slip, cause in (
            (float(table.diag().max()), "the order of the subspaces is free: try every matching"),
            (float(table.amin(1).max()), "each took its nearest, so two may share a partner: match one to one"),
            (float(table.amin(0).max()), "each took its nearest, so two may share a partner: match one to one"),
            (float((a - b).flatten(1).norm(dim=1).max()), "bases were compared; they may be rotated, use projectors"),
            (_bases_apart(a, b, orders), "bases were compared; they may be rotated, use projectors"),
            (float(best.mean()), "the mean hides one subspace that was missed: take the largest"),
            (float(best.sum()), "the sum grows with K: take the largest"),
            (want**2, "this is the squared distance: take the root"),
            (want / math.sqrt(2), "the distance of projectors has a 2 in front of the sum of sin^2, equation (1)"),
            (float(matched.amax(1).max()), "this is the worst matching; take the best"),
            (float(matched.amin(1).min()), "this is the best pair; take the largest distance of the best matching"),
        ):
            if not _near(slip, want):
                require(not _near(float(got), slip), name, f"{cause} ({case})")
        require(_near(float(got), want), name, f"{float(got):.6g}, expected {want:.6g} ({case})")
    passed(name)


def _cases() -> list[tuple[str, Tensor, Tensor]]:
    """Pairs in an order that lets each slip show by itself."""
    rng = Rng(0)
    a = random_bases(3, 12, 2, generator=rng)
    turn = torch.linalg.qr(torch.randn(3, 2, 2, generator=rng, dtype=a.dtype)).Q
    tilted = a.clone()
    spare = random_bases(1, 12, 12, generator=rng)[0]
    out = spare - (a.movedim(0, 1).flatten(1) @ a.movedim(0, 1).flatten(1).T) @ spare
    away = out[:, 0] / out[:, 0].norm()  # orthogonal to all three subspaces
    tilted[1, :, 0] = math.cos(0.5) * a[1, :, 0] + math.sin(0.5) * away
    pair = a[:2]
    return [
        ("one of three subspaces tilted by 0.5", a, tilted),
        ("the same subspaces in other bases", a, a @ turn),
        ("the same subspaces in another order", a, a[[1, 2, 0]]),
        ("one subspace found twice", pair, pair[[0, 0]]),
        ("one subspace that is there twice", pair[[0, 0]], pair),
        ("nothing found", pair, torch.stack([a[2], a[2]])),
        ("tilted, rotated and reordered", a, (tilted @ turn)[[2, 0, 1]]),
    ]


def _table(a: Tensor, b: Tensor) -> Tensor:
    cross = torch.einsum("knd,lne->klde", a, b).square().sum((-1, -2))
    return (2 * a.shape[-1] - 2 * cross).clamp(min=0).sqrt()


def _bases_apart(a: Tensor, b: Tensor, orders: list[tuple[int, ...]]) -> float:
    return min(float((a - b[list(order)]).flatten(1).norm(dim=1).max()) for order in orders)


def _near(got: float, want: float) -> bool:
    return abs(got - want) <= 1e-6
