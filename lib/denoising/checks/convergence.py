"""Checks of notebook 1.4: a step with frozen noise, the order of a list of errors, a guess of third order."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from denoising.checks import missing, passed, require
from denoising.exact import Gaussian, GaussianMixture
from denoising.samplers import grid
from denoising.schedules import Linear

__all__ = ["check_measured_order", "check_noise_step", "check_parabola_guess"]


def check_noise_step(noise_step: Callable[..., Any], *, strict: bool = False) -> None:
    """`noise_step(x, eps, alpha, alpha_s, sigma_s, h)`: the flow's exact solution if the noise stays constant.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "noise_step"
    generator = torch.Generator().manual_seed(0)
    x, eps = torch.randn((2, 3, 4), generator=generator, dtype=torch.float64)
    alpha, sigma, alpha_s, sigma_s = 0.6, 0.8, 0.96, 0.28
    h = math.log(alpha_s / sigma_s) - math.log(alpha / sigma)
    got = noise_step(x, eps, alpha, alpha_s, sigma_s, h)
    if missing(name, got, strict=strict):
        return
    require(isinstance(got, Tensor) and got.shape == x.shape, name, f"expected a tensor of shape {tuple(x.shape)}")

    def close(other: Tensor) -> bool:
        return torch.allclose(got, other, atol=1e-9)

    kept, weight = alpha_s / alpha * x, sigma_s * math.expm1(h)
    require(not close(kept), name, "the noise is missing: subtract sigma_s (exp(h) - 1) eps")
    require(
        not close(kept + weight * eps), name, "the noise has the wrong sign: on the way to the data it is taken away"
    )
    require(
        not close(kept - sigma_s * math.expm1(-h) * eps) and not close(kept + sigma_s * math.expm1(-h) * eps),
        name,
        "exp(-h) belongs to the frozen picture; here the integral is over exp(-lambda), which gives exp(h)",
    )
    require(
        not close(kept - sigma_s * h * eps), name, "got h for exp(h) - 1: the weight exp(-lambda) moves in a step too"
    )
    require(not close(kept - sigma_s * math.exp(h) * eps), name, "got exp(h) for exp(h) - 1: the integral has two ends")
    require(not close(x - weight * eps), name, "x keeps its old scale: multiply it by alpha_s / alpha")
    require(not close(kept - sigma * math.expm1(h) * eps), name, "use sigma at the new time")
    want = kept - weight * eps
    require(close(want), name, f"off by up to {float((got - want).abs().max()):.3g} from the exact integral")

    # all data in one point: the noise on the way is constant, and one step must do
    schedule = Linear()
    point = Gaussian(
        torch.full((4,), 0.7, dtype=torch.float64), torch.zeros((4, 4), dtype=torch.float64), schedule=schedule
    )
    (a, s), (a_s, s_s) = (tuple(map(float, schedule.alpha_sigma(t))) for t in (1.0, 0.001))
    got = noise_step(a * 0.7 + s * eps, point.eps(a * 0.7 + s * eps, 1.0), a, a_s, s_s, math.log(a_s / s_s * s / a))
    off = float((got - (a_s * 0.7 + s_s * eps)).abs().max())
    require(off < 1e-12, name, f"one step to a single point is off by {off:.2g}, expected less than 1e-12")
    passed(name)


def check_measured_order(measured_order: Callable[[list[float], list[int]], Any], *, strict: bool = False) -> None:
    """`measured_order(errors, steps)`: minus the least-squares slope of log error over log steps.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "measured_order"
    steps = [10, 30, 90]
    got = measured_order([0.5 * n**-2.0 for n in steps], steps)
    if missing(name, got, strict=strict):
        return
    try:
        got = float(got)
    except (TypeError, ValueError, RuntimeError):
        require(False, name, f"expected one number, got {type(got).__name__}")
    require(abs(got + 2) > 1e-6, name, "the sign: the error falls, and an order is a positive number")
    require(
        abs(got - 2 * math.log2(3)) > 1e-6, name, "you assumed that the steps double; divide by the log of their ratio"
    )
    require(abs(got - 2 * math.log(3)) > 1e-6, name, "divide by the log of the ratio of the steps")
    require(abs(got - 0.5) > 1e-6, name, "the axes are swapped: log error goes up, log steps to the right")
    require(abs(got - 2) < 1e-6, name, f"errors 0.5 / N^2 at N = {steps} have order 2, got {got:.4g}")
    got = float(measured_order([2.0, 1.0, 0.8], [1, 2, 8]))
    x, y = [0.0, math.log(2), math.log(8)], [math.log(2), 0.0, math.log(0.8)]
    mean_x, mean_y = sum(x) / 3, sum(y) / 3
    want = -sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)
    ends, mean = math.log(2 / 0.8) / math.log(8), (1 + math.log(1 / 0.8) / math.log(4)) / 2
    require(abs(got - ends) > 1e-6, name, "you used the first and the last point only; fit all of them")
    require(abs(got - mean) > 1e-6, name, "a mean of neighbours' orders gives each pair the same weight; fit one line")
    require(
        abs(got - want) < 1e-6,
        name,
        f"the least-squares order of (2, 1, 0.8) at N = (1, 2, 8) is {want:.4g}, got {got:.4g}",
    )
    passed(name)


def check_parabola_guess(parabola_guess: Callable[..., Any], *, strict: bool = False) -> None:
    """`parabola_guess(now, before, first, h)`: mean of a parabola through three guesses, weighted by exp(u) on [0, h].

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "parabola_guess"
    h = 0.4
    now, a, c = torch.randn((3, 2, 3), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before, first = (now + a * u + c * u * (u + h) for u in (-h, -2 * h))
    got = parabola_guess(now, before, first, h)
    if missing(name, got, strict=strict):
        return
    require(isinstance(got, Tensor) and got.shape == now.shape, name, f"expected a tensor of shape {tuple(now.shape)}")

    def close(slope: float, bend: float) -> bool:
        return torch.allclose(got, now + a * slope + c * bend, atol=1e-9)

    u, u2 = _weighted(h, 1), _weighted(h, 2)
    require(not close(0, 0), name, "the guess is still frozen: that is DDIM, order 1")
    require(not close(h / 2, 0), name, "that is 2M, order 2: the third guess is not used")
    require(not close(u, 0), name, "a line, weighted exactly, but still a line: the third guess is not used")
    require(
        not close(h / 2, h**2 / 3 + h * h / 2),
        name,
        "plain means of u and u^2: the weight exp(u) favours the end of the step, and the third order needs that",
    )
    require(not close(u, u2), name, "the parabola is c u (u + h): its term c h u is missing")
    require(
        not close(u, 2 * (u2 + h * u)) and not close(u, (u2 + h * u) / 2),
        name,
        "the bend is off by a factor 2: c is the change of slope divided by 2h",
    )
    require(not close(-u, u2 + h * u), name, "the slope has the wrong sign: now minus before")
    want = now + a * u + c * (u2 + h * u)
    off = float((got - want).abs().max())
    require(off < 1e-9, name, f"a parabola is not integrated exactly: off by up to {off:.3g}")

    order = _order_on_two_humps(parabola_guess)
    require(order > 2.7, name, f"as a sampler it has order {order:.2f}, expected 3")
    passed(name)


def _weighted(h: float, power: int, cells: int = 2000) -> float:
    """Mean of u^power under the weight exp(u) on [0, h], by the midpoint rule: an answer that knows no formula."""
    u = (torch.arange(cells, dtype=torch.float64) + 0.5) * h / cells
    # Richardson: the rule's error is a multiple of the squared width
    coarse = (u.view(-1, 2).mean(1)).double()
    fine, rough = (float((v.exp() * v**power).sum() / v.exp().sum()) for v in (u, coarse))
    return (4 * fine - rough) / 3


def _order_on_two_humps(parabola_guess: Callable[..., Tensor]) -> float:
    """Order of the sampler made of the guess, on two humps: how fast runs with 20, 40 and 80 steps draw together."""
    schedule = Linear()
    means = torch.tensor([[-1.0, 0.0], [1.0, 0.5]], dtype=torch.float64)
    data = GaussianMixture(means, 0.1 * torch.eye(2).expand(2, 2, 2).double(), schedule=schedule)
    start = torch.randn((64, 2), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ends = []
    for steps in (20, 40, 80):
        x, seen = start, []
        for t, s in pairwise(grid(schedule, steps, spacing="lam", t_end=1e-3).tolist()):
            (_, sigma), (alpha_s, sigma_s) = schedule.alpha_sigma(t), schedule.alpha_sigma(s)
            h = float(schedule.lam(s) - schedule.lam(t))
            seen = [*seen, data(x, t)][-3:]
            guess = parabola_guess(*reversed(seen), h) if len(seen) == 3 else seen[-1]
            x = sigma_s / sigma * x - alpha_s * math.expm1(-h) * guess
        ends.append(x)
    # the median: a mean would rest on points near the border of the two basins
    coarse, fine = (float((a - b).norm(dim=1).median()) for a, b in pairwise(ends))
    return math.log2(coarse / fine)
