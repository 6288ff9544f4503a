"""The contrastive model of scenes and captions: its objective, and what it is measured by."""

from collections.abc import Callable
from itertools import count

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from denoising import scenes, training
from denoising.rng import Rng
from denoising.scenes.splits import plan
from denoising.zoo.zero_shot import exchanged, told_by

__all__ = ["contrast_loss", "evaluate", "info_nce", "partners", "partners_loss"]


def info_nce(logits: Tensor) -> Tensor:
    """Cross entropy of the right caption among all of a batch, and of the right picture: their mean.

    Args:
        logits: score of picture i with caption j, (B, B); the pairs stand on the diagonal.
    Source: van den Oord et al. 2018, eq. 4; symmetric as in Radford et al. 2021.
    """
    if logits.ndim != 2 or logits.shape[0] != logits.shape[1]:
        raise ValueError(f"logits: expected (B, B), got {tuple(logits.shape)}")
    pairs = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2


def _loss(pairs: Callable[[int], tuple[Tensor, Tensor]]) -> training.Loss:
    """`info_nce` on the pictures and captions that belong to a step."""

    def loss(net: nn.Module, step: int, *, rank: int = 0, world: int = 1) -> Tensor:
        training.one_process(world, "a contrastive loss")
        device = next(net.parameters()).device
        return info_nce(net(*(part.to(device) for part in pairs(step))))

    return loss


def contrast_loss(*, batch: int, seed: int) -> training.Loss:
    """`info_nce` on the endless training stream of scenes: the stream that the denoiser learned from.

    Captions lose words as they do there, but none is null. Where words are lost a batch may hold a caption that fits
    two of its pictures, so the loss cannot reach 0.

    Args:
        batch: scenes per step; each is told from all others.
        seed: of the dropped words.
    """

    def pairs(step: int) -> tuple[Tensor, Tensor]:
        rng = Rng(seed).spawn("words", step)
        return scenes.batch("train", range(step * batch, (step + 1) * batch), generator=rng, null=0.0)

    return _loss(pairs)


def partners(first: int, pairs: int) -> tuple[Tensor, Tensor]:
    """Scenes of two objects, each followed by its partner, in which the objects have exchanged their colours.

    Args:
        first: scene of the training stream to start from; those that do not fit are left out.
        pairs: how many.
    Returns:
        pictures (2 * pairs, 3, 32, 32) and captions (2 * pairs, 12) of colours, shapes and relation.
    """
    pictures, captions = [], []
    for index in count(first):
        made = plan("train", index)
        others = exchanged(*made.things) if len(made.things) == 2 else None
        if others is None:
            continue
        for things in (made.things, others):
            pictures.append(scenes.make(things, background=made.background, phase=made.phase).image)
            captions.append(scenes.encode(told_by(things, made.relation)))
        if len(pictures) == 2 * pairs:
            return torch.stack(pictures), torch.stack(captions)


def partners_loss(*, batch: int) -> training.Loss:
    """`info_nce` on batches in which every scene stands beside a partner whose caption has the same words.

    Without the order of words the two captions of a pair are one, so the loss cannot fall below log 2.

    Args:
        batch: pictures per step, half of them partners.
    Source: Yuksekgonul et al. 2022, arXiv 2210.01936 (hard negatives by composition).
    """
    return _loss(lambda step: partners(2 * step * batch, batch // 2))  # four scenes a pair: one in three fits


@torch.no_grad()
def evaluate(net: nn.Module, n: int = 2000, batch: int = 100) -> dict:
    """Loss and share of right captions among the `batch` of a batch, on test scenes with full captions."""
    losses, hits = [], []
    for first in range(0, n, batch):
        x, y = scenes.batch("test", range(first, first + batch), dropping=False, null=0.0)
        logits = net(x, y)
        losses.append(info_nce(logits))
        hits.append((logits.argmax(1) == torch.arange(batch)).double().mean())
    return {
        "info_nce_on_test": round(float(torch.stack(losses).mean()), 4),
        "right_caption_of_100": round(float(torch.stack(hits).mean()), 4),
        "n": n,
    }
