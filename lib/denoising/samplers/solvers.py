"""Solvers of the probability-flow ODE, of order 1 and 2."""

from collections.abc import Iterator

import torch
from torch import Tensor

from denoising.denoisers import Denoiser, from_x0
from denoising.samplers.common import State, alpha_sigma_or_data, begin

__all__ = ["dpmpp_2m", "dpmpp_2s", "edm_heun", "euler", "heun"]


def _slope(denoiser: Denoiser, x: Tensor, t: float, y: Tensor | None) -> tuple[Tensor, Tensor]:
    """dx/dt of the probability-flow ODE, and the guess of x_0 that it was made from."""
    x0 = denoiser(x, t, y)
    alpha, sigma = denoiser.schedule.alpha_sigma(t)
    alpha_dot, sigma_dot = denoiser.schedule.rates(t)
    # a point with fixed x_0 and eps moves by alpha' x_0 + sigma' eps
    return alpha_dot * x0 + sigma_dot * from_x0("eps", x0, x, alpha, sigma), x0


def euler(denoiser: Denoiser, x: Tensor, times: Tensor, *, y: Tensor | None = None) -> Iterator[State]:
    """Straight steps in t along the probability-flow ODE: order 1. Arguments as for `ddim`.

    Source: Song et al. 2021, eq. 13.
    """
    x, times = begin(denoiser, x, times)
    yield State(float(times[0]), x, None, 0)
    for call, (t, s) in enumerate(zip(times[:-1].tolist(), times[1:].tolist(), strict=True), 1):
        slope, x0 = _slope(denoiser, x, t, y)
        x = x0 if s == 0 else x + (s - t) * slope
        yield State(s, x, x0, call)


def heun(denoiser: Denoiser, x: Tensor, times: Tensor, *, y: Tensor | None = None) -> Iterator[State]:
    """Average the slopes at both ends of a step in t: order 2, two calls a step (one for the last step to 0)."""
    x, times = begin(denoiser, x, times)
    calls = 0
    yield State(float(times[0]), x, None, 0)
    for t, s in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
        slope, x0 = _slope(denoiser, x, t, y)
        calls += 1
        if s == 0:
            x = x0
        else:
            ahead, x0 = _slope(denoiser, x + (s - t) * slope, s, y)
            calls += 1
            x = x + (s - t) * (slope + ahead) / 2
        yield State(s, x, x0, calls)


def edm_heun(denoiser: Denoiser, x: Tensor, times: Tensor, *, y: Tensor | None = None) -> Iterator[State]:
    """Heun's method for x / alpha as a function of sigma / alpha: order 2, two calls a step.

    In these coordinates the slope is eps itself. Source: Karras et al. 2022, algorithm 1.
    """
    x, times = begin(denoiser, x, times)
    calls = 0
    yield State(float(times[0]), x, None, 0)
    for t, s in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
        (alpha, sigma), (alpha_s, sigma_s) = denoiser.schedule.alpha_sigma(t), alpha_sigma_or_data(denoiser.schedule, s)
        step = sigma_s / alpha_s - sigma / alpha
        x0 = denoiser(x, t, y)
        calls += 1
        slope = from_x0("eps", x0, x, alpha, sigma)
        ahead = alpha_s * (x / alpha + step * slope)
        if s > 0:
            x0 = denoiser(ahead, s, y)
            calls += 1
            slope = (slope + from_x0("eps", x0, ahead, alpha_s, sigma_s)) / 2
        x = alpha_s * (x / alpha + step * slope)
        yield State(s, x, x0, calls)


def _exponential(x: Tensor, guess: Tensor, alpha_s: Tensor, sigma: Tensor, sigma_s: Tensor, h: Tensor) -> Tensor:
    """The exact solution over a step h of log(alpha / sigma) if the guess of x_0 stayed constant."""
    return sigma_s / sigma * x - alpha_s * torch.expm1(-h) * guess


def dpmpp_2m(denoiser: Denoiser, x: Tensor, times: Tensor, *, y: Tensor | None = None) -> Iterator[State]:
    """DPM-Solver++ (2M): extrapolate the guess of x_0 from the last two calls. Order 2, one call a step.

    The first step and the last step to 0 have order 1. Source: Lu et al. 2022 (DPM-Solver++), algorithm 2.
    """
    x, times = begin(denoiser, x, times)
    yield State(float(times[0]), x, None, 0)
    previous, h_previous = None, None
    for call, (t, s) in enumerate(zip(times[:-1].tolist(), times[1:].tolist(), strict=True), 1):
        x0 = denoiser(x, t, y)
        if s == 0:
            yield State(s, x0, x0, call)
            return
        (alpha, sigma), (alpha_s, sigma_s) = denoiser.schedule.alpha_sigma(t), denoiser.schedule.alpha_sigma(s)
        h = (alpha_s / sigma_s).log() - (alpha / sigma).log()
        guess = x0 if previous is None else x0 + (x0 - previous) * h / (2 * h_previous)
        x = _exponential(x, guess, alpha_s, sigma, sigma_s, h)
        previous, h_previous = x0, h
        yield State(s, x, x0, call)


def dpmpp_2s(denoiser: Denoiser, x: Tensor, times: Tensor, *, y: Tensor | None = None) -> Iterator[State]:
    """DPM-Solver++ (2S): look at the guess of x_0 in the middle of the step. Order 2, two calls a step.

    Source: Lu et al. 2022 (DPM-Solver++), algorithm 1 with r = 1/2.
    """
    x, times = begin(denoiser, x, times)
    schedule, calls = denoiser.schedule, 0
    yield State(float(times[0]), x, None, 0)
    for t, s in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
        x0 = denoiser(x, t, y)
        calls += 1
        if s == 0:
            yield State(s, x0, x0, calls)
            return
        half = (schedule.lam(s) - schedule.lam(t)) / 2
        middle = float(schedule.t_of_lam(schedule.lam(t) + half))
        (_, sigma), (alpha_m, sigma_m), (alpha_s, sigma_s) = (schedule.alpha_sigma(time) for time in (t, middle, s))
        x0 = denoiser(_exponential(x, x0, alpha_m, sigma, sigma_m, half), middle, y)
        calls += 1
        x = _exponential(x, x0, alpha_s, sigma, sigma_s, 2 * half)
        yield State(s, x, x0, calls)
