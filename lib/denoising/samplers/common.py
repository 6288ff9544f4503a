"""What all samplers share: the record of a state, grids of times, checks at the start, and the run over many points."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from denoising import validate
from denoising.denoisers import Denoiser
from denoising.schedules import Schedule

__all__ = ["State", "alpha_sigma_or_data", "begin", "check_generator", "grid", "last", "noise_like", "sample"]

SPACINGS = ("t", "lam", "edm")


@dataclass(frozen=True)
class State:
    """Where a sampler stands.

    Attributes:
        t: time that x belongs to.
        x: the state, (B, ...), float64.
        x0: the denoiser's last guess of x_0, shaped like x; `None` before the first call.
        calls: network calls so far (an item of a batch is not counted apart).
    """

    t: float
    x: Tensor
    x0: Tensor | None
    calls: int


def grid(schedule: Schedule, steps: int, *, spacing: str = "t", t_start: float = 1.0, t_end: float = 0.0) -> Tensor:
    """Times from `t_start` down to `t_end`: (steps + 1,), float64.

    Args:
        schedule: needed for the spacings other than "t".
        steps: intervals, at least 1.
        spacing: "t" (equal steps of time; from 1 to 0 this is what diffusers calls trailing), "lam" (equal steps of the
            log-SNR), "edm" (the rho = 7 curve in sigma / alpha).
        t_start: first time, in (0, 1].
        t_end: last time. With 0 the spacings "lam" and "edm", which cannot reach it, run to the time 0.001 in
            `steps - 1` steps, and 0 follows.
    Source: Karras et al. 2022, eq. 5 ("edm"); Lu et al. 2022 ("lam").
    """
    validate.count("steps", steps)
    validate.choice("spacing", spacing, SPACINGS)
    t_start = validate.number("t_start", t_start, lo=0, hi=1, open_lo=True)
    t_end = validate.number("t_end", t_end, lo=0, hi=t_start)
    if t_end == t_start:
        raise ValueError(f"t_end: expected a time before t_start = {t_start:g}, got {t_end:g}")
    if spacing == "t":
        return torch.linspace(t_start, t_end, steps + 1, dtype=torch.float64)
    if t_end == 0:
        if steps == 1:
            return torch.tensor([t_start, 0.0], dtype=torch.float64)
        rest = torch.zeros(1, dtype=torch.float64)
        return torch.cat([grid(schedule, steps - 1, spacing=spacing, t_start=t_start, t_end=1e-3), rest])
    power = 1 / 7
    ends = [float(schedule.lam(t) if spacing == "lam" else schedule.sigma_edm(t) ** power) for t in (t_start, t_end)]
    line = torch.linspace(*ends, steps + 1, dtype=torch.float64)
    times = schedule.t_of_lam(line) if spacing == "lam" else schedule.t_of_sigma_edm(line ** (1 / power))
    times[0], times[-1] = t_start, t_end
    return times


def begin(denoiser: Denoiser, x: Tensor, times: Tensor, *, rising: bool = False) -> tuple[Tensor, Tensor]:
    """Check the arguments that all samplers share; x in float64 and the times."""
    validate.finite("x", x)
    times = validate.finite("times", times, ndim=1).double()
    steps = times.diff()
    falling = bool((steps < 0).all())
    if len(times) < 2 or not (falling or (rising and (steps > 0).all())):
        raise ValueError(f"times: expected at least 2, strictly falling, got {times.tolist()[:5]}")
    if times.max() > 1 or times.min() < 0 or (times[:-1] == 0).any():
        raise ValueError(f"times: expected values in (0, 1], the last may be 0; got {times.tolist()[:5]}")
    if not isinstance(denoiser, Denoiser):
        raise ValueError(f"denoiser: expected a denoising.denoisers.Denoiser, got {type(denoiser).__name__}")
    return x.double(), times


def alpha_sigma_or_data(schedule: Schedule, t: float) -> tuple[Tensor, Tensor]:
    """Scales at t; at t = 0 the picture is whole and there is no noise."""
    if t == 0:
        return torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    return schedule.alpha_sigma(t)


def check_generator(generator: torch.Generator | None) -> None:
    """Refuse anything that is no generator, `None` included."""
    if not isinstance(generator, torch.Generator):  # torch would fall back on its global state
        raise ValueError(f"generator: expected a torch.Generator for the noise, got {type(generator).__name__}")


def last(states: Iterator[State]) -> Tensor:
    """Run a sampler to its end; its final x."""
    x = None
    for state in states:
        x = state.x
    return x


@torch.no_grad()
def sample(
    sampler: Callable[..., Iterator[State]],
    denoiser: Denoiser,
    noise: Tensor,
    times: Tensor,
    *,
    y: Tensor | None = None,
    batch: int = 100,
    **options: object,
) -> Tensor:
    """Run a sampler over many start points, `batch` at a time.

    Args:
        sampler: one of this package.
        denoiser: any denoiser.
        noise: standard normal start, (N, ...). It is scaled to the noise level of the grid's first time.
        times: see `grid`.
        y: labels, (N,).
        batch: items per call.
        options: passed on to the sampler.
    Returns:
        the final states, (N, ...), float32.
    """
    validate.count("batch", batch)
    if not len(validate.finite("noise", noise)) or not (y is None or len(y) == len(noise)):
        got = f"{len(noise)} items" + ("" if y is None else f" and {len(y)} labels")
        raise ValueError(f"noise, y: expected at least one item, and a label for each or y = None; got {got}")
    times = validate.finite("times", times, ndim=1)
    start = denoiser.schedule.sigma(float(times[0])).to(noise)
    parts = []
    for place in range(0, len(noise), batch):
        labels = None if y is None else y[place : place + batch]
        parts.append(last(sampler(denoiser, start * noise[place : place + batch], times, y=labels, **options)).float())
    return torch.cat(parts)


def noise_like(x: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal noise shaped like x, drawn on the CPU, so that every device sees the same."""
    return torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
