"""Two players, one loop: how the BiGAN is trained.

The critic raises its scores of pictures with the encoder's codes and lowers those of generated pictures with the codes
they were made from, with the hinge loss; encoder and generator do the opposite. Both players' weights are groups of one
optimiser: Adam skips weights without a gradient, so a step of one player leaves the other and its moments alone.

Against collapse: spectral norm in the critic, batch norm in the other two, Adam without much memory of past gradients
(beta_1 = 0.5), a critic that learns faster, and an average of the weights at the end.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from denoising import datasets, metrics, training, training_state, validate, zoo
from denoising.networks.bigan import BiGAN
from denoising.rng import Rng

__all__ = ["critic_loss", "evaluate", "fit", "players_loss"]

FASTER = 2.0  # learning rate of the critic, relative to that of encoder and generator


def critic_loss(real: Tensor, made: Tensor) -> Tensor:
    """Hinge loss of scores (B, K) of real and of made pairs, summed over the K scores."""
    return (F.relu(1 - real) + F.relu(1 + made)).sum(1).mean()


def players_loss(real: Tensor, made: Tensor) -> Tensor:
    """What encoder and generator minimise: made pairs should score high, and real ones, by their codes, low."""
    return (real - made).sum(1).mean()


def fit(
    net: BiGAN,
    data: datasets.Images,
    *,
    steps: int,
    batch: int,
    lr: float,
    seed: int,
    stop: int | None = None,
    ema: training.EMA | None = None,
    state: Path | None = None,
    about: dict[str, Any] | None = None,
    save_every: int = 250,
) -> Iterator[training.Step]:
    """Train `net`; yields after every step, with the critic's loss.

    Args:
        net: trained in place, by one process.
        data: pictures; labels are not looked at.
        steps: in all; each is one step of the critic and one of the other players, on the same pictures and codes.
        batch: pictures per step.
        lr: peak learning rate of encoder and generator, on the curve of `training.learning_rate`.
        seed: of batches and codes.
        stop, ema, state, about, save_every: as in `training.fit`.
    Raises:
        ValueError: if `state` belongs to another network or recipe, or is damaged; if a loss is not finite.
    """
    validate.count("steps", steps)
    validate.number("lr", lr, lo=0, open_lo=True)
    critic = list(net.critic.parameters())
    judged = {id(weight) for weight in critic}
    players = [weight for weight in net.parameters() if id(weight) not in judged]
    optimizer = torch.optim.Adam([{"params": players}, {"params": critic}], lr=lr, betas=(0.5, 0.999))
    recipe = {"steps": steps, "lr": lr, "ema": ema.decay if ema else None, **(about or {})}
    done = training_state.resume_state(state, net, ema, optimizer, recipe) if state and state.exists() else 0
    net.train()
    for step in range(done, stop := stop or steps):
        rate = training.learning_rate(step, steps=steps, peak=lr, warmup=200)
        for group, factor in zip(optimizer.param_groups, (1.0, FASTER), strict=True):
            group["lr"] = rate * factor
        x = data.x[training.minibatch(len(data), batch, step, seed)].contiguous(memory_format=torch.channels_last)
        z = torch.randn((batch, net.config.latent), generator=Rng(seed).spawn("codes", step))
        code, picture = net.encode(x), net.generate(z)
        value = critic_loss(net.critic(x, code.detach()), net.critic(picture.detach(), z))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        net.critic.requires_grad_(False)  # its weights are not moved by what follows
        other = players_loss(net.critic(x, code), net.critic(picture, z))
        other.backward()
        net.critic.requires_grad_(True)
        optimizer.step()
        if not torch.isfinite(value + other):
            got = f"{value.item()} and {other.item()} at step {step}"
            raise ValueError(f"loss: expected finite numbers, got {got}; lower lr")
        if ema:
            ema.update(net)
        if state and ((step + 1) % save_every == 0 or step + 1 == stop):
            training_state.save_state(state, step + 1, net, ema, optimizer, recipe)
        yield training.Step(step + 1, value.item(), rate)
    net.eval()


@torch.no_grad()
def evaluate(net: BiGAN, *, n: int) -> dict:
    """The numbers of the model card: Fréchet distance of n samples, and how well block T comes back from its codes."""
    test = datasets.load("fashion-T").x
    z = torch.randn((n, net.config.latent), generator=Rng(0).spawn("samples"))
    x = torch.cat([net.generate(part) for part in z.split(100)])
    back = torch.cat([net(part) for part in test.split(100)])
    mean = datasets.load("fashion-G").x.mean(0)
    return {
        "fd64": round(metrics.frechet_distance(zoo.features(x), zoo.reference()), 4),
        "fd64_floor": round(metrics.frechet_distance(zoo.features(test), zoo.reference()), 4),
        "n": n,
        "mse_of_the_way_back": round(float((back - test).square().mean()), 4),
        "mse_of_the_mean_picture": round(float((mean - test).square().mean()), 4),
        "pixel_deviation_between_samples": round(float(x.std(0).mean()), 4),
        "pixel_deviation_between_pictures": round(float(test.std(0).mean()), 4),
    }
