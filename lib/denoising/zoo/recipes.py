"""How every shipped checkpoint is made. A recipe is data; `run` is the one way to carry it out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from denoising import datasets, procedural, training, validate, zoo
from denoising.rng import Rng
from denoising.schedules import Cosine

__all__ = ["RECIPES", "Recipe", "blind_pictures", "run"]


@dataclass(frozen=True)
class Recipe:
    """A training run.

    Attributes:
        network: class name of the network, "UNet", "ConvNet" or "BiasFreeUNet".
        options: arguments of the network.
        data: name of the data set; or "discs", "contours-1", "contours-3", which are drawn afresh for every step.
        subset: first picture and number of pictures that are used of the data set; `None` for all.
        steps: length of the learning-rate curve, in optimiser steps.
        stop: step at which the run ends; `None` for `steps`.
        batch: pictures per step.
        lr: peak learning rate.
        ema: decay of the weight average that is shipped; `None` ships the weights themselves.
        weight_decay: of AdamW.
        seed: of the start weights and of everything drawn.
    """

    network: str
    data: str
    steps: int
    batch: int
    lr: float
    seed: int
    ema: float | None = None
    stop: int | None = None
    weight_decay: float = 0.0
    subset: tuple[int, int] | None = None
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def last_step(self) -> int:
        return self.stop or self.steps

    def fast(self) -> "Recipe":
        """The first steps only, in small batches: seconds instead of an hour. Its loss is recorded, and CI compares."""
        return replace(self, stop=FAST_STEPS, batch=32)

    def build(self) -> nn.Module:
        """The network with its start weights; the global random state is left as it was."""
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            net = zoo.network(self.network)(**dict(self.options))
        return net.to(memory_format=torch.channels_last)

    def loss(self) -> training.Loss:
        """The objective on this recipe's data."""
        if self.network == "BiasFreeUNet":
            return _blind_loss(self)
        data = datasets.load(self.data)
        if self.network == "UNet":
            return training.denoising_loss(data, Cosine(), batch=self.batch, seed=self.seed)
        noise = Cosine() if dict(self.options).get("noise_aware") else None
        return training.classifier_loss(data, batch=self.batch, seed=self.seed, noise=noise)


def blind_pictures(name: str) -> Tensor:
    """Pictures of a data set in [0, 1], so that an empty background is 0, for networks without bias: (N, 1, H, W)."""
    return (datasets.load(name).x + 1) / 2


def _blind_loss(recipe: Recipe) -> training.Loss:
    """Mean squared error of the guess of x_0 from x_0 + sigma z, sigma uniform on (0, 1], on pictures in [0, 1].

    Source: Kadkhodaie et al. 2024, arXiv 2310.02557, section 2.
    """
    first, count = recipe.subset or (0, 0)
    pictures = blind_pictures(recipe.data)[first : first + count] if recipe.subset else None

    def loss(net: nn.Module, step: int, *, rank: int = 0, world: int = 1) -> Tensor:
        if world > 1:  # the scales see their own share of a batch only, so two processes would train another network
            raise ValueError(f"world: expected 1 process for a network with batch statistics, got {world}")
        rng = Rng(recipe.seed).spawn("noise", step)
        if pictures is not None:  # drawn with replacement: a subset may be smaller than a batch
            x0 = pictures[torch.randint(len(pictures), (recipe.batch,), generator=rng)]
        elif recipe.data == "discs":
            x0, _ = procedural.discs(recipe.batch, generator=rng)
        else:
            x0 = procedural.contours(recipe.batch, smoothness=float(recipe.data.split("-")[1]), generator=rng)
        sigma = 1 - torch.rand((recipe.batch, 1, 1, 1), generator=rng)
        noisy = x0 + sigma * torch.randn(x0.shape, generator=rng)
        device = next(net.parameters()).device
        noisy = noisy.contiguous(memory_format=torch.channels_last).to(device)
        return F.mse_loss(net(noisy), x0.to(device))

    return loss


FAST_STEPS = 20

_unet = Recipe("UNet", "fashion-G", steps=8000, batch=128, lr=2e-3, seed=0, ema=0.999)
_blind = Recipe("BiasFreeUNet", "fashion-G", steps=3000, batch=32, lr=2e-3, seed=5)
_clf = Recipe("ConvNet", "fashion-C", steps=2400, batch=100, lr=4e-3, seed=1, ema=0.99, weight_decay=0.05)

RECIPES: dict[str, Recipe] = {
    "fashion_unet": _unet,
    "fashion_unet_early": replace(_unet, stop=312),  # the same run after 40 000 images
    "fashion_clf": _clf,
    "fashion_judge": replace(_clf, seed=2, options=(("width", 20),)),
    "fashion_clf_guide": replace(_clf, seed=3),
    "fashion_clf_noisy": replace(_clf, seed=4, steps=4000, options=(("noise_aware", True),)),
}
# two networks each on N pictures that the other never saw, with starts and batches of their own
RECIPES |= {
    f"fashion_blind_{n}{half}": replace(_blind, seed=seed, subset=(first, n))
    for n in (10, 100, 1000, 10_000)
    for half, first, seed in (("a", 0, 5), ("b", 10_000, 6))
}
RECIPES |= {
    f"{data.replace('-', '_')}_blind": replace(_blind, data=data) for data in ("discs", "contours-1", "contours-3")
}


def run(
    name: str,
    *,
    fast: bool = False,
    state: Path | None = None,
    accelerator: Any | None = None,
    progress: Callable[[Iterator], Iterator] = iter,
) -> tuple[nn.Module, list[float]]:
    """Train a checkpoint.

    Args:
        name: one of `RECIPES`.
        fast: see `Recipe.fast`.
        state: where the training state is kept, for resuming; see `training.fit`.
        accelerator: an `accelerate.Accelerator`, for several processes or a GPU.
        progress: wraps the stream of steps, to draw a bar.
    Returns:
        the network that would be shipped, and the loss of every step that this call did.
    """
    recipe = RECIPES[validate.choice("name", name, RECIPES)]
    recipe = recipe.fast() if fast else recipe
    net = recipe.build()
    ema = training.EMA(net, recipe.ema) if recipe.ema else None
    losses = []
    steps = training.fit(
        net,
        recipe.loss(),
        steps=recipe.steps,
        stop=recipe.last_step,
        lr=recipe.lr,
        ema=ema,
        weight_decay=recipe.weight_decay,
        state=state,
        about={"seed": recipe.seed, "batch": recipe.batch, "data": recipe.data, "subset": list(recipe.subset or ())},
        save_every=250,
        accelerator=accelerator,
    )
    for step in progress(steps):
        losses.append(step.loss)
    return (ema.module if ema else net).eval(), losses
