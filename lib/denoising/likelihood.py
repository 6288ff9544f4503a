"""The log-density that a denoiser gives to a point, through the probability-flow ODE.

The ODE that turns noise into data can be followed the other way. It carries a point to the noise, where the density is
known, and the density changes on the way by the divergence of the slope:

    log p_s(x_s) = log p_e(x_e) + integral from s to e of div(slope) dt,      slope = dx/dt.

The divergence is that of the whole slope: the part that moves every point alike counts too.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from denoising import validate
from denoising.denoisers import Denoiser, from_x0
from denoising.samplers.common import begin, check_generator

__all__ = ["LogDensity", "ode_logp", "slope_and_divergence"]


def ode_logp(
    denoiser: Denoiser,
    x: Tensor,
    times: Tensor,
    *,
    y: Tensor | None = None,
    probes: int | None = None,
    generator: torch.Generator | None = None,
) -> "LogDensity":
    """Log-density of points at the first time of a grid: Heun's method for the point and for its divergence.

    Args:
        denoiser: any denoiser, exact or learned.
        x: points at time `times[0]`, (B, ...), float.
        times: rising, all in (0, 1]. It should end where x_t is noise. A flipped `samplers.grid` with spacing "edm" has
            its small steps where the data's density is sharp.
        y: labels for the denoiser, (B,).
        probes: `None` for the exact divergence, at one backward pass for each number in an item; or how many random
            probes estimate it without bias (Hutchinson), at one backward pass each.
        generator: CPU source of the probes, needed with `probes`.
    Returns:
        a `LogDensity`, each field in float64.
    Raises:
        ValueError: if x, times, probes or generator are malformed, or times do not rise.
    Source: Song et al. 2021 (score SDE), section 4.3 and appendix D.2; Grathwohl et al. 2019 (FFJORD).
    Example:
        >>> from denoising import exact, samplers, schedules
        >>> data = exact.Gaussian(torch.zeros(1), torch.ones(1, 1), schedule=schedules.Linear())
        >>> times = samplers.grid(data.schedule, 20, spacing="edm", t_end=1e-3).flip(0)
        >>> round(float(ode_logp(data, torch.zeros(1, 1), times).logp), 3)
        -0.919
    """
    x, times = begin(denoiser, x, times, rising=True)
    if times[0] > times[-1]:
        raise ValueError(f"times: expected rising times, from data to noise, got {times.tolist()[:5]}")
    change = torch.zeros(len(x), dtype=x.dtype, device=x.device)
    for t, s in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
        slope, div = slope_and_divergence(denoiser, x, t, y=y, probes=probes, generator=generator)
        guess = x + (s - t) * slope
        ahead, div_ahead = slope_and_divergence(denoiser, guess, s, y=y, probes=probes, generator=generator)
        x = x + (s - t) * (slope + ahead) / 2
        change = change + (s - t) * (div + div_ahead) / 2
    variance = float(denoiser.schedule.sigma(float(times[-1]))) ** 2
    prior = -0.5 * (x.flatten(1) ** 2 / variance + math.log(2 * math.pi * variance)).sum(1)
    return LogDensity(prior + change, prior, change, x)


def slope_and_divergence(
    denoiser: Denoiser,
    x: Tensor,
    t: float,
    *,
    y: Tensor | None = None,
    probes: int | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """dx/dt of the probability-flow ODE and its divergence: shaped like x, and (B,).

    The slope is alpha' x_0 + sigma' eps, so its divergence is linear in the trace of the denoiser's Jacobian J:
    sigma' / sigma * d + (alpha' - alpha sigma' / sigma) * tr J. Arguments as for `ode_logp`, with one time t.

    Source: Song et al. 2021, eq. 13 and 40; Hutchinson 1990 for E[v^T J v] = tr J with independent signs v.
    """
    if probes is not None:
        validate.count("probes", probes)
        check_generator(generator)
    alpha, sigma = (float(scale) for scale in denoiser.schedule.alpha_sigma(t))
    alpha_dot, sigma_dot = (float(rate) for rate in denoiser.schedule.rates(t))
    with torch.inference_mode(False), torch.enable_grad():
        at = validate.finite("x", x).detach().clone().requires_grad_()
        guess = denoiser(at, t, y)
        if not guess.requires_grad:  # without this a frozen denoiser would pass for a constant one
            raise ValueError(
                "denoiser: expected an answer that can be differentiated by x; is it run without gradients?"
            )
        trace = _exact_trace(guess, at) if probes is None else _estimated_trace(guess, at, probes, generator)
    x0 = guess.detach()
    slope = alpha_dot * x0 + sigma_dot * from_x0("eps", x0, x, alpha, sigma)
    rate = sigma_dot / sigma
    return slope, rate * x[0].numel() + (alpha_dot - alpha * rate) * trace


def _exact_trace(out: Tensor, at: Tensor) -> Tensor:
    """Sum of d out_i / d at_i over the numbers of an item, (B,)."""
    flat, trace = out.flatten(1), 0.0
    for i in range(flat.shape[1]):
        # items do not look at each other, so the sum over the batch leaves each its own derivative
        trace = trace + torch.autograd.grad(flat[:, i].sum(), at, retain_graph=True)[0].flatten(1)[:, i]
    return trace


def _estimated_trace(out: Tensor, at: Tensor, probes: int, generator: torch.Generator) -> Tensor:
    """Mean of v^T J v over probes v of independent signs, (B,)."""
    trace = 0.0
    for _ in range(probes):
        v = (torch.randint(0, 2, at.shape, generator=generator) * 2 - 1).to(at)
        trace = trace + (torch.autograd.grad(out, at, v, retain_graph=True)[0] * v).flatten(1).sum(1) / probes
    return trace


@dataclass(frozen=True)
class LogDensity:
    """What the ODE says of each point.

    Attributes:
        logp: log-density at the first time, in nats, (B,); the sum of the next two.
        prior: log-density of the noise where the path ends, (B,).
        change: integral of the divergence along the path, (B,).
        end: where the path ends, shaped like x.
    """

    logp: Tensor
    prior: Tensor
    change: Tensor
    end: Tensor
