"""What a mutant is: a one-line breakage that a person would make, with the tests or notebooks that must notice it.

`old` occurs exactly once in `file`; in a notebook, exactly once in its cells. A test is a pytest node id; an `.ipynb`
among the tests is run under nbval.
"""

from typing import NamedTuple


class Mutant(NamedTuple):
    """A breakage.

    Attributes:
        file: path from the root.
        old: the right text.
        new: what stands there instead.
        tests: what must fail.
    """

    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def library(module: str, test: str, *breakages: tuple[str, str, str]) -> list[Mutant]:
    """Breakages (old, new, names of tests) of one module that one test file notices."""
    return [
        Mutant(f"lib/denoising/{module}.py", old, new, tuple(f"{test}::{name}" for name in names.split()))
        for old, new, names in breakages
    ]


def notebook(path: str, *breakages: tuple[str, str]) -> list[Mutant]:
    """Breakages (old, new) of a notebook's cells that its own outputs and claims notice."""
    file = f"notebooks/{path}.ipynb"
    return [Mutant(file, old, new, (file,)) for old, new in breakages]
