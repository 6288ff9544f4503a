"""The checks of notebook 2.1 accept the solution and name the cause of each planted mistake."""

import math

import pytest
import torch

from denoising.checks import WrongAnswer
from denoising.checks.score_matching import check_hutchinson_trace, check_vincent


def vincent(a, c2, alpha, sigma):
    spread = alpha**2 * c2 + sigma**2
    dsm, esm = a**2 * spread + 2 * a + sigma**-2, a + a**2 * spread / 2
    return {"dsm": dsm, "esm": esm, "constant": dsm / 2 - esm, "floor": sigma**-2 - 1 / spread}


def changed(key, change):
    """The right losses with one of them changed by a function of (right, a, c2, alpha, sigma)."""

    def answer(*numbers):
        right = vincent(*numbers)
        return {**right, key: change(right, *numbers)}

    return answer


def hutchinson(f, x, kind, n, generator, *, probe=None, estimate=None, error=None):
    """The solution, or one with another probe, another estimate from (v, v J), or another error from its scatter."""
    x = x.clone().requires_grad_()
    out, found = f(x), []
    for _ in range(n):
        v = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        v = v.sign() if kind == "signs" else v
        v = v if probe is None else probe(v, kind)
        product = torch.autograd.grad(out, x, v, retain_graph=True)[0]
        found.append((v * product).sum(1) if estimate is None else estimate(v, product, x))
    found = torch.stack(found)
    error = (lambda std, n: std / math.sqrt(n)) if error is None else error
    return found.mean(0), error(found.std(0), n)


def test_the_solutions_pass(capsys):
    check_vincent(vincent, strict=True)
    check_vincent(lambda *a: {key: torch.tensor(value) for key, value in vincent(*a).items()}, strict=True)
    check_hutchinson_trace(hutchinson, strict=True)
    assert capsys.readouterr().out == "[x] vincent\n[x] vincent\n[x] hutchinson_trace\n"


@pytest.mark.parametrize("seed", range(5))
def test_the_tolerance_does_not_depend_on_the_draw(seed):
    generator = torch.Generator().manual_seed(seed)
    check_hutchinson_trace(lambda f, x, kind, n, _: hutchinson(f, x, kind, n, generator), strict=True)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (changed("dsm", lambda r, a, c2, al, s: r["dsm"] - 2 * a), "cross term is missing"),
        (changed("dsm", lambda r, a, c2, al, s: r["dsm"] - 4 * a), "sign of the cross term"),
        (changed("dsm", lambda r, a, c2, al, s: s**2 * r["dsm"]), r"sigma\^2 times the loss"),
        (changed("dsm", lambda r, a, c2, al, s: a * a * (al**2 * c2 + s**2) + 2 * a * s + 1), "in part"),
        (changed("dsm", lambda r, a, c2, al, s: r["dsm"] / 2), "without the factor 1/2"),
        (changed("dsm", lambda r, a, c2, al, s: a * a * (c2 + s**2) + 2 * a + s**-2), "alpha is missing"),
        (changed("dsm", lambda r, a, c2, al, s: a * a * (al * c2 + s**2) + 2 * a + s**-2), "alpha squared"),
        (changed("esm", lambda r, a, c2, al, s: a + a * a * c2 / 2), "not over clean data"),
        (changed("esm", lambda r, a, c2, al, s: r["esm"] - a), "trace term is missing"),
        (changed("esm", lambda r, a, c2, al, s: 2 * r["esm"] - a), "factor 1/2 of the square"),
        (changed("esm", lambda r, a, c2, al, s: a + a * a * (c2 + s**2) / 2), "esm: x_t = alpha"),
        (changed("constant", lambda r, a, c2, al, s: s**-2), "half of dsm"),
        (changed("constant", lambda r, a, c2, al, s: r["dsm"] - r["esm"]), "must not depend on a"),
        (changed("constant", lambda r, a, c2, al, s: s**-1 / 2), "sigma with it"),
        (changed("floor", lambda r, a, c2, al, s: 0.0), "does not reach 0"),
        (changed("floor", lambda r, a, c2, al, s: s**-2), "loss of s = 0"),
        (changed("floor", lambda r, a, c2, al, s: s**-2 - 1 / (c2 + s**2)), "floor: x_t = alpha"),
        (changed("floor", lambda r, a, c2, al, s: -1 / (al**2 * c2 + s**2)), "best slope"),
        (changed("floor", lambda r, a, c2, al, s: -0.5 / (al**2 * c2 + s**2)), "least esm"),
        (changed("floor", lambda r, a, c2, al, s: 7.0), "floor is 7, expected"),
        (changed("floor", lambda r, a, c2, al, s: ...), "no value for floor yet"),
        (lambda *a: vincent(*a)["dsm"], "a dictionary"),
        (lambda *a: {"dsm": 1.0}, "got dsm"),
    ],
)
def test_wrong_losses_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_vincent(answer)


def unit(v, kind):
    return v / v.norm(dim=1, keepdim=True)


@pytest.mark.parametrize(
    ("slip", "cause"),
    [
        ({"error": lambda std, n: std}, "scatter of one probe"),
        ({"error": lambda std, n: std**2}, "this is a variance"),
        ({"error": lambda std, n: std**2 / n}, "variance of the mean"),
        ({"error": lambda std, n: std / n}, r"not by n"),
        ({"probe": lambda v, kind: v.sign()}, "scatter like signs"),
        ({"probe": lambda v, kind: torch.where(v > 0, 1.0, 0.5) * v}, "mean|se"),
        ({"probe": unit}, "probes of length 1"),
        ({"probe": lambda v, kind: torch.ones_like(v)}, "one probe"),
        ({"probe": lambda v, kind: v[:1].expand_as(v)}, "one probe"),
        ({"estimate": lambda v, Jv, x: (v * Jv).mean(1)}, "mean over coordinates"),
        ({"estimate": lambda v, Jv, x: (v * Jv).sum(1, keepdim=True).mean() + 0 * v[:, 0]}, "one probe"),
        ({"estimate": lambda v, Jv, x: v * Jv}, "keep the batch"),
        ({"estimate": lambda v, Jv, x: (v * (Jv + v)).sum(1)}, "J alone"),
        ({"estimate": lambda v, Jv, x: -(v * Jv).sum(1)}, "standard errors"),
    ],
)
def test_wrong_traces_are_named(slip, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_hutchinson_trace(lambda *a: hutchinson(*a, **slip))


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda mean, se: mean, "expected"),
        (lambda mean, se: (mean * 400, se), "sum over probes"),
        (lambda mean, se: (mean, se * float("nan")), "se is not finite"),
        (lambda mean, se: (mean, 5 * se), "se .* expected about"),
        (lambda mean, se: (mean.mean(), se), "one number for each of 6 items"),
    ],
)
def test_wrong_pairs_are_named(change, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_hutchinson_trace(lambda *a: change(*hutchinson(*a)))


def test_an_error_that_ignores_the_jacobian_at_x_is_noticed():
    def elsewhere(f, x, kind, n, generator):
        return hutchinson(f, x + 1.0, kind, n, generator)

    with pytest.raises(WrongAnswer, match="diagonal Jacobian"):
        check_hutchinson_trace(elsewhere)
