"""Samplers that keep adding fresh noise: the reverse SDE with a dial, and the EDM sampler with churn."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from denoising import validate
from denoising.denoisers import Denoiser, from_x0
from denoising.samplers.common import State, begin, check_generator, noise_like
from denoising.samplers.solvers import edm_heun

__all__ = ["edm_stochastic", "sde"]


def sde(
    denoiser: Denoiser,
    x: Tensor,
    times: Tensor,
    *,
    y: Tensor | None = None,
    stochasticity: float = 1.0,
    generator: torch.Generator | None = None,
) -> Iterator[State]:
    """Euler-Maruyama steps in t, backwards: dx = (f x - (1 + k)/2 g^2 score) dt + sqrt(k) g dw, k = stochasticity.

    With the exact score every k >= 0 has the same marginals; the paths and the errors of a step differ.

    Args:
        denoiser: any denoiser.
        x: start, (B, ...).
        times: see `grid`; falling. A last step to time 0 ends with the guess of x_0 and draws no noise.
        y: labels for the denoiser.
        stochasticity: 0 is the probability-flow ODE (`euler`), 1 the reverse SDE, more adds more noise.
        generator: CPU source of noise, needed for stochasticity > 0.
    Yields:
        a `State` at each time, the start included.
    Source: Song et al. 2021, eq. 6 (k = 1) and 13 (k = 0); Karras et al. 2022, eq. 6 (any k).
    """
    x, times = begin(denoiser, x, times)
    if validate.number("stochasticity", stochasticity, lo=0) > 0:
        check_generator(generator)
    yield State(float(times[0]), x, None, 0)
    for call, (t, s) in enumerate(zip(times[:-1].tolist(), times[1:].tolist(), strict=True), 1):
        x0 = denoiser(x, t, y)
        if s == 0:
            yield State(s, x0, x0, call)
            return
        (alpha, sigma), (alpha_dot, sigma_dot) = denoiser.schedule.alpha_sigma(t), denoiser.schedule.rates(t)
        f = alpha_dot / alpha
        g2 = 2 * sigma * (sigma_dot - f * sigma)  # so that (alpha^2)' = 2 f alpha^2 and (sigma^2)' = 2 f sigma^2 + g^2
        score = from_x0("score", x0, x, alpha, sigma)
        x = x + (s - t) * (f * x - (1 + stochasticity) / 2 * g2 * score)
        if stochasticity > 0:
            x = x + (stochasticity * g2 * (t - s)).sqrt() * noise_like(x, generator)
        yield State(s, x, x0, call)


def edm_stochastic(
    denoiser: Denoiser,
    x: Tensor,
    times: Tensor,
    *,
    y: Tensor | None = None,
    churn: float = 0.0,
    noise: float = 1.0,
    lowest: float = 0.0,
    highest: float | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[State]:
    """Before each step of `edm_heun`, raise the noise level and add the noise that belongs to it ("churn").

    Args:
        denoiser, x, times, y: as for `edm_heun`. No level is raised above the schedule's own at t = 1.
        churn: S_churn. Each of N steps raises sigma / alpha by the factor 1 + min(churn / N, sqrt(2) - 1). 0 is
            `edm_heun` itself.
        noise: S_noise, standard deviation of what is added, relative to what the higher level asks for.
        lowest, highest: S_tmin and S_tmax; only levels sigma / alpha between them are raised. `None`: no upper bound.
        generator: CPU source of noise, needed for churn > 0.
    Yields:
        a `State` at each time of the grid, the start included.
    Source: Karras et al. 2022, algorithm 2.
    """
    x, times = begin(denoiser, x, times)
    lowest = validate.number("lowest", lowest, lo=0)
    highest = math.inf if highest is None else validate.number("highest", highest, lo=lowest)
    validate.number("noise", noise, lo=0)
    if validate.number("churn", churn, lo=0) > 0:
        check_generator(generator)
    schedule, calls = denoiser.schedule, 0
    top = float(schedule.sigma_edm(1.0))
    factor = 1 + min(churn / (len(times) - 1), math.sqrt(2) - 1)
    yield State(float(times[0]), x, None, 0)
    for t, s in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
        level = float(schedule.sigma_edm(t))
        if factor > 1 and lowest <= level <= highest and level < top:
            higher = float(schedule.t_of_sigma_edm(min(factor * level, top)))
            alpha = schedule.alpha(higher)
            missing = (schedule.sigma_edm(higher) ** 2 - level**2).clamp(min=0).sqrt()
            x = alpha * (x / schedule.alpha(t) + missing * noise * noise_like(x, generator))
            t = higher
        *_, state = edm_heun(denoiser, x, torch.tensor([t, s], dtype=torch.float64), y=y)
        x, calls = state.x, calls + state.calls
        yield State(s, x, state.x0, calls)
