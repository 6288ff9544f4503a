"""The answer keys: complete, without marks, with links that lead somewhere, and strict about broken exercises."""

import json
import re
from pathlib import Path

import pytest

from denoising.nb.answers import page, read

ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("*/*.ipynb"))
TITLE = "## 3 Exercises\n\n### Exercise 2 (15 min, difficulty 4 of 5)\n\n"
TASK = f"{TITLE}Double x, see [1.2](1.2-b.ipynb) and [how](../0-s/0.0-w.ipynb#x).\n"
SOLUTION = "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION\n"
CHECK = "check_double(double, strict=True)\n### BEGIN HIDDEN TESTS\nassert double(3) == 6\n### END HIDDEN TESTS"
REMARK = "Adding one works [once](https://x.org/a).\n\n## What you saw\n\nMuch."


@pytest.fixture
def course(tmp_path):
    """A course of one notebook with one exercise."""
    cells = [
        ("markdown", "# 1.1 A title\n\nWords.", {}),
        ("markdown", TASK, {"tags": ["exercise"]}),
        ("code", "double = ...\ncheck_double(double)", {"tags": ["stub"]}),
        ("code", SOLUTION, {"tags": ["solution"]}),
        ("code", CHECK, {"tags": ["check"], "nbgrader": {"points": 3}}),
        ("markdown", REMARK, {}),
    ]
    cells = [{"cell_type": kind, "source": text.splitlines(keepends=True), "metadata": m} for kind, text, m in cells]
    path = tmp_path / "notebooks" / "1-a" / "1.1-a.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"cells": cells}))
    return tmp_path


def test_a_key_holds_what_a_teacher_needs(course):
    (key,) = read(course / "notebooks" / "1-a" / "1.1-a.ipynb", folder=course)
    assert (key.notebook, key.title) == ("notebooks/1-a/1.1-a.ipynb", "1.1 A title")
    assert (key.exercise, key.minutes, key.difficulty, key.points) == (2, 15, 4, 3)
    assert key.solution == "def double(x):\n    return 2 * x"
    assert key.check == CHECK
    assert key.remark.strip() == "Adding one works [once](https://x.org/a)."
    links = "[1.2](../../notebooks/1-a/1.2-b.ipynb) and [how](../../notebooks/0-s/0.0-w.ipynb#x)"
    assert key.task.strip() == f"Double x, see {links}."


def test_the_page(course):
    text = page(course)
    assert "| [1.1 A title](../../notebooks/1-a/1.1-a.ipynb) | 2 | 15 | 4 | 3 |" in text
    assert "### 1.1, exercise 2 (15 min, difficulty 4 of 5, points: 3)" in text
    assert "**Solution.**\n\n```python\ndef double(x):\n    return 2 * x\n```" in text
    assert f"**Check.**\n\n```python\n{CHECK}\n```" in text
    assert "**What goes wrong.** Adding one" in text and "What you saw" not in text


@pytest.mark.parametrize("break_it", [lambda cells: cells.pop(), lambda cells: cells[1].update(source=["Double x."])])
def test_an_exercise_that_is_not_complete_is_no_key(course, break_it):
    path = course / "notebooks" / "1-a" / "1.1-a.ipynb"
    cells = json.loads(path.read_text())["cells"]
    break_it(cells)
    path.write_text(json.dumps({"cells": cells}))
    with pytest.raises(ValueError, match=r"^notebooks/1-a/1.1-a.ipynb: expected an exercise of five cells"):
        page(course)


def test_every_exercise_of_the_course_has_its_key():
    text = page()
    tagged = [
        cell
        for path in LESSONS
        for cell in json.loads(path.read_text("utf-8"))["cells"]
        if "exercise" in cell["metadata"].get("tags", [])
    ]
    assert text.count("**Solution.**") == text.count("**Check.**") == text.count("**What goes wrong.** ") == len(tagged)
    assert "BEGIN SOLUTION" not in text and "points: 0" not in text
    for key in (key for path in LESSONS for key in read(path, folder=ROOT)):
        assert min(len(key.task), len(key.solution), len(key.check), len(key.remark)) > 20, key.title
        assert "strict=True" in key.check
    for link in re.findall(r"\]\(\.\./\.\./([^)#]+)", text):
        assert (ROOT / link).exists(), link
