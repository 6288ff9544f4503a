"""The graded labs on disk: all assignments from the lessons, all points from the submissions."""

import json
import os
import resource
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from nbgrader.apps.api import Config, NbGraderAPI
from nbgrader.coursedir import CourseDirectory

from denoising.classroom import landlock
from denoising.classroom.collect import SUBMISSION_BYTES
from denoising.classroom.preprocessors import NOTE
from denoising.classroom.referee import VERDICTS
from denoising.classroom.settings import configure
from denoising.nb.places import replace_file, root

__all__ = ["Graded", "api", "generate", "grade", "grade_one", "lessons", "unguarded"]


class Graded(NamedTuple):
    """What became of a submission.

    Attributes:
        student: the name of its folder.
        points: reached.
        of: how many there are.
        seconds: the grading took.
        megabytes: at most held by the grader until then.
        notes: what a teacher should look at; empty for most.
    """

    student: str
    points: float
    of: float
    seconds: float
    megabytes: float
    notes: tuple[str, ...]


def api(course: Path) -> NbGraderAPI:
    """nbgrader, with this course's settings, for the folder `course`."""
    config = Config()
    configure(config)
    config.CourseDirectory.root = str(course)
    return NbGraderAPI(coursedir=CourseDirectory(config=config), config=config)


def lessons(names: Sequence[str] = (), *, notebooks: Path | None = None) -> list[Path]:
    """The notebooks with exercises.

    Args:
        names: numbers ("1.1") or full names; all lessons if empty.
        notebooks: the folder whose folders hold them; the course's own if not given.
    Raises:
        ValueError: if a name fits no lesson.
    """
    every = [path for path in sorted((notebooks or root() / "notebooks").glob("*/*.ipynb")) if _points(path)]
    for name in names:
        if not any(_is(path, name) for path in every):
            raise ValueError(f"no lesson {name!r} with exercises; there are {', '.join(p.stem for p in every)}")
    return [path for path in every if not names or any(_is(path, name) for name in names)]


def generate(course: Path, names: Sequence[str] = (), *, notebooks: Path | None = None) -> dict[str, float]:
    """Make the assignments: `source/` (yours, with the hidden tests) and `release/` (the students').

    Args:
        course: the folder; made if needed, and closed to others.
        names, notebooks: as for `lessons`.
    Returns:
        the points of each.
    Raises:
        ValueError: if a name fits no lesson.
        RuntimeError: with nbgrader's words, if it refuses one.
    """
    course.mkdir(parents=True, exist_ok=True)
    course.chmod(0o700)
    nbgrader, made = api(course), {}
    for path in lessons(names, notebooks=notebooks):
        replace_file(course / "source" / path.stem / path.name, path.read_bytes())
        result = nbgrader.generate_assignment(path.stem)
        if not result["success"]:
            raise RuntimeError(f"{path.stem}: {result.get('log', '')}{result.get('error', '')}")
        made[path.stem] = _points(path)
    return made


def grade(course: Path, name: str, *, jobs: int = 2) -> Iterator[Graded]:
    """Run, grade and comment on every submission of an assignment; again, if it was done before.

    Args:
        course: the folder.
        name: of the assignment, in full.
        jobs: how many submissions run at a time.
    Yields:
        one after the other, in the order of their names.
    Raises:
        FileNotFoundError: if there is no such assignment, or nobody has handed it in.
    """
    if not (course / "source" / name).is_dir():
        raise FileNotFoundError(f"{course / 'source'}: there is no assignment {name}; make assignments first")
    students = sorted(path.parent.name for path in (course / "submitted").glob(f"*/{name}") if path.is_dir())
    if not students:
        raise FileNotFoundError(f"{course / 'submitted'}: nobody has handed in {name}; collect first")
    while students:
        try:
            with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
                for graded in pool.map(partial(grade_one, course, name), tuple(students)):
                    students.pop(0)
                    yield graded
        except BrokenProcessPool:  # the system ended a grader, for its memory perhaps
            of = api(course).get_assignment(name)["max_score"]
            yield Graded(students.pop(0), 0.0, of, 0.0, 0.0, ("not graded: the grader itself was ended",))


def grade_one(course: Path, name: str, student: str) -> Graded:
    """Grade one submission and write its feedback. Whatever is wrong with it becomes a note."""
    start = time.perf_counter()
    with warnings.catch_warnings(action="ignore"):  # nbgrader's, about itself
        points, notes = _grade_one(api(course), course, name, student)
        of = api(course).get_assignment(name)["max_score"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Graded(student, points, of, time.perf_counter() - start, peak, tuple(dict.fromkeys(notes)))


def _grade_one(nbgrader: NbGraderAPI, course: Path, name: str, student: str) -> tuple[float, list[str]]:
    folder = course / "submitted" / student / name
    long = [path.name for path in folder.rglob("*") if path.is_file() and path.stat().st_size > SUBMISSION_BYTES]
    if long:
        return 0.0, [f"not opened: {', '.join(long)} is longer than 20 MiB"]
    ran = nbgrader.autograde(name, student)
    if not ran["success"]:
        last = (ran.get("log") or ran.get("error") or "").strip().splitlines()
        cause = next((line for line in reversed(last) if "Error" in line), last[-1] if last else "unknown")
        return 0.0, [f"not graded: {cause.strip()[:200]}"]
    log = [line.partition("] ")[2] for line in ran.get("log", "").splitlines()]
    notes = [line.removeprefix(f"{NOTE}: ") for line in log if line.startswith((NOTE, "No submitted file"))]
    for path in sorted((course / "autograded" / student / name).glob("*.ipynb")):
        notes += _verdicts(path)
    told = nbgrader.generate_feedback(name, student)
    if not told["success"]:
        notes.append("no feedback: " + told.get("log", "").strip().splitlines()[-1][:200])
    return nbgrader.get_submission(name, student)["score"], notes


def unguarded() -> str | None:
    """One line for the teacher, where a submission could read more than it should; None where it cannot."""
    if landlock.available():
        return None
    who = "what everybody may read" if os.geteuid() == 0 else "all that you may read, hidden tests included"
    return f"this system has no Landlock (Linux 5.13 or newer): a submission can read {who}, and use the network"


def _is(path: Path, name: str) -> bool:
    return name in (path.stem, path.stem.partition("-")[0])


def _points(path: Path) -> float:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return sum(cell["metadata"].get("nbgrader", {}).get("points", 0) for cell in cells)


def _verdicts(path: Path) -> list[str]:
    found: list[dict[str, Any]] = []
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        found += [out for out in cell.get("outputs", []) if out["output_type"] == "error"]
    return [out["evalue"] for out in found if out["ename"] in VERDICTS]
