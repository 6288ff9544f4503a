"""Guidance: wrappers from denoiser to denoiser. A sampler never knows of it.

One convention for the strength s, everywhere:

    eps = eps_any + s (eps_class - eps_any)

s = 0 ignores the label, s = 1 is conditional sampling, s > 1 is guidance. The guess of x_0 is affine in eps, so it is
mixed by the same line. Papers that write (1 + w) eps_class - w eps_any are converted by `strength_of_w`.

A strength is a number or a function of the time, as `within` makes it.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from denoising import validate
from denoising.denoisers import Denoiser

__all__ = [
    "Adaptive",
    "ClassifierFree",
    "Guide",
    "Guided",
    "Strength",
    "label_guide",
    "strength_of_w",
    "within",
]

Strength = float | Callable[[float], float]
Guide = Callable[[Tensor, Tensor | float, Tensor | None], Tensor]
SEEN_BY_THE_GUIDE = ("xt", "x0", "through")
SLACK = 1e-9  # of a time at the end of an interval: in floats 0.1 * 3 lies beyond 0.3
CHURN = 1.42  # a sampler raises sigma / alpha by at most sqrt(2) before a step (samplers.edm_stochastic)


def strength_of_w(w: float) -> float:
    """The strength s = 1 + w of a paper that guides with (1 + w) eps_class - w eps_any.

    Source: Ho and Salimans 2022, eq. 6.
    """
    return 1 + validate.number("w", w)


def within(s: float, lo: float, hi: float) -> Callable[[float], float]:
    """Strength s at times lo <= t <= hi, up to rounding, and plain conditional sampling (1) at all others.

    Source: Kynkaanniemi et al. 2024, arXiv 2404.07724.
    Example:
        >>> strength = within(3.0, 0.2, 0.8)
        >>> strength(0.5), strength(0.9)
        (3.0, 1.0)
    """
    validate.number("s", s)
    validate.number("hi", hi, lo=validate.number("lo", lo, lo=0, hi=1), hi=1)
    return lambda t: s if lo - SLACK <= t <= hi + SLACK else 1.0


def _strength(s: Strength, t: Tensor | float) -> float:
    """The strength at one time; a function of time needs one time for the whole batch."""
    if not callable(s):
        return validate.number("s", s)
    time = validate.times(t)
    if time.ndim:
        raise ValueError(f"t: expected one number, because s depends on it; got shape {tuple(time.shape)}")
    return validate.number("s", s(float(time)))


def _labels(y: Tensor | None) -> Tensor:
    if y is None:
        raise ValueError("y: expected the labels to guide towards, got None; pass y to the sampler")
    return y


class ClassifierFree(Denoiser):
    """Classifier-free guidance: x_0 = any + s (class - any), two calls; one where s is 0 or 1.

    Args:
        denoiser: knows labels, and answers without one for y = None.
        s: the strength.
    Raises:
        ValueError: when called without labels, or for a strength that is not finite.
    Source: Ho and Salimans 2022, eq. 6.
    """

    def __init__(self, denoiser: Denoiser, s: Strength):
        self.denoiser, self.s, self.schedule = denoiser, s, denoiser.schedule
        if not callable(s):
            validate.number("s", s)

    def __call__(self, x: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        s = _strength(self.s, t)
        if s == 0:
            _labels(y)
            return self.denoiser(x, t)
        conditional = self.denoiser(x, t, _labels(y))
        return conditional if s == 1 else _mix(self.denoiser(x, t), conditional, s)


def _mix(any_class: Tensor, conditional: Tensor, s: float) -> Tensor:
    """The convention of the course, for guesses of x_0 as for noises and scores."""
    return any_class + s * (conditional - any_class)


class Adaptive(Denoiser):
    """Classifier-free guidance that stops, item by item, once the two branches agree.

    Both branches are computed until the cosine of their guesses of x_0 reaches `threshold`; from the next call on that
    item takes the conditional branch alone and leaves the batch of the other. The decision is never taken back within a
    trajectory. A new one begins with a batch of another size, with a call not before the first time of the old one, or
    with a rise of the noise beyond what churn adds before a step; `reset` begins one by hand.

    Args:
        denoiser: knows labels, and answers without one for y = None.
        s: the strength.
        threshold: of the cosine. Above 1 it never stops, at -1 after one call.
        crop: pixels cut off each side of pictures (B, ..., H, W) before the cosine; a constant border would flatter it.
        space: "x0", or "eps", in which the branches also agree at pure noise, where both return it.
    Attributes:
        items: rows that the denoiser was asked for in this trajectory, one number per item, (B,).
    Source: Castillo et al. 2023, arXiv 2312.12487, section 4; they take the cosine of eps.
    """

    def __init__(self, denoiser: Denoiser, s: Strength, *, threshold: float, crop: int = 0, space: str = "x0"):
        self.denoiser, self.s, self.schedule = denoiser, s, denoiser.schedule
        self.threshold = validate.number("threshold", threshold)
        self.crop = validate.count("crop", crop, lo=0)
        self.space = validate.choice("space", space, ("eps", "x0"))
        if not callable(s):
            validate.number("s", s)
        self.reset()

    def reset(self) -> None:
        """Forget the trajectory."""
        self._first, self._level = 0.0, 0.0  # time of the first call, sigma / alpha of the last
        self._on, self.items = torch.empty(0, dtype=torch.bool), torch.empty(0, dtype=torch.int64)

    def _begin(self, time: float, batch: int) -> None:
        """Forget the trajectory if this call belongs to another one."""
        level = float(self.schedule.sigma_edm(time))
        rise, self._level = level / (self._level or level), level
        again = time >= self._first and (rise <= 1 or time < 1)  # churn may lead back to t = 1, where noise ends
        if again or rise > CHURN or len(self._on) != batch:
            self._first = time
            self._on, self.items = torch.ones(batch, dtype=torch.bool), torch.zeros(batch, dtype=torch.int64)

    def __call__(self, x: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        s, y, time = _strength(self.s, t), _labels(y), validate.times(t)
        if time.ndim:
            raise ValueError(f"t: expected one number, the time of a sampler; got shape {tuple(time.shape)}")
        if self.crop and (x.ndim < 3 or 2 * self.crop >= min(x.shape[-2:])):
            raise ValueError(f"crop: expected pictures of more than {2 * self.crop} pixels, got shape {tuple(x.shape)}")
        self._begin(float(time), len(x))
        conditional = self.denoiser(x, t, y)
        both = self._on if s != 1 else torch.zeros_like(self._on)  # at s = 1 there is nothing to mix
        on = torch.nonzero(both)[:, 0]
        self.items += 1 + both
        if not len(on):
            return conditional
        rows = on.to(x.device)
        any_class = self.denoiser(x[rows], t)
        cosine = self._cosine(x[rows], any_class, conditional[rows], time)
        guess = conditional.clone()
        guess[rows] = _mix(any_class, conditional[rows], s)
        self._on[on] = (cosine < self.threshold).cpu()
        return guess

    def _cosine(self, x: Tensor, a: Tensor, b: Tensor, t: Tensor) -> Tensor:
        """Of two guesses of x_0, or of the noises that they imply, (B,)."""
        if self.space == "eps":
            alpha = self.schedule.alpha(t).to(x)
            a, b = x - alpha * a, x - alpha * b  # times 1 / sigma, which a cosine does not see
        if self.crop:
            a, b = (part[..., self.crop : -self.crop, self.crop : -self.crop] for part in (a, b))
        return F.cosine_similarity(a.flatten(1), b.flatten(1)).clamp(-1, 1)  # rounding leads beyond


class Guided(Denoiser):
    """Guidance by the gradient of any function of the picture: score + s grad guide.

    With guide = log p(y | x_t) and s = 1 this is conditional sampling, by Bayes' rule. A score added is a guess of x_0
    moved by sigma^2 / alpha times as much.

    Args:
        denoiser: called without a label, unless `conditional`.
        guide: (x, t, y) to one number per item, (B,), larger is better; it must be differentiable.
        s: the strength.
        sees: what the guide is shown. "xt": the noisy picture. "x0": the guess of x_0, and the gradient is taken there,
            as if it were that at x_t; the denoiser is not differentiated. "through": the guess of x_0, differentiated
            through the denoiser back to x_t, which costs a backward pass.
        conditional: whether the denoiser is told the label too.
    Raises:
        ValueError: for a strength, an answer or a gradient that is not finite, an answer of another shape, or one that
            cannot be differentiated.
    Source: Dhariwal and Nichol 2021, eq. 14 ("xt"); Ma et al. 2023, arXiv 2310.11311 ("x0"); Bansal et al. 2023,
        arXiv 2302.07121 ("through").
    """

    def __init__(self, denoiser: Denoiser, guide: Guide, s: Strength, *, sees: str = "xt", conditional: bool = False):
        self.denoiser, self.guide, self.s, self.schedule = denoiser, guide, s, denoiser.schedule
        self.sees = validate.choice("sees", sees, SEEN_BY_THE_GUIDE)
        self.conditional = conditional
        if not callable(s):
            validate.number("s", s)

    def __call__(self, x: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        s = _strength(self.s, t)
        with torch.inference_mode(False):  # what was made in inference mode cannot be kept for a backward pass
            t, y = (part.clone() if isinstance(part, Tensor) else part for part in (t, y))
        label = y if self.conditional else None
        if self.sees == "through":
            with torch.inference_mode(False), torch.enable_grad():
                at = x.detach().clone().requires_grad_()
                guess = self.denoiser(at, t, label)
                gradient = self._gradient(guess, t, y, at)
        else:
            guess = self.denoiser(x, t, label)
            with torch.inference_mode(False), torch.enable_grad():
                at = (x if self.sees == "xt" else guess).detach().clone().requires_grad_()
                gradient = self._gradient(at, t, y, at)
        alpha, sigma = (scale.to(x).reshape(-1, *[1] * (x.ndim - 1)) for scale in self.schedule.alpha_sigma(t))
        # whoever differentiates this answer is refused: the guide's own part would be missing
        return guess.detach() + s * sigma**2 / alpha * gradient

    def _gradient(self, shown: Tensor, t: Tensor | float, y: Tensor | None, at: Tensor) -> Tensor:
        value = self.guide(shown, t, y)
        if not isinstance(value, Tensor) or value.shape != (len(at),):
            got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"guide: expected one number per item, shape ({len(at)},), got {got}")
        gradient = torch.autograd.grad(value.sum(), at, allow_unused=True)[0] if value.requires_grad else None
        if gradient is None:
            raise ValueError("guide: expected an answer that can be differentiated; is it run without gradients?")
        if bad := sum(int((~torch.isfinite(part)).sum()) for part in (value, gradient)):
            raise ValueError(f"guide: expected finite answers and gradients, got {bad} NaN or infinite at t = {t}")
        return gradient


def label_guide(
    classifier: nn.Module | Callable[[Tensor, Tensor], Tensor], classes: int, *, told_time: bool = True
) -> Guide:
    """log p(y | x) of a classifier, as a guide.

    Args:
        classifier: (x, t) to logits (B, classes), t as (B,); a clean classifier takes x alone. A network works in its
            own dtype.
        classes: how many there are.
        told_time: whether the classifier is given t.
    Returns:
        a `Guide`. It raises `ValueError` for labels out of range or logits of another shape.
    Example:
        >>> from denoising.exact import digit_gaussians
        >>> from denoising.schedules import Cosine
        >>> digits = digit_gaussians(Cosine())
        >>> label_guide(digits.log_posterior, 10)(digits.means, 0.1, torch.arange(10)).exp().min() > 0.9
        tensor(True)
    """
    validate.count("classes", classes)

    def guide(x: Tensor, t: Tensor | float, y: Tensor | None) -> Tensor:
        y = validate.labels(_labels(y), batch=len(x), classes=classes).to(x.device)
        own = next(classifier.parameters(), x).dtype if isinstance(classifier, nn.Module) else None
        time = (validate.times(t).to(x.device, own).expand(len(x)),) if told_time else ()
        logits = classifier(x.to(own or x.dtype), *time)
        if logits.shape != (len(x), classes):
            raise ValueError(f"classifier: expected logits of shape {(len(x), classes)}, got {tuple(logits.shape)}")
        return logits.log_softmax(1).gather(1, y[:, None])[:, 0]

    return guide
