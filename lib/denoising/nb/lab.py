"""The learner's own copy of the lessons, and JupyterLab on top of it: `python -m denoising.nb lab`.

A lesson counts as edited when the text or code of a cell differs from what was handed out; running it is no edit.
"""

import hashlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from denoising.nb.places import replace_file, root

__all__ = ["fingerprint", "hand_out", "lab"]

RECORD = ".handed-out.json"
WELCOME = "0-start/0.0-welcome.ipynb"
FIRST_PORT = 8888


def lab(*, author: bool = False, port: int | None = None, browser: bool = True) -> int:
    """Bring the learner's copy up to date and become JupyterLab, on this machine only and with a token.

    Args:
        author: open the originals instead of the copy.
        port: the port to use; 8888 or the next free one if None.
        browser: open a browser window.
    Returns:
        nothing where it succeeds: the process is JupyterLab from then on.
    Raises:
        FileNotFoundError: if the course's folder is not there.
        ValueError: if the port is taken or not a port.
    """
    port = _port(port)
    folder = root() / "notebooks"
    if not author:
        mine = root() / "my-notebooks"
        print(*hand_out(folder, mine), sep="\n", flush=True)
        folder = mine
    start = f"/lab/tree/{WELCOME}" if (folder / WELCOME).is_file() else "/lab"
    command = [
        sys.executable, "-m", "jupyterlab", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={folder}", f"--LabApp.default_url={start}",
        # An offline course asks nobody for news.
        "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
        "--LabApp.news_url=None",
    ]  # fmt: skip
    if not browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # in a container; JupyterLab would refuse to start
        command.append("--allow-root")
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # "Python 3" is this environment, not one of the user's
    if os.name == "nt":  # there, execv would give the terminal back while JupyterLab runs on
        return subprocess.call(command)
    os.execv(sys.executable, command)


def hand_out(originals: Path, mine: Path) -> list[str]:
    """Copy new and changed lessons into `mine`; what the learner edited is never touched.

    A changed lesson arrives beside an edited one, as `NAME.updated-XXXXXXXX.ipynb`, and once only. A lesson that the
    learner deleted is handed out afresh.

    Args:
        originals: folder of the course's notebooks.
        mine: the learner's folder; made if missing.
    Returns:
        lines to print: what arrived, and where the learner's copies are.
    """
    record_file = mine / RECORD
    before = _read_record(record_file)
    record, news = dict(before), []
    for source in sorted(originals.rglob("*.ipynb")):
        if ".ipynb_checkpoints" in source.parts:
            continue
        name = source.relative_to(originals).as_posix()
        content = source.read_bytes()
        target, now = mine / name, fingerprint(content)
        copy = fingerprint(target.read_bytes()) if target.exists() else None
        if copy == now:
            record[name] = now
        elif copy is None or copy == record.get(name):
            news.append(f"{'new' if name not in record else 'updated'}: {name}")
            replace_file(target, content)
            record[name] = now
        elif now != record.get(name):
            news += _beside(name, target, content, now, record)
    if record != before:
        replace_file(record_file, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
    return [*news, f"your notebooks: {mine} (nothing you edited was changed)"]


def fingerprint(content: bytes) -> str:
    """What makes a lesson: kind and text of its cells, in order. Outputs, counts and metadata do not count."""
    try:
        cells = [[cell["cell_type"], "".join(cell["source"])] for cell in json.loads(content)["cells"]]
    except (ValueError, KeyError, TypeError):
        return hashlib.sha256(content).hexdigest()  # damaged, or no notebook: then every byte counts
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def _beside(name: str, target: Path, content: bytes, now: str, record: dict[str, str]) -> list[str]:
    """Put the changed lesson next to the edited one; drop an earlier such file that nobody edited."""
    stem = name.removesuffix(".ipynb")
    fresh = f"{stem}.updated-{now[:8]}.ipynb"
    if fresh in record:
        return []
    mine = target.parents[name.count("/")]
    if (mine / fresh).exists():  # the record was lost, the file was not
        record[fresh] = now
        return []
    for old in [known for known in record if known.startswith(f"{stem}.updated-")]:
        if (mine / old).exists() and fingerprint((mine / old).read_bytes()) == record[old]:
            (mine / old).unlink()
        del record[old]
    replace_file(mine / fresh, content)
    record[fresh] = now
    return [f"updated: {name}; you edited yours, so the new one lies beside it as {Path(fresh).name}"]


def _read_record(path: Path) -> dict[str, str]:
    """What was handed out. A lost or damaged record costs nothing: every copy then counts as edited."""
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _port(wanted: int | None) -> int:
    if wanted is not None:
        if not 1 <= wanted <= 65535:
            raise ValueError(f"port: expected a number from 1 to 65535, got {wanted}")
        if not _free(wanted):
            raise ValueError(f"port {wanted} is taken; choose another one, for example: make lab PORT={wanted + 1}")
        return wanted
    for port in range(FIRST_PORT, FIRST_PORT + 50):
        if _free(port):
            if port != FIRST_PORT:
                print(f"port {FIRST_PORT} is taken (another JupyterLab?), using {port}")
            return port
    raise ValueError(f"ports {FIRST_PORT} to {FIRST_PORT + 49} are all taken; choose one: make lab PORT=...")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as JupyterLab does
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
