"""The loss and the loop.

The loop is a generator: every optimiser step yields a record, so a notebook plots without callbacks. All randomness of
step k is drawn from (seed, k). A run that is killed and resumed therefore sees the same batches and the same noise as
one that was not, and several processes share one batch exactly as one process would have drawn it.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from denoising import validate
from denoising.datasets import Images
from denoising.denoisers import add_noise, from_x0
from denoising.rng import Rng
from denoising.schedules import Schedule
from denoising.training_state import resume_state, save_state

__all__ = [
    "EMA",
    "Loss",
    "Step",
    "classifier_loss",
    "denoising_loss",
    "fit",
    "guess_and_v",
    "learning_rate",
    "minibatch",
    "one_process",
    "share",
    "stratified_times",
]


@dataclass(frozen=True)
class Step:
    """One optimiser step.

    Attributes:
        step: how many steps are done, from 1.
        loss: mean loss of this step's batch (of this process's share, where there are several).
        lr: learning rate used.
    """

    step: int
    loss: float
    lr: float


class Loss(Protocol):
    """A training objective: the loss of step `step` on part `rank` of `world` equal parts of its batch."""

    def __call__(self, net: nn.Module, step: int, *, rank: int = 0, world: int = 1) -> Tensor: ...


class EMA:
    """Exponential moving average of a network's weights, in `module`.

    The decay warms up as (1 + k) / (10 + k), so that the average forgets the random start.

    Args:
        net: the network to follow; buffers (batch-norm statistics) are copied, not averaged.
        decay: share of the old average that is kept by each update, in [0, 1).
    """

    def __init__(self, net: nn.Module, decay: float):
        self.decay = validate.number("decay", decay, lo=0, hi=1 - 1e-9)
        self.updates = 0
        self.module = copy.deepcopy(net).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Move the average towards the weights of `net`."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        torch._foreach_lerp_(list(self.module.parameters()), list(net.parameters()), 1 - decay)
        for mine, theirs in zip(self.module.buffers(), net.buffers(), strict=True):
            mine.copy_(theirs)


def minibatch(n: int, batch: int, step: int, seed: int) -> Tensor:
    """Indices of the batch of step `step`, (batch,): every epoch is a fresh permutation of 0 .. n - 1.

    It depends on (seed, step) alone. A batch never straddles two epochs, so up to batch - 1 items rest each epoch.
    """
    if validate.count("batch", batch) > n:
        raise ValueError(f"batch: expected at most the {n} items of the data set, got {batch}")
    per_epoch = n // batch
    epoch, place = divmod(step, per_epoch)
    order = torch.randperm(n, generator=Rng(seed).spawn("epoch", epoch))
    return order[place * batch : (place + 1) * batch]


def stratified_times(batch: int, generator: torch.Generator) -> Tensor:
    """One uniform time from each of `batch` equal intervals of (0, 1]: (batch,), float64."""
    return 1 - (torch.arange(batch) + torch.rand(batch, generator=generator, dtype=torch.float64)) / batch


def guess_and_v(
    net: nn.Module, schedule: Schedule, x0: Tensor, y: Tensor, t: Tensor, eps: Tensor, *, num_timesteps: int = 1000
) -> tuple[Tensor, Tensor]:
    """What `net(x_t, timestep, y)` answers and the v it should, both shaped like x0, on the network's device."""
    x = add_noise(schedule, x0, t, eps)
    alpha, sigma = (scale.float().view(-1, *[1] * (x.ndim - 1)) for scale in schedule.alpha_sigma(t))
    v = from_x0("v", x0, x, alpha, sigma)
    device = next(net.parameters()).device
    out = net(x.to(device), (t * num_timesteps - 1).float().to(device), y.to(device))
    return getattr(out, "sample", out), v.to(device)


def share(parts: tuple[Tensor, ...], rank: int, world: int) -> tuple[Tensor, ...]:
    """Every process draws the whole batch and takes its share, so their number changes nothing."""
    if len(parts[0]) % world:  # unequal shares would weigh their items unequally
        raise ValueError(f"batch: expected a multiple of the {world} processes, got {len(parts[0])}")
    return tuple(part[rank::world] for part in parts)


def one_process(world: int, what: str) -> None:
    """Refuse several processes where a share of the batch gives another loss: batch statistics, pairs in contrast."""
    if world > 1:
        raise ValueError(f"world: expected 1 process for {what}, got {world}")


def denoising_loss(
    data: Images, schedule: Schedule, *, batch: int, seed: int, p_null: float = 0.1, num_timesteps: int = 1000
) -> Loss:
    """The mean squared error of v, on images with labels.

    Times are stratified: a batch holds one from each of `batch` equal intervals of (0, 1], which makes its loss less
    noisy than independent times would.

    Args:
        data: pictures and labels.
        schedule: the noise schedule.
        batch: pictures per step, over all processes together.
        seed: of batches, times, noise and dropped labels.
        p_null: share of labels replaced by the null label, for classifier-free guidance.
        num_timesteps: rows of the table that the network's timestep counts.
    Returns:
        a `Loss`; it expects a network called as `net(x, timestep, labels)`.
    Source: Ho et al. 2020, algorithm 1; v from Salimans and Ho 2022; stratified times from Kingma et al. 2021.
    """
    null = len(data.classes)
    validate.number("p_null", p_null, lo=0, hi=1)

    def loss(net: nn.Module, step: int, *, rank: int = 0, world: int = 1) -> Tensor:
        rng = Rng(seed).spawn("noise", step)
        index = minibatch(len(data), batch, step, seed)
        x0, y = data.x[index], data.y[index]
        t = stratified_times(batch, rng)
        eps = torch.randn(x0.shape, generator=rng)
        y = torch.where(torch.rand(batch, generator=rng) < p_null, null, y)
        x0, y, t, eps = share((x0, y, t, eps), rank, world)
        return F.mse_loss(*guess_and_v(net, schedule, x0, y, t, eps, num_timesteps=num_timesteps))

    return loss


def classifier_loss(data: Images, *, batch: int, seed: int, noise: Schedule | None = None) -> Loss:
    """Cross entropy of a classifier on clean images, or on x_t at uniform times where `noise` is given.

    Args:
        data: pictures and labels.
        batch: pictures per step.
        seed: of batches, small shifts, times and noise.
        noise: schedule of a noise-aware classifier; it is then called as `net(x, t)`, else as `net(x)`.
    Returns:
        a `Loss`.
    """

    def loss(net: nn.Module, step: int, *, rank: int = 0, world: int = 1) -> Tensor:
        rng = Rng(seed).spawn("noise", step)
        index = minibatch(len(data), batch, step, seed)
        x, y = data.x[index], data.y[index]
        t = 1 - torch.rand(batch, generator=rng, dtype=torch.float64)
        eps = torch.randn(x.shape, generator=rng)
        # a shift by up to one pixel is the only augmentation; the border is padding, so nothing wraps into view
        dx, dy = (int(torch.randint(-1, 2, (), generator=rng)) for _ in range(2))
        x = x.roll((dx, dy), (2, 3))
        one_process(world, "a classifier with batch norm")
        device = next(net.parameters()).device
        inputs = (x,) if noise is None else (add_noise(noise, x, t, eps), t)
        return F.cross_entropy(net(*(part.to(device) for part in inputs)), y.to(device))

    return loss


def learning_rate(step: int, *, steps: int, peak: float, warmup: int) -> float:
    """Linear rise over `warmup` steps, flat until half of `steps`, then linear to 0."""
    return peak * min(1.0, (step + 1) / max(1, warmup), 2 * (steps - step) / steps)


def fit(
    net: nn.Module,
    loss: Loss,
    *,
    steps: int,
    lr: float,
    stop: int | None = None,
    ema: EMA | None = None,
    warmup: int = 200,
    weight_decay: float = 0.0,
    clip: float = 1.0,
    state: Path | None = None,
    about: dict[str, Any] | None = None,
    save_every: int = 500,
    accelerator: Any | None = None,
) -> Iterator[Step]:
    """Train `net` with AdamW; yields after every step.

    Args:
        net: trained in place, on the device where it lies (on the accelerator's, where one is given).
        loss: the objective.
        steps: optimiser steps in all, those of an interrupted run included.
        lr: peak learning rate, see `learning_rate`.
        stop: end after this many steps, on the learning-rate curve of `steps`; `None` for all.
        ema: follows the weights; built on `net`.
        warmup, weight_decay, clip: steps of linear rise; of AdamW; largest gradient norm.
        state: file that holds everything needed to go on. It is written whole or not at all, every `save_every` steps
            and at the end. If it exists, training resumes from it, to the same weights as an uninterrupted run.
        about: what else must agree for a resume, such as seed, batch and data; kept in the state as JSON.
        save_every: steps between two writes.
        accelerator: an `accelerate.Accelerator`, for several processes or a GPU.
    Yields:
        a `Step` for each step that this call does.
    Raises:
        ValueError: if `state` belongs to another network or recipe, or is damaged; if the loss is not finite.
        OSError: if `state` cannot be written; the old file stays.
    """
    validate.count("steps", steps)
    validate.count("save_every", save_every)
    validate.number("lr", lr, lo=0, open_lo=True)
    validate.number("clip", clip, lo=0, open_lo=True)
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=weight_decay)
    recipe = {"steps": steps, "lr": lr, "warmup": warmup, "weight_decay": weight_decay, "clip": clip}
    recipe |= {"ema": ema.decay if ema else None, **(about or {})}
    done = resume_state(state, net, ema, optimizer, recipe) if state and state.exists() else 0
    wrapped, rank, world = net, 0, 1
    if accelerator is not None:
        wrapped, optimizer = accelerator.prepare(net, optimizer)
        rank, world = accelerator.process_index, accelerator.num_processes
        if ema:
            ema.module.to(accelerator.device)
    wrapped.train()
    stop = steps if stop is None else min(validate.count("stop", stop), steps)
    if done > stop:
        raise ValueError(f"stop: {state} already holds {done} steps, expected at most {stop}; delete it to start again")
    for step in range(done, stop):
        rate = learning_rate(step, steps=steps, peak=lr, warmup=warmup)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        value = loss(wrapped, step, rank=rank, world=world)
        accelerator.backward(value) if accelerator is not None else value.backward()
        norm = nn.utils.clip_grad_norm_(net.parameters(), clip)
        if not torch.isfinite(value + norm):  # after the backward pass, so that all processes stop together
            got = f"{value.item()} with gradient norm {norm.item():.3g} at step {step}"
            raise ValueError(f"loss: expected finite numbers, got {got}; lower lr, or look for bad data")
        optimizer.step()
        if ema:
            ema.update(net)
        if state and rank == 0 and ((step + 1) % save_every == 0 or step + 1 == stop):
            save_state(state, step + 1, net, ema, optimizer, recipe)
        yield Step(step + 1, value.item(), rate)
    net.eval()
