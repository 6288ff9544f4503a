"""Checks of notebook 4.3: a smooth copy of a classifier, and a low-rank adapter."""

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from denoising.checks import missing, passed, require

__all__ = ["check_lora", "check_softplus_swap"]


def check_softplus_swap(softplus_swap: Callable[[nn.Module, float], Any], *, strict: bool = False) -> None:
    """`softplus_swap(model, beta)`: a copy with `nn.Softplus(beta)` for every `nn.ReLU`, however deep; same weights.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "softplus_swap"
    generator = torch.Generator().manual_seed(0)
    inner = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Sequential(nn.Linear(6, 6), nn.ReLU()))
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), inner, nn.Linear(6, 3))
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(generator=generator)
    kept = copy.deepcopy(model)
    x = torch.randn((20, 4), generator=generator)
    errors = []
    for beta in (1.0, 10.0, 1000.0):
        got = softplus_swap(model, beta)
        if missing(name, got, strict=strict):
            return
        require(isinstance(got, nn.Module), name, f"expected a module, got {type(got).__name__}")
        require(got is not model, name, "the same object came back: copy it first")
        relus = [sum(isinstance(m, nn.ReLU) for m in net.modules()) for net in (model, got)]
        require(relus[0] == 3, name, "the original was changed: swap in a deep copy")
        require(relus[1] == 0, name, f"{relus[1]} ReLU left: look into nested modules too")
        mine, own = got.state_dict(), kept.state_dict()
        same = mine.keys() == own.keys() and all(torch.equal(mine[key], own[key]) for key in own)
        require(same, name, "the weights differ: nothing is trained or drawn here")
        soft = [m for m in got.modules() if isinstance(m, nn.Softplus)]
        require(len(soft) == 3, name, f"expected 3 nn.Softplus, got {len(soft)}")
        require(all(m.beta == beta for m in soft), name, f"a Softplus has beta {soft[0].beta:g}, wanted {beta:g}")
        errors.append(float((got(x) - model(x)).detach().abs().max()))
    require(
        errors[2] < 0.05 and errors[0] > errors[1] > errors[2], name, "it does not come close to ReLU as beta grows"
    )
    memory = {p.data_ptr() for p in model.parameters()} & {p.data_ptr() for p in got.parameters()}
    require(not memory, name, "the copy shares its weights with the original: use copy.deepcopy")
    passed(name)


def check_lora(lora_parts: Callable[..., Any], *, strict: bool = False) -> None:
    """`lora_parts(conv, rank, generator)`: `down`, `up`, and a function without arguments giving the merged weight.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "lora_parts"
    generator = torch.Generator().manual_seed(0)
    conv = nn.Conv2d(2, 5, 3, padding=1)
    with torch.no_grad():
        conv.weight.normal_(generator=generator)
    before, rank = conv.weight.detach().clone(), 4
    parts = lora_parts(conv, rank, generator)
    if missing(name, parts, strict=strict):
        return
    three = isinstance(parts, tuple) and len(parts) == 3 and callable(parts[2])
    require(three, name, "expected two tensors, down and up, and a function that gives the weight")
    down, up, weight = parts
    shapes = (rank * 3, 2 * 3), (5 * 3, rank * 3)
    require((down.shape, up.shape) == shapes, name, f"expected shapes {shapes}, got {(*down.shape,)}, {(*up.shape,)}")
    down, up = down.detach(), up.detach()
    stuck = "both are zero: then neither ever gets a gradient, because each one's is a multiple of the other"
    require(bool(down.abs().max() + up.abs().max() > 0), name, stuck)
    require(bool((up @ down).abs().max() == 0), name, "up down is not zero: the expert must begin as the classifier")
    require(bool(up.abs().max() == 0), name, "the paper starts up at zero, and down at random")
    spread, right = float(down.std()), 1 / math.sqrt(6)
    message = f"down has standard deviation {spread:.2g}, expected about 1 / sqrt(in k) = {right:.2g}"
    require(0.2 * right < spread < 3 * right, name, message)
    start = weight()
    require(isinstance(start, Tensor) and start.shape == before.shape, name, f"expected a weight {(*before.shape,)}")
    require(torch.equal(start, before), name, "with up = 0 the merged weight is the convolution's own: W is added")
    up.copy_(torch.randn(up.shape, generator=generator))  # in place: the learner's own tensor
    got, product = weight().detach(), up @ down
    for wrong, cause in (
        (before, "the weight does not follow up: compute the product anew at each call"),
        (before + product.T.reshape(before.shape), "the product is transposed"),
        (before + product.view(5, 3, 2, 3).transpose(1, 2), "reshape once, as the paper does; do not move the axes"),
        (before - product.view_as(before), "the sign"),
    ):
        require(not _same(got, wrong), name, cause)
    require(torch.equal(conv.weight, before), name, "the frozen weight was changed in place")
    require(_same(got, before + product.view_as(before)), name, "expected W + reshape(up down)")
    passed(name)


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool((a - b).abs().max() < 1e-5)
