"""The checks at the public border. Each raises a `ValueError` that names the argument, the wish and the fact."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor

__all__ = ["choice", "count", "finite", "labels", "number", "times"]


def count(name: str, value: Any, *, lo: int = 1) -> int:
    """`value` as an int of at least `lo`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < lo:
        raise ValueError(f"{name}: expected a whole number of at least {lo}, got {value!r}")
    return value


def number(
    name: str, value: Any, *, lo: float = -float("inf"), hi: float = float("inf"), open_lo: bool = False
) -> float:
    """`value` as a finite float in [lo, hi], or in (lo, hi] with `open_lo`."""
    try:
        if isinstance(value, str | bytes | bool):  # float() would read them
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):  # RuntimeError: a tensor of several numbers
        raise ValueError(f"{name}: expected a number, got {value!r}") from None
    if not (lo < number <= hi if open_lo else lo <= number <= hi) or abs(number) == float("inf"):
        raise ValueError(f"{name}: expected a number in {'(' if open_lo else '['}{lo:g}, {hi:g}], got {value!r}")
    return number


def choice(name: str, value: Any, known: Iterable[str]) -> str:
    """`value` as one of `known`."""
    known = sorted(known)
    if not isinstance(value, str) or value not in known:
        near = [one for one in known if one.lower() == str(value).lower()] or get_close_matches(str(value), known, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"{name}: expected one of {', '.join(known)}; got {value!r}{hint}")
    return value


def finite(name: str, x: Any, *, ndim: int | None = None, last: int | None = None) -> Tensor:
    """`x` as a finite floating-point tensor with `ndim` dimensions (1 or more without it) and the last size `last`."""
    if not isinstance(x, Tensor):
        raise ValueError(f"{name}: expected a torch.Tensor, got {type(x).__name__}")
    if not x.is_floating_point():
        raise ValueError(f"{name}: expected a floating-point tensor, got {x.dtype}")
    if x.ndim == 0 or (ndim is not None and x.ndim != ndim):
        raise ValueError(f"{name}: expected {ndim or '1 or more'} dimensions, got shape {tuple(x.shape)}")
    if last is not None and x.shape[-1] != last:
        raise ValueError(f"{name}: expected last dimension {last}, got shape {tuple(x.shape)}")
    if not torch.isfinite(x).all():
        bad = int((~torch.isfinite(x)).sum())
        raise ValueError(f"{name}: expected finite values, got {bad} NaN or infinite of {x.numel()}")
    return x


def times(t: Any, *, batch: int | None = None) -> Tensor:
    """`t` as float64 times in (0, 1], a scalar or (batch,)."""
    try:
        if isinstance(t, bool):
            raise TypeError
        # without the dtype a Python number would pass through float32
        t = t if isinstance(t, Tensor) else torch.as_tensor(t, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"t: expected a number or a tensor of numbers in (0, 1], got {t!r}") from None
    if t.is_complex() or t.dtype == torch.bool:
        raise ValueError(f"t: expected real numbers in (0, 1], got {t.dtype}")
    t = t.to(torch.float64)
    if t.ndim > 1 or (t.ndim == 1 and batch is not None and len(t) != batch):
        raise ValueError(
            f"t: expected a number or shape ({'B' if batch is None else batch},), got shape {tuple(t.shape)}"
        )
    if not ((t > 0) & (t <= 1)).all():
        raise ValueError(
            f"t: expected times in (0, 1] (row i of a T-row table is (i + 1) / T), got {t.min():g} to {t.max():g}"
        )
    return t


def labels(y: Any, *, batch: int, classes: int) -> Tensor:
    """`y` as int64 labels in [0, classes), (batch,)."""
    if not isinstance(y, Tensor) or y.dtype != torch.int64 or y.shape != (batch,):
        got = f"{y.dtype} of shape {tuple(y.shape)}" if isinstance(y, Tensor) else type(y).__name__
        raise ValueError(f"y: expected int64 labels of shape ({batch},), got {got}")
    if len(y) and (y.min() < 0 or y.max() >= classes):
        raise ValueError(f"y: expected labels in 0..{classes - 1}, got {int(y.min())}..{int(y.max())}")
    return y
