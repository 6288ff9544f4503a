"""The front door tells the truth: commands exist, the map is the folder, links lead somewhere, examples run."""

import doctest
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
NUMBER = r"\b\d\.\d{1,2}\b"


def targets() -> dict[str, str]:
    """The targets of the Makefile that `make help` lists, with their help."""
    # without what `make test` hands down: a make below another one prints more
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    text = subprocess.run(["make", "help"], cwd=ROOT, env=alone, capture_output=True, text=True, check=True).stdout
    return dict(line.removeprefix("make ").split(maxsplit=1) for line in text.splitlines())


def commands(page: str) -> list[str]:
    """Every `make ...` that a page shows as code."""
    text = (ROOT / page).read_text("utf-8")
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, flags=re.S))
    inline = re.findall(r"`((?:\w+=\S+ )*make [^`]+)`", text)
    return inline + [line for line in blocks.splitlines() if re.search(r"\bmake ", line)]


def the_map() -> tuple[str, str]:
    """The two halves of the map: what is there now, and what is planned."""
    now, planned = README.split("**There now**")[1].split("\n## ")[0].split("**Planned.**")
    return now, "\n".join(line for line in planned.splitlines() if line.startswith("|"))


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and JupyterLab make them from plain words."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page):
    makefile, known = (ROOT / "Makefile").read_text("utf-8"), targets()
    for command in commands(page):
        words = command.partition("#")[0].split()
        target, *settings = words[words.index("make") + 1 :]
        assert target in known, f"{page}: `{command}` is no target of the Makefile"
        for setting in settings:
            name = setting.partition("=")[0]
            assert f"$({name})" in makefile, f"{page}: `{command}`: the Makefile does not use {name}"


def test_help_and_readme_name_every_target():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, flags=re.M)
    assert set(targets()) == set(phony.split()) - {"FORCE"}
    shown = {re.search(r"\bmake (\w+)", command)[1] for command in commands("README.md")}
    missing = set(targets()) - shown - {"mutants", "store"}
    assert {"lab", "test"} <= shown and not missing, f"README.md does not mention: {missing}"


def test_map_is_the_folder():
    on_disk = {path.relative_to(ROOT).as_posix() for path in (ROOT / "notebooks").glob("*/*.ipynb")}
    now, planned = the_map()
    assert set(re.findall(r"\((notebooks/[^)]+)\)", now)) == on_disk
    for number, path in re.findall(r"\[(\d\.\d+) [^]]+\]\(([^)]+)\)", now):
        assert Path(path).name.startswith(f"{number}-"), f"{number} links to {path}"
    assert "](" not in planned, "what is planned has no link yet"


def test_map_counts_without_gap():
    """Every notebook stands once, there or planned, and each part's numbers run from 1 (part 0 from 0)."""
    now, planned = the_map()
    numbers = re.findall(rf"\[({NUMBER})", now) + re.findall(rf"(?:\| |· )({NUMBER})", planned)
    found = sorted(tuple(map(int, number.split("."))) for number in numbers)
    for part in range(9):
        inside = [n for p, n in found if p == part]
        first = 0 if part == 0 else 1
        assert inside == list(range(first, first + len(inside))) and inside, f"part {part}: {inside}"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text("utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    for link in links:
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page}: {link} is not there"
        assert not anchor or anchor in anchors(target.read_text("utf-8")), f"{page}: no heading for {link}"


@pytest.mark.parametrize("page", PAGES)
def test_pictures_have_a_description(page):
    for alt in re.findall(r"!\[([^]]*)\]", (ROOT / page).read_text("utf-8")):
        assert 20 <= len(alt) <= 200, f"{page}: {alt!r}"


def test_examples_on_the_notation_page_run():
    result = doctest.testfile(str(ROOT / "docs" / "notation.md"), module_relative=False)
    assert result.attempted > 10 and not result.failed


def test_ci_runs_the_command_of_the_readme():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o100, ".ci/run: not executable"
    assert script.read_text("utf-8").rstrip().endswith("exec make test")
