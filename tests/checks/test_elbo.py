"""The checks of notebook 1.2 accept the solution and name the cause of each planted mistake."""

import math

import pytest
import torch

from denoising.checks import WrongAnswer
from denoising.checks.elbo import check_elbo_terms, check_elbo_weights


def weights(before, after):
    snr_before, snr = before / (1 - before), after / (1 - after)
    weight = 0.5 * (snr_before - snr)
    coef = math.sqrt(before) * (1 - after / before) / (1 - after)
    return {"coef": coef, "x0": weight, "eps": weight / snr, "v": weight / (1 + snr)}


def changed(key, change):
    """The right weights with one of them changed by a function of (weights, before, after)."""

    def answer(before, after):
        right = weights(before, after)
        return {**right, key: change(right, before, after)}

    return answer


def terms(slopes, beta, var, c2, **slip):
    left = torch.cumprod(1 - beta, 0)
    before = torch.cat([left.new_ones(1), left[:-1]])
    coef, small = before.sqrt() * beta / (1 - left), beta * (1 - before) / (1 - left)
    miss = c2 * (1 - slopes * left.sqrt()) ** 2 + slopes**2 * (1 - left) ** slip.get("noise", 1)
    if slip.get("noise") == 0:
        miss = c2 * (1 - slopes * left.sqrt()) ** 2
    rho = small / var
    steps = 0.5 * (slip.get("rho", 1) * (rho - 1 - rho.log()) + coef ** slip.get("power", 2) * miss / var)
    if slip.get("backwards"):
        steps = 0.5 * (1 / rho - 1 + rho.log() + coef**2 * miss / small)
    steps = steps[slip.get("first", 1) :]
    total = slip.get("half", 1) * (steps.mean() if slip.get("mean") else steps.sum())
    last = 0.5 * ((slip.get("pi", 2 * math.pi) * var[0]).log() + slip.get("last", 1) * miss[0] / var[0])
    end = 0.5 * (left[-1] * c2 - left[-1] - torch.log1p(-left[-1])) + slip.get("end", 0) * miss[-1]
    return {"L_T": float(end), "L_steps": float(total), "L_0": float(slip.get("sign", 1) * last)}


def test_the_solutions_pass(capsys):
    check_elbo_weights(weights, strict=True)
    check_elbo_terms(terms, strict=True)
    check_elbo_terms(lambda *a: {key: torch.tensor(value) for key, value in terms(*a).items()}, strict=True)
    assert capsys.readouterr().out == "[x] elbo_weights\n[x] elbo_terms\n[x] elbo_terms\n"


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (changed("coef", lambda w, a, b: math.sqrt(b / a) * (1 - a) / (1 - b)), "weight of x_t"),
        (changed("coef", lambda w, a, b: w["coef"] * math.sqrt(a)), "root of alpha_bar"),
        (changed("coef", lambda w, a, b: w["coef"] * math.sqrt(b / a)), "not at t"),
        (changed("x0", lambda w, a, b: -w["x0"]), "positive number"),
        (changed("x0", lambda w, a, b: 2 * w["x0"]), "factor 1/2"),
        (changed("eps", lambda w, a, b: w["x0"] * b / (1 - b)), "divided by SNR"),
        (changed("eps", lambda w, a, b: w["x0"] / math.sqrt(b / (1 - b))), "not by its root"),
        (changed("v", lambda w, a, b: w["x0"] / (1 - b)), "smaller one"),
        (changed("v", lambda w, a, b: w["x0"] * math.sqrt(1 - b)), "not by its root"),
        (changed("eps", lambda w, a, b: 1.0), "eps is 1 at"),
        (lambda a, b: weights(a, b)["x0"], "a dictionary"),
        (lambda a, b: {"x0": 1.0}, "got x0"),
        (changed("v", lambda w, a, b: ...), "no value for v yet"),
    ],
)
def test_wrong_weights_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_elbo_weights(answer)


@pytest.mark.parametrize(
    ("slip", "cause"),
    [
        ({"power": 0}, r"coef\^2 is missing"),
        ({"power": 1}, "coef is squared too"),
        ({"noise": 0}, "second part"),
        ({"noise": 0.5}, r"variance sigma\^2"),
        ({"half": 2}, "factor 1/2"),
        ({"rho": 0}, "variances differ too"),
        ({"backwards": True}, "other way round"),
        ({"mean": True}, "not a mean"),
        ({"first": 0}, "t = 2"),
        ({"pi": 1}, "2 pi"),
        ({"sign": -1}, "minus the log-density"),
        ({"last": 0}, "error of the last guess"),
        ({"end": 1}, "L_T is"),
        ({"rho": 1.1}, "L_steps is"),
    ],
)
def test_wrong_terms_are_named(slip, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_elbo_terms(lambda *a: terms(*a, **slip))


def test_the_end_written_as_zero_is_named():
    with pytest.raises(WrongAnswer, match="not exactly the prior"):
        check_elbo_terms(lambda *a: {**terms(*a), "L_T": 0.0})
