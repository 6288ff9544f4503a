"""Networks that take the strength of guidance as an input: one call answers what two calls and a mixture answered.

The strength enters as sines and cosines through one linear map that starts at zero. A network that starts from trained
weights therefore gives their answer at every strength, until it is trained to do otherwise.
"""

from functools import wraps

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from denoising import validate
from denoising.networks.mlp import MLP
from denoising.networks.unet import Prediction, UNet, timestep_features

__all__ = ["AtStrength", "GuidedMLP", "GuidedUNet", "strength_features"]

FREQUENCIES = 4
W_MAX = 4.0  # a quarter of the longest wave, whose sine and cosine are then one-to-one on [0, W_MAX]


def strength_features(w: Tensor) -> Tensor:
    """Sines and cosines of a guidance strength.

    Args:
        w: strength in the convention (1 + w) conditional - w unconditional, (B,); made for [0, 4].
    Returns:
        features, (B, 8).
    Source: Meng et al. 2022, arXiv 2210.03142, section 3 (Fourier features of w).
    """
    waves = 2.0 ** torch.arange(FREQUENCIES, device=w.device, dtype=w.dtype)
    angle = w[:, None] * torch.pi / (2 * W_MAX) * waves
    return torch.cat([angle.cos(), angle.sin()], dim=1)


def _projection(width: int) -> nn.Linear:
    layer = nn.Linear(2 * FREQUENCIES, width, bias=False)
    nn.init.zeros_(layer.weight)
    return layer


def _strengths(w: Tensor | float, x: Tensor) -> Tensor:
    w = torch.as_tensor(w, device=x.device, dtype=x.dtype)
    if w.ndim > 1 or (w.ndim == 1 and len(w) not in (1, len(x))):
        raise ValueError(f"w: expected a number or shape ({len(x)},), got {tuple(w.shape)}")
    return validate.finite("w", w.expand(len(x)))


class GuidedUNet(UNet):
    """The course's U-Net with the strength w as one more condition. Its arguments are those of `UNet`."""

    @wraps(UNet.__init__)
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.strength = _projection(self.config.emb)

    def forward(
        self, sample: Tensor, timestep: Tensor, class_labels: Tensor, w: Tensor | float, return_dict: bool = True
    ) -> Prediction | tuple[Tensor]:
        """Predict v of the guided teacher: as `UNet.forward`, with w a number or (B,)."""
        labels = validate.labels(class_labels, batch=len(sample), classes=self.null_label + 1).to(sample.device)
        features = timestep_features(torch.as_tensor(timestep).expand(len(sample)), self.config.channels[0])
        added = self.strength(strength_features(_strengths(w, sample)))
        e = F.silu(self.time(features.to(sample)) + self.label(labels) + added)
        h, skips = self.encode(sample, e)
        v = self.decode(self.middle(h, e), skips, e)
        return Prediction(sample=v) if return_dict else (v,)


class GuidedMLP(MLP):
    """The network for points in the plane, with the strength w as one more condition. Arguments are those of `MLP`."""

    @wraps(MLP.__init__)
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.strength = _projection(self.first.out_features)

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> "GuidedMLP":
        """Draw the start weights: variance 1 / inputs; biases and the map of the strength are 0. Returns self."""
        for weight in self.parameters():
            if weight.ndim == 2:
                drawn = torch.randn(weight.shape, generator=generator) * weight.shape[1] ** -0.5
                weight.copy_(0 * drawn if weight is self.strength.weight else drawn)
            else:
                weight.zero_()
        return self

    def forward(self, x: Tensor, timestep: Tensor, labels: Tensor, w: Tensor | float) -> Tensor:
        """x: (B, dim); timestep, labels: (B,); w: a number or (B,). Returns (B, dim)."""
        t = ((timestep + 1) / self.num_timesteps).to(x)[:, None]
        angle = t * torch.pi * 2.0 ** torch.arange(-1, 3, device=x.device, dtype=x.dtype)  # (B, 4)
        h = self.first(torch.cat([x, angle.cos(), angle.sin()], dim=1)) + self.label(labels)
        h = h + self.strength(strength_features(_strengths(w, x)))
        for layer in self.hidden:
            h = h + layer(F.silu(h))
        return self.last(F.silu(h))


class AtStrength(nn.Module):
    """A guided network held at one strength, to be called like any other: net(x, timestep, labels).

    Args:
        net: called as `net(x, timestep, labels, w)`.
        w: the strength, a number.
    """

    def __init__(self, net: nn.Module, w: float):
        super().__init__()
        self.net, self.w = net, validate.number("w", w)

    def forward(self, x: Tensor, timestep: Tensor, labels: Tensor) -> Prediction | Tensor:
        return self.net(x, timestep, labels, self.w)
