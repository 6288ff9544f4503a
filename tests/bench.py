"""`make bench`: measure speed and memory on this machine and write the tables to docs/bench.md. It asserts no times."""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
BUSY = 0.5  # load at the start above which other work shares the processor


def notebooks():
    """Wall time and peak memory of each notebook, as the storing script recorded them."""
    table = json.loads((ROOT / "tests" / "timings.json").read_text("utf-8"))
    rows = [["notebook", "s (aim 45, at most 120)", "MB (at most 2000)"]]
    rows += [[name, f"{cost['seconds']:g}", f"{cost['megabytes']:g}"] for name, cost in sorted(table.items())]
    return (
        "Notebooks",
        "From kernel start to the last cell, one thread, two notebooks at a time, and the kernel's largest resident "
        "memory. Read from `tests/timings.json`, which `make store` writes.",
        rows,
    )


def tree():
    """Size of what git tracks, or would track with the next commit."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
    sizes = {name: (ROOT / name).stat().st_size for name in names if name and (ROOT / name).is_file()}
    parts = {"all": ("", 60), "`data/`": ("data/", None), "`data/checkpoints/`": ("data/checkpoints/", 26)}
    parts["`notebooks/`"] = ("notebooks/", 12)
    rows = [["part", "files", "MiB", "at most"]]
    for label, (start, most) in parts.items():
        inside = [size for name, size in sizes.items() if name.startswith(start)]
        rows.append([label, str(len(inside)), f"{sum(inside) / 2**20:.2f}", str(most or "")])
    return "Tracked tree", "What a clone holds, without its history.", rows


def processor():
    """The processor's name; Linux keeps it in a file of its own."""
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()


def machine(load, quick):
    """The rows that every number below depends on."""
    rows = [["", ""], ["date", datetime.date.today().isoformat()], ["device", f"cpu: {processor()}"]]
    rows += [["cores", str(os.cpu_count())], ["load before the start", f"{load:.1f}"]]
    rows += [["system", f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"]]
    rows += [["versions", f"torch {version('torch')}, diffusers {version('diffusers')}"]]
    return rows + ([["kind", "smoke run: these numbers mean nothing"]] if quick else [])


def markdown(rows):
    head, *body = rows
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def sections(quick):
    """Each section is (title, text, rows); the first row names the columns."""
    # pytest imports this file too, when it looks for doctests, and then this folder is not on the path
    from benchmarks import guiding, imports, solvers, speed

    threads = (1,) if quick else (1, 2)
    yield speed.overhead(threads=threads, **({"batch": 2, "calls": 2, "repeats": 1} if quick else {}))
    yield speed.throughput(threads=threads, **({"batch": 2, "calls": 2, "repeats": 1} if quick else {}))
    yield guiding.adaptive(**({"batch": 2, "calls": 2, "repeats": 1} if quick else {}))
    yield imports.costs(**({"names": ("denoising", "denoising.nb"), "repeats": 1} if quick else {}))
    yield solvers.errors(**({"points": 8, "budgets": (5, 10), "fine": 50} if quick else {}))
    yield notebooks()
    yield tree()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes: shows that the script works, measures nothing"
    )
    parser.add_argument("--out", type=Path, help="the file to write; by default docs/bench.md, with --quick none")
    args = parser.parse_args()
    out = args.out or (None if args.quick else ROOT / "docs" / "bench.md")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    if load > BUSY and not args.quick:
        print(f"load {load:.1f}: other work is running, times will be too long", file=sys.stderr)
    text = "# Speed and memory\n\nWritten by `make bench`. A record of one run: no test compares these numbers.\n\n"
    text += markdown(machine(load, args.quick)) + "\n"
    print(text, flush=True)
    for title, words, rows in sections(args.quick):
        part = f"\n## {title}\n\n{words}\n\n{markdown(rows)}\n"
        print(part, flush=True)
        text += part
    if out:
        part = out.with_name(out.name + ".part")
        part.write_text(text, "utf-8")
        part.replace(out)  # whole or not at all
    return 0


if __name__ == "__main__":
    torch.manual_seed(0)  # start weights only; no measured number depends on a draw
    sys.exit(main())
