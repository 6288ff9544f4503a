"""The checks of notebook 1.3 accept the solution and name the cause of each planted mistake."""

import math

import pytest
import torch

from denoising.checks import WrongAnswer
from denoising.checks.training_loop import check_ema_update, check_loss_split


def split(k, alpha_bar, c2):
    sigma, V = math.sqrt(1 - alpha_bar), alpha_bar * c2 + 1 - alpha_bar
    best = sigma / V
    return {"best": best, "floor": alpha_bar * c2 / V, "excess": V * (k - best) ** 2}


def changed(key, change):
    """The right answer with one entry changed by a function of (answer, k, alpha_bar, c2)."""

    def answer(k, alpha_bar, c2):
        right = split(k, alpha_bar, c2)
        return {**right, key: change(right, k, alpha_bar, c2)}

    return answer


@torch.no_grad()
def update(ema, net, decay, *, own=None, its=None, only=None):
    for mine, theirs in list(zip(ema.parameters(), net.parameters(), strict=True))[::only]:
        mine.mul_(decay if own is None else own).add_(theirs, alpha=1 - decay if its is None else its)
    return ema


def tracked(ema, net, decay):
    for mine, theirs in zip(ema.parameters(), net.parameters(), strict=True):
        mine.mul_(decay).add_(theirs, alpha=1 - decay)
    return ema


def shared(ema, net, decay):
    for mine, theirs in zip(ema.parameters(), net.parameters(), strict=True):
        mine.data = theirs.data if decay == 0 else decay * mine.data + (1 - decay) * theirs.data
    return ema


def silent(ema, net, decay):
    update(ema, net, decay)


def frozen(ema, net, decay):
    update(ema, net, decay)
    return ema.requires_grad_(False)


def other_way(ema, net, decay):
    update(net, ema, decay)
    return ema


def loaded(ema, net, decay):
    mine, theirs = ema.state_dict(), net.state_dict()
    ema.load_state_dict({key: decay * mine[key] + (1 - decay) * theirs[key] for key in mine})
    return ema


def test_the_solutions_pass(capsys):
    check_loss_split(split, strict=True)
    check_loss_split(lambda *a: {key: torch.tensor(value).double() for key, value in split(*a).items()}, strict=True)
    for answer in (update, loaded, frozen):
        check_ema_update(answer, strict=True)
    assert capsys.readouterr().out == "[x] loss_split\n" * 2 + "[x] ema_update\n" * 3


def V(a, c2):
    return a * c2 + 1 - a


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (changed("best", lambda r, k, a, c2: (1 - a) / V(a, c2)), "sigma, not its square"),
        (changed("best", lambda r, k, a, c2: math.sqrt(a) * c2 / V(a, c2)), "best guess of x_0"),
        (changed("best", lambda r, k, a, c2: 1 / math.sqrt(1 - a)), "picture has variance too"),
        (changed("best", lambda r, k, a, c2: math.sqrt(1 - a) / V(a, math.sqrt(c2))), "variance already"),
        (changed("best", lambda r, k, a, c2: math.sqrt(1 - a)), "divide by V"),
        (changed("floor", lambda r, k, a, c2: c2 * (1 - a) / V(a, c2)), "posterior variance of x_0"),
        (changed("floor", lambda r, k, a, c2: 1 - r["floor"]), "best answer explains"),
        (changed("floor", lambda r, k, a, c2: r["floor"] + r["excess"]), "loss of the given k"),
        (changed("floor", lambda r, k, a, c2: 0.0), "several noises are possible"),
        (changed("excess", lambda r, k, a, c2: (k - r["best"]) ** 2), "x_t has variance V"),
        (changed("excess", lambda r, k, a, c2: V(a, c2) * abs(k - r["best"])), "errors are squared"),
        (changed("excess", lambda r, k, a, c2: r["floor"] + r["excess"]), "take the floor away"),
        (changed("excess", lambda r, k, a, c2: -r["excess"]), "the sign"),
        (changed("excess", lambda r, k, a, c2: 7.0), "excess is 7 at"),
        (changed("floor", lambda r, k, a, c2: ...), "no value for floor yet"),
        (lambda *a: split(*a)["floor"], "a dictionary"),
        (lambda *a: {"floor": 1.0}, "got floor"),
    ],
)
def test_wrong_splits_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_loss_split(answer)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda e, n, d: update(e, n, d, own=1 - d, its=d), "weights are swapped"),
        (lambda e, n, d: update(e, n, d, its=1.0), "weighs 1 - decay, not 1"),
        (lambda e, n, d: update(e, n, d, only=2), "not the biases"),
        (lambda e, n, d: update(e, n, d**2), "the start must weigh 0.9"),
        (lambda e, n, d: e, "did not move"),
        (tracked, "torch.no_grad"),
        (shared, "shares its tensors"),
        (silent, "return `ema` itself"),
        (lambda e, n, d: update(e, n, d).state_dict(), "return `ema` itself"),
        (other_way, "`net` was changed"),
    ],
)
def test_wrong_averages_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_ema_update(answer)


def test_other_errors_of_the_answer_are_not_hidden():
    def broken(ema, net, decay):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        check_ema_update(broken)
