"""Break the course one line at a time and see that each break is noticed.

    python tests/mutation/run.py [--only WORD] [--jobs N]

Every mutant is tried on a copy of the tree. A full run writes docs/mutants.md; `--only` takes the mutants whose file or
text holds WORD (or number WORD), and writes nothing.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mutants import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("lib", "tests", "notebooks", "conftest.py", "pyproject.toml")
# Each mutant is tried in a process forked from one that has imported torch already: a second instead of ten.
PROCESSES = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
PROCESSES.set_forkserver_preload(["torch", "scipy.integrate", "pytest"])
ENDED = 100  # tells the end of pytest from that of a process that never came so far
SECONDS = 600  # of one mutant; a break that never ends has been noticed
CAUGHT = ("caught", "caught (no end)")


def sources(path: Path) -> list[str]:
    """The texts of a file that a mutant may stand in: the whole, or the cells of a notebook."""
    text = path.read_text("utf-8")
    return ["".join(cell["source"]) for cell in json.loads(text)["cells"]] if path.suffix == ".ipynb" else [text]


def occurrences(mutant: Mutant, root: Path = ROOT) -> int:
    """How often the mutant's old text stands in its file."""
    path = root / mutant.file
    return sum(text.count(mutant.old) for text in sources(path)) if path.exists() else 0


def apply(mutant: Mutant, root: Path) -> None:
    """Break the tree under `root`."""
    if (found := occurrences(mutant, root)) != 1:
        raise ValueError(f"{mutant.file}: expected this text exactly once, found it {found} times: {mutant.old!r}")
    path = root / mutant.file
    text = path.read_text("utf-8")
    if path.suffix != ".ipynb":
        path.write_text(text.replace(mutant.old, mutant.new), "utf-8")
        return
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if mutant.old in source:
            cell["source"] = source.replace(mutant.old, mutant.new).splitlines(keepends=True)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf-8")


def copy_tree(target: Path) -> None:
    """What the tests need; the data are shared, because no mutant touches them."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, target / name)
    (target / "data").symlink_to(ROOT / "data")


def prepare(tree: Path) -> dict[str, str]:
    """Environment of the tests: `tree`'s library comes before an installed one, and nothing is left behind."""
    return {"PYTHONPATH": str(tree / "lib"), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}


def run_here(tests: tuple[str, ...], tree: Path) -> None:
    """End this process as pytest ends, plus `ENDED`."""
    import pytest

    os.chdir(tree)
    os.environ |= prepare(tree)
    sys.path.insert(0, str(tree / "lib"))
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    os._exit(ENDED + pytest.main(["-q", "-x", "-p", "no:cacheprovider", *tests]))


def run(tests: tuple[str, ...], tree: Path) -> int | None:
    """pytest's exit code for these tests on the library of `tree`; `None` when they do not end."""
    books = [test for test in tests if ".ipynb" in test]
    if books:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--nbval", *books]
        try:
            done = subprocess.run(
                command, cwd=tree, env=os.environ | prepare(tree), capture_output=True, timeout=SECONDS
            )
        except subprocess.TimeoutExpired:
            return None
        if done.returncode or len(books) == len(tests):
            return done.returncode
    process = PROCESSES.Process(target=run_here, args=(tuple(test for test in tests if test not in books), tree))
    process.start()
    process.join(SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
        return None
    return process.exitcode - ENDED


def verdict(mutant: Mutant) -> str:
    """What the named tests say to a mutant. Only a failed test counts, and not one that could not be collected."""
    with tempfile.TemporaryDirectory() as scratch:
        copy_tree(Path(scratch))
        apply(mutant, Path(scratch))
        code = run(mutant.tests, Path(scratch))
    return {0: "SURVIVED", 1: "caught", None: "caught (no end)"}.get(code, f"BROKEN (pytest ended with {code})")


def unbroken(mutants: list[Mutant]) -> bool:
    """Whether every named test passes without a mutant; else its failing would mean nothing."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    with tempfile.TemporaryDirectory() as scratch:
        copy_tree(Path(scratch))
        return run(tuple(tests), Path(scratch)) == 0


def code(text: str) -> str:
    """A text as a Markdown code span that fits in a table."""
    return f"`{' '.join(text.split())}`".replace("|", "\\|")


def table(rows: list[tuple[Mutant, str]]) -> str:
    """The report, in Markdown."""
    caught = sum(verdict in CAUGHT for _, verdict in rows)
    lines = [
        "# Mutants",
        "",
        "Written by `make mutants`. Each row is a one-line breakage of the course, tried on a copy of it, with the",
        f"test or notebook that must fail. {caught} of {len(rows)} are caught.",
        "",
        "| | file | right | broken | must be caught by | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for number, (mutant, verdict) in enumerate(rows, 1):
        by = ", ".join(code(test.rpartition("/")[2]) for test in mutant.tests)
        cells = (number, code(mutant.file), code(mutant.old), code(mutant.new), by, verdict)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", metavar="WORD", help="mutants whose file or text holds WORD, or the one of that number"
    )
    parser.add_argument("--jobs", type=int, default=2, help="mutants tried at a time")
    args = parser.parse_args()
    chosen = [
        mutant
        for number, mutant in enumerate(MUTANTS, 1)
        if not args.only or args.only == str(number) or args.only in f"{mutant.file} {mutant.old} {mutant.new}"
    ]
    if not chosen:
        parser.error(f"no mutant holds {args.only!r}")
    os.environ["OMP_NUM_THREADS"] = "1"  # before the first fork
    if not unbroken(chosen):
        print("the named tests fail without any mutant; repair that first", file=sys.stderr)
        return 1
    rows = []
    with ThreadPoolExecutor(args.jobs) as pool:
        for mutant, said in zip(chosen, pool.map(verdict, chosen), strict=True):
            rows.append((mutant, said))
            print(f"{len(rows):3}/{len(chosen)}  {said:16} {mutant.file}: {' '.join(mutant.new.split())}", flush=True)
    if not args.only:
        part = ROOT / "docs" / "mutants.md.part"
        part.write_text(table(rows), "utf-8")
        part.replace(part.with_suffix(""))
    survivors = sum(said not in CAUGHT for _, said in rows)
    print(f"{len(rows) - survivors} of {len(rows)} caught")
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main())
