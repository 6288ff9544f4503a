"""Checks of the exercises, one module per notebook.

A check takes the learner's own object. It is silent about how the answer was found, tests it on cases with a known
answer, and names the likely mistake. An answer that is still `...` or `None` is not wrong, it is not there yet.
"""

import inspect
import re
from typing import Any

from torch import Tensor

from denoising.nb.record import remember

__all__ = ["WrongAnswer", "missing", "passed", "require", "require_gaussian"]


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


def require_gaussian(eps: Tensor, name: str) -> None:
    """Refuse noise, any shape, whose mean or mean square is 5.4 deviations off: of right answers one in 500 000."""
    far = 5.4 / eps.numel() ** 0.5
    off = abs(float(eps.mean())), abs(float(eps.square().mean()) - 1) / 2**0.5
    require(max(off) < far, name, "the noise is not standard Gaussian: torch.randn")


def passed(name: str) -> None:
    """Report a right answer. One that is the learner's own, given to a check that is not strict, is recorded as done.

    Which exercise it is, says the check that calls: by its name, its argument `strict`, and its module's first line,
    which names the notebook.
    """
    print(f"[x] {name}")
    check = inspect.currentframe().f_back
    notebook = re.match(r"Checks of notebook (\d+\.\d+):", check.f_globals.get("__doc__") or "")
    if notebook and check.f_locals.get("strict") is False:
        remember(notebook[1], check.f_code.co_name.removeprefix("check_"))
