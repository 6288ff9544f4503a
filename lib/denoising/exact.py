"""Data whose denoiser is a formula: density, score, posterior and samples are exact at every noise level.

If x_0 is Gaussian then so is x_t, and a mixture stays a mixture. Every sampler, guide and classifier of the course also
runs on these, so that a learned answer can be compared with the true one.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from denoising import datasets, validate
from denoising.denoisers import Denoiser
from denoising.schedules import Schedule

__all__ = ["Gaussian", "GaussianMixture", "LowRankMixture", "digit_gaussians"]


class GaussianMixture(Denoiser):
    """x_0 is drawn from component k with probability weights[k], then from N(means[k], covs[k]).

    The label of a point is the class of its component; the number of classes (or `None`) is the null label, "any".

    Args:
        means: (K, d), float. Its dtype is that of every result; use float64 for identities.
        covs: (K, d, d), symmetric and positive semi-definite.
        weights: (K,), positive, sum 1; `None` for equal weights.
        classes: class of each component, (K,), int64, every class from 0 on at least once; `None` makes each component
            a class of its own.
        schedule: what alpha and sigma mean.
    Attributes:
        num_classes: how many classes there are, C.
    Raises:
        ValueError: if a shape is off, a covariance is not symmetric positive semi-definite, weights do not sum to 1, or
            a class is missing.
    Example:
        >>> from denoising.schedules import Cosine
        >>> mixture = GaussianMixture(torch.tensor([[-1.0], [1.0]]), 0.01 * torch.ones(2, 1, 1), schedule=Cosine())
        >>> mixture(torch.zeros(1, 1), 0.5).abs().item() < 1e-6
        True
    """

    def __init__(
        self,
        means: Tensor,
        covs: Tensor,
        weights: Tensor | None = None,
        *,
        classes: Tensor | None = None,
        schedule: Schedule,
    ):
        k, d = validate.finite("means", means, ndim=2).shape
        if validate.finite("covs", covs, ndim=3).shape != (k, d, d):
            raise ValueError(f"covs: expected shape {(k, d, d)} to go with means, got {tuple(covs.shape)}")
        if not k * d:
            raise ValueError(
                f"means: expected at least one component and one dimension, got shape {tuple(means.shape)}"
            )
        weights = torch.ones(k) / k if weights is None else validate.finite("weights", weights, ndim=1)
        if weights.shape != (k,) or (weights <= 0).any() or abs(float(weights.double().sum()) - 1) > 1e-6:
            raise ValueError(f"weights: expected {k} positive numbers with sum 1, got {weights.tolist()}")
        weights = weights.double() / weights.double().sum()  # a float32 third is off by 1e-8
        # one eigendecomposition serves every noise level: alpha^2 C + sigma^2 I has the same axes as C
        values, axes = torch.linalg.eigh(covs.double())
        if (covs - covs.mT).abs().max() > 1e-6 * covs.abs().max() or values.min() < -1e-6 * values.max():
            raise ValueError("covs: expected symmetric positive semi-definite matrices")
        self.schedule = schedule
        self.means = means
        self.log_weights = weights.log().to(means)
        classes = torch.arange(k) if classes is None else classes
        if not isinstance(classes, Tensor) or classes.dtype != torch.int64 or classes.shape != (k,):
            got = f"{classes.dtype} of shape {tuple(classes.shape)}" if isinstance(classes, Tensor) else repr(classes)
            raise ValueError(f"classes: expected int64 labels of shape ({k},), got {got}")
        self.num_classes = len(classes.unique())
        if classes.min() < 0 or classes.max() >= self.num_classes:
            raise ValueError(f"classes: expected every class from 0 on, without a gap, got {classes.tolist()}")
        self.member = F.one_hot(classes).bool().to(means.device)  # (K, C)
        # what rounding leaves of a zero variance becomes zero, by the rule of torch.linalg.matrix_rank
        noise = d * torch.finfo(covs.dtype).eps * values.amax(1, keepdim=True)
        self.values, self.axes = values.where(values > noise, 0).to(means), axes.to(means)  # (K, d), (K, d, d)

    def _scales(self, t: Tensor | float, batch: int) -> tuple[Tensor, Tensor]:
        """alpha and sigma as (1 or B, 1, 1); t = 0 is the clean data."""
        if isinstance(t, int | float) and t == 0:
            alpha, sigma = torch.ones(()), torch.zeros(())
        else:
            alpha, sigma = self.schedule.alpha_sigma(validate.times(t, batch=batch))
        return alpha.to(self.means).reshape(-1, 1, 1), sigma.to(self.means).reshape(-1, 1, 1)

    def _components(
        self, x: Tensor, t: Tensor | float, y: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Log joint (B, K), and per component: offset along the axes (B, K, d), its variance, alpha, sigma."""
        k, d = self.means.shape
        flat = validate.finite("x", x).reshape(len(x), -1).to(self.means)
        if flat.shape[1] != d:
            raise ValueError(f"x: expected {d} numbers an item, got shape {tuple(x.shape)}")
        alpha, sigma = self._scales(t, len(x))
        offset = torch.einsum("bkd,kde->bke", flat[:, None] - alpha * self.means, self.axes)
        variance = alpha**2 * self.values + sigma**2  # (1 or B, K, d)
        if (variance == 0).any():
            raise ValueError(
                "t: expected a time in (0, 1]; without noise these data lie on a subspace and have no density"
            )
        log_joint = self.log_weights - 0.5 * (offset**2 / variance + (2 * math.pi * variance).log()).sum(-1)
        if y is not None:
            y = validate.labels(y, batch=len(x), classes=self.num_classes + 1).to(log_joint.device)
            any_class = torch.ones((k, 1), dtype=torch.bool, device=y.device)
            allowed = torch.cat([self.member, any_class], 1).mT[y]  # (B, K); the last row is the null label's
            # given its label, a point has the density of its class alone, whatever the class's weight
            log_joint = (log_joint - self._log_given(allowed)).masked_fill(~allowed, -torch.inf)
        return log_joint, offset, variance, alpha, sigma

    def _log_given(self, allowed: Tensor) -> Tensor:
        """Log of the summed weights of the allowed components, (B, 1)."""
        return self.log_weights.expand_as(allowed).masked_fill(~allowed, -torch.inf).logsumexp(1, keepdim=True)

    def logp(self, x: Tensor, t: Tensor | float = 0, y: Tensor | None = None) -> Tensor:
        """Log-density of x_t in nats, (B,); t = 0 is the data's own (needs covariances of full rank)."""
        return self._components(x, t, y)[0].logsumexp(1)

    def posterior(self, x: Tensor, t: Tensor | float) -> Tensor:
        """Probability of each class given x_t, (B, C)."""
        return self._components(x, t, None)[0].softmax(1) @ self.member.to(self.means)

    def log_posterior(self, x: Tensor, t: Tensor | float) -> Tensor:
        """Log-probability of each class given x_t, (B, C): an exact classifier, also where `posterior` rounds to 0."""
        log_joint = self._components(x, t, None)[0]
        by_class = log_joint[:, :, None].masked_fill(~self.member, -torch.inf).logsumexp(1)  # (B, C)
        return by_class.log_softmax(1)

    def __call__(self, x: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        """The posterior mean E[x_0 | x_t], shaped like x."""
        log_joint, offset, variance, alpha, _ = self._components(x, t, y)
        pull = torch.einsum("bke,kde->bkd", alpha * self.values / variance * offset, self.axes)
        guess = torch.einsum("bk,bkd->bd", log_joint.softmax(1), self.means + pull)
        return guess.reshape(x.shape).to(x)

    def cov(self, x: Tensor, t: Tensor | float) -> Tensor:
        """The posterior covariance Cov[x_0 | x_t], (B, d, d)."""
        log_joint, offset, variance, alpha, sigma = self._components(x, t, None)
        share = log_joint.softmax(1)
        each = self.means + torch.einsum(
            "bke,kde->bkd", alpha * self.values / variance * offset, self.axes
        )  # (B, K, d)
        mean = torch.einsum("bk,bkd->bd", share, each)
        within = (sigma**2 * self.values / variance).expand(len(x), -1, -1)
        inside = torch.einsum("bk,kde,bke,kfe->bdf", share, self.axes, within, self.axes)
        apart = each - mean[:, None]
        return inside + torch.einsum("bk,bkd,bke->bde", share, apart, apart)

    def sample(self, n: int, *, generator: torch.Generator, t: Tensor | float = 0) -> tuple[Tensor, Tensor]:
        """Draw n points of x_t and their classes: (n, d) and (n,). t = 0 is clean data."""
        validate.count("n", n)
        y = torch.multinomial(self.log_weights.exp().cpu(), n, replacement=True, generator=generator)
        noise = torch.randn((2, n, self.means.shape[1]), generator=generator, dtype=self.means.dtype).to(self.means)
        y = y.to(self.means.device)
        x0 = self.means[y] + torch.einsum("bde,be->bd", self.axes[y], self.values[y].sqrt() * noise[0])
        alpha, sigma = self._scales(t, n)
        return alpha[..., 0] * x0 + sigma[..., 0] * noise[1], self.member.long().argmax(1)[y]


class Gaussian(GaussianMixture):
    """x_0 ~ N(mean, cov): one component, a linear denoiser.

    Args:
        mean: (d,).
        cov: (d, d).
        schedule: what alpha and sigma mean.
    """

    def __init__(self, mean: Tensor, cov: Tensor, *, schedule: Schedule):
        super().__init__(
            validate.finite("mean", mean, ndim=1)[None], validate.finite("cov", cov, ndim=2)[None], schedule=schedule
        )


class LowRankMixture(GaussianMixture):
    """A mixture of Gaussians of variance 1 on subspaces through the origin.

    Args:
        bases: (K, n, d), each with orthonormal columns: component k is N(0, U_k U_k^T) in n dimensions.
        weights: (K,); `None` for equal weights.
        schedule: what alpha and sigma mean.
    Raises:
        ValueError: if d > n or a basis is not orthonormal.
    Source: Wang et al. 2024, arXiv 2409.02426, definition 1.
    """

    def __init__(self, bases: Tensor, weights: Tensor | None = None, *, schedule: Schedule):
        k, n, d = validate.finite("bases", bases, ndim=3).shape
        if d > n:
            raise ValueError(f"bases: expected (K, n, d) with d <= n, got {tuple(bases.shape)}")
        error = (bases.mT @ bases - torch.eye(d).to(bases)).abs().max()
        if error > 1e-5:
            raise ValueError(f"bases: expected orthonormal columns, U^T U is off by {error:.2g}; use torch.linalg.qr")
        super().__init__(bases.new_zeros(k, n), bases @ bases.mT, weights, schedule=schedule)
        self.bases = bases


def digit_gaussians(
    schedule: Schedule, *, variance: float = 0.02, dtype: torch.dtype = torch.float64
) -> GaussianMixture:
    """One Gaussian per digit, with the mean and the full covariance of its 8x8 pictures: exact in 64 dimensions.

    Args:
        schedule: what alpha and sigma mean.
        variance: added to every pixel; pixels that are always black would have none.
        dtype: of every result.
    Returns:
        ten components of equal weight; labels 0..9 are the digits, 10 is the null label.
    Example:
        >>> from denoising.schedules import Cosine
        >>> digit_gaussians(Cosine()).means.shape
        torch.Size([10, 64])
    """
    digits = datasets.load("digits")
    classes = [digits.x[digits.y == digit].flatten(1).double() for digit in range(10)]
    means, covs = torch.stack([x.mean(0) for x in classes]), torch.stack([x.mT.cov() for x in classes])
    validate.number("variance", variance, lo=0, open_lo=True)
    return GaussianMixture(means.to(dtype), (covs + variance * torch.eye(64).double()).to(dtype), schedule=schedule)
