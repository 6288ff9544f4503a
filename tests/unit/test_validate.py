"""The border checks: what passes, what is refused, and how the message reads."""

import math

import numpy as np
import pytest
import torch

from denoising import validate

NAN = float("nan")


def refused(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == message


def test_count():
    assert validate.count("n", 3) == 3 and validate.count("n", 0, lo=0) == 0
    for bad in (0, -1, 1.0, True, "3", None, NAN):
        refused(lambda bad=bad: validate.count("n", bad), f"n: expected a whole number of at least 1, got {bad!r}")


def test_number():
    assert validate.number("a", 1) == 1.0 and validate.number("a", torch.tensor(0.5)) == 0.5
    assert validate.number("a", np.float32(2), lo=2, hi=2) == 2.0
    for bad in ("1", b"1", True, None, [1], 1j, torch.ones(2), np.ones(2)):
        refused(lambda bad=bad: validate.number("a", bad), f"a: expected a number, got {bad!r}")
    refused(lambda: validate.number("a", 10**400), f"a: expected a number, got {10**400!r}")
    for bad in (NAN, -0.1, 1.1, math.inf):
        refused(lambda bad=bad: validate.number("a", bad, lo=0, hi=1), f"a: expected a number in [0, 1], got {bad!r}")
    refused(lambda: validate.number("a", 0, lo=0, hi=1, open_lo=True), "a: expected a number in (0, 1], got 0")
    refused(lambda: validate.number("a", math.inf), "a: expected a number in [-inf, inf], got inf")


def test_choice():
    assert validate.choice("name", "b", ["b", "a"]) == "b"
    refused(lambda: validate.choice("name", "hen", ["heun", "euler"]),
            "name: expected one of euler, heun; got 'hen' (did you mean 'heun'?)")  # fmt: skip
    refused(lambda: validate.choice("name", None, ["a"]), "name: expected one of a; got None")
    refused(
        lambda: validate.choice("name", np.array(["a", "b"]), ["a"]),
        "name: expected one of a; got array(['a', 'b'], dtype='<U1')",
    )


def test_finite():
    x = torch.ones(2, 3)
    assert validate.finite("x", x, ndim=2, last=3) is x
    refused(lambda: validate.finite("x", [1.0]), "x: expected a torch.Tensor, got list")
    refused(lambda: validate.finite("x", x.long()), "x: expected a floating-point tensor, got torch.int64")
    refused(lambda: validate.finite("x", x + 0j), "x: expected a floating-point tensor, got torch.complex64")
    refused(lambda: validate.finite("x", x, ndim=1), "x: expected 1 dimensions, got shape (2, 3)")
    refused(lambda: validate.finite("x", x.sum()), "x: expected 1 or more dimensions, got shape ()")
    refused(lambda: validate.finite("x", x, last=2), "x: expected last dimension 2, got shape (2, 3)")
    x[0, 0], x[1, 1] = NAN, math.inf
    refused(lambda: validate.finite("x", x), "x: expected finite values, got 2 NaN or infinite of 6")


def test_times_are_float64_to_the_last_bit():
    assert float(validate.times(0.3)) == 0.3 and validate.times(0.3).dtype == torch.float64
    assert float(validate.times(1)) == 1 and validate.times(torch.tensor([1, 1])).dtype == torch.float64
    assert validate.times(np.float64(0.3)) == 0.3
    assert validate.times(torch.tensor([0.25, 0.5]), batch=2).tolist() == [0.25, 0.5]
    assert validate.times([0.1, 0.3]).tolist() == [0.1, 0.3]


def test_bad_times():
    for bad in ("a", None, True, 1j, object):
        with pytest.raises(ValueError, match=r"^t: expected"):
            validate.times(bad)
    with pytest.raises(ValueError, match=r"^t: expected real numbers"):
        validate.times(torch.tensor(True))
    for bad in (0, -1, 1.0001, NAN, math.inf, [0.5, 0.0], torch.tensor([0.5, NAN])):
        with pytest.raises(ValueError, match=r"^t: expected times in \(0, 1\]"):
            validate.times(bad)
    refused(lambda: validate.times([0.5, 0.5], batch=3), "t: expected a number or shape (3,), got shape (2,)")
    refused(lambda: validate.times([[0.5]]), "t: expected a number or shape (B,), got shape (1, 1)")


def test_labels():
    y = torch.tensor([0, 2])
    assert validate.labels(y, batch=2, classes=3) is y
    refused(lambda: validate.labels(y, batch=2, classes=2), "y: expected labels in 0..1, got 0..2")
    refused(lambda: validate.labels(-y, batch=2, classes=3), "y: expected labels in 0..2, got -2..0")
    refused(
        lambda: validate.labels(y.int(), batch=2, classes=3),
        "y: expected int64 labels of shape (2,), got torch.int32 of shape (2,)",
    )
    refused(
        lambda: validate.labels(y, batch=3, classes=3),
        "y: expected int64 labels of shape (3,), got torch.int64 of shape (2,)",
    )
    refused(lambda: validate.labels([0, 2], batch=2, classes=3), "y: expected int64 labels of shape (2,), got list")
