"""Data whose denoiser is a formula: density, score, posterior and samples are exact at every noise level.

If x_0 is Gaussian then so is x_t, and a mixture stays a mixture. Every sampler, guide and classifier of the course also
runs on these, so that a learned answer can be compared with the true one.
"""

import math

import torch
from torch import Tensor

from denoising import validate
from denoising.denoisers import Denoiser
from denoising.schedules import Schedule

__all__ = ["Gaussian", "GaussianMixture", "LowRankMixture"]


class GaussianMixture(Denoiser):
    """x_0 is drawn from component k with probability weights[k], then from N(means[k], covs[k]).

    The label of a point is its component; label K (or `None`) means "any".

    Args:
        means: (K, d), float. Its dtype is that of every result; use float64 for identities.
        covs: (K, d, d), symmetric and positive semi-definite.
        weights: (K,), positive, sum 1; `None` for equal weights.
        schedule: what alpha and sigma mean.
    Raises:
        ValueError: if a shape is off, a covariance is not symmetric positive semi-definite, or weights do not sum to 1.
    Example:
        >>> from denoising.schedules import Cosine
        >>> mixture = GaussianMixture(torch.tensor([[-1.0], [1.0]]), 0.01 * torch.ones(2, 1, 1), schedule=Cosine())
        >>> mixture(torch.zeros(1, 1), 0.5).abs().item() < 1e-6
        True
    """

    def __init__(self, means: Tensor, covs: Tensor, weights: Tensor | None = None, *, schedule: Schedule):
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
            y = validate.labels(y, batch=len(x), classes=k + 1).to(log_joint.device)
            other = (torch.arange(k, device=y.device) != y[:, None]) & (y[:, None] != k)
            # given its label, a point has the density of its component alone, whatever the component's weight
            log_joint = log_joint.masked_fill(other, -torch.inf)
            log_joint = log_joint - torch.where(y == k, 0.0, self.log_weights[y.clamp(max=k - 1)])[:, None]
        return log_joint, offset, variance, alpha, sigma

    def logp(self, x: Tensor, t: Tensor | float = 0, y: Tensor | None = None) -> Tensor:
        """Log-density of x_t in nats, (B,); t = 0 is the data's own (needs covariances of full rank)."""
        return self._components(x, t, y)[0].logsumexp(1)

    def posterior(self, x: Tensor, t: Tensor | float) -> Tensor:
        """Probability of each component given x_t, (B, K)."""
        return self._components(x, t, None)[0].softmax(1)

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
        """Draw n points of x_t and their components: (n, d) and (n,). t = 0 is clean data."""
        validate.count("n", n)
        y = torch.multinomial(self.log_weights.exp().cpu(), n, replacement=True, generator=generator)
        noise = torch.randn((2, n, self.means.shape[1]), generator=generator, dtype=self.means.dtype).to(self.means)
        y = y.to(self.means.device)
        x0 = self.means[y] + torch.einsum("bde,be->bd", self.axes[y], self.values[y].sqrt() * noise[0])
        alpha, sigma = self._scales(t, n)
        return alpha[..., 0] * x0 + sigma[..., 0] * noise[1], y


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
