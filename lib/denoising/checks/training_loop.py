"""Checks of notebook 1.3: floor and excess of a linear answer, and the moving average of weights."""

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from denoising.checks import missing, passed, require
from denoising.rng import Rng

__all__ = ["check_ema_update", "check_loss_split"]

KEYS = ("best", "floor", "excess")


def check_loss_split(loss_split: Callable[[float, float, float], Any], *, strict: bool = False) -> None:
    """`loss_split(k, alpha_bar, c2)`: best slope, floor, and excess of the slope k, for eps on data N(0, c2).

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "loss_split"
    for k, alpha_bar, c2 in ((0.7, 0.6, 4.0), (0.0, 0.3, 0.25), (1.5, 0.98, 0.5)):
        got = loss_split(k, alpha_bar, c2)
        if missing(name, got, strict=strict):
            return
        require(
            isinstance(got, dict) and set(got) == set(KEYS),
            name,
            f"expected a dictionary with the keys {', '.join(KEYS)}, got "
            + (", ".join(map(str, got)) if isinstance(got, dict) else type(got).__name__),
        )
        absent = [key for key in KEYS if got[key] is None or got[key] is ...]
        require(not absent, name, f"no value for {', '.join(absent)} yet")
        _compare(name, {key: float(got[key]) for key in KEYS}, k, alpha_bar, c2)
    passed(name)


def _compare(name: str, got: dict[str, float], k: float, alpha_bar: float, c2: float) -> None:
    alpha, sigma = math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)
    V = alpha_bar * c2 + sigma**2
    slip = alpha_bar * math.sqrt(c2) + sigma**2  # c where c^2 belongs
    best, floor = sigma / V, alpha_bar * c2 / V
    excess = V * (k - best) ** 2
    for key, value, cause in (
        ("best", sigma**2 / V, "E eps x_t is sigma, not its square"),
        ("best", alpha * c2 / V, "this is the slope of the best guess of x_0; wanted that of eps"),
        ("best", 1 / sigma, "x_t / sigma takes all of x_t for noise; the picture has variance too"),
        ("best", sigma / slip, "c2 is the variance already; do not take its root"),
        ("best", sigma, "divide by V, the variance of x_t; it is 1 only for data of variance 1"),
        ("floor", c2 * sigma**2 / V, "this is the posterior variance of x_0; multiply it by alpha^2 / sigma^2"),
        ("floor", sigma**2 / V, "this is the share that the best answer explains; the floor is what it does not"),
        ("floor", alpha_bar * math.sqrt(c2) / slip, "c2 is the variance already; do not take its root"),
        ("floor", 1 - 2 * k * sigma + k**2 * V, "this is the loss of the given k; put in the best one"),
        ("floor", 0.0, "the least loss is not 0: at one x_t several noises are possible"),
        ("excess", (k - best) ** 2, "the answers differ by (k - best) x_t, and x_t has variance V"),
        ("excess", V * abs(k - best), "errors are squared"),
        ("excess", floor + excess, "this is the whole loss; take the floor away"),
        ("excess", -excess, "the sign: the loss of k less the floor, never negative"),
    ):
        want = {"best": best, "floor": floor, "excess": excess}[key]
        require(_same(value, want) or not _same(got[key], value), name, f"{key}: {cause}")
    for key, want in (("best", best), ("floor", floor), ("excess", excess)):
        require(
            _same(got[key], want),
            name,
            f"{key} is {got[key]:.6g} at k = {k}, alpha_bar = {alpha_bar}, c2 = {c2}; expected {want:.6g}",
        )


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-7 * max(1.0, abs(b))


def check_ema_update(ema_update: Callable[[nn.Module, nn.Module, float], Any], *, strict: bool = False) -> None:
    """`ema_update(ema, net, decay)`: one update of the moving average, in place, with no gradients.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "ema_update"
    for decay, updates in ((0.9, 1), (0.9, 7), (0.5, 3), (0.0, 1)):
        ema, net = _network(1), _network(2)
        before = {"ema": _weights(ema), "net": _weights(net)}
        for _ in range(updates):
            got = _update(name, ema_update, ema, net, decay)
            untouched = all(map(torch.equal, _weights(ema), before["ema"]))
            if (got is ... or (got is None and untouched)) and missing(name, got, strict=strict):
                return
            require(got is ema, name, "return `ema` itself, the module that came in, changed in place")
        require(all(map(torch.equal, _weights(net), before["net"])), name, "`net` was changed; only `ema` may move")
        kept = decay**updates  # net stands still, so the start weighs this much
        _moved(name, _weights(ema), before["ema"], before["net"], kept, decay, updates)
        held = _weights(ema)
        with torch.no_grad():
            for weight in net.parameters():
                weight.add_(1.0)
        require(
            all(map(torch.equal, _weights(ema), held)), name, "`ema` shares its tensors with `net`; copy the values"
        )
    passed(name)


def _network(seed: int) -> nn.Module:
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    source = Rng(seed)
    for weight in net.parameters():
        nn.init.normal_(weight, generator=source)
    return net


def _weights(net: nn.Module) -> list[torch.Tensor]:
    return [copy.deepcopy(weight.detach()) for weight in net.parameters()]


def _update(name: str, ema_update: Callable[..., Any], ema: nn.Module, net: nn.Module, decay: float) -> Any:
    try:
        return ema_update(ema, net, decay)
    except RuntimeError as error:
        require("in-place" not in str(error), name, "PyTorch tracks gradients here; update under torch.no_grad()")
        raise


def _moved(
    name: str,
    got: list[torch.Tensor],
    start: list[torch.Tensor],
    net: list[torch.Tensor],
    kept: float,
    decay: float,
    updates: int,
) -> None:
    def is_(share: float, places: slice = slice(None)) -> bool:
        want = [share * a + (1 - share) * b for a, b in zip(start, net, strict=True)][places]
        return all(torch.allclose(a, b, atol=1e-5) for a, b in zip(got[places], want, strict=True))

    right = f"after {updates} updates with decay {decay} the start must weigh {kept:.4g}"
    require(not is_(1.0), name, f"`ema` did not move: change its weights in place, {right}")
    swapped = (1 - decay) ** updates
    require(swapped == kept or not is_(swapped), name, f"the weights are swapped: decay belongs to `ema`; {right}")
    added = [torch.allclose(a, kept * b + c, atol=1e-5) for a, b, c in zip(got, start, net, strict=True)]
    require(decay == 0 or updates > 1 or not all(added), name, f"`net` weighs 1 - decay, not 1; {right}")
    require(is_(kept) or not is_(kept, slice(0, None, 2)), name, f"only the matrices moved, not the biases; {right}")
    require(is_(kept), name, right)
