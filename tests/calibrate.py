"""Run a notebook's code under several seeds and print the range of every claim: where the bounds come from.

    python tests/calibrate.py 1.1 --seeds 10

The cells run in this process, without a kernel and without drawing. Run it again with OMP_NUM_THREADS=2.
"""

import argparse
import contextlib
import io
import os
import sys
from pathlib import Path
from typing import Any

import nbformat

os.environ["DENOISING_WIDGETS"] = "off"
NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def observe(path: Path, seed: int) -> dict[str, tuple[float, float | None]]:
    """Value and control of every claim and finding of a notebook under one seed; bounds are not enforced."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    from denoising import nb

    seen: dict[str, tuple[float, float | None]] = {}

    def claim(name: str, value: Any, *, control: Any = None, **_: Any) -> None:
        control = control() if callable(control) else control
        seen[name] = (float(value), None if control is None else float(control))

    quiet = {
        "claim": claim,
        "finding": lambda name, value, **_: seen.__setitem__(name, (float(value), None)),
        "show": lambda fig, alt: plt.close(fig),
        "grid": lambda *_, **__: None,
        "expect": contextlib.suppress,  # no claim raises here
    }
    kept = {name: getattr(nb, name) for name in quiet}
    os.environ["DENOISING_SEED"] = str(seed)
    scope: dict[str, Any] = {"__name__": "__main__"}
    try:
        for name, stand_in in quiet.items():
            setattr(nb, name, stand_in)
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code":
                with contextlib.redirect_stdout(io.StringIO()):
                    exec(compile(cell.source, f"{path.name}:{cell.id}", "exec"), scope)
    finally:
        for name, function in kept.items():
            setattr(nb, name, function)
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebook", help="its number, for example 1.1")
    parser.add_argument("--seeds", type=int, default=10)
    args = parser.parse_args()
    paths = sorted(NOTEBOOKS.glob(f"*/{args.notebook}-*.ipynb"))
    if not paths:
        sys.exit(f"there is no notebook {args.notebook}")
    rows: dict[str, list[tuple[float, float | None]]] = {}
    for seed in range(args.seeds):
        for name, pair in observe(paths[0], seed).items():
            rows.setdefault(name, []).append(pair)
    for name, pairs in rows.items():
        values, controls = [v for v, _ in pairs], [c for _, c in pairs if c is not None]
        against = f"control {min(controls):.4g} to {max(controls):.4g}" if controls else "no control"
        print(f"{name}: {min(values):.4g} to {max(values):.4g} ({len(values)} seeds); {against}")


if __name__ == "__main__":
    main()
