"""The course's backbone: a class-conditional U-Net that is fast on a CPU because it folds 2x2 pixels into channels.

The cost of a U-Net is set by the channels at its highest resolution. `pixel_unshuffle` at the input and `pixel_shuffle`
at the output move that resolution from 32x32 to 16x16 at an equal number of weights.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.utils import BaseOutput
from torch import Tensor, nn

from denoising import validate

__all__ = ["Attention", "Prediction", "ResBlock", "UNet", "timestep_features"]

GROUPS = 8  # of every GroupNorm


@dataclass
class Prediction(BaseOutput):
    """What diffusers' pipelines expect of a network. `sample`: (B, C, H, W), here a prediction of v."""

    sample: Tensor


def timestep_features(timestep: Tensor, dim: int) -> Tensor:
    """Sines and cosines of a timestep at geometrically spaced frequencies.

    Args:
        timestep: index into the 1000-row table, (B,), float, fractions allowed.
        dim: number of features, even.
    Returns:
        features, (B, dim), float32.
    Source: Vaswani et al. 2017, section 3.5; Ho et al. 2020, appendix B.
    """
    rates = torch.exp(-math.log(10_000) * torch.arange(dim // 2, device=timestep.device) / (dim // 2))
    angle = timestep.float()[:, None] * rates
    return torch.cat([angle.cos(), angle.sin()], dim=1)


class ResBlock(nn.Module):
    """Two 3x3 convolutions around a residual connection; the condition scales and shifts between them."""

    def __init__(self, channels_in: int, channels_out: int, emb: int):
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.cond = nn.Linear(emb, 2 * channels_out)
        self.norm2 = nn.GroupNorm(GROUPS, channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.skip = nn.Conv2d(channels_in, channels_out, 1) if channels_in != channels_out else nn.Identity()
        nn.init.zeros_(self.conv2.weight)  # a fresh block is the identity, so depth costs nothing at the start
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """x: (B, channels_in, H, W); e: (B, emb). Returns (B, channels_out, H, W)."""
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.cond(e)[:, :, None, None].chunk(2, dim=1)  # (B, channels_out, 1, 1) each
        h = torch.addcmul(shift, self.norm2(h), 1 + scale)
        return self.skip(x) + self.conv2(F.silu(h))


class Attention(nn.Module):
    """Self-attention over the pixels of a feature map."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """x: (B, C, H, W); e is accepted and not used, so that every block is called alike. Returns (B, C, H, W)."""
        b, c, height, width = x.shape
        qkv = self.qkv(self.norm(x)).flatten(2)  # (B, 3C, HW)
        q, k, v = qkv.view(b, 3, self.heads, c // self.heads, -1).transpose(-1, -2).unbind(1)  # (B, heads, HW, C/heads)
        h = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(h.transpose(-1, -2).reshape(b, c, height, width))


class Resample(nn.Module):
    """Halve (`by=0.5`) or double (`by=2`) the resolution."""

    def __init__(self, channels: int, by: float):
        super().__init__()
        self.by = by
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, stride=2 if by < 1 else 1)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        return self.conv(x if self.by < 1 else F.interpolate(x, scale_factor=2, mode="nearest"))


class UNet(ModelMixin, ConfigMixin):
    """Folded U-Net with class labels and a null label, predicting v.

    Args:
        sample_size: side of the square images, a multiple of `fold * 2 ** (len(channels) - 1)`.
        in_channels: colour planes of an image.
        channels: width of each resolution, each a multiple of 8.
        attention: whether each resolution has self-attention.
        fold: side of the pixel blocks folded into channels (1 folds nothing).
        emb: width of the condition.
        heads: attention heads.
        num_classes: labels 0 .. num_classes - 1; `num_classes` itself is the null label ("no class").
        num_timesteps: rows of the table that `timestep` counts.
    Source: Ho et al. 2020 (U-Net for diffusion), Dhariwal and Nichol 2021 (scale-shift conditioning), Shi et al. 2016
        (pixel shuffle).
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int = 32,
        in_channels: int = 1,
        channels: tuple[int, ...] = (32, 64, 96),
        attention: tuple[bool, ...] = (False, True, True),
        fold: int = 2,
        emb: int = 128,
        heads: int = 4,
        num_classes: int = 10,
        num_timesteps: int = 1000,
    ):
        super().__init__()
        deepest = fold * 2 ** (len(channels) - 1)
        if sample_size % deepest:
            raise ValueError(f"sample_size: expected a multiple of {deepest} (fold and halvings), got {sample_size}")
        if len(attention) != len(channels):
            raise ValueError(f"attention: expected {len(channels)} flags, one per resolution, got {len(attention)}")
        if any(width % GROUPS or width % heads for width in channels):
            raise ValueError(f"channels: expected multiples of {GROUPS} and of heads = {heads}, got {tuple(channels)}")
        self.null_label = num_classes
        planes = in_channels * fold**2
        self.time = nn.Sequential(nn.Linear(channels[0], emb), nn.SiLU(), nn.Linear(emb, emb))
        self.label = nn.Embedding(num_classes + 1, emb)

        def stage(c_in: int, c_out: int, attend: bool) -> nn.ModuleList:
            return nn.ModuleList([ResBlock(c_in, c_out, emb)] + ([Attention(c_out, heads)] if attend else []))

        widths = list(channels)
        self.entry = nn.Conv2d(planes, widths[0], 3, padding=1)
        self.down = nn.ModuleList()  # every stage leaves one skip behind
        skips, c = [widths[0]], widths[0]
        for level, width in enumerate(widths):
            if level:
                self.down.append(nn.ModuleList([Resample(c, 0.5)]))
                skips.append(c)
            self.down.append(stage(c, width, attention[level]))
            skips.append(c := width)
        self.mid = nn.ModuleList([ResBlock(c, c, emb), Attention(c, heads), ResBlock(c, c, emb)])
        self.up = nn.ModuleList()  # every stage consumes one skip
        for level, width in reversed(list(enumerate(widths))):
            for block in range(2):
                blocks = stage(c + skips.pop(), width, attention[level])
                c = width
                if block == 1 and level:
                    blocks.append(Resample(c, 2))
                self.up.append(blocks)
        self.head = nn.Sequential(nn.GroupNorm(GROUPS, c), nn.SiLU(), nn.Conv2d(c, planes, 3, padding=1))
        nn.init.zeros_(self.head[-1].weight)
        nn.init.zeros_(self.head[-1].bias)

    def cond(self, timestep: Tensor, labels: Tensor) -> Tensor:
        """The condition of every block: timestep (B,) and labels (B,) to (B, emb)."""
        features = timestep_features(timestep, self.config.channels[0]).to(self.label.weight.dtype)
        return F.silu(self.time(features) + self.label(labels))

    def encode(self, x: Tensor, e: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Images (B, C, H, W) to the deepest features (B, channels[-1], h, w) and the skips, one per stage."""
        x = F.pixel_unshuffle(x, self.config.fold).contiguous(memory_format=torch.channels_last)
        h = self.entry(x)
        skips = [h]
        for blocks in self.down:
            for block in blocks:
                h = block(h, e)
            skips.append(h)
        return h, skips

    def middle(self, h: Tensor, e: Tensor) -> Tensor:
        """The deepest features, refined; shape kept."""
        for block in self.mid:
            h = block(h, e)
        return h

    def decode(self, h: Tensor, skips: list[Tensor], e: Tensor) -> Tensor:
        """Deepest features and skips to a prediction of v, (B, C, H, W)."""
        skips = list(skips)
        for blocks in self.up:
            h = torch.cat([h, skips.pop()], dim=1)
            for block in blocks:
                h = block(h, e)
        return F.pixel_shuffle(self.head(h), self.config.fold).contiguous()

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | float | int,
        class_labels: Tensor | None = None,
        return_dict: bool = True,
    ) -> Prediction | tuple[Tensor]:
        """Predict v, with the signature of diffusers' `UNet2DModel`, so that its pipelines can call it.

        Args:
            sample: noisy images, (B, C, H, W), float32.
            timestep: row of the table, 0 <= timestep < 1000, a number or (B,); fractions allowed.
            class_labels: (B,), int64, 0 <= label <= num_classes; `None` is the null label for all.
            return_dict: `False` returns the tuple `(v,)`.
        Returns:
            a `Prediction` whose `sample` is v, (B, C, H, W).
        Raises:
            ValueError: if the images have another shape than the network was built for, or a label is out of range.
        """
        size, planes = self.config.sample_size, self.config.in_channels
        if sample.ndim != 4 or sample.shape[1:] != (planes, size, size):
            raise ValueError(f"sample: expected (B, {planes}, {size}, {size}), got {tuple(sample.shape)}")
        timestep = torch.as_tensor(timestep, device=sample.device)
        if timestep.ndim > 1 or (timestep.ndim == 1 and len(timestep) not in (1, len(sample))):
            raise ValueError(f"timestep: expected a number or shape ({len(sample)},), got {tuple(timestep.shape)}")
        if class_labels is None:
            class_labels = torch.full((len(sample),), self.null_label)
        labels = validate.labels(class_labels, batch=len(sample), classes=self.null_label + 1).to(sample.device)
        e = self.cond(timestep.expand(len(sample)), labels)
        h, skips = self.encode(sample, e)
        v = self.decode(self.middle(h, e), skips, e)
        return Prediction(sample=v) if return_dict else (v,)
