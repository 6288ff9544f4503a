"""The record of exercises: what counts, where it lies, what can be wrong with it, and how it is shown."""

import ast
import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from denoising import checks, nb
from denoising.nb import places, record
from denoising.nb.exercises import exercises, listed

ROOT = Path(__file__).resolve().parents[2]
TODAY = date.today().isoformat()
CHECKS = '''"""Checks of notebook 7.1: a test."""
from denoising.checks import missing, passed, require

def check_double(answer, *, strict=False):
    if missing("twice", answer, strict=strict):
        return
    require(answer == 2, "twice", "no")
    passed("twice")

def check_half(answer, *, strict=False):
    passed("half")
'''


def cell(source, *tags):
    return {"cell_type": "code", "metadata": {"tags": list(tags)}, "source": source.splitlines(keepends=True)}


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of one notebook with two exercises, a learner's folder, and a live kernel."""
    cells = [
        cell("checks.check_other(1)"),
        cell("twice = ...\n\nchecks.check_double(twice)", "stub"),
        cell("twice = 2\nchecks.check_wrong(twice)", "solution"),
        cell("checks.check_double(twice, strict=True)", "check"),
        cell("def half(x):\n    return check_nothing(x)\n\nchecks.check_half(half)", "stub"),
    ]
    (tmp_path / "notebooks" / "7-a").mkdir(parents=True)
    (tmp_path / "my-notebooks").mkdir()
    (tmp_path / "notebooks" / "7-a" / "7.1-b.ipynb").write_text(json.dumps({"cells": cells}))
    monkeypatch.setattr(places, "ROOT", tmp_path)
    monkeypatch.setattr(record, "live", lambda: True)
    return tmp_path


@pytest.fixture
def seven():
    """The checks of that notebook."""
    scope = {}
    exec(CHECKS, scope)
    return scope


def file(course):
    return course / "my-notebooks" / ".exercises.jsonl"


def test_a_right_answer_of_the_learner_is_recorded_once(course, seven, capsys):
    for _ in range(2):
        seven["check_double"](2)
    assert capsys.readouterr().out == "[x] twice\n[x] twice\n"
    assert json.loads(file(course).read_text()) == {"notebook": "7.1", "exercise": "double", "day": TODAY}
    assert record.done() == ({"7.1": {"double": TODAY}}, "")


def test_solution_missing_and_wrong_answers_are_not_recorded(course, seven):
    seven["check_double"](2, strict=True)
    seven["check_double"](...)
    with pytest.raises(checks.WrongAnswer):
        seven["check_double"](3)
    assert not file(course).exists()


def test_what_is_no_check_of_a_notebook_is_not_recorded(course):
    def check_double(answer, *, strict=False):
        checks.passed("twice")

    check_double(2)  # this module's first line names no notebook
    checks.passed("twice")
    assert not file(course).exists()


def test_nothing_is_recorded_or_shown_while_notebooks_are_tested_or_stored(course, seven, monkeypatch, capsys):
    seven["check_double"](2)
    monkeypatch.undo()  # live() as it is
    monkeypatch.setattr(places, "ROOT", course)
    monkeypatch.setattr("denoising.nb.session.in_kernel", lambda: True)
    monkeypatch.setenv("DENOISING_WIDGETS", "off")
    seven["check_half"](1)
    assert "half" not in file(course).read_text() and record.done() == ({}, "")
    capsys.readouterr()
    nb.exercises("7.1")
    assert capsys.readouterr().out == "exercises of 7.1: [ ] double  [ ] half  (0 of 2 done)\n"
    monkeypatch.setenv("DENOISING_WIDGETS", "on")
    seven["check_half"](1)
    assert record.done()[0]["7.1"] == {"double": TODAY, "half": TODAY}


def test_the_record_lies_in_the_learners_folder_or_else_in_the_users(course, monkeypatch, tmp_path):
    assert record.place() == file(course)
    (course / "my-notebooks").rmdir()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert record.place() == tmp_path / "state" / "denoising" / "exercises.jsonl"
    record.remember("7.1", "double")
    assert record.done()[0] == {"7.1": {"double": TODAY}}
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert record.place() == tmp_path / "home" / ".local" / "state" / "denoising" / "exercises.jsonl"


DAMAGE = ["{", '{"notebook": "7.1"', "[1]", '{"notebook": 7.1, "exercise": "a", "day": "b"}', '{"notebook": "7.1"}',
          '{"notebook": "seven", "exercise": "a", "day": "b"}', "null", "\x00\x01", "[" * 10_000]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_costs_its_line_only_and_is_said(course, seven, capsys, damage):
    seven["check_double"](2)
    with file(course).open("a") as record_file:
        record_file.write(damage)  # no end of line, as after a power cut
    seven["check_half"](1)
    capsys.readouterr()
    nb.exercises("7.1")
    said = capsys.readouterr().out.splitlines()
    assert said == [
        f"{file(course)}: damaged lines, left out: 1",
        "exercises of 7.1: [x] double  [x] half  (2 of 2 done)",
    ]


def test_a_record_that_is_no_text_breaks_nothing(course, seven, capsys):
    file(course).write_bytes(b"\xff\xfe\x00")
    seven["check_double"](2)
    assert capsys.readouterr().out == "[x] twice\n" and "double" in record.done()[0]["7.1"]


def test_a_record_that_cannot_be_written_breaks_no_check(course, seven, capsys):
    file(course).mkdir()  # a folder where the file should be
    seven["check_double"](2)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "[x] twice" and second.startswith("(the answer is right, but it cannot be recorded: ")
    nb.exercises("7.1")
    problem, view = capsys.readouterr().out.splitlines()
    assert problem.startswith("the record of exercises cannot be read: ") and view.endswith("(0 of 2 done)")


def test_a_user_without_a_home_breaks_no_check(course, seven, monkeypatch, capsys):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    (course / "my-notebooks").rmdir()
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    seven["check_double"](2)
    assert "cannot be recorded: Could not" in capsys.readouterr().out


def test_notebooks_that_write_at_the_same_time_lose_nothing(course):
    program = """
import sys
from pathlib import Path
from denoising.nb import places, record
places.ROOT, record.live = Path(sys.argv[1]), lambda: True
for number in range(50):
    record.remember("7.1", f"{sys.argv[2]}_{number}")
"""
    running = [subprocess.Popen([sys.executable, "-c", program, str(course), name]) for name in "abc"]
    assert [one.wait(60) for one in running] == [0, 0, 0]
    found, problem = record.done()
    assert len(found["7.1"]) == 150 and not problem


def test_the_view_over_all_notebooks(course, seven, capsys):
    exercises()
    assert capsys.readouterr().out == (
        "exercises done so far: 0 (a line appears here for every notebook in which you solve one)\n"
    )
    record.remember("10.2", "far")
    record.remember("7.1", "renamed_since")
    record.remember("7.1", "double")
    exercises()
    assert capsys.readouterr().out.splitlines() == [
        f"exercises done so far: 2 (recorded in {file(course)})",
        f"  7.1   [x] double  [ ] half  (1 of 2 done), last on {TODAY}",
        f"  10.2  [x] far  (1 done), last on {TODAY}",  # its notebook is not here
    ]
    record.remember("7.1", "half")
    exercises()
    assert capsys.readouterr().out.startswith("exercises done so far: 3 (")


def test_without_the_courses_notebooks_the_view_shows_what_is_known(course, seven, capsys):
    (course / "notebooks" / "7-a" / "7.1-b.ipynb").write_text("{")
    exercises("7.1")
    record.remember("7.1", "double")
    exercises("7.1")
    assert capsys.readouterr().out.splitlines() == [
        "exercises of 7.1: none done so far",
        "exercises of 7.1: [x] double  (1 done)",
    ]


def lessons():
    return sorted(path for path in (ROOT / "notebooks").glob("*/*.ipynb"))


@pytest.mark.parametrize("path", lessons(), ids=lambda path: path.name.partition("-")[0])
def test_every_notebook_and_its_checks_agree(path):
    """The notebook's exercises are checks of the module that it imports, and that module's first line names it."""
    number = path.name.partition("-")[0]
    source = "".join("".join(one["source"]) + "\n" for one in json.loads(path.read_text("utf-8"))["cells"])
    names = listed(number)
    assert 2 <= len(names) == len(set(names))
    imports = [line for line in source.splitlines() if line.startswith("from denoising.checks import")]
    assert imports
    for module in {line.split()[3] for line in imports}:
        tree = ast.parse((ROOT / "lib" / "denoising" / "checks" / f"{module}.py").read_text("utf-8"))
        assert ast.get_docstring(tree).startswith(f"Checks of notebook {number}: ")
        assert {f"check_{name}" for name in names} <= {one.name for one in tree.body if hasattr(one, "name")}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "lib" / "denoising" / "checks").glob("[a-z]*.py")), ids=lambda p: p.stem
)
def test_passed_is_called_by_a_check_that_knows_whether_it_is_strict(path):
    """`passed` asks its caller; so every call stands in a check_...(..., *, strict=False) itself, in no helper."""
    tree = ast.parse(path.read_text("utf-8"))
    public = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name.startswith("check_")]
    assert public and all("strict" in [one.arg for one in check.args.kwonlyargs] for check in public)
    found = [calls_of_passed(check) for check in public]
    assert all(found) and sum(map(len, found)) == len(calls_of_passed(tree, inner=True))


def calls_of_passed(node, inner=False):
    """The calls of `passed` below a node; those in functions within it only if `inner`."""
    found = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call) and getattr(child.func, "id", "") == "passed":
            found.append(child)
        if inner or not isinstance(child, ast.FunctionDef | ast.Lambda):
            found += calls_of_passed(child, inner)
    return found
