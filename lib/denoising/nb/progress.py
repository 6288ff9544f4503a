"""A bar while a loop runs; nothing in a stored notebook, nothing left behind."""

import os
from collections.abc import Iterable
from typing import TypeVar

from denoising.nb.session import in_kernel

__all__ = ["progress"]

T = TypeVar("T")


def progress(iterable: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:
    """Go through `iterable` under a progress bar that vanishes at the end.

    Silent with `DENOISING_WIDGETS=off` and where the output is not a terminal or a notebook.

    Args:
        iterable: what to loop over.
        label: one or two words in front of the bar.
        total: number of items, where `len(iterable)` does not know.
    Returns:
        the same items in the same order.
    """
    if os.environ.get("DENOISING_WIDGETS", "on") == "off":
        return iterable
    from tqdm.auto import tqdm

    # disable=None: no bar into a log file. A notebook's stream is not a terminal either, but shows the bar.
    return tqdm(iterable, desc=label, total=total, leave=False, disable=False if in_kernel() else None)
