"""Checks of notebook 5.4: the scores of minimal pairs, and the score of a caption."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from denoising import scenes
from denoising.checks import missing, passed, require, require_gaussian
from denoising.denoisers import Denoiser, from_x0
from denoising.rng import Rng
from denoising.schedules import Linear, rows

__all__ = ["check_caption_scores", "check_winoground"]


def truth(s: Tensor) -> tuple[float, float, float]:
    """Text, image and group score of s[pair, picture, caption], (P, 2, 2)."""
    text = (s[:, 0, 0] > s[:, 0, 1]) & (s[:, 1, 1] > s[:, 1, 0])
    image = (s[:, 0, 0] > s[:, 1, 0]) & (s[:, 1, 1] > s[:, 0, 1])
    text_score, image_score, group = (float(one.double().mean()) for one in (text, image, text & image))
    return text_score, image_score, group


def check_winoground(winoground: Callable[[Tensor], Any], *, strict: bool = False) -> None:
    """`winoground(s)`: the three scores of s[pair, picture, caption].

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "winoground"
    random = torch.randn((400, 2, 2), generator=Rng(0), dtype=torch.float64)
    uneven = random + torch.tensor([[3.0, 0.0], [0.0, 0.0]])  # caption 0 with picture 0 scores high whatever happens
    ties = random.clone()
    ties[:100, :, 1] = ties[:100, :, 0]
    level = random.clone()
    level[:100, 1] = level[:100, 0]  # both pictures score alike under each caption
    for s in (random, uneven, ties, level):
        got = winoground(s.clone())
        if missing(name, got, strict=strict):
            return
        require(isinstance(got, tuple) and len(got) == 3, name, f"expected (text, image, group), got {got!r}")
        values = [float(value) for value in got]
        text, image, group = truth(s)
        a, b = (s[:, 0, 0] > s[:, 0, 1]).double(), (s[:, 1, 1] > s[:, 1, 0]).double()
        loose = ((s[:, 0, 0] >= s[:, 0, 1]) & (s[:, 1, 1] >= s[:, 1, 0])).double().mean()
        for value, cause in (
            (
                float((a + b).mean() / 2),
                "a pair is right only if both of its pictures are: this is the mean of the two",
            ),
            (float(a.mean()), "this looks at the first picture only"),
            (image, "this is the image score: the text score keeps the picture and changes the caption"),
            (float(loose), "a tie is no decision: compare with >"),
            (truth(-s)[0], "a higher score is better: compare with >"),
        ):
            require(not _same(values[0], value) or _same(value, text), name, f"text score: {cause}")
        require(_same(values[0], text), name, f"text score {values[0]:.4f}, expected {text:.4f}")
        loose = ((s[:, 0, 0] >= s[:, 1, 0]) & (s[:, 1, 1] >= s[:, 0, 1])).double().mean()
        require(not _same(values[1], float(loose)) or _same(float(loose), image), name,
                "image score: a tie is no decision: compare with >")  # fmt: skip
        require(_same(values[1], image), name, f"image score {values[1]:.4f}, expected {image:.4f}: keep the caption, "
                "change the picture")  # fmt: skip
        require(not _same(values[2], text * image) or _same(text * image, group), name,
                "group score: count the pairs that have both; a product of shares is not that")  # fmt: skip
        require(_same(values[2], group), name, f"group score {values[2]:.4f}, expected {group:.4f}")
    passed(name)


class Reader(Denoiser):
    """A denoiser whose guess of x_0 depends on the words, and which remembers what it was shown."""

    def __init__(self, shape: torch.Size):
        self.schedule = Linear()
        self.words = torch.randn((64, *shape), generator=Rng(1), dtype=torch.float64)
        self.asked: list[tuple[tuple[int, ...] | None, float, Tensor]] = []

    def __call__(self, x: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        t = torch.as_tensor(t, dtype=torch.float64).expand(len(x))
        told = [None] * len(x) if y is None else [tuple(row.tolist()) for row in y.expand(len(x), -1)]
        self.asked += list(zip(told, t.tolist(), x.detach().double().clone(), strict=True))
        means = [self.words[1] if row is None else self.words[list(row)].mean(0) for row in told]
        return torch.stack(means).to(x) + 0.7 * x


def check_caption_scores(caption_scores: Callable[..., Any], *, strict: bool = False) -> None:
    """`caption_scores(x, denoiser, captions, times, generator)`: minus the mean error of each caption, (K,).

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "caption_scores"
    x = torch.randn((3, 4, 4), generator=Rng(2), dtype=torch.float64)
    captions = torch.stack([scenes.encode(f"a {colour} shape") for colour in scenes.COLOURS[:4]])
    times = rows(1000)[torch.tensor([150, 400, 650, 900, 250])]
    net = Reader(x.shape)
    got = caption_scores(x.clone(), net, captions.clone(), times.clone(), Rng(3))
    if missing(name, got, strict=strict):
        return
    require(isinstance(got, Tensor) and got.shape == (4,), name, f"expected a tensor (4,), got {_shape(got)}")
    told = {row for row, _, _ in net.asked}
    null = tuple(scenes.null_caption().tolist())
    require(None not in told and null not in told, name,
            "the null caption was asked too: no guidance when scoring, the conditional guess alone")  # fmt: skip
    require(
        told == {tuple(row.tolist()) for row in captions}, name, "ask about the captions that were given, all of them"
    )
    require(len(net.asked) == 20, name, f"the denoiser was asked {len(net.asked)} times, expected 4 captions x 5 times")
    seen = {row: sorted([(t, z) for who, t, z in net.asked if who == row], key=lambda one: one[0]) for row in told}
    first = next(iter(seen.values()))
    for shown in seen.values():
        require(
            [t for t, _ in shown] == sorted(times.tolist()), name, "every caption is asked once at every given time"
        )
        require(all(torch.allclose(a, b) for (_, a), (_, b) in zip(first, shown, strict=True)), name,
                "captions saw different noise: draw it once, before the loop over captions")  # fmt: skip
    noises = [_noise(net, x, z, t) for t, z in first]
    require(float((noises[0] - noises[1]).abs().max()) > 1e-3, name, "every time needs noise of its own")
    require_gaussian(torch.stack(noises), name)
    again = caption_scores(x.clone(), Reader(x.shape), captions.clone(), times.clone(), Rng(3))
    require(torch.equal(got, again), name, "the same generator gives other scores: draw the noise from it")
    errors = torch.stack([_errors(net, x, row, seen[tuple(row.tolist())]) for row in captions])  # (4, 5)
    want = -errors.mean(1)
    for value, cause in (
        (-want, "the score is minus the error: a higher one is better"),
        (want / x.numel(), "sum over pixels, not their mean"),
        (5 * want, "the mean over times, not their sum"),
        (-torch.stack([_errors(net, x, row, seen[tuple(row.tolist())], weigh=False) for row in captions]).mean(1),
         "the error of the guessed noise, not of the guessed picture"),
    ):  # fmt: skip
        require(not torch.allclose(got.double(), value, rtol=1e-4), name, cause)
    require(torch.allclose(got.double(), want, rtol=1e-4), name, "scores are not minus the mean of |eps - eps_hat|^2")
    longer = torch.stack([scenes.encode("a red shape"), scenes.encode("a large red shape")])
    try:
        caption_scores(x.clone(), Reader(x.shape), longer, times.clone(), Rng(3))
    except ValueError:
        passed(name)
        return
    require(False, name, "captions of different length: raise ValueError, a longer caption says more and wins for it")


def _noise(net: Reader, x: Tensor, z: Tensor, t: float) -> Tensor:
    alpha, sigma = net.schedule.alpha_sigma(t)
    return from_x0("eps", x, z, alpha, sigma)


def _errors(net: Reader, x: Tensor, row: Tensor, shown: list[tuple[float, Tensor]], *, weigh: bool = True) -> Tensor:
    mean = net.words[row.tolist()].mean(0)
    off = torch.stack([(mean + 0.7 * z - x).square().sum() for _, z in shown])
    return off * torch.stack([net.schedule.snr(t) for t, _ in shown]) if weigh else off


def _same(a: float, b: float) -> bool:
    return abs(a - b) < 1e-9


def _shape(got: Any) -> str:
    return f"shape {tuple(got.shape)}" if isinstance(got, Tensor) else type(got).__name__
