"""The checks of notebook 4.1 accept the solution and name the cause of each planted mistake."""

import math

import pytest
import torch

from denoising.checks import WrongAnswer
from denoising.checks.exact_guidance import check_langevin, check_score_and_tilt, check_variances


def variances(a, b, s, *, shift=0.0):
    s = s + shift
    sde = (a * b - a ** (2 - 2 * s) * b ** (2 * s)) / ((2 * s - 1) * (a - b))
    return 1 / ((1 - s) / a + s / b), a ** (1 - s) * b**s, sde


def cfg(given, any_class, s):
    return any_class + s * (given - any_class)


def tilt(logp, logpost, s):
    return torch.softmax(logp + s * logpost, 0)


def langevin(score, x, h, steps, generator, *, drift=1.0, noise=2**0.5):
    for _ in range(steps):
        x = x + drift * h * score(x) + noise * math.sqrt(h) * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x


def root_of_two_h(score, x, h, steps, generator):
    for _ in range(steps):
        x = x + h * score(x) + 2 * h * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x


CHECKS = (
    (check_variances, variances, "variances"),
    (check_score_and_tilt, lambda c, u, p, y, s: (cfg(c, u, s), tilt(p, y, s)), "score_and_tilt"),
    (check_langevin, langevin, "langevin"),
)


@pytest.mark.parametrize(("check", "answer", "name"), CHECKS)
def test_the_solutions_pass(check, answer, name, capsys):
    check(answer, strict=True)
    assert capsys.readouterr().out == f"[x] {name}\n"


def test_a_part_that_is_missing_is_missing(capsys):
    check_variances(lambda a, b, s: (variances(a, b, s)[0], ..., ...))
    check_score_and_tilt(lambda c, u, p, y, s: (cfg(c, u, s), None))
    assert capsys.readouterr().out == "[ ] variances: not attempted yet\n[ ] score_and_tilt: not attempted yet\n"


def test_one_tensor_is_not_two():
    with pytest.raises(WrongAnswer, match="two tensors"):
        check_score_and_tilt(lambda c, u, p, y, s: cfg(c, u, s))


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda a, b, s: variances(a, b, s, shift=1.0), r"s \+ 1 in place of s"),
        (lambda a, b, s: variances(b, a, s), "swapped"),
        (lambda a, b, s: tuple(v**0.5 for v in variances(a, b, s)), "standard deviation"),
        (lambda a, b, s: (variances(a, b, s)[0], variances(a, b, s)[1] ** 2, 1.0), r"follows sqrt\(H\)"),
        (lambda a, b, s: (variances(a, b, s)[0],) * 3, "the ODE: this is the tilt's"),
        (lambda a, b, s: (*variances(a, b, s)[:2], variances(a, b, s)[1]), "the SDE: this is the ODE's"),
        (lambda a, b, s: (2 / (s + 1), 2 ** (1 - s), (2 - 2 ** (2 - 2 * s)) / (2 * s - 1)), "a = 3, b = 0.4"),
        (lambda a, b, s: variances(a, b, s)[:2], "three numbers"),
        (lambda a, b, s: (-1.0, 1.0, 1.0), "above 0"),
    ],
)
def test_wrong_variances_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_variances(answer)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda c, u, s: c + s * (c - u), r"\(1 \+ w\) convention"),
        (lambda c, u, s: cfg(u, c, s), "swapped"),
        (lambda c, u, s: u + s * c, "no classifier gradient"),
        (lambda c, u, s: s * c, "lower temperature"),
        (lambda c, u, s: u - s * (c - u), "off by"),
        (lambda c, u, s: cfg(c, u, s).sum(), "expected shape"),
    ],
)
def test_wrong_scores_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_score_and_tilt(lambda c, u, p, y, s: (answer(c, u, s), tilt(p, y, s)))


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda p, y, s: tilt(p, y, s + 1), r"s \+ 1 in place of s"),
        (lambda p, y, s: torch.softmax(s * (p + y), 0), r"p\(x\) is not raised"),
        (lambda p, y, s: torch.softmax(s * y, 0), r"p\(x\) is missing"),
        (lambda p, y, s: tilt(p, y, 1), "s has no effect"),
        (lambda p, y, s: torch.exp(p + s * y), "sum to"),
        (lambda p, y, s: torch.exp(p + s * y) / torch.exp(p + s * y).sum(), "far labels: not finite"),
        (lambda p, y, s: torch.log_softmax(p + s * y.clamp(min=-50), 0), "negative"),
        (lambda p, y, s: torch.softmax(p - s * y.clamp(min=-50), 0), "off by"),
        (lambda p, y, s: tilt(p, y, s)[1:], "one a point"),
    ],
)
def test_wrong_tilts_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_score_and_tilt(lambda c, u, p, y, s: (cfg(c, u, s), answer(p, y, s)))


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda *a: langevin(*a, noise=1.0), "needs 2h"),
        (root_of_two_h, "not its root"),
        (lambda *a: langevin(*a, noise=0.0), "climb to the mode"),
        (lambda *a: langevin(*a, drift=0.0), "random walk"),
        (lambda *a: langevin(*a, drift=-1.0), "not against it"),
        (lambda score, x, h, steps, g: langevin(score, x, h, min(steps, 1), g), "one step"),
        (lambda *a: langevin(*a, noise=1.6), "wanted"),
        (lambda *a: langevin(*a).mean(), "expected shape"),
    ],
)
def test_wrong_steps_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_langevin(answer)
