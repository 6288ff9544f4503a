"""Checks of notebook 3.1: the loss of one subspace as a line, and the exact denoiser of a union of subspaces."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from denoising.checks import missing, passed, require
from denoising.rng import Rng

__all__ = ["check_loss_line", "check_molrg_denoiser"]


def check_loss_line(loss_line: Callable[[float, float, float, int], Any], *, strict: bool = False) -> None:
    """`loss_line(c, alpha, sigma, d)`: slope, constant and largest c of the loss of c U U^T x_t.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "loss_line"
    for c, alpha, sigma, d in ((0.5, 1.0, 1.0, 3), (0.8, 1.0, 0.5, 2), (1.3, 0.6, 0.8, 5), (2.6, 0.9, 0.3, 4)):
        got = loss_line(c, alpha, sigma, d)
        if missing(name, got, strict=strict):
            return
        keys = ("b", "const", "c_max")
        require(isinstance(got, dict) and set(got) == set(keys), name, f"expected a dictionary with {', '.join(keys)}")
        absent = [key for key in keys if got[key] is None or got[key] is ...]
        require(not absent, name, f"no value for {', '.join(absent)} yet")
        r, a = c * alpha, alpha / (alpha**2 + sigma**2)
        want = {"b": r * (2 - r), "const": (c * sigma) ** 2 * d, "c_max": 2 / alpha}
        for key, value, cause in (
            ("b", -want["b"], "the sign: the loss falls as the captured energy grows, loss = ... - b |U^T x|^2"),
            ("b", 2 * r, "r^2 is missing: |r P x|^2 is a part of the square, and P^2 = P"),
            ("b", r**2, "the cross term 2 r x^T P x is missing"),
            ("b", -(r**2), "the cross term 2 r x^T P x is missing"),
            ("b", c * (2 - c), "the signal is alpha x, so c meets x as c alpha"),
            ("b", a * alpha * (2 - a * alpha), "this is the b of c = a; any c is asked for"),
            ("const", c**2 * sigma**2, "the noise is projected on d directions: E |P eps|^2 = d"),
            ("const", c * sigma**2 * d, "c is squared too: E |c P sigma eps|^2"),
            ("const", c**2 * sigma * d, "the noise has variance sigma^2"),
            ("const", a**2 * sigma**2 * d, "this is the constant of c = a; any c is asked for"),
            ("c_max", 1 / alpha, "at c alpha = 1 the slope is largest; it is lost where b = r (2 - r) changes sign"),
            ("c_max", 2.0, "b changes sign at c alpha = 2, so alpha enters"),
            ("c_max", 2 * alpha, "b changes sign at c alpha = 2: divide by alpha"),
        ):
            same = math.isclose(value, want[key], rel_tol=1e-9)
            require(same or not _is(got[key], value), name, f"{key}: {cause}")
        for key, value in want.items():
            require(
                _is(got[key], value),
                name,
                f"{key} is {float(got[key]):.6g} at c = {c}, alpha = {alpha}, sigma = {sigma}, d = {d}, "
                f"expected {value:.6g}",
            )
    passed(name)


def check_molrg_denoiser(molrg_denoiser: Callable[..., Any], *, strict: bool = False) -> None:
    """`molrg_denoiser(x, U, sigma, log_pi=None)`: E[x0 | x] for x = x0 + sigma eps on a union of subspaces.

    Raises:
        WrongAnswer: with the likely cause.
    """
    name = "molrg_denoiser"
    rng = Rng(31)
    frame = torch.linalg.qr(torch.randn(12, 12, generator=rng.spawn("frame"), dtype=torch.float64)).Q
    even, uneven = [frame[:, :3], frame[:, 3:6]], [frame[:, :2], frame[:, 2:7]]
    prior = torch.tensor([0.2, 0.8], dtype=torch.float64).log()
    x = 1.5 * torch.randn(40, 12, generator=rng.spawn("x"), dtype=torch.float64)
    for case, U, sigma, log_pi in (
        ("equal dimensions", even, 0.7, None),
        ("equal dimensions", even, 2.0, None),
        ("dimensions 2 and 5", uneven, 0.7, None),
        ("dimensions 2 and 5", uneven, 1.5, None),
        ("priors 0.2 and 0.8", even, 1.0, prior),
        ("dimensions 2 and 5, priors 0.2 and 0.8", uneven, 1.0, prior),
        ("three subspaces", [*even, frame[:, 6:11]], 1.0, None),
    ):
        got = _answer(molrg_denoiser, x, U, sigma, log_pi)
        if missing(name, got, strict=strict):
            return
        _shaped(name, got, x)
        want = _tweedie(x, U, sigma, log_pi)
        for cause, value in _slips(x, U, sigma, log_pi):
            require(
                torch.allclose(value, want, atol=1e-6) or not torch.allclose(got, value, atol=1e-8), name,
                f"{cause} ({case})",
            )  # fmt: skip
        off = float((got - want).abs().max())
        require(off <= 1e-6, name, f"differs from x + sigma^2 grad log p by {off:.3g} ({case}, sigma = {sigma})")
    _limits(name, molrg_denoiser, x, even, rng)
    passed(name)


def _limits(name: str, molrg_denoiser: Callable[..., Any], x: Tensor, U: list[Tensor], rng: Rng) -> None:
    """Rotations inside the subspaces change nothing; at tiny noise the answer is a projection."""
    turn = torch.linalg.qr(torch.randn(3, 3, generator=rng.spawn("turn"), dtype=torch.float64)).Q
    moved = (_answer(molrg_denoiser, x, [u @ turn for u in U], 0.7) - _answer(molrg_denoiser, x, U, 0.7)).abs().max()
    require(bool(moved < 1e-9), name, "changed under U_k -> U_k R: only the projector U_k U_k^T may enter")
    once = _answer(molrg_denoiser, x, U, 1e-3)
    require(
        bool(torch.isfinite(once).all()), name, "not finite at sigma = 0.001: phi overflows exp(); use softmax on logs"
    )
    again = (_answer(molrg_denoiser, once, U, 1e-3) - once).abs().max()
    require(bool(again < 1e-4), name, "at sigma = 0.001 it should be a projection: applied twice it moved the point")


def _answer(molrg_denoiser: Callable[..., Any], x: Tensor, U: list[Tensor], sigma: float, log_pi: Any = None) -> Any:
    return molrg_denoiser(x.clone(), [u.clone() for u in U], sigma, log_pi)


def _is(got: Any, value: float) -> bool:
    return abs(float(got) - value) <= 1e-8 * max(1.0, abs(value))


def _shaped(name: str, got: Any, x: Tensor) -> None:
    require(isinstance(got, Tensor), name, f"expected a tensor, got {type(got).__name__}")
    require(got.shape == x.shape, name, f"expected the shape of x {tuple(x.shape)}, got {tuple(got.shape)}")
    require(got.dtype == x.dtype, name, f"expected the dtype of x, {x.dtype}, got {got.dtype}")


def _tweedie(x: Tensor, U: list[Tensor], sigma: float, log_pi: Tensor | None) -> Tensor:
    """x + sigma^2 grad log p from dense Gaussians by autograd."""
    x, eye = x.clone().requires_grad_(), torch.eye(x.shape[1], dtype=x.dtype)
    laws = [torch.distributions.MultivariateNormal(torch.zeros_like(x[0]), u @ u.T + sigma**2 * eye) for u in U]
    log_joint = torch.stack([law.log_prob(x) for law in laws], 1) + (0.0 if log_pi is None else log_pi)
    return (x + sigma**2 * torch.autograd.grad(log_joint.logsumexp(1).sum(), x)[0]).detach()


def _slips(x: Tensor, U: list[Tensor], sigma: float, log_pi: Tensor | None) -> list[tuple[str, Tensor]]:
    """What usual mistakes would give."""
    k = len(U)
    pi = torch.zeros(k, dtype=x.dtype) if log_pi is None else log_pi
    dims = torch.tensor([float(u.shape[1]) for u in U], dtype=x.dtype)
    energy = torch.stack([(x @ u).square().sum(1) for u in U], 1)  # (B, K)
    onto = torch.stack([x @ u @ u.T for u in U], 1)  # (B, K, n)
    phi, volume, a = 1 / (2 * sigma**2 * (1 + sigma**2)), math.log(sigma**2 / (1 + sigma**2)), 1 / (1 + sigma**2)

    def mix(logs: Tensor, scale: float = a) -> Tensor:
        return scale * torch.einsum("bk,bkn->bn", logs.softmax(1), onto)

    right = pi + dims / 2 * volume + phi * energy
    return [
        ("the term (d_k / 2) log(sigma^2 / (1 + sigma^2)) is missing: dimensions differ", mix(pi + phi * energy)),
        ("the term with log(sigma^2 / (1 + sigma^2)) has d_k / 2 in front, not d_k", mix(right + dims / 2 * volume)),
        ("the sign of the dimension term: larger dimension, smaller weight", mix(right - dims * volume)),
        ("log_pi is not used", mix(right - pi)),
        ("the shrinkage a = 1 / (1 + sigma^2) is missing", mix(right, 1.0)),
        ("the weights use the norm |U_k^T x|; wanted its square", mix(right + phi * (energy.sqrt() - energy))),
        ("phi = 1 / (2 sigma^2 (1 + sigma^2)); the 1/2 is missing", mix(right + phi * energy)),
        ("phi is 1 / (2 sigma^2) only for sigma -> 0; 1 + sigma^2 is missing",
         mix(right + (1 / (2 * sigma**2) - phi) * energy)),
        ("the weights do not depend on x: each subspace counts alike", mix(pi.expand(len(x), k))),
        ("a hard choice; E[x0 | x] averages with soft weights", a * onto[torch.arange(len(x)), right.argmax(1)]),
    ]  # fmt: skip
