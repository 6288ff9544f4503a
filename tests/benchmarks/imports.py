"""Time of an import, and how much of it is the course's own."""

import json
import subprocess
import sys

NAMES = (
    "denoising",
    *(f"denoising.{name}" for name in ("rng", "validate", "nb", "schedules", "datasets", "metrics", "denoisers")),
    *(f"denoising.{name}" for name in ("exact", "training", "samplers", "zoo", "checks")),
    *(f"denoising.networks.{name}" for name in ("mlp", "unet", "convnet")),
)

# All that the import of a module brings with it and is not of this package, in the order of loading.
FIND = """
import importlib, json, sys
before = set(sys.modules)
importlib.import_module(sys.argv[1])
found = [name for name in sys.modules if name not in before and name.partition(".")[0] != "denoising"]
print(json.dumps([name for name in found if getattr(sys.modules[name], "__spec__", None)]))
"""

# First those, then the module itself, whose time is then its own alone: the noise of a big import does not blur it.
TIME = """
import importlib, json, sys, time
others = json.load(sys.stdin)
start = time.perf_counter()
for name in others:
    try:
        importlib.import_module(name)
    except ImportError:  # made up while something else was imported
        pass
middle = time.perf_counter()
importlib.import_module(sys.argv[1])
print(json.dumps([middle - start, time.perf_counter() - middle]))
"""


def fresh(script, name, given=""):
    """Run a script in a new interpreter; what it printed last, parsed."""
    done = subprocess.run([sys.executable, "-c", script, name], input=given, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def costs(*, names=NAMES, repeats=5):
    """Own and foreign import time of every public module."""
    rows = [["module", "other packages, ms", "its own, ms", "all / others (aim: at most 1.1)"]]
    for name in names:
        others = fresh(FIND, name)
        times = [fresh(TIME, name, json.dumps(others)) for _ in range(repeats)]
        foreign, own = (1e3 * min(column) for column in zip(*times, strict=True))
        ratio = f"{1 + own / foreign:.3f}" if foreign > 10 else "(imports next to nothing)"
        rows.append([f"`{name}`", f"{foreign:.0f}", f"{own:.1f}", ratio])
    text = (
        f"Each in a fresh interpreter, best of {repeats}, files cached. First everything is imported that the module "
        "brings in from outside the course, standard library included, then the module."
    )
    return "Imports", text, rows
