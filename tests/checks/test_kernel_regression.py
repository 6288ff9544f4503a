"""The checks of notebook 2.2 accept the solution and name the cause of each planted mistake."""

import pytest
import torch

from denoising.checks import WrongAnswer
from denoising.checks.kernel_regression import check_from_start, check_regression_form


def form(alpha, sigma, c2):
    return {
        "f": alpha / sigma**2,
        "x": -1 / sigma**2,
        "weight": sigma**4 / alpha**2,
        "noise": c2 * sigma**2 / (alpha**2 * c2 + sigma**2),
    }


def changed(key, change):
    """The right answer with one entry replaced by a function of (alpha, sigma, c2)."""
    return lambda alpha, sigma, c2: {**form(alpha, sigma, c2), key: change(alpha, sigma, c2)}


def descend(K, Y, F0, eta, tau):
    values, vectors = torch.linalg.eigh(K)
    share = -torch.expm1(tau * torch.log1p(-eta * values))
    return vectors @ ((share / values)[:, None] * (vectors.T @ (Y - F0)))


def test_the_solutions_pass(capsys):
    check_regression_form(form, strict=True)
    check_from_start(descend, strict=True)
    assert capsys.readouterr().out == "[x] regression_form\n[x] from_start\n"


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (changed("f", lambda a, s, c: a / s), "divides by the variance"),
        (changed("f", lambda a, s, c: 1 / s**2), "scaled by alpha"),
        (changed("x", lambda a, s, c: 1 / s**2), "sign"),
        (changed("x", lambda a, s, c: -1 / s), "divides by the variance"),
        (changed("weight", lambda a, s, c: a**2 / s**4), "upside down"),
        (changed("weight", lambda a, s, c: s**2 / a), "errors are squared"),
        (changed("weight", lambda a, s, c: s**2), "weight is"),
        (changed("noise", lambda a, s, c: 0.0), "posterior variance, not 0"),
        (changed("noise", lambda a, s, c: s**2), "data of variance 1"),
        (changed("noise", lambda a, s, c: a**2 * c**2 / (a**2 * c + s**2)), "variance of the guess"),
        (changed("noise", lambda a, s, c: a**2 * c + s**2), "variance of x_t"),
        (changed("noise", lambda a, s, c: float("nan")), "noise is nan"),
        (changed("noise", lambda a, s, c: None), "no value for noise"),
        (lambda a, s, c: (1, 2, 3, 4), "expected a dictionary"),
    ],
)
def test_wrong_forms(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_regression_form(answer)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda K, Y, F0, eta, tau: descend(K, Y, 0 * F0, eta, tau), "the start is ignored"),
        (lambda K, Y, F0, eta, tau: descend(K, Y, -F0, eta, tau), "the sign of the start"),
        (lambda K, Y, F0, eta, tau: -descend(K, Y, F0, eta, tau), "the sign: "),
        (lambda K, Y, F0, eta, tau: F0 + K @ descend(K, Y, F0, eta, tau), "fitted values F0"),
        (lambda K, Y, F0, eta, tau: K @ descend(K, Y, F0, eta, tau), "changes of the fitted"),
        (lambda K, Y, F0, eta, tau: F0 + descend(K, Y, F0, eta, tau), "a function of its own"),
        (lambda K, Y, F0, eta, tau: descend(K, Y, F0, eta, tau + 1), "one step too many"),
        (lambda K, Y, F0, eta, tau: descend(K, Y, F0, eta, tau - 1), "one step too few"),
        (lambda K, Y, F0, eta, tau: torch.linalg.solve(K, Y - F0), "the end of training"),
        (lambda K, Y, F0, eta, tau: torch.linalg.solve(K, Y - F0) - descend(K, Y, F0, eta, tau), "still missing"),
        (lambda K, Y, F0, eta, tau: descend(K, Y, F0, eta, tau)[:, 0], "shape"),
        (lambda K, Y, F0, eta, tau: 0.99 * descend(K, Y, F0, eta, tau), "honest steps give other"),
        (lambda K, Y, F0, eta, tau: descend(K, Y, F0, eta, min(tau, 1000)), "K.-1"),
        (lambda K, Y, F0, eta, tau: 3.0, "expected a tensor"),
    ],
)
def test_wrong_descents(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_from_start(answer)
