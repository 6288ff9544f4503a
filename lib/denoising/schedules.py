"""Noise schedules: how much of a picture is left, and how much noise is there, at time t.

    x_t = alpha(t) x_0 + sigma(t) eps,      t in (0, 1],      alpha = sqrt(alpha_bar)

Time is continuous. Row i of a table with T rows is t = (i + 1) / T; t = 0 would be the clean picture.
Everything is computed in float64. A variance-preserving schedule has alpha^2 + sigma^2 = 1.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from denoising import validate

__all__ = ["EDM", "Cosine", "Linear", "Schedule", "Sigmoid", "Table", "cosine_betas", "linear_betas", "rows"]


def rows(T: int) -> Tensor:
    """The times of a table's rows, t = (i + 1) / T: (T,), float64, increasing to 1."""
    return torch.arange(1, validate.count("T", T) + 1, dtype=torch.float64) / T


def linear_betas(T: int, beta_min: float = 1e-4, beta_max: float = 0.02) -> Tensor:
    """Variances of the noise added by each step, on a straight line: (T,), float64.

    The default range is made for T = 1000. Source: Ho et al. 2020, section 4.
    """
    validate.number("beta_min", beta_min, lo=0, hi=1, open_lo=True)
    validate.number("beta_max", beta_max, lo=beta_min, hi=1)
    return torch.linspace(beta_min, beta_max, validate.count("T", T), dtype=torch.float64)


def cosine_betas(T: int) -> Tensor:
    """The table of the shipped U-Nets, `Cosine().betas(T)`: (T,), float64."""
    return Cosine().betas(T)


class Schedule(ABC):
    """A noise schedule in continuous time.

    A subclass gives `alpha_sigma` and the inverse `_t_of_lam`; everything else follows from them.
    """

    @abstractmethod
    def alpha_sigma(self, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """Scale of the picture and standard deviation of the noise at t in (0, 1], shaped like t, float64."""

    @abstractmethod
    def _t_of_lam(self, lam: Tensor) -> Tensor:
        """The inverse of `lam`, at checked values."""

    def t_of_lam(self, lam: Tensor | float) -> Tensor:
        """The time at which log(alpha / sigma) equals `lam`; the inverse of `lam`.

        Raises:
            ValueError: if `lam` is less than its value at t = 1; the schedule never gets there.
        """
        lam = torch.as_tensor(lam, dtype=torch.float64)
        least = float(self.lam(1.0))
        if not (lam >= least - 1e-9).all():
            raise ValueError(f"lam: expected at least lam(1) = {least:.6g}, got down to {float(lam.min()):.6g}")
        return self._t_of_lam(lam).clamp(max=1)  # a rounding error must not lead past the end

    def alpha(self, t: Tensor | float) -> Tensor:
        """Scale of the picture, the square root of alpha_bar."""
        return self.alpha_sigma(t)[0]

    def sigma(self, t: Tensor | float) -> Tensor:
        """Standard deviation of the noise."""
        return self.alpha_sigma(t)[1]

    def alpha_bar(self, t: Tensor | float) -> Tensor:
        """Share of the picture's variance that is left, alpha^2."""
        return self.alpha(t) ** 2

    def lam(self, t: Tensor | float) -> Tensor:
        """log(alpha / sigma), half the log-SNR; falls as t grows."""
        alpha, sigma = self.alpha_sigma(t)
        return alpha.log() - sigma.log()

    def snr(self, t: Tensor | float) -> Tensor:
        """Signal-to-noise ratio alpha^2 / sigma^2, for a picture of unit variance."""
        return (2 * self.lam(t)).exp()

    def sigma_edm(self, t: Tensor | float) -> Tensor:
        """Noise relative to the picture, sigma / alpha: the noise level of Karras et al. 2022."""
        return (-self.lam(t)).exp()

    def t_of_sigma_edm(self, sigma_edm: Tensor | float) -> Tensor:
        """The time at which sigma / alpha equals `sigma_edm`."""
        sigma_edm = torch.as_tensor(sigma_edm, dtype=torch.float64)
        if not (sigma_edm > 0).all():
            raise ValueError(f"sigma_edm: expected positive numbers, got a least value of {float(sigma_edm.min()):g}")
        return self.t_of_lam(-sigma_edm.log())

    def rates(self, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """Time derivatives of alpha and sigma at t, shaped like t, float64."""
        with torch.inference_mode(False), torch.enable_grad():
            t = validate.times(t).detach().clone().requires_grad_()
            alpha, sigma = (scale + 0 * t for scale in self.alpha_sigma(t))  # a constant alpha has a derivative too
            return torch.autograd.grad(alpha.sum(), t, retain_graph=True)[0], torch.autograd.grad(sigma.sum(), t)[0]

    def betas(self, T: int) -> Tensor:
        """The table with T rows that passes through this schedule: 1 - alpha_bar_i / alpha_bar_{i-1}, (T,), float64.

        Raises:
            ValueError: for a schedule that does not preserve variance; it has no such table.
        """
        alpha, sigma = self.alpha_sigma(rows(T))
        if not torch.allclose(alpha**2 + sigma**2, torch.ones_like(alpha), atol=1e-9):
            raise ValueError(f"{type(self).__name__}: expected alpha^2 + sigma^2 = 1; only such a schedule has betas")
        alpha_bar = torch.cat([alpha.new_ones(1), alpha**2])
        return 1 - alpha_bar[1:] / alpha_bar[:-1]


class _VariancePreserving(Schedule):
    """A schedule given by log alpha_bar(t); alpha^2 + sigma^2 = 1."""

    @abstractmethod
    def log_alpha_bar(self, t: Tensor) -> Tensor:
        """Logarithm of alpha_bar at checked times."""

    @abstractmethod
    def t_of_log_alpha_bar(self, log_alpha_bar: Tensor) -> Tensor:
        """Inverse of `log_alpha_bar`."""

    def alpha_sigma(self, t: Tensor | float) -> tuple[Tensor, Tensor]:
        log_ab = self.log_alpha_bar(validate.times(t))
        # expm1 keeps sigma exact where alpha_bar is almost 1
        return (0.5 * log_ab).exp(), (-torch.expm1(log_ab)).sqrt()

    def _t_of_lam(self, lam: Tensor) -> Tensor:
        return self.t_of_log_alpha_bar(-torch.nn.functional.softplus(-2 * lam))


@dataclass(frozen=True)
class Linear(_VariancePreserving):
    """beta(t) on a straight line in continuous time: alpha_bar = exp(-integral of beta from 0 to t).

    The defaults are the limit of the 1000-row linear table as the number of rows grows.

    Args:
        beta_min: rate of noise at t = 0, per unit time.
        beta_max: rate of noise at t = 1; equal to beta_min for the Ornstein-Uhlenbeck process.
    Source: Song et al. 2021, appendix C (VP SDE).
    """

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        validate.number("beta_min", self.beta_min, lo=0, open_lo=True)
        validate.number("beta_max", self.beta_max, lo=self.beta_min)

    def log_alpha_bar(self, t: Tensor) -> Tensor:
        return -(self.beta_min * t + 0.5 * (self.beta_max - self.beta_min) * t**2)

    def t_of_log_alpha_bar(self, log_alpha_bar: Tensor) -> Tensor:
        # the positive root of a quadratic, in the form that does not cancel for small t
        slope = self.beta_max - self.beta_min
        return -2 * log_alpha_bar / (self.beta_min + (self.beta_min**2 - 2 * slope * log_alpha_bar).sqrt())


@dataclass(frozen=True)
class Cosine(_VariancePreserving):
    """alpha_bar falls like a squared cosine, down to a floor: the schedule of the shipped U-Nets.

    The floor keeps alpha_bar(1) at 1e-4. Without it the last rows of a table have beta close to 1, and a network that
    predicts noise must find a picture at an SNR of 1e-9. The floor is mixed in smoothly, so that no row repeats.

    Args:
        offset: the s of the paper; keeps the first steps from being too small.
        floor: alpha_bar at t = 1.
    Source: Nichol and Dhariwal 2021, eq. 17 (they clip beta at 0.999 instead).
    """

    offset: float = 0.008
    floor: float = 1e-4

    def __post_init__(self) -> None:
        validate.number("offset", self.offset, lo=0)
        validate.number("floor", self.floor, lo=0, hi=0.5, open_lo=True)

    def _angle(self, t: Tensor | float) -> Tensor:
        t = torch.as_tensor(t, dtype=torch.float64)
        return (t + self.offset) / (1 + self.offset) * math.pi / 2

    def log_alpha_bar(self, t: Tensor) -> Tensor:
        start = self._angle(0.0)
        # 1 - cos^2(a) / cos^2(b) = sin(a - b) sin(a + b) / cos^2(b), without cancelling
        lost = torch.sin(self._angle(t) - start) * torch.sin(self._angle(t) + start) / start.cos() ** 2
        return torch.log1p(-(1 - self.floor) * lost)

    def t_of_log_alpha_bar(self, log_alpha_bar: Tensor) -> Tensor:
        start = self._angle(0.0)
        lost = -torch.expm1(log_alpha_bar) / (1 - self.floor)
        angle = torch.asin((lost * start.cos() ** 2 + start.sin() ** 2).clamp(0, 1).sqrt())
        return angle * 2 / math.pi * (1 + self.offset) - self.offset


@dataclass(frozen=True)
class Sigmoid(_VariancePreserving):
    """The log-SNR falls like a logit: alpha_bar is a sigmoid, rescaled to run from 1 to `floor`.

    Args:
        start: where on the sigmoid t = 0 lies.
        end: where on the sigmoid t = 1 lies.
        floor: alpha_bar at t = 1.
    Source: Jabri et al. 2022, appendix A (tau = 1).
    """

    start: float = -3.0
    end: float = 3.0
    floor: float = 1e-4

    def __post_init__(self) -> None:
        validate.number("end", self.end, lo=validate.number("start", self.start), open_lo=True)
        validate.number("floor", self.floor, lo=0, hi=0.5, open_lo=True)

    def _ends(self) -> tuple[float, float]:
        return 1 / (1 + math.exp(-self.start)), 1 / (1 + math.exp(-self.end))

    def log_alpha_bar(self, t: Tensor) -> Tensor:
        low, high = self._ends()
        far = t * (self.end - self.start)
        # sigmoid(a + d) - sigmoid(a) = sigmoid(a + d) sigmoid(-a) (1 - exp(-d)), without cancelling for small d
        lost = torch.sigmoid(self.start + far) * (1 - low) * -torch.expm1(-far) / (high - low)
        return torch.log1p(-(1 - self.floor) * lost)

    def t_of_log_alpha_bar(self, log_alpha_bar: Tensor) -> Tensor:
        low, high = self._ends()
        lost = -torch.expm1(log_alpha_bar) / (1 - self.floor)
        return (torch.logit(low + lost.clamp(0, 1) * (high - low)) - self.start) / (self.end - self.start)


@dataclass(frozen=True)
class EDM(Schedule):
    """Variance exploding: alpha = 1 and the noise grows along the rho-curve of Karras et al.

    Args:
        sigma_min: noise at t -> 0.
        sigma_max: noise at t = 1.
        rho: bend of the curve; 1 is a straight line, 7 puts most of the time at small noise.
    Source: Karras et al. 2022, eq. 5.
    """

    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0

    def __post_init__(self) -> None:
        validate.number("sigma_min", self.sigma_min, lo=0, open_lo=True)
        validate.number("sigma_max", self.sigma_max, lo=self.sigma_min, open_lo=True)
        validate.number("rho", self.rho, lo=0, open_lo=True)

    def alpha_sigma(self, t: Tensor | float) -> tuple[Tensor, Tensor]:
        t = validate.times(t)
        low, high = self.sigma_min ** (1 / self.rho), self.sigma_max ** (1 / self.rho)
        return torch.ones_like(t), (low + t * (high - low)) ** self.rho

    def _t_of_lam(self, lam: Tensor) -> Tensor:
        low, high = self.sigma_min ** (1 / self.rho), self.sigma_max ** (1 / self.rho)
        return ((-lam / self.rho).exp() - low) / (high - low)


class Table(_VariancePreserving):
    """A discrete table of betas as a continuous schedule that passes through every row.

    Between rows log alpha_bar is a straight line, which means that noise arrives at a constant rate.

    Args:
        betas: variance of the noise that each step adds, (T,), each in (0, 1).
    Raises:
        ValueError: if betas are not a vector of numbers in (0, 1).
    Example:
        >>> float(Table(linear_betas(1000)).alpha_bar(1.0).mul(1e5).round())
        4.0
    """

    def __init__(self, betas: Tensor):
        betas = validate.finite("betas", betas, ndim=1).double()
        if not len(betas) or not ((betas > 0) & (betas < 1)).all():
            raise ValueError("betas: expected at least one value, each in (0, 1); did you pass alpha_bar?")
        self.T = len(betas)
        self._knots = torch.cat([betas.new_zeros(1), torch.log1p(-betas).cumsum(0)])  # (T + 1,), from log 1

    def log_alpha_bar(self, t: Tensor) -> Tensor:
        place = t * self.T
        left = place.floor().long().clamp(max=self.T - 1)
        knots = self._knots.to(t.device)
        return torch.lerp(knots[left], knots[left + 1], place - left)

    def t_of_log_alpha_bar(self, log_alpha_bar: Tensor) -> Tensor:
        knots = self._knots.to(log_alpha_bar.device)
        right = torch.searchsorted(-knots, -log_alpha_bar.contiguous()).clamp(1, self.T)
        share = (log_alpha_bar - knots[right - 1]) / (knots[right] - knots[right - 1])
        return (right - 1 + share.clamp(0, 1)) / self.T
