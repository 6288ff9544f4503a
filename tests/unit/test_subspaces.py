"""K-subspaces, the distance between subspaces, and the effective rank, against brute force and small cases."""

import itertools
import math

import pytest
import torch

from denoising import subspaces
from denoising.rng import Rng

F = torch.float64


def points(bases, per, generator):
    """`per` standard normal points in each subspace: (..., K per, n)."""
    *lead, k, _, d = bases.shape
    inside = torch.randn((*lead, k, per, d), generator=generator, dtype=F)
    return torch.einsum("...knd,...kid->...kin", bases, inside).flatten(-3, -2)


def test_random_bases_are_orthonormal_and_differ():
    bases = subspaces.random_bases(3, 20, 4, generator=Rng(0), batch=(5,))
    columns = bases.movedim(-3, -2).flatten(-2)
    assert bases.shape == (5, 3, 20, 4)
    assert torch.allclose(columns.mT @ columns, torch.eye(12, dtype=F).expand(5, 12, 12), atol=1e-12)
    assert not torch.allclose(bases[0], bases[1])


def test_energies():
    bases = subspaces.random_bases(2, 6, 2, generator=Rng(0))
    x = torch.randn((7, 6), generator=Rng(1), dtype=F)
    want = torch.stack([((x @ u) @ u.T).square().sum(1) for u in bases], 1)
    assert torch.allclose(subspaces.energies(x, bases), want)


def test_kss_finds_the_subspaces():
    generator = Rng(0)
    bases = subspaces.random_bases(2, 30, 3, generator=generator, batch=(4,))
    x = points(bases, 12, generator)
    found = subspaces.kss(x, 2, 3, restarts=20, generator=generator)
    assert found.bases.shape == (4, 2, 30, 3) and found.labels.shape == (4, 24) and found.residual.shape == (4,)
    assert (subspaces.projector_distance(found.bases, bases) < 1e-6).all() and (found.residual < 1e-12).all()
    assert all(len(set(one[:12].tolist())) == 1 and one[0] != one[12] for one in found.labels)


def test_kss_of_one_subspace_is_pca():
    x = torch.randn((40, 8), generator=Rng(0), dtype=F)
    found = subspaces.kss(x, 1, 3, restarts=1, generator=Rng(1))
    left = torch.linalg.svdvals(x)[3:].square().sum()
    assert abs(found.residual - left) < 1e-9 and found.bases.shape == (1, 8, 3)
    top = torch.linalg.svd(x).Vh[:3].T[None]
    assert subspaces.projector_distance(found.bases, top) < 1e-6


def test_kss_is_a_local_minimum_with_the_residual_it_states():
    x = torch.randn((30, 6), generator=Rng(0), dtype=F)
    found = subspaces.kss(x, 3, 2, restarts=10, generator=Rng(1))
    held = subspaces.energies(x, found.bases)
    assert torch.equal(held.argmax(1), found.labels)
    assert abs(x.square().sum() - held.max(1).values.sum() - found.residual) < 1e-9
    for k in range(3):
        own = x[found.labels == k]
        assert abs(torch.linalg.svdvals(own)[:2].square().sum() - held[found.labels == k, k].sum()) < 1e-9


def test_kss_matches_all_splits_by_hand():
    x = torch.randn((7, 4), generator=Rng(3), dtype=F)

    def residual(split):
        return sum(float(torch.linalg.svdvals(x[[s == side for s in split]])[1:].square().sum()) for side in (0, 1))

    best = min(residual(split) for split in itertools.product((0, 1), repeat=7))
    assert abs(float(subspaces.kss(x, 2, 1, restarts=100, generator=Rng(0)).residual) - best) < 1e-9


def test_too_few_points_fill_up_at_random():
    generator = Rng(0)
    bases = subspaces.random_bases(1, 200, 4, generator=generator, batch=(30,))
    found = subspaces.kss(points(bases, 3, generator), 1, 4, restarts=1, generator=generator)
    assert torch.allclose(found.bases.mT @ found.bases, torch.eye(4, dtype=F).expand(30, 1, 4, 4), atol=1e-9)
    apart = subspaces.projector_distance(found.bases, bases)  # one direction of four is left to chance
    assert (apart <= math.sqrt(2) + 1e-6).all() and apart.mean() > 0.98 * math.sqrt(2)


def test_projector_distance():
    bases = subspaces.random_bases(3, 12, 2, generator=Rng(0))
    turn = torch.linalg.qr(torch.randn((3, 2, 2), generator=Rng(1), dtype=F)).Q
    assert subspaces.projector_distance(bases, (bases @ turn)[[2, 0, 1]]) < 1e-6
    one, other = torch.eye(12, dtype=F)[None, :, :2], torch.eye(12, dtype=F)[None, :, 1:3]
    assert abs(subspaces.projector_distance(one, other) - math.sqrt(2)) < 1e-12
    assert abs(subspaces.projector_distance(bases[:1], bases[1:2]) - 2) < 1e-6
    assert abs(subspaces.projector_distance(one, torch.eye(12, dtype=F)[None, :, :3]) - 1) < 1e-12


def test_effective_rank():
    values = torch.tensor([[3.0, 0.0, 4.0], [1.0, 1.0, 1.0]])
    assert subspaces.effective_rank(values).tolist() == [2, 3]
    assert subspaces.effective_rank(values, 0.79).tolist() == [1, 2]  # 4 of 5 is a root share of 0.8
    assert int(subspaces.effective_rank(torch.tensor([10.0, 1.0]), 0.99)) == 1  # 99.5 %; of the energy 99.01 %


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: subspaces.random_bases(2, 5, 3, generator=Rng(0)), "d: .*2 x 3 > 5"),
        (lambda: subspaces.random_bases(0, 5, 3, generator=Rng(0)), "k: .*got 0"),
        (lambda: subspaces.kss(torch.ones(4, 3), 1, 4, restarts=1, generator=Rng(0)), "d: expected at most n = 3"),
        (lambda: subspaces.kss(torch.ones(0, 3), 1, 1, restarts=1, generator=Rng(0)), "x: .*at least 1"),
        (lambda: subspaces.kss(torch.ones(4, 3), 0, 1, restarts=1, generator=Rng(0)), "k: .*got 0"),
        (lambda: subspaces.kss(torch.ones(4, 3), 1, 1, restarts=0, generator=Rng(0)), "restarts: .*got 0"),
        (lambda: subspaces.kss(torch.full((4, 3), torch.nan), 1, 1, restarts=1, generator=Rng(0)), "x: .*NaN"),
        (lambda: subspaces.projector_distance(torch.ones(1, 3, 1), torch.ones(2, 3, 1)), "b: .*2, 3, 1"),
        (lambda: subspaces.effective_rank(torch.ones(3), 1.5), "eta: .*1.5"),
        (lambda: subspaces.effective_rank(torch.zeros(3)), "values: .*all zero"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
