"""Checks of notebook 2.1: Vincent's equivalence in numbers, and an estimate of a trace with its standard error."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from denoising.checks import missing, passed, require
from denoising.rng import Rng

__all__ = ["check_hutchinson_trace", "check_vincent"]

PROBES = 400
KEYS = ("dsm", "esm", "constant", "floor")


def check_vincent(vincent: Callable[[float, float, float, float], Any], *, strict: bool = False) -> None:
    """`vincent(a, c2, alpha, sigma)`: both losses of the field a x_t on data N(0, c2), their difference, and the floor.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "vincent"
    for a, c2, alpha, sigma in ((-0.7, 1.0, 1.0, 0.5), (0.4, 4.0, 0.6, 0.8), (-2.0, 0.25, 0.8, 0.3)):
        got = vincent(a, c2, alpha, sigma)
        if missing(name, got, strict=strict):
            return
        require(
            isinstance(got, dict) and set(got) == set(KEYS),
            name,
            f"expected a dictionary with the keys {', '.join(KEYS)}, got "
            + (", ".join(map(str, got)) if isinstance(got, dict) else type(got).__name__),
        )
        absent = [key for key in KEYS if got[key] is None or got[key] is ...]
        require(not absent, name, f"no value for {', '.join(absent)} yet")
        _compare(name, {key: float(got[key]) for key in KEYS}, a, c2, alpha, sigma)
    passed(name)


def check_hutchinson_trace(hutchinson_trace: Callable[..., Any], *, strict: bool = False) -> None:
    """`hutchinson_trace(f, x, kind, n, generator)`: mean and standard error of n probes for each item, (B,) each.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "hutchinson_trace"
    matrix = torch.tensor([[1.0, 2.0, 0.0], [-0.5, 3.0, 1.0], [1.0, 0.5, -2.0]], dtype=torch.float64)
    symmetric = (matrix + matrix.T) / 2
    both = float(2 * symmetric.square().sum())  # variance of v^T A v: normal probes, then signs
    scatter = {"gaussian": math.sqrt(both), "signs": math.sqrt(both - float(2 * symmetric.diagonal().square().sum()))}
    x = torch.linspace(-1.0, 1.0, 18, dtype=torch.float64).view(6, 3)
    for kind in ("signs", "gaussian"):
        got = hutchinson_trace(lambda z: z @ matrix.T, x.clone(), kind, PROBES, Rng(0))
        if missing(name, got, strict=strict):
            return
        mean, se = _pair(name, got, len(x))
        _linear(name, kind, mean, se, float(matrix.trace()), scatter, symmetric)
    mean, se = _pair(name, hutchinson_trace(lambda z: z**3, x.clone(), "signs", 20, Rng(1)), len(x))
    truth = 3 * x.square().sum(1)
    require(
        bool((mean - truth).abs().max() < 1e-9 and se.max() < 1e-9),
        name,
        "signs on a diagonal Jacobian, f(x) = x**3: each probe gives the trace itself, with error 0; "
        f"got {float(mean[0]):.4g} with error {float(se[0]):.2g} for {float(truth[0]):.4g}",
    )
    passed(name)


def _compare(name: str, got: dict[str, float], a: float, c2: float, alpha: float, sigma: float) -> None:
    spread = alpha**2 * c2 + sigma**2
    want = {"dsm": a * a * spread + 2 * a + sigma**-2, "esm": a + a * a * spread / 2}
    want |= {"constant": sigma**-2 / 2, "floor": sigma**-2 - 1 / spread}
    flat = alpha * c2 + sigma**2
    case = f"a = {a:g}, c2 = {c2:g}, alpha = {alpha:g}, sigma = {sigma:g}"
    for key, value, cause in (
        ("dsm", a * a * spread + sigma**-2, "the cross term is missing: x_t holds eps, so s and eps are correlated"),
        ("dsm", a * a * spread - 2 * a + sigma**-2, "the sign of the cross term; the target is minus eps / sigma"),
        ("dsm", a * a * spread + 2 * a * sigma + 1, "this is the loss times sigma^2 in part; the target is -eps/sigma"),
        ("dsm", sigma**2 * want["dsm"], "this is sigma^2 times the loss; the target is -eps / sigma, not -eps"),
        ("dsm", want["dsm"] / 2, "without the factor 1/2, as equation (4) has it"),
        ("dsm", a * a * (c2 + sigma**2) + 2 * a + sigma**-2, "x_t = alpha x_0 + sigma eps: alpha is missing"),
        ("dsm", a * a * flat + 2 * a + sigma**-2, "a variance takes alpha squared"),
        ("esm", a + a * a * c2 / 2, "the mean runs over noisy points x_t, not over clean data"),
        ("esm", a * a * spread / 2, "the trace term is missing: without it s = 0 would be best"),
        ("esm", a + a * a * spread, "the factor 1/2 of the square is missing"),
        ("esm", a + a * a * (c2 + sigma**2) / 2, "x_t = alpha x_0 + sigma eps: alpha is missing"),
        ("esm", a + a * a * flat / 2, "a variance takes alpha squared"),
        ("constant", sigma**-2, "take half of dsm, minus esm"),
        ("constant", want["dsm"] - want["esm"], "take half of dsm, minus esm; what is left must not depend on a"),
        ("constant", sigma**-1 / 2, "E eps^2 / sigma^2: the target is squared, and sigma with it"),
        ("floor", 0.0, "noise cannot be guessed from x_t, so the best field does not reach 0"),
        ("floor", sigma**-2, "that is the loss of s = 0; the best slope does better"),
        ("floor", sigma**-2 - 1 / (c2 + sigma**2), "x_t = alpha x_0 + sigma eps: alpha is missing"),
        ("floor", -1 / spread, "this is the best slope a; wanted the loss there"),
        ("floor", -1 / (2 * spread), "this is the least esm; wanted the least dsm"),
    ):
        told_apart = abs(value - want[key]) > 1e-6  # two formulas may agree by chance, as where alpha is 1
        require(not (told_apart and abs(got[key] - value) < 1e-7), name, f"{key}: {cause} ({case})")
    for key in KEYS:
        ok = abs(got[key] - want[key]) <= 1e-7 * max(1.0, abs(want[key]))
        require(ok, name, f"{key} is {got[key]:.8g}, expected {want[key]:.8g} ({case})")


def _pair(name: str, got: Any, batch: int) -> tuple[Tensor, Tensor]:
    require(isinstance(got, tuple | list) and len(got) == 2, name, f"expected (mean, se), got {type(got).__name__}")
    mean, se = (torch.as_tensor(part).detach().double() for part in got)
    for label, part in (("mean", mean), ("se", se)):
        require(
            part.shape == (batch,),
            name,
            f"{label}: expected one number for each of {batch} items, got shape {tuple(part.shape)}; "
            "sum over coordinates, average over probes, keep the batch",
        )
        require(bool(torch.isfinite(part).all()), name, f"{label} is not finite")
    return mean, se


def _linear(
    name: str, kind: str, mean: Tensor, se: Tensor, trace: float, scatter: dict[str, float], symmetric: Tensor
) -> None:
    """Six items with the same Jacobian: the estimates must scatter as the theory of this kind of probe says."""
    right = scatter[kind] / math.sqrt(PROBES)

    def near(part: Tensor, value: float) -> bool:
        return abs(float(part.mean()) / value - 1) < 0.25

    require(float(mean.std()) > 1e-9, name, f"{kind}: all items got one probe; draw one for each item, shaped like x")
    other = "signs" if kind == "gaussian" else "gaussian"
    for value, cause in (
        (scatter[kind], "this is the scatter of one probe; the mean of n of them errs by 1 / sqrt(n) of it"),
        (scatter[kind] ** 2, "this is a variance; take the root, and divide it by sqrt(n)"),
        (scatter[kind] ** 2 / PROBES, "this is the variance of the mean; its root is the standard error"),
        (scatter[kind] / PROBES, "divide by sqrt(n), not by n"),
        (scatter[other] / math.sqrt(PROBES), f"these scatter like {other} probes"),
    ):
        require(not near(se, value), name, f"se ({kind}): {cause}")
    summed = abs(float(mean.mean()) / PROBES - trace) < 4 * right / math.sqrt(len(mean))
    require(not summed, name, f"mean ({kind}): this is a sum over probes; average them")
    for value, cause in (
        (trace / 3, "a third of the trace in 3 dimensions: probes of length 1, or a mean over coordinates?"),
        (float((symmetric @ symmetric).trace()), "this is the trace of J J; one product with J is enough"),
        (float(symmetric.sum()), "this is the sum of all entries of J: the probes are not independent signs"),
        (3 + trace, "v^T (x + J v)? the trace is that of J alone"),
    ):
        close = abs(float(mean.mean()) - value) < 4 * right / math.sqrt(len(mean)) and abs(value - trace) > 8 * right
        require(not close, name, f"mean ({kind}): {cause}")
    off = float((mean.mean() - trace).abs()) * math.sqrt(len(mean)) / right
    require(
        off < 5, name, f"mean ({kind}) is {float(mean.mean()):.4g}, expected {trace:.4g}: {off:.0f} standard errors"
    )
    require(near(se, right), name, f"se ({kind}) is {float(se.mean()):.3g}, expected about {right:.3g}")
