"""The checks of notebook 3.3 accept a right answer and name the cause of a wrong one."""

import pytest
import torch

from denoising.checks import WrongAnswer
from denoising.checks.jacobians import check_leading, check_mixture_jacobian


def leading(forward, backward, start, sweeps, *, qr=True, turn=True, way_back=True, power=1, left=False, flip=False):
    Q = torch.linalg.qr(start).Q
    for _ in range(sweeps):
        Q = backward(forward(Q)) if way_back else forward(Q)
        Q = torch.linalg.qr(Q).Q if qr else Q / Q.norm(dim=0)
    A, values, B = torch.linalg.svd(forward(Q), full_matrices=False)
    vectors = A if left else Q @ B.mT if turn and qr else Q
    return (vectors.flip(1), values.flip(0)) if flip else (vectors, values**power)


def mixture(x, bases, alpha, sigma, *, factor=2.0, mean=1.0, outside=True, numerator=True):
    P = bases @ bases.mT
    total = alpha**2 + sigma**2
    r, phi = (alpha if numerator else 1.0) / total, alpha**2 / (2 * sigma**2 * total)
    each = P @ x
    w = (phi * each.square().sum(1)).softmax(0)
    between = torch.einsum("k,ki,kj->ij", w, each, each - mean * (w @ each))
    return r * torch.einsum("k,kij->ij", w, P) + factor * (r if outside else 1.0) * phi * between


def turned(forward, backward, start, sweeps):
    vectors, values = leading(forward, backward, start, sweeps)
    if vectors.shape[1] > 1:
        a, b = vectors[:, 0].clone(), vectors[:, 1].clone()
        vectors[:, 0], vectors[:, 1] = (a + b) / 2**0.5, (a - b) / 2**0.5
    return vectors, values


RIGHT = [
    (check_leading, leading),
    (check_leading, lambda f, b, s, n: tuple(-part if part.ndim > 1 else part for part in leading(f, b, s, n))),
    (check_mixture_jacobian, mixture),
    (check_mixture_jacobian, lambda *a: mixture(*a).mT),
]


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_a_right_answer_passes(check, answer, capsys):
    check(answer)
    check(answer, strict=True)
    assert capsys.readouterr().out.startswith("[x]")


@pytest.mark.parametrize("check", [check_leading, check_mixture_jacobian])
@pytest.mark.parametrize("nothing", [None, ...])
def test_no_answer_is_soft_unless_strict(check, nothing, capsys):
    check(lambda *_: nothing)
    assert capsys.readouterr().out.startswith("[ ]")
    with pytest.raises(WrongAnswer, match="no answer yet"):
        check(lambda *_: nothing, strict=True)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda f, b, s, n: leading(f, b, s, n, way_back=False), "way back"),
        (lambda f, b, s, n: leading(f, b, s, n, qr=False), "QR in every sweep"),
        (lambda f, b, s, n: leading(f, b, s, n, power=2), "squares"),
        (lambda f, b, s, n: leading(f, b, s, n, left=True), "left singular vectors"),
        (lambda f, b, s, n: leading(f, b, s, n, flip=True), "order is reversed"),
        (turned, "turn the columns"),
        (lambda f, b, s, n: leading(f, b, s, 1), "every sweep"),
        (lambda f, b, s, n: leading(f, b, s, n)[0], "a pair"),
        (lambda f, b, s, n: tuple(2 * part for part in leading(f, b, s, n)), "lengths"),
        (lambda f, b, s, n: tuple(part.mT if part.ndim > 1 else part for part in leading(f, b, s, n)), "shapes"),
        (lambda f, b, s, n: (b(f(s)) / 0, torch.ones(s.shape[1])), "not finite"),
        (lambda f, b, s, n: (b(f(s.mT)), s), "columns of length"),
    ],
)
def test_leading_names_the_mistake(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_leading(answer)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda *a: mixture(*a, factor=0.0), "weights depend on x"),
        (lambda *a: mixture(*a, factor=1.0), "factor 2"),
        (lambda *a: mixture(*a, factor=-2.0), "sign"),
        (lambda *a: mixture(*a, mean=0.0), "subtracts the mean"),
        (lambda *a: mixture(*a, outside=False), "factor r as well"),
        (lambda *a: mixture(*a, numerator=False), "numerator"),
        (lambda x, u, a, s: mixture(x, u, a, s) * (a**2 + s**2) / a, "factor r = alpha"),
        (lambda x, u, a, s: mixture(x, u, a, s**2), "off by up to"),
        (lambda x, u, a, s: mixture(x, u, a, s) @ x, "matrix"),
        (lambda x, u, a, s: 1.0, "matrix"),
    ],
)
def test_mixture_jacobian_names_the_mistake(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_mixture_jacobian(answer)
