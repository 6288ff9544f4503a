"""A small network for points in the plane."""

import torch
from torch import Tensor, nn

from denoising import validate

__all__ = ["MLP"]


class MLP(nn.Module):
    """Points and a time to a prediction of the points' shape.

    Args:
        dim: coordinates of a point.
        width: hidden units of each layer.
        depth: hidden layers.
        num_classes: labels; 0 for none. `num_classes` itself is the null label.
        num_timesteps: rows of the table that `timestep` counts.
    """

    def __init__(self, dim: int = 2, width: int = 128, depth: int = 3, num_classes: int = 0, num_timesteps: int = 1000):
        super().__init__()
        validate.count("dim", dim)
        validate.count("width", width)
        self.num_timesteps = num_timesteps
        self.label = nn.Embedding(num_classes + 1, width) if num_classes else None
        self.first = nn.Linear(dim + 8, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(validate.count("depth", depth) - 1))
        self.last = nn.Linear(width, dim)

    def forward(self, x: Tensor, timestep: Tensor, labels: Tensor | None = None) -> Tensor:
        """x: (B, dim); timestep: (B,), rows of the table, fractions allowed; labels: (B,). Returns (B, dim)."""
        t = ((timestep + 1) / self.num_timesteps).to(x)[:, None]
        angle = t * torch.pi * 2.0 ** torch.arange(-1, 3, device=x.device, dtype=x.dtype)  # (B, 4)
        h = self.first(torch.cat([x, angle.cos(), angle.sin()], dim=1))
        if self.label is not None:
            null = torch.full((len(x),), self.label.num_embeddings - 1, device=x.device)
            h = h + self.label(null if labels is None else labels)
        for layer in self.hidden:
            h = h + layer(nn.functional.silu(h))  # residual, so that depth does not hurt
        return self.last(nn.functional.silu(h))
