"""Named checkpoints: load one, wrap it as a denoiser, export it. `python -m denoising.zoo train NAME` makes it again.

Each checkpoint is a folder of `data/checkpoints/` with a configuration, half-precision weights in safetensors and a
model card. Loading compares every file with data/MANIFEST.json first.
"""

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
import torch
from torch import Tensor, nn

from denoising import datasets, metrics, validate
from denoising.denoisers import CaptionDenoiser, NetworkDenoiser
from denoising.schedules import Cosine

if TYPE_CHECKING:
    from diffusers import DDIMPipeline

__all__ = [
    "card",
    "classify",
    "denoiser",
    "export",
    "features",
    "load",
    "names",
    "network",
    "pipeline",
    "reference",
    "reference_features",
    "table",
]

FILES = ("config.json", "diffusion_pytorch_model.safetensors")  # as diffusers' save_pretrained names them
SCHEDULE = Cosine()  # of every shipped U-Net


def names() -> list[str]:
    """Names of the shipped checkpoints."""
    return sorted(datasets.manifest().get("checkpoints", {}))


def card(name: str) -> dict:
    """What is recorded of a checkpoint: data, steps, seed, wall time, metrics with their n and floor."""
    known = datasets.manifest().get("checkpoints", {})
    return known[validate.choice("name", name, known)]


def network(kind: str) -> type[nn.Module]:
    """The class of a network by its name; each file is imported only where it is used."""
    from denoising.networks.bias_free import BiasFreeUNet
    from denoising.networks.bigan import BiGAN
    from denoising.networks.convnet import ConvNet
    from denoising.networks.dual_encoder import DualEncoder
    from denoising.networks.guided_unet import GuidedUNet
    from denoising.networks.text_unet import TextUNet
    from denoising.networks.unet import UNet

    known = (BiasFreeUNet, BiGAN, ConvNet, DualEncoder, GuidedUNet, TextUNet, UNet)
    return {one.__name__: one for one in known}[kind]


def load(name: str) -> nn.Module:
    """A shipped network, ready for use: float32, on the CPU, in evaluation mode.

    Args:
        name: one of `names()`.
    Returns:
        a `networks.unet.UNet`, a `networks.convnet.ConvNet` or a `networks.bias_free.BiasFreeUNet`.
    Raises:
        ValueError: for an unknown name, or a file that is not what the manifest says.
        FileNotFoundError: for a missing file.
    """
    kind = network(card(name)["network"])
    folder = datasets.data_root() / "checkpoints" / name
    # read once: what was verified is what is loaded, and no other file of the folder is looked at
    files = {file: datasets.verify(folder / file, card(name)["files"].get(file, "")) for file in FILES}
    with torch.device("meta"):  # no start weights are drawn
        net = kind.from_config(json.loads(files["config.json"]))
    net.load_state_dict(safetensors.torch.load(files["diffusion_pytorch_model.safetensors"]), assign=True)
    return net.float().to(memory_format=torch.channels_last).eval().requires_grad_(False)


def denoiser(name: str, *, device: torch.device | str = "cpu") -> NetworkDenoiser:
    """A shipped U-Net as a denoiser with its schedule; label 10 is the null label. "scenes_t2i" takes captions."""
    if card(name)["network"] == "TextUNet":
        return CaptionDenoiser(load(name).to(device), SCHEDULE)
    net = _load_unet(name).to(device)
    return NetworkDenoiser(net, SCHEDULE, predicts="v", num_classes=net.null_label)


def _load_unet(name: str) -> nn.Module:
    net = load(name)
    if not hasattr(net, "null_label"):
        raise ValueError(f"name: expected a U-Net that is told the time, {name!r} is a {card(name)['network']}")
    return net


def pipeline(name: str = "fashion_unet") -> "DDIMPipeline":
    """A shipped U-Net in a stock diffusers pipeline with a stock scheduler, on the same table of noise."""
    from diffusers import DDIMPipeline, DDIMScheduler

    scheduler = DDIMScheduler(
        trained_betas=SCHEDULE.betas(1000).tolist(),
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
    )
    pipe = DDIMPipeline(unet=_load_unet(name), scheduler=scheduler)
    pipe.set_progress_bar_config(disable=True)  # it writes to stderr, which nbval compares
    return pipe


def export(name: str, folder: Path) -> Path:
    """Write a shipped U-Net as a diffusers pipeline folder, which `DDIMPipeline.from_pretrained` reads back."""
    pipeline(name).save_pretrained(folder)
    return Path(folder)


@cache
def _metric_net(name: str) -> nn.Module:
    """A clean classifier, loaded once."""
    if card(name)["network"] != "ConvNet" or dict(card(name)["options"]).get("noise_aware"):
        raise ValueError(f"net: expected a classifier of clean images, fashion_clf or fashion_judge; got {name!r}")
    return load(name)


@torch.no_grad()
def features(x: Tensor, *, net: str = "fashion_clf", batch: int = 100) -> Tensor:
    """The features that FD-64 is measured on.

    Args:
        x: images in [-1, 1], (N, 1, 32, 32), on any device; values outside are clipped, as the data are.
        net: whose features; "fashion_clf" for FD-64, "fashion_judge" for a second opinion.
        batch: images per call; a few hundred spill out of the cache and take ten times as long.
    Returns:
        features, (N, 64) for FD-64, float32, on the CPU.
    """
    validate.finite("x", x, ndim=4)
    model = _metric_net(net)
    validate.count("batch", batch)
    return torch.cat([model.features(part.float().cpu().clamp(-1, 1)) for part in x.split(batch)])


@torch.no_grad()
def classify(x: Tensor, *, net: str = "fashion_judge", batch: int = 100) -> Tensor:
    """Labels that a shipped clean classifier gives to images (N, 1, 32, 32): (N,), int64, on the CPU."""
    validate.finite("x", x, ndim=4)
    model = _metric_net(net)
    if model.config.num_classes != 10:
        raise ValueError(f"net: expected a classifier of garments, fashion_clf or fashion_judge; got {net!r}")
    return torch.cat([model(part.float().cpu().clamp(-1, 1)).argmax(1) for part in x.split(batch)])


def table(name: str) -> dict[str, Tensor]:
    """Stored results by name, see `denoising.zoo.tables`.

    Raises:
        ValueError: if the manifest has no such table, or the file is not what it says.
        FileNotFoundError: if the file is missing.
    """
    key = f"tables/{name}.safetensors"
    return safetensors.torch.load(
        datasets.verify(datasets.data_root() / key, datasets.recorded("tables", key)["sha256"])
    )


def reference() -> metrics.Statistics:
    """Mean and covariance of the FD-64 features of all 20 000 pictures of block G."""
    stored = table("fashion_reference")
    return metrics.Statistics(stored["mean"], stored["cov"], int(stored["n"]))


def reference_features() -> Tensor:
    """FD-64 features of 2000 pictures of block G, 200 per class, (2000, 64), for precision, recall and coverage."""
    return table("fashion_reference")["features"].float()
