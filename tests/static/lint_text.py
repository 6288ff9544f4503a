"""Rules for the words: opening, closing, headings, length and tone (conventions 2, 3, 4, 13)."""

import re
from itertools import pairwise

from lesson import lines_of_code, without_code

FIELDS = ("You will be able to", "Time", "Before this", "Paper", "Scaled down")
CLOSING = ("What you saw", "What this does not show", "Check yourself", "Next", "References")
CELLS = (15, 45)
CODE_LINES = 250
CELL_LINES = 25
LINE_LENGTH = 120
WORDS = (800, 2500)
TONE = ("simply", "obviously", "just")


def opening(lesson):
    first = lesson.cells[0]
    if first.kind != "markdown" or not re.match(r"# \S", first.source):
        return ["cell 1: expected Markdown that begins with the one title, '# ...'"]
    bad = [] if re.search(r"^\*\*Question\.\*\* \S", first.source, re.M) else ["cell 1: no line '**Question.** ...'"]
    table = fields(lesson)
    bad += [f"cell 1: no row '{name}' in the opening table" for name in FIELDS if not table.get(name)]
    aims = [aim for aim in table.get("You will be able to", "").split(";") if aim.strip()]
    if not 3 <= len(aims) <= 5:
        bad.append(f"cell 1: three to five aims, separated by ';', got {len(aims)}")
    return bad


def fields(lesson):
    """The opening table as a dictionary."""
    rows = re.findall(r"^\|([^|]+)\|(.*)\|\s*$", lesson.cells[0].source, re.M)
    return {name.strip(): text.strip() for name, text in rows}


def run_time(lesson):
    said = re.fullmatch(r"(?s)\d+ min to read.*; runs in (\d+) s\b.*", fields(lesson).get("Time", ""))
    if not said:
        return ["cell 1: Time is not 'N min to read and work; runs in N s on 2 CPU cores'"]
    measured = lesson.timing.get("seconds")
    if measured is None:
        return ["no entry in tests/timings.json; run: python -m denoising.nb store"]
    if not measured / 2 <= int(said[1]) <= measured * 2:
        return [f"cell 1 says 'runs in {said[1]} s', the storing script measured {measured:g} s"]
    return []


def headings(lesson):
    found = [
        (cell, len(marks), text)
        for cell in lesson.prose
        for marks, text in re.findall(r"^(#{1,6}) +(.+)$", without_code(cell.source), re.M)
    ]
    bad = [f"{cell}: a second title, '# {text}'" for cell, level, text in found[1:] if level == 1]
    for (_, before, _), (cell, level, text) in pairwise(found):
        if level > before + 1:
            bad.append(f"{cell}: heading '{text}' skips a level")
    return bad


def closing(lesson):
    text = "\n".join(cell.source for cell in lesson.prose)
    bad = [f"no section '{name}'" for name in CLOSING if not re.search(rf"^(#+ +|\*\*){name}", text, re.M)]
    after = re.split(r"^(?:#+ +|\*\*)Check yourself", text, maxsplit=1, flags=re.M)[-1]
    if after.count("<details>") < 3:
        bad.append(f"Check yourself: three answers in <details>, got {after.count('<details>')}")
    if text.count("<details>") != text.count("</details>"):
        bad.append("<details> and </details> do not pair")
    if re.search(r"^:::", text, re.M):
        bad.append("a ':::' fence, which JupyterLab shows raw")
    return bad


def length(lesson):
    own = [cell for cell in lesson.cells if "view" not in cell.tags]  # that cell is the same in every notebook
    cells, code = len(own), sum(len(lines_of_code(cell.source)) for cell in own if cell.kind == "code")
    words = sum(len(re.findall(r"\w+", without_code(cell.source))) for cell in lesson.prose)
    bad = []
    if not CELLS[0] <= cells <= CELLS[1]:
        bad.append(f"{cells} cells, expected {CELLS[0]} to {CELLS[1]}")
    if code > CODE_LINES:
        bad.append(f"{code} lines of code, at most {CODE_LINES}")
    if not WORDS[0] <= words <= WORDS[1]:
        bad.append(f"{words} words, expected {WORDS[0]} to {WORDS[1]}")
    for cell in lesson.code:
        lines = lines_of_code(cell.source)
        if len(lines) > CELL_LINES and not {"stub", "solution", "check"} & set(cell.tags):
            bad.append(f"{cell}: {len(lines)} lines, at most {CELL_LINES}")
        bad += [f"{cell}: a line of {len(line)} characters" for line in lines if len(line) > LINE_LENGTH]
    return bad


def tone(lesson):
    return [
        f"{cell}: '{word}'"
        for cell in lesson.prose
        for word in TONE
        if re.search(rf"\b{word}\b", without_code(cell.source), re.I)
    ]


def predictions(lesson):
    """A question in words is followed by the cell that takes the answer; keys are unique."""
    bad, keys = [], []
    following = [*lesson.cells[1:], None]
    for cell, after in zip(lesson.cells, following, strict=True):
        if cell.kind == "code":
            keys += [node.args[0].value for name, node in cell.calls if name == "nb.predict" and node.args]
        asks = cell.kind == "markdown" and re.search(r"^\*\*Predict\.\*\*", cell.source, re.M)
        if asks and not (after and after.kind == "code" and any(name == "nb.predict" for name, _ in after.calls)):
            bad.append(f"{cell}: 'Predict.' without nb.predict in the next cell")
    return bad + [f"nb.predict key {key!r} twice" for key in sorted(set(keys)) if keys.count(key) > 1]


RULES = (opening, run_time, headings, closing, length, tone, predictions)
