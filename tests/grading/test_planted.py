"""The planted wrong answers of all exercises stand in `tests/checks`, without a kernel; here: none was forgotten.

Also there: what the referee asks before it believes a check.
"""

import ast
import importlib
import json
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from denoising.checks import WrongAnswer
from denoising.classroom import lacking

ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("*/*.ipynb"))
TESTS = sorted((ROOT / "tests" / "checks").glob("test_*.py"))


def cells(path, tag):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if tag in cell["metadata"].get("tags", [])]


def called(tree):
    """The names of all check_... that are called or named."""
    names = {node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "") for node in ast.walk(tree)}
    return {name for name in names if name.startswith("check_")}


def exercises():
    """Check and its module, for every exercise of every lesson."""
    for path in LESSONS:
        imports = next(
            s for s in json.loads(path.read_text("utf-8"))["cells"] if "denoising.checks" in str(s["source"])
        )
        tree = ast.parse("".join(imports["source"]))
        (module,) = [
            f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "denoising.checks"
            for alias in node.names
        ]
        for source in cells(path, "check"):
            yield from ((path.stem, module, name) for name in called(ast.parse(source)))


EXERCISES = list(exercises())


def rows(function, lists):
    """How many cases a test has: the longest of its lists, which may stand above it under a name."""
    found = [1]
    for mark in function.decorator_list:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("parametrize"):
            values = lists.get(getattr(mark.args[1], "id", ""), mark.args[1])
            found.append(len(getattr(values, "elts", getattr(values, "keys", []))))
    return max(found)


@cache
def planted():
    """Cases in which a check must raise WrongAnswer, by check; without those that give no answer at all."""
    count = Counter()
    for path in TESTS:
        tree = ast.parse(path.read_text("utf-8"))
        lists = {node.targets[0].id: node.value for node in tree.body if isinstance(node, ast.Assign)}
        for function in tree.body:
            if not isinstance(function, ast.FunctionDef) or not function.name.startswith("test_"):
                continue
            for block in ast.walk(function):
                raising = ast.unparse(block.items[0]) if isinstance(block, ast.With) else ""
                if "WrongAnswer" in raising and "no answer yet" not in raising:
                    for name in called(block) or called(function):
                        count[name] += rows(function, lists)
    return count


@pytest.mark.parametrize(("lesson", "module", "name"), EXERCISES)
def test_at_least_three_wrong_answers_are_planted(lesson, module, name):
    assert planted()[name] >= 3


@pytest.mark.skipif(lacking() is not None, reason=str(lacking()))
@pytest.mark.parametrize(("lesson", "module", "name"), EXERCISES)
def test_an_untouched_check_answers_nonsense_with_wrong_answer(lesson, module, name):
    from denoising.classroom.referee import probe

    trial = probe(f"checks.{name}(mine, strict=True)\nassert mine")
    assert "mine" not in trial
    with pytest.raises(WrongAnswer):
        exec(trial, {"checks": importlib.import_module(module)})
