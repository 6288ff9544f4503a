"""Every lesson becomes an assignment, and no assignment gives its answers away."""

import re
from pathlib import Path

import pytest

from denoising.classroom import lacking

pytestmark = [
    pytest.mark.skipif(lacking() is not None, reason=str(lacking())),
    pytest.mark.xdist_group("assignments"),  # they are made once
]
NAMES = sorted(path.stem for path in (Path(__file__).resolve().parents[2] / "notebooks").glob("*/*.ipynb"))

SOLUTION = re.compile(r"(?s)### BEGIN SOLUTION\n(.*?)\n *### END SOLUTION")
HIDDEN = re.compile(r"(?s)### BEGIN HIDDEN TESTS\n(.*?)\n *### END HIDDEN TESTS")


def sources(notebook):
    return ["".join(cell["source"]) for cell in notebook["cells"]]


def lines_of(pattern, notebook):
    """The lines between the markers, without comments, that are long enough to tell something."""
    blocks = [block for source in sources(notebook) for block in pattern.findall(source)]
    lines = {line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()}
    return {line for line in lines if len(line) > 12}


@pytest.mark.parametrize("name", NAMES)
def test_a_release_holds_no_answer(every_assignment, name):
    lesson, release = every_assignment.notebook("source", name), every_assignment.notebook("release", name)
    text = "\n".join(sources(release))
    assert not re.search(r"(BEGIN|END) (SOLUTION|HIDDEN TESTS)", text)
    assert not any("stub" in cell["metadata"].get("tags", []) for cell in release["cells"])
    assert not any(cell["metadata"].get("jupyter") for cell in release["cells"]), "nothing to be answered is folded"
    assert all(not cell["outputs"] for cell in release["cells"] if cell["cell_type"] == "code")
    told = {line for line in lines_of(SOLUTION, lesson) | lines_of(HIDDEN, lesson) if line in text}
    elsewhere = "\n".join(s for s in sources(lesson) if not SOLUTION.search(s) and not HIDDEN.search(s))
    assert told <= {line for line in told if line in elsewhere and len(line) < 60}, "only what the lesson itself shows"
    for cell in lesson["cells"]:  # the remark on an exercise tells its answer
        if "check" in cell["metadata"].get("tags", []):
            remark = "".join(lesson["cells"][lesson["cells"].index(cell) + 1]["source"]).partition("\n#")[0]
            assert remark not in text


@pytest.mark.parametrize("name", NAMES)
def test_a_release_asks_for_every_answer(every_assignment, name):
    lesson, release = every_assignment.notebook("source", name), every_assignment.notebook("release", name)
    asked = {c["metadata"]["nbgrader"]["grade_id"]: c for c in release["cells"] if c["metadata"].get("nbgrader")}
    for cell in lesson["cells"]:
        if about := cell["metadata"].get("nbgrader"):
            released = asked.pop(about["grade_id"])
            assert ("raise NotImplementedError()" in "".join(released["source"])) == about["solution"]
            assert released["metadata"]["nbgrader"].get("points") == about.get("points")
    assert not asked


def test_all_are_made_in_two_minutes_and_closed_to_others(every_assignment):
    *lines, last = every_assignment.made
    assert every_assignment.seconds < 120
    assert [line.split()[2] for line in lines] == NAMES
    points = sum(float(line.split()[0]) for line in lines)
    assert last.startswith(f"{points:5g} points in {len(NAMES)} assignments")
    assert every_assignment.folder.stat().st_mode & 0o077 == 0


def test_an_unknown_lesson_is_named(course):
    done = course.run("assignments", "9.9", check=False)
    assert done.returncode == 1 and "no lesson '9.9'" in done.stderr and len(done.stderr.splitlines()) == 1
