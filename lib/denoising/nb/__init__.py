"""The notebooks' face of the library: set-up, claims with controls, figures with descriptions, widgets, progress.

Importing it is cheap: torch, matplotlib and ipywidgets are imported by the functions that need them.
"""

from denoising.nb.claims import ClaimError, claim, finding, measured
from denoising.nb.exercises import exercises
from denoising.nb.figures import PAIR, SINGLE, grid, show
from denoising.nb.progress import progress
from denoising.nb.reader import expect, predict
from denoising.nb.session import device, setup
from denoising.nb.widgets import choice, explore, slider

__all__ = [
    "PAIR",
    "SINGLE",
    "ClaimError",
    "choice",
    "claim",
    "device",
    "exercises",
    "expect",
    "explore",
    "finding",
    "grid",
    "measured",
    "predict",
    "progress",
    "setup",
    "show",
    "slider",
]
