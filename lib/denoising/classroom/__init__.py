"""Graded labs: lessons become assignments, submissions are graded by code that trusts none of them.

`python -m denoising.classroom assignments` and `... grade`. Needs the extra: `pip install .[classroom]`.
"""

import importlib.util

__all__ = ["lacking"]


def lacking() -> str | None:
    """One line that says how to install what grading needs; None if it is there."""
    if importlib.util.find_spec("nbgrader"):
        return None
    return "graded labs need nbgrader: python -m pip install -c constraints.txt -e '.[classroom]'"
