"""`python -m denoising.zoo`: list, verify, train or export the checkpoints."""

import argparse
import os
import platform
import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

from denoising import datasets, zoo
from denoising.zoo import recipes, ship, tables

NOT_ON_THE_CARD = ("objective", "options", "start", "stop")  # of a recipe; the code that it names says more
FAST_TOLERANCE = 0.01  # of the recorded loss; other processors round differently


def _accelerator() -> object | None:
    """An accelerator when several processes were launched or a GPU is there; plain torch otherwise."""
    if not torch.cuda.is_available() and int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return None
    from accelerate import Accelerator

    return Accelerator(cpu=not torch.cuda.is_available())


def _elapsed(log: Path) -> float:
    """Seconds that earlier, interrupted calls spent: the last column of the log's last line."""
    rows = log.read_text().splitlines(keepends=True) if log.exists() else []
    whole = [row for row in rows if row.endswith("\n")]  # a killed run may leave none, or half a line
    return float(whole[-1].split(",")[-1]) if whole else 0.0


def train(name: str, *, fast: bool, runs: Path) -> int:
    """Carry out a recipe. The full one ends in `data/`; the fast one is compared with the recorded loss."""
    from tqdm import tqdm

    recipe = recipes.RECIPES[name]
    if fast:
        bar = partial(tqdm, total=recipes.FAST_STEPS, disable=None)
        _, losses = recipes.run(name, fast=True, progress=bar)
        got = sum(losses[-10:]) / 10
        want = zoo.card(name)["fast_loss"] if name in zoo.names() else None
        print(f"{name}: loss {got:.5f} after {recipes.FAST_STEPS} fast steps, recorded {want}")
        return int(want is None or abs(got / want - 1) > FAST_TOLERANCE)
    folder = runs / name
    folder.mkdir(parents=True, exist_ok=True)
    before, start = _elapsed(folder / "log.csv"), time.monotonic()
    accelerator = _accelerator()

    def logged(steps):
        if os.environ.get("RANK", "0") != "0":  # one process writes the log
            yield from steps
            return
        with (folder / "log.csv").open("a") as log:
            for step in tqdm(steps, total=recipe.last_step, desc=name, disable=None):
                if step.step % 50 == 0:
                    log.write(f"{step.step},{step.loss:.5f},{step.lr:.3e},{before + time.monotonic() - start:.0f}\n")
                    log.flush()
                yield step

    net, _ = recipes.run(name, state=folder / "state.safetensors", accelerator=accelerator, progress=logged)
    if accelerator is not None and not accelerator.is_main_process:
        return 0
    finish(name, net.cpu(), seconds=_elapsed(folder / "log.csv"))
    return 0


def finish(name: str, net: torch.nn.Module, *, seconds: float) -> None:
    """Measure a trained network as it will be shipped, in half precision, and write it with its card."""
    recipe, kind = recipes.RECIPES[name], "cuda" if torch.cuda.is_available() else "cpu"
    _, losses = recipes.run(name, fast=True)
    entry = {key: value for key, value in asdict(recipe).items() if key not in NOT_ON_THE_CARD} | {
        "options": dict(recipe.options),
        "steps": recipe.last_step,
        "images": recipe.last_step * recipe.batch,
        "wall_seconds": round(seconds),
        "device": f"{kind}, torch {torch.__version__.split('+')[0]}, {platform.machine()}",
        "fast_loss": round(sum(losses[-10:]) / 10, 5),
    }
    entry |= ship.evaluate(net.half().float(), recipe.data)
    print(f"{name}: {entry}\nwritten to {ship.write(name, net, entry)}")
    if name == "fashion_clf":
        tables.make("fashion_reference")


def verify() -> int:
    """Compare every file of the manifest with its hash; returns how many are wrong."""
    manifest, wrong = datasets.manifest(), 0
    files = {file: entry["sha256"] for section in ("data", "tables") for file, entry in manifest[section].items()}
    for name in zoo.names():
        files |= {f"checkpoints/{name}/{file}": sha256 for file, sha256 in zoo.card(name)["files"].items()}
    for file, sha256 in files.items():
        try:
            datasets.verify(datasets.data_root() / file, sha256)
        except (ValueError, FileNotFoundError) as error:
            print(error, file=sys.stderr)
            wrong += 1
    print(f"{len(files) - wrong} of {len(files)} files are as recorded")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m denoising.zoo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="names and sizes")
    commands.add_parser("verify", help="compare every file with the manifest")
    table = commands.add_parser("table", help="make a table of stored results again")
    table.add_argument("name", choices=sorted(tables.TABLES))
    trained = commands.add_parser("train", help="make a checkpoint again; resumes an interrupted run")
    trained.add_argument("name", choices=sorted(recipes.RECIPES))
    trained.add_argument("--fast", action="store_true", help="only the first steps, compared with the recorded loss")
    trained.add_argument("--runs", type=Path, default=None, help="where the state is kept; default: runs/ beside data/")
    exported = commands.add_parser("export", help="write a diffusers pipeline folder")
    exported.add_argument("name")
    exported.add_argument("folder", type=Path)
    args = parser.parse_args()
    try:
        match args.command:
            case "list":
                for name in zoo.names():
                    print(f"{name:22} {zoo.card(name)['network']:13} {zoo.card(name)['images']:>9} images")
            case "verify":
                return verify()
            case "table":
                print(tables.make(args.name))
            case "train":
                return train(args.name, fast=args.fast, runs=args.runs or datasets.data_root().parent / "runs")
            case "export":
                print(zoo.export(args.name, args.folder))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last saved state", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
