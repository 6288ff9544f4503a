"""Checks of notebook 0.0: one sampling step by hand, and a control worth having."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from denoising.checks import missing, passed, require

__all__ = ["check_choice_of_control", "check_step"]


def check_step(step: Callable[..., Any], *, strict: bool = False) -> None:
    """`step(x, x0, alpha, sigma, alpha_s, sigma_s)`: keep the guess and the noise, change their scales.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "step"
    generator = torch.Generator().manual_seed(0)
    x0, eps = torch.randn((2, 3, 4), generator=generator, dtype=torch.float64)
    alpha, sigma, alpha_s, sigma_s = 0.6, 0.8, 0.96, 0.28
    x = alpha * x0 + sigma * eps
    given = x.clone(), x0.clone()
    got = step(x, x0, alpha, sigma, alpha_s, sigma_s)
    if missing(name, got, strict=strict):
        return
    untouched = torch.equal(x, given[0]) and torch.equal(x0, given[1])
    require(untouched, name, "your step changed x or x0 in place: the caller still needs them")
    require(isinstance(got, Tensor) and got.shape == x.shape, name, f"expected a tensor of shape {tuple(x.shape)}")

    def close(other: Tensor) -> bool:
        return torch.allclose(got, other, atol=1e-9)

    require(not close(x0), name, "you returned the guess itself; a step keeps some noise, sigma_s times the noise in x")
    require(not close(alpha_s * x0), name, "the noise is missing: add sigma_s times the noise that is in x")
    require(
        not close(alpha_s * x0 + sigma_s * x), name, "x still holds the picture: the noise is (x - alpha x0) / sigma"
    )
    require(
        not close(alpha_s * x0 + sigma_s * (x - alpha * x0)), name, "divide by sigma: the noise must have variance 1"
    )
    require(not close(alpha_s * x0 + sigma_s * (x - x0) / sigma), name, "x holds alpha * x0, not x0: subtract that")
    require(not close(x), name, "nothing changed: use the scales alpha_s and sigma_s of the new time")
    require(
        not close(sigma_s * x0 + alpha_s * eps), name, "scales swapped: alpha_s is of the guess, sigma_s of the noise"
    )
    back = alpha * x0 + sigma * (x - alpha_s * x0) / sigma_s
    require(not close(back), name, "times swapped: x has the scales alpha and sigma, the result alpha_s and sigma_s")
    require(not close(alpha_s * x0 - sigma_s * eps), name, "the noise has the wrong sign")
    want = alpha_s * x0 + sigma_s * eps
    require(close(want), name, f"off by up to {float((got - want).abs().max()):.3g} from alpha_s x0 + sigma_s eps")
    last = step(x, x0, alpha, sigma, 1.0, 0.0)
    require(torch.allclose(last, x0), name, "with alpha_s = 1 and sigma_s = 0 the step must end at the guess x0")
    exploding = step(x0 + 3.0 * eps, x0, 1.0, 3.0, 1.0, 0.5)  # alpha^2 + sigma^2 is not 1 in every schedule
    require(
        torch.allclose(exploding, x0 + 0.5 * eps), name, "take both scales as given: alpha^2 + sigma^2 need not be 1"
    )
    passed(name)


def check_choice_of_control(letter: Any, *, strict: bool = False) -> None:
    """Which broken variant shows that a judge's agreement means something: "a", "b" or "c".

    Raises:
        WrongAnswer: with the reason why the chosen variant shows nothing.
    """
    name = "control"
    if missing(name, letter, strict=strict):
        return
    chosen = letter.strip().lower() if isinstance(letter, str) else letter
    require(chosen in ("a", "b", "c"), name, f"answer a, b or c, got {letter!r}")
    require(chosen != "a", name, "another seed breaks nothing: it is a repetition, and should hold too")
    require(chosen != "c", name, "noise breaks the pictures too, not only their link to the labels")
    passed(name)
