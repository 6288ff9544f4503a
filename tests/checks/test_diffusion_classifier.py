"""The checks of notebook 5.3 accept the solution and name the cause of each planted mistake."""

import pytest
import torch

from denoising import classify
from denoising.checks import WrongAnswer
from denoising.checks.diffusion_classifier import check_diffusion_classify, check_n_calls
from denoising.denoisers import add_noise

NOISES = {
    "one": lambda n, d, g: torch.randn(d, generator=g).expand(n, d),
    "halves": lambda n, d, g: torch.randn((2, d), generator=g).repeat_interleave((n + 1) // 2, 0)[:n],
    "zero": lambda n, d, g: torch.zeros(n, d),
    "rand": lambda n, d, g: torch.rand((n, d), generator=g),
    "centred": lambda n, d, g: torch.rand((n, d), generator=g) - 0.5,
    "triple": lambda n, d, g: 3 * torch.randn((n, d), generator=g),
    "shifted": lambda n, d, g: 0.5 + 0.75**0.5 * torch.randn((n, d), generator=g),
    "global": lambda n, d, g: torch.randn((n, d)),
}


def race(x, denoiser, classes, times, stages, keep, generator, *, fault=""):
    eps = torch.randn((len(times), *x.shape), generator=generator, dtype=x.dtype)
    if fault in NOISES:
        eps = NOISES[fault](len(times), len(x), generator).to(x.dtype)
    alive, history, calls, start = classes.tolist(), {c: [] for c in classes.tolist()}, 0, 0
    for stop, k in zip(stages, keep, strict=True):
        start = 0 if fault == "again" else start
        for c in alive:
            if fault == "again":
                history[c] = []
            if fault == "bug":
                eps = torch.randn((len(times), *x.shape), generator=generator, dtype=x.dtype)
            t, e = times[start:stop], eps[start:stop]
            if fault == "times":
                t = torch.rand(len(t), generator=generator, dtype=torch.float64).clamp(min=0.01)
            xt = add_noise(denoiser.schedule, x.expand_as(e), t, e)
            y = torch.full((len(t),), c)
            off = denoiser(xt, t, y) - x if fault == "x0" else denoiser.eps(xt, t, y) - e
            errors = off.square().mean(1) if fault == "mean" else off.square().sum(1)
            history[c] += errors.tolist()
            calls += len(t)
        new = stop - start
        start = stop

        def mean(c, new=new):
            some = history[c][-new:] if fault == "last" else history[c]
            return (-1 if fault == "worst" else 1) * sum(some) / len(some)

        alive = sorted(alive, key=mean)[: len(alive) if fault == "all" and k > 1 else k]
    label = classes.tolist().index(alive[0]) if fault == "place" else alive[0]
    calls = len(classes) * stages[-1] if fault == "calls" else calls
    return label, calls, {c: errors[:-1] for c, errors in history.items()} if fault == "short" else history


def test_the_solutions_pass(capsys):
    check_n_calls(classify.n_calls, strict=True)
    check_diffusion_classify(race, strict=True)
    assert capsys.readouterr().out == "[x] n_calls\n[x] diffusion_classify\n"


def test_a_right_race_passes_whatever_its_noise():
    """A learner may draw in another order: generators that are further on stand for it."""
    for shift in range(1, 6):

        def moved(*arguments, shift=shift):
            torch.randn(shift, generator=arguments[-1])
            return race(*arguments)

        check_diffusion_classify(moved, strict=True)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda k, n, keep: k * n[-1], "full table"),
        (lambda k, n, keep: sum(a * b for a, b in zip((k, *keep[:-1]), n, strict=True)), "new draws only"),
        (lambda k, n, keep: classify.n_calls(k, n, keep) - k * n[0], "first stage asks all"),
        (lambda k, n, keep: keep[0] * n[0] + sum(c * (b - a) for c, a, b in zip(keep[1:], n, n[1:], strict=False)),
         "survived stage j - 1"),
        (lambda k, n, keep: classify.n_calls(k, n, keep) + 1, "expected 100000"),
        (lambda k, n, keep: "many", "whole number"),
    ],
)  # fmt: skip
def test_wrong_counts_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_n_calls(answer)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("bug", "saw other noise"),
        ("times", "other times"),
        ("again", "new draws only"),
        ("all", "new draws only"),
        ("x0", "not of the guessed picture"),
        ("mean", "not their mean"),
        ("place", "not its place"),
        ("calls", "reported 48 calls"),
        ("short", "a history of"),
        ("worst", "the least mean|a history of"),
        ("last", "errors, expected|the least mean"),
        ("one", "noise of its own"),
        ("halves", "noise of its own"),
        ("zero", "noise of its own"),
        ("rand", "not standard Gaussian"),
        ("centred", "not standard Gaussian"),
        ("triple", "not standard Gaussian"),
        ("shifted", "not standard Gaussian"),
        ("global", "the same generator gives other errors"),
    ],
)
def test_wrong_races_are_named(fault, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_diffusion_classify(lambda *arguments: race(*arguments, fault=fault))
