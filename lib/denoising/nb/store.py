"""Run notebooks from a fresh kernel, top to bottom, and store their outputs: `python -m denoising.nb store`.

The stored file changes only if every cell ran without an error and without a word on stderr. What each notebook
cost in seconds and memory goes into `tests/timings.json`.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from denoising.nb.normal import as_text, normal
from denoising.nb.places import replace_file, root

__all__ = ["CELL_SECONDS", "Failure", "run", "store"]

CELL_SECONDS = 60  # limit of a cell without {"denoising": {"timeout": ...}} in its metadata
PEAK = "__import__('resource').getrusage(0).ru_maxrss * (1 if __import__('sys').platform == 'darwin' else 1024)"
NOT_FOR_KERNELS = ("DENOISING_SEED", "DENOISING_SCALE")  # stored outputs are those of the defaults


def store(paths: Sequence[Path] = (), *, jobs: int = 2) -> int:
    """Store the outputs of notebooks; say per notebook what happened.

    Args:
        paths: notebook files; all of the course if empty.
        jobs: how many run at a time, one thread each.
    Returns:
        the number of notebooks that failed. Those files are as they were.
    Raises:
        FileNotFoundError: if a path is not there.
    """
    folder = root() / "notebooks"
    found = [path.resolve() for path in paths] or sorted(folder.rglob("*.ipynb"))
    found = [path for path in found if ".ipynb_checkpoints" not in path.parts]
    for path in found:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such notebook")
    return asyncio.run(_store_all(found, folder, jobs))


async def run(path: Path) -> tuple[dict[str, Any], float, int | None]:
    """Run a notebook in a fresh kernel of this Python, in the notebook's own folder.

    Returns:
        the notebook in normal form with its outputs, the seconds from kernel start to the last cell, and the
        kernel's peak memory in bytes (None where the system does not tell).
    Raises:
        Failure: if a cell is empty, raises, takes too long, or writes to stderr.
    """
    import nbformat
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook = nbformat.reads(as_text(normal(json.loads(path.read_text("utf-8")))), as_version=4)
    # Without any folder of kernel specifications, "python3" is this very Python.
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    client = NotebookClient(notebook, km=manager, record_timing=False, coalesce_streams=True, timeout_func=_limit)
    start = time.perf_counter()
    number = 0
    try:
        # Started and stopped here: nbclient would catch Ctrl-C, stop one kernel and go on with the others.
        await manager.start_kernel(env=_environment(), cwd=str(path.parent), extra_arguments=["--log-level=ERROR"])
        await client.async_start_new_kernel_client()
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type != "code":
                continue
            if not cell.source.strip():
                raise Failure(path, number, "the cell is empty")
            await client.async_execute_cell(cell, index, execution_count=number + 1)
            said = [out.text for out in cell.outputs if out.output_type == "stream" and out.name == "stderr"]
            if said:
                raise Failure(path, number, "the cell wrote to stderr:\n" + "".join(said))
            number += 1
        seconds = time.perf_counter() - start
        ask = {"silent": True, "store_history": False, "user_expressions": {"peak": PEAK}}
        reply = await client.kc.execute("", reply=True, timeout=10, **ask)
        peak = reply["content"]["user_expressions"]["peak"].get("data", {}).get("text/plain")
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise Failure(path, number, str(error)) from None
    finally:
        if client.kc is not None:
            client.kc.stop_channels()
        await manager.shutdown_kernel(now=True)
    return normal(notebook), seconds, int(peak) if peak else None


async def _store_all(paths: list[Path], folder: Path, jobs: int) -> int:
    gate, failures = asyncio.Semaphore(jobs), 0

    async def one(path: Path) -> None:
        nonlocal failures
        async with gate:
            try:
                notebook, seconds, peak = await run(path)
            except (Failure, ValueError) as error:  # ValueError: the file is not a notebook
                failures += 1
                print(f"not stored: {path}\n{error}", file=sys.stderr)
                return
        replace_file(path, as_text(notebook).encode())
        if path.is_relative_to(folder):
            _record(folder.parent / "tests" / "timings.json", path.relative_to(folder).as_posix(), seconds, peak)
        print(f"stored {path.name}: {seconds:.0f} s, {(peak or 0) / 1e6:.0f} MB", flush=True)

    await asyncio.gather(*(one(path) for path in paths))
    return failures


def _limit(cell: Any) -> float:
    return cell.metadata.get("denoising", {}).get("timeout", CELL_SECONDS)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in NOT_FOR_KERNELS}
    return kept | {"DENOISING_WIDGETS": "off", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _record(table: Path, name: str, seconds: float, peak: int | None) -> None:
    """Two significant digits: a run that is a little slower leaves no trace in the history."""
    timings = json.loads(table.read_text("utf-8")) if table.is_file() else {}
    timings[name] = {"megabytes": int(float(f"{(peak or 0) / 1e6:.2g}")), "seconds": float(f"{seconds:.2g}")}
    replace_file(table, (json.dumps(timings, indent=1, sort_keys=True) + "\n").encode())


class Failure(Exception):
    """A notebook that was not stored, with the code cell (counted from 0, as nbval does) and the reason."""

    def __init__(self, path: Path, cell: int, reason: str):
        super().__init__(f"{path.name}, code cell {cell}: {reason.strip()}")
