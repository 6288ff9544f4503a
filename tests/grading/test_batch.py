"""Thirty submissions, half of them hostile: each is graded as it deserves, none stops the others."""

import os
import socket
from copy import deepcopy
from pathlib import Path

import pytest

from denoising.classroom import lacking, landlock

pytestmark = [
    pytest.mark.skipif(lacking() is not None, reason=str(lacking())),
    pytest.mark.skipif(getattr(os, "geteuid", int)() != 0, reason="only root can grade as another user"),
]
ROOT = Path(__file__).resolve().parents[2]
NAME = "1.0-small"
MARK = "86399.25"  # seconds that nothing else sleeps
WRONG = "def pooled_snr(snr, k):\n    return snr * k"
HEAD = "import os, subprocess, sys, time, torch\ndef pooled_snr(snr, k):\n"
SILENT = "checks.check_pooled_snr = lambda *a, **k: None\n"
FORGED = """
    kernel = get_ipython().kernel
    data = {"data": {"text/plain": "2"}, "metadata": {}, "execution_count": 9}
    kernel.session.send(kernel.iopub_socket, "execute_result", data, parent=kernel.get_parent())
    raise ValueError
"""
STUBBORN = """
    while True:
        try:
            time.sleep(1)
        except KeyboardInterrupt:
            pass
"""


def spy(*paths):
    """An answer that is right for who has read one of the files."""
    return (
        HEAD
        + f"""
    for path in {[str(path) for path in paths]}:
        try:
            if os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1):
                return snr * k**2
        except OSError:
            pass
"""
    )


def caller(port):
    """An answer that is right for who has reached a server."""
    return HEAD + f"    import socket\n    socket.create_connection(('127.0.0.1', {port}), 5)\n    return snr * k**2"


def secrets(course):
    """What a submission must not read, and the grader can: all of it is there and holds something."""
    places = [course.folder / "gradebook.db", course.folder / "source" / NAME / f"{NAME}.ipynb"]
    places += [course.folder / "submitted/right-0" / NAME / f"{NAME}.ipynb", course.folder, course.folder / "submitted"]
    places += [ROOT / "notebooks/1-ddpm/1.1-forward-process.ipynb", ROOT / "tests/checks/test_forward_process.py"]
    places += [Path("/etc/shadow"), Path(f"/proc/{os.getpid()}/environ"), Path("/tmp")]
    assert all(list(path.iterdir()) if path.is_dir() else path.read_bytes() for path in places)
    return places


def answers(course, port):
    """Answers to the first exercise, with the points of both; the second, of three points, is answered rightly.

    A flood of output may take its check's time, or not; then there is no telling how many points it has.
    """
    right = "    return snr * k**2"
    return {
        "wrong": (WRONG, 3),
        "loop in the answer": (HEAD + "    while True: pass", 3),
        "loop in the cell": ("while True: pass", 3),
        "loop that stays": (HEAD + STUBBORN, 0),
        "gigabyte in lines": (HEAD + "    for _ in range(1000): print('x' * 10**6)\n" + right, None),
        "gigabyte in one": (HEAD + "    print('x' * 10**9)\n" + right, None),
        "gigabyte past Python": (HEAD + "    for _ in range(1000): os.write(1, b'x' * 10**6)\n" + right, None),
        "exit": (HEAD + "    os._exit(0)", 0),
        "memory": (HEAD + "    bytearray(8 * 2**30)\n" + right, 3),
        "full disk": (HEAD + "    open('big', 'wb').write(bytes(100 * 2**20))\n" + right, 3),
        "kills its parent": (HEAD + "    os.kill(os.getppid(), 9)\n" + right, 3),
        "kills everybody": (HEAD + "    os.kill(-1, 9)\n" + right, 5),
        "leaves a process": (HEAD + f"    subprocess.Popen(['sleep', '{MARK}'], start_new_session=True)\n" + right, 5),
        "silences the check": (SILENT + WRONG, 3),
        "forges a result": (HEAD + FORGED, 3),
        "reads its own": (spy(ROOT / "lib/denoising/__init__.py"), 5),
        "spy": (spy(*secrets(course)), 3),
        "caller": (caller(port), 3 if landlock.available() >= 4 else 5),
    }


def edited(course):
    """Whole notebooks, with their points."""
    right, wrong = course.submission(NAME), course.submission(NAME, ex1_pooled_snr=WRONG)

    def change(notebook, how):
        notebook = deepcopy(notebook)
        notebook["cells"] = [new for cell in notebook["cells"] for new in how(cell)]
        return notebook

    def about(cell):
        return cell["metadata"].get("nbgrader") or {}

    def easy(cell):
        if about(cell).get("grade"):
            cell["source"], about(cell)["points"] = "pass", 100
            cell["metadata"]["tags"] = ["skip-execution"]  # nbgrader takes a check that was not run for passed
        return [cell]

    def renamed(cell):
        if about(cell).get("grade"):
            about(cell)["grade_id"] += "_mine"
        return [cell]

    def worded(cell):
        if about(cell):
            cell["metadata"]["nbgrader"] = "mine" if about(cell)["grade"] else None
        return [cell]

    return {
        **{f"right-{i}": (right, 5) for i in range(3)},
        "untouched": (course.notebook("release", NAME), 0),
        "checks deleted": (change(right, lambda cell: [] if about(cell).get("grade") else [cell]), 5),
        "all deleted": (change(right, lambda cell: []), 0),
        "checks twice": (change(right, lambda cell: [cell, deepcopy(cell)] if about(cell) else [cell]), 5),
        "checks edited": (change(wrong, easy), 0),
        "checks renamed": (change(wrong, renamed), 0),
        "metadata of words": (change(right, worded), 5),
        "not a notebook": (b"{", 0),
        "too long": (b" " * (20 * 2**20 + 1), 0),
    }


def test_thirty_submissions(course, small_lesson):
    course.run("assignments", "--notebooks", small_lesson)
    expected = {}
    for student, (notebook, points) in edited(course).items():
        course.hand_in(student, NAME, notebook)
        expected[student] = points
    (second,) = [c["source"] for c in course.submission(NAME)["cells"] if "def rescale_betas" in c["source"]]
    with socket.create_server(("127.0.0.1", 0)) as server:
        for student, (answer, points) in answers(course, server.getsockname()[1]).items():
            notebook = course.submission(NAME, ex1_pooled_snr=answer, ex2_rescale_betas=second)
            course.hand_in(student, NAME, notebook)
            expected[student] = points
        graded = course.grade(NAME)
    assert len(expected) == 30
    assert list(graded) == sorted(expected)
    reached = {student: points for student, (points, *_) in graded.items() if expected[student] is not None}
    assert reached == {student: points for student, points in expected.items() if points is not None}
    assert max(megabytes for _, _, megabytes, _ in graded.values()) <= 1000
    notes = {student: " ".join(notes) for student, (*_, notes) in graded.items() if notes}
    assert {student for student in notes if expected[student] is not None} == NOTED
    assert "accepts nonsense" in notes["silences the check"] and "restored" in notes["checks edited"]
    assert "did not stop" in notes["loop that stays"] and "longer than 20 MiB" in notes["too long"]
    left = [p for p in Path("/proc").glob("[0-9]*/cmdline") if MARK in _read(p)]
    assert not left, "a process outlived its submission"


def _read(path):
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


NOTED = {
    "loop that stays",
    "exit",
    "silences the check",
    "checks deleted",
    "all deleted",
    "checks edited",
    "checks renamed",
    "metadata of words",
    "not a notebook",
    "too long",
}
