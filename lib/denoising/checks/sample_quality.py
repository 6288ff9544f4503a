"""Checks of notebook 1.6: a Fréchet distance without its bias, and coverage with density."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from denoising import metrics
from denoising.checks import missing, passed, require
from denoising.rng import Rng

__all__ = ["check_coverage_density", "check_fd_infinity"]


def check_fd_infinity(
    fd_infinity: Callable[[Tensor, metrics.Statistics, torch.Generator], Any], *, strict: bool = False
) -> None:
    """`fd_infinity(features, reference, generator)`: 2 FD_n minus the mean FD of two random halves.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "fd_infinity"
    d, n, shift = 8, 200, 0.5
    reference = metrics.Statistics(torch.zeros(d).double(), torch.eye(d).double(), 10**9)
    draws = torch.randn((24, n, d), generator=Rng(0), dtype=torch.float64)
    draws[..., 0] += shift  # the true distance is shift^2
    got, whole, halves, ordered = [], [], [], []
    for index, x in enumerate(draws):
        x = x[x[:, 0].argsort()]  # as if sorted by class
        answer = fd_infinity(x.clone(), reference, Rng(index))
        if missing(name, answer, strict=strict):
            return
        got.append(float(answer))
        whole.append(metrics.frechet_distance(x, reference))
        mixed = x[torch.randperm(n, generator=Rng(index))]
        for kept, parts in ((halves, mixed.chunk(2)), (ordered, x.chunk(2))):
            kept.append(sum(metrics.frechet_distance(part, reference) for part in parts) / 2)
    value, full, half, sorted_half = (torch.tensor(v, dtype=torch.float64) for v in (got, whole, halves, ordered))

    def near(wrong: Tensor, tolerance: float = 0.02) -> bool:
        return float((value - wrong).abs().mean()) < tolerance

    require(not near(full, 1e-6), name, "this is the plain distance of all features: its bias c / n is still there")
    require(
        not near(2 * full - sorted_half, 1e-6),
        name,
        "the halves are taken in the given order; the features come sorted, so mix them with the generator first",
    )
    require(not near(half), name, "this is the mean distance of the halves, whose bias is twice as large")
    require(
        not near(2 * half - full), name, "the line is continued the wrong way: the bias became three times as large"
    )
    require(
        not near(full - half, 0.05), name, "FD_n - FD_{n/2} is minus the bias; subtract it from FD_n: 2 FD_n - FD_{n/2}"
    )
    require(
        not near(0.5 * (full + half)),
        name,
        "this is the mean of both distances; a line has to be continued, not averaged",
    )
    require(not near(2 * full - 2 * half, 0.05), name, "the halves enter with their mean, not their sum")
    error = float((value - (2 * full - half)).abs().mean())
    require(
        error < 0.05, name, f"mean distance to 2 FD_n - FD_(n/2) is {error:.3g}, expected the scatter of random halves"
    )
    bias = abs(float(value.mean()) - shift**2)
    require(bias < 0.05, name, f"the mean over 24 sets is off the true distance by {bias:.3g}, expected under 0.05")
    passed(name)


def check_coverage_density(coverage_density: Callable[[Tensor, Tensor, int], Any], *, strict: bool = False) -> None:
    """`coverage_density(real, fake, k)`: the share of real items that reach a fake, and reaching items per fake / k.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "coverage_density"
    for k, seed in ((1, 0), (3, 1), (5, 2)):
        real = torch.randn((90, 3), generator=Rng(seed), dtype=torch.float64)
        fake = 0.6 * torch.randn((60, 3), generator=Rng(seed + 9), dtype=torch.float64) + 0.5
        got = coverage_density(real.clone(), fake.clone(), k)
        if missing(name, got, strict=strict):
            return
        pair = isinstance(got, tuple | list) and len(got) == 2
        require(pair, name, f"expected two numbers, coverage and density, got {type(got).__name__}")
        require(all(one is not None and one is not ... for one in got), name, "one of the two numbers is not there yet")
        first, second = (float(one) for one in got)
        right = metrics.coverage(real, fake, k=k), metrics.density(real, fake, k=k)
        precision, recall = metrics.precision_recall(real, fake, k=k)

        def is_(value: float, wrong: float, right: float) -> bool:
            return abs(value - wrong) < 1e-9 and abs(wrong - right) > 1e-9

        require(
            not (is_(first, right[1], right[0]) and is_(second, right[0], right[1])),
            name,
            "the two are in the wrong order: coverage first",
        )
        require(
            not is_(first, recall, right[0]),
            name,
            "coverage: this is recall; the reach is that of the real items, not of the fakes",
        )
        require(
            not is_(first, precision, right[0]),
            name,
            "coverage: this is precision, a share of the fakes; wanted a share of the real items",
        )
        short = (metrics.coverage(real, fake, k=k - 1), metrics.density(real, fake, k=k - 1)) if k > 1 else (0.0, 0.0)
        require(
            not is_(first, short[0], right[0]) and not is_(second, short[1] * (k - 1) / k, right[1]),
            name,
            "the reach is one neighbour short: the nearest neighbour of an item in its own set is the item itself",
        )
        require(not is_(second, right[1] * k, right[1]), name, "density: divide by k")
        require(
            not is_(second, right[1] * len(fake) / len(real), right[1]),
            name,
            "density is a mean over the fakes, not over the real items",
        )
        for label, value, wanted in (("coverage", first, right[0]), ("density", second, right[1])):
            require(abs(value - wanted) < 1e-9, name, f"{label} is {value:.4g} at k = {k}, expected {wanted:.4g}")
    passed(name)
