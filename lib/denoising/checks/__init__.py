"""Checks of the exercises, one module per notebook.

A check takes the learner's own object. It is silent about how the answer was found, tests it on cases with a known
answer, and names the likely mistake. An answer that is still `...` or `None` is not wrong, it is not there yet.
"""

from typing import Any

__all__ = ["WrongAnswer", "missing", "passed", "require"]


class WrongAnswer(AssertionError):
    """An attempted answer that does not hold; the message names the likely cause."""


def missing(name: str, answer: Any, *, strict: bool) -> bool:
    """True, after a printed line, if there is no answer yet.

    Args:
        name: of the exercise.
        answer: what the learner's code gave.
        strict: raise instead, as in a graded cell.
    Raises:
        WrongAnswer: if the answer is missing and `strict` is set.
    """
    if answer is not None and answer is not ...:
        return False
    if strict:
        raise WrongAnswer(f"{name}: no answer yet")
    print(f"[ ] {name}: not attempted yet")
    return True


def require(condition: bool, name: str, message: str) -> None:
    """Raise `WrongAnswer` with the likely cause unless `condition` holds."""
    if not condition:
        raise WrongAnswer(f"{name}: {message}")


def passed(name: str) -> None:
    """Report a right answer."""
    print(f"[x] {name}")
