"""What the tests of the graded labs share: a course folder, the command line, submissions made from a release."""

import json
import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


# What one grading may take, in seconds. On a machine that is busy with other work the clock says nothing.
PATIENCE = 150 if os.getloadavg()[0] <= 2 * (os.cpu_count() or 1) else 1000


class Course:
    """A course folder and what a class does with it."""

    def __init__(self, folder: Path):
        self.folder = folder

    def run(self, *arguments, check=True):
        """`python -m denoising.classroom`."""
        command = [sys.executable, "-m", "denoising.classroom", "--course", str(self.folder), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert not check or done.returncode == 0, done.stderr
        return done

    def notebook(self, kind, name):
        """A notebook of the folders `source` or `release`."""
        return json.loads((self.folder / kind / name / f"{name}.ipynb").read_text("utf-8"))

    def submission(self, name, **answers):
        """The released notebook with answers by grade_id; those of the lesson, if none are given."""
        given = answers or {key: "".join(cell["source"]) for key, cell in graded(self.notebook("source", name)).items()}
        notebook = self.notebook("release", name)
        for key, cell in graded(notebook).items():
            if cell["metadata"]["nbgrader"]["solution"] and key in given:
                cell["source"] = given[key]
        return notebook

    def hand_in(self, student, name, notebook):
        """Put a notebook (or the bytes of a file) where `collect` puts it."""
        path = self.folder / "submitted" / student / name / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(notebook if isinstance(notebook, bytes) else json.dumps(notebook).encode())

    def grade(self, name, jobs=2):
        """What `grade` says, in time: {student: (points, seconds, megabytes, notes)}."""
        told, student = {}, ""
        for line in self.run("grade", name, "--jobs", jobs).stdout.splitlines():
            if line.startswith("        "):
                told[student][3].append(line.strip())
            else:
                points, _, _, seconds, _, megabytes, _, student = line.split(maxsplit=7)
                told[student] = (float(points), float(seconds), float(megabytes), [])
        assert max(seconds for _, seconds, _, _ in told.values()) <= PATIENCE
        return told


def graded(notebook):
    """The cells with nbgrader's metadata, by grade_id."""
    return {c["metadata"]["nbgrader"]["grade_id"]: c for c in notebook["cells"] if c["metadata"].get("nbgrader")}


@pytest.fixture
def course(tmp_path):
    return Course(tmp_path / "course")


@pytest.fixture(scope="session")
def every_assignment(tmp_path_factory):
    """The course with all assignments."""
    course = Course(tmp_path_factory.mktemp("classroom") / "course")
    before = os.times()
    course.made = course.run("assignments").stdout.splitlines()
    after = os.times()  # of the processor: what else runs on the machine does not count
    course.seconds = after.children_user + after.children_system - before.children_user - before.children_system
    return course


@pytest.fixture
def small_lesson(tmp_path):
    """A folder with one lesson that starts quickly: the two exercises of 1.1 and what they import."""
    lesson = json.loads((ROOT / "notebooks/1-ddpm/1.1-forward-process.ipynb").read_text("utf-8"))
    setup = deepcopy(next(cell for cell in lesson["cells"] if cell["cell_type"] == "code"))
    imports = (
        "import torch",
        "from denoising import schedules",
        "from denoising.checks import forward_process as checks",
    )
    setup["source"] = "\n".join(imports)
    first = next(i for i, cell in enumerate(lesson["cells"]) if "exercise" in cell["metadata"].get("tags", []))
    lesson["cells"] = [setup, *lesson["cells"][first:]]
    path = tmp_path / "lessons" / "1-small" / "1.0-small.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(lesson), "utf-8")
    return tmp_path / "lessons"
