"""A denoiser as a classifier: the class under which the noise is guessed best explains the picture best.

Everything is read off one table of errors, [image, class, draw]. A draw is a time and a noise, one for all classes.
For draws uniform in log-SNR, half the integral of the errors is -log p(x | class) up to what all classes share, so
`posterior` is Bayes' rule. Here log-SNR is log(alpha^2 / sigma^2): twice the library's `lam`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from denoising import validate
from denoising.denoisers import Denoiser, add_noise
from denoising.schedules import Schedule, rows

__all__ = ["Draws", "Result", "classify", "draws", "error_table", "n_calls", "posterior", "prune", "scores"]

LOG_SNR = (-9.0, 11.0)  # outside it a picture of variance 1 is gone, or the noise is smaller than any detail
WIDTH = LOG_SNR[1] - LOG_SNR[0]


@dataclass(frozen=True)
class Draws:
    """Times t in (0, 1], (N,) or (B, N), and noises eps, (N, ...) or (B, N, ...): shared by all classes."""

    t: Tensor
    eps: Tensor

    def __len__(self) -> int:
        return self.t.shape[-1]


@dataclass(frozen=True)
class Result:
    """Surviving labels, (B,), or captions, (B, L); rows sent to the denoiser, an image; their errors, (B, K, N).

    The error is NaN where no row was sent.
    """

    prediction: Tensor
    calls: float
    table: Tensor


def draws(
    schedule: Schedule,
    shape: Sequence[int],
    n: int,
    *,
    generator: torch.Generator,
    weighting: str = "snr",
    log_snr: tuple[float, float] = LOG_SNR,
    T: int = 1000,
    shared: bool = False,
) -> Draws:
    """Draw n times and noises for each image, in an order in which every prefix covers the whole range.

    Args:
        schedule: of the denoiser.
        shape: of the batch of images, (B, ...).
        n: draws an image.
        generator: source of the offsets and the noise; lives on the CPU.
        weighting: "snr", evenly spaced in log-SNR with one random offset an image: the weights of the ELBO. "t": evenly
            spaced rows of a T-row table, from the centre of the first cell, T // (2 n), in steps of T // n.
        log_snr: the range of log(alpha^2 / sigma^2) that "snr" covers.
        T: rows of the table.
        shared: one set for all images instead of one an image.
    Returns:
        t (B, n) and eps (B, n, ...), float64; without the B where `shared`, and t (n,) where it is the same for all.
    Raises:
        ValueError: if the shape or the range is off, or T < n.
    """
    order = _spread(validate.count("n", n))
    if len(shape) < 2 or not all(shape):
        raise ValueError(f"shape: expected the shape of a batch (B, ...), got {tuple(shape)}")
    lead = () if shared else (shape[0],)
    if validate.choice("weighting", weighting, ("snr", "t")) == "snr":
        low = validate.number("log_snr", log_snr[0])
        high = validate.number("log_snr", log_snr[1], lo=low, open_lo=True)
        offset = torch.rand((*lead, 1), generator=generator, dtype=torch.float64)
        # a full turn, so that the times of every prefix are uniform, not only all of them together
        t = schedule.t_of_lam((low + (high - low) * ((order / n + offset) % 1)) / 2)
    else:
        t = rows(validate.count("T", T, lo=n))[T // (2 * n) + order * (T // n)]
    return Draws(t, torch.randn((*lead, n, *shape[1:]), generator=generator, dtype=torch.float64))


def error_table(
    denoiser: Denoiser,
    x: Tensor,
    draws: Draws,
    classes: Tensor,
    *,
    own: bool = False,
    batch: int = 1024,
    loss: str = "l2",
) -> Tensor:
    """Errors of the noise guessed under each class, from the same noisy pictures for all of them.

    Args:
        denoiser: called as `denoiser(x, t, y)`.
        x: clean images, (B, ...), float.
        draws: N times and noises, shared by all classes.
        classes: labels to compare, (K,), int64; or captions, (K, L), for a denoiser that is told captions.
        own: each image has candidates of its own: `classes` is (B, K) or (B, K, L).
        batch: most rows in one call.
        loss: "l2", the squared error |eps - eps_hat|^2 that the posterior needs, or "l1"; summed over pixels.
    Returns:
        (B, K, N), float64.
    Raises:
        ValueError: if there is no class, a label is out of range, or shapes disagree.
    """
    if own:
        if not isinstance(classes, Tensor) or classes.ndim < 2 or len(classes) != len(x):
            got = tuple(classes.shape) if isinstance(classes, Tensor) else classes
            raise ValueError(f"classes: expected a list for each of {len(x)} images, (B, K, ...), got {got!r}")
        asked = _classes(denoiser, classes.flatten(0, 1)).unflatten(0, classes.shape[:2])
    else:
        classes = _classes(denoiser, classes)
        asked = classes.expand(len(x), *classes.shape)
    return _fill(denoiser, x, draws, asked, range(len(draws)), batch, loss)


def scores(table: Tensor, *, log_prior: Tensor | None = None, width: float = WIDTH) -> Tensor:
    """Log p(x | class) + log p(class), up to a constant that all classes share.

    Args:
        table: squared errors summed over pixels, (B, K, N), of draws uniform in log-SNR.
        log_prior: (K,); `None` for equal classes.
        width: of the range of log-SNR, L1 - L0. The mean error is weighted by width / 2: a half from the exponent of a
            Gaussian, times the range of the integral.
    Returns:
        (B, K), float64.
    """
    mean = validate.finite("table", table, ndim=3).double().mean(2)
    score = -0.5 * validate.number("width", width, lo=0, open_lo=True) * mean
    if log_prior is None:
        return score
    if validate.finite("log_prior", log_prior, ndim=1).shape != score.shape[1:]:
        raise ValueError(f"log_prior: expected ({score.shape[1]},), got {tuple(log_prior.shape)}")
    return score + log_prior.to(score)


def posterior(table: Tensor, *, log_prior: Tensor | None = None, width: float = WIDTH) -> Tensor:
    """Probability of each class by Bayes' rule, (B, K): the softmax of `scores`, whose arguments it takes."""
    return scores(table, log_prior=log_prior, width=width).softmax(1)


def n_calls(classes: int, stages: Sequence[int], keep: Sequence[int]) -> int:
    """Evaluations an image if stage j brings the survivors to stages[j] draws and the best keep[j] go on.

    Example:
        >>> n_calls(1000, (50, 100, 500, 1000), (500, 50, 10, 1))
        100000
    """
    _check_stages(classes, stages, keep)
    going = (classes, *keep[:-1])
    return sum(k * (stop - start) for k, (start, stop) in zip(going, pairwise((0, *stages)), strict=True))


def prune(table: Tensor, stages: Sequence[int], keep: Sequence[int]) -> tuple[Tensor, int]:
    """Replay a race on a full table.

    Args:
        table: errors, (B, K, N), in the order of `draws`.
        stages: draws that each survivor has seen after each stage, rising, at most N.
        keep: survivors after each stage, falling to 1.
    Returns:
        the index of the survivor, (B,), int64, and the evaluations an image that the race would have cost.
    Raises:
        ValueError: if the stages do not rise, `keep` does not fall to 1, or either asks for more than there is.
    """
    b, classes, n = validate.finite("table", table, ndim=3).shape
    _check_stages(classes, stages, keep, n)
    alive = torch.arange(classes, device=table.device).expand(b, -1)
    for stop, k in zip(stages, keep, strict=True):
        alive = _best(alive, table[:, :, :stop].mean(2).gather(1, alive), k)
    return alive[:, 0], n_calls(classes, stages, keep)


def classify(
    denoiser: Denoiser, x: Tensor, draws: Draws, classes: Tensor, stages: Sequence[int], keep: Sequence[int], **how: Any
) -> Result:
    """Run the race: every stage asks the denoiser about the survivors of each image only.

    Args:
        denoiser, x, draws, classes: as for `error_table`.
        stages, keep: as for `prune`; stages=[N], keep=[1] is the full table's answer.
        how: `batch` and `loss` of `error_table`.
    """
    classes = _classes(denoiser, classes).to(x.device)
    _check_stages(len(classes), stages, keep, len(draws))
    table = torch.full((len(x), len(classes), stages[-1]), torch.nan, dtype=torch.float64, device=x.device)
    image = torch.arange(len(x), device=x.device)[:, None]
    alive, sent, start = torch.arange(len(classes), device=x.device).expand(len(x), -1), 0, 0
    for stop, k in zip(stages, keep, strict=True):
        new = _fill(denoiser, x, draws, classes[alive], range(start, stop), **how)
        table[image, alive, start:stop] = new
        alive, sent, start = _best(alive, table[image, alive, :stop].mean(2), k), sent + new.numel(), stop
    return Result(classes[alive[:, 0]], sent / max(len(x), 1), table)


def _spread(n: int) -> Tensor:
    """0..n-1 in bit-reversed order, (n,): every prefix is spread over the range, every longer one refines it."""
    bits = (n - 1).bit_length()
    reverse = [int(format(i, f"0{bits}b")[::-1], 2) for i in range(2**bits)]
    # a third of the way in every cell, large or small: without the shift a prefix sits at the cells' lower ends
    return (torch.tensor(list(dict.fromkeys(i * n >> bits for i in reverse))) + n // 3) % n


def _classes(denoiser: Denoiser, classes: Tensor) -> Tensor:
    if not isinstance(classes, Tensor) or not 1 <= classes.ndim <= 2 or not len(classes):
        got = f"shape {tuple(classes.shape)}" if isinstance(classes, Tensor) else f"{classes!r}"
        raise ValueError(f"classes: expected at least one label, (K,), or caption, (K, L), got {got}")
    if classes.ndim == 2:
        if classes.dtype != torch.int64:
            raise ValueError(f"classes: expected int64 token ids, got {classes.dtype}")
        return classes  # the network reads them and names what it cannot read
    known = getattr(denoiser, "num_classes", None)  # the null label, num_classes, is a legal question
    return validate.labels(classes, batch=len(classes), classes=math.inf if known is None else known + 1)


def _check_stages(classes: int, stages: Sequence[int], keep: Sequence[int], draws: float = math.inf) -> None:
    validate.count("classes", classes)
    if not stages or len(stages) != len(keep):
        raise ValueError(f"stages, keep: expected one number each for every stage, got {tuple(stages)}, {tuple(keep)}")
    if stages[0] < 1 or not all(a < b for a, b in pairwise(stages)):
        raise ValueError(f"stages: expected rising numbers of draws, got {tuple(stages)}")
    if stages[-1] > draws:
        raise ValueError(f"stages: expected at most the {draws} draws there are, got {tuple(stages)}")
    if keep[-1] != 1 or not all(a > b for a, b in pairwise(keep)):
        raise ValueError(f"keep: expected numbers of classes that fall to 1, got {tuple(keep)}")
    if keep[0] > classes:
        raise ValueError(f"keep: expected at most the {classes} classes there are, got {tuple(keep)}")


def _best(alive: Tensor, mean: Tensor, k: int) -> Tensor:
    """The k of `alive` with the least mean; ties go to the earlier one."""
    return alive.gather(1, mean.argsort(dim=1, stable=True)[:, :k])


@torch.no_grad()
def _fill(
    denoiser: Denoiser, x: Tensor, draws: Draws, asked: Tensor, span: range, batch: int = 1024, loss: str = "l2"
) -> Tensor:
    """Errors of a span of draws for the labels or captions `asked`, (B, k, ...), of each image: (B, k, len(span))."""
    validate.choice("loss", loss, ("l1", "l2"))
    b, k, n = len(validate.finite("x", x)), asked.shape[1], len(draws)
    t, eps = draws.t, draws.eps
    if t.shape not in ((n,), (b, n)) or eps.shape not in ((n, *x.shape[1:]), (b, n, *x.shape[1:])):
        raise ValueError(
            f"draws: expected t (N,) or (B, N) and eps (N, ...) or (B, N, ...) for images {tuple(x.shape)}, "
            f"got {tuple(t.shape)} and {tuple(eps.shape)}"
        )
    t, eps = t.expand(b, n), eps.expand(b, *eps.shape[-x.ndim :])
    errors = []
    for pairs in torch.arange(b * len(span)).split(max(validate.count("batch", batch) // k, 1)):
        i, j = pairs // len(span), span.start + pairs % len(span)
        x0, time = x[i], t[i, j]
        xt = add_noise(denoiser.schedule, x0, time, eps[i, j].to(x))  # noised once, shown to every class
        guess = denoiser(xt.repeat_interleave(k, 0), time.repeat_interleave(k), asked[i.to(asked.device)].flatten(0, 1))
        # eps - eps_hat = (alpha / sigma) (x0_hat - x0): no difference of two noises that are nearly equal
        off = (guess.unflatten(0, (-1, k)) - x0[:, None]).double().flatten(2)
        ratio = denoiser.schedule.lam(time).exp().to(off.device)[:, None]
        errors.append(ratio**2 * off.square().sum(2) if loss == "l2" else ratio * off.abs().sum(2))  # (pairs, k)
    return torch.cat(errors).view(b, len(span), k).mT
