"""Samplers: from noise to data along a grid of times, with any denoiser, exact or learned.

Every sampler is a generator of its states, keeps them in float64, and knows nothing of guidance: a guided denoiser is a
denoiser. A grid is a falling vector of times; a last time of 0 means "end with the guess of x_0". A rising grid runs
`ddim` backwards, from data to noise.
"""

from denoising.samplers.ancestral import ddim, ddpm
from denoising.samplers.common import State, grid, last, sample
from denoising.samplers.solvers import dpmpp_2m, dpmpp_2s, edm_heun, euler, heun
from denoising.samplers.stochastic import edm_stochastic, sde

__all__ = [
    "State",
    "ddim",
    "ddpm",
    "dpmpp_2m",
    "dpmpp_2s",
    "edm_heun",
    "edm_stochastic",
    "euler",
    "grid",
    "heun",
    "last",
    "sample",
    "sde",
]
