"""Distances between samples, on given features. A distance means little without its floor: real against real."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from denoising import validate

__all__ = [
    "Statistics",
    "bootstrap_interval",
    "coverage",
    "frechet_distance",
    "frechet_gaussians",
    "kid",
    "precision_recall",
    "psnr",
    "sliced_w2",
    "statistics",
    "w2",
]


@dataclass(frozen=True)
class Statistics:
    """A Gaussian fitted to features.

    Attributes:
        mean: (D,), float64.
        cov: (D, D), float64, divided by n - 1.
        n: how many features it was fitted to.
    """

    mean: Tensor
    cov: Tensor
    n: int


def statistics(features: Tensor) -> Statistics:
    """Mean and covariance of features (N, D), N >= 2, in float64."""
    features = validate.finite("features", features, ndim=2).double()
    if len(features) < 2:
        raise ValueError(f"features: expected at least 2 rows, got {len(features)}")
    return Statistics(features.mean(0), torch.cov(features.T).reshape(features.shape[1], -1), len(features))


def _root(cov: Tensor) -> Tensor:
    values, axes = torch.linalg.eigh(cov)
    return (axes * values.clamp(min=0).sqrt()) @ axes.mT


def frechet_gaussians(a: Statistics, b: Statistics) -> float:
    """Squared 2-Wasserstein distance of two Gaussians: |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a^1/2 C_b C_a^1/2)^1/2).

    Symmetric matrices throughout, so the root is real and exact; no general matrix square root is needed.
    Source: Dowson and Landau 1982; Heusel et al. 2017.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"b: expected {len(a.mean)} features like a, got {len(b.mean)}")
    root = _root(a.cov)
    cross = torch.linalg.eigvalsh(root @ b.cov @ root).clamp(min=0).sqrt().sum()
    return float(((a.mean - b.mean) ** 2).sum() + a.cov.trace() + b.cov.trace() - 2 * cross)


def frechet_distance(a: Tensor | Statistics, b: Tensor | Statistics) -> float:
    """Fréchet distance of two sets of features (N, D), or of statistics kept of them.

    It is biased: for n samples of a distribution its expectation is the true distance plus about c / n. Compare sets of
    equal n, and print the value of real against real beside it. On the 64 features of `zoo.features` it is called
    FD-64, and never FID.
    """
    return frechet_gaussians(*(s if isinstance(s, Statistics) else statistics(s) for s in (a, b)))


def bootstrap_interval(
    features: Tensor, reference: Statistics, *, generator: torch.Generator, resamples: int = 200, level: float = 0.95
) -> tuple[float, float]:
    """Interval of the Fréchet distance of features (N, D) to a reference, from resampled features.

    Resampling repeats items, which pushes the distance up; the basic interval reflects this bias back.
    Source: Davison and Hinkley 1997, section 5.2 (basic bootstrap).
    """
    validate.count("resamples", resamples, lo=10)
    estimate = frechet_distance(features, reference)
    draws = torch.empty(resamples, dtype=torch.float64)
    for index in range(resamples):
        rows = torch.randint(len(features), (len(features),), generator=generator)
        draws[index] = frechet_distance(features[rows.to(features.device)], reference)
    tail = (1 - validate.number("level", level, lo=0, hi=1, open_lo=True)) / 2
    low, high = torch.quantile(draws, torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return 2 * estimate - high, 2 * estimate - low


def kid(a: Tensor, b: Tensor) -> float:
    """Kernel distance of two sets of features (N, D), (M, D), with the kernel (x y / D + 1)^3.

    Unbiased at every n, and therefore sometimes negative for a perfect model. Source: Binkowski et al. 2018.
    """
    a, b = (validate.finite(name, x, ndim=2).double() for name, x in (("a", a), ("b", b)))
    if a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(f"a, b: expected two or more rows of equal width, got {tuple(a.shape)} and {tuple(b.shape)}")

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / x.shape[1] + 1) ** 3

    def within(x: Tensor) -> Tensor:
        gram = kernel(x, x)
        return (gram.sum() - gram.trace()) / (len(x) * (len(x) - 1))

    return float(within(a) + within(b) - 2 * kernel(a, b).mean())


def _radii(x: Tensor, k: int) -> Tensor:
    """Distance of each row to its k-th nearest other row, (N,)."""
    return torch.cdist(x, x).kthvalue(k + 1, dim=1).values  # the nearest is the row itself


def precision_recall(real: Tensor, fake: Tensor, *, k: int = 5) -> tuple[float, float]:
    """Share of fakes within reach of a real item, and share of real items within reach of a fake.

    Both depend on the sample sizes: fix them, and print the value of real against real.

    Args:
        real: features, (N, D).
        fake: features, (M, D).
        k: an item reaches as far as its k-th nearest neighbour of its own set.
    Source: Kynkäänniemi et al. 2019.
    """
    real, fake, distance = _pairs(real, fake, k)
    return (
        float((distance <= _radii(real, k)[:, None]).any(0).double().mean()),
        float((distance <= _radii(fake, k)).any(1).double().mean()),
    )


def coverage(real: Tensor, fake: Tensor, *, k: int = 5) -> float:
    """Share of real items (N, D) that have a fake (M, D) within the reach of their k-th real neighbour.

    Source: Naeem et al. 2020.
    """
    real, fake, distance = _pairs(real, fake, k)
    return float((distance.min(1).values <= _radii(real, k)).double().mean())


def _pairs(real: Tensor, fake: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    real, fake = (validate.finite(name, x, ndim=2).double() for name, x in (("real", real), ("fake", fake)))
    validate.count("k", k)
    if real.shape[1] != fake.shape[1] or min(len(real), len(fake)) <= k:
        raise ValueError(
            f"real, fake: expected more than {k} rows, equal width; got {tuple(real.shape)}, {tuple(fake.shape)}"
        )
    return real, fake, torch.cdist(real, fake)


def _same_shape(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape or not a.numel():
        raise ValueError(f"a, b: expected equal shapes, not empty; got {tuple(a.shape)} and {tuple(b.shape)}")


def w2(a: Tensor, b: Tensor) -> float:
    """Exact 2-Wasserstein distance of two equally large sets of points, (N, D), by optimal assignment.

    Far from 0 even for two samples of one distribution: compare with that floor. Cost grows like N^3
    (1000 points: 0.1 s).
    """
    from scipy.optimize import linear_sum_assignment

    a, b = (validate.finite(name, x, ndim=2).double() for name, x in (("a", a), ("b", b)))
    _same_shape(a, b)
    cost = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square().cpu().numpy()
    return math.sqrt(cost[linear_sum_assignment(cost)].mean())


def sliced_w2(a: Tensor, b: Tensor, *, generator: torch.Generator, directions: int = 200) -> float:
    """Root mean square of the 1-D 2-Wasserstein distances along random directions, for equally large sets (N, D).

    Source: Bonneel et al. 2015.
    """
    a, b = (validate.finite(name, x, ndim=2).double() for name, x in (("a", a), ("b", b)))
    _same_shape(a, b)
    axes = torch.randn((a.shape[1], validate.count("directions", directions)), generator=generator, dtype=a.dtype)
    axes = (axes / axes.norm(dim=0)).to(a.device)
    return float(((a @ axes).sort(0).values - (b @ axes).sort(0).values).square().mean().sqrt())


def psnr(a: Tensor, b: Tensor, *, span: float = 2.0) -> Tensor:
    """Peak signal-to-noise ratio of paired images (B, ...), in decibel, (B,); `span` is max - min of a pixel."""
    _same_shape(validate.finite("a", a), validate.finite("b", b))
    error = (a.double() - b.double()).square().flatten(1).mean(1)
    return 10 * (validate.number("span", span, lo=0, open_lo=True) ** 2 / error).log10()
