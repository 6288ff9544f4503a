"""A small notebook that keeps every rule; the tests break it in one place at a time."""

import base64
from copy import deepcopy

from denoising.nb.normal import as_text, normal
from lesson import Lesson

NAME = "9-test/9.1-model.ipynb"
TIMING = {"seconds": 20.0, "megabytes": 500}
ALT = "Figure: Line plot of a line that rises from one to two"
OPENING = """# A model of a notebook

**Question.** Does every rule hold here?

| | |
|---|---|
| You will be able to | read it; break it; mend it |
| Time | 5 min to read and work; runs in 20 s on 2 CPU cores |
| Before this | nothing |
| Paper | none |
| Scaled down | nothing |
"""
CLOSING = """## What you saw
Words.

## What this does not show
Words.

## Check yourself
<details>a</details> <details>b</details> <details>c</details>

## Next
Words.

## References
None.
"""
STUB = '''def double(x: float) -> float:
    """Twice x."""
    ...

check_double(double)
'''
SOLUTION = '''def double(x: float) -> float:
    """Twice x."""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION
'''
SHOW = 'fig, ax = plt.subplots()\nnb.show(fig, alt="Line plot of a line that rises from one to two")'
GRADING = {"schema_version": 3, "task": False}
SOLVED = {
    "nbgrader": GRADING | {"grade_id": "ex1_double", "solution": True, "grade": False, "locked": False},
    "jupyter": {"source_hidden": True},
    "tags": ["solution", "hide-input"],
}
CHECKED = {
    "nbgrader": GRADING | {"grade_id": "ex1_check", "solution": False, "grade": True, "locked": True, "points": 2},
    "tags": ["check"],
}
SETUP = """import matplotlib.pyplot as plt

from denoising import nb
from denoising.checks.model import check_double

rng = nb.setup(seed=0)"""
CLAIM = "claim: small | \u2248 0.5 in [-inf, 1] | control \u2248 2 outside | holds\n"


def markdown(source, **metadata):
    return {"cell_type": "markdown", "metadata": metadata, "source": source}


def code(source, text="", *, png=None, **metadata):
    outputs = [{"output_type": "stream", "name": "stdout", "text": text}] if text else []
    if png:
        data = {"image/png": base64.b64encode(png).decode(), "text/plain": ALT}
        outputs.append({"output_type": "display_data", "metadata": {}, "data": data})
    return {"cell_type": "code", "metadata": metadata, "source": source, "outputs": outputs}


def cells():
    """The cells of the model, free to change; numbers as the rules count them, from 1."""
    return deepcopy([
        markdown(OPENING),
        code(SETUP, "device: cpu\n"),
        markdown("## 1 A section\n\n**Predict.** Less or more?"),
        code('nb.predict("model", options=["less", "more"])', "predict model: (a) less  (b) more\n"),
        code("value = 0.5\nprint(nb.measured(value))", "\u2248 0.5\n"),
        code('nb.claim("small", value, hi=1, control=2)', CLAIM),
        code(SHOW, png=b"any"),
        markdown("Words. " * 900),
        markdown("Exercise 1 (5 min, difficulty 1 of 5)\n<details>Add.</details>", tags=["exercise"]),
        code(STUB, "[ ] double: not attempted yet\n", tags=["stub"]),
        code(SOLUTION, **SOLVED),
        code("check_double(double, strict=True)", "[x] double\n", **CHECKED),
        markdown("A common mistake is x + x + x."),
        markdown("Why?\n<!-- BEGIN SOLUTION -->\n<details>So.</details>\n<!-- END SOLUTION -->", nbgrader=GRADING | {
            "grade_id": "q1", "solution": True, "grade": True, "locked": False, "points": 3,
        }),
        markdown(CLOSING),
        code('nb.exercises("9.1")', "exercises of 9.1: [ ] double  (0 of 1 done)\n", tags=["view"]),
    ])  # fmt: skip


def lesson(these=None, *, counted=True, timing=None):
    """The cells as a stored notebook."""
    these = cells() if these is None else these
    count = 0
    for cell in these:
        if cell["cell_type"] == "code" and counted:
            count += 1
            cell.setdefault("execution_count", count)
    content = as_text(normal({"cells": these}))
    return Lesson.read(NAME, content, {NAME: TIMING if timing is None else timing})
