"""How a notebook begins: one generator, one device, one figure style, one printed line."""

from __future__ import annotations

import os
import warnings
from functools import cache
from typing import TYPE_CHECKING

from denoising.nb.figures import house_style

if TYPE_CHECKING:
    import torch

    from denoising.rng import Rng

__all__ = ["device", "in_kernel", "live", "setup"]


def in_kernel() -> bool:
    """True inside a Jupyter kernel, False in a terminal or a plain Python process."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return getattr(get_ipython(), "kernel", None) is not None


def live() -> bool:
    """True where somebody can move a slider: in a kernel, unless `DENOISING_WIDGETS=off` (tests, stored outputs)."""
    return os.environ.get("DENOISING_WIDGETS", "on") != "off" and in_kernel()


@cache
def device() -> torch.device:
    """The device that every notebook uses: CUDA where there is one, else the CPU."""
    import torch

    with warnings.catch_warnings():
        # A machine with a driver too old for this torch falls back to the CPU; its warning would break stored outputs.
        warnings.filterwarnings("ignore", message="(?s).*CUDA initialization")
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def setup(seed: int = 0) -> Rng:
    """Make a notebook repeatable, and say where it runs. May be called twice.

    Turns TF32 and cuDNN's benchmark off (both change digits), keeps torch within `OMP_NUM_THREADS`, applies the
    figure style and prints one line, `device: cpu` or `device: cuda`.

    Args:
        seed: any whole number; the environment variable `DENOISING_SEED` overrides it.
    Returns:
        the generator from which every section derives its own, `rng.spawn("name")`.
    Raises:
        ValueError: if the seed or `DENOISING_SEED` is not a whole number.
    """
    import torch

    from denoising.rng import Rng

    text = os.environ.get("DENOISING_SEED", "").strip() or seed
    try:
        rng = Rng(int(text))
    except (TypeError, ValueError):
        raise ValueError(f"seed (or DENOISING_SEED): expected a whole number, got {text!r}") from None
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    threads = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if threads.isdigit() and 0 < int(threads) < torch.get_num_threads():
        torch.set_num_threads(int(threads))
    house_style()
    print(f"device: {device().type}")
    return rng
