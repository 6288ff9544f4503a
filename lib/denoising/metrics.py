"""Distances between samples, on given features. A distance means little without its floor: real against real."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from denoising import validate

__all__ = [
    "Statistics",
    "bootstrap_difference",
    "bootstrap_interval",
    "coverage",
    "density",
    "frechet_distance",
    "frechet_gaussians",
    "frechet_infinity",
    "kid",
    "kid_blocks",
    "neighbour_ratio",
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
    return _distance_to(a)(b)


def _distance_to(a: Statistics) -> Callable[[Statistics], float]:
    """The distance to one Gaussian from many: its root is taken once."""
    root = _root(a.cov)

    def distance(b: Statistics) -> float:
        if a.mean.shape != b.mean.shape:
            raise ValueError(f"b: expected {len(a.mean)} features like a, got {len(b.mean)}")
        cross = torch.linalg.eigvalsh(root @ b.cov @ root).clamp(min=0).sqrt().sum()
        return float(((a.mean - b.mean) ** 2).sum() + a.cov.trace() + b.cov.trace() - 2 * cross)

    return distance


def frechet_distance(a: Tensor | Statistics, b: Tensor | Statistics) -> float:
    """Fréchet distance of two sets of features (N, D), or of statistics kept of them.

    It is biased: for n samples of a distribution its expectation is the true distance plus about c / n. Compare sets of
    equal n, and print the value of real against real beside it. On the 64 features of `zoo.features` it is called
    FD-64, and never FID.
    """
    return frechet_gaussians(*(s if isinstance(s, Statistics) else statistics(s) for s in (a, b)))


def frechet_infinity(features: Tensor, reference: Statistics, *, generator: torch.Generator, parts: int = 4) -> float:
    """Fréchet distance of features (N, D) to a reference without its bias: a line in 1 / n, continued to 0.

    The line is fitted to the mean distance of 1, 2, ..., `parts` random parts of equal size. It removes bias, not
    noise: its spread is larger than that of the plain distance. Source: Chong and Forsyth 2020.
    """
    n = len(validate.finite("features", features, ndim=2))
    if n // validate.count("parts", parts, lo=2) <= features.shape[1]:
        raise ValueError(
            f"features: expected over {parts * features.shape[1]} rows for {parts} full-rank parts, got {n}"
        )
    mixed = features[torch.randperm(n, generator=generator).to(features.device)]
    distance, points = _distance_to(reference), []
    for k in range(1, parts + 1):
        each = [distance(statistics(part)) for part in mixed[: n // k * k].chunk(k)]
        points.append((1 / (n // k), sum(each) / k))
    x, y = torch.tensor(points, dtype=torch.float64).T
    slope = ((x - x.mean()) * y).sum() / (x - x.mean()).square().sum()
    return float(y.mean() - slope * x.mean())


def bootstrap_interval(
    features: Tensor, reference: Statistics, *, generator: torch.Generator, resamples: int = 200, level: float = 0.95
) -> tuple[float, float]:
    """Interval of the Fréchet distance of features (N, D) to a reference, from resampled features.

    Resampling repeats items, which pushes the distance up; the basic interval reflects this bias back, and so holds
    the distance at n = infinity. Source: Davison and Hinkley 1997, section 5.2 (basic bootstrap).
    """
    distance, n = _distance_to(reference), len(validate.finite("features", features, ndim=2))
    return _basic(lambda rows: distance(statistics(features[rows])), n, generator, resamples, level)


def bootstrap_difference(
    a: Tensor,
    b: Tensor,
    reference: Statistics,
    *,
    generator: torch.Generator,
    resamples: int = 200,
    level: float = 0.95,
) -> tuple[float, float]:
    """Interval of FD(a) - FD(b) for sets (N, D) whose rows are pairs: of the same image, or of the same noise.

    Each resample takes the same rows of both, so what the pairs share cancels. Source: as `bootstrap_interval`.
    """
    _same_shape(validate.finite("a", a, ndim=2), validate.finite("b", b, ndim=2))
    distance = _distance_to(reference)
    return _basic(
        lambda rows: distance(statistics(a[rows])) - distance(statistics(b[rows])),
        len(a), generator, resamples, level,
    )  # fmt: skip


def _basic(
    statistic: Callable[[Tensor], float], n: int, generator: torch.Generator, resamples: int, level: float
) -> tuple[float, float]:
    validate.count("resamples", resamples, lo=10)
    tail = (1 - validate.number("level", level, lo=0, hi=1, open_lo=True)) / 2
    estimate = statistic(torch.arange(n))
    draws = [statistic(torch.randint(n, (n,), generator=generator)) for _ in range(resamples)]
    ends = torch.tensor([tail, 1 - tail], dtype=torch.float64)
    low, high = torch.quantile(torch.tensor(draws, dtype=torch.float64), ends).tolist()
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


def kid_blocks(a: Tensor, b: Tensor, *, blocks: int = 10) -> tuple[float, float]:
    """Mean and standard error of the kernel distance of matching blocks of a (N, D) and b (M, D), in their order."""
    validate.count("blocks", blocks, lo=2)
    if min(len(a), len(b)) < 2 * blocks:
        raise ValueError(f"a, b: expected {2 * blocks} or more rows, got {len(a)} and {len(b)}")
    pairs = zip(a.tensor_split(blocks), b.tensor_split(blocks), strict=True)
    values = torch.tensor([kid(*pair) for pair in pairs], dtype=torch.float64)
    return float(values.mean()), float(values.std() / math.sqrt(blocks))


def _radii(x: Tensor, k: int) -> Tensor:
    """Distance of each row to its k-th nearest other row, (N,)."""
    return torch.cdist(x, x).topk(k + 1, largest=False).values[:, -1]  # the nearest is the row itself


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


def density(real: Tensor, fake: Tensor, *, k: int = 5) -> float:
    """How many real items (N, D) reach a fake (M, D), on average, divided by k: about 1 where both agree.

    Source: Naeem et al. 2020.
    """
    real, fake, distance = _pairs(real, fake, k)
    return float((distance <= _radii(real, k)[:, None]).double().sum(0).mean() / k)


def neighbour_ratio(x: Tensor, train: Tensor, *, batch: int = 100) -> Tensor:
    """Distance of each item of x (N, D) to its nearest item of train (M, D), divided by that to the second: (N,).

    A copy of a training item has a ratio near 0, a new item one near 1; below 1/3 counts as memorised.
    Source: Yoon et al. 2023.
    """
    if validate.finite("x", x, ndim=2).shape[1] != validate.finite("train", train, ndim=2).shape[1] or len(train) < 2:
        raise ValueError(f"x, train: expected equal width, train of 2 or more; got {(*x.shape,)}, {(*train.shape,)}")
    batch = validate.count("batch", batch)
    near = torch.cat([torch.cdist(part, train).topk(2, largest=False).indices for part in x.split(batch)])
    # again by subtraction: by products, as cdist works, a copy is not exactly at distance 0
    two = (x[:, None] - train[near]).double().norm(dim=2).sort(1).values
    return two[:, 0] / two[:, 1].clamp(min=torch.finfo(torch.float64).tiny)


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
