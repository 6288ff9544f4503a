"""Checks of notebook 5.2: the variance of an error difference under shared noise, and the draws a decision needs."""

import math
from collections.abc import Callable
from typing import Any

import torch

from denoising.checks import missing, passed, require
from denoising.rng import Rng

__all__ = ["check_draws_needed", "check_paired_var"]

SETTINGS = ((0.6, 0.8, 0.45, 3.0), (0.9, 0.436, 1.2, 1.0), (0.3, 0.954, 0.8, 9.0), (0.97, 0.243, 0.3, 0.5),
            (0.5, 0.866, 2.0, 2.0), (0.6, 0.5, 0.9, 2.0))  # fmt: skip


def check_paired_var(paired_var: Callable[[float, float, float, float], Any], *, strict: bool = False) -> None:
    """`paired_var(alpha, sigma, s, delta2)`: variance of the difference of two squared errors under shared noise.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "paired_var"
    for number, (alpha, sigma, s, delta2) in enumerate(SETTINGS):
        got = paired_var(alpha, sigma, s, delta2)
        if missing(name, got, strict=strict):
            return
        got = _number(name, got)
        V = alpha**2 * s**2 + sigma**2
        a, b = (alpha**2 * s**2 / V) ** 2, (alpha * sigma / V) ** 2
        want = 4 * a * b * delta2
        for value, cause in (
            (want / 2, "half of it: D holds the cross term twice, once with each sign"),
            (want / 4, "a quarter of it: the cross term of a square has a factor 2, and its variance a factor 4"),
            (math.sqrt(want), "this is the standard deviation"),
            (4 * a * b * math.sqrt(delta2), "delta2 is the squared distance already"),
            (4 * a * b * delta2**2, "delta2 is the squared distance already"),
            (4 * math.sqrt(a * b) * delta2, "the variance holds the square of the factor before the noise"),
            (want / a, "the noise in D is multiplied by sqrt(a) as well"),
            (want * V**2, "V to the fourth power: two factors 1/V each, squared"),
            (4 * alpha**6 * sigma**2 * s**2 * delta2 / V**4, "s to the fourth power: sqrt(a) holds s squared"),
        ):
            require(_same(value, want) or not _same(got, value), name, cause)
        for d in (1, 30):
            eps = torch.randn((20_000, d), generator=Rng(number), dtype=torch.float64)
            x, other = torch.zeros(d, dtype=torch.float64), torch.zeros(d, dtype=torch.float64)
            other[0] = math.sqrt(delta2)
            first, second = ((math.sqrt(a) * eps - math.sqrt(b) * (x - mu)).square().sum(1) for mu in (0 * x, other))
            sampled = float((second - first).var())
            require(abs(got / sampled - 1) < 0.05, name,
                    f"{got:.4g}, but {sampled:.4g} from 20,000 draws in {d} dimensions")  # fmt: skip
    passed(name)


def check_draws_needed(draws_needed: Callable[..., Any], *, strict: bool = False) -> None:
    """`draws_needed(margin, var, error, width=20.0)`: draws until a lead is lost with probability at most `error`.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "draws_needed"
    cases = ((2.0, 1.066, 0.01, 20.0), (1.0, 219.0, 0.05, 20.0), (0.5, 3.0, 0.001, 15.0), (3.0, 55.0, 0.1, 20.0))
    for margin, var, error, width in cases:
        got = draws_needed(margin, var, error, width)
        if missing(name, got, strict=strict):
            return
        got = _number(name, got)
        require(got == int(got), name, f"draws are whole numbers, got {got:g}")
        quantile = -_quantile(error)
        exact = var * (width * quantile / (2 * margin)) ** 2
        for value, cause in (
            (exact / var * math.sqrt(var), "var is the variance of D already"),
            (exact / var * var**2, "var is the variance of D, not its standard deviation"),
            (4 * exact, "the score is half the width times the mean error"),
            (exact / (width / 2) ** 2, "the width of the log-SNR is missing: a margin is in nats"),
            (math.sqrt(exact), "solve for N, not for its root"),
            (exact * (_quantile(error / 2) / quantile) ** 2, "one side: only a lost lead is wrong"),
            (exact * margin, "the margin enters squared"),
        ):
            require(math.ceil(value) == math.ceil(exact) or got not in (math.ceil(value), round(value)), name, cause)
        require(got != math.floor(exact), name, "round up: one draw less is not enough")
        require(got == math.ceil(exact), name,
                f"{got:g} draws for a margin of {margin:g}, expected {math.ceil(exact)}")  # fmt: skip
    require(_number(name, draws_needed(100.0, 0.01, 0.4)) == 1, name, "at least one draw")
    passed(name)


def _quantile(p: float) -> float:
    return float(torch.special.ndtri(torch.tensor(p, dtype=torch.float64)))


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-9 * abs(b)


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):
        number = math.nan
    require(math.isfinite(number), name, f"expected one finite number, got {type(value).__name__}")
    return number
