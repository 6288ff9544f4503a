"""A text-conditional U-Net: captions of the scenes enter through cross-attention at 16x16 and at 8x8.

It folds 2x2 pixels into channels like `unet`, and shares its blocks. The text encoder takes the vectors of words, not
their numbers, so that a free vector can stand where a word does.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from denoising.networks.unet import GROUPS, Attention, Prediction, Resample, ResBlock, timestep_features

__all__ = ["Context", "CrossAttention", "TextEncoder", "TextUNet"]

PAD, NULL = 0, 1  # token ids with a meaning of their own
WORDS_STD = 0.5  # of the start vectors of words, and of positions
NEAR = 5  # words, from the second before to the second after
Store = dict[str, Tensor]


class Context(NamedTuple):
    """Encoded captions: words, (B, L, width), and which of them are there, (B, L), bool."""

    words: Tensor
    mask: Tensor


class TextEncoder(nn.Module):
    """Word vectors, positions, a look at the neighbours, and one transformer layer with normalisation before each part.

    The convolution over five words tells a shape at once which colour stands beside it and which side of the relation
    it is on. Attention alone has to find that out from the positions; a U-Net that was trained for 2000 steps without
    the convolution knew what a caption names, and nothing of its order.

    Args:
        vocabulary: token ids 0 .. vocabulary - 1; 0 is padding.
        length: words in a caption, at most.
        width: of every vector.
        heads: of self-attention.
        ordered: whether it knows the order of the words. Without it there are neither positions nor neighbours.
    """

    def __init__(
        self, vocabulary: int = 64, length: int = 12, width: int = 64, heads: int = 4, *, ordered: bool = True
    ):
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(WORDS_STD * torch.randn(length, width)) if ordered else None
        self.near = nn.Conv1d(width, width, NEAR, padding=NEAR // 2) if ordered else None
        self.layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout=0.0, activation=F.gelu, batch_first=True, norm_first=True
        )
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.table.weight, std=WORDS_STD)

    def forward(self, vectors: Tensor, mask: Tensor) -> Context:
        """Word vectors (B, L, width) and which are there (B, L), bool, to a `Context`."""
        h = vectors
        if self.near is not None:
            h = (h + self.positions[: vectors.shape[1]]) * mask[..., None]  # padding is nobody's neighbour
            h = h + self.near(h.mT).mT
        # the float mask keeps torch on one path, in training and in use
        absent = torch.zeros(mask.shape, dtype=h.dtype, device=h.device).masked_fill(~mask, -torch.inf)
        return Context(self.norm(self.layer(h, src_key_padding_mask=absent)), mask)


class CrossAttention(nn.Module):
    """Every pixel of a feature map looks at the words of its caption; padding is invisible."""

    def __init__(self, channels: int, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.to_q = nn.Conv2d(channels, channels, 1, bias=False)
        self.to_k = nn.Linear(width, channels, bias=False)
        self.to_v = nn.Linear(width, channels, bias=False)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, context: Context, store: Store | None = None, name: str = "") -> Tensor:
        """x: (B, C, H, W). Returns the same shape; puts the maps, (B, heads, H, W, L), into `store` under `name`."""
        b, c, height, width = x.shape
        q = self.to_q(self.norm(x)).flatten(2).view(b, self.heads, c // self.heads, -1).transpose(-1, -2)
        k, v = (
            to(context.words).view(b, -1, self.heads, c // self.heads).transpose(1, 2) for to in (self.to_k, self.to_v)
        )
        mask = context.mask[:, None, None]  # (B, 1, 1, L)
        if store is None:
            h = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        else:
            scores = q @ k.transpose(-1, -2) * (c // self.heads) ** -0.5  # (B, heads, HW, L)
            maps = scores.masked_fill(~mask, -torch.inf).softmax(-1)
            store[name] = maps.unflatten(2, (height, width))
            h = maps @ v
        return x + self.out(h.transpose(-1, -2).reshape(b, c, height, width))


class Stage(nn.Module):
    """A residual block, self-attention if wanted, then cross-attention."""

    def __init__(self, channels_in: int, channels_out: int, emb: int, width: int, heads: int, attend: bool):
        super().__init__()
        self.block = ResBlock(channels_in, channels_out, emb)
        self.own = Attention(channels_out, heads) if attend else None
        self.cross = CrossAttention(channels_out, width, heads)

    def forward(self, h: Tensor, e: Tensor, context: Context, store: Store | None, name: str) -> Tensor:
        h = self.block(h, e)
        if self.own is not None:
            h = self.own(h, e)
        return self.cross(h, context, store, name)


def _places(x: Tensor) -> Tensor:
    """Row and column of every pixel, from -1 to 1: (B, 2, H, W).

    Without them a pixel learns only from the padding of far borders whether it is on the left or on the right.
    """
    rows, columns = (torch.linspace(-1, 1, side, device=x.device, dtype=x.dtype) for side in x.shape[2:])
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij")).expand(len(x), -1, -1, -1)


class TextUNet(ModelMixin, ConfigMixin):
    """Folded U-Net with captions, predicting v.

    Args:
        sample_size: side of the square images, a multiple of 2 * fold.
        in_channels: colour planes of an image.
        channels: width at the higher and at the lower resolution, multiples of 8 and of heads.
        fold: side of the pixel blocks folded into channels.
        emb: width of the condition on time.
        heads: attention heads everywhere.
        vocabulary, length, width: of the text encoder.
    Source: Ho et al. 2020 (U-Net for diffusion), Rombach et al. 2022 (cross-attention to text), Shi et al. 2016 (pixel
        shuffle).
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int = 32,
        in_channels: int = 3,
        channels: tuple[int, int] = (64, 112),
        fold: int = 2,
        emb: int = 128,
        heads: int = 4,
        vocabulary: int = 64,
        length: int = 12,
        width: int = 64,
    ):
        super().__init__()
        if sample_size % (2 * fold):
            raise ValueError(f"sample_size: expected a multiple of {2 * fold}, got {sample_size}")
        if len(channels) != 2 or any(c % GROUPS or c % heads for c in channels):
            raise ValueError(f"channels: expected two multiples of {GROUPS} and of heads = {heads}, got {channels}")
        high, low = channels
        planes = in_channels * fold**2
        self.text = TextEncoder(vocabulary, length, width, heads)
        self.time = nn.Sequential(nn.Linear(high, emb), nn.SiLU(), nn.Linear(emb, emb), nn.SiLU())
        self.entry = nn.Conv2d(planes + 2, high, 3, padding=1)
        self.down16 = Stage(high, high, emb, width, heads, attend=False)
        self.shrink = Resample(high, 0.5)
        self.down8 = Stage(high, low, emb, width, heads, attend=True)
        self.mid8 = Stage(low, low, emb, width, heads, attend=True)
        self.up8 = Stage(2 * low, low, emb, width, heads, attend=True)
        self.grow = Resample(low, 2)
        self.up16 = Stage(low + high, high, emb, width, heads, attend=False)
        self.head = nn.Sequential(nn.GroupNorm(GROUPS, high), nn.SiLU(), nn.Conv2d(high, planes, 3, padding=1))
        nn.init.zeros_(self.head[-1].weight)
        nn.init.zeros_(self.head[-1].bias)

    def context(self, captions: Tensor, mask: Tensor | None = None) -> Context:
        """Encode captions once, for many calls.

        Args:
            captions: token ids, (B, L), int64; or word vectors, (B, L, width), float, such as those of
                `text.table(ids)` with some replaced. L is at most 12.
            mask: which words are there, (B, L), bool; without it, for ids all but the padding, for vectors all.
        Raises:
            ValueError: for another shape or type, an id out of range, or a caption without any word.
        """
        size, width = self.config.length, self.config.width
        if not isinstance(captions, Tensor) or not (captions.is_floating_point() or captions.dtype == torch.int64):
            got = captions.dtype if isinstance(captions, Tensor) else type(captions).__name__
            raise ValueError(f"captions: expected int64 ids or float vectors, got {got}")
        ids = not captions.is_floating_point()
        shape = "(B, L)" if ids else f"(B, L, {width})"
        fits = (
            captions.ndim == (2 if ids else 3)
            and 1 <= captions.shape[1] <= size
            and (ids or captions.shape[2] == width)
        )
        if not fits:
            raise ValueError(f"captions: expected {shape}, L at most {size}, got {tuple(captions.shape)}")
        if ids and (captions.min() < 0 or captions.max() >= self.config.vocabulary):
            raise ValueError(f"captions: expected ids in 0..{self.config.vocabulary - 1}, got {captions.tolist()}")
        if mask is None:
            mask = captions != PAD if ids else torch.ones(captions.shape[:2], dtype=torch.bool, device=captions.device)
        if mask.dtype != torch.bool or mask.shape != captions.shape[:2]:
            raise ValueError(
                f"mask: expected bool of shape {tuple(captions.shape[:2])}, got {mask.dtype} of {tuple(mask.shape)}"
            )
        if not mask.any(1).all():
            raise ValueError("captions: expected at least one word in each, got one of padding alone")
        place = self.entry.weight.device
        vectors = self.text.table(captions.to(place)) if ids else captions.to(place)
        return self.text(vectors, mask.to(place))

    def cond(self, timestep: Tensor) -> Tensor:
        """The condition of every block on time, (B,) to (B, emb)."""
        return self.time(timestep_features(timestep, self.config.channels[0]).to(self.entry.weight.dtype))

    def down(self, x: Tensor, e: Tensor, context: Context, store: Store | None = None) -> tuple[Tensor, list[Tensor]]:
        """Images (B, C, H, W) to the deepest features (B, channels[1], h, w) and the two skips."""
        x = F.pixel_unshuffle(x, self.config.fold)
        x = torch.cat([x, _places(x)], dim=1).contiguous(memory_format=torch.channels_last)
        high = self.down16(self.entry(x), e, context, store, "down16")
        low = self.down8(self.shrink(high, e), e, context, store, "down8")
        return low, [high, low]

    def mid(self, h: Tensor, e: Tensor, context: Context, store: Store | None = None) -> Tensor:
        """The deepest features, refined; shape kept."""
        return self.mid8(h, e, context, store, "mid8")

    def up(self, h: Tensor, skips: list[Tensor], e: Tensor, context: Context, store: Store | None = None) -> Tensor:
        """Deepest features and skips to a prediction of v, (B, C, H, W)."""
        high, low = skips
        h = self.up8(torch.cat([h, low], dim=1), e, context, store, "up8")
        h = self.up16(torch.cat([self.grow(h, e), high], dim=1), e, context, store, "up16")
        return F.pixel_shuffle(self.head(h), self.config.fold).contiguous()

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | float | int,
        captions: Tensor | Context | None = None,
        attn_store: Store | None = None,
        return_dict: bool = True,
    ) -> Prediction | tuple[Tensor]:
        """Predict v.

        Args:
            sample: noisy images, (B, C, H, W), float32.
            timestep: row of the table, 0 <= timestep < 1000, a number or (B,); fractions allowed.
            captions: what `context` takes, or what it returned; `None` is the null caption for all.
            attn_store: a dictionary that receives the attention of pixels to words, (B, heads, H, W, L), under the keys
                down16, down8, mid8, up8, up16; the number is the side of the map.
            return_dict: `False` returns the tuple `(v,)`.
        Returns:
            a `Prediction` whose `sample` is v, (B, C, H, W).
        Raises:
            ValueError: for another shape than the network was built for, and as `context` does.
        """
        size, planes = self.config.sample_size, self.config.in_channels
        if sample.ndim != 4 or sample.shape[1:] != (planes, size, size):
            raise ValueError(f"sample: expected (B, {planes}, {size}, {size}), got {tuple(sample.shape)}")
        timestep = torch.as_tensor(timestep, device=sample.device)
        if timestep.ndim > 1 or (timestep.ndim == 1 and len(timestep) not in (1, len(sample))):
            raise ValueError(f"timestep: expected a number or shape ({len(sample)},), got {tuple(timestep.shape)}")
        if captions is None:
            captions = torch.full((len(sample), 1), NULL)
        context = captions if isinstance(captions, Context) else self.context(captions)
        if len(context.words) != len(sample):
            raise ValueError(f"captions: expected one for each of {len(sample)} images, got {len(context.words)}")
        e = self.cond(timestep.expand(len(sample)))
        h, skips = self.down(sample, e, context, attn_store)
        v = self.up(self.mid(h, e, context, attn_store), skips, e, context, attn_store)
        return Prediction(sample=v) if return_dict else (v,)
