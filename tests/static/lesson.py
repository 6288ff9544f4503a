"""A notebook as the rules see it. A rule takes a `Lesson` and returns a list of violations in words."""

import ast
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"


def lessons():
    """All notebooks of the course."""
    found = sorted(path for path in NOTEBOOKS.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
    return [Lesson.read(path.relative_to(NOTEBOOKS).as_posix(), path.read_text("utf-8"), timings()) for path in found]


def timings():
    table = ROOT / "tests" / "timings.json"
    return json.loads(table.read_text("utf-8")) if table.is_file() else {}


def lines_of_code(source):
    return [line for line in source.splitlines() if line.strip()]


@dataclass
class Cell:
    number: int
    kind: str
    source: str
    metadata: dict
    outputs: list
    raw: dict

    @property
    def tags(self):
        return self.metadata.get("tags", [])

    @property
    def grading(self):
        return self.metadata.get("nbgrader", {})

    @cached_property
    def tree(self):
        """The syntax tree; empty where the cell is no plain Python (another rule says so)."""
        try:
            return ast.parse(self.source)
        except SyntaxError:
            return ast.parse("")

    @cached_property
    def calls(self):
        """Every call as (dotted name, node)."""
        return [(dotted(node.func), node) for node in ast.walk(self.tree) if isinstance(node, ast.Call)]

    @cached_property
    def text(self):
        """All that the cell printed or showed as text."""
        parts = [output.get("text", output.get("data", {}).get("text/plain", "")) for output in self.outputs]
        return "\n".join("".join(part) for part in parts)

    def __str__(self):
        return f"cell {self.number}"


@dataclass
class Lesson:
    name: str
    raw: dict
    content: str
    timing: dict = field(default_factory=dict)

    @classmethod
    def read(cls, name, content, table):
        return cls(name, json.loads(content), content, table.get(name, {}))

    @cached_property
    def cells(self):
        return [
            Cell(number, cell["cell_type"], "".join(cell["source"]), cell["metadata"], cell.get("outputs", []), cell)
            for number, cell in enumerate(self.raw["cells"], start=1)
        ]

    @property
    def code(self):
        return [cell for cell in self.cells if cell.kind == "code"]

    @property
    def prose(self):
        return [cell for cell in self.cells if cell.kind == "markdown"]


def dotted(node):
    """`nb.show` for the node of that name, "" for anything more complicated."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else node.attr
    return ""


def without_code(markdown):
    """Markdown without fenced blocks."""
    kept, fenced = [], False
    for line in markdown.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            kept.append(line)
    return "\n".join(kept)
