"""The one contract of the course, and every conversion between predictions.

A denoiser looks at x_t = alpha x_0 + sigma eps and answers with its best guess of x_0:

    denoiser(x, t, y=None) -> x0

Noise, v and score are other names for the same guess. They are derived here and only here.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from denoising import validate
from denoising.schedules import Schedule

__all__ = ["CaptionDenoiser", "Counted", "Denoiser", "NetworkDenoiser", "add_noise", "from_x0", "to_x0"]

PREDICTIONS = ("eps", "score", "v", "x0")


def _per_item(value: Tensor, x: Tensor) -> Tensor:
    """A scalar or (B,) schedule value in the shape (B, 1, ..., 1), dtype and device of x."""
    value = value.to(device=x.device, dtype=x.dtype)
    return value if value.ndim == 0 else value.view(-1, *[1] * (x.ndim - 1))


def _scales(schedule: Schedule, t: Tensor | float, x: Tensor, name: str = "x") -> tuple[Tensor, Tensor]:
    validate.finite(name, x)
    alpha, sigma = schedule.alpha_sigma(validate.times(t, batch=len(x)))
    return _per_item(alpha, x), _per_item(sigma, x)


def add_noise(schedule: Schedule, x0: Tensor, t: Tensor | float, eps: Tensor) -> Tensor:
    """Jump to time t: alpha x_0 + sigma eps.

    Args:
        schedule: gives alpha and sigma.
        x0: clean batch, (B, ...), float.
        t: time of the batch or of each item, in (0, 1], a number or (B,).
        eps: standard normal noise, shaped like x0.
    Returns:
        x_t, shaped like x0.
    Raises:
        ValueError: if shapes disagree, t is out of range, or a value is not finite.
    Source: Ho et al. 2020, eq. 4.
    """
    alpha, sigma = _scales(schedule, t, x0, "x0")
    if validate.finite("eps", eps).shape != x0.shape:
        raise ValueError(f"eps: expected the shape of x0 {tuple(x0.shape)}, got {tuple(eps.shape)}")
    return alpha * x0 + sigma * eps


def to_x0(kind: str, value: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """The guess of x_0 behind a prediction `value` of `kind` "x0", "eps", "v" or "score", all shaped like x.

    Source: v is alpha eps - sigma x_0 (Salimans and Ho 2022); the score is -eps / sigma (Vincent 2011).
    """
    match validate.choice("kind", kind, PREDICTIONS):
        case "eps":
            return (x - sigma * value) / alpha
        case "score":
            return (x + sigma**2 * value) / alpha
        case "v":
            # alpha x - sigma v = (alpha^2 + sigma^2) x_0; the sum is 1 where variance is preserved
            return (alpha * x - sigma * value) / (alpha**2 + sigma**2)
    return value


def from_x0(kind: str, x0: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """A guess of x_0 as the prediction of `kind`; the inverse of `to_x0`."""
    match validate.choice("kind", kind, PREDICTIONS):
        case "eps":
            return (x - alpha * x0) / sigma
        case "score":
            return (alpha * x0 - x) / sigma**2
        case "v":
            return (alpha * x - (alpha**2 + sigma**2) * x0) / sigma
    return x0


class Denoiser(ABC):
    """A guess of x_0 given x_t, bound to a schedule.

    Attributes:
        schedule: what alpha and sigma mean.
    """

    schedule: Schedule

    @abstractmethod
    def __call__(self, x: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        """Guess x_0.

        Args:
            x: noisy batch, (B, ...), float.
            t: time in (0, 1], a number or (B,).
            y: labels, (B,), int64, or `None` for no class.
        Returns:
            the guess, shaped like x.
        """

    def eps(self, x: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        """The same guess as noise: (x - alpha x_0) / sigma."""
        return self._as("eps", x, t, y)

    def v(self, x: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        """The same guess as velocity: alpha eps - sigma x_0."""
        return self._as("v", x, t, y)

    def score(self, x: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        """The same guess as gradient of log p_t: (alpha x_0 - x) / sigma^2 (Tweedie)."""
        return self._as("score", x, t, y)

    def _as(self, kind: str, x: Tensor, t: Tensor | float, y: Tensor | None) -> Tensor:
        alpha, sigma = _scales(self.schedule, t, x)
        return from_x0(kind, self(x, t, y), x, alpha, sigma)


class NetworkDenoiser(Denoiser):
    """A network as a denoiser.

    Args:
        net: called as `net(x, timestep, labels)`; `timestep` counts rows of a `num_timesteps` table, from 0. It may
            return a tensor or an object with the field `sample`.
        schedule: the one it was trained with.
        predicts: what the network's output means: "v", "eps", "x0" or "score".
        num_timesteps: rows of that table.
        num_classes: how many labels it knows; `num_classes` itself is the null label. 0 for a network without labels.
    """

    def __init__(
        self,
        net: nn.Module | Callable[..., Tensor],
        schedule: Schedule,
        *,
        predicts: str = "v",
        num_timesteps: int = 1000,
        num_classes: int = 0,
    ):
        self.net = net
        self.schedule = schedule
        self.predicts = validate.choice("predicts", predicts, PREDICTIONS)
        self.num_timesteps = validate.count("num_timesteps", num_timesteps)
        self.num_classes = validate.count("num_classes", num_classes, lo=0)

    def __call__(self, x: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        alpha, sigma = _scales(self.schedule, t, x)
        return to_x0(self.predicts, self._predict(x, validate.times(t), y), x, alpha, sigma)

    def _predict(self, x: Tensor, t: Tensor, y: Tensor | None) -> Tensor:
        """The raw output, in x's dtype; the network itself works in its own."""
        weight = next(iter(self.net.parameters()), x) if isinstance(self.net, nn.Module) else x
        timestep = (t * self.num_timesteps - 1).to(weight).expand(len(x))
        y = self._condition(y, len(x))
        out = self.net(x.to(weight), timestep, y if y is None else y.to(weight.device))
        out = getattr(out, "sample", out)
        if out.shape != x.shape:  # it would broadcast to a wrong answer
            raise ValueError(f"net: expected an output shaped like x {tuple(x.shape)}, got {tuple(out.shape)}")
        return out.to(x)

    def _condition(self, y: Tensor | None, batch: int) -> Tensor | None:
        """What the network is told of the items: their labels, checked; the null label for `None`."""
        if self.num_classes:
            if y is None:
                return torch.full((batch,), self.num_classes)
            return validate.labels(y, batch=batch, classes=self.num_classes + 1)
        if y is not None:
            raise ValueError("y: this network knows no labels; leave y out")
        return None


class CaptionDenoiser(NetworkDenoiser):
    """A network that is told a caption instead of a label, as a denoiser.

    y is what the network's `context` takes: token ids (B, L), int64, or word vectors (B, L, width); `None` is the null
    caption. The network raises a ValueError for captions that it cannot read.

    Args:
        net: a `networks.text_unet.TextUNet`.
        schedule: the one it was trained with.
    """

    def __init__(self, net: nn.Module, schedule: Schedule):
        super().__init__(net, schedule, predicts="v")

    def _condition(self, y: Tensor | None, batch: int) -> Tensor | None:
        if y is not None and len(y) != batch:
            raise ValueError(f"y: expected a caption for each of {batch} items, got {len(y)}")
        return y


class Counted(Denoiser):
    """A denoiser that counts what it is asked.

    Args:
        denoiser: the one that answers.
    Attributes:
        calls: how often it was called.
        items: rows of all batches together: the cost that a smaller batch saves.
    """

    def __init__(self, denoiser: Denoiser):
        self.denoiser, self.schedule = denoiser, denoiser.schedule
        self.calls = self.items = 0

    def __call__(self, x: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        self.calls += 1
        self.items += len(x)
        return self.denoiser(x, t, y)
