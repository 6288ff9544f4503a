"""How every shipped checkpoint is made. A recipe is data; `run` is the one way to carry it out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from denoising import datasets, training, validate
from denoising.schedules import Cosine

__all__ = ["RECIPES", "Recipe", "run"]


@dataclass(frozen=True)
class Recipe:
    """A training run.

    Attributes:
        network: class name of the network, "UNet" or "ConvNet".
        options: arguments of the network.
        data: name of the data set.
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
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def last_step(self) -> int:
        return self.stop or self.steps

    def fast(self) -> "Recipe":
        """The first steps only, in small batches: seconds instead of an hour. Its loss is recorded, and CI compares."""
        return replace(self, stop=FAST_STEPS, batch=32)

    def build(self) -> nn.Module:
        """The network with its start weights; the global random state is left as it was."""
        from denoising.networks.convnet import ConvNet
        from denoising.networks.unet import UNet

        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            net = {"UNet": UNet, "ConvNet": ConvNet}[self.network](**dict(self.options))
        return net.to(memory_format=torch.channels_last)

    def loss(self) -> training.Loss:
        """The objective on this recipe's data."""
        data = datasets.load(self.data)
        if self.network == "UNet":
            return training.denoising_loss(data, Cosine(), batch=self.batch, seed=self.seed)
        noise = Cosine() if dict(self.options).get("noise_aware") else None
        return training.classifier_loss(data, batch=self.batch, seed=self.seed, noise=noise)


FAST_STEPS = 20

_unet = Recipe("UNet", "fashion-G", steps=8000, batch=128, lr=2e-3, seed=0, ema=0.999)
_clf = Recipe("ConvNet", "fashion-C", steps=2400, batch=100, lr=4e-3, seed=1, ema=0.99, weight_decay=0.05)

RECIPES: dict[str, Recipe] = {
    "fashion_unet": _unet,
    "fashion_unet_early": replace(_unet, stop=312),  # the same run after 40 000 images
    "fashion_clf": _clf,
    "fashion_judge": replace(_clf, seed=2, options=(("width", 20),)),
    "fashion_clf_guide": replace(_clf, seed=3),
    "fashion_clf_noisy": replace(_clf, seed=4, steps=4000, options=(("noise_aware", True),)),
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
        about={"seed": recipe.seed, "batch": recipe.batch, "data": recipe.data},
        save_every=250,
        accelerator=accelerator,
    )
    for step in progress(steps):
        losses.append(step.loss)
    return (ema.module if ema else net).eval(), losses
