"""A small convolutional classifier: the metric features, the judge and the guides of the course."""

import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from denoising.networks.unet import timestep_features

__all__ = ["ConvNet"]


class ConvNet(ModelMixin, ConfigMixin):
    """Six 3x3 convolutions, a global mean, one linear layer.

    Args:
        sample_size: side of the square images.
        in_channels: colour planes.
        width: channels of the first layer; the features number 4 * width.
        num_classes: labels.
        noise_aware: whether it is told the time and may be shown x_t. A clean classifier takes images alone.
        num_timesteps: rows of the table that the time is counted in.
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int = 32,
        in_channels: int = 1,
        width: int = 16,
        num_classes: int = 10,
        noise_aware: bool = False,
        num_timesteps: int = 1000,
    ):
        super().__init__()
        widths = [in_channels] + [width * factor for factor in (1, 2, 2, 4, 4, 4)]
        strides = (1, 2, 1, 2, 1, 2)
        pairs = list(zip(widths[:-1], widths[1:], strides, strict=True))
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, stride, padding=1, bias=False) for a, b, stride in pairs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for _, b, _ in pairs)
        # the time shifts every layer's activations
        self.times = nn.ModuleList(nn.Linear(64, b) for _, b, _ in pairs) if noise_aware else None
        self.head = nn.Linear(widths[-1], num_classes)

    def features(self, x: Tensor, t: Tensor | None = None) -> Tensor:
        """The vector before the last layer: images (B, C, H, W) and, if noise-aware, times (B,) to (B, 4 * width).

        Raises:
            ValueError: for images of another shape, or a time that is missing or not wanted.
        """
        size, planes = self.config.sample_size, self.config.in_channels
        if x.ndim != 4 or x.shape[1:] != (planes, size, size):
            raise ValueError(f"x: expected (B, {planes}, {size}, {size}), got {tuple(x.shape)}")
        if (t is None) == self.config.noise_aware:
            wish = "a time for each image" if self.config.noise_aware else "no time: this classifier knows clean images"
            raise ValueError(f"t: expected {wish}, got {'none' if t is None else tuple(t.shape)}")
        e = None if t is None else timestep_features(t * self.config.num_timesteps - 1, 64)
        for index, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = norm(conv(x))
            if e is not None:
                x = x + self.times[index](e)[:, :, None, None]
            x = F.relu(x)
        return x.mean((2, 3))

    def forward(self, x: Tensor, t: Tensor | None = None) -> Tensor:
        """Logits, (B, num_classes)."""
        return self.head(self.features(x, t))
