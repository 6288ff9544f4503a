"""Each rule for notebooks, tried on one planted violation; the model itself keeps them all."""

from dataclasses import replace

import pytest

import lint_code
import lint_exercises
import lint_outputs
import lint_text
import planted

RULES = [*lint_text.RULES, *lint_code.RULES, *lint_exercises.RULES, *lint_outputs.RULES]


def edit(number, old, new):
    """Replace text in the source of a cell, counted from 1."""

    def apply(cells):
        assert old in cells[number - 1]["source"]
        cells[number - 1]["source"] = cells[number - 1]["source"].replace(old, new, 1)

    return apply


def source(number, text):
    return lambda cells: cells[number - 1].update(source=text)


def printed(number, text):
    return lambda cells: cells[number - 1].update(outputs=planted.code("", text)["outputs"])


def meta(number, key, value):
    return lambda cells: cells[number - 1]["metadata"].update({key: value})


def grading(number, **change):
    return lambda cells: cells[number - 1]["metadata"]["nbgrader"].update(change)


def without(number):
    return lambda cells: cells.pop(number - 1)


def added(cell):
    return lambda cells: cells.insert(7, cell)


def output(number, **change):
    return lambda cells: cells[number - 1]["outputs"].append({"output_type": "display_data", "metadata": {}} | change)


PLANTED = [
    ("opening", edit(1, "# A model", "A model")),
    ("opening", edit(1, "**Question.**", "Question:")),
    ("opening", edit(1, "| Paper | none |\n", "")),
    ("opening", edit(1, "read it; break it; mend it", "understand")),
    ("run_time", edit(1, "runs in 20 s", "runs in 5 s")),
    ("run_time", edit(1, "runs in 20 s", "runs quickly")),
    ("headings", edit(3, "## 1", "### 1")),
    ("headings", edit(3, "## 1", "# 1")),
    ("closing", edit(15, "## What this does not show", "## Limits")),
    ("closing", edit(15, "<details>c</details>", "")),
    ("closing", edit(15, "<details>c</details>", "<details>c")),
    ("closing", edit(15, "None.", ":::note")),
    ("length", without(8)),
    ("length", source(5, "value = 0.5\n" * 26)),
    ("length", source(11, "value = 0.5\n" * 251)),
    ("length", source(5, "value = '" + "x" * 120 + "'")),
    ("length", lambda cells: cells.extend(planted.markdown("Words.") for _ in range(40))),
    ("tone", source(13, "This is simply a mistake.")),
    ("predictions", source(4, "value = 1")),
    ("predictions", source(5, 'nb.predict("model", options=["a", "b"])')),
    ("setup_cell", edit(2, "rng = nb.setup(seed=0)", "nb.setup()")),
    ("setup_cell", edit(5, "value", "import math\nvalue")),
    ("setup_cell", edit(5, "value", "rng = nb.setup(seed=1)\nvalue")),
    ("setup_cell", printed(2, "device: cpu\nhello\n")),
    ("plain_python", source(5, "%time x = 1")),
    ("plain_python", source(5, "!ls")),
    ("plain_python", source(5, "x = 0.5;")),
    ("plain_python", source(5, "# NBVAL_IGNORE_OUTPUT\nx = 1")),
    ("plain_python", meta(5, "tags", ["nbval-skip"])),
    ("plain_python", meta(5, "tags", ["nbval-ignore-output"])),
    *[
        ("forbidden", source(5, line))
        for line in [
            "os.chdir('x')", "os.system('ls')", "sys.path.append('x')", "torch.manual_seed(0)", "np.random.seed(0)",
            "clear_output()", "display(x, display_id=True)", "x = _", "print(Out[3])", "import subprocess",
            "input('?')", "from math import *", "import requests", "print(torch.__version__)", "print(datetime.now())",
            "get_ipython().run_line_magic('time', '')", "interact(draw)", "with Output(): pass",
            "load(download=True)", "warnings.filterwarnings('ignore')", "fig.savefig(x)",
        ]
    ],
    ("data_by_name", source(5, "x = np.load('../data/x.npy')")),
    ("data_by_name", source(5, "x = open('table.csv')")),
    ("figures", source(7, "nb.show(fig)")),
    ("figures", source(7, 'nb.show(fig, alt="short")')),
    ("figures", source(7, 'nb.grid(x, alt="An image of a line that goes up")')),
    ("figures", source(7, "plt.show()")),
    ("figures", source(7, "ax.imshow(x, cmap='jet')")),
    ("figures", source(7, "nb.explore(draw)\nnb.explore(draw)\nnb.explore(draw)")),
    ("order", without(13)),
    ("order", without(11)),
    ("order", meta(5, "tags", ["check"])),
    ("order", edit(9, "5 min", "some minutes")),
    ("order", edit(9, "<details>Add.</details>", "")),
    ("order", edit(10, "check_double(double)", "pass")),
    ("order", edit(10, "check_double(double)", "check_double(double, strict=True)")),
    ("order", edit(10, "x: float", "x")),
    ("order", edit(10, '"""Twice x."""', "")),
    ("order", edit(11, "def double", "def twice")),
    ("order", edit(11, "### BEGIN SOLUTION", "")),
    ("order", meta(11, "tags", ["solution"])),
    ("order", meta(11, "jupyter", {})),
    ("order", edit(12, ", strict=True", "")),
    ("order", edit(12, "strict=True", "strict=False")),
    ("order", grading(11, grade=True)),
    ("order", grading(12, points=0)),
    ("order", grading(12, locked=False)),
    ("markers", source(5, "### BEGIN SOLUTION\nx = 1\n### END SOLUTION")),
    ("markers", source(5, "### BEGIN HIDDEN TESTS\nx = 1\n### END HIDDEN TESTS")),
    ("markers", edit(11, "### END SOLUTION", "")),
    ("markers", edit(14, "<!-- END SOLUTION -->", "")),
    ("markers", grading(14, points=0)),
    ("grade_ids", grading(12, grade_id="ex1_double")),
    ("grade_ids", grading(12, grade_id="ex 1")),
    ("view", without(16)),
    ("view", edit(16, "9.1", "9.2")),
    ("view", edit(16, '"9.1"', "")),
    ("view", meta(16, "tags", [])),
    ("view", meta(5, "tags", ["view"])),
    ("view", lambda cells: cells.append(planted.markdown("Words."))),
    ("stored_state", lambda cells: cells[4].update(execution_count=7)),
    ("stored_state", lambda cells: cells[4].update(execution_count=None)),
    ("stored_state", lambda cells: cells[4].update(id="same") or cells[5].update(id="same")),
    ("stored_state", meta(5, "denoising", {"timeout": 500})),
    ("stored_state", source(5, "")),
    ("clean_outputs", output(5, output_type="error", ename="E", evalue="", traceback=[])),
    ("clean_outputs", output(5, output_type="stream", name="stderr", text="warning")),
    ("clean_outputs", output(5, data={"application/vnd.jupyter.widget-view+json": {}, "text/plain": "x"})),
    ("clean_outputs", output(5, data={"image/svg+xml": "<svg>", "text/plain": "x"})),
    ("clean_outputs", output(5, data={"text/html": '<div id="a1">', "text/plain": "x"})),
    *[
        ("clean_outputs", printed(5, text))
        for text in [
            "tensor([1, 2])", "array([1])", "<object at 0x7f3a>", "x grad_fn=<Add>", "np.float64(3.0)",
            "/home" + "/somebody/x", "\u2248 nan", "loss 0.123456",
        ]
    ],
    ("described_figures", lambda cells: cells[6]["outputs"][0]["data"].update({"text/plain": "<Figure size 600x350>"})),
    ("described_figures", lambda cells: cells[6].update(planted.code(planted.SHOW, png=b"0" * 90_000))),
    ("claims", printed(6, "nothing\n")),
    ("claims", printed(6, "claim: small | \u2248 0.5 in [0, 1]\n")),
    ("budgets", added(planted.markdown("x" * 400_000))),
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_model_keeps_every_rule(rule):
    assert rule(planted.lesson()) == []


@pytest.mark.parametrize(("rule", "plant"), PLANTED, ids=[f"{n}-{rule}" for n, (rule, _) in enumerate(PLANTED)])
def test_planted_violation_is_found(rule, plant):
    cells = planted.cells()
    plant(cells)
    assert {one.__name__: one for one in RULES}[rule](planted.lesson(cells))


def test_every_rule_has_a_planted_violation():
    assert {rule for rule, _ in PLANTED} == {rule.__name__ for rule in RULES}


def test_the_view_does_not_count_against_the_length():
    cells = planted.cells()
    cells[1:1] = [planted.markdown("Words.") for _ in range(lint_text.CELLS[1] + 1 - len(cells))]
    assert lint_text.length(planted.lesson(cells)) == []
    del cells[-1]["metadata"]["tags"]
    assert lint_text.length(planted.lesson(cells)) == ["46 cells, expected 15 to 45"]


def test_the_first_notebook_shows_the_whole_course_too():
    cells, name = planted.cells(), "0-start/0.0-first.ipynb"
    cells[-1]["source"] = 'nb.exercises("0.0")'
    assert lint_exercises.view(replace(planted.lesson(cells), name=name))
    cells[-1]["source"] += "\nnb.exercises()"
    assert lint_exercises.view(replace(planted.lesson(cells), name=name)) == []


def test_training_loop_needs_no_claim():
    cells = planted.cells()
    printed(6, "step 10: loss \u2248 0.3\n")(cells)
    printed(5, "step 20: loss \u2248 0.2\n")(cells)
    assert lint_outputs.claims(planted.lesson(cells)) == []


@pytest.mark.parametrize(
    ("rule", "timing"),
    [
        (lint_text.run_time, {}),
        (lint_text.run_time, {"seconds": 41}),
        (lint_outputs.budgets, {"seconds": 130}),
        (lint_outputs.budgets, {"megabytes": 2100}),
    ],
)
def test_table_of_times(rule, timing):
    assert rule(planted.lesson(timing=timing))
