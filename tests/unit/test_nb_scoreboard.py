"""The scoreboard is what the notebooks print, and a line that it cannot read is named."""

import json
from pathlib import Path

import pytest

from denoising import nb
from denoising.nb import scoreboard
from denoising.nb.scoreboard import PAPERS, Row

ROOT = Path(__file__).resolve().parents[2]
BOOKS = sorted((ROOT / "notebooks").glob("*/*.ipynb"))


@pytest.fixture(scope="module")
def rows():
    return [row for path in BOOKS for row in scoreboard.read(path, folder=ROOT)]


def book(tmp_path, *texts):
    cells = [{"cell_type": "code", "outputs": [{"output_type": "stream", "text": [text]}]} for text in texts]
    path = tmp_path / "notebooks" / "9-part" / "9.1-name.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"cells": cells}))
    return path


def test_the_page_and_the_summary_are_those_of_the_notebooks(rows):
    remedy = "run `make scoreboard`"
    assert (ROOT / "docs" / "scoreboard.md").read_text("utf-8") == scoreboard.page(rows), remedy
    between = (ROOT / "README.md").read_text("utf-8").split("<!-- scoreboard -->")[1].split("<!-- /scoreboard -->")[0]
    assert between.strip() == scoreboard.summary(rows), remedy


def test_every_claim_of_the_sources_is_on_the_page(rows):
    for path in BOOKS:
        cells = json.loads(path.read_text("utf-8"))["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        shown = [row for row in rows if row.notebook.endswith(path.name)]
        # a claim in a loop prints several lines, so the sources can hold fewer calls than the page has rows
        assert len(shown) >= code.count("nb.claim(") + code.count("nb.finding(") - code.count("nb.expect("), path.name


def test_every_paper_has_a_title(rows):
    assert {row.paper for row in rows if row.paper} <= set(PAPERS)


def test_what_is_printed_is_read_back(tmp_path, capsys):
    nb.claim("a ratio", 2.0, lo=1.5, control=0.1)
    nb.claim("an error", 1e-3, hi=0.01, control=0.5, paper="ppap", reported="30 to 20", change="8x8 digits")
    nb.finding("a gain", 0.2, expected="1", why="too small a network", paper="elucd")
    path = book(tmp_path, "before\n" + capsys.readouterr().out, "no claim: here\n")
    name = "notebooks/9-part/9.1-name.ipynb"
    assert scoreboard.read(path, folder=tmp_path) == [
        Row(name, "a ratio", "≈ 2 in [1.5, inf]", "control ≈ 0.1 outside", "holds"),
        Row(name, "an error", "≈ 0.001 in [-inf, 0.01]", "control ≈ 0.5 outside", "holds with a change",
            "ppap", "30 to 20", "8x8 digits"),
        Row(name, "a gain", "≈ 0.2, expected 1", "too small a network", "not at this scale", "elucd"),
    ]  # fmt: skip


def test_the_page_says_bounds_in_words_and_counts_verdicts(tmp_path, capsys):
    nb.claim("a ratio", 2.0, lo=1.5, control=0.1)
    nb.claim("an error", 1e-3, hi=0.01, control=0.5, paper="ppap", reported="30 to 20", change="8x8 digits")
    nb.claim("a share", 0.5, lo=0.4, hi=0.6, no_control="it is a definition")
    nb.finding("a gain", 0.2, expected="1", why="too small a network")
    rows = scoreboard.read(book(tmp_path, capsys.readouterr().out), folder=tmp_path)
    summary = "4 claims in 1 notebooks, on 1 papers and the theory behind them: 2 hold, 1 hold with a change, 1 not at"
    assert scoreboard.summary(rows).startswith(summary)
    page = scoreboard.page(rows)
    link = "[9.1](../notebooks/9-part/9.1-name.ipynb)"
    assert f"| an error | 30 to 20 | ≈ 0.001, at most 0.01 | ≈ 0.5 | holds with a change: 8x8 digits | {link} |" in page
    assert "| a ratio | ≈ 2, at least 1.5 | ≈ 0.1 | holds |" in page and f"### {link}" in page
    assert "| a share | ≈ 0.5 in [0.4, 0.6] | no control: it is a definition | holds |" in page
    assert "| a gain | ≈ 0.2, expected 1 | too small a network | not at this scale |" in page
    assert page.index("## Go et al. 2022") < page.index("## The course's own claims")


@pytest.mark.parametrize("line", ["claim: a | b | holds", "claim: a | ≈ 1 in [0, 2] | control ≈ 3 outside | perhaps"])
def test_a_malformed_line_is_named(tmp_path, line):
    with pytest.raises(ValueError, match=r"9\.1-name\.ipynb: expected `claim: name"):
        scoreboard.read(book(tmp_path, line + "\n"), folder=tmp_path)


def test_writing_replaces_what_stands_between_the_marks(tmp_path, capsys):
    nb.claim("a ratio", 2.0, lo=1.5, control=0.1)
    book(tmp_path, capsys.readouterr().out)
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("before\n<!-- scoreboard -->\nold\nlines\n<!-- /scoreboard -->\nafter\n")
    said = scoreboard.write(tmp_path)
    expected = f"before\n<!-- scoreboard -->\n{said}\n<!-- /scoreboard -->\nafter\n"
    assert (tmp_path / "README.md").read_text() == expected
    assert said in (tmp_path / "docs" / "scoreboard.md").read_text()
