"""An image encoder and a text encoder that agree on pairs: a contrastive model of scenes and captions.

It reads captions with the text encoder of `text_unet`, so that a comparison with that network is one of objectives.
"""

import math

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from denoising.networks.text_unet import PAD, TextEncoder
from denoising.networks.unet import GROUPS

__all__ = ["DualEncoder"]

COLDEST = math.log(100)  # of the logarithm of the scale


def _conv(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride, padding=1), nn.GroupNorm(GROUPS, channels_out), nn.SiLU()
    )


class DualEncoder(ModelMixin, ConfigMixin):
    """Pictures and captions as unit vectors; the scale of their inner products is learned.

    Args:
        sample_size: side of the square images, a multiple of 8.
        in_channels: colour planes of an image.
        channels: width at 16x16, 8x8 and 4x4, multiples of 8.
        hidden: width between the last map and the vector, and between the words' mean and the vector.
        dim: length of the vectors.
        ordered: whether the text encoder knows the order. Without it, captions with the same words are the same.
        vocabulary, length, width, heads: of the text encoder.
    Source: Radford et al. 2021 (contrastive pretraining of two encoders).
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int = 32,
        in_channels: int = 3,
        channels: tuple[int, int, int] = (32, 64, 112),
        hidden: int = 96,
        dim: int = 64,
        ordered: bool = True,
        vocabulary: int = 64,
        length: int = 12,
        width: int = 64,
        heads: int = 4,
    ):
        super().__init__()
        if sample_size % 8:
            raise ValueError(f"sample_size: expected a multiple of 8, got {sample_size}")
        if len(channels) != 3 or any(c % GROUPS for c in channels):
            raise ValueError(f"channels: expected three multiples of {GROUPS}, got {channels}")
        high, middle, low = channels
        self.eye = nn.Sequential(
            nn.PixelUnshuffle(2),
            _conv(4 * in_channels, high),
            _conv(high, middle, 2),
            _conv(middle, middle),
            _conv(middle, low, 2),
            _conv(low, low),
            nn.Flatten(),  # places stay apart: a mean over them would lose who is left of whom
            nn.Linear(low * (sample_size // 8) ** 2, hidden),
            nn.SiLU(),
            nn.Linear(hidden, dim),
        )
        self.text = TextEncoder(vocabulary, length, width, heads, ordered=ordered)
        self.says = nn.Sequential(nn.Linear(width, hidden), nn.SiLU(), nn.Linear(hidden, dim))
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def encode_images(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to unit vectors (B, dim).

        Raises:
            ValueError: for images of another shape.
        """
        size, planes = self.config.sample_size, self.config.in_channels
        if x.ndim != 4 or x.shape[1:] != (planes, size, size):
            raise ValueError(f"x: expected (B, {planes}, {size}, {size}), got {tuple(x.shape)}")
        return F.normalize(self.eye(x.contiguous()), dim=1)

    def encode_texts(self, captions: Tensor) -> Tensor:
        """Token ids (B, L), int64, to unit vectors (B, dim); padding is invisible.

        Raises:
            ValueError: for another shape or type, an id out of range, or a caption without any word.
        """
        size, known = self.config.length, self.config.vocabulary
        if not isinstance(captions, Tensor) or captions.dtype != torch.int64:
            got = captions.dtype if isinstance(captions, Tensor) else type(captions).__name__
            raise ValueError(f"captions: expected int64 ids, got {got}")
        if captions.ndim != 2 or not 1 <= captions.shape[1] <= size:
            raise ValueError(f"captions: expected (B, L), L at most {size}, got {tuple(captions.shape)}")
        if captions.min() < 0 or captions.max() >= known:
            raise ValueError(f"captions: expected ids in 0..{known - 1}, got {captions.tolist()}")
        if not (captions != PAD).any(1).all():
            raise ValueError("captions: expected at least one word in each, got one of padding alone")
        if not self.config.ordered:  # sorted, so that equal bags are equal to the last bit
            captions = captions.sort(1, descending=True).values
        words, mask = self.text(self.text.table(captions), captions != PAD)
        mean = (words * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return F.normalize(self.says(mean), dim=1)

    def forward(self, x: Tensor, captions: Tensor) -> Tensor:
        """Scores of every image (B, C, H, W) with every caption (K, L): (B, K), logits of a softmax over either."""
        scale = self.log_scale.clamp(max=COLDEST).exp()
        return scale * self.encode_images(x) @ self.encode_texts(captions).T
