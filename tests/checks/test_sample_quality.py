"""The checks of notebook 1.6 accept the solution and name the cause of each planted mistake."""

import pytest
import torch

from denoising import metrics
from denoising.checks import WrongAnswer
from denoising.checks.sample_quality import check_coverage_density, check_fd_infinity


def parts(features, reference, generator, mix=True):
    """The distance of all, and those of two halves."""
    mixed = features[torch.randperm(len(features), generator=generator)] if mix else features
    return metrics.frechet_distance(features, reference), [
        metrics.frechet_distance(h, reference) for h in mixed.chunk(2)
    ]


def infinity(weight_whole, weight_halves, mix=True):
    def answer(features, reference, generator):
        whole, halves = parts(features, reference, generator, mix)
        return weight_whole * whole + weight_halves * sum(halves)

    return answer


def neighbours(real, fake, k, *, short=0, own="real"):
    of = real if own == "real" else fake
    reach = torch.cdist(of, of).topk(k + 1 - short, largest=False).values[:, -1]
    return torch.cdist(real, fake) <= (reach[:, None] if own == "real" else reach)


def right(real, fake, k, **slip):
    hit = neighbours(real, fake, k, **slip)
    return float(hit.any(1).double().mean()), float(hit.double().sum(0).mean() / k)


def test_the_solutions_pass(capsys):
    check_fd_infinity(infinity(2, -0.5), strict=True)
    check_fd_infinity(lambda *a: torch.tensor(infinity(2, -0.5)(*a)), strict=True)
    check_fd_infinity(lambda x, r, g: metrics.frechet_infinity(x, r, generator=g, parts=2), strict=True)
    check_coverage_density(right, strict=True)
    check_coverage_density(lambda *a: list(right(*a)), strict=True)
    assert capsys.readouterr().out == 3 * "[x] fd_infinity\n" + 2 * "[x] coverage_density\n"


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (infinity(1, 0), "still there"),
        (infinity(2, -0.5, mix=False), "given order"),
        (infinity(0, 0.5), "twice as large"),
        (infinity(-1, 1), "wrong way"),
        (infinity(1, -0.5), "subtract it"),
        (infinity(0.5, 0.25), "not averaged"),
        (infinity(2, -1), "not their sum"),
        (infinity(1.5, -0.25), "expected the scatter"),
        (lambda *_: 0.25, "expected the scatter"),
    ],
)
def test_a_wrong_extrapolation_is_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_fd_infinity(answer)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda *a: right(*a)[::-1], "wrong order"),
        (lambda r, f, k: (right(r, f, k, own="fake")[0], right(r, f, k)[1]), "this is recall"),
        (lambda r, f, k: (float(neighbours(r, f, k).any(0).double().mean()), right(r, f, k)[1]), "this is precision"),
        (lambda r, f, k: right(r, f, k, short=1), "one neighbour short"),
        (lambda r, f, k: (right(r, f, k)[0], k * right(r, f, k)[1]), "divide by k"),
        (lambda r, f, k: (right(r, f, k)[0], float(neighbours(r, f, k).double().sum(1).mean() / k)), "over the fakes"),
        (lambda r, f, k: (right(r, f, k)[0], 1.0), "density is 1 at"),
        (lambda r, f, k: (right(r, f, k + 1)[0], right(r, f, k)[1]), "coverage is"),
        (lambda r, f, k: right(r, f, k)[0], "two numbers"),
        (lambda r, f, k: (right(r, f, k)[0], None), "not there yet"),
    ],
)
def test_wrong_neighbours_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_coverage_density(answer)
