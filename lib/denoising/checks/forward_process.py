"""Checks of notebook 1.1: the SNR of an averaged picture, and a table rescaled to another number of steps."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from denoising.checks import missing, passed, require
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
    got = float(got)
    require(got != 0.5, name, "averaging changed nothing in your formula: the noise of k^2 pixels partly cancels")
    require(abs(got - 1.0) > 1e-9, name, "got a factor k: a variance falls with the number of pixels k^2, not with k")
    require(abs(got - 0.125) > 1e-9, name, "got the inverse: averaging leaves less noise, so the SNR rises")
    require(abs(got - 8.0) > 1e-9, name, "got a factor k^4: the standard deviation falls by k, its square by k^2")
    for snr, k, want in ((0.5, 2, 2.0), (3.0, 1, 3.0), (0.01, 8, 0.64), (2.0, 3, 18.0)):
        got = float(pooled_snr(snr, k))
        require(abs(got - want) < 1e-9 * want, name, f"pooled_snr({snr}, {k}) is {got:g}, expected {want:g}")
    passed(name)


def check_rescale_betas(rescale_betas: Callable[[Tensor, int], Any], *, strict: bool = False) -> None:
    """`rescale_betas(betas, T)`: a table of T steps that has lost as much of the picture at every fraction of the way.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "rescale_betas"
    for betas, steps in ((linear_betas(1000), 100), (linear_betas(1000), 50), (cosine_betas(1000), 250)):
        got = rescale_betas(betas.clone(), steps)
        if missing(name, got, strict=strict):
            return
        require(isinstance(got, Tensor) and got.shape == (steps,), name, f"expected a tensor of shape ({steps},)")
        require(got.dtype == torch.float64, name, f"expected float64 as the input has, got {got.dtype}")
        # alpha_bar at the end of each new step, against the old table at the same fraction of the way
        want = torch.cumprod(1 - betas, 0)[len(betas) // steps - 1 :: len(betas) // steps]
        require(not torch.allclose(got, want, rtol=1e-6), name, "these are values of alpha_bar, wanted the betas between them")
        require(
            not torch.equal(got, betas[:steps]), name, "you cut the table: its first steps leave most of the picture"
        )
        require(
            not torch.allclose(got, betas[len(betas) // steps - 1 :: len(betas) // steps], rtol=1e-6),
            name,
            "you kept every n-th beta; each new step must do the work of several old ones: multiply their (1 - beta)",
        )
        require(bool(((got > 0) & (got < 1)).all()), name, "betas must lie in (0, 1)")
        off = (torch.cumprod(1 - got, 0) / want - 1).abs()
        require(
            bool(off[-1] < 0.05),
            name,
            f"alpha_bar at the end is {float(torch.cumprod(1 - got, 0)[-1]):.2g}, the old table ends at {float(want[-1]):.2g}",
        )
        require(
            bool(off.max() < 0.05), name, f"alpha_bar is off by {float(off.max()):.0%} at step {int(off.argmax()) + 1}"
        )
    passed(name)
