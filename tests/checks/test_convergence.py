"""The checks of notebook 1.4 accept a right answer and name the cause of a wrong one."""

import math

import pytest
import torch

from denoising.checks import WrongAnswer
from denoising.checks.convergence import check_measured_order, check_noise_step, check_parabola_guess


def noise_step(x, eps, alpha, alpha_s, sigma_s, h):
    return alpha_s / alpha * x - sigma_s * math.expm1(h) * eps


def measured_order(errors, steps):
    x, y = (torch.tensor(values, dtype=torch.float64).log() for values in (steps, errors))
    return -((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()


def parabola(now, before, first, h, *, mean=None, mean2=None, shift=1.0, factor=1.0, sign=1.0):
    w = -math.expm1(-h)
    u = (h - w) / w if mean is None else mean(h)
    u2 = (h**2 - 2 * h + 2 * w) / w if mean2 is None else mean2(h)
    a, c = (now - before) / h, (now - 2 * before + first) / (2 * h**2)
    return now + sign * a * u + factor * c * (u2 + shift * h * u)


RIGHT = [
    (check_noise_step, noise_step),
    (check_measured_order, measured_order),
    (check_measured_order, lambda e, n: float(measured_order(e, n))),
    (check_parabola_guess, parabola),
]


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_a_right_answer_passes(check, answer, capsys):
    check(answer)
    check(answer, strict=True)
    assert capsys.readouterr().out.startswith("[x]")


@pytest.mark.parametrize("check", [check_noise_step, check_measured_order, check_parabola_guess])
@pytest.mark.parametrize("nothing", [None, ...])
def test_no_answer_is_soft_unless_strict(check, nothing, capsys):
    check(lambda *_: nothing)
    assert capsys.readouterr().out.startswith("[ ]")
    with pytest.raises(WrongAnswer, match="no answer yet"):
        check(lambda *_: nothing, strict=True)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda x, e, a, a_s, s_s, h: a_s / a * x, "noise is missing"),
        (lambda x, e, a, a_s, s_s, h: a_s / a * x + s_s * math.expm1(h) * e, "wrong sign"),
        (lambda x, e, a, a_s, s_s, h: a_s / a * x - s_s * math.expm1(-h) * e, "frozen picture"),
        (lambda x, e, a, a_s, s_s, h: a_s / a * x + s_s * math.expm1(-h) * e, "frozen picture"),
        (lambda x, e, a, a_s, s_s, h: a_s / a * x - s_s * h * e, "weight"),
        (lambda x, e, a, a_s, s_s, h: a_s / a * x - s_s * math.exp(h) * e, "two ends"),
        (lambda x, e, a, a_s, s_s, h: x - s_s * math.expm1(h) * e, "old scale"),
        (lambda x, e, a, a_s, s_s, h: a_s / a * x - s_s * math.exp(h) * a / a_s * math.expm1(h) * e, "at the new time"),
        (lambda x, e, a, a_s, s_s, h: a / a_s * x - s_s * math.expm1(h) * e, "off by up to"),
        (lambda x, e, a, a_s, s_s, h: x[0], "shape"),
        (lambda x, e, a, a_s, s_s, h: 1.0, "shape"),
    ],
)
def test_noise_step_names_the_mistake(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_noise_step(answer)


def halvings(errors, steps):
    return [math.log(a / b) / math.log(n / m) for a, b, m, n in zip(errors, errors[1:], steps, steps[1:], strict=False)]


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda e, n: -measured_order(e, n), "sign"),
        (lambda e, n: math.log2(e[0] / e[1]), "double"),
        (lambda e, n: math.log(e[0] / e[1]), "ratio of the steps"),
        (lambda e, n: 1 / measured_order(e, n), "swapped"),
        (lambda e, n: 1.0, "have order 2"),
        (lambda e, n: halvings([e[0], e[-1]], [n[0], n[-1]])[0], "first and the last"),
        (lambda e, n: sum(halvings(e, n)) / (len(n) - 1), "same weight"),
        (lambda e, n: halvings(e, n)[-1], "least-squares order"),
        (lambda e, n: halvings(e, n), "one number"),
    ],
)
def test_measured_order_names_the_mistake(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_measured_order(answer)


def half(h):
    return h / 2


def third(h):
    return h**2 / 3


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda now, *_: now, "order 1"),
        (lambda now, before, first, h: now + (now - before) / 2, "2M"),
        (lambda *a: parabola(*a, factor=0.0), "still a line"),
        (lambda *a: parabola(*a, mean=half, mean2=third), "plain means"),
        (lambda *a: parabola(*a, shift=0.0), "missing"),
        (lambda *a: parabola(*a, factor=2.0), "factor 2"),
        (lambda *a: parabola(*a, factor=0.5), "factor 2"),
        (lambda *a: parabola(*a, sign=-1.0), "wrong sign"),
        (lambda *a: parabola(*a, mean=half), "not integrated exactly"),
        (lambda now, *_: now[0], "shape"),
    ],
)
def test_parabola_guess_names_the_mistake(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_parabola_guess(answer)


def test_parabola_guess_must_work_as_a_sampler():
    # right at the step of the first test, 2M at all others
    def only_there(now, before, first, h):
        return parabola(now, before, first, h) if h == 0.4 else now + (now - before) / 2

    with pytest.raises(WrongAnswer, match=r"order 2\."):
        check_parabola_guess(only_there)
