"""Checks of notebook 2.2: the regression form of score matching, and gradient descent on a kernel from any start."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from denoising.checks import missing, passed, require
from denoising.rng import Rng

__all__ = ["check_from_start", "check_regression_form"]


def check_regression_form(regression_form: Callable[[float, float, float], Any], *, strict: bool = False) -> None:
    """`regression_form(alpha, sigma, c2)`: coefficients of f and x in the score, the weight, and the label noise.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "regression_form"
    for alpha, sigma, c2 in ((0.8, 0.6, 1.0), (1.0, 2.0, 0.3), (0.3, 0.9, 4.0)):
        got = regression_form(alpha, sigma, c2)
        if missing(name, got, strict=strict):
            return
        keys = ("f", "x", "weight", "noise")
        require(isinstance(got, dict) and set(got) == set(keys), name, f"expected a dictionary with {', '.join(keys)}")
        absent = [key for key in keys if got[key] is None or got[key] is ...]
        require(not absent, name, f"no value for {', '.join(absent)} yet")
        marginal = alpha**2 * c2 + sigma**2
        for key, wrong, cause in (
            ("f", alpha / sigma, "the score divides by the variance sigma^2, not by sigma"),
            ("f", 1 / sigma**2, "the guess of x_0 is scaled by alpha before x is taken off"),
            ("x", 1 / sigma**2, "the sign: the score points from x to alpha f"),
            ("x", -1 / sigma, "the score divides by the variance sigma^2, not by sigma"),
            ("weight", alpha**2 / sigma**4, "this is upside down: the weight must undo (alpha / sigma^2)^2"),
            ("weight", sigma**2 / alpha, "errors are squared, so the weight is the square of sigma^2 / alpha"),
            ("noise", 0.0, "no function of x_t knows x_0: the loss of the best one is the posterior variance, not 0"),
            ("noise", sigma**2, "this is Var(x_0 | x_t) for data of variance 1 with alpha^2 + sigma^2 = 1 only"),
            ("noise", alpha**2 * c2**2 / marginal, "this is the variance of the guess; wanted what it leaves over"),
            ("noise", marginal, "this is the variance of x_t; wanted that of x_0 given x_t"),
        ):
            truth = {
                "f": alpha / sigma**2,
                "x": -1 / sigma**2,
                "weight": sigma**4 / alpha**2,
                "noise": c2 * sigma**2 / marginal,
            }[key]
            tell = abs(wrong - truth) > 1e-6
            require(not tell or not abs(float(got[key]) - wrong) <= 1e-9, name, f"{key}: {cause}")
        for key, want in (
            ("f", alpha / sigma**2),
            ("x", -1 / sigma**2),
            ("weight", sigma**4 / alpha**2),
            ("noise", c2 * sigma**2 / marginal),
        ):
            value = float(got[key])
            case = f"alpha = {alpha}, sigma = {sigma}, c^2 = {c2}"
            right = math.isfinite(value) and abs(value - want) <= 1e-9 * abs(want)
            require(right, name, f"{key} is {value:.6g}, expected {want:.6g} ({case})")
    passed(name)


def check_from_start(from_start: Callable[[Tensor, Tensor, Tensor, float, int], Any], *, strict: bool = False) -> None:
    """`from_start(K, Y, F0, eta, tau)`: coefficients after tau steps of gradient descent from the values F0.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "from_start"
    root, Y, F0 = (
        torch.randn(shape, generator=Rng(seed), dtype=torch.float64)
        for seed, shape in enumerate(((12, 12), (12, 2), (12, 2)))
    )
    K = root @ root.T + 0.1 * torch.eye(12, dtype=torch.float64)
    eta = float(0.9 / torch.linalg.eigvalsh(K)[-1])
    for tau in (1, 7, 50):
        got = from_start(K.clone(), Y.clone(), F0.clone(), eta, tau)
        if missing(name, got, strict=strict):
            return
        require(isinstance(got, Tensor), name, f"expected a tensor, got {type(got).__name__}")
        require(got.shape == Y.shape, name, f"expected coefficients of shape {tuple(Y.shape)}, got {tuple(got.shape)}")
        want = _steps(K, Y - F0, eta, tau)
        for wrong, cause in (
            (_steps(K, Y, eta, tau), "the start is ignored: the residual begins at F0 - Y, not at -Y"),
            (_steps(K, Y + F0, eta, tau), "the sign of the start: what is left to learn is Y - F0"),
            (-want, "the sign: the coefficients move towards the labels"),
            (F0 + K @ want, "these are the fitted values F0 + K c; wanted the coefficients c"),
            (K @ want, "these are the changes of the fitted values, K c; wanted the coefficients c"),
            (F0 + want, "the start is a function of its own; it does not belong into the coefficients"),
            (_steps(K, Y - F0, eta, tau + 1), "this is one step too many: after 0 steps c is 0"),
            (_steps(K, Y - F0, eta, tau - 1), "this is one step too few"),
            (torch.linalg.solve(K, Y - F0), "this is the end of training; tau steps do not get there"),
            (torch.linalg.solve(K, Y - F0) - want, "this is what is still missing; wanted what was learned"),
        ):
            require(not torch.allclose(got, wrong.to(got), rtol=1e-9, atol=1e-9), name, f"{cause} (tau = {tau})")
        off = float((got - want).abs().max())
        require(off < 1e-8, name, f"{tau} honest steps give other coefficients, off by {off:.2g}")
    long = from_start(K.clone(), Y.clone(), F0.clone(), eta, 10**7)
    end = torch.linalg.solve(K, Y - F0)
    require(torch.allclose(long, end, rtol=1e-6), name, "after very many steps c should be K^-1 (Y - F0)")
    passed(name)


def _steps(K: Tensor, Y: Tensor, eta: float, tau: int) -> Tensor:
    c = torch.zeros_like(Y)
    for _ in range(tau):
        c = c - eta * (K @ c - Y)
    return c
