"""The list of mutants fits the code, and a few quick ones are tried always. The whole list: `make mutants`."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest


def load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = sys.modules.setdefault(name, importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    return module


sys.path.insert(0, str(Path(__file__).parent))  # the lists import one another
mutants, run = load("mutants"), load("run")
QUICK = [mutants.SCHEDULES[0], mutants.DENOISERS[6]]


def test_there_are_at_least_thirty_and_no_two_are_equal():
    assert len(mutants.MUTANTS) >= 30 and len(set(mutants.MUTANTS)) == len(mutants.MUTANTS)
    assert all(mutant.old != mutant.new and mutant.tests for mutant in mutants.MUTANTS)


@pytest.mark.parametrize(
    "mutant", mutants.MUTANTS, ids=lambda mutant: f"{Path(mutant.file).stem}: {mutant.new.strip()[:40]}"
)
def test_every_mutant_fits_the_code(mutant):
    assert run.occurrences(mutant) == 1, f"{mutant.file} no longer holds {mutant.old!r} exactly once"
    for test in mutant.tests:
        file, _, name = test.partition("::")
        assert (run.ROOT / file).exists(), test
        name = name.rpartition("::")[2]  # of a method
        assert not name or f"def {name.partition('[')[0]}(" in (run.ROOT / file).read_text("utf-8"), test


@pytest.mark.parametrize("mutant", QUICK, ids=lambda mutant: Path(mutant.file).stem)
def test_quick_mutants_are_caught(mutant):
    assert run.verdict(mutant) == "caught"


def test_a_harmless_change_survives():
    assert run.verdict(QUICK[0]._replace(new=f"{QUICK[0].old} / 1")) == "SURVIVED"


def test_a_notebook_is_broken_in_its_cells_alone(tmp_path):
    cells = [
        {"cell_type": "code", "source": ["a = 1\n", "b = 2\n"], "outputs": [{"text": "a = 1\n"}]},
        {"cell_type": "markdown", "source": "c"},
    ]
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": cells}))
    mutant = mutants.Mutant("n.ipynb", "a = 1\nb", "a = 3\nb", ("n.ipynb",))
    assert run.occurrences(mutant, tmp_path) == 1
    run.apply(mutant, tmp_path)
    broken = json.loads((tmp_path / "n.ipynb").read_text())["cells"]
    assert broken == [cells[0] | {"source": ["a = 3\n", "b = 2\n"]}, cells[1]]
    with pytest.raises(ValueError, match=r"^n.ipynb: expected this text exactly once, found it 0 times"):
        run.apply(mutant, tmp_path)


def test_the_report_is_a_table():
    text = run.table([(QUICK[0]._replace(old="a | b\n  c"), "caught"), (QUICK[1], "SURVIVED")])
    assert "1 of 2 are caught" in text and "`a \\| b c`" in text
    assert all(line.replace("\\|", "").count("|") == 7 for line in text.splitlines() if line.startswith("|"))
