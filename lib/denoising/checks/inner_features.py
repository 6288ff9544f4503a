"""Checks of notebook 5.5: the class signal of a known class, and features read off with a hook."""

from collections.abc import Callable
from typing import Any, SupportsFloat

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from denoising.checks import missing, passed, require
from denoising.denoisers import NetworkDenoiser, add_noise
from denoising.rng import Rng
from denoising.schedules import Linear

__all__ = ["check_csnr_known", "check_extract"]

CASES = ((0.3, 0.3, 6, 0.75), (1.2, 0.6, 6, 0.5), (0.05, 0.9, 4, 1.5), (2.0, 0.1, 3, 0.0))


def known(sigma: float, delta: float, d: int, c: float) -> float:
    """Own energy over the energy in one other subspace, for the posterior mean within a known class."""
    own, off = 1 / (1 + sigma**2), delta**4 / (delta**2 + sigma**2)
    return d * own / (c * own + (d - c) * off)


def check_csnr_known(csnr_known: Callable[..., Any], *, strict: bool = False) -> None:
    """`csnr_known(sigma, delta, d, c)`: class signal over class noise if the class is known.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "csnr_known"
    for sigma, delta, d, c in CASES:
        got = csnr_known(sigma, delta, d, c)
        if missing(name, got, strict=strict):
            return
        require(isinstance(got, SupportsFloat), name, f"expected a number, got {got!r}")
        got, want = float(got), known(sigma, delta, d, c)
        own, off = 1 / (1 + sigma**2), delta**2 / (delta**2 + sigma**2)
        for value, cause in (
            (1 / want, "this is upside down: the own subspace stands above"),
            (d * own / (c * own + (d - c) * off), "the shrinkage acts on x twice, and the noise of x_t is in it: "
             "delta^4 / (delta^2 + sigma^2) is left"),
            (d * own / (c * own + d * off * delta**2), "only d - c of the d directions lie outside the own subspace"),
            (d / (c + (d - c) * off * delta**2), "the own subspace shrinks as well, to 1 / (1 + sigma^2)"),
            (d * own / ((d - c) * off * delta**2 or 1e-300), "the subspaces overlap: c of the other's energy is the "
             "picture itself"),
            (d / (c + (d - c) * delta**2), "this is the clean picture: the guess of x_0 depends on sigma"),
        ):  # fmt: skip
            require(abs(value - want) < 1e-9 or abs(got - value) > 1e-6 * abs(value), name, cause)
        require(abs(got - want) < 1e-6 * want, name, f"{got:.6g} for sigma {sigma}, delta {delta}; expected {want:.6g}")
    require(
        abs(float(csnr_known(1.0, 0.0, 6, 0.75)) - 8) < 1e-9, name, "without noise off the subspace it is d / c, always"
    )
    passed(name)


class Toy(nn.Module):
    """A network with a batch norm and a block of three channels; it remembers what it was shown."""

    def __init__(self):
        super().__init__()
        self.block, self.norm, self.out = nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1)
        for number, weight in enumerate(self.parameters()):
            nn.init.normal_(weight, std=0.5, generator=Rng(number))
        self.seen: list[tuple[Tensor, Tensor]] = []
        self.answers: list[Tensor] = []

    def forward(self, x: Tensor, timestep: Tensor, labels: Tensor | None = None) -> Tensor:
        self.seen.append((x.detach().clone(), timestep.detach().clone()))
        answer = self.out(self.norm(self.block(x + 1e-3 * timestep.view(-1, 1, 1, 1))))
        self.answers.append(answer.detach())
        return answer


def check_extract(extract: Callable[..., Any], *, strict: bool = False) -> None:
    """`extract(denoiser, x0, t, block, pool, generator)`: features of one block for noisy pictures, (B, C pool pool).

    Raises:
        WrongAnswer: with the likely cause.
    """
    name, t, schedule = "extract", 0.3, Linear()
    net = Toy().eval()
    denoiser = NetworkDenoiser(net, schedule)
    x0 = torch.randn((4, 1, 8, 8), generator=Rng(1))
    before = {key: value.clone() for key, value in net.state_dict().items()}
    given, neighbour = x0.clone(), net.block.register_forward_hook(lambda *_: None)
    got = extract(denoiser, given, t, net.block, 2, Rng(2))
    graphs = torch.is_grad_enabled()
    torch.set_grad_enabled(True)
    if missing(name, got, strict=strict):
        return
    require(graphs, name, "gradients are switched off for everybody: use torch.no_grad() in a with statement")
    require(all(weight.requires_grad for weight in net.parameters()), name, "the weights are left frozen")
    require(torch.equal(given, x0), name, "the clean pictures are overwritten")
    require(neighbour.id in net.block._forward_hooks, name, "a hook that is not yours is gone: remove your handle only")
    neighbour.remove()
    require(isinstance(got, Tensor), name, f"expected a tensor, got {type(got).__name__}")
    hooks = [hook for module in net.modules() for hook in (*module._forward_hooks, *module._forward_pre_hooks)]
    require(not hooks, name, "a hook is left behind: remove its handle, or every later call pays for it")
    require(not got.requires_grad, name, "the features drag the graph of the network along: torch.no_grad()")
    require(not net.training, name, "the network is left in training mode")
    same = all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    require(same, name, "the network has changed: its batch norm saw the pictures in training mode")
    require(got.shape == (4, 12), name, f"shape {tuple(got.shape)}, expected (4, 12): 3 channels times 2 x 2 cells")
    _same_input(name, net, add_noise(schedule, x0, t, torch.randn(x0.shape, generator=Rng(2))), x0, 1000 * t - 1)
    want = net.block(net.seen[0][0] + 1e-3 * (1000 * t - 1)).detach()
    pooled = F.adaptive_avg_pool2d(want, 2).flatten(1)
    for value, cause in (
        (F.adaptive_max_pool2d(want, 2).flatten(1), "maxima of the cells, expected means"),
        (F.adaptive_avg_pool2d(want, 2).movedim(1, 3).flatten(1), "cells first, channels last; expected channel by "
         "channel"),
        (F.adaptive_avg_pool2d(want.relu(), 2).flatten(1), "negative parts are cut off: take the block as it is"),
    ):  # fmt: skip
        require(not torch.allclose(got, value, atol=1e-5), name, cause)
    require(torch.allclose(got, pooled, atol=1e-5), name, "these are not the means of the block's own answer")
    answers = [net.answers[0], net.out(net.norm(want)).detach()]
    require(torch.allclose(*answers, atol=1e-5), name, "the hook changes what the network answers: let it return None")
    whole = extract(denoiser, x0.clone(), t, net.block, 8, Rng(2)).view(4, 3, 64).mean(2)
    one = extract(denoiser, x0.clone(), t, net.block, 1, Rng(2))
    require(torch.allclose(one, whole, atol=1e-5), name, "pool = 1 is not the mean over the cells of pool = 8")
    again = extract(denoiser, x0.clone(), t, net.block, 2, Rng(2))
    require(torch.equal(again, got), name, "the same generator gives other features")
    passed(name)


def _same_input(name: str, net: Toy, noisy: Tensor, x0: Tensor, timestep: float) -> None:
    """The network was shown the pictures with the generator's noise, once, and told the time of that noise."""
    require(len(net.seen) == 1, name, f"{len(net.seen)} calls of the network, expected one")
    x, told = net.seen[0]
    require(not torch.allclose(x, x0), name, "the network saw the clean pictures: add the noise of time t first")
    require(torch.allclose(x, noisy, atol=1e-5), name,
            "not the generator's noise, or not scaled: alpha x0 + sigma eps, one draw for all pictures")  # fmt: skip
    require(torch.allclose(told.float(), torch.tensor(timestep), atol=0.01), name,
            "the network was told another time than that of the noise: call the denoiser with t")  # fmt: skip
