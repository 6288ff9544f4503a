"""Rules for exercises: five cells in order, metadata that nbgrader accepts, the view at the end (conventions 5)."""

import ast
import re

from lesson import dotted

SOLUTION = {"schema_version": 3, "solution": True, "grade": False, "locked": False, "task": False}
CHECK = {"schema_version": 3, "solution": False, "grade": True, "locked": True, "task": False}
WRITTEN = {"schema_version": 3, "solution": True, "grade": True, "task": False}
GROUP = ("exercise", "stub", "solution", "check")


def order(lesson):
    """Task, stub, solution, check, remark; none of them alone."""
    bad, grouped = [], set()
    for position, cell in enumerate(lesson.cells):
        if "exercise" not in cell.tags:
            continue
        five = lesson.cells[position : position + 5]
        kinds = [one.kind for one in five]
        roles = [next((role for role in GROUP if role in one.tags), None) for one in five]
        if roles != [*GROUP, None] or kinds != ["markdown", "code", "code", "code", "markdown"] or five[4].grading:
            bad.append(f"{cell}: an exercise is task, stub, solution, check and remark, got {roles}")
            continue
        grouped |= {one.number for one in five}
        bad += _task(cell) + _pair(*five[1:4])
    loose = [cell for cell in lesson.cells if set(GROUP) & set(cell.tags) and cell.number not in grouped]
    return bad + [f"{cell}: tagged {cell.tags} outside of an exercise" for cell in loose if "exercise" not in cell.tags]


def _task(cell):
    bad = []
    if not re.search(r"Exercise \d+ \(\d+ min, difficulty [1-5] of 5\)", cell.source):
        bad.append(f"{cell}: no 'Exercise N (M min, difficulty D of 5)'")
    if "<details>" not in cell.source:
        bad.append(f"{cell}: no hint in <details>")
    return bad


def _pair(stub, solution, check):
    bad = []
    called = _last_check(stub)
    if not called:
        bad.append(f"{stub}: the last line does not call a check_...")
    if "strict" in stub.source:
        bad.append(f"{stub}: the reader's check is soft; strict=True belongs into cell {check.number}")
    missing = sorted(_defined(stub) - _defined(solution))
    if missing or not _defined(stub):
        bad.append(f"{stub}: defines {missing or 'nothing'}, which the solution does not")
    for node in stub.tree.body:
        if isinstance(node, ast.FunctionDef):
            typed = node.returns and all(arg.annotation for arg in [*node.args.args, *node.args.kwonlyargs])
            if not typed or not ast.get_docstring(node):
                bad.append(f"{stub}: {node.name} lacks types or a docstring with shapes")
    if "hide-input" not in solution.tags or not solution.metadata.get("jupyter", {}).get("source_hidden"):
        bad.append(f"{solution}: needs the tag hide-input and jupyter.source_hidden")
    bad += _graded(solution, SOLUTION)
    if not re.search(r"(?s)### BEGIN SOLUTION\n.*### END SOLUTION", solution.source):
        bad.append(f"{solution}: no '### BEGIN SOLUTION' ... '### END SOLUTION'")
    bad += _graded(check, CHECK)
    strict = [
        name.rsplit(".", 1)[-1]
        for name, node in check.calls
        if any(word.arg == "strict" and getattr(word.value, "value", None) is True for word in node.keywords)
    ]
    if called and called not in strict:
        bad.append(f"{check}: does not call {called}(..., strict=True)")
    return bad


def _last_check(cell):
    last = cell.tree.body[-1] if cell.tree.body else None
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call):
        name = dotted(last.value.func).rsplit(".", 1)[-1]
        return name if name.startswith("check_") else None
    return None


def _defined(cell):
    """Functions, classes and names assigned at the top level."""
    names = {node.name for node in cell.tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assigned = [target for node in cell.tree.body if isinstance(node, ast.Assign) for target in node.targets]
    return names | {target.id for target in assigned if isinstance(target, ast.Name)}


def _graded(cell, expected):
    wrong = {key: cell.grading.get(key) for key, value in expected.items() if cell.grading.get(key) != value}
    right = {key: expected[key] for key in wrong}
    bad = [f"{cell}: nbgrader metadata {wrong}, expected {right}"] if wrong else []
    if expected["grade"] and not cell.grading.get("points", 0) > 0:
        bad.append(f"{cell}: nbgrader metadata without points")
    return bad


def markers(lesson):
    """nbgrader refuses a notebook with markers in cells that do not carry the metadata."""
    bad = []
    for cell in lesson.cells:
        for words, key in (("SOLUTION", "solution"), ("HIDDEN TESTS", "grade")):
            begins, ends = cell.source.count(f"BEGIN {words}"), cell.source.count(f"END {words}")
            if begins != ends or begins > 1:
                bad.append(f"{cell}: {begins} BEGIN {words}, {ends} END {words}")
            if begins and not cell.grading.get(key):
                bad.append(f"{cell}: a marker '{words}' without nbgrader metadata '{key}': true")
        if cell.kind == "markdown" and cell.grading:
            bad += _graded(cell, WRITTEN)
            if not re.search(r"(?s)<!-- BEGIN SOLUTION -->.*<!-- END SOLUTION -->", cell.source):
                bad.append(f"{cell}: a written question without a model answer between the comment markers")
    return bad


def grade_ids(lesson):
    ids = [(cell, cell.grading.get("grade_id", "")) for cell in lesson.cells if cell.grading]
    bad = [f"{cell}: grade_id {one!r}" for cell, one in ids if not re.fullmatch(r"[A-Za-z0-9_-]+", one)]
    plain = [one for _, one in ids]
    return bad + [f"grade_id {one!r} twice" for one in sorted(set(plain)) if plain.count(one) > 1]


def view(lesson):
    """A notebook with exercises ends with the view of those that are done; 0.0 shows the whole course too."""
    if not any("stub" in cell.tags for cell in lesson.cells):
        return []
    number = lesson.name.rsplit("/", 1)[-1].partition("-")[0]
    wanted = f'nb.exercises("{number}")' + ("\nnb.exercises()" if number == "0.0" else "")
    *others, last = lesson.cells
    bad = [f"{cell}: tagged view; only the last cell is" for cell in others if "view" in cell.tags]
    if last.kind != "code" or last.source != wanted or last.tags != ["view"]:
        bad.append(f"{last}: expected the last cell to be the code {wanted!r} with the tag view")
    return bad


RULES = (order, markers, grade_ids, view)
