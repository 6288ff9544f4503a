"""The checks of notebook 3.1 accept the solution and name the cause of each planted mistake."""

import math

import pytest
import torch

from denoising.checks import WrongAnswer
from denoising.checks.low_rank import check_loss_line, check_molrg_denoiser


def line(c, alpha, sigma, d):
    r = c * alpha
    return {"b": r * (2 - r), "const": (c * sigma) ** 2 * d, "c_max": 2 / alpha}


def changed(key, change):
    """The right answer with one value replaced by a function of (c, alpha, sigma, d)."""
    return lambda *given: {**line(*given), key: change(*given)}


def denoiser(x, U, sigma, log_pi=None, **slip):
    pi = torch.zeros(len(U), dtype=x.dtype) if log_pi is None or slip.get("no_prior") else log_pi
    phi = slip.get("half", 0.5) / (sigma**2 * (1 + sigma ** slip.get("blur", 2)))
    if slip.get("small"):
        phi = 0.5 / sigma**2
    volume = slip.get("volume", 0.5) * math.log(sigma**2 / (1 + sigma**2))
    inside = [x @ u for u in U]
    logs = torch.stack(
        [p + u.shape[1] * volume + phi * z.square().sum(1) ** slip.get("power", 1)
         for p, u, z in zip(pi, U, inside, strict=True)], 1,
    )  # fmt: skip
    share = logs.exp() / logs.exp().sum(1, keepdim=True) if slip.get("naive") else logs.softmax(1)
    if slip.get("hard"):
        share = torch.nn.functional.one_hot(share.argmax(1), len(U)).to(x)
    if slip.get("blind"):
        share = pi.softmax(0).expand(len(x), -1)
    if slip.get("entry"):  # weights from one coordinate: not invariant under a rotation of the basis
        share = share + 3e-8 * (inside[0][:, :1] - inside[0][:, 1:2])
    guess = sum(share[:, k : k + 1] * (z @ u.T) for k, (z, u) in enumerate(zip(inside, U, strict=True)))
    return guess * slip.get("shrink", 1 / (1 + sigma**2))


def test_the_solutions_pass(capsys):
    check_loss_line(line, strict=True)
    check_loss_line(lambda *a: {key: torch.tensor(value, dtype=torch.float64) for key, value in line(*a).items()})
    check_molrg_denoiser(denoiser, strict=True)
    assert capsys.readouterr().out == "[x] loss_line\n[x] loss_line\n[x] molrg_denoiser\n"


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (changed("b", lambda c, a, s, d: -line(c, a, s, d)["b"]), "the sign"),
        (changed("b", lambda c, a, s, d: 2 * c * a), r"r\^2 is missing"),
        (changed("b", lambda c, a, s, d: (c * a) ** 2), "cross term"),
        (changed("b", lambda c, a, s, d: c * (2 - c)), "c alpha"),
        (changed("b", lambda c, a, s, d: 1 - (s**2 / (a**2 + s**2)) ** 2), "any c is asked for"),
        (changed("b", lambda c, a, s, d: 0.3), "b is 0.3 at"),
        (changed("const", lambda c, a, s, d: (c * s) ** 2), "d directions"),
        (changed("const", lambda c, a, s, d: c * s**2 * d), "c is squared"),
        (changed("const", lambda c, a, s, d: c**2 * s * d), r"variance sigma\^2"),
        (changed("const", lambda c, a, s, d: 12 * (c * s) ** 2), "const is"),
        (changed("c_max", lambda c, a, s, d: 1 / a), "slope is largest"),
        (changed("c_max", lambda c, a, s, d: 2.0), "alpha enters"),
        (changed("c_max", lambda c, a, s, d: 2 * a), "divide by alpha"),
        (changed("c_max", lambda c, a, s, d: ...), "no value for c_max yet"),
        (lambda *_: 0.75, "a dictionary"),
        (lambda *_: {"b": 0.75}, "a dictionary"),
    ],
)
def test_wrong_lines_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_loss_line(answer)


@pytest.mark.parametrize(
    ("slip", "cause"),
    [
        ({"volume": 0.0}, "dimensions differ"),
        ({"volume": 1.0}, "d_k / 2 in front"),
        ({"volume": -0.5}, "larger dimension, smaller weight"),
        ({"no_prior": True}, "log_pi is not used"),
        ({"shrink": 1.0}, "shrinkage"),
        ({"power": 0.5}, "wanted its square"),
        ({"half": 1.0}, "1/2 is missing"),
        ({"small": True}, "only for sigma -> 0"),
        ({"blind": True}, "do not depend on x"),
        ({"hard": True}, "soft weights"),
        ({"naive": True}, "use softmax on logs"),
        ({"entry": True}, "U_k R"),
        ({"shrink": 0.5}, "differs from"),
    ],
)
def test_wrong_denoisers_are_named(slip, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_molrg_denoiser(lambda *a: denoiser(*a, **slip))


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda x, *_: 0.0, "expected a tensor"),
        (lambda x, *_: x[0], "shape of x"),
        (lambda *a: denoiser(*a).float(), "dtype of x"),
    ],
)
def test_misshapen_answers_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_molrg_denoiser(answer)
