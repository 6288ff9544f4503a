"""The checks of notebook 5.5 accept the solution and name the cause of each planted mistake."""

import pytest
import torch
import torch.nn.functional as F

from denoising import zoo
from denoising.checks import WrongAnswer
from denoising.checks.inner_features import check_csnr_known, check_extract, known
from denoising.denoisers import add_noise


def take(denoiser, x0, t, block, pool, generator, *, fault=""):
    found = []
    source = torch.Generator() if fault == "own" else generator
    eps = torch.randn(x0.shape, generator=source)
    xt = x0 if fault == "clean" else x0 + eps if fault == "scale" else add_noise(denoiser.schedule, x0, t, eps)
    if fault == "mode":
        denoiser.net.train()
    if fault == "frozen":
        denoiser.net.requires_grad_(False)
    if fault == "switch":
        torch.set_grad_enabled(False)
    if fault == "place":
        xt = x0.copy_(xt)
    if fault == "hooks":
        block._forward_hooks.clear()
    if fault == "schedule":
        xt = add_noise(zoo.SCHEDULE, x0, t, eps)
    where = denoiser.net.norm if fault == "block" else block
    changed = fault == "answer"
    hook = where.register_forward_hook(
        lambda module, inputs, output: found.append(output) or (0 * output if changed else None)
    )
    with torch.set_grad_enabled(fault == "graph"):
        denoiser(xt, 0.1 if fault == "time" else t)
        if fault == "twice":
            denoiser(xt, t)
    if fault != "hook":
        hook.remove()
    if fault == "back":
        denoiser.net.train().eval()
    value = found[0].relu() if fault == "relu" else found[0]
    means = F.adaptive_max_pool2d(value, pool) if fault == "max" else F.adaptive_avg_pool2d(value, pool)
    if fault == "shape":
        return means
    return (means.movedim(1, 3) if fault == "order" else means).flatten(1)


def test_the_solutions_pass(capsys):
    check_csnr_known(known, strict=True)
    check_extract(take, strict=True)
    assert capsys.readouterr().out == "[x] csnr_known\n[x] extract\n"


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda s, b, d, c: 1 / known(s, b, d, c), "upside down"),
        (lambda s, b, d, c: d / (c + (d - c) * (1 + s**2) * b**2 / (b**2 + s**2)), "acts on x twice"),
        (lambda s, b, d, c: d / (c + d * (1 + s**2) * b**4 / (b**2 + s**2)), "only d - c"),
        (lambda s, b, d, c: d / (c + (d - c) * b**4 / (b**2 + s**2)), "shrinks as well"),
        (lambda s, b, d, c: d / ((d - c) * (1 + s**2) * b**4 / (b**2 + s**2)), "subspaces overlap"),
        (lambda s, b, d, c: d / (c + (d - c) * b**2), "the clean picture"),
        (lambda s, b, d, c: 1.01 * known(s, b, d, c), "expected"),
        (lambda s, b, d, c: "eight", "a number"),
        (lambda s, b, d, c: known(s, b, d, c) if b else d, "d / c, always"),
    ],
)
def test_wrong_signals_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_csnr_known(answer)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("own", "not the generator's"),
        ("clean", "saw the clean pictures"),
        ("scale", "or not scaled"),
        ("mode", "left in training mode"),
        ("block", "not the means of the block's own"),
        ("graph", "drag the graph"),
        ("time", "another time"),
        ("twice", "2 calls"),
        ("hook", "left behind"),
        ("frozen", "left frozen"),
        ("switch", "for everybody"),
        ("place", "overwritten"),
        ("hooks", "not yours"),
        ("schedule", "not the generator's noise, or not scaled"),
        ("answer", "changes what the network answers"),
        ("relu", "negative parts"),
        ("max", "maxima"),
        ("shape", "3 channels times 2 x 2"),
        ("order", "channel by channel"),
    ],
)
def test_wrong_features_are_named(fault, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_extract(lambda *arguments: take(*arguments, fault=fault))


def test_a_network_that_learned_from_the_pictures_is_named():
    def train_for_a_moment(denoiser, *arguments):
        denoiser.net.train()
        answer = take(denoiser, *arguments)
        denoiser.net.eval()
        return answer

    with pytest.raises(WrongAnswer, match="batch norm saw"):
        check_extract(train_for_a_moment)
