"""Storing outputs: two kernels are started, one of them fails."""

import json

import pytest

from denoising.nb import places, store
from denoising.nb.__main__ import main
from denoising.nb.normal import METADATA, as_text, normal


def notebook(*sources):
    return json.dumps({
        "nbformat": 4, "nbformat_minor": 5, "metadata": {"orig": 1, "kernelspec": {"name": "elsewhere"}},
        "cells": [
            {"cell_type": "code", "id": f"kept{number}", "metadata": {"collapsed": True, "tags": ["stub"]},
             "source": source, "outputs": [], "execution_count": 9}
            for number, source in enumerate(sources)
        ],
    })  # fmt: skip


@pytest.fixture
def course(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "ROOT", tmp_path)
    (tmp_path / "notebooks" / "0-start").mkdir(parents=True)
    return tmp_path


def test_good_notebook_is_stored_and_bad_one_is_left(course, monkeypatch, capsys):
    monkeypatch.setenv("DENOISING_SEED", "5")
    good, bad = (course / "notebooks" / "0-start" / name for name in ("0.0-good.ipynb", "0.1-bad.ipynb"))
    names = "import os\n[os.environ.get(n) for n in ('DENOISING_SEED', 'DENOISING_WIDGETS', 'OMP_NUM_THREADS')]"
    good.write_text(notebook("print('\u2248 1')\nprint('two')", names), "utf-8")
    bad.write_text(notebook("print(1)", "import sys; print('careful', file=sys.stderr)"))
    before = bad.read_bytes()

    assert main(["store"]) == 1

    said = capsys.readouterr()
    assert "stored 0.0-good.ipynb" in said.out
    assert "0.1-bad.ipynb, code cell 1: the cell wrote to stderr:\ncareful" in said.err
    assert bad.read_bytes() == before
    text = good.read_text("utf-8")
    stored = json.loads(text)
    first, second = stored["cells"]
    assert text == as_text(normal(stored)) and "\u2248 1" in text
    assert stored["metadata"] == METADATA
    assert [cell["execution_count"] for cell in stored["cells"]] == [1, 2]
    assert (first["id"], first["metadata"]) == ("kept0", {"tags": ["stub"]})
    assert first["outputs"] == [{"name": "stdout", "output_type": "stream", "text": ["\u2248 1\n", "two\n"]}]
    assert second["outputs"][0]["data"]["text/plain"] == ["[None, 'off', '1']"]
    table = json.loads((course / "tests" / "timings.json").read_text())
    assert list(table) == ["0-start/0.0-good.ipynb"] and table["0-start/0.0-good.ipynb"]["megabytes"] > 20
    assert sorted(path.name for path in good.parent.iterdir()) == [good.name, bad.name]  # nothing half-written


def test_what_is_no_notebook_is_reported(course, capsys):
    (course / "notebooks" / "junk.ipynb").write_text("{")
    assert main(["store"]) == 1
    assert "junk.ipynb" in capsys.readouterr().err
    assert main(["store", str(course / "gone.ipynb")]) == 1
    assert "no such notebook" in capsys.readouterr().err


def test_normal_form_is_a_fixed_point_and_gives_stable_ids():
    cells = [{"cell_type": "markdown", "metadata": {"scrolled": True}, "source": "# A\ntext"}]
    once = normal({"cells": cells})
    assert normal(once) == once == normal({"cells": cells})
    assert once["cells"][0]["source"] == ["# A\n", "text"] and len(once["cells"][0]["id"]) == 8


def test_interrupted_writing_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "file"
    target.write_text("old")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(places.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        places.replace_file(target, b"new")
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_interrupt_is_reported(course, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("denoising.nb.__main__.store", interrupted)
    assert main(["store"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_limit_of_a_cell():
    class Cell:
        metadata = {"denoising": {"timeout": 120}}  # noqa: RUF012

    assert store._limit(Cell) == 120
    Cell.metadata = {}
    assert store._limit(Cell) == store.CELL_SECONDS


def test_course_without_its_folder(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(places, "ROOT", tmp_path)
    assert main(["store"]) == 1
    assert "pip install -e" in capsys.readouterr().err
