"""Points on a union of linear subspaces: make them, cluster them, and say how well the subspaces were found.

A subspace is given by an orthonormal basis, a matrix of n rows and d columns, and K of them by one tensor (K, n, d). A
basis is known only up to a rotation inside its subspace, and the order of the K is free: compare with
`projector_distance`, which sees neither.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from denoising import validate

__all__ = ["Clustering", "effective_rank", "energies", "kss", "projector_distance", "random_bases"]


def random_bases(
    k: int,
    n: int,
    d: int,
    *,
    generator: torch.Generator,
    batch: tuple[int, ...] = (),
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """K mutually orthogonal subspaces of dimension d, uniformly at random.

    Args:
        k, n, d: how many, in how many dimensions, of which dimension; k d <= n.
        generator: CPU source of the draw.
        batch: leading sizes, for many independent problems at once.
    Returns:
        (*batch, K, n, d), float64, all k d columns of one problem orthonormal.
    Raises:
        ValueError: if a size is below 1 or k d > n.
    """
    k, n, d = validate.count("k", k), validate.count("n", n), validate.count("d", d)
    if k * d > n:
        raise ValueError(f"d: expected k d <= n, so that the subspaces can be orthogonal, got {k} x {d} > {n}")
    columns = torch.linalg.qr(torch.randn((*batch, n, k * d), generator=generator, dtype=torch.float64)).Q
    return columns.unflatten(-1, (k, d)).movedim(-2, -3)


def energies(x: Tensor, bases: Tensor) -> Tensor:
    """||U_k^T x||^2 of each point in each subspace.

    Args:
        x: points, (..., N, n).
        bases: (..., K, n, d).
    Returns:
        (..., N, K).
    """
    return torch.einsum("...in,...knd->...ikd", x, bases).square().sum(-1)


def kss(x: Tensor, k: int, d: int, *, restarts: int, generator: torch.Generator, sweeps: int = 100) -> "Clustering":
    """K-subspaces: assign each point to the subspace that holds most of it, refit each subspace by PCA, repeat.

    Every sweep lowers the residual or ends the search, so the answer is a local minimum; the best of `restarts` random
    starts is returned.

    Args:
        x: points, (..., N, n), float. Leading dimensions are independent problems, solved at once.
        k: how many subspaces.
        d: the dimension of each.
        restarts: random starts of each problem.
        generator: CPU source of the starts.
        sweeps: a start that still moves after so many sweeps is taken as it is.
    Returns:
        a `Clustering`, with the leading dimensions of x.
    Raises:
        ValueError: if x holds no point or is not finite, a count is below 1, or d > n.
    Source: Bradley and Mangasarian 2000 (k-planes); Wang et al. 2024, arXiv 2409.02426.
    Example:
        >>> from denoising.rng import Rng
        >>> x = torch.eye(4, dtype=torch.float64)[[0, 0, 1, 2, 2, 3]]
        >>> round(float(kss(x, 2, 2, restarts=5, generator=Rng(0)).residual), 6)
        0.0
    """
    validate.finite("x", x)
    k, d = validate.count("k", k), validate.count("d", d)
    validate.count("restarts", restarts), validate.count("sweeps", sweeps)
    if x.ndim < 2 or not x.numel():
        raise ValueError(f"x: expected points of shape (..., N, n) with N and n at least 1, got {tuple(x.shape)}")
    lead, n = x.shape[:-2], x.shape[-1]
    if d > n:
        raise ValueError(f"d: expected at most n = {n}, got {d}")
    points = x.double().cpu().flatten(0, -3) if lead else x[None].double().cpu()
    # All work is done in the span of the points, where matrices are small. It is filled up with random directions to
    # k d, so that a cluster of fewer than d points completes its basis with something it cannot know.
    rank = int(torch.linalg.matrix_rank(points).max())
    size = min(n, max(rank, k * d))
    axes = torch.linalg.svd(points, full_matrices=False).Vh[:, :rank].mT
    fill = torch.randn((len(points), n, size - rank), generator=generator, dtype=points.dtype)
    axes = torch.linalg.qr(torch.cat([axes, fill], -1)).Q
    z = points @ axes  # (B, N, size)
    start = torch.randn((len(z), restarts, k, size, d), generator=generator, dtype=z.dtype)
    blur = torch.randn((size, size), generator=generator, dtype=z.dtype)
    small, labels, residual = _descend(z, torch.linalg.qr(start).Q, blur @ blur.mT, sweeps)
    best = residual.argmin(1)
    row = torch.arange(len(z))
    bases = axes[:, None] @ small[row, best]
    return Clustering(
        bases.reshape(*lead, k, n, d).to(x),
        labels[row, best].reshape(*lead, -1).to(x.device),
        residual[row, best].reshape(lead).to(x),
    )


def _descend(z: Tensor, bases: Tensor, blur: Tensor, sweeps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sweeps from starts (B, R, K, s, d) until no point changes sides: bases, labels (B, R, N), residuals (B, R)."""
    (b, r, k, _, d), n = bases.shape, z.shape[1]
    z, bases = z.repeat_interleave(r, 0), bases.flatten(0, 1).clone()  # one row for each start
    total = z.square().sum((-1, -2))
    labels = torch.full((b * r, n), -1)
    active = torch.arange(b * r)
    for _ in range(sweeps):
        held = energies(z[active], bases[active]).argmax(-1)
        active, held = active[moved := (held != labels[active]).any(1)], held[moved]
        if not len(active):
            break
        labels[active] = held
        member = torch.nn.functional.one_hot(held, k).to(z)
        scatter = torch.einsum("bik,bis,bit->bkst", member, z[active], z[active])
        # too weak to move a direction that has a point, strong enough to choose among those that have none
        scatter = scatter + 1e-12 * total[active, None, None, None] * blur
        bases[active] = torch.linalg.eigh(scatter).eigenvectors[..., -d:]
    best, labels = energies(z, bases).max(-1)
    residual = (total - best.sum(-1)).clamp(min=0)
    return bases.unflatten(0, (b, r)), labels.unflatten(0, (b, r)), residual.unflatten(0, (b, r))


def projector_distance(a: Tensor, b: Tensor) -> Tensor:
    """How far two sets of subspaces are apart: max_k ||A_k A_k^T - B_p(k) B_p(k)^T||_F under the best matching p.

    Two subspaces of dimension d are at most sqrt(2 d) apart, when they are orthogonal.

    Args:
        a: orthonormal bases, (..., K, n, d).
        b: the same shape, or another number of columns.
    Returns:
        the distance, (...).
    Raises:
        ValueError: if shapes do not fit or a value is not finite.
    """
    from scipy.optimize import linear_sum_assignment

    validate.finite("a", a), validate.finite("b", b)
    if a.ndim < 3 or a.shape[:-1] != b.shape[:-1]:
        raise ValueError(f"b: expected bases (..., K, n, d) to go with a {tuple(a.shape)}, got {tuple(b.shape)}")
    cross = torch.einsum("...knd,...lne->...klde", a.double(), b.double()).square().sum((-1, -2))
    apart = (a.shape[-1] + b.shape[-1] - 2 * cross).clamp(min=0).sqrt().cpu()
    worst = [cost[linear_sum_assignment(cost.numpy())].max() for cost in apart.reshape(-1, *apart.shape[-2:])]
    return torch.stack(worst).reshape(apart.shape[:-2])


def effective_rank(values: Tensor, eta: float = 0.99) -> Tensor:
    """The fewest singular values whose root of summed squares reaches the share eta of that of all.

    eta is a share of the *root* of the energy, as in the paper's code: 0.99 asks for 98.01 % of the energy.

    Args:
        values: singular values in any order, (..., m), not all zero.
        eta: in (0, 1].
    Returns:
        int64, (...).
    Raises:
        ValueError: if eta is out of range, or values are negative, all zero or not finite.
    Source: Wang et al. 2024, arXiv 2409.02426, and its released code.
    """
    eta = validate.number("eta", eta, lo=0, hi=1, open_lo=True)
    if (validate.finite("values", values) < 0).any() or (values == 0).all(-1).any():
        raise ValueError("values: expected singular values, none negative and not all zero")
    share = values.double().sort(descending=True).values.square().cumsum(-1)
    return (share < eta**2 * share[..., -1:]).sum(-1) + 1


@dataclass(frozen=True)
class Clustering:
    """What K-subspaces found.

    Attributes:
        bases: orthonormal, (..., K, n, d).
        labels: the subspace of each point, (..., N).
        residual: sum over points of the squared distance to their subspace, (...).
    """

    bases: Tensor
    labels: Tensor
    residual: Tensor
