"""The checks of notebook 2.4 accept the solution and name the cause of each planted mistake."""

import pytest
import torch

from denoising.checks import WrongAnswer
from denoising.checks.gauge import check_gauge_residual, check_linear_gauges


def antisymmetric(d):
    i, j = torch.triu_indices(d, d, offset=1)
    upper = torch.nn.functional.one_hot(i * d + j, d * d).double().view(-1, d, d)
    return upper - upper.mT


def gauges(C):
    return antisymmetric(len(C)) @ torch.linalg.inv(C)


def residual(r, score, x, *, div=1.0, along=1.0, trace=True):
    x = x.detach().clone().requires_grad_()
    value = r(x)
    rows = [torch.autograd.grad(value[:, i].sum(), x, retain_graph=True)[0] for i in range(x.shape[1])]
    spread = sum(row[:, i] for i, row in enumerate(rows)) if trace else sum(rows).sum(1)
    return div * spread + along * (value * score(x)).sum(1)


def apart(r, score, x):
    """Both terms without their signs."""
    return residual(r, score, x, along=0).abs() + residual(r, score, x, div=0).abs()


def test_the_solutions_pass(capsys):
    check_linear_gauges(gauges, strict=True)
    check_linear_gauges(lambda C: C @ antisymmetric(len(C)))  # another basis of the same space
    check_linear_gauges(lambda C: -3 * gauges(C).flip(0))
    check_gauge_residual(residual, strict=True)
    check_gauge_residual(lambda r, score, x: residual(r, score, x).detach())
    assert capsys.readouterr().out == "[x] linear_gauges\n" * 3 + "[x] gauge_residual\n" * 2


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda C: antisymmetric(len(C)), "A alone"),
        (lambda C: antisymmetric(len(C)) @ C, "this is A C, or"),
        (lambda C: torch.linalg.inv(C) @ antisymmetric(len(C)), r"C\^-1 A; r"),
        (lambda C: torch.eye(len(C), dtype=C.dtype)[None], "a gradient"),
        (lambda C: torch.tensor([[[1.0, 2.0], [0.0, 1.0]]]), "divergence is the trace"),
        (lambda C: torch.tensor([[[1.0, 2.0], [0.0, -1.0]]]), "quadratic form"),
        (lambda C: gauges(C)[:1], "1 of 3 in 3 dimensions"),
        (lambda C: torch.cat([gauges(C), gauges(C)]), "not independent"),
        (lambda C: torch.cat([gauges(C), 0 * gauges(C)]), "zero matrix"),
        (lambda C: gauges(C)[0], r"expected a tensor \(k, 2, 2\), got \(2, 2\)"),
        (lambda C: list(gauges(C)), "got list"),
        (lambda C: gauges(C) / 0, "finite"),
    ],
)
def test_wrong_bases_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_linear_gauges(answer)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda r, s, x: residual(r, s, x, along=0), "divergence-free is not enough"),
        (lambda r, s, x: residual(r, s, x, div=0), r"r \. score alone"),
        (lambda r, s, x: residual(r, s, x, along=-1), "the sign"),
        (lambda r, s, x: residual(r, s, x, trace=False), "not the sum of all its entries"),
        (apart, "may cancel"),
        (lambda r, s, x: residual(r, s, x).sum(), "one for all"),
        (lambda r, s, x: residual(r, s, x)[:, None], "expected shape"),
        (lambda r, s, x: residual(r, s, x).tolist(), "expected a tensor"),
        (lambda r, s, x: residual(r, s, x, div=2), "off by"),
    ],
)
def test_wrong_residuals_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_gauge_residual(answer)
