"""What a frozen network computes inside: activations of its blocks for a noisy picture, read off with hooks."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from denoising import training, validate
from denoising.denoisers import NetworkDenoiser, add_noise
from denoising.networks.attention_head import AttentionHead
from denoising.networks.unet import Resample, UNet

__all__ = ["attend", "extract", "maps", "pooled", "probe", "unet_blocks", "with_random_weights"]


def unet_blocks(net: UNet) -> dict[str, nn.Module]:
    """The blocks of a U-Net in the order in which a picture passes them, by name; the last one is its output.

    A block is the last layer of a stage before the resolution changes: "down.0", ..., "mid", "up.0", ..., "out".
    """
    if not isinstance(net, UNet):
        raise ValueError(f"net: expected a UNet, got a {type(net).__name__}")

    def last(stage: nn.ModuleList) -> nn.Module:
        return [layer for layer in stage if not isinstance(layer, Resample)][-1]

    stages = [stage for stage in net.down if not isinstance(stage[-1], Resample)]
    blocks = {"entry": net.entry} | {f"down.{i}": last(stage) for i, stage in enumerate(stages)}
    blocks |= {"mid": net.mid[-1]} | {f"up.{i}": last(stage) for i, stage in enumerate(net.up)}
    return blocks | {"out": net.head}


@contextmanager
def maps(blocks: Mapping[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """Collect what each block answers while the context lasts; every call of the network overwrites the last one's.

    Args:
        blocks: modules by name, as `unet_blocks` gives them.
    Yields:
        a dictionary that is filled by the calls: name to activation, without gradients.
    """
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        return lambda module, inputs, output: found.__setitem__(name, output.detach())

    hooks = [block.register_forward_hook(keep(name)) for name, block in blocks.items()]
    try:
        yield found
    finally:  # also when a call fails
        for hook in hooks:
            hook.remove()


def pooled(activation: Tensor, pool: int) -> Tensor:
    """Means over pool x pool equal cells of maps (B, C, H, W), as vectors (B, C * pool * pool), channel by channel."""
    return F.adaptive_avg_pool2d(activation, validate.count("pool", pool)).flatten(1)


@torch.no_grad()
def extract(
    denoiser: NetworkDenoiser,
    x0: Tensor,
    t: float,
    blocks: Mapping[str, nn.Module],
    *,
    pool: int | None,
    generator: torch.Generator,
    y: Tensor | None = None,
    told: float | None = None,
    noisy: bool = True,
    batch: int = 100,
) -> dict[str, Tensor]:
    """Features of clean pictures: add the noise of time t once, call the network once, read the blocks.

    Args:
        denoiser: the frozen network with its schedule.
        x0: clean pictures, (N, C, H, W), float.
        t: time of the noise, in (0, 1].
        blocks: modules of the network by name.
        pool: cells a side, for vectors; `None` keeps the maps as they are.
        generator: CPU source of the noise, one draw for all pictures.
        y: labels that the network is told, (N,); `None` for none.
        told: the time that the network is told; `None` tells the truth.
        noisy: whether the noise is added at all. A clean picture told a time is a common mistake.
        batch: pictures in one call.
    Returns:
        name of each block to features (N, channels * pool * pool), or to maps (N, channels, h, w); float32, on the CPU.
    Raises:
        ValueError: if a time is out of range, a count is below 1 or pictures are not finite.
    """
    validate.finite("x0", x0, ndim=4)
    validate.count("batch", batch)
    if not blocks:
        raise ValueError("blocks: expected at least one module")
    x = add_noise(denoiser.schedule, x0, t, torch.randn(x0.shape, generator=generator).to(x0)) if noisy else x0
    parts: dict[str, list[Tensor]] = {name: [] for name in blocks}
    labels = [None] * len(x) if y is None else y.split(batch)
    with maps(blocks) as found:
        for part, label in zip(x.split(batch), labels, strict=False):
            found.clear()
            denoiser(part, t if told is None else told, label)
            for name in blocks:
                if name not in found:
                    raise ValueError(f"blocks: {name!r} is not part of the network: the call did not pass it")
                value = found[name] if pool is None else pooled(found[name], pool)
                parts[name].append(value.float().cpu().contiguous())
    return {name: torch.cat(some) for name, some in parts.items()}


def probe(train: Tensor, labels: Tensor, test: Tensor, truth: Tensor, C: float = 0.03) -> float:
    """Share of right answers of a linear probe: logistic regression on standardised features.

    Args:
        train: features (N, D) that it learns from; their mean and deviation standardise both sets.
        labels: (N,), int64.
        test: features (M, D) that it is asked about.
        truth: their labels, (M,).
        C: inverse strength of the penalty on the weights.
    """
    from sklearn.linear_model import LogisticRegression

    mean, scale = train.mean(0), train.std(0) + 1e-6
    head = LogisticRegression(C=C, max_iter=2000).fit((train - mean) / scale, labels)
    return float(head.score((test - mean) / scale, truth))


def with_random_weights(denoiser: NetworkDenoiser, generator: torch.Generator) -> NetworkDenoiser:
    """The same architecture, told and asked in the same way, with random weights: what a structure is worth untrained.

    Every matrix and kernel is drawn from He's normal distribution, also those that start at zero; biases are 0.
    """
    net = copy.deepcopy(denoiser.net).requires_grad_(False)
    for name, weight in net.named_parameters():
        if weight.ndim > 1:
            nn.init.kaiming_normal_(weight, generator=generator)
        else:
            nn.init.constant_(weight, 0.0 if name.endswith("bias") else 1.0)
    return NetworkDenoiser(net, denoiser.schedule, predicts=denoiser.predicts, num_classes=denoiser.num_classes)


def attend(
    train: Tensor, labels: Tensor, test: Tensor, *, generator: torch.Generator, steps: int = 300, batch: int = 100
) -> Tensor:
    """Labels that an attention head gives to maps, after learning from labelled ones.

    Args:
        train: maps (N, C, h, w) of labelled pictures, float32; standardised channel by channel in here.
        labels: (N,), int64, from 0.
        test: maps (M, C, h, w).
        generator: CPU source of the start weights and batches.
        steps, batch: of AdamW.
    Returns:
        (M,), int64.
    """
    mean, scale = train.mean((0, 2, 3), keepdim=True), train.std((0, 2, 3), keepdim=True) + 1e-6
    tokens = (train - mean) / scale
    head = AttentionHead(train.shape[1], train[0, 0].numel(), int(labels.max()) + 1, generator=generator)

    def loss(net: nn.Module, step: int, *, rank: int = 0, world: int = 1) -> Tensor:
        i = torch.randint(len(tokens), (batch,), generator=generator)
        return F.cross_entropy(net(tokens[i]), labels[i])

    for _ in training.fit(head, loss, steps=steps, lr=3e-3, weight_decay=1.0, warmup=20):
        pass
    with torch.no_grad():
        return head((test - mean) / scale).argmax(1)
