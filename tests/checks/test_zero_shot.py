"""The checks of notebook 5.4 accept the solution and name the cause of each planted mistake."""

import pytest
import torch

from denoising import scenes
from denoising.checks import WrongAnswer
from denoising.checks.zero_shot import check_caption_scores, check_winoground, truth
from denoising.denoisers import add_noise
from denoising.guidance import ClassifierFree
from denoising.rng import Rng


def caption_scores(x, denoiser, captions, times, generator, *, fault=""):
    if fault != "lengths" and len({int(n) for n in (captions != 0).sum(1)}) > 1:
        raise ValueError("captions: expected equal lengths")
    source = None if fault == "global" else generator
    eps = torch.randn((len(times), *x.shape), generator=source, dtype=x.dtype)
    if fault in ("uniform", "loud", "none"):
        eps = {
            "uniform": torch.rand(eps.shape, generator=generator, dtype=x.dtype),
            "loud": 3 * (eps - eps.mean()),
            "none": eps / 9,
        }[fault]
    if fault == "one noise":
        eps = eps[:1].expand_as(eps)
    if fault == "guided":
        denoiser = ClassifierFree(denoiser, 2.0)
    errors = []
    for row in captions:
        if fault == "loop":
            eps = torch.randn((len(times), *x.shape), generator=generator, dtype=x.dtype)
        t = times.flip(0) * 0.5 if fault == "times" else times
        xt = add_noise(denoiser.schedule, x.expand_as(eps), t, eps)
        y = (scenes.null_caption() if fault == "null" else row).expand(len(t), -1)
        off = denoiser(xt, t, y) - x if fault == "x0" else denoiser.eps(xt, t, y) - eps
        e = off.square().flatten(1)
        e = e.mean(1) if fault == "mean" else e.sum(1)
        errors.append(e.sum() if fault == "sum" else e.mean())
    s = torch.stack(errors)
    if fault == "index":
        return s.argmin()
    return s if fault == "sign" else s + 1 if fault == "off" else -s


def test_the_solutions_pass(capsys):
    check_winoground(truth, strict=True)
    check_caption_scores(caption_scores, strict=True)
    assert capsys.readouterr().out == "[x] winoground\n[x] caption_scores\n"


def share(hits):
    return float(hits.double().mean())


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (
            lambda s: ((share(s[:, 0, 0] > s[:, 0, 1]) + share(s[:, 1, 1] > s[:, 1, 0])) / 2, *truth(s)[1:]),
            "both of its",
        ),
        (lambda s: (share(s[:, 0, 0] > s[:, 0, 1]), *truth(s)[1:]), "first picture only"),
        (lambda s: truth(s.mT), "this is the image score"),
        (lambda s: (share((s[:, 0, 0] >= s[:, 0, 1]) & (s[:, 1, 1] >= s[:, 1, 0])), *truth(s)[1:]), "a tie is no"),
        (
            lambda s: (truth(s)[0], share((s[:, 0, 0] >= s[:, 1, 0]) & (s[:, 1, 1] >= s[:, 0, 1])), truth(s)[2]),
            "image score: a tie is no",
        ),
        (lambda s: truth(-s), "a higher score is better"),
        (lambda s: (truth(s)[0], truth(s)[0], truth(s)[2]), "keep the caption"),
        (lambda s: (*truth(s)[:2], truth(s)[0] * truth(s)[1]), "a product of shares"),
        (lambda s: (*truth(s)[:2], min(truth(s)[:2])), "group score"),
        (lambda s: truth(s)[0], "expected .text, image, group"),
    ],
)
def test_wrong_scores_of_pairs_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_winoground(answer)


def test_chances_of_random_scores():
    got = truth(torch.randn((200_000, 2, 2), generator=Rng(5)))
    assert got == pytest.approx((1 / 4, 1 / 4, 1 / 6), abs=5e-3)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("loop", "different noise"),
        ("guided", "no guidance"),
        ("null", "no guidance"),
        ("times", "every given time"),
        ("one noise", "noise of its own"),
        ("uniform", "not standard Gaussian"),
        ("loud", "not standard Gaussian"),
        ("none", "not standard Gaussian"),
        ("global", "draw the noise from it"),
        ("sign", "minus the error"),
        ("mean", "not their mean"),
        ("sum", "not their sum"),
        ("x0", "not of the guessed picture"),
        ("lengths", "different length"),
        ("index", "expected a tensor"),
        ("off", "scores are not"),
    ],
)
def test_wrong_scores_of_captions_are_named(fault, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_caption_scores(lambda *arguments: caption_scores(*arguments, fault=fault))
