"""Checks of notebook 4.1: three variances of guidance, its score and its tilted law, and Langevin steps."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from denoising.checks import missing, passed, require

__all__ = ["check_langevin", "check_score_and_tilt", "check_variances"]

PARTS = ("the tilt", "the ODE", "the SDE")
NORMAL = 0.5 * math.log(2 * math.pi)


def check_variances(variances: Callable[[float, float, float], Any], *, strict: bool = False) -> None:
    """`variances(a, b, s)`: variances of the tilt, the guided ODE and the guided SDE, for N(0, a) and N(0, b).

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "variances"
    for a, b, s in ((2.0, 1.0, 1.0), (2.0, 1.0, 0.8), (2.0, 1.0, 2.2), (3.0, 0.4, 2.7), (1.0, 1.5, 1.6)):
        answer = variances(a, b, s)
        if missing(name, answer, strict=strict):
            return
        require(isinstance(answer, tuple | list) and len(answer) == 3, name, "expected three numbers: tilt, ODE, SDE")
        if missing(name, ... if any(part is None or part is ... for part in answer) else 0, strict=strict):
            return
        got, want = [float(part) for part in answer], _variances(a, b, s)
        case = f"a = {a:g}, b = {b:g}, s = {s:g}"
        shifted, swapped = _variances(a, b, s + 1), _variances(a, b, 1 - s)
        for part, value, right, other, turned in zip(PARTS, got, want, shifted, swapped, strict=True):
            require(
                math.isfinite(value) and value > 0, name, f"{part}: expected a number above 0, got {value} ({case})"
            )
            if _close(value, right):
                continue
            require(not _close(value, other), name, f"{part}: s + 1 in place of s; s = 1 is plain sampling ({case})")
            require(not _close(value, turned), name, f"{part}: a and b are swapped, as if s were 1 - s ({case})")
            require(not _close(value, right**0.5), name, f"{part}: this is the standard deviation ({case})")
            require(not _close(value, right**2), name, f"{part}: x follows sqrt(H), so its variance follows H ({case})")
            require(not _close(value, want[0]), name, f"{part}: this is the tilt's; no sampler reaches it ({case})")
            require(not _close(value, want[1]), name, f"{part}: this is the ODE's; fresh noise widens it ({case})")
            require(False, name, f"{part}: got {value:.4g}, wanted {right:.4g} ({case})")
    passed(name)


def check_score_and_tilt(
    score_and_tilt: Callable[[Tensor, Tensor, Tensor, Tensor, float], Any], *, strict: bool = False
) -> None:
    """`score_and_tilt(score_c, score_u, logp, logpost, s)`: the guided score, and the weights of p(x) p(y|x)^s.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name, empty = "score_and_tilt", torch.zeros((4, 1), dtype=torch.float64)
    answer = score_and_tilt(empty, empty, empty[:, 0], empty[:, 0], 2.0)
    if missing(name, answer, strict=strict):
        return
    require(isinstance(answer, tuple | list) and len(answer) == 2, name, "expected two tensors: the score, the weights")
    if missing(name, ... if any(part is None or part is ... for part in answer) else 0, strict=strict):
        return
    _guided_score(name, lambda c, u, s: score_and_tilt(c, u, empty[:, 0], empty[:, 0], s)[0])
    _tilted_weights(name, lambda logp, logpost, s: score_and_tilt(empty, empty, logp, logpost, s)[1])
    passed(name)


def check_langevin(langevin: Callable[..., Any], *, strict: bool = False) -> None:
    """`langevin(score, x, h, steps, generator)`: Langevin steps of size h, which leave the law of that score alone.

    The last part is the predictor-corrector view: between the steps of the guided ODE of the pair N(0, 2), N(0, 1) they
    move the variance from 2^(1-s) towards 2 / (s + 1).

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "langevin"
    generator = torch.Generator().manual_seed(0)
    start = torch.randn((20_000, 1), generator=generator, dtype=torch.float64)
    for v, h, steps in ((0.5, 0.05, 4), (0.5, 0.05, 100), (3.0, 0.1, 0)):
        got = langevin(lambda x, v=v: -x / v, start.clone(), h, steps, torch.Generator().manual_seed(1))
        if missing(name, got, strict=strict):
            return
        require(isinstance(got, Tensor) and got.shape == start.shape, name, f"expected shape {tuple(start.shape)}")
        require(bool(torch.isfinite(got).all()), name, "not finite: the step goes along the score, not against it")
        var, want = float(got.var()), _walked(v, h, steps)
        for wrong, cause in (
            (_walked(v, h, steps, noise=h), "the noise has variance h: a step h of the drift needs 2h"),
            (_walked(v, h, steps, noise=4 * h * h), "the noise is 2h or h, not its root: variances add"),
            (_walked(v, h, steps, noise=0.0), "no noise: this is a climb to the mode"),
            (_walked(v, h, steps, drift=0.0), "no score: this is a random walk"),
            (_walked(v, h, steps, drift=-1.0), "the step goes along the score, not against it"),
            (_walked(v, h, 1 if steps else 0), "one step, whatever `steps` says"),
        ):
            require(abs(wrong - want) < 0.08 * want or abs(var - wrong) > 0.04 * wrong, name, cause)
        require(abs(var - want) < 0.04 * want, name, f"variance {var:.3f} after {steps} steps, wanted {want:.3f}")
    ends = [_corrected(langevin, steps, start) for steps in (0, 1, 8)]
    require(ends[0] < ends[1] < ends[2], name, f"with more steps the variance must grow, got {ends}")
    require(abs(ends[2] - 0.4) < 0.04, name, f"many steps a level should end near 2 / (s + 1) = 0.4, got {ends[2]:.3f}")
    passed(name)


def _guided_score(name: str, cfg_score: Callable[[Tensor, Tensor, float], Any]) -> None:
    """The guided score, in the convention of the course."""
    generator = torch.Generator().manual_seed(0)
    given, any_class = torch.randn((2, 40, 3), generator=generator, dtype=torch.float64)
    for s in (1.0, 0.0, 3.5, -2.0):
        got = cfg_score(given.clone(), any_class.clone(), s)
        require(isinstance(got, Tensor) and got.shape == given.shape, name, f"expected shape {tuple(given.shape)}")
        want = any_class + s * (given - any_class)
        for wrong, cause in (
            (given + s * (given - any_class), "this is the (1 + w) convention; here w = s - 1, and s = 1 is plain"),
            (given + s * (any_class - given), "the two scores are swapped: s = 1 must give score_c, s = 0 score_u"),
            (any_class + s * given, "score_c is no classifier gradient; that is the difference of the scores"),
            (s * given, "without score_u this is a lower temperature: it shrinks every law, and shifts none"),
        ):
            require(_same(wrong, want) or not _same(got, wrong), name, f"{cause} (s = {s:g})")
        off = float((got - want).abs().max())
        require(_same(got, want), name, f"off by {off:.3g} at s = {s:g}")


def _tilted_weights(name: str, tilt_on_grid: Callable[[Tensor, Tensor, float], Any]) -> None:
    """Weights of p(x) p(y|x)^s on a grid of equal steps, (G,), sum 1."""
    x = torch.linspace(-9, 9, 1801, dtype=torch.float64)
    logp = torch.logsumexp(torch.stack([-((x - 1) ** 2) / 2, -((x + 1) ** 2) / 2]), 0) - NORMAL - math.log(2)
    soft = torch.nn.functional.logsigmoid(2 * x)
    hard = torch.where(x > 0, 0.0, -torch.inf).double()
    for kind, logpost, s in (("soft", soft, 1.0), ("soft", soft, 4.0), ("hard", hard, 2.0), ("far", soft - 900, 2.0)):
        got = tilt_on_grid(logp.clone(), logpost.clone(), s)
        require(isinstance(got, Tensor) and got.shape == x.shape, name, f"expected {len(x)} weights, one a point")
        require(bool(torch.isfinite(got).all()), name,
                f"{kind} labels: not finite: subtract the largest exponent before exp, or use softmax")  # fmt: skip
        require(bool((got >= 0).all()), name, "a weight is negative: are these still logarithms?")
        want = (logp + s * logpost).softmax(0)
        total = float(got.sum())
        require(abs(total - 1) < 1e-6, name, f"the weights sum to {total:.4g}, not 1")
        for wrong, cause in (
            ((logp + (s + 1) * logpost).softmax(0), "s + 1 in place of s: at s = 1 the tilt is p(x|y)"),
            ((s * (logp + logpost)).softmax(0), "p(x) is not raised to s; that would be a lower temperature"),
            ((s * logpost).softmax(0), "p(x) is missing"),
            ((logp + logpost).softmax(0), "s has no effect"),
        ):
            require(_near(wrong, want) or not _near(got, wrong), name, f"{cause} ({kind} labels, s = {s:g})")
        off = float((got - want).abs().max() / want.max())
        require(_near(got, want), name, f"off by {off:.3g} of the peak ({kind} labels, s = {s:g})")


def _variances(a: float, b: float, s: float) -> tuple[float, float, float]:
    tilt = (1 - s) / a + s / b
    ratio = (2 * s - 1) * (a - b)
    return 1 / tilt, a ** (1 - s) * b**s, (a * b - a ** (2 - 2 * s) * b ** (2 * s)) / ratio


def _walked(v: float, h: float, steps: int, *, drift: float = 1.0, noise: float | None = None) -> float:
    """Variance after Langevin steps on N(0, v), from variance 1."""
    var, noise = 1.0, 2 * h if noise is None else noise
    for _ in range(steps):
        var = (1 - drift * h / v) ** 2 * var + noise
    return var


def _corrected(langevin: Callable[..., Any], steps: int, start: Tensor, s: float = 4.0) -> float:
    """Variance at the end of the guided ODE of the pair, with `steps` Langevin steps at each of 40 noise levels."""
    generator = torch.Generator().manual_seed(2)
    sigmas = torch.logspace(1.5, -1.5, 41, dtype=torch.float64).tolist()
    x = start * sigmas[0]
    for before, sigma in pairwise(sigmas):
        x = x * (_flow(sigma, s) / _flow(before, s)) ** 0.5
        stiff = (1 - s) / (2 + sigma**2) + s / (1 + sigma**2)
        x = langevin(lambda x, stiff=stiff: -stiff * x, x, 0.1 / stiff, steps, generator)
    return float(x.var())


def _flow(sigma: float, s: float) -> float:
    """What the variance of the guided ODE is proportional to."""
    return (2 + sigma**2) ** (1 - s) * (1 + sigma**2) ** s


def _close(a: float, b: float) -> bool:
    return abs(a - b) < 1e-6 * abs(b)


def _same(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() < 1e-9)


def _near(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() < 1e-6 * b.max())
