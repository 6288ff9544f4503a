"""Runs a submission for nbgrader: within its time, within its output, and with checks that still refuse nonsense.

Three things of nbgrader's own runner would be wrong here. A kernel that dies ends the grading of the submission; a
check that was never run counts as passed; and of a check's outputs the first one decides, which may be forged.
"""

import ast
from math import ceil
from time import monotonic
from typing import Any

from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import Execute
from nbgrader.utils import is_grade, is_solution

from denoising.classroom.kernel import SandboxedKernel

__all__ = ["VERDICTS", "Referee", "probe"]

VERDICTS = ("NotRun", "Tampered")  # names of errors that only the referee gives
NONSENSE = "type('Nonsense', (float,), {'__call__': lambda self, *a, **k: self})(-98765.4321)"  # number and function


def probe(source: str) -> str | None:
    """The calls `check_...(answer, strict=True)` of a check cell, with nonsense for every answer; None without any."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    calls = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and "check_" in ast.unparse(node.value.func)
    ]
    for call in calls:
        call.args = [ast.parse(NONSENSE, mode="eval").body for _ in call.args]
    return "\n".join(map(ast.unparse, calls)) or None


class Referee(Execute):
    """nbgrader's Execute for code that nobody has read.

    After the notebook's time is over, or its kernel dead or hung, every check that is left has failed. Output beyond a
    limit is dropped. A check is first given nonsense: one that does not answer `WrongAnswer` was tampered with, and
    gives no points.
    """

    notebook_seconds = 140
    answer_seconds = 30  # for a solution or a check; for the other cells `c.Execute.timeout`
    output_bytes = 8 * 10**6  # of all cells together
    error_letters = 2000

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.kernel_manager_class = SandboxedKernel
        self.kernel_name = "python3"
        self.shutdown_kernel = "immediate"
        self.raise_on_iopub_timeout = False  # the reply counts; of a flood of output the end may be lost

    def preprocess(self, nb: NotebookNode, resources: Any = None, km: Any = None) -> tuple[NotebookNode, Any]:
        """Run the notebook."""
        self.end_of_time, self.printed, self.over = monotonic() + self.notebook_seconds, 0, ""
        return super().preprocess(nb, resources, km)

    def preprocess_cell(self, cell: NotebookNode, resources: Any, index: int) -> tuple[NotebookNode, Any]:
        """Run a cell, or say why not."""
        if cell.cell_type != "code":
            return cell, resources
        if not self.over and monotonic() > self.end_of_time:
            self.over = f"the notebook ran longer than {self.notebook_seconds} s"
        self.idle = False
        try:
            if self.over:
                _fail(cell, "NotRun", self.over)
            elif is_grade(cell) and self._tampered(cell, index):
                _fail(cell, "Tampered", "the check accepts nonsense: the code before it has changed it")
            else:
                super().preprocess_cell(cell, resources, index)
                if not self.idle and "CellTimeoutError" in _errors(cell):
                    self.over = f"the kernel did not stop when cell {index} was interrupted"
        except (DeadKernelError, RuntimeError) as error:
            self.over = f"the kernel ended in cell {index}: {type(error).__name__}"
            self.km.end()
            _fail(cell, "NotRun", self.over)
        self.nb.cells[index] = cell  # and not the trial
        _tidy(cell, self.error_letters)
        return cell, resources

    def process_message(self, msg: dict, cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        """Take one message of the kernel's, or drop it if there were too many."""
        if msg["msg_type"] == "status":
            self.idle = self.idle or msg["content"]["execution_state"] == "idle"
        elif self.printed <= self.output_bytes:
            self.printed += len(str(msg["content"]))
        if self.printed > self.output_bytes and msg["msg_type"] != "status":
            return None
        return super().process_message(msg, cell, cell_index)

    def _get_timeout(self, cell: NotebookNode | None) -> int:
        answer = cell is not None and (is_grade(cell) or is_solution(cell))
        # rounded up: after a timeout that the notebook's time sets, that time is over
        return max(1, ceil(min(self.answer_seconds if answer else self.timeout, self.end_of_time - monotonic())))

    def _tampered(self, cell: NotebookNode, index: int) -> bool:
        source = probe(cell.source)
        if source is None:
            return False
        trial = NotebookNode(cell_type="code", source=source, metadata=cell.metadata, outputs=[])
        self.execute_cell(trial, index, store_history=False)
        # without `checks` there is no check
        return not {"WrongAnswer", "NameError", "CellTimeoutError"}.intersection(_errors(trial))


def _errors(cell: NotebookNode) -> list[str]:
    return [output.ename for output in cell.outputs if output.output_type == "error"]


def _fail(cell: NotebookNode, name: str, reason: str) -> None:
    cell.outputs = [new_output("error", ename=name, evalue=reason, traceback=[f"{name}: {reason}"])]


def _tidy(cell: NotebookNode, letters: int) -> None:
    """Errors of readable length; of a check, the errors or else no result, which nbgrader would take for points."""
    errors = [output for output in cell.outputs if output.output_type == "error"]
    for error in errors:
        error.evalue = error.evalue[:letters]
        error.traceback = [line[:letters] for line in error.traceback[-20:]]
    if is_grade(cell):
        cell.outputs = errors or [output for output in cell.outputs if output.output_type != "execute_result"]
