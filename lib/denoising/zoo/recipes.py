"""How every shipped checkpoint is made. A recipe is data; `run` is the one way to carry it out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from denoising import datasets, procedural, training, validate, zoo
from denoising.denoisers import NetworkDenoiser
from denoising.rng import Rng
from denoising.schedules import Cosine
from denoising.zoo import adversarial, contrast, distillation, scene_nets

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
        objective: one of `OBJECTIVES`.
        start: checkpoint, or another recipe, whose weights it starts from; what that one lacks keeps its own start. One
            that is distilled has it as its teacher.
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
    objective: str = "denoise"
    start: str | None = None

    @property
    def last_step(self) -> int:
        return self.stop or self.steps

    def fast(self) -> "Recipe":
        """The first steps only, in small batches: seconds instead of an hour. Its loss is recorded, and CI compares."""
        return replace(self, stop=FAST_STEPS, batch=min(32, self.batch))

    def build(self, start: nn.Module | None = None) -> nn.Module:
        """The network with its start weights, those of `start` if given; the global random state is left as it was."""
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            net = zoo.network(self.network)(**dict(self.options))
        if start is not None:
            net.load_state_dict(net.state_dict() | start.state_dict())
        return net.to(memory_format=torch.channels_last)

    def loss(self, start: nn.Module | None = None) -> training.Loss:
        """The objective on this recipe's data; a distillation is taught by `start`."""
        if self.objective in DISTILLATIONS:
            return DISTILLATIONS[self.objective](self, start)
        return OBJECTIVES[self.objective](self)


def blind_pictures(name: str) -> Tensor:
    """Pictures of a data set in [0, 1], so that an empty background is 0, for networks without bias: (N, 1, H, W)."""
    return (datasets.load(name).x + 1) / 2


def _denoise(recipe: Recipe) -> training.Loss:
    return training.denoising_loss(datasets.load(recipe.data), Cosine(), batch=recipe.batch, seed=recipe.seed)


def _unlabelled(recipe: Recipe) -> training.Loss:
    """The same without labels: every picture has the null label of a network that knows no other."""
    x = datasets.load(recipe.data).x
    data = datasets.Images(x, torch.zeros(len(x), dtype=torch.int64), ())
    return training.denoising_loss(data, zoo.SCHEDULE, batch=recipe.batch, seed=recipe.seed, p_null=1.0)


def _classify(recipe: Recipe) -> training.Loss:
    noise = Cosine() if dict(recipe.options).get("noise_aware") else None
    return training.classifier_loss(datasets.load(recipe.data), batch=recipe.batch, seed=recipe.seed, noise=noise)


def _blind(recipe: Recipe) -> training.Loss:
    """Mean squared error of the guess of x_0 from x_0 + sigma z, sigma uniform on (0, 1], on pictures in [0, 1].

    Source: Kadkhodaie et al. 2024, arXiv 2310.02557, section 2.
    """
    first, count = recipe.subset or (0, 0)
    pictures = blind_pictures(recipe.data)[first : first + count] if recipe.subset else None

    def loss(net: nn.Module, step: int, *, rank: int = 0, world: int = 1) -> Tensor:
        training.one_process(world, "a network with batch statistics")
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


def _attributes(recipe: Recipe) -> training.Loss:
    return scene_nets.attributes_loss(batch=recipe.batch, seed=recipe.seed)


def _captions(recipe: Recipe) -> training.Loss:
    return scene_nets.captions_loss(zoo.SCHEDULE, batch=recipe.batch, seed=recipe.seed)


def _contrast(recipe: Recipe) -> training.Loss:
    return contrast.contrast_loss(batch=recipe.batch, seed=recipe.seed)


def _partners(recipe: Recipe) -> training.Loss:
    return contrast.partners_loss(batch=recipe.batch)


def _fold(recipe: Recipe, teacher: nn.Module) -> training.Loss:
    guided = NetworkDenoiser(teacher, zoo.SCHEDULE, num_classes=teacher.null_label)
    return distillation.fold_loss(datasets.load(recipe.data), guided, batch=recipe.batch, seed=recipe.seed)


def _halve(recipe: Recipe, teacher: nn.Module, *, steps: int) -> training.Loss:
    data, noise = datasets.load(recipe.data), zoo.SCHEDULE
    return distillation.halve_loss(data, teacher, noise, steps=steps, batch=recipe.batch, seed=recipe.seed)


FAST_STEPS = 20
GAME = "adversarial"  # an objective of two players, which `zoo.adversarial` carries out

OBJECTIVES: dict[str, Callable[[Recipe], training.Loss]] = {
    "denoise": _denoise,
    "unlabelled": _unlabelled,
    "classify": _classify,
    "blind": _blind,
    "attributes": _attributes,
    "captions": _captions,
    "contrast": _contrast,
    "partners": _partners,
}
DISTILLATIONS: dict[str, Callable[[Recipe, nn.Module], training.Loss]] = {
    "fold": _fold,
    "halve-8": partial(_halve, steps=8),
    "halve-4": partial(_halve, steps=4),
}

_unet = Recipe("UNet", "fashion-G", steps=8000, batch=128, lr=2e-3, seed=0, ema=0.999)
_bias_free = Recipe("BiasFreeUNet", "fashion-G", steps=3000, batch=32, lr=2e-3, seed=5, objective="blind")
_clf = Recipe(
    "ConvNet", "fashion-C", steps=2400, batch=100, lr=4e-3, seed=1, ema=0.99, weight_decay=0.05, objective="classify"
)

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
    f"fashion_blind_{n}{half}": replace(_bias_free, seed=seed, subset=(first, n))
    for n in (10, 100, 1000, 10_000)
    for half, first, seed in (("a", 0, 5), ("b", 10_000, 6))
}
RECIPES |= {
    f"{data.replace('-', '_')}_blind": replace(_bias_free, data=data) for data in ("discs", "contours-1", "contours-3")
}
# a student of the guided fashion_unet: its two calls in one, then 16 steps in 8, then 8 in 4; only the last is shipped
_student = Recipe(
    "GuidedUNet", "fashion-G", steps=1200, batch=16, lr=1e-3, seed=7, ema=0.99, objective="fold", start="fashion_unet"
)
RECIPES |= {
    "fashion_student_fold": _student,
    "fashion_student_8": replace(_student, steps=800, objective="halve-8", start="fashion_student_fold"),
    "fashion_student": replace(_student, steps=800, objective="halve-4", start="fashion_student_8"),
}

_scenes = Recipe("TextUNet", "scenes", steps=20_000, batch=32, lr=1.2e-3, seed=0, ema=0.999, objective="captions")
_heads = (("in_channels", 3), ("num_classes", sum(scene_nets.HEADS)))
RECIPES |= {
    "scenes_t2i": _scenes,
    "scenes_cnn": replace(_clf, data="scenes", steps=2500, seed=8, options=_heads, objective="attributes"),
}

# frozen in 5.5: it never saw a label, and one call gives the features of a picture in a millisecond
RECIPES["fashion_unet_unlabelled"] = replace(
    _unet,
    objective="unlabelled",
    options=(("channels", [40, 80]), ("attention", [False, True]), ("fold", 4), ("num_classes", 0)),
)
RECIPES["fashion_bigan"] = Recipe(
    "BiGAN", "fashion-G", steps=16_000, batch=64, lr=2e-4, seed=0, ema=0.995, objective=GAME
)
# the same 640 000 scenes, in batches of four times as many; "bag" cannot tell the order of words
_dual = Recipe("DualEncoder", "scenes", steps=5000, batch=128, lr=1e-3, seed=0, ema=0.99, objective="contrast")
RECIPES |= {
    "scenes_dual": _dual,
    "scenes_dual_bag": replace(_dual, options=(("ordered", False),)),
    "scenes_dual_partners": replace(_dual, steps=400, lr=5e-4, objective="partners", start="scenes_dual"),
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
    start = None
    if recipe.start in zoo.names():
        start = zoo.load(recipe.start)
    elif recipe.start:  # not shipped: trained first, or read back from its own state if it is done
        before = state.parent.parent / recipe.start / state.name if state else None
        start, _ = run(recipe.start, fast=fast, state=before, accelerator=accelerator, progress=progress)
    net = recipe.build(start)
    ema = training.EMA(net, recipe.ema) if recipe.ema else None
    losses = []
    about = {
        "objective": recipe.objective,
        "start": recipe.start,
        "seed": recipe.seed,
        "batch": recipe.batch,
        "data": recipe.data,
        "subset": list(recipe.subset or ()),
    }
    shared = {"steps": recipe.steps, "stop": recipe.last_step, "lr": recipe.lr, "ema": ema, "state": state}
    shared |= {"about": about, "save_every": 250}
    if recipe.objective == GAME:
        steps = adversarial.fit(net, datasets.load(recipe.data), batch=recipe.batch, seed=recipe.seed, **shared)
    else:
        loss, decay = recipe.loss(start), recipe.weight_decay
        steps = training.fit(net, loss, weight_decay=decay, accelerator=accelerator, **shared)
    for step in progress(steps):
        losses.append(step.loss)
    return (ema.module if ema else net).eval(), losses
