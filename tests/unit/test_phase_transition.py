"""The phase diagram of notebook 3.2, redrawn with the notebook's own function in settings that it does not show."""

import ast
import itertools
from pathlib import Path

import nbformat
import pytest
import torch

from denoising import subspaces, validate
from denoising.rng import Rng

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "3-subspaces" / "3.2-phase-transition.ipynb"


@pytest.fixture(scope="module")
def lesson():
    """The functions of the notebook, without running its cells."""
    wanted = {"draw", "recovery_rate", "every_split", "fit_splits"}
    scope = {"torch": torch, "subspaces": subspaces, "validate": validate, "itertools": itertools}
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.cell_type == "code":
            for node in ast.parse(cell.source).body:
                if isinstance(node, ast.FunctionDef) and node.name in wanted:
                    exec(compile(ast.Module([node], []), NOTEBOOK.name, "exec"), scope)
    return scope


@pytest.mark.parametrize(("n", "k", "d"), [(30, 2, 3), (64, 3, 2), (20, 2, 5), (9, 3, 3), (17, 4, 1)])
def test_without_labels_recovery_begins_at_d_plus_one(lesson, n, k, d):
    sizes = [size for size in (d - 1, d, d + 1, 2 * d + 1) if size]
    share = dict(zip(sizes, lesson["recovery_rate"](n, k, d, sizes, trials=50, generator=Rng(3)).tolist(), strict=True))
    assert d == 1 or share[d - 1][0] == 0
    assert share[d][1] == 1  # the loss is zero, but with d > 1 the answer is often wrong
    assert share[d][0] < 0.8 if d > 1 else share[d][0] == 1
    assert share[d + 1][0] > 0.95
    assert share[2 * d + 1][0] > 0.95


@pytest.mark.parametrize(("n", "d"), [(20, 5), (100, 7), (6, 6)])
def test_one_subspace_needs_d_samples(lesson, n, d):
    rates = lesson["recovery_rate"](n, 1, d, [d - 1, d, d + 1], trials=50, generator=Rng(0))
    assert rates[:, 0].tolist() == [1 if d == n else 0, 1, 1]  # all of space needs no sample
    assert rates[:, 1].tolist() == [1, 1, 1]


def test_few_starts_fail_with_a_residual_and_more_starts_help(lesson):
    few, many = (lesson["recovery_rate"](20, 2, 5, [6], restarts=r, generator=Rng(0))[0] for r in (2, 400))
    assert few[0] == few[1] < 0.5 < many[0] == many[1]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((10, 2, 6, [3]), "d: expected k d <= n"),
        ((10, 0, 2, [3]), "k: expected a whole number of at least 1, got 0"),
        ((10, 2, 0, [3]), "d: expected a whole number of at least 1, got 0"),
        ((10, 2, 2, [3, 0]), "sizes: expected a whole number of at least 1, got 0"),
        ((10, 2, 2, [-1]), "sizes: expected a whole number of at least 1, got -1"),
        ((10, 2, 2, [2.5]), "sizes: expected a whole number of at least 1, got 2.5"),
    ],
)
def test_bad_input_is_named(lesson, arguments, name):
    with pytest.raises(ValueError, match=name):
        lesson["recovery_rate"](*arguments, generator=Rng(0))


def test_no_trials_is_named(lesson):
    with pytest.raises(ValueError, match="trials: expected a whole number of at least 1, got 0"):
        lesson["recovery_rate"](10, 2, 2, [3], trials=0, generator=Rng(0))


@pytest.mark.parametrize(("sizes", "perfect"), [((5, 5), 126), ((6, 5), 1), ((9, 5), 1), ((6, 6), 1)])
def test_perfect_splits_by_enumeration_also_for_unequal_clusters(lesson, sizes, perfect):
    _, x = lesson["draw"](12, 2, 5, max(sizes), 1, Rng(1))
    x = torch.cat([x[0, : sizes[0]], x[0, max(sizes) : max(sizes) + sizes[1]]])
    _, residual = lesson["fit_splits"](x, 5)
    assert int((residual < 1e-15).sum()) == perfect
