"""The learner's own record of exercises done: one file in the learner's folder, which leaves it for nowhere.

Each line is one answer, in JSON: notebook, exercise and the day of the first right answer; nothing else is kept. Lines
are only ever added, so two notebooks may write at the same time, and a damaged line takes no other with it.
"""

import json
import os
import re
from datetime import date
from pathlib import Path

from denoising.nb import places
from denoising.nb.session import live

__all__ = ["done", "place", "remember"]


def place() -> Path:
    """The file of the record: in my-notebooks/ where there is one, else in the user's own folder for such files."""
    mine = places.ROOT / "my-notebooks"
    if os.access(mine, os.W_OK):
        return mine / ".exercises.jsonl"
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "denoising" / "exercises.jsonl"


def done() -> tuple[dict[str, dict[str, str]], str]:
    """What the record holds; nothing where nobody learns (tests, stored outputs, outside of a notebook).

    Returns:
        by notebook and exercise, the day of the first right answer, as 2026-01-31; and what is wrong with the file in
        one line, empty if nothing is.
    """
    if not live():
        return {}, ""
    try:
        file = place()
        lines = file.read_text("utf-8", errors="replace").splitlines() if file.exists() else []
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        return {}, f"the record of exercises cannot be read: {error}"
    found: dict[str, dict[str, str]] = {}
    damaged = 0
    for line in lines:
        match _parsed(line):
            case {"notebook": str(notebook), "exercise": str(exercise), "day": str(day)} if _sound(notebook, exercise):
                found.setdefault(notebook, {}).setdefault(exercise, day)
            case _:
                damaged += 1
    return found, f"{file}: damaged lines, left out: {damaged}" if damaged else ""


def remember(notebook: str, exercise: str) -> None:
    """Add an exercise to the record unless it is there. Never raises: what cannot be recorded is said in one line.

    Args:
        notebook: its number, "1.1".
        exercise: the name of its check without `check_`.
    """
    known, _ = done()
    if not live() or exercise in known.get(notebook, {}):
        return
    line = json.dumps({"notebook": notebook, "exercise": exercise, "day": date.today().isoformat()})
    try:
        file = place()
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab+", buffering=0) as record:
            size = record.seek(0, os.SEEK_END)
            record.seek(max(size - 1, 0))
            start = b"" if record.read(1) in (b"", b"\n") else b"\n"  # a last line without its end swallows no other
            record.write(start + line.encode() + b"\n")  # at the end, and in one piece
    except (OSError, RuntimeError) as error:
        print(f"(the answer is right, but it cannot be recorded: {error})")


def _parsed(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):  # the latter: "[[[[..."
        return None


def _sound(notebook: str, exercise: str) -> bool:
    return bool(re.fullmatch(r"\d+\.\d+", notebook) and re.fullmatch(r"\w+", exercise))
