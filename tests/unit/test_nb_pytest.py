"""What the root conftest promises, tried on throw-away notebooks in another process."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from nbval.plugin import get_sanitize_patterns

ROOT = Path(__file__).parents[2]
STDOUT = {"output_type": "stream", "name": "stdout"}


def notebook(*cells, timeout=None):
    """Cells are (source, stored text on stdout)."""
    metadata = {"denoising": {"timeout": timeout}} if timeout else {}
    return json.dumps({
        "nbformat": 4, "nbformat_minor": 5, "metadata": {},
        "cells": [
            {
                "cell_type": "code", "id": f"c{number}", "metadata": metadata, "execution_count": number + 1,
                "source": source, "outputs": [STDOUT | {"text": text}] if text else [],
            }
            for number, (source, text) in enumerate(cells)
        ],
    })  # fmt: skip


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """Outcome of every cell of three notebooks, two at a time, started in a subfolder."""
    folder = tmp_path_factory.mktemp("course")
    shutil.copy(ROOT / "conftest.py", folder)
    (folder / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")  # marks the root, as the course's own does
    (folder / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "sanitize.cfg", folder / "tests")
    lessons = folder / "notebooks"
    lessons.mkdir()
    (lessons / "conftest.py").write_text(
        "import pytest\n"
        "def pytest_collection_modifyitems(items):\n"
        "    for item in items:\n"
        "        if 'marked' in item.nodeid: item.add_marker(pytest.mark.xfail(reason='planted'))\n"
    )
    (lessons / "numbers.ipynb").write_text(
        notebook(
            ("import os; n = 5; print('FD', '\u2248 1.2', os.environ['DENOISING_WIDGETS'])", "FD  \u2248 3e-05 off\n"),
            ("print(n)", "5\n"),
            ("print(n)", "6\n"),
            ("print(n)", "5\n"),
        ),
        "utf-8",
    )
    (lessons / "slow.ipynb").write_text(notebook(("import time; time.sleep(30)", ""), ("print(1)", "1\n"), timeout=1))
    (lessons / "marked.ipynb").write_text(notebook(("1 / 0", ""), ("print(1)", "1\n")))
    command = [sys.executable, "-m", "pytest", "--nbval", "-n", "2", "-rA", "--color=no", "-p", "no:cacheprovider", "."]
    run = subprocess.run(command, cwd=lessons, capture_output=True, encoding="utf-8", timeout=120)
    found = re.findall(r"^(PASSED|FAILED|ERROR|XFAIL|XPASS) \S*?(\w+)\.ipynb::Cell (\d)", run.stdout, re.MULTILINE)
    outcome = {f"{name} {cell}": word for word, name, cell in found}
    return SimpleNamespace(code=run.returncode, text=run.stdout, outcome=outcome)


def test_measured_numbers_may_move_exact_ones_may_not(verdicts):
    assert verdicts.outcome["numbers 0"] == verdicts.outcome["numbers 1"] == "PASSED", verdicts.text
    assert verdicts.outcome["numbers 2"] == "FAILED", verdicts.text


def test_rest_of_a_notebook_is_skipped_after_its_first_failure(verdicts):
    assert verdicts.code == 1
    assert not {"numbers 3", "slow 1", "marked 1"} & set(verdicts.outcome), verdicts.text
    assert re.search(r"3 failed, 2 passed, 3 skipped", verdicts.text), verdicts.text
    assert "Cell 2 of this notebook failed" in verdicts.text


def test_limit_of_a_cell_comes_from_its_metadata(verdicts):
    assert verdicts.outcome["slow 0"] == "FAILED"
    assert "Timeout of 1 seconds exceeded" in verdicts.text


def test_expected_failure_is_an_error(verdicts):
    assert verdicts.outcome["marked 0"] == "FAILED"
    assert "never expected to fail" in verdicts.text


@pytest.mark.parametrize(
    ("stored", "computed", "same"),
    [
        ("FD \u2248 1.23 over 2048", "FD    \u2248 1,234.5 over 2048", True),
        ("\u2248 1e-05 \u00b1 0.1 x", "\u2248 -3 \u00b1 12 x", True),
        ("device: cpu\n5", "device: cuda\n5", True),
        ("FD \u2248 1.23 over 2048", "FD \u2248 1.23 over 4096", False),
        ("FD \u2248 1.23", "FD \u2248 nan", False),
        ("FD \u2248 1.23", "FD \u2248 inf", False),
        ("FD \u2248 1.23", "FD 1.23", False),
    ],
)
def test_sanitizer_hides_measured_numbers_and_nothing_else(stored, computed, same):
    patterns = get_sanitize_patterns((ROOT / "tests" / "sanitize.cfg").read_text("ascii"))
    assert len(patterns) == 2
    for pattern, replacement in patterns:
        stored, computed = re.sub(pattern, replacement, stored), re.sub(pattern, replacement, computed)
    assert (stored == computed) is same


def cell(options=None, execution_count=1, metadata=None):
    kind = type("IPyNbCell", (SimpleNamespace,), {})
    config = SimpleNamespace(option=SimpleNamespace(nbval_lax=False, nbval_cell_timeout=2000), asked_limit=0)
    stored = SimpleNamespace(execution_count=execution_count, metadata=metadata or {})
    options = {"skip": False, "check": True} | (options or {})
    return kind(parent="notebook", options=options, config=config, cell=stored)


@pytest.fixture(scope="module")
def hooks():
    spec = importlib.util.spec_from_file_location("root_conftest", ROOT / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("bad", [{"options": {"skip": True}}, {"options": {"check": False}}, {"execution_count": None}])
def test_cell_that_would_not_be_compared_fails(hooks, bad):
    with pytest.raises(pytest.fail.Exception):
        hooks.pytest_runtest_setup(cell(**bad))


@pytest.mark.parametrize(
    ("metadata", "asked", "limit"), [({}, 0, 60), ({"denoising": {"timeout": 120}}, 0, 120), ({}, 600, 600)]
)
def test_limits(hooks, metadata, asked, limit):
    item = cell(metadata=metadata)
    item.config.asked_limit = asked
    hooks.pytest_runtest_setup(item)
    assert item.config.option.nbval_cell_timeout == limit
