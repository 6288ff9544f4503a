"""Rules for what is stored: its state, its size, its numbers and its figures (conventions 6, 7, 8, 11, 12)."""

import base64
import re

from denoising.nb.normal import CELL_METADATA, METADATA, as_text, normal
from lesson import without_code

NOTEBOOK_BYTES = 400_000
FIGURE_BYTES = 80_000
SECONDS = 120
MEGABYTES = 2000
VERDICTS = ("| holds", "| holds with a change", "| not at this scale")
BARE = {
    r"\btensor\(|\barray\(|\bSeries\(|\bDataFrame\b": "a bare tensor, array or table",
    r"\bat 0x[0-9a-fA-F]+": "an address",
    r"\bgrad_fn=|\bdevice='": "a gradient function or a device",
    r"\bnp\.(float|int|bool)\w*\(": "a numpy scalar",
    r"(?<![\w.])(/(home|root|usr|opt|tmp|Users|work|var)/|[A-Z]:\\)\w": "a path",
    "\u2248 ?[-+]?(nan|inf)": "a broken measured number",
    r"(?m)(?<![\d.\u2248])(?<!\u2248 )(?<!\u2248 [-+])\b\d+\.\d{5,}": "a bare number with more than four decimals",
}


def stored_state(lesson):
    bad = [] if lesson.raw["metadata"] == METADATA else ["metadata other than kernelspec and language_info.name"]
    if lesson.content != as_text(normal(lesson.raw)):
        bad.append("not in the storing script's form; run: python -m denoising.nb store")
    ids = [cell.raw.get("id") for cell in lesson.cells]
    if None in ids or len(set(ids)) < len(ids):
        bad.append("cell ids are missing or not unique")
    counts = [cell.raw.get("execution_count") for cell in lesson.code]
    if counts != list(range(1, len(counts) + 1)):
        bad.append(f"execution counts are {counts}, not 1 to {len(counts)}: stored by hand?")
    for cell in lesson.cells:
        strange = set(cell.metadata) - set(CELL_METADATA)
        bad += [f"{cell}: metadata {sorted(strange)}"] if strange else []
        if cell.metadata.get("denoising", {}).get("timeout", 0) > SECONDS:
            bad.append(f"{cell}: a limit above {SECONDS} s")
        if not cell.source.strip():
            bad.append(f"{cell}: empty")
    return bad


def clean_outputs(lesson):
    bad = []
    for cell in lesson.code:
        for output in cell.outputs:
            kinds = set(output.get("data", {}))
            if output["output_type"] == "error" and "raises-exception" not in cell.tags:
                bad.append(f"{cell}: an error is stored")
            if output.get("name") == "stderr":
                bad.append(f"{cell}: wrote to stderr")
            if any("widget" in kind for kind in kinds):
                bad.append(f"{cell}: a widget view is stored")
            if {"image/svg+xml", "application/pdf"} & kinds:
                bad.append(f"{cell}: a figure that is not a PNG")
            if re.search(r"\sid=", "".join(output.get("data", {}).get("text/html", ""))):
                bad.append(f"{cell}: HTML with an id")
        bad += [f"{cell}: shows {what}" for pattern, what in BARE.items() if re.search(pattern, cell.text)]
    return bad


def described_figures(lesson):
    bad = []
    for cell in lesson.code:
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/png" in data:
                text = "".join(data.get("text/plain", ""))
                if not re.fullmatch(r"Figure: .{20,200}", text):
                    bad.append(f"{cell}: a figure without 'Figure: ' and 20 to 200 characters; use nb.show or nb.grid")
                if (size := len(base64.b64decode("".join(data["image/png"])))) > FIGURE_BYTES:
                    bad.append(f"{cell}: a figure of {size / 1000:.0f} kB, at most {FIGURE_BYTES // 1000}")
    return bad


def claims(lesson):
    """A section that prints a measured number holds a claim or a finding; lines of a training loop are exempt."""
    bad, sections = [], [("opening", [])]
    for cell in lesson.cells:
        if cell.kind == "markdown" and (title := re.search(r"^## +(.+)$", without_code(cell.source), re.M)):
            sections.append((title[1], []))
        sections[-1][1].extend(cell.text.splitlines() if cell.kind == "code" else [])
    for title, lines in sections:
        said = [line for line in lines if line.startswith(("claim: ", "finding: "))]
        loop = re.compile(r"\s*(step|epoch|iteration)\b")
        if not said and any("\u2248" in line and not loop.match(line) for line in lines):
            bad.append(f"section '{title}' prints measured numbers and makes no claim")
        wrong = [line for line in said if not line.endswith(VERDICTS)]
        bad += [f"section '{title}': unreadable claim {line!r}" for line in wrong]
    return bad


def budgets(lesson):
    bad = []
    if (size := len(lesson.content.encode())) > NOTEBOOK_BYTES:
        bad.append(f"{size / 1000:.0f} kB, at most {NOTEBOOK_BYTES // 1000}")
    if lesson.timing.get("seconds", 0) > SECONDS:
        bad.append(f"runs {lesson.timing['seconds']:g} s, at most {SECONDS}")
    if lesson.timing.get("megabytes", 0) > MEGABYTES:
        bad.append(f"takes {lesson.timing['megabytes']} MB of memory, at most {MEGABYTES}")
    return bad


RULES = (stored_state, clean_outputs, described_figures, claims, budgets)
