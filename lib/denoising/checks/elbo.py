"""Checks of notebook 1.2: the ELBO's weights in three units, and its terms for a denoiser that is not perfect."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from denoising.checks import missing, passed, require
from denoising.schedules import linear_betas

__all__ = ["check_elbo_terms", "check_elbo_weights"]


def check_elbo_weights(elbo_weights: Callable[[float, float], Any], *, strict: bool = False) -> None:
    """`elbo_weights(before, after)`: coef and the weights of the squared errors of x0, eps and v in L_{t-1}.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "elbo_weights"
    for before, after in ((0.9, 0.5), (0.98, 0.97), (0.2, 0.01)):
        got = elbo_weights(before, after)
        if missing(name, got, strict=strict):
            return
        _keys(name, got, ("coef", "x0", "eps", "v"))
        snr_before, snr = before / (1 - before), after / (1 - after)
        weight = 0.5 * (snr_before - snr)
        coef = math.sqrt(before) * (1 - after / before) / (1 - after)

        def is_(key: str, value: float, got: dict[str, Any] = got) -> bool:
            return abs(float(got[key]) - value) <= 1e-6 * abs(value)

        keep = math.sqrt(after / before) * (1 - before) / (1 - after)
        require(not is_("coef", keep), name, "coef: this is the weight of x_t; wanted that of x_0")
        require(
            not is_("coef", coef * math.sqrt(before)), name, "coef: the mean holds alpha, the root of alpha_bar at t-1"
        )
        require(
            not is_("coef", coef * math.sqrt(after / before)),
            name,
            "coef: take alpha at t-1, not at t; x_0 led to x_{t-1}",
        )
        require(not is_("x0", -weight), name, "x0: the signal restored is SNR at t-1 minus SNR at t, a positive number")
        require(not is_("x0", 2 * weight), name, "x0: the factor 1/2 of the Gaussian exponent is missing")
        require(
            snr == 1 or not is_("eps", weight * snr),
            name,
            "eps: an error of eps is sqrt(SNR) times that of x0, so its weight is the x0 weight divided by SNR",
        )
        require(
            not is_("eps", weight / math.sqrt(snr)) or snr == 1,
            name,
            "eps: errors are squared; divide by SNR, not by its root",
        )
        require(
            not is_("v", weight * (1 + snr)),
            name,
            "v: an error of v is the larger one, so its weight is the smaller one",
        )
        require(
            not is_("v", weight / math.sqrt(1 + snr)), name, "v: errors are squared; divide by 1 + SNR, not by its root"
        )
        for key, want in (("coef", coef), ("x0", weight), ("eps", weight / snr), ("v", weight / (1 + snr))):
            require(is_(key, want), name, f"{key} is {float(got[key]):.6g} at ({before}, {after}), expected {want:.6g}")
    passed(name)


def check_elbo_terms(elbo_terms: Callable[[Tensor, Tensor, Tensor, float], Any], *, strict: bool = False) -> None:
    """`elbo_terms(slopes, beta, var, c2)`: the three terms of -ELBO for the guess slopes * x_t, on data N(0, c2).

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "elbo_terms"
    # a hasty table, whose L_T is not small, and one that ends in noise
    for T, c2, beta in ((12, 4.0, linear_betas(12, 0.02, 0.3)), (10, 0.25, linear_betas(10, 0.01, 0.999))):
        perfect, true = _perfect(beta, c2)
        cases = {"perfect": (perfect, true), "blind": (0 * perfect, beta), "wrong": (0.7 * perfect + 0.1, beta)}
        ends = {}
        for case, (slopes, var) in cases.items():
            got = elbo_terms(slopes.clone(), beta.clone(), var.clone(), c2)
            if missing(name, got, strict=strict):
                return
            _keys(name, got, ("L_T", "L_steps", "L_0"))
            got = {key: float(got[key]) for key in ("L_T", "L_steps", "L_0")}
            ends[case] = got["L_T"]
            require(
                math.isfinite(got["L_steps"]),
                name,
                "L_steps is not finite: the sum runs over t = 2 ... T; at t = 1 the posterior variance is 0",
            )
            _compare(name, got, slopes, beta, var, c2, f"T = {T}, {case} slopes")
        require(max(ends.values()) - min(ends.values()) < 1e-9, name, "L_T moved with the slopes: no model is in it")
    passed(name)


def _keys(name: str, got: Any, keys: tuple[str, ...]) -> None:
    require(
        isinstance(got, dict) and set(got) == set(keys),
        name,
        f"expected a dictionary with the keys {', '.join(keys)}, got "
        + (", ".join(map(str, got)) if isinstance(got, dict) else type(got).__name__),
    )
    absent = [key for key in keys if got[key] is None or got[key] is ...]
    require(not absent, name, f"no value for {', '.join(absent)} yet")


def _posterior(beta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """alpha_bar, the weight of x_0, and the variance of the posterior, (T,) each."""
    left = torch.cumprod(1 - beta, 0)
    before = torch.cat([left.new_ones(1), left[:-1]])
    return left, before.sqrt() * beta / (1 - left), beta * (1 - before) / (1 - left)


def _perfect(beta: Tensor, c2: float) -> tuple[Tensor, Tensor]:
    """Slopes of the posterior mean, and the true reverse variance."""
    left, coef, small = _posterior(beta)
    marginal = left * c2 + 1 - left
    return left.sqrt() * c2 / marginal, small + coef**2 * c2 * (1 - left) / marginal


def _compare(name: str, got: dict[str, float], slopes: Tensor, beta: Tensor, var: Tensor, c2: float, case: str) -> None:
    left, coef, small = _posterior(beta)
    noise, signal = slopes**2 * (1 - left), c2 * (1 - slopes * left.sqrt()) ** 2
    miss, rho = signal + noise, small / var
    base = 0.5 * (rho - 1 - rho.log())[1:].sum()

    def steps(error: Tensor) -> float:
        return float(base + 0.5 * (error / var)[1:].sum())

    def is_(key: str, value: float) -> bool:
        return abs(got[key] - value) <= 1e-7 * max(1.0, abs(value))

    right = steps(coef**2 * miss)
    last = float(0.5 * (2 * math.pi * var[0]).log() + 0.5 * miss[0] / var[0])
    end = float(0.5 * (left[-1] * c2 - left[-1] - torch.log1p(-left[-1])))
    for key, value, truth, cause in (
        ("L_steps", steps(miss), right, "the means differ by coef times the error of x_0: coef^2 is missing"),
        ("L_steps", steps(coef * miss), right, "the error of the mean is squared, so coef is squared too"),
        ("L_steps", steps(coef**2 * signal), right, "E (x_0 - k x_t)^2 has a second part, k^2 sigma^2: x_t is noisy"),
        ("L_steps", steps(coef**2 * (signal + slopes**2 * (1 - left).sqrt())), right, "the noise has variance sigma^2"),
        ("L_steps", 2 * right, right, "the factor 1/2 is missing"),
        ("L_steps", right - float(base), right, "rho - 1 - ln(rho) is missing: the variances differ too"),
        ("L_steps", float(0.5 * ((1 / rho - 1 + rho.log())[1:].sum() + (coef**2 * miss / small)[1:].sum())), right,
         "this is the KL the other way round; q comes first"),
        ("L_steps", right / (len(beta) - 1), right, "a sum over steps, not a mean: every step is paid for"),
        ("L_0", float(0.5 * var[0].log() + 0.5 * miss[0] / var[0]), last, "a density has its 2 pi: ln(2 pi v)"),
        ("L_0", -last, last, "the sign: L_0 is minus the log-density"),
        ("L_0", float(0.5 * (2 * math.pi * var[0]).log()), last, "the squared error of the last guess is missing"),
        ("L_T", 0.0, end, "the end is not exactly the prior; write the KL out"),
    ):  # fmt: skip
        wrong_by = abs(value - truth)
        require(wrong_by < 1e-6 or not is_(key, value), name, f"{key}: {cause} ({case})")
    for key, want in (("L_T", end), ("L_steps", right), ("L_0", last)):
        require(is_(key, want), name, f"{key} is {got[key]:.8g}, expected {want:.8g} ({case})")
