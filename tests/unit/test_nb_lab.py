"""The learner's copy: new lessons arrive, edits stay, updates come beside them."""

import json
import socket
import sys

import pytest

from denoising.nb import lab as module
from denoising.nb import places
from denoising.nb.__main__ import main
from denoising.nb.lab import RECORD, fingerprint, hand_out

NAME = "1-ddpm/1.1-forward.ipynb"


def lesson(*sources, output="", count=None):
    outputs = [{"output_type": "stream", "name": "stdout", "text": output}] if output else []
    cells = [
        {"cell_type": "code", "metadata": {}, "source": source, "outputs": outputs, "execution_count": count}
        for source in sources
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).encode()


@pytest.fixture
def folders(tmp_path):
    originals, mine = tmp_path / "notebooks", tmp_path / "my-notebooks"
    write(originals, lesson("x = 1", output="stored\n"))
    return originals, mine


def write(folder, content, name=NAME):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.ipynb")}


def test_first_copy_keeps_outputs_and_second_run_does_nothing(folders):
    originals, mine = folders
    assert hand_out(*folders)[0] == f"new: {NAME}"
    assert contents(mine) == contents(originals)
    stamps = {path: path.stat().st_mtime_ns for path in mine.rglob("*")}
    assert len(hand_out(*folders)) == 1
    assert {path: path.stat().st_mtime_ns for path in mine.rglob("*")} == stamps


def test_untouched_copy_is_updated_also_after_a_run(folders):
    originals, mine = folders
    hand_out(*folders)
    write(mine, lesson("x = 1", output="mine\n", count=4))  # only run
    write(originals, lesson("x = 2"))
    assert hand_out(*folders)[0] == f"updated: {NAME}"
    assert contents(mine) == contents(originals)


def test_edited_copy_stays_and_the_update_arrives_beside_it_once(folders):
    originals, mine = folders
    hand_out(*folders)
    write(mine, edited := lesson("x = 1  # my note"))
    assert len(hand_out(*folders)) == 1 and contents(mine) == {NAME: edited}
    write(originals, new := lesson("x = 2"))
    beside = NAME.replace(".ipynb", f".updated-{fingerprint(new)[:8]}.ipynb")
    assert beside.rsplit("/", 1)[-1] in hand_out(*folders)[0]
    assert contents(mine) == {NAME: edited, beside: new}
    assert len(hand_out(*folders)) == 1
    (mine / beside).unlink()  # thrown away: it does not come back
    assert len(hand_out(*folders)) == 1 and contents(mine) == {NAME: edited}


def test_second_update_replaces_the_first_unless_it_was_edited(folders):
    originals, mine = folders
    hand_out(*folders)
    write(mine, lesson("mine"))
    write(originals, lesson("x = 2"))
    hand_out(*folders)
    write(originals, lesson("x = 3"))
    hand_out(*folders)
    assert sorted(contents(mine).values()) == sorted([lesson("mine"), lesson("x = 3")])
    third = next(name for name in contents(mine) if "updated" in name)
    write(mine, lesson("x = 3  # note"), third)
    write(originals, lesson("x = 4"))
    hand_out(*folders)
    assert sorted(contents(mine).values()) == sorted(lesson(s) for s in ("mine", "x = 3  # note", "x = 4"))


def test_deleted_copy_is_handed_out_afresh(folders):
    originals, mine = folders
    hand_out(*folders)
    (mine / NAME).unlink()
    hand_out(*folders)
    assert contents(mine) == contents(originals)


@pytest.mark.parametrize("record", [None, b"{", b"[1]"])
def test_lost_or_damaged_record_never_costs_an_edit(folders, record):
    originals, mine = folders
    hand_out(*folders)
    write(mine, lesson("mine"))
    if record is None:
        (mine / RECORD).unlink()
    else:
        (mine / RECORD).write_bytes(record)
    write(originals, lesson("x = 2"))
    hand_out(*folders)
    hand_out(*folders)
    assert contents(mine)[NAME] == lesson("mine")
    assert sorted(contents(mine).values()) == sorted([lesson("mine"), lesson("x = 2")])


def test_damaged_copy_counts_as_edited(folders):
    originals, mine = folders
    hand_out(*folders)
    write(mine, b"{ half a noteb")
    write(originals, lesson("x = 2"))
    hand_out(*folders)
    assert contents(mine)[NAME] == b"{ half a noteb"


def test_lost_record_and_edited_update(folders):
    originals, mine = folders
    hand_out(*folders)
    write(mine, lesson("mine"))
    write(originals, lesson("x = 2"))
    hand_out(*folders)
    beside = next(name for name in contents(mine) if "updated" in name)
    write(mine, lesson("x = 2  # note"), beside)
    (mine / RECORD).unlink()
    hand_out(*folders)
    assert contents(mine) == {NAME: lesson("mine"), beside: lesson("x = 2  # note")}


@pytest.fixture
def launched(folders, tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(places, "ROOT", tmp_path)
    monkeypatch.setattr(module.os, "execv", lambda program, command: commands.append(command))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "")
    return commands


def test_lab_opens_the_copy_on_this_machine_only(folders, launched):
    write(folders[0], lesson("hello"), module.WELCOME)
    main(["lab", "--no-browser"])
    command = launched[0]
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert "--ip=127.0.0.1" in command and "--no-browser" in command
    assert f"--ServerApp.root_dir={folders[1]}" in command
    assert f"--LabApp.default_url=/lab/tree/{module.WELCOME}" in command
    assert not any("token" in word for word in command)
    assert contents(folders[1]) == contents(folders[0])


def test_author_gets_the_originals(folders, launched):
    main(["lab", "--author"])
    assert f"--ServerApp.root_dir={folders[0]}" in launched[0] and not folders[1].exists()


def test_port(folders, launched, monkeypatch, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        assert main(["lab", "--port", str(taken)]) == 1
        assert f"port {taken} is taken" in capsys.readouterr().err and not launched
        monkeypatch.setattr(module, "FIRST_PORT", taken)
        main(["lab"])
        used = next(word for word in launched[0] if word.startswith("--port="))
        assert used != f"--port={taken}" and f"port {taken} is taken" in capsys.readouterr().out
    assert main(["lab", "--port", "70000"]) == 1
