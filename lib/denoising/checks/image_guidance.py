"""Checks of notebook 4.2: the two branches behind guided guesses, a guided noise of three parts, a strength chosen."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from denoising import metrics
from denoising.checks import missing, passed, require

__all__ = ["check_branches", "check_choose_strength", "check_guided_eps"]


def check_branches(branches: Callable[..., Any], *, strict: bool = False) -> None:
    """`branches(a, w_a, b, w_b)`: the guesses without and with the label behind (1 + w) class - w null at two w.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name, generator = "branches", torch.Generator().manual_seed(0)
    null, label = torch.randn((2, 3, 1, 4, 4), generator=generator, dtype=torch.float64)
    for w_a, w_b in ((0.5, 2.0), (4.0, 1.0), (-1.0, 0.0), (-0.5, 3.0)):
        a, b = ((1 + w) * label - w * null for w in (w_a, w_b))
        got = branches(a.clone(), w_a, b.clone(), w_b)
        if missing(name, got, strict=strict):
            return
        pair = isinstance(got, tuple | list) and len(got) == 2 and all(isinstance(part, Tensor) for part in got)
        require(pair, name, f"expected two tensors, null then class, got {type(got).__name__}")
        require(all(part.shape == a.shape for part in got), name,
                f"expected the shape {tuple(a.shape)} twice, got {[tuple(part.shape) for part in got]}")  # fmt: skip
        slope = (b - a) / (w_b - w_a)
        for wrong, cause in (
            ((label, null), "the right two, in the wrong order: null first"),
            ((a - w_a * slope, a + (1 - w_a) * slope), "this takes w for s: the class alone is w = 0, the null w = -1"),
            ((a + (1 - w_a) * slope, a - w_a * slope), "this takes w for s, and 1 - s for s"),
            ((a - (2 + w_a) * slope, a - (1 + w_a) * slope), "one too low: s = 1 + w, so w = s - 1"),
            ((a - (1 + w_a) * (b - a), a - w_a * (b - a)), "divide by w_b - w_a: the slope in w is class - null"),
        ):
            require(_close(got, (null, label)) or not _close(got, wrong), name, f"{cause} (w = {w_a}, {w_b})")
        require(_close(got, (null, label)), name, f"wrong for w = {w_a} and {w_b}; mixing them again must give a and b")
    passed(name)


def check_guided_eps(guided_eps: Callable[..., Any], *, strict: bool = False) -> None:
    """`guided_eps(null, label, gradient, sigma, s, c)`: the noise under both kinds of guidance, sigma a tensor (B,).

    The case is exact: two classes N(-1, v) and N(+1, v), variance preserving, whose posterior is known.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name, generator = "guided_eps", torch.Generator().manual_seed(0)
    sigma = torch.tensor([0.2, 0.6, 0.95], dtype=torch.float64)
    at = sigma[:, None, None, None]
    x = torch.randn((3, 1, 2, 2), generator=generator, dtype=torch.float64)
    alpha = (1 - at**2).sqrt()
    total = 0.25 * alpha**2 + at**2  # variance of x_t within a class
    chance = torch.sigmoid(2 * (alpha * x / total).sum((1, 2, 3), keepdim=True))  # of class +1
    label = at * (x - alpha) / total  # eps = -sigma score
    null = at * (x - alpha * (2 * chance - 1)) / total
    gradient = 2 * (1 - chance) * alpha / total  # of log p(+1 | x_t)
    for s, c in ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1.0, 2.0), (3.0, 0.0), (2.0, 0.5)):
        got = guided_eps(null.clone(), label.clone(), gradient.clone(), sigma.clone(), s, c)
        if missing(name, got, strict=strict):
            return
        require(isinstance(got, Tensor), name, f"expected a tensor, got {type(got).__name__}")
        shapes = f"expected shape {tuple(x.shape)}, got {tuple(got.shape)}; sigma (B,) needs the shape (B, 1, 1, 1)"
        require(got.shape == x.shape, name, shapes)
        free, want = null + s * (label - null), null + (s + c) * (label - null)
        for wrong, cause in (
            (free + c * at * gradient, "the sign: eps = -sigma score, so a gradient added to the score is subtracted"),
            (free - c * gradient, "sigma is missing: eps = -sigma score"),
            (free - c * at**2 * gradient, "sigma once, not squared: squared, over alpha, it moves the guess of x_0"),
            (free - c * at / alpha * gradient, "no alpha here: it belongs to the guess of x_0"),
            (null + s * label - c * at * gradient, "s multiplies the difference of the branches, not the class branch"),
            (
                label + s * (label - null) - c * at * gradient,
                "this counts from the class branch, the (1 + w) convention",
            ),
            (null + s * (label - null - c * at * gradient), "c is a strength of its own: do not multiply it by s"),
        ):
            require(_near(got, want) or not _near(got, wrong), name, f"{cause} (s = {s}, c = {c})")
        require(_near(got, want), name, f"off by {float((got - want).abs().max()):.3g} for s = {s}, c = {c}")
    passed(name)


def check_choose_strength(choose_strength: Callable[..., Any], *, strict: bool = False) -> None:
    """`choose_strength(features, strengths, reference, validation)`: the strength, and its distance on fresh rows.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name, generator = "choose_strength", torch.Generator().manual_seed(0)
    real = torch.randn((400, 3), generator=generator, dtype=torch.float64)
    reference, strengths = metrics.statistics(real), (0.0, 1.0, 2.0, 5.0)
    split = torch.arange(120) % 3 == 0  # 40 rows for the choice, 80 to report on
    scale = torch.tensor([[0.3, 1.05], [0.95, 1.4], [1.3, 0.6], [2.5, 2.5]], dtype=torch.float64)  # the parts disagree
    for turn in range(3):
        common = torch.randn((120, 3), generator=generator, dtype=torch.float64)
        order = torch.randperm(4, generator=generator)
        features = torch.where(split, scale[order, :1], scale[order, 1:])[:, :, None] * common
        got = choose_strength(features.clone(), strengths, reference, split.clone())
        if missing(name, got, strict=strict):
            return
        require(isinstance(got, tuple | list) and len(got) == 2, name, "expected two numbers: a strength, a distance")
        s, value = (float(part) for part in got)
        require(s in strengths, name, f"{s:g} is none of the strengths {strengths}: return the strength, not its place")
        _judge_choice(name, (s, value), features, strengths, reference, split, turn)
    passed(name)


def _judge_choice(
    name: str,
    got: tuple[float, float],
    features: Tensor,
    strengths: Sequence[float],
    reference: metrics.Statistics,
    split: Tensor,
    turn: int,
) -> None:
    """Compare one answer with the right one and with the tempting ones."""
    chosen, fresh, whole = (
        [metrics.frechet_distance(rows, reference) for rows in part]
        for part in (features[:, split], features[:, ~split], features)
    )
    best = min(range(len(strengths)), key=chosen.__getitem__)
    want = (strengths[best], fresh[best])
    peeked, all_rows = (min(range(len(strengths)), key=values.__getitem__) for values in (fresh, whole))
    worst = max(range(len(strengths)), key=chosen.__getitem__)
    for wrong, cause in (
        ((strengths[best], chosen[best]), "the distance of the rows that chose is too kind: report it on the others"),
        ((strengths[best], whole[best]), "this distance holds the rows that chose: leave them out"),
        ((strengths[best], min(fresh)), "the smallest on the fresh rows, whoever has it: that is a second choice"),
        ((strengths[peeked], fresh[peeked]), "the choice was made on the rows that were to judge it"),
        ((strengths[peeked], chosen[peeked]), "the two parts are swapped: `validation` marks the rows that choose"),
        ((strengths[all_rows], whole[all_rows]), "all rows chose and judged: keep the two apart"),
        ((strengths[worst], fresh[worst]), "the largest distance was chosen; the smallest is wanted"),
    ):
        close = got[0] == wrong[0] and abs(got[1] - wrong[1]) < 1e-6
        right = abs(wrong[0] - want[0]) < 1e-9 and abs(wrong[1] - want[1]) < 1e-6
        require(right or not close, name, cause)
    require(got[0] == want[0], name, f"strength {got[0]:g}, expected {want[0]:g} (case {turn + 1})")
    require(abs(got[1] - want[1]) < 1e-6, name, f"distance {got[1]:.4g}, expected {want[1]:.4g} (case {turn + 1})")


def _close(got: Sequence[Tensor], want: Sequence[Tensor]) -> bool:
    return all(_near(a, b) for a, b in zip(got, want, strict=True))


def _near(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() < 1e-8)
