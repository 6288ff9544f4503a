"""Checks of notebook 2.3: the spectrum of the best denoiser of a Gaussian, and the disagreement of two denoisers."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from denoising.checks import missing, passed, require
from denoising.rng import Rng

__all__ = ["check_gaussian_spectrum", "check_model_variance"]

Denoise = Callable[[Tensor], Tensor]


def check_gaussian_spectrum(gaussian_spectrum: Callable[[Tensor, float], Any], *, strict: bool = False) -> None:
    """`gaussian_spectrum(lam, sigma)`: eigenvalues of the best denoiser's Jacobian for N(0, diag(lam)), (d,).

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "gaussian_spectrum"
    for lam, sigma in (([4.0, 1.0, 0.25], 0.5), ([2.0, 0.5, 0.0, 9.0], 2.0), ([1.0], 1e-6)):
        lam = torch.tensor(lam, dtype=torch.float64)
        got = gaussian_spectrum(lam.clone(), sigma)
        if missing(name, got, strict=strict):
            return
        shape = tuple(got.shape) if isinstance(got, Tensor) else type(got).__name__
        require(isinstance(got, Tensor) and got.shape == lam.shape, name,
                f"expected a tensor {tuple(lam.shape)}, one value for each of lam, got {shape}")  # fmt: skip
        require(bool(torch.isfinite(got).all()), name, "not finite: a direction without variance is shrunk to 0")
        want = lam / (lam + sigma**2)
        for value, cause in (
            (lam / (lam + sigma), "sigma stands where its square belongs: the noise has variance sigma^2"),
            (lam**2 / (lam**2 + sigma**2), "lam is a variance already, do not square it"),
            (lam.sqrt() / (lam.sqrt() + sigma), "these are standard deviations; the ratio is one of variances"),
            (sigma**2 / (lam + sigma**2), "this is the share that is removed; the eigenvalue is what is kept"),
            (lam * sigma**2 / (lam + sigma**2), "this is Cov[x given y]; divide by sigma^2"),
            ((lam > sigma**2).double(), "a threshold keeps or kills; the best denoiser shrinks smoothly"),
        ):
            require(_same(value, want) or not _same(got, value), name, cause)
        off = float((got.double() - want).abs().max())
        require(_same(got, want), name, f"off by {off:.3g} for sigma = {sigma:g}")
    passed(name)


def check_model_variance(
    model_variance: Callable[[Denoise, Denoise, Tensor, float, int], Any], *, strict: bool = False
) -> None:
    """`model_variance(f1, f2, x, sigma, seed)`: mean |f1(y) - f2(y)|^2 over mean |f1(y) - x|^2, y = x + sigma z.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "model_variance"
    x = torch.rand((200, 1, 8, 8), generator=Rng(2310), dtype=torch.float64)
    x[:100] *= 4  # so that a ratio of means is not a mean of ratios
    sigma = 0.4

    def keep(y: Tensor) -> Tensor:
        return y

    def shrink(y: Tensor) -> Tensor:
        return 0.7 * y

    got = model_variance(shrink, keep, x.clone(), sigma, 0)
    if missing(name, got, strict=strict):
        return
    require(isinstance(got, float), name, f"expected a float, got {type(got).__name__}: use float(...)")
    require(got == model_variance(shrink, keep, x.clone(), sigma, 0), name, "the same seed must give the same number")
    require(model_variance(shrink, shrink, x.clone(), sigma, 0) == 0, name,
            "a network does not differ from itself: both must be shown the same noisy picture")  # fmt: skip
    size, noise = float(x.square().mean()), sigma**2
    top, error = 0.09 * (size + noise), 0.09 * size + 0.49 * noise  # shrink against keep, and shrink against x
    want = top / error
    each = x.square().mean((1, 2, 3))  # of every picture, and then the ratio of every picture
    ratios = float((0.09 * (each + noise) / (0.09 * each + 0.49 * noise)).mean())
    for value, cause in (
        (want**0.5, "lengths; the definition has their squares"),
        (top / noise, "the error below is that of f1, not that of f2"),
        (top / size, "divide by the error of f1, not by the size of x"),
        (top / (0.09 * (size + noise)), "the error of f1 is measured against the clean x, not against y"),
        (top, "divide by the error of f1: alone this number has a unit"),
        (top * x[0].numel(), "divide by the error of f1: alone this number has a unit"),
        (ratios, "one mean over another, not the mean of ratios"),
        (want / 2, "no half was asked for"),
        (0.09 * (size + 1) / (0.09 * size + 0.49), "the noise has standard deviation sigma, not 1"),
    ):
        require(not _near(got, value), name, cause)
    require(_near(got, want), name, f"expected about {want:.3g} for 0.7 y against y, got {got:.3g}")
    require(got != model_variance(shrink, keep, x.clone(), sigma, 1), name, "another seed must give other noise")
    larger = model_variance(shrink, keep, 7 * x, 7 * sigma, 0)
    require(abs(larger / got - 1) < 1e-6, name, "pictures and noise 7 times larger must give the same number")
    passed(name)


def _same(a: Tensor, b: Tensor) -> bool:
    return bool((a.double() - b).abs().max() < 1e-8)


def _near(a: float, b: float) -> bool:
    return abs(a - b) < 0.05 * abs(b)
