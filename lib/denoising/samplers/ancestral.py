"""DDIM and DDPM: the two samplers that can draw fresh noise on the way."""

from collections.abc import Iterator

import torch
from torch import Tensor

from denoising import validate
from denoising.denoisers import Denoiser, from_x0
from denoising.samplers.common import State, alpha_sigma_or_data, begin, check_generator, noise_like

__all__ = ["ddim", "ddpm"]


def ddim(
    denoiser: Denoiser,
    x: Tensor,
    times: Tensor,
    *,
    y: Tensor | None = None,
    eta: float = 0.0,
    generator: torch.Generator | None = None,
) -> Iterator[State]:
    """Keep the predicted noise, change the scales: x_s = alpha_s x_0 + sqrt(sigma_s^2 - v) eps + sqrt(v) z.

    Args:
        denoiser: any denoiser.
        x: start, (B, ...).
        times: see `grid`. A rising grid inverts (eta = 0 only).
        y: labels for the denoiser.
        eta: 0 is deterministic, 1 has the variance of ancestral sampling: v = eta^2 * (its posterior variance).
        generator: CPU source of z, needed for eta > 0.
    Yields:
        a `State` at each time, the start included.
    Source: Song et al. 2020 (DDIM), eq. 12 and 16.
    """
    x, times = begin(denoiser, x, times, rising=eta == 0)
    if validate.number("eta", eta, lo=0, hi=1) > 0:
        check_generator(generator)
    yield State(float(times[0]), x, None, 0)
    for call, (t, s) in enumerate(zip(times[:-1].tolist(), times[1:].tolist(), strict=True), 1):
        x0 = denoiser(x, t, y)
        (alpha, sigma), (alpha_s, sigma_s) = denoiser.schedule.alpha_sigma(t), alpha_sigma_or_data(denoiser.schedule, s)
        eps = from_x0("eps", x0, x, alpha, sigma)
        if eta == 0 or s == 0:
            x = alpha_s * x0 + sigma_s * eps
        else:
            variance = eta**2 * _posterior(alpha, sigma, alpha_s, sigma_s)[2]
            x = (
                alpha_s * x0
                + (sigma_s**2 - variance).clamp(min=0).sqrt() * eps
                + variance.sqrt() * noise_like(x, generator)
            )
        yield State(s, x, x0, call)


def _posterior(alpha: Tensor, sigma: Tensor, alpha_s: Tensor, sigma_s: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """q(x_s | x_t, x_0) for s < t: weight of x_t, weight of x_0, variance, and the variance added from s to t."""
    ratio = alpha / alpha_s
    added = sigma**2 - ratio**2 * sigma_s**2
    return ratio * sigma_s**2 / sigma**2, alpha_s * added / sigma**2, added * sigma_s**2 / sigma**2, added


def ddpm(
    denoiser: Denoiser,
    x: Tensor,
    times: Tensor,
    *,
    generator: torch.Generator,
    y: Tensor | None = None,
    variance: str = "small",
) -> Iterator[State]:
    """Ancestral sampling: draw x_s from q(x_s | x_t, x_0) with the guess in place of x_0.

    Args:
        denoiser, x, times, y: as for `ddim`.
        generator: CPU source of noise.
        variance: "small" (the posterior's own, exact for a single point) or "large" (what the forward step adds, exact
            for unit-variance data). The last step to time 0 adds no noise.
    Source: Ho et al. 2020, eq. 6 and 7, algorithm 2.
    """
    x, times = begin(denoiser, x, times)
    validate.choice("variance", variance, ("small", "large"))
    check_generator(generator)
    yield State(float(times[0]), x, None, 0)
    for call, (t, s) in enumerate(zip(times[:-1].tolist(), times[1:].tolist(), strict=True), 1):
        x0 = denoiser(x, t, y)
        keep, pull, small, large = _posterior(
            *denoiser.schedule.alpha_sigma(t), *alpha_sigma_or_data(denoiser.schedule, s)
        )
        x = keep * x + pull * x0
        if s > 0:
            x = x + (small if variance == "small" else large).sqrt() * noise_like(x, generator)
        yield State(s, x, x0, call)
