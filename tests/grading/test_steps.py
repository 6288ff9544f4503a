"""Our own steps among nbgrader's, on small notebooks; the settings; and what is said where nbgrader is missing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat import from_dict
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from denoising.classroom import lacking

ROOT = Path(__file__).resolve().parents[2]
NAME = "1.0-small"
needs_nbgrader = pytest.mark.skipif(lacking() is not None, reason=str(lacking()))
quiet = pytest.mark.filterwarnings("ignore")  # nbgrader's, about its own use of other packages


@needs_nbgrader
def test_a_lesson_loses_what_is_for_readers():
    from denoising.classroom.preprocessors import LessonToAssignment

    lesson = new_notebook(
        cells=[
            new_markdown_cell("## Exercise 1"),
            new_code_cell("def f(): ...", metadata={"tags": ["stub"]}),
            new_code_cell("4", metadata={"tags": ["solution", "hide-input"], "jupyter": {"source_hidden": True}}),
            new_code_cell("check_f(f, strict=True)", metadata={"tags": ["check"]}),
            new_markdown_cell("The answer is 4.\n\n## What you saw\n\n# Four"),
            new_code_cell("check_f(f, strict=True)", metadata={"tags": ["check", "mine"]}),
            new_markdown_cell("It is 4."),
            new_markdown_cell("The end."),
            new_code_cell("nb.exercises()", metadata={"tags": ["view"]}),
        ]
    )
    made, _ = LessonToAssignment().preprocess(lesson, {})
    told = ["## Exercise 1", "4", "check_f(f, strict=True)", "## What you saw\n\n# Four"]
    assert [cell.source for cell in made.cells] == [*told, "check_f(f, strict=True)", "The end."]
    assert [cell.metadata for cell in made.cells[1:3]] == [{"tags": []}, {"tags": ["check"]}]


@needs_nbgrader
def test_feedback_keeps_hidden_tests_hidden():
    from denoising.classroom.preprocessors import Discreet

    hidden = "check_f(f)\n### BEGIN HIDDEN TESTS\nassert f(3) == 9\n### END HIDDEN TESTS"
    error = new_output("error", ename="AssertionError", evalue="", traceback=["----> 3 assert f(3) == 9"])
    about = {"grade": True, "solution": False, "points": 1}
    check = new_code_cell(hidden, outputs=[error], metadata={"nbgrader": about})
    own = new_code_cell("### BEGIN HIDDEN TESTS", outputs=[from_dict(dict(error))])
    shown, _ = Discreet().preprocess(new_notebook(cells=[check, own]), {})
    assert shown.cells[0].source == "check_f(f)" and "f(3)" not in str(shown.cells[0].outputs)
    assert shown.cells[1].source == "### BEGIN HIDDEN TESTS", "a student's cell is a student's"


@quiet
@needs_nbgrader
def test_a_submission_is_put_back_into_its_frame(course, small_lesson):
    from denoising.classroom.preprocessors import Frame

    course.run("assignments", "--notebooks", small_lesson)
    nb = from_dict(course.submission(NAME))
    checks = [cell for cell in nb.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    nb.cells.remove(checks[1])
    twin = from_dict(json.loads(json.dumps(checks[0])))
    twin.metadata.tags = ["skip-execution"]
    twin.metadata.nbgrader.update(points=100, solution=True, locked=False, more="words")
    nb.cells += [twin, new_code_cell("1", metadata={"nbgrader": {"grade": True, "grade_id": "mine", "points": 9}})]
    nb.cells += [new_code_cell("2", metadata={"nbgrader": "words"})]
    where = {"db_url": f"sqlite:///{course.folder}/gradebook.db", "notebook": NAME, "assignment": NAME}
    framed, _ = Frame().preprocess(nb, {"nbgrader": where})
    about = [cell.metadata["nbgrader"] for cell in framed.cells if "nbgrader" in cell.metadata]
    names = ["ex1_pooled_snr", "ex2_rescale_betas", "ex1_check", "ex2_check"]
    assert [one["grade_id"] for one in about] == names, "of two the last, unknown ones not at all, the missing one last"
    assert all("tags" not in cell.metadata for cell in framed.cells if "nbgrader" in cell.metadata)
    assert [one.get("points") for one in about] == [None, None, 2, 3]
    assert [(one["grade"], one["solution"], one["locked"]) for one in about] == [(0, 1, 0)] * 2 + [(1, 0, 1)] * 2


@quiet
@needs_nbgrader
def test_the_settings_are_those_of_the_course():
    from nbgrader.apps.api import Config

    from denoising.classroom.preprocessors import Discreet, Frame, LessonToAssignment
    from denoising.classroom.referee import Referee

    path = ROOT / "classroom" / "nbgrader_config.py"
    c = Config()
    exec(compile(path.read_text("utf-8"), path, "exec"), {"get_config": lambda: c, "__file__": str(path)})
    assert c.GenerateAssignment.preprocessors[0] is LessonToAssignment
    assert c.Autograde.sanitize_preprocessors[0] is Frame and c.GenerateFeedback.preprocessors[0] is Discreet
    assert c.Autograde.autograde_preprocessors[0] is Referee
    assert "Execute" not in [step.__name__ for step in c.Autograde.autograde_preprocessors]
    assert c.CourseDirectory.root == str(ROOT / "classroom" / "course")


@pytest.mark.parametrize("command", [["assignments"], ["grade", "1.1-forward-process"]])
def test_without_the_extra_one_line_says_how_to_get_it(command):
    blocked = "import sys; sys.modules['nbgrader'] = None; from denoising.classroom.__main__ import main; "
    code = blocked + f"sys.exit(main({command}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == "graded labs need nbgrader: python -m pip install -c constraints.txt -e '.[classroom]'\n"


@needs_nbgrader
def test_nothing_handed_in_is_said(course):
    done = course.run("grade", "1.1-forward-process", check=False)
    assert done.returncode == 1 and "there is no assignment 1.1-forward-process; make assignments first" in done.stderr
    (course.folder / "source" / "1.1-forward-process").mkdir(parents=True)
    done = course.run("grade", "1.1-forward-process", check=False)
    assert done.returncode == 1 and "nobody has handed in 1.1-forward-process; collect first" in done.stderr
