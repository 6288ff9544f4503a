"""Checks of notebook 4.4: guidance that stops by item, and the two-in-one target."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from denoising import samplers
from denoising.checks import missing, passed, require
from denoising.denoisers import Counted, Denoiser, from_x0
from denoising.exact import GaussianMixture
from denoising.guidance import Adaptive, ClassifierFree
from denoising.rng import Rng
from denoising.samplers.common import alpha_sigma_or_data
from denoising.schedules import Cosine, Schedule

__all__ = ["check_adaptive_guidance", "check_distill_target"]

Guess = Callable[[Tensor, float], Tensor]


def check_adaptive_guidance(
    adaptive_guidance: Callable[[Denoiser, Tensor, Tensor, Tensor, float, float], Any], *, strict: bool = False
) -> None:
    """`adaptive_guidance(denoiser, x, times, y, s, threshold)`: the end of DDIM and the evaluations of each item.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name, s, n, steps = "adaptive_guidance", 3.0, 40, 10
    ring = _ring()
    y, x = torch.arange(n) % 4, torch.randn((n, 2), generator=Rng(0).spawn("adaptive"), dtype=torch.float64)
    times = samplers.grid(ring.schedule, steps)
    for threshold in (2.0, -1.0, 0.9, 0.99):
        counted = Counted(ring)
        got = adaptive_guidance(counted, x.clone(), times.clone(), y.clone(), s, threshold)
        if missing(name, got, strict=strict):
            return
        require(isinstance(got, tuple) and len(got) == 2, name, "expected the pair (x, items)")
        end, items = got
        require(isinstance(end, Tensor) and end.shape == x.shape, name, f"x: expected a tensor {tuple(x.shape)}")
        require(isinstance(items, Tensor) and items.shape == (n,), name, f"items: one count for each of {n} items")
        items = items.long()
        if threshold > 1:
            require(bool((items == 2 * steps).all()), name, f"a cosine never reaches 2: all {steps} steps cost 2")
            plain = samplers.last(samplers.ddim(ClassifierFree(ring, s), x, times, y=y))
            require(_same(end, plain), name, "without a stop this is plain guidance; the mixture or the step is off")
            continue
        if threshold < 0:
            cause = "the first step decides for the second: one step of cost 2, the others of cost 1"
            require(bool((items == steps + 1).all()), name, f"{cause}; got {items.min()} to {items.max()}")
        other = Adaptive(ring, s, threshold=threshold)
        want = samplers.last(samplers.ddim(other, x, times, y=y))
        in_eps = Adaptive(ring, s, threshold=threshold, space="eps")
        samplers.last(samplers.ddim(in_eps, x, times, y=y))
        require(
            _alike(items, other.items) or not _alike(items, in_eps.items), name,
            "this is the cosine of the noises, which agree at pure noise; compare the guesses of x_0",
        )  # fmt: skip
        require(
            len(items.unique()) > 1 or len(other.items.unique()) == 1, name,
            "all items stop together: the switch is one for each item",
        )  # fmt: skip
        require(_alike(items, other.items), name, "items stop at other steps: one cosine of the x_0, and for good")
        require(_same(end, want), name, "the stops are right, the end is not: a stopped item follows its class alone")
        require(
            counted.items == int(items.sum()), name,
            f"{counted.items} rows were evaluated, {int(items.sum())} counted: a stopped item must leave the batch",
        )  # fmt: skip
    passed(name)


def check_distill_target(
    distill_target: Callable[[Guess, Schedule, Tensor, float, float, float], Any], *, strict: bool = False
) -> None:
    """`distill_target(guess, schedule, x, t, middle, end)`: the guess whose one step equals the teacher's two.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name, ring = "distill_target", _ring()
    schedule = ring.schedule
    x = torch.randn((30, 2), generator=Rng(1).spawn("target"), dtype=torch.float64)
    constant = torch.tensor([0.3, -1.2], dtype=torch.float64).expand_as(x)
    for guess, t, middle, end in (
        (lambda x, t: constant, 0.9, 0.7, 0.5), (ring, 1.0, 0.875, 0.75), (ring, 0.5, 0.3, 0.2), (ring, 0.5, 0.25, 0.0),
    ):  # fmt: skip
        got = distill_target(guess, schedule, x.clone(), t, middle, end)
        if missing(name, got, strict=strict):
            return
        require(isinstance(got, Tensor) and got.shape == x.shape, name, f"expected a tensor {tuple(x.shape)}")
        first = guess(x, t)
        half = _step(schedule, x, first, t, middle)
        second = guess(half, middle)
        want_end = _step(schedule, half, second, middle, end)
        landed, far = _step(schedule, x, got, t, end), f"for the step from {t:g} to {end:g}"
        if _same(landed, want_end):
            continue
        require(not _same(got, want_end), name, f"this is where the teacher lands; wanted: the guess; {far}")
        require(not _same(got, second), name, f"this is the teacher's second guess: right at end = 0 only; {far}")
        require(not _same(got, first), name, f"this is the teacher's first guess; {far}")
        require(not _same(got, (first + second) / 2), name, f"the mean of the two guesses lands elsewhere; {far}")
        stale = _step(schedule, half, guess(x, middle), middle, end)
        require(not _same(landed, stale), name, "the second guess is asked at the first state: move x first")
        if guess is not ring:
            require(False, name, "a teacher with one and the same guess at both steps: that guess is the target")
        off = float((landed - want_end).abs().max())
        require(False, name, f"one step with it lands {off:.3g} away from the teacher's two; {far}")
    passed(name)


def _ring() -> GaussianMixture:
    angle = torch.arange(8, dtype=torch.float64) * torch.pi / 4
    means = 2.5 * torch.stack([angle.cos(), angle.sin()], 1)
    covs = 0.04 * torch.eye(2, dtype=torch.float64).expand(8, 2, 2)
    return GaussianMixture(means, covs, classes=torch.arange(8) % 4, schedule=Cosine())


def _step(schedule: Schedule, x: Tensor, x0: Tensor, t: float, then: float) -> Tensor:
    """One DDIM step."""
    (alpha, sigma), (alpha_then, sigma_then) = schedule.alpha_sigma(t), alpha_sigma_or_data(schedule, then)
    return alpha_then * x0 + sigma_then * from_x0("eps", x0, x, alpha, sigma)


def _same(a: Tensor, b: Tensor) -> bool:
    return bool((a.double() - b.double()).abs().max() < 1e-8)


def _alike(a: Tensor, b: Tensor) -> bool:
    return bool((a == b).all())
