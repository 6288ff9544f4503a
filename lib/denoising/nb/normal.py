"""The one form in which a notebook is stored, so that a diff shows what changed and nothing else."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

__all__ = ["CELL_METADATA", "METADATA", "as_text", "normal"]

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
CELL_METADATA = ("denoising", "jupyter", "nbgrader", "tags")  # what a cell may carry


def normal(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """The notebook with its metadata reduced to `METADATA` and `CELL_METADATA`, and an id in every cell.

    Args:
        notebook: as nbformat reads it, version 4.
    Returns:
        plain dictionaries and lists, fit for `as_text`. Existing ids stay; a missing one follows from the content.
    """
    plain = json.loads(json.dumps(notebook))
    cells = []
    for number, cell in enumerate(plain["cells"]):
        text = "".join(cell["source"])
        kept = {key: value for key, value in cell["metadata"].items() if key in CELL_METADATA and value}
        fresh = hashlib.sha256(f"{number}\n{text}".encode()).hexdigest()[:8]
        one = {"cell_type": cell["cell_type"], "id": cell.get("id", fresh), "metadata": kept, "source": _lines(text)}
        if cell["cell_type"] == "code":
            outputs = [_output(output) for output in cell.get("outputs", [])]
            one |= {"execution_count": cell.get("execution_count"), "outputs": outputs}
        cells.append(one)
    return {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


def as_text(notebook: Mapping[str, Any]) -> str:
    """The JSON text of a notebook: sorted keys, one space of indent, letters as they are, a line break at the end."""
    return json.dumps(notebook, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def _output(output: dict[str, Any]) -> dict[str, Any]:
    if "text" in output:
        output["text"] = _lines("".join(output["text"]))
    for kind, content in output.get("data", {}).items():
        if kind.startswith("text/"):
            output["data"][kind] = _lines("".join(content))
        elif kind.startswith("image/"):
            output["data"][kind] = "".join(content).replace("\n", "")  # a picture is one line, not a thousand
    return output


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)
