"""Checks of notebook 5.3: the calls of a race between classes, and the race itself."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from denoising.checks import missing, passed, require, require_gaussian
from denoising.denoisers import Denoiser, from_x0
from denoising.rng import Rng
from denoising.schedules import Linear, rows

__all__ = ["check_diffusion_classify", "check_n_calls"]

PLANS = ((1000, (50, 100, 500, 1000), (500, 50, 10, 1)), (10, (2, 8, 32), (5, 2, 1)), (10, (32,), (1,)),
         (7, (1, 5), (3, 1)))  # fmt: skip


class Recorder(Denoiser):
    """A denoiser that guesses x_0 = means[y] + a little of x_t, and remembers what it was asked."""

    def __init__(self, means: Tensor, slope: float = 0.8):
        self.schedule, self.means, self.slope = Linear(), means, slope
        self.asked: list[tuple[Tensor, Tensor, Tensor]] = []

    def __call__(self, x: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        t = torch.as_tensor(t, dtype=torch.float64).expand(len(x))
        y = y.expand(len(x))
        self.asked += list(zip(y.clone(), t.clone(), x.detach().double().clone(), strict=True))
        return self.means[y].to(x) + self.slope * x


def calls_by_formula(classes: int, stages: tuple[int, ...], keep: tuple[int, ...]) -> int:
    """K n_1 plus, stage by stage, the survivors times the new draws."""
    return sum(k * (b - a) for k, (a, b) in zip((classes, *keep[:-1]), pairwise((0, *stages)), strict=True))


def check_n_calls(n_calls: Callable[[int, tuple, tuple], Any], *, strict: bool = False) -> None:
    """`n_calls(classes, stages, keep)`: evaluations that one picture costs.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "n_calls"
    for classes, stages, keep in PLANS:
        got = n_calls(classes, stages, keep)
        if missing(name, got, strict=strict):
            return
        require(isinstance(got, int | float) and got == int(got), name, f"expected a whole number, got {got!r}")
        want = calls_by_formula(classes, stages, keep)
        going = (classes, *keep[:-1])
        for value, cause in (
            (classes * stages[-1], "this is the full table: losers are not asked again"),
            (sum(k * n for k, n in zip(going, stages, strict=True)), "a stage adds new draws only: n_j - n_(j-1)"),
            (sum(k * (b - a) for k, (a, b) in zip(keep, pairwise((0, *stages)), strict=True)),
             "stage j asks those who survived stage j - 1, not those who will survive it"),
            (want - classes * stages[0], "the first stage asks all classes"),
        ):  # fmt: skip
            require(value == want or got != value, name, cause)
        require(got == want, name, f"{got} for {classes} classes, stages {stages}, keep {keep}; expected {want}")
    passed(name)


def check_diffusion_classify(diffusion_classify: Callable[..., Any], *, strict: bool = False) -> None:
    """`diffusion_classify(x, denoiser, classes, times, stages, keep, generator)`: label, calls and history of a race.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name, d = "diffusion_classify", 5
    means = torch.randn((20, d), generator=Rng(3), dtype=torch.float64)
    labels = torch.tensor([11, 4, 17, 2, 9, 6])
    times = rows(1000)[torch.tensor([200, 800, 300, 550, 420, 250, 930, 360])]
    plans = (((8,), (1,)), ((2, 5, 8), (4, 2, 1)), ((1, 8), (3, 1)), *[((2, 5, 8), (5, 4, 1))] * 9)
    noises = []
    for seed, (stages, keep) in enumerate(plans):
        x = means[4] + 1.2 * torch.randn(d, generator=Rng(seed).spawn("x"), dtype=torch.float64)
        net = Recorder(means)
        got = diffusion_classify(x.clone(), net, labels.clone(), times.clone(), stages, keep, Rng(seed))
        if missing(name, got, strict=strict):
            return
        require(isinstance(got, tuple) and len(got) == 3, name, "expected (label, calls, history)")
        label, calls, history = int(got[0]), int(got[1]), {int(k): [float(e) for e in v] for k, v in got[2].items()}
        _same_noise(name, net, labels, times[: stages[0]])
        want = calls_by_formula(len(labels), stages, keep)
        require(len(net.asked) == want, name,
                f"the denoiser was asked {len(net.asked)} times, the plan allows {want}: ask survivors, about new "
                "draws only")  # fmt: skip
        require(calls == want, name, f"reported {calls} calls, made {want}")
        table, truth = _errors(net, x, labels, times)
        alive, used = labels.tolist(), {}
        for stop, k in zip(stages, keep, strict=True):
            used |= {c: stop for c in alive}
            alive = sorted(alive, key=lambda c: sum(table[c][:stop]) / stop)[:k]
        for c in labels.tolist():
            have = history.get(c, [])
            require(len(have) == used[c], name, f"class {c}: a history of {len(have)} errors, expected {used[c]}")
            for value, cause in (
                ([e / d for e in table[c]], "sum over pixels, not their mean"),
                (truth[c], "the error of the guessed noise, not of the guessed picture"),
            ):
                require(not _close(have, value), name, cause)
            require(_close(have, table[c]), name, f"class {c}: errors are not |eps - eps_hat|^2 in the order of times")
        require(label in labels.tolist(), name, f"{label} is not one of the labels: return the label, not its place")
        require(
            label == alive[0], name, f"class {label} wins, expected {alive[0]}: the least mean over all draws so far"
        )
        noises.append(_noises(net, x, times))
        swapped = labels.flip(0)
        again = diffusion_classify(x.clone(), Recorder(means), swapped, times.clone(), stages, keep, Rng(seed))
        repeats = {int(c): [float(e) for e in v] for c, v in again[2].items()}
        require(all(_close(history[c][: stages[0]], repeats[c]) for c in history), name,
                "the same generator gives other errors: draw the noise from it")  # fmt: skip
        require(int(again[0]) == label, name, "another order of the classes gives another answer")
    eps = torch.stack(noises)  # (plans, times, pixels): 480 numbers
    require(float((torch.cdist(eps, eps) + torch.eye(len(times))).min()) > 1e-3, name,
            "every time needs noise of its own")  # fmt: skip
    require_gaussian(eps, name)
    passed(name)


def _same_noise(name: str, net: Recorder, labels: Tensor, times: Tensor) -> None:
    """All classes were shown the same noisy pictures at the times of the first stage."""
    seen = {int(c): [(t, x) for y, t, x in net.asked if int(y) == c][: len(times)] for c in labels.tolist()}
    first = seen[int(labels[0])]
    for c, shown in seen.items():
        require(len(shown) == len(times), name, f"class {c} was asked {len(shown)} times in the first stage")
        got = torch.stack([t for t, _ in shown])
        require(bool(torch.allclose(got.sort().values, times.sort().values)), name,
                f"class {c}: other times than those given: all classes share them")  # fmt: skip
        require(all(torch.allclose(a, b, atol=1e-6) for (_, a), (_, b) in zip(first, shown, strict=True)), name,
                f"class {c} saw other noise than the first class: draw it before the loop over classes, "
                "a seed in front of the loop does not repeat it")  # fmt: skip


def _errors(net: Recorder, x: Tensor, labels: Tensor, times: Tensor) -> tuple[dict, dict]:
    """All errors of noise and picture that the recorded noise implies, whoever was asked."""
    place = {round(float(t), 6): i for i, t in enumerate(times)}
    noisy = {place[round(float(t), 6)]: z for _, t, z in net.asked}
    noise: dict[int, list[float]] = {}
    picture: dict[int, list[float]] = {}
    for c in labels.tolist():
        noise[c], picture[c] = [], []
        for i in range(len(times)):
            if i in noisy:
                off = (net.means[c] + net.slope * noisy[i] - x).square().sum()
                noise[c].append(float(net.schedule.snr(times[i]) * off))
                picture[c].append(float(off))
    return noise, picture


def _noises(net: Recorder, x: Tensor, times: Tensor) -> Tensor:
    """The noise that was put on x at each of the times, (N, d)."""
    noisy = {round(float(t), 6): z for _, t, z in net.asked}
    alpha, sigma = net.schedule.alpha_sigma(times)
    shown = torch.stack([noisy[round(float(t), 6)] for t in times])
    return from_x0("eps", x, shown, alpha[:, None], sigma[:, None])


def _close(a: list[float], b: list[float]) -> bool:
    one, two = torch.tensor(a), torch.tensor(b[: len(a)])
    return len(one) == len(two) and bool(torch.allclose(one, two, rtol=1e-3, atol=1e-5))
