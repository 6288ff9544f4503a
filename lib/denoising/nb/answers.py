"""Answer keys: every exercise with its solution, its graded check and the common mistakes, on one page for teachers.

Read off the notebooks, so there is no second copy to keep. Only the instructor's build of the site has the page:
`make site INSTRUCTOR=1`.
"""

import json
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from denoising.nb.places import root

__all__ = ["Key", "page", "read"]

TITLE = re.compile(r"^#+ +Exercise (\d+) \((\d+) min, difficulty (\d) of 5\)\s*", re.M)
MARKS = re.compile(r"^ *### (?:BEGIN|END) SOLUTION *\n?", re.M)
HEAD = """# Answer keys

For teachers. Written when the site is built with `make site INSTRUCTOR=1`; the public site does not have this page.
The lessons hold the solutions too, folded, for those who learn alone. Graded work is given out as assignments."""


@dataclass(frozen=True)
class Key:
    """One exercise with its answer.

    Attributes:
        notebook: path of the notebook from the folder of the course.
        title: of the notebook, with its number.
        exercise: its number in the notebook.
        minutes, difficulty: as its title says.
        points: of its graded check.
        task: the text for the learner, with the hint.
        solution: code, without the marks.
        check: code of the graded check, with the hidden tests.
        remark: the common mistakes.
    """

    notebook: str
    title: str
    exercise: int
    minutes: int
    difficulty: int
    points: int
    task: str
    solution: str
    check: str
    remark: str


def read(path: Path, *, folder: Path) -> Iterator[Key]:
    """The exercises of one notebook, in its order.

    Args:
        path: the notebook.
        folder: of the course; `Key.notebook` is relative to it.
    Raises:
        ValueError: if what is tagged as an exercise has no title, or a cell of it is missing.
    """
    cells = json.loads(path.read_text("utf-8"))["cells"]
    name = path.relative_to(folder).as_posix()
    heading = "".join(cells[0]["source"]).splitlines()[0].lstrip("# ")
    for place, cell in enumerate(cells):
        if "exercise" not in cell["metadata"].get("tags", []):
            continue
        texts = ["".join(one["source"]) for one in cells[place : place + 5]]
        title = TITLE.search(texts[0])
        if title is None or len(texts) < 5:
            raise ValueError(f"{name}: expected an exercise of five cells with its title, got {texts[0][:60]!r}")
        points = cells[place + 3]["metadata"].get("nbgrader", {}).get("points", 0)
        remark = re.split(r"^##+ ", texts[4], maxsplit=1, flags=re.M)[0]  # the next section may stand in the same cell
        task, remark = _moved(texts[0][title.end() :], name), _moved(remark, name)
        solution = MARKS.sub("", texts[2])
        yield Key(name, heading, *map(int, title.groups()), points, task, solution.strip(), texts[3].strip(), remark)


def page(folder: Path | None = None) -> str:
    """All keys as a page in Markdown for docs/generated: a table to choose from, then notebook by notebook."""
    folder = folder or root()
    found = [key for path in sorted((folder / "notebooks").glob("*/*.ipynb")) for key in read(path, folder=folder)]
    rows = [f"| {_link(key)} | {key.exercise} | {key.minutes} | {key.difficulty} | {key.points} |" for key in found]
    table = ["| notebook | exercise | minutes | difficulty, of 5 | points |", "|---|---:|---:|---:|---:|", *rows]
    parts = [HEAD, "\n".join(table)]
    for notebook in dict.fromkeys(key.notebook for key in found):
        own = [key for key in found if key.notebook == notebook]
        parts += [f"## {_link(own[0])}", *map(_section, own)]
    return "\n\n".join(parts) + "\n"


def _section(key: Key) -> str:
    about = f"{key.minutes} min, difficulty {key.difficulty} of 5, points: {key.points}"
    code = [
        f"**{name}.**\n\n```python\n{text}\n```" for name, text in (("Solution", key.solution), ("Check", key.check))
    ]
    head = f"### {key.title.split()[0]}, exercise {key.exercise} ({about})"
    return "\n\n".join([head, key.task.strip(), *code, f"**What goes wrong.** {key.remark.strip()}"])


def _link(key: Key) -> str:
    return f"[{key.title}](../../{key.notebook})"


def _moved(text: str, notebook: str) -> str:
    """`text` of a notebook with its relative links as they are seen from docs/generated."""

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(notebook), match[1]))
        return f"](../../{target})"

    return re.sub(r"\]\((?!\w+:|#)([^)\s]+)\)", link, text)
