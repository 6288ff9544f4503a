"""Checks of notebook 5.1: the weight that turns times into the ELBO, and a posterior from guesses of the noise."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from denoising.checks import missing, passed, require
from denoising.rng import Rng
from denoising.schedules import EDM, Cosine, Linear, Schedule

__all__ = ["check_diffusion_posterior", "check_elbo_weight"]


def check_elbo_weight(elbo_weight: Callable[[Schedule, Tensor], Any], *, strict: bool = False) -> None:
    """`elbo_weight(schedule, t)`: w(t) for which the integral of w error over t is half that over the log-SNR, (N,).

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "elbo_weight"
    t = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    for schedule in (Linear(), Cosine(), EDM(), Linear(beta_min=2.0, beta_max=2.0)):
        got = elbo_weight(schedule, t.clone())
        if missing(name, got, strict=strict):
            return
        require(isinstance(got, Tensor) and got.shape == t.shape, name,
                f"expected a tensor of shape {tuple(t.shape)}, got {_shape(got)}")  # fmt: skip
        got = got.detach().double()
        require(bool(torch.isfinite(got).all()), name, "expected finite numbers")
        step = 1e-5
        slope = (schedule.lam(t + step) - schedule.lam(t - step)) / (2 * step)  # of log(alpha / sigma), negative
        snr = schedule.snr(t)
        for value, cause in (
            (slope, "the sign: the log-SNR falls as t grows, and a weight is positive"),
            (-2 * slope, "twice too large: the half of equation (4) is missing"),
            (-0.5 * slope, "half too small: log-SNR is twice log(alpha / sigma)"),
            (-snr * slope, "this weighs errors of x_0; errors of the noise have no factor SNR"),
            (-1 / slope, "upside down: dt over d log-SNR; the weight is d log-SNR over dt"),
            (torch.full_like(slope, 10.0), "a constant: then nothing is repaired"),
        ):
            require(_same(value, -slope) or not _same(got, value), name, cause)
        require(_same(got, -slope), name,
                f"off by a factor {float((got / -slope).median()):.3g} for {type(schedule).__name__}")  # fmt: skip
    passed(name)


def check_diffusion_posterior(diffusion_posterior: Callable[..., Any], *, strict: bool = False) -> None:
    """`diffusion_posterior(x, eps_hat, log_prior, n, generator)`: probabilities of K classes, (B, K).

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "diffusion_posterior"
    classes, dim = 3, 3
    means = torch.tensor([[-0.7, 0.0, 0.3], [0.6, 0.4, 0.0], [0.0, -0.9, -0.2]], dtype=torch.float64)
    spread = torch.tensor([0.5, 0.8, 1.1], dtype=torch.float64)  # variances of the three Gaussians
    x = means[[0, 1, 2] * 20] + 0.8 * torch.randn((60, dim), generator=Rng(0), dtype=torch.float64)
    log_p = -0.5 * ((x[:, None] - means).square().sum(2) / spread + dim * spread.log())
    prior = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).log()

    def guesses(order: Tensor) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        def eps_hat(z: Tensor, log_snr: Tensor, y: Tensor) -> Tensor:
            alpha2 = torch.sigmoid(log_snr).view(-1, 1)
            mean, v = means[order[y]], spread[order[y]][:, None]
            return (1 - alpha2).sqrt() * (z - alpha2.sqrt() * mean) / (alpha2 * v + 1 - alpha2)

        return eps_hat

    def ask(n: int, log_prior: Tensor, order: Tensor | None = None) -> Any:
        order = torch.arange(classes) if order is None else order
        return diffusion_posterior(x.clone(), guesses(order), log_prior.clone(), n, Rng(1))

    got = ask(1024, prior)
    if missing(name, got, strict=strict):
        return
    require(isinstance(got, Tensor) and got.shape == (60, classes), name,
            f"expected probabilities of shape (60, 3), got {_shape(got)}")  # fmt: skip
    require(bool(torch.isfinite(got).all()), name, "expected finite numbers")
    off = float((got.sum(1) - 1).abs().max())
    require(off < 1e-6, name, f"a row sums to 1, here it is off by {off:.3g}: take a softmax over the classes")
    exact = (log_p + prior).softmax(1)
    apart = _distance(got, exact)
    if apart >= 0.05:
        require(bool((got.amax(1) < 0.999).any()), name,
                "every row is certain: argmin of the error is a decision, not a probability")  # fmt: skip
        for scale, cause in (
            (2.0, "the half is missing: the exponent of a Gaussian is half a square"),
            (-1.0, "the sign: the smallest error is the most probable class"),
            (1 / dim, "the error is a sum over pixels, not a mean: log-odds of all pixels add up"),
            (0.1, "the weight of the mean error is half the width of the log-SNR range"),
            (0.05, "the weight of the mean error is half the width of the log-SNR range"),
        ):
            require(_distance(got, (scale * log_p + prior).softmax(1)) > 0.03, name, cause)
        for wrong, cause in (
            (log_p, "the prior is missing: add log_prior to the scores"),
            (log_p - prior, "the sign of the prior: log_prior is added"),
            (log_p + 10 * prior, "the prior is inside the weight: add it after the error is weighted"),
            (log_p + prior.exp(), "log_prior is a logarithm already: add it as it is"),
        ):
            require(_distance(got, wrong.softmax(1)) > 0.03, name, cause)
    few = ask(4, prior)
    order = torch.tensor([2, 0, 1])
    shared = _same(ask(4, prior[order], order), few[:, order])
    require(shared, name, "permuting the classes must permute the columns: do all classes share times and noise?")
    require(apart < 0.05, name, f"total variation to the exact posterior {apart:.3g} at n = 1024, expected under 0.05")
    require(_same(ask(4, prior + 3.0), few), name, "a constant added to log_prior must change nothing")
    flat = ask(4, torch.zeros(classes, dtype=torch.float64))
    shift = (few.log() - flat.log()).diff(dim=1) - prior.diff()
    require(float(shift.abs().max()) < 1e-9, name, "a prior must shift the log-odds by exactly its own")

    # guesses that are wrong by a known vector, so that the posterior of any range is known without sampling
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    point, wrong = x[:1], torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)

    def off_by(z: Tensor, log_snr: Tensor, y: Tensor) -> Tensor:
        seen.append((z, log_snr.flatten().expand(len(z)), y))
        alpha2 = torch.sigmoid(log_snr).view(-1, 1)
        return (z - alpha2.sqrt() * point) / (1 - alpha2).sqrt() + wrong[y][:, None]

    got = diffusion_posterior(point.expand(5, dim).clone(), off_by, prior.clone(), 8, Rng(1), (-3.0, 2.0))
    z, level, y = (torch.cat(parts) for parts in zip(*seen, strict=True))
    require(len(z) == 5 * classes * 8, name, f"n = 8 draws of 5 points and 3 classes are 120 guesses, got {len(z)}")
    inside = bool((level >= -3 - 1e-9).all() and (level <= 2 + 1e-9).all())
    require(inside, name, "levels outside log_snr: the range is an argument")
    rows = [z[y == c][z[y == c][:, 0].argsort()] for c in range(classes)]
    require(all(_same(row, rows[0]) for row in rows), name, "all classes must be asked about the same z")
    want = (-0.5 * 5 * dim * wrong**2 + prior).softmax(0).expand(5, classes)
    require(_same(got, want), name, "the weight of the mean error is half the width of the given log_snr")
    fresh = diffusion_posterior(x.clone(), guesses(torch.arange(classes)), prior.clone(), 4, Rng(2))
    require(not _same(fresh, few), name, "another generator must give other draws: is the argument used?")
    passed(name)


def _distance(p: Tensor, q: Tensor) -> float:
    """Mean total variation."""
    return float((p.double() - q).abs().sum(1).mean() / 2)


def _same(a: Tensor, b: Tensor) -> bool:
    return bool(((a - b).abs() <= 1e-6 * (1 + b.abs())).all())


def _shape(value: Any) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__
