"""The checks of notebook 4.2 accept the solution and name the cause of each planted mistake."""

import pytest
import torch

from denoising import metrics
from denoising.checks import WrongAnswer
from denoising.checks.image_guidance import check_branches, check_choose_strength, check_guided_eps


def branches(a, w_a, b, w_b, *, null=-1.0, label=0.0):
    slope = (b - a) / (w_b - w_a)
    return a + (null - w_a) * slope, a + (label - w_a) * slope


def guided(null, label, gradient, sigma, s, c, *, power=1, sign=-1.0):
    return null + s * (label - null) + sign * c * sigma.view(-1, 1, 1, 1) ** power * gradient


def choose(features, strengths, reference, validation, *, by=True, tell=False, pick=min):
    def distances(rows):
        return [metrics.frechet_distance(part, reference) for part in features[:, rows]]

    choosing = distances(validation if by else ~validation)
    place = choosing.index(pick(choosing))
    return strengths[place], distances(validation if tell else ~validation)[place]


def everything(features, strengths, reference, validation):
    return choose(features, strengths, reference, torch.ones_like(validation), by=True, tell=True)


def second_choice(features, strengths, reference, validation):
    rest = [metrics.frechet_distance(part, reference) for part in features[:, ~validation]]
    return choose(features, strengths, reference, validation)[0], min(rest)


def test_the_solutions_pass(capsys):
    check_branches(branches, strict=True)
    check_branches(lambda *a: list(branches(*a)))
    check_guided_eps(guided, strict=True)
    check_guided_eps(lambda n, y, g, sigma, s, c: (1 - s) * n + s * y - c * torch.einsum("b,bchw->bchw", sigma, g))
    check_choose_strength(choose, strict=True)
    out = capsys.readouterr().out
    assert out == "[x] branches\n" * 2 + "[x] guided_eps\n" * 2 + "[x] choose_strength\n"


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda *a: branches(*a)[::-1], "wrong order"),
        (lambda *a: branches(*a, null=0.0, label=1.0), "takes w for s: the class alone"),
        (lambda *a: branches(*a, null=1.0, label=0.0), "1 - s for s"),
        (lambda *a: branches(*a, null=-2.0, label=-1.0), "one too low"),
        (lambda a, w_a, b, w_b: (a - (1 + w_a) * (b - a), a - w_a * (b - a)), "divide by w_b - w_a"),
        (lambda a, w_a, b, w_b: (a, b), "wrong for w = 0.5"),
        (lambda *a: branches(*a)[0], "expected two tensors"),
        (lambda *a: tuple(part[:1] for part in branches(*a)), "expected the shape"),
    ],
)
def test_wrong_branches_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_branches(answer)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda *a: guided(*a, sign=1.0), "the sign"),
        (lambda *a: guided(*a, power=0), "sigma is missing"),
        (lambda *a: guided(*a, power=2), "sigma once, not squared"),
        (lambda n, y, g, sigma, s, c: guided(n, y, g, sigma / (1 - sigma**2).sqrt(), s, c), "no alpha here"),
        (lambda n, y, g, sigma, s, c: guided(n, y + n, g, sigma, s, c), "s multiplies the difference"),
        (lambda n, y, g, sigma, s, c: guided(n, y, g, sigma, s + 1, c), r"the \(1 \+ w\) convention"),
        (lambda n, y, g, sigma, s, c: guided(n, y, g, sigma, s, s * c), "do not multiply it by s"),
        (lambda n, y, g, sigma, s, c: guided(n, y, g, sigma, s, c + 0.1), "off by"),
        (lambda n, y, g, sigma, s, c: n.sum() + 0 * sigma, r"expected shape \(3, 1, 2, 2\)"),
        (lambda n, y, g, sigma, s, c: 3.0, "expected a tensor"),
    ],
)
def test_wrong_noises_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_guided_eps(answer)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda *a: choose(*a, tell=True), "too kind"),
        (lambda *a: choose(*a, by=False), "rows that were to judge it"),
        (lambda *a: choose(*a, by=False, tell=True), "two parts are swapped"),
        (lambda *a: choose(*a, pick=max), "largest distance"),
        (everything, "all rows chose and judged|holds the rows that chose"),
        (second_choice, "a second choice"),
        (lambda *a: (choose(*a)[0], choose(*a)[1] + 1), "distance"),
        (lambda *a: (0.5, 0.0), "not its place"),
        (lambda *a: choose(*a)[0], "two numbers"),
    ],
)
def test_wrong_choices_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_choose_strength(answer)
