"""Every claim of the course on one page, read off the stored outputs: `python -m denoising.nb scoreboard`.

`nb.claim` and `nb.finding` print lines of one form; here they are read back. Nothing is run.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from denoising.nb.places import replace_file, root

__all__ = ["PAPERS", "Row", "page", "read", "summary", "write"]

VERDICTS = ("holds", "holds with a change", "not at this scale")
PAPERS = {
    "_guidance-foundations": "Dhariwal and Nichol 2021, arXiv 2105.05233; Ho and Salimans 2022, arXiv 2207.12598; "
    "Kynkäänniemi et al. 2024, arXiv 2404.07724 (guidance)",
    "adaptive-guidance": "Castillo et al. 2023, Adaptive Guidance, arXiv 2312.12487",
    "diffusion-beats-gans-classification": "Mukhopadhyay et al. 2023, Diffusion Models Beat GANs on Image "
    "Classification, arXiv 2307.08702",
    "diffusion-classifier": "Li et al. 2023, Your Diffusion Model is Secretly a Zero-Shot Classifier, arXiv 2303.16203",
    "elucd": "Ma et al. 2023, Elucidating the Design Space of Classifier-Guided Diffusion Generation, arXiv 2310.11311",
    "gahb-generalization": "Kadkhodaie et al. 2024, Generalization in Diffusion Models Arises from Geometry-Adaptive "
    "Harmonic Representations, arXiv 2310.02557",
    "gauge-freedom": "Horvat and Pfister 2024, On Gauge Freedom, Conservativity and Intrinsic Dimensionality "
    "Estimation in Diffusion Models, arXiv 2402.03845",
    "guided-distillation": "Meng et al. 2022, On Distillation of Guided Diffusion Models, arXiv 2210.03142",
    "molrg-subspace-clustering": "Wang et al. 2024, Diffusion Models Learn Low-Dimensional Distributions via Subspace "
    "Clustering, arXiv 2409.02426",
    "nn-score-estimation-ntk": "Han et al. 2024, Neural Network-Based Score Estimation in Diffusion Models, "
    "arXiv 2401.15604",
    "ppap": "Go et al. 2022, Towards Practical Plug-and-Play Diffusion Models, arXiv 2212.05973",
}
LINE = re.compile(r"^(claim|finding): (.+?) \| (.+?) \| (.+?) \| (.+)$")
NOTE = re.compile(r"^ {7}paper (\S+?)(?: reports (.+?))?(?:; changed here: (.+))?$")


@dataclass(frozen=True)
class Row:
    """One claim or finding as printed.

    Attributes:
        notebook: path of the notebook from the folder of the course.
        name: what is claimed.
        value: our number with its bounds, or with what was expected.
        control: the control, or the reason of a finding.
        verdict: one of `VERDICTS`.
        paper: slug of the paper that makes the claim; empty for the course's own.
        reported: the paper's number.
        change: what was altered against the paper.
    """

    notebook: str
    name: str
    value: str
    control: str
    verdict: str
    paper: str = ""
    reported: str = ""
    change: str = ""


def read(path: Path, *, folder: Path) -> list[Row]:
    """The rows of one notebook, in its order.

    Args:
        path: the notebook.
        folder: of the course; `Row.notebook` is relative to it.
    Raises:
        ValueError: if a line begins like a claim and is not one.
    """
    rows = []
    for line, note in _lines(path):
        match = LINE.match(line)
        if match is None or match[5] not in VERDICTS:
            raise ValueError(f"{path.name}: expected `claim: name | value | control | verdict`, got {line!r}")
        paper = NOTE.match(note)
        about = [part or "" for part in paper.groups()] if paper else []
        rows.append(Row(path.relative_to(folder).as_posix(), *match.groups()[1:], *about))
    return rows


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each printed claim or finding of a notebook with the line after it."""
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            lines = [*"".join(output.get("text", [])).splitlines(), ""]
            for line, note in pairwise(lines):
                if line.startswith(("claim: ", "finding: ")):
                    yield line, note


def summary(rows: Sequence[Row]) -> str:
    """The scoreboard in one sentence."""
    verdicts, notebooks = Counter(row.verdict for row in rows), len({row.notebook for row in rows})
    papers = len({row.paper for row in rows if row.paper})
    counts = ", ".join(f"{verdicts[verdict]} {verdict.replace('holds', 'hold')}" for verdict in VERDICTS)
    return f"{len(rows)} claims in {notebooks} notebooks, on {papers} papers and the theory behind them: {counts}."


def page(rows: Sequence[Row]) -> str:
    """The scoreboard as a page in Markdown: the papers' claims first, then the course's own, by notebook."""
    head = [
        "# Scoreboard",
        "",
        "Written by `make scoreboard` from the stored outputs of the notebooks; a test fails when the two disagree.",
        "",
        summary(rows),
        "",
        "The control is the same quantity for a deliberately broken variant, and lies outside the bounds.",
        "*Holds with a change*: the claim holds after an alteration against the paper, which is named.",
        "*Not at this scale*: measured, and otherwise than expected; the reason stands where the control would.",
    ]
    parts = ["\n".join(head)]
    papers = sorted({row.paper for row in rows if row.paper}, key=lambda slug: PAPERS.get(slug, slug))
    for slug in papers:
        parts.append(f"## {PAPERS.get(slug, slug)}\n\n" + _table([row for row in rows if row.paper == slug], True))
    parts.append("## The course's own claims")
    for notebook in dict.fromkeys(row.notebook for row in rows if not row.paper):
        own = [row for row in rows if row.notebook == notebook and not row.paper]
        parts.append(f"### {_link(notebook)}\n\n" + _table(own, False))
    return "\n\n".join(parts) + "\n"


def _table(rows: Sequence[Row], of_a_paper: bool) -> str:
    head = ["claim", *(["the paper's number"] if of_a_paper else []), "ours", "control, or reason", "verdict"]
    head += ["notebook"] if of_a_paper else []
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        verdict = f"{row.verdict}: {row.change}" if row.change else row.verdict
        reported = [row.reported or "none given"] if of_a_paper else []
        control = row.control.removeprefix("control ").removesuffix(" outside")
        cells = [row.name, *reported, _in_words(row.value), control, verdict]
        lines.append("| " + " | ".join([*cells, *([_link(row.notebook)] if of_a_paper else [])]) + " |")
    return "\n".join(lines)


def _in_words(value: str) -> str:
    """Bounds with one open end as "at least" or "at most"."""
    value = re.sub(r" in \[-inf, (.+)\]$", r", at most \1", value)
    return re.sub(r" in \[(.+), inf\]$", r", at least \1", value)


def _link(notebook: str) -> str:
    return f"[{Path(notebook).name.split('-')[0]}](../{notebook})"


def write(folder: Path | None = None) -> str:
    """Write docs/scoreboard.md, and the summary into the README between its marks; returns the summary."""
    folder = folder or root()
    rows = [row for path in sorted((folder / "notebooks").glob("*/*.ipynb")) for row in read(path, folder=folder)]
    replace_file(folder / "docs" / "scoreboard.md", page(rows).encode())
    readme = (folder / "README.md").read_text("utf-8")
    line = f"<!-- scoreboard -->\n{summary(rows)}\n<!-- /scoreboard -->"
    marked = re.sub(r"<!-- scoreboard -->\n.*?<!-- /scoreboard -->", lambda _: line, readme, flags=re.S)
    replace_file(folder / "README.md", marked.encode())
    return summary(rows)
