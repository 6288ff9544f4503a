"""The referee on notebooks of a few lines: what is over, what was tampered with, what counts."""

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from denoising.classroom import lacking

pytestmark = [
    pytest.mark.skipif(lacking() is not None, reason=str(lacking())),
    pytest.mark.filterwarnings("ignore"),  # nbgrader's, about its own use of other packages
]
CHECK = """
class WrongAnswer(AssertionError): pass
def check_mine(mine, strict=False):
    if mine != 4: raise WrongAnswer('not 4')
"""
PLAIN, ANSWER, GRADED = {}, {"solution": True, "grade": False}, {"solution": False, "grade": True}
FORGED = """
kernel = get_ipython().kernel
data = {"data": {"text/plain": "2"}, "metadata": {}, "execution_count": 9}
class Forged:
    def __eq__(self, other):
        kernel.session.send(kernel.iopub_socket, "execute_result", data, parent=kernel.get_parent())
        return False
mine = Forged()
"""


def run(*sources, **limits):
    """Run the cells between CHECK and the check of `mine`; the points of the check, and its outputs as text."""
    from nbgrader.utils import determine_grade

    from denoising.classroom.referee import Referee

    about = [PLAIN, *[ANSWER] * len(sources), GRADED]
    cells = [new_code_cell(source) for source in (CHECK, *sources, "check_mine(mine, strict=True)")]
    for cell, kind in zip(cells, about, strict=True):
        if kind:
            cell.metadata["nbgrader"] = {"points": 2, "locked": False, "task": False, "grade_id": "x", **kind}
    referee = Referee(timeout=20)
    for name, value in limits.items():
        setattr(referee, name, value)
    nb, _ = referee.preprocess(
        new_notebook(cells=cells, metadata={"kernelspec": {"name": "of-the-student", "display_name": ""}}), {}
    )
    points, _ = determine_grade(nb.cells[-1])
    return points, [f"{out.get('ename')}: {out.get('evalue')}" for out in nb.cells[-1].outputs], nb


def test_a_right_answer_has_the_points_and_a_wrong_one_none():
    assert run("mine = 4")[:2] == (2, [])
    assert run("mine = 5")[:2] == (0, ["WrongAnswer: not 4"])


def test_after_its_death_everything_failed():
    points, (said,), nb = run("import os; os._exit(0)", "mine = 4")
    assert points == 0 and said == "NotRun: the kernel ended in cell 1: DeadKernelError"
    assert [out.ename for cell in nb.cells[1:] for out in cell.outputs] == ["NotRun"] * 3


def test_an_endless_loop_is_stopped_and_the_rest_counts():
    points, _, nb = run("while True: pass", "mine = 4", answer_seconds=2)
    assert points == 2 and {out.ename for out in nb.cells[1].outputs} >= {"CellTimeoutError"}


def test_who_does_not_stop_is_over():
    stays = "import time\nwhile True:\n  try: time.sleep(9)\n  except KeyboardInterrupt: pass"
    points, (said,), _ = run("mine = 4", stays, answer_seconds=2)
    assert points == 0 and said == "NotRun: the kernel did not stop when cell 2 was interrupted"


def test_the_time_of_the_whole_notebook_is_limited():
    points, (said,), _ = run("import time; time.sleep(3)", "mine = 4", notebook_seconds=2)
    assert points == 0 and said == "NotRun: the notebook ran longer than 2 s"


def test_output_beyond_the_limit_is_dropped():
    points, _, nb = run("for _ in range(50): print('x' * 10**5, flush=True)", "mine = 4", output_bytes=10**6)
    assert points == 2 and sum(len(out.text) for out in nb.cells[1].outputs) <= 10**6


def test_an_error_is_kept_though_the_limit_is_reached():
    assert run("print('x' * 10**5)", "mine = 5", output_bytes=10**4)[:2] == (0, ["WrongAnswer: not 4"])


def test_a_long_error_is_cut():
    _, _, nb = run("raise ValueError('x' * 10**6)", "mine = 4")
    assert len(nb.cells[1].outputs[0].evalue) == 2000 and len(str(nb)) < 10**5


@pytest.mark.parametrize("trick", ["check_mine = lambda *a, **k: None", "class WrongAnswer(Warning): pass\nmine = 5"])
def test_a_check_that_accepts_nonsense_gives_nothing(trick):
    points, (said,), _ = run("mine = 5", trick)
    assert points == 0
    assert said.startswith("Tampered" if "lambda" in trick else "WrongAnswer")


def test_a_forged_result_is_no_point():
    assert run(FORGED)[:2] == (0, ["WrongAnswer: not 4"])


def test_a_changed_error_is_noticed():
    points, (said,), _ = run("mine = 5", "def check_mine(mine, strict): return mine.no_such_thing")
    assert points == 0 and said.startswith("Tampered")
