"""The view of the exercises that are done: those of one notebook at its end, and all of them in 0.0."""

import json
import re

from denoising.nb import places
from denoising.nb.record import done, place

__all__ = ["exercises", "listed"]


def exercises(notebook: str | None = None) -> None:
    """Print which exercises are done, as far as the learner's own record says.

    An exercise counts as done when the check below its stub accepted an answer. The folded solution and its check do
    not count. In stored outputs and in tests nothing counts.

    Args:
        notebook: its number, "1.1"; None shows every notebook in which something is done.
    Example:
        >>> exercises()
        exercises done so far: 0 (a line appears here for every notebook in which you solve one)
    """
    record, problem = done()
    if problem:
        print(problem)
    if notebook is not None:
        print(f"exercises of {notebook}: {_ticked(notebook, record.get(notebook, {}))[0]}")
        return
    rows = {number: _ticked(number, record[number]) for number in sorted(record, key=_order)}
    total = sum(count for _, count in rows.values())
    if not total:
        print("exercises done so far: 0 (a line appears here for every notebook in which you solve one)")
        return
    print(f"exercises done so far: {total} (recorded in {place()})")
    for number, (text, _) in rows.items():
        print(f"  {number:<4}  {text}, last on {max(record[number].values())}")


def listed(notebook: str) -> list[str]:
    """The exercises of a notebook in their order, read off the calls below the stubs of the course's own copy.

    Args:
        notebook: its number.
    Returns:
        the names of their checks without `check_`; empty where the course's notebooks are not at hand (a class server).
    """
    names = []
    try:
        for path in sorted((places.ROOT / "notebooks").glob(f"*/{notebook}-*.ipynb")):
            for cell in json.loads(path.read_text("utf-8"))["cells"]:
                if "stub" in cell["metadata"].get("tags", []):
                    names += re.findall(r"\bcheck_(\w+)\(", "".join(cell["source"]))[-1:]
    except (OSError, ValueError, KeyError):  # being written at this moment, or damaged
        return []
    return names


def _ticked(notebook: str, days: dict[str, str]) -> tuple[str, int]:
    """The exercises of a notebook with a mark at those that are done, and the number of these."""
    names = listed(notebook)
    text = "  ".join(f"[{'x' if name in days else ' '}] {name}" for name in names or days)
    count = sum(name in days for name in names or days)
    if not text:
        return "none done so far", 0
    return f"{text}  ({count}{f' of {len(names)}' if names else ''} done)", count


def _order(notebook: str) -> list[int]:
    return [int(part) for part in notebook.split(".")]
