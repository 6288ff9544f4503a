"""The checks of notebook 0.0 accept the solution, wait for an answer, and name the mistake in a wrong one."""

import math

import pytest

from denoising.checks import WrongAnswer
from denoising.checks.welcome import check_choice_of_control, check_step


def step(x, x0, alpha, sigma, alpha_s, sigma_s):
    """The solution of exercise 1."""
    return alpha_s * x0 + sigma_s * (x - alpha * x0) / sigma


def in_place(x, x0, alpha, sigma, alpha_s, sigma_s):
    x -= alpha * x0
    x /= sigma
    return alpha_s * x0 + sigma_s * x


def sigma_of_alpha(x, x0, alpha, sigma, alpha_s, sigma_s):
    """Right only where alpha^2 + sigma^2 = 1."""
    return step(x, x0, alpha, math.sqrt(max(1 - alpha**2, 1e-12)), alpha_s, sigma_s)


STEP_MISTAKES = [
    (lambda x, x0, a, s, a2, s2: x0, "the guess itself"),
    (lambda x, x0, a, s, a2, s2: a2 * x0, "the noise is missing"),
    (lambda x, x0, a, s, a2, s2: a2 * x0 + s2 * x, "x still holds the picture"),
    (lambda x, x0, a, s, a2, s2: a2 * x0 + s2 * (x - a * x0), "divide by sigma"),
    (lambda x, x0, a, s, a2, s2: a2 * x0 + s2 * (x - x0) / s, "subtract that"),
    (lambda x, x0, a, s, a2, s2: x, "nothing changed"),
    (lambda x, x0, a, s, a2, s2: a * x0 + s * (x - a * x0) / s, "nothing changed"),
    (lambda x, x0, a, s, a2, s2: s2 * x0 + a2 * (x - a * x0) / s, "scales swapped"),
    (lambda x, x0, a, s, a2, s2: step(x, x0, a2, s2, a, s), "times swapped"),
    (lambda x, x0, a, s, a2, s2: a2 * x0 - s2 * (x - a * x0) / s, "wrong sign"),
    (lambda x, x0, a, s, a2, s2: a2 * x0 + s2**2 * (x - a * x0) / s, "off by up to"),
    (lambda x, x0, a, s, a2, s2: a2 * x0 + s2 * (x - a * x0) / s**2, "off by up to"),
    (lambda x, x0, a, s, a2, s2: a * x0 + s2 * (x - a * x0) / s, "off by up to"),  # the old alpha
    (lambda x, x0, a, s, a2, s2: a2 * x0 + s * (x - a * x0) / s, "off by up to"),  # the old sigma
    (lambda x, x0, a, s, a2, s2: a2**0.5 * x0 + s2 * (x - a * x0) / s, "off by up to"),
    (lambda x, x0, a, s, a2, s2: step(x, x0, a, s, a2, s2) * float("nan"), "off by up to nan"),
    (lambda x, x0, a, s, a2, s2: a2 * x0 + math.sqrt(1 - a2**2) * (x - a * x0) / s, r"take both scales as given"),
    (sigma_of_alpha, "take both scales as given"),
    (in_place, "in place"),
    (lambda x, x0, a, s, a2, s2: step(x, x0, a, s, a2, s2).sum(), "expected a tensor of shape"),
    (lambda x, x0, a, s, a2, s2: 0.5, "expected a tensor of shape"),
]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "answer",
    [step, lambda x, x0, a, s, a2, s2: s2 / s * x + (a2 - s2 * a / s) * x0],  # the same line, multiplied out
)
def test_step_accepts(answer, strict, capsys):
    check_step(answer, strict=strict)
    assert capsys.readouterr().out == "[x] step\n"


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("wrong", "cause"), STEP_MISTAKES)
def test_step_names_the_mistake(wrong, cause, strict, capsys):
    with pytest.raises(WrongAnswer, match=cause):
        check_step(wrong, strict=strict)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("letter", ["b", "B", " b "])
def test_control_accepts(letter, strict, capsys):
    check_choice_of_control(letter, strict=strict)
    assert capsys.readouterr().out == "[x] control\n"


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("letter", "cause"),
    [
        ("a", "a repetition"),
        ("C", "breaks the pictures too"),
        ("d", "answer a, b or c, got 'd'"),
        ("", "answer a, b or c"),
        (2, "answer a, b or c, got 2"),
    ],
)
def test_control_names_the_mistake(letter, cause, strict, capsys):
    with pytest.raises(WrongAnswer, match=cause):
        check_choice_of_control(letter, strict=strict)
    assert capsys.readouterr().out == ""
