"""Errors of `fashion_unet` under every class, and what its samples teach a classifier: the tables of notebook 5.3.

An error table is stored as its mean over the classes, in single precision, and the differences from that mean, in half
precision: only differences decide, and half precision would round them away if they stood on top of the mean.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from denoising import classify, datasets, samplers, training, validate, zoo
from denoising import features as inside
from denoising.rng import Rng

__all__ = [
    "SHIFTS",
    "fashion_draws",
    "fashion_errors",
    "fashion_synthetic",
    "made",
    "packed",
    "pictures",
    "restored",
    "rows",
    "shifted",
]

SHIFTS = ("contrast", "noise", "blur", "inverted")
IMAGES, DRAWS = 200, 32  # as they are
SHIFTED_IMAGES, SHIFTED_DRAWS = 100, 8
MADE, CALLS = 1000, 10  # samples that the second table's classifier learns from, and calls for each
CLASSIFIER = {"steps": 300, "lr": 4e-3, "batch": 100}


def rows(data: datasets.Images, n: int) -> Tensor:
    """Numbers of n pictures, classes in turn: n divisible by 10 is balanced, fewer are the first of more."""
    return torch.stack([torch.nonzero(data.y == label)[: -(-n // 10), 0] for label in range(10)], 1).flatten()[:n]


def pictures(n: int = IMAGES) -> datasets.Images:
    """The first n test pictures, classes in turn."""
    data = datasets.load("fashion-T")
    some = rows(data, n)
    return datasets.Images(data.x[some], data.y[some], data.classes)


def shifted(x: Tensor, shift: str) -> Tensor:
    """Pictures (N, 1, 32, 32) changed: half the contrast, noise of deviation 1/2, means of 3x3 pixels, or negatives."""
    match validate.choice("shift", shift, SHIFTS):
        case "contrast":
            return x / 2
        case "noise":
            grain = torch.stack([torch.randn(x.shape[1:], generator=Rng(0).spawn("shift", i)) for i in range(len(x))])
            return (x + grain / 2).clamp(-1, 1)
        case "blur":
            return F.avg_pool2d(F.pad(x, (1, 1, 1, 1), value=-1.0), 3, stride=1)
    return -x


def fashion_draws(shift: str | None = None) -> classify.Draws:
    """The times, evenly spaced in t, and the noises that the stored errors were measured with."""
    n, draws = (IMAGES, DRAWS) if shift is None else (SHIFTED_IMAGES, SHIFTED_DRAWS)
    source = Rng(0).spawn("fashion_errors", shift)
    return classify.draws(zoo.SCHEDULE, (n, 1, 32, 32), draws, generator=source, weighting="t")


def fashion_errors() -> dict[str, Tensor]:
    """Squared errors summed over pixels, [image, class, draw]: of `pictures()`, and of 100 of them after each shift."""
    unet, stored = zoo.denoiser("fashion_unet"), {}
    for shift in (None, *SHIFTS):
        draws = fashion_draws(shift)
        x = pictures(len(draws.eps)).x
        x = x if shift is None else shifted(x, shift)
        table = classify.error_table(unet, x, draws, torch.arange(10), batch=100)
        stored |= packed(shift or "clean", table)
    return stored


def packed(name: str, table: Tensor) -> dict[str, Tensor]:
    """A table of errors, (B, K, N), as it is stored under `name`; `restored` gives it back."""
    mean = table.mean(1, keepdim=True)
    return {f"{name}.mean": mean[:, 0].float(), f"{name}.off": (table - mean).half()}


def restored(stored: dict[str, Tensor], name: str = "clean") -> Tensor:
    """The table `name` as it was before storing: (B, K, N), float64."""
    return stored[f"{name}.mean"].double()[:, None] + stored[f"{name}.off"].double()


def made(n: int = MADE) -> datasets.Images:
    """Unguided samples of `fashion_unet` with the labels they were made for; fewer are the first of more."""
    unet, y = zoo.denoiser("fashion_unet"), torch.arange(n) % 10
    noise = torch.stack([torch.randn(1, 32, 32, generator=Rng(0).spawn("made", i)) for i in range(n)])
    x = samplers.sample(samplers.dpmpp_2m, unet, noise, samplers.grid(unet.schedule, CALLS), y=y, batch=50)
    return datasets.Images(x.clamp(-1, 1), y, datasets.CLASSES)


def taught(data: datasets.Images) -> nn.Module:
    """The judge's network and recipe on other data: `CLASSIFIER`."""
    net = zoo.network("ConvNet")(width=20)
    generator = Rng(0).spawn("taught")
    for weight in net.parameters():
        if weight.ndim > 1:
            bound = weight[0].numel() ** -0.5
            nn.init.uniform_(weight, -bound, bound, generator=generator)
    ema, loss = training.EMA(net, 0.99), training.classifier_loss(data, batch=CLASSIFIER["batch"], seed=0)
    for _ in training.fit(net, loss, steps=CLASSIFIER["steps"], lr=CLASSIFIER["lr"], ema=ema, weight_decay=0.05):
        pass
    return ema.module.eval()


def fashion_synthetic() -> dict[str, Tensor]:
    """Labels that two classifiers give to block T: one taught by 1000 samples of `fashion_unet`, one by 1000 pictures.

    The real pictures are from block C, 100 of each class. Network, steps and start weights are the same.
    """
    test, real = datasets.load("fashion-T"), datasets.load("fashion-C")
    some, labels = rows(real, MADE), {}
    for name, data in (("made", made()), ("real", datasets.Images(real.x[some], real.y[some], real.classes))):
        net = taught(data)
        with torch.no_grad():
            labels[name] = torch.cat([net(part).argmax(1) for part in test.x.split(100)]).to(torch.uint8)
    return labels


def features(x: Tensor, *, t: float = 0.1) -> Tensor:
    """What `fashion_unet` computes in its middle for clean pictures told to be at time t, without a label: (N, 384)."""
    unet, how = zoo.denoiser("fashion_unet"), {"pool": 2, "generator": Rng(0), "noisy": False, "batch": 50}
    middle = {"mid": inside.unet_blocks(unet.net)["mid"]}
    return inside.extract(unet, unet.schedule.alpha(t).float() * x, t, middle, **how)["mid"]
