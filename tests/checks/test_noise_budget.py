"""The checks of notebook 5.2 accept the solution and name the cause of each planted mistake."""

import math

import pytest
import torch

from denoising.checks import WrongAnswer
from denoising.checks.noise_budget import check_draws_needed, check_paired_var


def variance(alpha, sigma, s, delta2):
    return 4 * alpha**6 * sigma**2 * s**4 * delta2 / (alpha**2 * s**2 + sigma**2) ** 4


def quantile(p):
    return float(torch.special.ndtri(torch.tensor(p, dtype=torch.float64)))


def exact(margin, var, error, width=20.0):
    return var * (width * quantile(error) / (2 * margin)) ** 2


def needed(*args):
    return max(1, math.ceil(exact(*args)))


def test_the_solutions_pass(capsys):
    check_paired_var(variance, strict=True)
    check_paired_var(lambda *args: torch.tensor(variance(*args)))
    check_draws_needed(needed, strict=True)
    assert capsys.readouterr().out == "[x] paired_var\n" * 2 + "[x] draws_needed\n"


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda a, sigma, s, q: variance(a, sigma, s, q) / 2, "half of it"),
        (lambda a, sigma, s, q: variance(a, sigma, s, q) / 4, "a quarter"),
        (lambda a, sigma, s, q: variance(a, sigma, s, q) ** 0.5, "standard deviation"),
        (lambda a, sigma, s, q: variance(a, sigma, s, q**0.5), "squared distance already"),
        (lambda a, sigma, s, q: variance(a, sigma, s, q**2), "squared distance already"),
        (
            lambda a, sigma, s, q: 4 * a**3 * sigma * s**2 * q / (a**2 * s**2 + sigma**2) ** 2,
            "the square of the factor",
        ),
        (lambda a, sigma, s, q: 4 * a**2 * sigma**2 * q / (a**2 * s**2 + sigma**2) ** 2, r"by sqrt\(a\) as well"),
        (lambda a, sigma, s, q: variance(a, sigma, s, q) * (a**2 * s**2 + sigma**2) ** 2, "fourth power: two"),
        (lambda a, sigma, s, q: variance(a, sigma, s, q) / s**2, "s to the fourth power"),
        (lambda a, sigma, s, q: variance(a, sigma, s, q) * 30, "draws in 1 dimensions"),
        (lambda *_: "many", "one finite number"),
        (lambda *_: math.nan, "one finite number"),
    ],
)
def test_wrong_variances_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_paired_var(answer)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda m, v, e, w=20.0: max(1, math.ceil(exact(m, v**0.5, e, w))), "variance of D already"),
        (lambda m, v, e, w=20.0: max(1, math.ceil(exact(m, v**2, e, w))), "not its standard deviation"),
        (lambda m, v, e, w=20.0: max(1, math.ceil(4 * exact(m, v, e, w))), "half the width"),
        (lambda m, v, e, w=20.0: max(1, math.ceil(exact(m, v, e, 2.0))), "the width of the log-SNR is missing"),
        (lambda m, v, e, w=20.0: max(1, math.ceil(exact(m, v, e, w) ** 0.5)), "not for its root"),
        (lambda m, v, e, w=20.0: max(1, math.ceil(exact(m, v, e / 2, w))), "one side"),
        (lambda m, v, e, w=20.0: max(1, math.ceil(m * exact(m, v, e, w))), "the margin enters squared"),
        (lambda m, v, e, w=20.0: max(1, math.floor(exact(m, v, e, w))), "round up"),
        (lambda m, v, e, w=20.0: exact(m, v, e, w), "whole numbers"),
        (lambda m, v, e, w=20.0: 3 * needed(m, v, e, w), "expected"),
        (lambda m, v, e, w=20.0: math.ceil(exact(m, v, e, w)) if exact(m, v, e, w) > 1 else 0, "at least one draw"),
    ],
)
def test_wrong_budgets_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_draws_needed(answer)
