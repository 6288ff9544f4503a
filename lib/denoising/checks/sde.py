"""Checks of notebook 1.5: preconditioning in any coordinates, and the change of variables between schedules."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from denoising.checks import missing, passed, require
from denoising.rng import Rng
from denoising.schedules import EDM, Cosine, Linear, Schedule

__all__ = ["check_preconditioning", "check_translate"]


def check_preconditioning(preconditioning: Callable[[float, float, float], Any], *, strict: bool = False) -> None:
    """`preconditioning(alpha, sigma, c)`: the scales skip, out and in for x_t = alpha x_0 + sigma eps.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "preconditioning"
    for alpha, sigma, c in ((0.8, 0.6, 1.0), (0.5, 1.3, 0.4), (1.0, 7.0, 2.0), (0.9, 0.05, 0.5)):
        got = preconditioning(alpha, sigma, c)
        if missing(name, got, strict=strict):
            return
        keys = ("skip", "out", "in")
        require(
            isinstance(got, dict) and set(got) == set(keys),
            name,
            "expected a dictionary with the keys skip, out and in, got "
            + (", ".join(map(str, got)) if isinstance(got, dict) else type(got).__name__),
        )
        absent = [key for key in keys if got[key] is None or got[key] is ...]
        require(not absent, name, f"no value for {', '.join(absent)} yet")
        total = (alpha * c) ** 2 + sigma**2
        level = sigma / alpha
        edm = c**2 + level**2
        right = {"skip": alpha * c**2 / total, "out": sigma * c / math.sqrt(total), "in": 1 / math.sqrt(total)}
        for key, value, cause in (
            ("skip", c**2 / total, "one alpha is missing: the best line through (x_t, x_0) has slope Cov / Var"),
            ("skip", c**2 / edm, "this is equation (9) at sigma / alpha; it multiplies x_t / alpha, not x_t"),
            ("skip", c**2 / (c**2 + sigma**2), "this is equation (9) as it stands, for alpha = 1"),
            ("skip", 0.0, "without a skip the target's variance is not bounded; minimise out over skip"),
            ("skip", 1 / alpha, "this leaves the noise in; it is the limit of no noise. Minimise out over skip"),
            ("out", sigma / math.sqrt(total), "the factor c is missing: the target has the unit of x_0"),
            ("out", (sigma * c) ** 2 / total, "this is the variance of the target; out is its root"),
            ("out", sigma * c / total, "the variance of x_t enters with its root"),
            ("out", sigma * c / math.sqrt(c**2 + sigma**2), "this is equation (9) as it stands, for alpha = 1"),
            ("out", alpha * sigma * c / math.sqrt(total), "out multiplies an error of x_0, which has no alpha"),
            ("out", -right["out"], "the sign of F is free, but out is a scale: positive"),
            ("in", 1 / total, "unit variance needs the root of the variance of x_t"),
            ("in", math.sqrt(total), "divide by the spread of x_t, do not multiply"),
            ("in", 1 / math.sqrt(edm), "this is equation (9) at sigma / alpha: right for x_t / alpha, not for x_t"),
            ("in", 1 / math.sqrt(c**2 + sigma**2), "this is equation (9) as it stands, for alpha = 1"),
        ):
            slip = not _near(value, right[key]) and _near(got[key], value)
            require(not slip, name, f"{key}: {cause} (alpha {alpha}, sigma {sigma}, c {c})")
        for key in keys:
            case = f"at alpha {alpha}, sigma {sigma}, c {c}"
            require(
                _near(got[key], right[key]), name, f"{key} is {float(got[key]):.6g} {case}, expected {right[key]:.6g}"
            )
    passed(name)


def check_translate(translate: Callable[[Tensor, Tensor, Schedule, Schedule], Any], *, strict: bool = False) -> None:
    """`translate(x, t, source, target)`: the same x_0 + sigma_edm eps in another schedule's coordinates.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "translate"
    vp, ve, pairs = Linear(), EDM(sigma_max=160.0), []
    for source, target, shape in (
        (vp, ve, (5,)),
        (ve, vp, (5, 2)),
        (vp, Cosine(), (4, 1, 3, 3)),
        (Cosine(), ve, (4, 4)),
    ):
        t = source.t_of_sigma_edm(torch.logspace(1.5, -1, shape[0], dtype=torch.float64))
        s = target.t_of_sigma_edm(source.sigma_edm(t))
        x0, eps = torch.randn((2, *shape), generator=Rng(15).spawn(*shape), dtype=torch.float64)
        column = [-1, *[1] * (len(shape) - 1)]
        (alpha, sigma), (alpha_s, sigma_s) = (
            [scale.view(column) for scale in schedule.alpha_sigma(time)]
            for schedule, time in ((source, t), (target, s))
        )
        x, want = alpha * x0 + sigma * eps, alpha_s * x0 + sigma_s * eps
        case = f"for x of shape {shape}, {type(source).__name__} to {type(target).__name__}"
        answer = _call(name, translate, x.clone(), t.clone(), source, target, case)
        if missing(name, answer, strict=strict):
            return
        got, time = _pair(name, answer, x, case)
        for had, right, slip, cause in (
            (got, want, x, "x: the picture in it still has the source's size alpha"),
            (got, want, x / alpha, "x: this is y; the target has its own alpha, by which to multiply"),
            (got, want, x * alpha / alpha_s, "x: divide by the source's alpha and multiply by the target's"),
            (got, want, x * alpha * alpha_s, "x: divide by the source's alpha; multiplying shrinks the picture twice"),
            (got, want, x * (alpha_s / alpha) ** 2, "x: take alpha, the root of alpha_bar"),
            (got, want, x * sigma_s / sigma, "x: this keeps the size of the noise, not of the picture"),
            (got, want, x * target.alpha(t).view(column) / alpha, "x: take the target's alpha at the new time"),
            (time, s, t, "t: the same level has another time in the target"),
            (time, s, source.sigma_edm(t), "t: this is the noise level; ask the target for its time"),
        ):
            caught = not _same(slip, right) and _same(had, slip)
            require(not caught, name, f"{cause} ({case})")
        for label, had, right in (("x", got, want), ("t", time, s)):
            worst = float((had - right).abs().max())
            require(_same(had, right), name, f"{label} is off by {worst:.3g} {case}; each item has its own t")
        pairs.append((x, t, source, target, got, time, case))
    for x, t, source, target, got, time, case in pairs:  # after all: one way alone may hide a wrong factor
        again = _pair(name, translate(got, time, target, source), x, case)
        worst = max(float((a - b).abs().max()) for a, b in zip(again, (x, t), strict=True))
        require(worst <= 1e-12, name, f"there and back is off by {worst:.3g} {case}; keep float64, and do not round")
    passed(name)


def _near(got: Any, want: float) -> bool:
    return abs(float(got) - want) <= 1e-6 * abs(want)


def _same(got: Tensor, want: Tensor) -> bool:
    return bool(((got - want).abs() <= 1e-9 * want.abs().clamp(min=1)).all())


def _call(
    name: str, answer: Callable[..., Any], x: Tensor, t: Tensor, source: Schedule, target: Schedule, case: str
) -> Any:
    """The answer; a clash of shapes is the learner's forgotten dimension, not a crash."""
    try:
        return answer(x, t, source, target)
    except RuntimeError as error:
        require("size" not in str(error), name, f"alpha has shape (B,); give it one dimension for each of x's {case}")
        raise


def _pair(name: str, answer: Any, x: Tensor, case: str) -> tuple[Tensor, Tensor]:
    two = isinstance(answer, tuple | list) and len(answer) == 2 and all(isinstance(one, Tensor) for one in answer)
    require(two, name, f"expected two tensors, got {type(answer).__name__}")
    shapes = [tuple(one.shape) for one in answer]
    wanted = [tuple(x.shape), (len(x),)]
    require(
        shapes == wanted, name, f"expected shapes {wanted[0]} and {wanted[1]}, got {shapes[0]} and {shapes[1]} {case}"
    )
    return answer[0], answer[1]
