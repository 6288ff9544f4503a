"""Numbers that may move, and the claims that hold them: bounds, and a control that must miss those bounds."""

import math
from collections.abc import Callable
from typing import Any

__all__ = ["ClaimError", "claim", "finding", "measured"]


def measured(value: Any, spec: str = ".3g") -> str:
    """A number that went through sampling, training, float32 or a clock, as text behind the sign of approximation.

    The notebook tests hide what follows the sign and leave the number to a claim. `nan` and `inf` are not hidden.

    Args:
        value: a float, a numpy scalar or a tensor with one element.
        spec: how to format it. In tables align to the right, `f"{measured(x):>12}"`: padding before the sign is hidden.
    Raises:
        ValueError: if `value` is not one real number.
    Example:
        >>> measured(1.23456), measured(1234.5, ",.0f"), measured(float("nan"))
        ('≈ 1.23', '≈ 1,234', '≈ nan')
    """
    return f"≈ {format(_number('value', value), spec)}"


def claim(
    name: str,
    value: Any,
    *,
    lo: float | None = None,
    hi: float | None = None,
    control: Any | Callable[[], Any] = None,
    no_control: str | None = None,
    control_diverges: bool = False,
    paper: str | None = None,
    reported: str | None = None,
    change: str | None = None,
) -> None:
    """Hold a measured value within constant bounds, and a deliberately broken variant outside them.

    Args:
        name: what is claimed, in a few words.
        value: the measured number, in [lo, hi] if the claim is true.
        lo, hi: the bounds, at least one. They are printed bare, so they are constants; bound a ratio if need be.
        control: the same quantity for a broken variant, or a function returning it. It must miss the bounds.
        no_control: why no control is possible, instead of one.
        control_diverges: a control that is not finite is expected and counts as outside.
        paper: slug of the paper that makes this claim.
        reported: the paper's own number, as text.
        change: what was altered against the paper; the verdict is then "holds with a change".
    Raises:
        ClaimError: if the value is not finite or out of bounds, or the control is within them or not finite.
        ValueError: if bounds, control or texts are missing or malformed.
    """
    if lo is None and hi is None:
        raise ValueError("claim: expected lo or hi, got neither")
    if (control is None) == (no_control is None):
        raise ValueError("claim: expected either control, or no_control with the reason why there is none")
    lo = -math.inf if lo is None else _number("lo", lo)
    hi = math.inf if hi is None else _number("hi", hi)
    if not lo <= hi:
        raise ValueError(f"claim: expected lo <= hi, got [{lo:g}, {hi:g}]")
    note = _paper_note(paper, reported, change)
    name = _text("name", name)
    against = f"no control: {_text('no_control', no_control)}" if no_control is not None else None

    number = _number("value", value)
    if not math.isfinite(number):
        raise ClaimError(f"{name}: the value is {number}, expected a finite number")
    if number < lo:
        raise ClaimError(f"{name}: {number:.6g} is below the lower bound {lo:g}")
    if number > hi:
        raise ClaimError(f"{name}: {number:.6g} is above the upper bound {hi:g}")
    if against is None:
        control = control() if callable(control) else control
        against = _check_control(name, _number("control", control), lo, hi, control_diverges)
    verdict = "holds with a change" if change else "holds"
    print(f"claim: {name} | {measured(number)} in [{lo:g}, {hi:g}] | {against} | {verdict}{note}")


def finding(
    name: str, value: Any, *, expected: Any, why: str, paper: str | None = None, reported: str | None = None
) -> None:
    """Record what does not reproduce at this scale. Only a value that is not finite raises.

    Args:
        name: what was measured, in a few words.
        value: the measured number.
        expected: what the paper, or the theory, would have.
        why: the likely reason for the difference.
        paper, reported: as in `claim`.
    Raises:
        ClaimError: if the value is not finite.
        ValueError: if a text is malformed.
    """
    name, why, expected = _text("name", name), _text("why", why), _text("expected", str(expected))
    note = _paper_note(paper, reported, None)
    number = _number("value", value)
    if not math.isfinite(number):
        raise ClaimError(f"{name}: the value is {number}, expected a finite number")
    print(f"finding: {name} | {measured(number)}, expected {expected} | {why} | not at this scale{note}")


def _check_control(name: str, control: float, lo: float, hi: float, diverges: bool) -> str:
    if not math.isfinite(control):
        if diverges:
            return "control diverges outside"  # in words: nan on one machine may be inf on another
        raise ClaimError(f"{name}: the control is {control}; if that is expected, say control_diverges=True")
    if lo <= control <= hi:
        raise ClaimError(f"{name}: the control {control:.6g} is inside [{lo:g}, {hi:g}] too: the bound shows nothing")
    return f"control {measured(control)} outside"


def _paper_note(paper: str | None, reported: str | None, change: str | None) -> str:
    """The second line of a claim; empty without a paper."""
    if paper is None:
        if reported is not None or change is not None:
            raise ValueError("claim: reported and change need paper, the slug of the paper they belong to")
        return ""
    said = f" reports {_text('reported', str(reported))}" if reported is not None else ""
    changed = f"; changed here: {_text('change', change)}" if change is not None else ""
    return f"\n       paper {_text('paper', paper)}{said}{changed}"


def _text(argument: str, text: Any) -> str:
    """`text` if it fits one column of one line: the scoreboard splits these lines at '|'."""
    if not isinstance(text, str) or not text.strip() or "|" in text or len(text.splitlines()) > 1:
        raise ValueError(f"{argument}: expected one line of text without '|', got {text!r}")
    return text.strip()


def _number(argument: str, value: Any) -> float:
    if hasattr(value, "detach"):  # torch warns when a tensor with a gradient becomes a float
        value = value.detach()
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else f" {value!r}"
        raise ValueError(f"{argument}: expected one real number, got {type(value).__name__}{shape}") from None


class ClaimError(AssertionError):
    """A claim that does not hold, or whose control does not fail."""
