"""A classifier of 8x8 pictures that trains in seconds."""

import torch
from torch import Tensor, nn

__all__ = ["DigitNet"]


class DigitNet(nn.Module):
    """Three 3x3 convolutions with ReLU and one linear layer; 15 338 weights.

    Args:
        noise_aware: whether it is told the time, as a second plane that holds t.
        generator: of the start weights, uniform with the usual bound 1 / sqrt(inputs).
        num_classes: labels.
    """

    def __init__(self, noise_aware: bool = False, *, generator: torch.Generator, num_classes: int = 10):
        super().__init__()
        self.planes = 1 + noise_aware
        self.layers = nn.Sequential(
            nn.Conv2d(self.planes, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(128, num_classes),
        )
        for layer in self.layers:
            for weight in layer.parameters():
                bound = layer.weight[0].numel() ** -0.5
                nn.init.uniform_(weight, -bound, bound, generator=generator)

    def forward(self, x: Tensor, t: Tensor | None = None) -> Tensor:
        """Pictures (B, 64), and times (B,) if it is noise-aware, to logits (B, num_classes).

        Raises:
            ValueError: for pictures of another size, or a time that is missing or not wanted.
        """
        if x.ndim != 2 or x.shape[1] != 64:
            raise ValueError(f"x: expected (B, 64), got {tuple(x.shape)}")
        if (t is None) == (self.planes == 2):
            raise ValueError(f"t: expected {'a time for each' if self.planes == 2 else 'no time'}, got {t}")
        x = x if t is None else torch.cat([x, t.to(x)[:, None].expand_as(x)], 1)
        return self.layers(x.view(-1, self.planes, 8, 8))
