"""Guided distillation: fold the two calls of classifier-free guidance into one, then halve the number of steps.

Both objectives weigh the error of x_0 by max(alpha^2 / sigma^2, 1). The networks predict v, and the error of x_0 is
sigma times that of v, so that the weight of v's error is max(alpha^2, sigma^2): between 1/2 and 1, at every time.

Strengths are those of the paper, w >= 0: guess = (1 + w) conditional - w unconditional. The course's is s = 1 + w.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from denoising import validate
from denoising.datasets import Images
from denoising.denoisers import Denoiser, NetworkDenoiser, add_noise, from_x0
from denoising.guidance import strength_of_w
from denoising.networks.guided_unet import W_MAX, AtStrength
from denoising.rng import Rng
from denoising.schedules import Schedule
from denoising.training import EMA, Loss, fit, minibatch, one_process

__all__ = ["ddim_step", "fitted", "fold_loss", "halve_loss", "one_step_target", "student_at", "two_steps"]

Guess = Callable[[Tensor, Tensor | float], Tensor]  # x and its time, or times (B,), to a guess of x_0


def _scales(schedule: Schedule, t: Tensor | float, x: Tensor) -> tuple[Tensor, Tensor]:
    """alpha and sigma of the batch or of each item, (1 or B, 1, ..., 1); at t = 0 they are 1 and 0."""
    t = torch.as_tensor(t, dtype=torch.float64)
    alpha, sigma = schedule.alpha_sigma(t.clamp(min=1e-9))
    pair = torch.where(t > 0, alpha, 1.0), torch.where(t > 0, sigma, 0.0)
    return tuple(scale.to(x).view(-1, *[1] * (x.ndim - 1)) for scale in pair)


def ddim_step(schedule: Schedule, x: Tensor, x0: Tensor, t: Tensor | float, t_end: Tensor | float) -> Tensor:
    """One DDIM step from x at t with the guess x0 of the clean item.

    Args:
        schedule: gives alpha and sigma.
        x, x0: state and guess, (B, ...).
        t, t_end: times, numbers or (B,), t in (0, 1], t_end in [0, t).
    Returns:
        the state at t_end, shaped like x.
    Source: Song et al. 2020 (DDIM), eq. 12 without noise.
    """
    (alpha, sigma), (alpha_end, sigma_end) = _scales(schedule, t, x), _scales(schedule, t_end, x)
    return alpha_end * x0 + sigma_end * from_x0("eps", x0, x, alpha, sigma)


def one_step_target(schedule: Schedule, x: Tensor, t: Tensor | float, x_end: Tensor, t_end: Tensor | float) -> Tensor:
    """The guess of x_0 with which one DDIM step from x at t lands on x_end at t_end.

    Args:
        schedule: gives alpha and sigma.
        x, x_end: states, (B, ...).
        t, t_end: their times, numbers or (B,), t in (0, 1], t_end in [0, t).
    Returns:
        the guess, shaped like x. Where t_end is 0 it is x_end.
    Source: Salimans and Ho 2022, algorithm 2; Meng et al. 2022, algorithm 2.
    """
    (alpha, sigma), (alpha_end, sigma_end) = _scales(schedule, t, x), _scales(schedule, t_end, x)
    ratio = sigma_end / sigma
    return (x_end - ratio * x) / (alpha_end - ratio * alpha)


def two_steps(guess: Guess, schedule: Schedule, x: Tensor, t: Tensor | float, t_end: Tensor | float) -> Tensor:
    """Two DDIM steps from t to t_end by way of the time between them; times are numbers or (B,)."""
    middle = (t + t_end) / 2
    half = ddim_step(schedule, x, guess(x, t), t, middle)
    return ddim_step(schedule, half, guess(half, middle), middle, t_end)


def _v_loss(net: nn.Module, schedule: Schedule, x: Tensor, t: Tensor, y: Tensor, w: Tensor, x0: Tensor) -> Tensor:
    alpha, sigma = _scales(schedule, t, x)
    out = net(x, (t * 1000 - 1).to(x), y, w)
    error = (getattr(out, "sample", out) - from_x0("v", x0, x, alpha, sigma)).square()
    return (torch.maximum(alpha, sigma).square() * error).mean()


def _draw(data: Images, batch: int, step: int, seed: int, w_max: float) -> tuple[Rng, Tensor, Tensor, Tensor]:
    rng = Rng(seed).spawn("distil", step)
    index = minibatch(len(data), batch, step, seed)
    return rng, data.x[index], data.y[index], w_max * torch.rand(batch, generator=rng)


def fold_loss(data: Images, teacher: Denoiser, *, batch: int, seed: int, w_max: float = W_MAX) -> Loss:
    """Stage one: the student's one call is to answer what the guided teacher's two calls do, at every strength.

    Args:
        data: clean items and labels.
        teacher: knows labels, and answers without one for y = None.
        batch: items per step.
        seed: of items, strengths, times and noise.
        w_max: strengths are uniform on [0, w_max].
    Returns:
        a `Loss`; it expects a network called as `net(x, timestep, labels, w)` that predicts v.
    Source: Meng et al. 2022, arXiv 2210.03142, algorithm 1.
    """
    validate.number("w_max", w_max, lo=0)

    def loss(net: nn.Module, step: int, *, rank: int = 0, world: int = 1) -> Tensor:
        one_process(world, "a distillation")
        rng, x0, y, w = _draw(data, batch, step, seed, w_max)
        t = 1 - (torch.arange(batch) + torch.rand(batch, generator=rng, dtype=torch.float64)) / batch  # (0, 1]
        x = add_noise(teacher.schedule, x0, t, torch.randn(x0.shape, generator=rng))
        with torch.no_grad():
            any_class, s = teacher(x, t), strength_of_w(0) + w.view(-1, *[1] * (x.ndim - 1))  # s = 1 + w
            target = any_class + s * (teacher(x, t, y) - any_class)
        return _v_loss(net, teacher.schedule, x, t, y, w, target)

    return loss


def halve_loss(
    data: Images, teacher: nn.Module, schedule: Schedule, *, steps: int, batch: int, seed: int, w_max: float = W_MAX
) -> Loss:
    """Stage two: one step of the student's grid is to land where two steps of the frozen teacher do.

    Args:
        data: clean items and labels.
        teacher: a guided network, called as `net(x, timestep, labels, w)`; it predicts v. It must not be the student.
        schedule: the one it was trained with.
        steps: of the student's grid, from t = 1 to 0; the teacher makes twice as many.
        batch, seed, w_max: as for `fold_loss`.
    Returns:
        a `Loss`.
    Source: Meng et al. 2022, arXiv 2210.03142, algorithm 2.
    """
    validate.count("steps", steps)
    validate.number("w_max", w_max, lo=0)

    def loss(net: nn.Module, step: int, *, rank: int = 0, world: int = 1) -> Tensor:
        one_process(world, "a distillation")
        if net is teacher:
            raise ValueError("teacher: expected a frozen copy, got the student itself, whose targets would move along")
        rng, x0, y, w = _draw(data, batch, step, seed, w_max)
        place = torch.randint(1, steps + 1, (batch,), generator=rng, dtype=torch.int64).double()
        t, t_end = place / steps, (place - 1) / steps
        x = add_noise(schedule, x0, t, torch.randn(x0.shape, generator=rng))
        guess = NetworkDenoiser(lambda *inputs: teacher(*inputs, w), schedule, num_classes=len(data.classes))
        with torch.no_grad():
            x_end = two_steps(lambda x, now: guess(x, now, y), schedule, x, t, t_end)
            target = one_step_target(schedule, x, t, x_end, t_end)
        return _v_loss(net, schedule, x, t, y, w, target)

    return loss


def student_at(net: nn.Module, w: float, schedule: Schedule, *, num_classes: int) -> NetworkDenoiser:
    """A guided network at strength w as a denoiser. It always wants labels: the null branch is folded away."""
    return NetworkDenoiser(AtStrength(net, w), schedule, num_classes=num_classes)


def fitted(net: nn.Module, loss: Loss, *, steps: int, lr: float, decay: float = 0.99) -> nn.Module:
    """Train `net` in place; the average of its weights, frozen, fit to be the next teacher. For small networks."""
    ema = EMA(net, decay)
    for _ in fit(net, loss, steps=steps, lr=lr, ema=ema, warmup=min(100, steps)):
        pass
    return ema.module
