"""The checks of notebook 1.5 accept the solution and name the cause of each planted mistake."""

import math

import pytest
import torch

from denoising.checks import WrongAnswer
from denoising.checks.sde import check_preconditioning, check_translate
from denoising.schedules import EDM


def scales(alpha, sigma, c):
    total = (alpha * c) ** 2 + sigma**2
    return {"skip": alpha * c**2 / total, "out": sigma * c / math.sqrt(total), "in": 1 / math.sqrt(total)}


def changed(key, change):
    """The right scales with one of them changed by a function of (right value, alpha, sigma, c)."""

    def answer(alpha, sigma, c):
        right = scales(alpha, sigma, c)
        return {**right, key: change(right[key], alpha, sigma, c)}

    return answer


def karras(alpha, sigma, c):
    """Equation (9) of the notebook with sigma as it is."""
    return scales(1.0, sigma, c)


def column(scale, x):
    return scale.view(-1, *[1] * (x.ndim - 1))


def translate(x, t, source, target):
    s = target.t_of_sigma_edm(source.sigma_edm(t))
    return x * column(target.alpha(s) / source.alpha(t), x), s


def test_the_solutions_pass(capsys):
    check_preconditioning(scales, strict=True)
    check_preconditioning(lambda *a: {key: torch.tensor(value).double() for key, value in scales(*a).items()})
    check_translate(translate, strict=True)
    check_translate(lambda *a: list(translate(*a)), strict=True)
    assert capsys.readouterr().out == 2 * "[x] preconditioning\n" + 2 * "[x] translate\n"


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (changed("skip", lambda v, a, s, c: v / a), "one alpha is missing"),
        (changed("skip", lambda v, a, s, c: karras(a, s, c)["skip"]), "for alpha = 1"),
        (changed("skip", lambda v, a, s, c: karras(a, s / a, c)["skip"]), "multiplies x_t / alpha"),
        (changed("skip", lambda v, a, s, c: 0.0), "minimise out over skip"),
        (changed("skip", lambda v, a, s, c: 1 / a), "leaves the noise in"),
        (changed("out", lambda v, a, s, c: v / c), "factor c is missing"),
        (changed("out", lambda v, a, s, c: v**2), "out is its root"),
        (changed("out", lambda v, a, s, c: v / math.sqrt((a * c) ** 2 + s**2)), "enters with its root"),
        (changed("out", lambda v, a, s, c: a * v), "which has no alpha"),
        (changed("out", lambda v, a, s, c: karras(a, s, c)["out"]), "for alpha = 1"),
        (changed("out", lambda v, a, s, c: -v), "positive"),
        (changed("in", lambda v, a, s, c: v**2), "needs the root"),
        (changed("in", lambda v, a, s, c: 1 / v), "do not multiply"),
        (changed("in", lambda v, a, s, c: v * a), "right for x_t / alpha"),
        (changed("in", lambda v, a, s, c: karras(a, s, c)["in"]), "for alpha = 1"),
        (changed("in", lambda v, a, s, c: 1.5 * v), "in is"),
        (changed("skip", lambda v, a, s, c: ...), "no value for skip yet"),
        (karras, "for alpha = 1"),
        (lambda *a: tuple(scales(*a).values()), "a dictionary"),
        (lambda *a: {"skip": 1.0}, "got skip"),
    ],
)
def test_wrong_scales_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_preconditioning(answer)


def scaled(factor):
    """The right time, and x times a function of (source, target, old time, new time)."""

    def answer(x, t, source, target):
        s = translate(x, t, source, target)[1]
        return x * column(factor(source, target, t, s), x), s

    return answer


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (scaled(lambda a, b, t, s: 1 + 0 * t), "still has the source's size"),
        (scaled(lambda a, b, t, s: 1 / a.alpha(t)), "this is y|still has"),
        (scaled(lambda a, b, t, s: a.alpha(t) / b.alpha(s)), "divide by the source's alpha and multiply"),
        (scaled(lambda a, b, t, s: a.alpha(t) * b.alpha(s)), "shrinks the picture twice|multiply by the target's"),
        (scaled(lambda a, b, t, s: b.alpha_bar(s) / a.alpha_bar(t)), "root of alpha_bar"),
        (scaled(lambda a, b, t, s: b.sigma(s) / a.sigma(t) * (1 + 1e-3 * t)), "x is off"),
        (scaled(lambda a, b, t, s: b.alpha(t) / a.alpha(t)), "at the new time|this is y"),
        (scaled(lambda a, b, t, s: b.alpha(s[0]) / a.alpha(t[0]) + 0 * t), "each item has its own t"),
        (lambda x, t, a, b: (translate(x, t, a, b)[0], t), "another time"),
        (lambda x, t, a, b: (translate(x, t, a, b)[0], a.sigma_edm(t)), "ask the target for its time"),
        (lambda x, t, a, b: (translate(x, t, a, b)[0], column(translate(x, t, a, b)[1], x[..., None])), "shapes"),
        (lambda x, t, a, b: (translate(x, t, a, b)[0], translate(x, t, a, b)[1].float()), "t is off|there and back"),
        (
            lambda x, t, a, b: (x * b.alpha(translate(x, t, a, b)[1]) / a.alpha(t), translate(x, t, a, b)[1]),
            "dimension",
        ),
        (lambda x, t, a, b: translate(x, t, a, b)[0], "two tensors"),
    ],
)
def test_wrong_translations_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_translate(answer)


def test_two_wrong_factors_that_cancel_do_not_pass():
    def answer(x, t, source, target):
        y, s = translate(x, t, source, target)
        return (y * 2 if isinstance(target, EDM) else y / 2), s

    with pytest.raises(WrongAnswer, match="x is off"):
        check_translate(answer)


def test_a_crash_that_is_not_about_shapes_stays_a_crash():
    def answer(x, t, source, target):
        raise RuntimeError("of another kind")

    with pytest.raises(RuntimeError, match="another kind"):
        check_translate(answer)
