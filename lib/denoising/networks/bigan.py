"""A generative adversarial network that also learns the way back: generator, encoder and a critic of pairs."""

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

__all__ = ["BiGAN"]

SLOPE = 0.2  # of every leaky ReLU


def _layer(conv: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.LeakyReLU(SLOPE))


class Critic(nn.Module):
    """Three scores of a pair of picture and code: of the picture, of the code, and of both together.

    Every layer's spectral norm is 1, which bounds how steep the scores can be.
    """

    def __init__(self, planes: int, width: int, latent: int, side: int):
        super().__init__()
        w, cells = width, side * side
        down = ((planes, w // 2), (w // 2, 2 * w), (2 * w, 4 * w))
        self.trunk = nn.ModuleList(spectral_norm(nn.Conv2d(a, b, 4, 2, padding=1)) for a, b in down)
        self.code = nn.ModuleList(spectral_norm(nn.Linear(a, 2 * w)) for a in (latent, 2 * w))
        self.joint = spectral_norm(nn.Conv2d(6 * w, 3 * w, 3, padding=1))
        self.of_picture = spectral_norm(nn.Linear(4 * w * cells, 1))
        self.of_code = spectral_norm(nn.Linear(2 * w, 1))
        self.of_both = spectral_norm(nn.Linear(3 * w * cells, 1))

    def maps(self, x: Tensor) -> list[Tensor]:
        """Activations of the layers that see the picture alone, from the widest map to the smallest."""
        maps = []
        for conv in self.trunk:
            x = F.leaky_relu(conv(x), SLOPE)
            maps.append(x)
        return maps

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Pictures (B, C, H, W) and codes (B, latent) to scores (B, 3); high for a picture and the encoder's code."""
        h = self.maps(x)[-1]
        for layer in self.code:
            z = F.leaky_relu(layer(z), SLOPE)
        both = torch.cat([h, z[:, :, None, None].expand(-1, -1, *h.shape[2:])], 1)
        both = F.leaky_relu(self.joint(both), SLOPE)
        return torch.cat([self.of_picture(h.flatten(1)), self.of_code(z), self.of_both(both.flatten(1))], 1)


class BiGAN(ModelMixin, ConfigMixin):
    """Encoder x -> z, generator z -> x, and a critic that tells (x, E(x)) from (G(z), z).

    The critic has scores for the picture and for the code alone besides the one for the pair, as BigBiGAN has.

    Args:
        sample_size: side of the square images, a multiple of 8.
        in_channels: colour planes.
        width: the maps have width / 2, 2 width and 4 width channels, from the largest map to the smallest.
        latent: length of a code.
    Source: Donahue et al. 2017, arXiv 1605.09782; Donahue and Simonyan 2019, arXiv 1907.02544 (scores of one part).
    """

    @register_to_config
    def __init__(self, sample_size: int = 32, in_channels: int = 1, width: int = 32, latent: int = 48):
        super().__init__()
        if sample_size % 8:
            raise ValueError(f"sample_size: expected a multiple of 8 (three halvings), got {sample_size}")
        w, self.side = width, sample_size // 8
        down = ((in_channels, w // 2), (w // 2, 2 * w), (2 * w, 4 * w))
        self.encoder = nn.ModuleList(_layer(nn.Conv2d(a, b, 4, 2, padding=1, bias=False), b) for a, b in down)
        self.to_code = nn.Linear(4 * w * self.side**2, latent)
        self.from_code = nn.Linear(latent, 4 * w * self.side**2)
        self.generator = nn.Sequential(
            nn.BatchNorm2d(4 * w),
            nn.LeakyReLU(SLOPE),
            _layer(nn.ConvTranspose2d(4 * w, 2 * w, 4, 2, padding=1, bias=False), 2 * w),
            _layer(nn.ConvTranspose2d(2 * w, w // 2, 4, 2, padding=1, bias=False), w // 2),
            nn.ConvTranspose2d(w // 2, in_channels, 4, 2, padding=1),
            nn.Tanh(),
        )
        self.critic = Critic(in_channels, w, latent, self.side)

    def maps(self, x: Tensor) -> list[Tensor]:
        """Activations of the encoder's layers, from the widest map to the smallest, (B, 4 * width, H / 8, W / 8).

        Raises:
            ValueError: for images of another shape.
        """
        size, planes = self.config.sample_size, self.config.in_channels
        if x.ndim != 4 or x.shape[1:] != (planes, size, size):
            raise ValueError(f"x: expected (B, {planes}, {size}, {size}), got {tuple(x.shape)}")
        maps = []
        for layer in self.encoder:
            x = layer(x)
            maps.append(x)
        return maps

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """What every layer that sees a picture computes, by name; the code as maps of one cell."""
        named = {f"encoder {i}": m for i, m in enumerate(self.maps(x))}
        named |= {f"critic {i}": m for i, m in enumerate(self.critic.maps(x))}
        return named | {"code": self.encode(x)[:, :, None, None]}

    def encode(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to codes (B, latent)."""
        return self.to_code(self.maps(x)[-1].flatten(1))

    def generate(self, z: Tensor) -> Tensor:
        """Codes (B, latent) to images (B, C, H, W) in [-1, 1]."""
        h = self.from_code(z).view(len(z), -1, self.side, self.side)
        return self.generator(h.contiguous(memory_format=torch.channels_last))

    def forward(self, x: Tensor) -> Tensor:
        """Images through the encoder and back."""
        return self.generate(self.encode(x))
