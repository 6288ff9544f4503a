"""A blind denoiser without any additive constant: it is told no noise level and its answer scales with its input."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

__all__ = ["BiasFreeUNet"]


class _Scale(nn.Module):
    """Divide each channel by its running standard deviation. No mean is taken off: that would be a bias."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        variance = self.variance
        if self.training:
            variance = x.var((0, 2, 3))
            self.variance.lerp_(variance.detach(), 0.1)
        return x * (self.weight / (variance + 1e-5).sqrt())[:, None, None]


def _layers(*channels: int) -> nn.Sequential:
    return nn.Sequential(
        *(m for a, b in pairwise(channels) for m in (nn.Conv2d(a, b, 3, padding=1, bias=False), _Scale(b), nn.ReLU()))
    )


class BiasFreeUNet(ModelMixin, ConfigMixin):
    """y = x_0 + sigma z to a guess of x_0, at every sigma.

    Convolutions without bias, ReLU, and a scale in place of batch norm make the network homogeneous: f(c y) = c f(y)
    for c > 0, so f(y) = J(y) y with its own Jacobian J. It predicts the noise part y - x_0.

    Args:
        in_channels: colour planes. Images are best given in [0, 1], so that an empty background is 0.
        width: channels at full resolution; twice as many below.
    Source: Mohan et al. 2020 (bias-free networks); Kadkhodaie et al. 2024, arXiv 2310.02557.
    """

    @register_to_config
    def __init__(self, in_channels: int = 1, width: int = 16):
        super().__init__()
        w = width
        self.down1 = _layers(in_channels, w, w)
        self.down2 = _layers(w, 2 * w, 2 * w)
        self.middle = _layers(2 * w, 2 * w)
        self.up2 = _layers(4 * w, 2 * w)
        self.up1 = _layers(3 * w, w, w)
        self.out = nn.Conv2d(w, in_channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W), H and W multiples of 4, to cleaner ones of the same shape.

        Raises:
            ValueError: for images of another shape.
        """
        planes = self.config.in_channels
        if x.ndim != 4 or x.shape[1] != planes or x.shape[2] % 4 or x.shape[3] % 4:
            raise ValueError(f"x: expected (B, {planes}, H, W), H and W multiples of 4, got {tuple(x.shape)}")
        one = self.down1(x)
        two = self.down2(F.avg_pool2d(one, 2))
        low = self.middle(F.avg_pool2d(two, 2))
        two = self.up2(torch.cat([two, F.interpolate(low, scale_factor=2)], 1))
        one = self.up1(torch.cat([one, F.interpolate(two, scale_factor=2)], 1))
        return x - self.out(one)
