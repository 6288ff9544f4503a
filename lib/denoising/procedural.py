"""Pictures made by a formula, as many as wanted, whose dimension or smoothness is known."""

import math

import torch
from torch import Tensor

from denoising import validate

__all__ = ["contours", "disc", "discs"]


def disc(parameters: Tensor, size: int = 32) -> Tensor:
    """A disc with a soft edge on a plain ground: a smooth map from five numbers to a picture.

    Args:
        parameters: (N, 5): row and column of the centre and the radius, as shares of the side; brightness of the disc
            and of the ground. Its dtype is that of the pictures.
        size: side in pixels.
    Returns:
        (N, 1, size, size).
    """
    validate.finite("parameters", parameters, ndim=2, last=5)
    row, column, radius, inside, ground = (part[:, None, None] for part in parameters.unbind(1))
    place = (torch.arange(validate.count("size", size)).to(parameters) + 0.5) / size
    # the small constant keeps the distance smooth at the centre
    distance = ((place[:, None] - row) ** 2 + (place - column) ** 2 + 1e-6).sqrt()
    share = torch.sigmoid((radius - distance) * size)  # the edge is about two pixels wide at every size
    return (ground + (inside - ground) * share)[:, None]


def discs(n: int, *, generator: torch.Generator, size: int = 32) -> tuple[Tensor, Tensor]:
    """n random discs and the five numbers of each, (n, 1, size, size) and (n, 5), float32.

    Source: the manifold of Kadkhodaie et al. 2024, arXiv 2310.02557, section 4; ranges are ours.
    """
    low = torch.tensor([0.3, 0.3, 0.12, 0.0, 0.0])
    high = torch.tensor([0.7, 0.7, 0.28, 1.0, 1.0])
    parameters = low + (high - low) * torch.rand((validate.count("n", n), 5), generator=generator)
    return disc(parameters, size), parameters


def contours(n: int, *, smoothness: float, generator: torch.Generator, size: int = 32) -> Tensor:
    """Two textures that meet along a contour, all three of one smoothness: the C^alpha images.

    Textures and contour are Gaussian noise whose Fourier coefficients fall like |frequency|^-smoothness (and half a
    power more for each dimension), so that larger values mean smoother.

    Args:
        n: how many.
        smoothness: alpha, above 0.
        size: side in pixels.
    Returns:
        (n, 1, size, size), float32, in [0, 1].
    Source: Kadkhodaie et al. 2024, arXiv 2310.02557, section 4.1; amplitudes are ours.
    """
    alpha = validate.number("smoothness", smoothness, lo=0, open_lo=True)
    validate.count("n", n), validate.count("size", size)
    wide = 2 * size  # made twice too large and cut, because the Fourier transform makes opposite borders meet
    frequency = torch.fft.fftfreq(wide).abs()
    plane = (frequency[:, None] ** 2 + frequency**2).sqrt()
    textures = _noise((n, 2, wide, wide), plane, alpha + 1, generator)[..., :size, :size]
    contour = _noise((n, wide), frequency, alpha + 0.5, generator)[:, :size]
    height = size / 2 + size / 5 * contour[:, None, :]
    share = torch.sigmoid(2 * (height - torch.arange(size)[:, None]))[:, None]  # 1 above the contour
    above, below = textures[:, :1], textures[:, 1:]
    picture = share * (0.7 + 0.12 * above) + (1 - share) * (0.3 + 0.12 * below)
    return picture.clamp(0, 1)


def _noise(shape: tuple[int, ...], frequency: Tensor, power: float, generator: torch.Generator) -> Tensor:
    """Gaussian noise of mean 0 and variance 1 (over draws) and spectrum frequency^-power, along frequency's axes."""
    spectrum = torch.where(frequency > 0, frequency.clamp(min=1e-9) ** -power, torch.zeros(()))
    axes = tuple(range(-frequency.ndim, 0))
    noise = torch.randn(shape, generator=generator)
    filtered = torch.fft.ifftn(torch.fft.fftn(noise, dim=axes) * spectrum, dim=axes).real
    return filtered * math.sqrt(frequency.numel()) / spectrum.square().sum().sqrt()
