"""Results that take too long for a notebook: stored, made again by one command, recomputed in part where they are used.

`python -m denoising.zoo table NAME` carries out the function that `TABLES` has under that name.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from denoising import datasets, guidance, metrics, samplers, validate, zoo
from denoising.rng import Rng
from denoising.zoo import errors, experts, ship, zero_shot

__all__ = ["TABLES", "from_bytes", "guidance_start", "make", "to_bytes"]


def make(name: str) -> Path:
    """Compute the table `name` and store it; returns its file."""
    tensors = TABLES[validate.choice("name", name, TABLES)]()
    return ship.write_table(name, tensors, made_by=f"python -m denoising.zoo table {name}")


def fashion_reference() -> dict[str, Tensor]:
    """The FD-64 statistics of block G, and the features of 200 of its pictures per class."""
    data = datasets.load("fashion-G")
    features = zoo.features(data.x)
    stored = metrics.statistics(features)
    few = torch.cat([torch.nonzero(data.y == label)[:200, 0] for label in range(10)])
    return {
        "mean": stored.mean,
        "cov": stored.cov,
        "n": torch.tensor(stored.n),
        "features": features[few].half(),
    }


def guidance_grid() -> dict[str, Tensor]:
    """Samples of `fashion_unet` from the same 500 noises under several strengths of classifier-free guidance.

    Row k of every tensor is strength `s[k]`; the last row is strength 3 at the times 0.2 to 0.8 and 1 at all others.
    "outside" is the share of pixels below -1 and above 1 before clipping. Everything else is measured on images as they
    are stored, the first 80 of each row: clipped, and rounded to bytes. "clean": pixels under -0.95 set to -1.
    """
    unet, (noise, y) = zoo.denoiser("fashion_unet"), guidance_start(500)
    other = metrics.statistics(zoo.features(datasets.load("fashion-G").x[::4], net="fashion_judge"))
    strengths = (0.0, 1.0, 1.5, 2.0, 3.0, 5.0, 3.0)
    rows: list[dict[str, Tensor]] = []
    for number, s in enumerate(strengths):
        strength = guidance.within(s, 0.2, 0.8) if number == len(strengths) - 1 else s
        guided, steps = guidance.ClassifierFree(unet, strength), samplers.grid(unet.schedule, 20)
        made = samplers.sample(samplers.ddim, guided, noise, steps, y=y, batch=50)
        inside = made[..., 2:-2, 2:-2]
        images = to_bytes(made)
        x = from_bytes(images)
        clean = torch.where(x < -0.95, -1.0, x)
        rows.append({
            "images": images[:80],
            "features": zoo.features(x).half(),
            "features_clean": zoo.features(clean).half(),
            "judged": zoo.classify(x).to(torch.uint8),
            "judge_distance": torch.tensor([
                metrics.frechet_distance(zoo.features(part, net="fashion_judge"), other) for part in (x, clean)
            ]),
            "outside": torch.stack([(inside < -1).float().mean(), (inside > 1).float().mean()]),
        })  # fmt: skip
    test = datasets.load("fashion-T")
    parts = test.y.argsort(stable=True).view(10, 10, 50).transpose(0, 1).flatten(1)  # 500 each, balanced as the samples
    real = zoo.features(test.x, net="fashion_judge")
    floor = torch.tensor([metrics.frechet_distance(real[part], other) for part in parts]).mean()
    stacked = {key: torch.stack([row[key] for row in rows]) for key in rows[0]}
    return stacked | {"s": torch.tensor(strengths), "judge_floor": floor}


def guidance_start(n: int) -> tuple[Tensor, Tensor]:
    """Noise (n, 1, 32, 32) and labels (n,) that `guidance_grid` starts from; fewer are the first of more."""
    source = Rng(0).spawn("guidance_grid")
    return torch.stack([torch.randn(1, 32, 32, generator=source) for _ in range(n)]), torch.arange(n) % 10


def to_bytes(x: Tensor) -> Tensor:
    """Images in [-1, 1], clipped and rounded to the 256 levels that the data have: uint8."""
    return ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def from_bytes(images: Tensor) -> Tensor:
    """The inverse of `to_bytes`, float32."""
    return images.float() / 127.5 - 1


TABLES: dict[str, Callable[[], dict[str, Tensor]]] = {
    "fashion_errors": errors.fashion_errors,
    "fashion_experts": experts.fashion_experts,
    "fashion_guides": experts.fashion_guides,
    "fashion_reference": fashion_reference,
    "fashion_synthetic": errors.fashion_synthetic,
    "guidance_grid": guidance_grid,
    "scenes_attributes": zero_shot.scenes_attributes,
    "scenes_swaps": zero_shot.scenes_swaps,
}
