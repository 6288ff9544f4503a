"""What nbgrader does beside its own steps: a lesson becomes an assignment, a submission is put back into its frame."""

from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from nbgrader.api import Gradebook
from nbgrader.preprocessors import ClearHiddenTests, NbGraderPreprocessor
from nbgrader.utils import is_grade

__all__ = ["NOTE", "Discreet", "Frame", "LessonToAssignment"]

NOTE = "submission"  # begins the lines of the log that a teacher should see
DROPPED = {"stub", "view"}  # the view shows which stubs are done
FOLDING = {"hide-input", "solution"}


class LessonToAssignment(NbGraderPreprocessor):
    """Drops the stubs and what follows each check, which tells the answer, and unfolds the cells to be answered."""

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Turn the lesson into the teacher's version of the assignment."""
        kept: list[NotebookNode] = []
        for before, cell in zip([None, *nb.cells], nb.cells, strict=False):
            tags = cell.metadata.get("tags", [])
            if before is not None and "check" in before.metadata.get("tags", []) and cell.cell_type == "markdown":
                cell.source = _from_the_next_heading(cell.source)
            if DROPPED & set(tags) or not cell.source:
                continue
            kept.append(cell)
        for cell in kept:
            cell.metadata.pop("jupyter", None)
            if "tags" in cell.metadata:
                cell.metadata["tags"] = [tag for tag in cell.metadata["tags"] if tag not in FOLDING]
        nb.cells = kept
        return nb, resources


class Frame(NbGraderPreprocessor):
    """Takes from a submission what its student may change, the sources, and the rest from the release.

    Only cells that the release has keep nbgrader's metadata, as the release has them; checks that are gone come
    back at the end. What the metadata say would otherwise be the student's word. Locked sources are restored by the
    next of nbgrader's steps, `OverwriteCells`; here it is said which were changed.
    """

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Put the submission back into its frame."""
        frame, released = _frame(resources["nbgrader"])
        last: dict[str, NotebookNode] = {}
        for cell in nb.cells:
            said = cell.metadata.pop("nbgrader", None)
            name = said.get("grade_id") if isinstance(said, dict) else None
            if isinstance(name, str) and name in frame:
                last[name] = cell
        for name, metadata in frame.items():
            if name not in last and metadata["grade"]:
                self.log.warning("%s: the cell %s was missing; it is back at the end", NOTE, name)
                last[name] = new_code_cell(released[name])
                nb.cells.append(last[name])
            if name in last:
                last[name].metadata = NotebookNode(nbgrader=metadata)  # no tag either: one says "do not run this cell"
                if metadata["locked"] and last[name].source != released[name]:
                    self.log.warning("%s: the cell %s was edited; it is restored", NOTE, name)
        return nb, resources


class Discreet(ClearHiddenTests):
    """Keeps the hidden tests out of the feedback: their source, and the lines of theirs that an error shows."""

    def preprocess_cell(self, cell: NotebookNode, resources: Any, cell_index: int) -> tuple[NotebookNode, Any]:
        """Show of a check what its release shows, and of its error the last line."""
        if not is_grade(cell) or cell.cell_type != "code":
            return cell, resources
        for output in cell.outputs:
            if output.output_type == "error":
                output.traceback = [f"{output.ename}: {output.evalue}"]
        return super().preprocess_cell(cell, resources, cell_index)


def _from_the_next_heading(source: str) -> str:
    start = f"\n{source}".find("\n#")
    return source[start:] if start >= 0 else ""


def _frame(where: dict[str, str]) -> tuple[dict[str, NotebookNode], dict[str, str]]:
    """nbgrader's metadata of every cell of the release, and its source there, by its id."""
    with Gradebook(where["db_url"]) as gradebook:
        notebook = gradebook.find_notebook(where["notebook"], where["assignment"])
        points = {cell.name: cell.max_score for cell in notebook.grade_cells}
        answers = {cell.name for cell in notebook.solution_cells}
        frame = {
            cell.name: NotebookNode(
                schema_version=3,
                grade_id=cell.name,
                grade=cell.name in points,
                solution=cell.name in answers,
                locked=cell.locked,
                task=False,
                checksum=cell.checksum,
                **({"points": points[cell.name]} if cell.name in points else {}),
            )
            for cell in notebook.source_cells
        }
        return frame, {cell.name: _without_hidden_tests(cell.source) for cell in notebook.source_cells}


def _without_hidden_tests(source: str) -> str:
    cell = new_code_cell(source)
    ClearHiddenTests()._remove_hidden_test_region(cell)
    return cell.source
