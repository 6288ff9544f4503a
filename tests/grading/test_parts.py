"""One lesson of each part goes the whole way: released, solved, handed in, collected, graded, commented on."""

import json
import re
from pathlib import Path

import pytest

from denoising.classroom import lacking

pytestmark = [
    pytest.mark.skipif(lacking() is not None, reason=str(lacking())),
    pytest.mark.filterwarnings("ignore"),  # nbgrader's, about its own use of other packages
]
TIMES = json.loads((Path(__file__).resolve().parents[1] / "timings.json").read_text("utf-8"))
PARTS = sorted({path.partition("/")[0] for path in TIMES})


def fastest(part):
    return Path(min((p for p in TIMES if p.startswith(part)), key=lambda p: TIMES[p]["seconds"])).stem


@pytest.fixture
def exchange(course, tmp_path):
    """nbgrader for this course, with an exchange folder of its own."""
    from denoising.classroom.course import api

    for name in ("inbound", "outbound", "feedback"):
        (tmp_path / "exchange" / "denoising" / name).mkdir(parents=True)
    nbgrader = api(course.folder)
    nbgrader.config.Exchange.update(root=str(tmp_path / "exchange"), cache=str(tmp_path / "cache"))
    return nbgrader


def submit(nbgrader, home, student, name, files):
    """What `nbgrader submit` does in a student's home."""
    (home / name).mkdir(parents=True)
    for file, content in files.items():
        (home / name / file).write_text(content)
    nbgrader.config.Exchange.assignment_dir = str(home)
    nbgrader.coursedir.assignment_id, nbgrader.coursedir.student_id = name, student
    nbgrader.exchange.Submit(
        coursedir=nbgrader.coursedir, authenticator=nbgrader.authenticator, parent=nbgrader
    ).start()
    nbgrader.coursedir.student_id = "*"


@pytest.mark.parametrize("part", PARTS)
def test_a_solved_lesson_has_all_points_and_an_untouched_one_none(part, course, exchange, tmp_path):
    name = fastest(part)
    course.run("assignments", name)
    assert exchange.release_assignment(name)["success"]
    solved, untouched = course.submission(name), course.notebook("release", name)
    for student, notebook in (("solved", solved), ("untouched", untouched)):
        submit(exchange, tmp_path / student, student, name, {f"{name}.ipynb": json.dumps(notebook)})
    assert exchange.collect(name)["success"]
    graded = course.grade(name, jobs=1)  # another worker of pytest may need the other core
    of = sum(c["metadata"].get("nbgrader", {}).get("points", 0) for c in solved["cells"])
    assert {student: (points, notes) for student, (points, _, _, notes) in graded.items()} == {
        "solved": (of, []),
        "untouched": (0, []),
    }
    for student, points in (("solved", of), ("untouched", 0)):
        page = (course.folder / "feedback" / student / name / f"{name}.html").read_text("utf-8")
        assert re.search(rf"\(Score: {points:.1f} / {of:.1f}\)", page)
        assert "HIDDEN TESTS" not in page
    assert "NotImplementedError" in page and "WrongAnswer" not in page


def test_what_is_collected_is_a_file_of_the_student(course, exchange, tmp_path, small_lesson):
    """A link to the teacher's solution, in a folder that is the student's, would be followed by nbgrader."""
    name = "1.0-small"
    course.run("assignments", "--notebooks", small_lesson)
    assert exchange.release_assignment(name)["success"]
    submit(exchange, tmp_path / "home", "thief", name, {"notes.txt": "not used in grading"})
    (inbound,) = (tmp_path / "exchange/denoising/inbound").iterdir()
    (inbound / f"{name}.ipynb").symlink_to(course.folder / "source" / name / f"{name}.ipynb")
    (inbound / "timestamp.txt").unlink()
    (inbound / "timestamp.txt").symlink_to(course.folder / "gradebook.db")
    told = exchange.collect(name)
    assert told["success"] and "left behind" in told["log"]
    got = {path.name for path in (course.folder / "submitted/thief" / name).iterdir()}
    assert got == {"submission_secret.txt", "timestamp.txt"}
    ((points, _, _, notes),) = course.grade(name).values()
    assert points == 0 and "not graded" in notes[0]
