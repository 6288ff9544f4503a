"""The checks of notebook 4.3 accept the solutions and name the cause of each planted mistake."""

import copy

import pytest
import torch
from torch import nn

from denoising.checks import WrongAnswer
from denoising.checks.clean_classifier import check_lora, check_softplus_swap
from denoising.networks import lora


def swapped(model, beta, *, deep=True, clone=True, given=True):
    model = copy.deepcopy(model) if clone else model
    for parent in list(model.modules()) if deep else [model]:
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(parent, name, nn.Softplus(beta if given else 1))
    return model


def redrawn(model, beta):
    model = swapped(model, beta)
    model[0].reset_parameters()
    return model


def shared(model, beta):
    """A shallow copy: new containers, the same parameters."""
    if isinstance(model, nn.Sequential):
        return nn.Sequential(*(shared(child, beta) for child in model))
    return nn.Softplus(beta) if isinstance(model, nn.ReLU) else model


def merged(conv, down, up):
    return conv.weight + (up @ down).view_as(conv.weight)


def parts(conv, rank, generator, *, std=None, zero=0.0, weight=merged):
    k = conv.kernel_size[0]
    std = (conv.in_channels * k) ** -0.5 if std is None else std
    down = std * torch.randn((rank * k, conv.in_channels * k), generator=generator)
    up = zero * torch.ones(conv.out_channels * k, rank * k)
    return down, up, lambda: weight(conv, down, up)


def once(conv, rank, generator):
    down, up, weight = parts(conv, rank, generator)
    fixed = weight()
    return down, up, lambda: fixed


def in_place(conv, down, up):
    with torch.no_grad():
        conv.weight.add_((up @ down).view_as(conv.weight))
    return conv.weight.clone()


def other_zero(conv, rank, generator):
    down, up, weight = parts(conv, rank, generator, std=0.0)
    return down, up + 1, weight


def test_the_solutions_pass(capsys):
    check_softplus_swap(lora.softplus_swap, strict=True)
    check_softplus_swap(swapped)
    check_lora(parts, strict=True)
    words = ["softplus_swap"] * 2 + ["lora_parts"]
    assert capsys.readouterr().out == "".join(f"[x] {word}\n" for word in words)


def test_the_library_layer_passes_as_well(capsys):
    def from_layer(conv, rank, generator):
        layer = lora.LoRAConv2d(conv, rank, generator=generator)
        return layer.down, layer.up, layer.weight

    check_lora(from_layer, strict=True)
    assert capsys.readouterr().out == "[x] lora_parts\n"


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda m, b: m, "same object"),
        (lambda m, b: nn.Sequential(*swapped(m, b, clone=False)), "original was changed"),
        (lambda m, b: swapped(m, b, deep=False), "2 ReLU left"),
        (lambda m, b: swapped(m, b, given=False), "has beta 1"),
        (redrawn, "weights differ"),
        (shared, "shares its weights"),
        (lambda m, b: 1.0, "expected a module"),
    ],
)
def test_wrong_swaps_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_softplus_swap(answer)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda *a: parts(*a, std=0.0), "both are zero"),
        (lambda *a: parts(*a, zero=1.0), "must begin as the classifier"),
        (other_zero, "starts up at zero"),
        (lambda *a: parts(*a, std=10.0), "standard deviation"),
        (lambda *a: (parts(*a)[1], parts(*a)[0], parts(*a)[2]), "expected shapes"),
        (lambda *a: parts(*a)[:2], "two tensors"),
        (once, "does not follow up"),
        (lambda *a: parts(*a, weight=lambda c, d, u: (u @ d).view_as(c.weight)), "W is added"),
        (lambda *a: parts(*a, weight=lambda c, d, u: c.weight - (u @ d).view_as(c.weight)), "the sign"),
        (lambda *a: parts(*a, weight=lambda c, d, u: c.weight + (u @ d).T.reshape(c.weight.shape)), "transposed"),
        (
            lambda *a: parts(*a, weight=lambda c, d, u: c.weight + (u @ d).view(5, 3, 2, 3).transpose(1, 2)),
            "do not move the axes",
        ),
        (lambda *a: parts(*a, weight=lambda c, d, u: c.weight + 0.5 * (u @ d).view_as(c.weight)), "expected W"),
        (lambda *a: parts(*a, weight=lambda c, d, u: c.weight.view(15, 6) + u @ d), "expected a weight"),
        (lambda *a: parts(*a, weight=in_place), "in place"),
    ],
)
def test_wrong_adapters_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_lora(answer)
