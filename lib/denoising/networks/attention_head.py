"""A head on frozen feature maps: a few learned questions to the cells of a map."""

import torch
from torch import Tensor, nn

from denoising import validate

__all__ = ["AttentionHead"]


class AttentionHead(nn.Module):
    """Logits from maps. Each question weighs the cells by a softmax and takes the mean of their values.

    Args:
        channels: of a map.
        cells: height times width; every cell learns its place.
        num_classes: logits.
        generator: CPU source of the start weights.
        questions: how many; each has a mean of its own.
        width: numbers that a cell's value holds.
    Source: the class token of Dosovitskiy et al. 2021, with the map's cells in place of patches.
    """

    def __init__(
        self,
        channels: int,
        cells: int,
        num_classes: int,
        *,
        generator: torch.Generator,
        questions: int = 4,
        width: int = 32,
    ):
        super().__init__()
        validate.count("questions", questions)
        self.ask = nn.Parameter(torch.empty(questions, channels))
        self.place = nn.Parameter(torch.zeros(validate.count("cells", cells), channels))
        self.key, self.value = nn.Linear(channels, channels), nn.Linear(channels, width)
        self.out = nn.Linear(questions * width, num_classes)
        for weight in (self.ask, self.key.weight, self.value.weight, self.out.weight):
            nn.init.normal_(weight, std=weight.shape[1] ** -0.5, generator=generator)
        for layer in (self.key, self.value, self.out):
            nn.init.zeros_(layer.bias)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (B, channels, h, w), h w = cells, to logits (B, num_classes)."""
        cells = maps.flatten(2).mT + self.place
        look = (self.key(cells) @ self.ask.T).softmax(1)  # (B, cells, questions)
        return self.out((look.mT @ self.value(cells)).flatten(1))
