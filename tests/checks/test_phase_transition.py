"""The checks of notebook 3.2 accept the solution and name the cause of each planted mistake."""

import itertools
import math

import pytest
import torch

from denoising.checks import WrongAnswer
from denoising.checks.phase_transition import check_perfect_splits, check_subspace_distance
from denoising.subspaces import projector_distance


def splits(d, k):
    return math.factorial(k * d) // (math.factorial(d) ** k * math.factorial(k))


def distances(a, b):
    projector_a, projector_b = a @ a.mT, b @ b.mT
    return (projector_a[:, None] - projector_b[None]).flatten(2).norm(dim=2)


def distance(a, b, per_match=torch.max, over=min, table=distances):
    pairs = table(a, b)
    orders = itertools.permutations(range(len(a)))
    return over(per_match(torch.stack([pairs[i, j] for i, j in enumerate(order)])) for order in orders)


def test_the_solutions_pass(capsys):
    check_perfect_splits(splits, strict=True)
    check_subspace_distance(distance, strict=True)
    check_subspace_distance(lambda a, b: float(distance(a, b)), strict=True)
    check_subspace_distance(projector_distance, strict=True)  # the library's own
    assert capsys.readouterr().out == "[x] perfect_splits\n" + 3 * "[x] subspace_distance\n"


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda d, k: splits(d, k) * math.factorial(k), "no names"),
        (lambda d, k: math.comb(k * d, d) // 2, "count for k = 2"),
        (lambda d, k: splits(d, k) - 1, "wrong ones"),
        (lambda d, k: k ** (k * d), "all ways to deal"),
        (lambda d, k: 2 ** (k * d - 1), "all ways to deal"),
        (lambda d, k: splits(d, k) * math.factorial(d) ** k, "inside a group"),
        (lambda d, k: 1, "not only the right one"),
        (lambda d, k: splits(d, k) / 3 + 0.5, "whole number"),
        (lambda d, k: splits(d, k) + 5, "15 at d = 3, k = 2, expected 10"),
    ],
)
def test_wrong_counts_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_perfect_splits(answer)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda a, b: distances(a, b).diag().max(), "order of the subspaces is free"),
        (lambda a, b: distances(a, b).amin(1).max(), "match one to one"),
        (lambda a, b: distances(a, b).amin(0).max(), "match one to one"),
        (lambda a, b: (a - b).flatten(1).norm(dim=1).max(), "bases were compared"),
        (
            lambda a, b: distance(a, b, table=lambda a, b: (a[:, None] - b[None]).flatten(2).norm(dim=2)),
            "bases were compared",
        ),
        (lambda a, b: distance(a, b, per_match=torch.mean), "the mean hides"),
        (lambda a, b: distance(a, b, per_match=torch.sum), "the sum grows"),
        (lambda a, b: distance(a, b) ** 2, "take the root"),
        (lambda a, b: distance(a, b) / math.sqrt(2), "a 2 in front"),
        (lambda a, b: distance(a, b, over=max), "worst matching"),
        (lambda a, b: distance(a, b, per_match=torch.min), "best pair"),
        (lambda a, b: distances(a, b), "expected one number"),
        (lambda a, b: distance(a, b) + 0.1, "expected 0.678"),
    ],
)
def test_wrong_distances_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_subspace_distance(answer)
