"""Checks of notebook 1.1: the SNR of an averaged picture, and a table rescaled to another number of steps."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from denoising.checks import WrongAnswer, missing, passed, require
from denoising.schedules import cosine_betas, linear_betas

__all__ = ["check_pooled_snr", "check_rescale_betas"]


def check_pooled_snr(pooled_snr: Callable[[float, int], Any], *, strict: bool = False) -> None:
    """`pooled_snr(snr, k)`: SNR after averaging blocks of k x k pixels that carry one grey value each.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "pooled_snr"
    got = pooled_snr(0.5, 2)
    if missing(name, got, strict=strict):
        return
    got = _number(name, got)
    require(abs(got - 0.5) > 1e-9, name, "your formula changes nothing: the noise of k^2 pixels partly cancels")
    require(abs(got - 1.0) > 1e-9, name, "got a factor k: a variance falls with the number of pixels k^2, not with k")
    require(abs(got - 0.125) > 1e-9, name, "got the inverse: averaging leaves less noise, so the SNR rises")
    require(abs(got - 8.0) > 1e-9, name, "got a factor k^4: the standard deviation falls by k, its square by k^2")
    alone = _number(name, pooled_snr(3.0, 1))
    require(abs(alone - 3.0) < 1e-9, name, f"blocks of one pixel change nothing, but pooled_snr(3.0, 1) is {alone:g}")
    for snr, k, want in ((0.5, 2, 2.0), (0.01, 8, 0.64), (2.0, 3, 18.0)):
        got = _number(name, pooled_snr(snr, k))
        require(abs(got - want) < 1e-9 * want, name, f"pooled_snr({snr}, {k}) is {got:g}, expected {want:g}")
    passed(name)


def check_rescale_betas(rescale_betas: Callable[[Tensor, int], Any], *, strict: bool = False) -> None:
    """`rescale_betas(betas, T)`: a table of T steps that has lost as much of the picture at every fraction of the way.

    T divides the old number of steps, so the answer is exact. A tolerance of 5 % would let an error of one row pass:
    at the end of the linear table one row is 2 % of alpha_bar.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "rescale_betas"
    for betas, steps in ((linear_betas(1000), 100), (linear_betas(1000), 50), (cosine_betas(1000), 250)):
        got = rescale_betas(betas.clone(), steps)
        if missing(name, got, strict=strict):
            return
        require(isinstance(got, Tensor), name, f"expected a tensor, got {type(got).__name__}")
        require(got.shape == (steps,), name, f"expected shape ({steps},), got {tuple(got.shape)}")
        require(got.dtype == torch.float64, name, f"expected float64 as the input has, got {got.dtype}")
        every = len(betas) // steps
        alpha_bar = torch.cumprod(1 - betas, 0)
        want = alpha_bar[every - 1 :: every]  # at the end of each new step
        for slip, cause in _slips(betas, alpha_bar, every, steps):
            require(not torch.allclose(got, slip, rtol=1e-6, atol=1e-12), name, cause)
        require(bool(((got > 0) & (got < 1)).all()), name, "betas must lie in (0, 1)")
        have = torch.cumprod(1 - got, 0)
        off = (have / want - 1).abs()
        worst = int(off.argmax())
        require(
            bool(off[worst] < 1e-6),
            name,
            f"alpha_bar at new step {worst + 1} of {steps} is {float(have[worst]):.3g}, "
            f"the old table has {float(want[worst]):.3g} at that fraction of the way",
        )
    passed(name)


def _number(name: str, got: Any) -> float:
    try:
        number = float(got)
    except (TypeError, ValueError, RuntimeError):
        raise WrongAnswer(f"{name}: expected one number, got {got!r}") from None
    require(math.isfinite(number), name, f"expected a finite number, got {number}")
    return number


def _slips(betas: Tensor, alpha_bar: Tensor, every: int, steps: int) -> list[tuple[Tensor, str]]:
    """Answers that people give, and what is wrong with them."""

    def table(ends: Tensor, before: Tensor) -> Tensor:
        return 1 - ends / torch.cat([before, ends[:-1]])

    whole = torch.cat([alpha_bar.new_ones(1), alpha_bar])  # alpha_bar_0 = 1 in front
    ends, one = whole[every::every], whole[:1]
    blocks = betas.view(steps, every)
    cut = "you cut the table: its first steps leave most of the picture"
    sparse = "you kept every n-th beta; each new step must do the work of several old ones: multiply their (1 - beta)"
    added = "the betas of several steps do not add up: multiply their (1 - beta)"
    range_only = "the same range of beta in fewer steps adds less noise: it is alpha_bar that must agree"
    no_clean = "the clean picture stands before the first step: put alpha_bar = 1 there, not the first value you kept"
    shifted = "index 0 is the end of old step 1, not of the first new step: start at index every - 1"
    early = "your rows are one old step early: with alpha_bar = 1 put in front, new step n ends at index n * every"
    return [
        (betas[:steps], cut),
        (betas[every - 1 :: every], sparse),
        (betas[::every], sparse),
        (blocks.sum(1), added),
        (every * betas[every - 1 :: every], added),
        (every * betas[::every], added),
        (torch.linspace(float(betas[0]), float(betas[-1]), steps, dtype=betas.dtype), range_only),
        (ends, "these are values of alpha_bar, wanted the betas between them"),
        (ends / torch.cat([one, ends[:-1]]), "these are the factors 1 - beta, wanted beta"),
        (1 - ends, "you kept 1 - alpha_bar: that is the noise of the whole way, not of one step"),
        (table(ends.sqrt(), one), "a ratio of sqrt(alpha_bar) is sqrt(1 - beta): take the ratio of alpha_bar"),
        (table(ends, ends[:1]), no_clean),
        (table(whole[1::every], one), shifted),
        (table(whole[every - 1 :: every][:steps], one), early),
    ]
