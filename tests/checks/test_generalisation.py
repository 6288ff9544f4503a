"""The checks of notebook 2.3 accept the solution and name the cause of each planted mistake."""

import pytest
import torch

from denoising.checks import WrongAnswer
from denoising.checks.generalisation import check_gaussian_spectrum, check_model_variance
from denoising.rng import Rng


def spectrum(lam, sigma):
    return lam / (lam + sigma**2)


def variance(f1, f2, x, sigma, seed, *, power=1.0, same=True, own=True, scale=lambda sigma: sigma, clean=True):
    """The solution, with switches for the slips."""
    z = torch.randn((2, *x.shape), generator=Rng(seed), dtype=x.dtype)
    y = x + scale(sigma) * z[0]
    a, b = f1(y), f2(y if same else x + scale(sigma) * z[1])
    error = (a if own else b) - (x if clean else y)
    return float((a - b).square().mean() / error.square().mean()) ** power


def test_the_solutions_pass(capsys):
    check_gaussian_spectrum(spectrum, strict=True)
    check_gaussian_spectrum(lambda lam, sigma: 1 / (1 + sigma**2 / lam.clamp(min=1e-300)))
    check_model_variance(variance, strict=True)
    assert capsys.readouterr().out == "[x] gaussian_spectrum\n" * 2 + "[x] model_variance\n"


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda lam, sigma: lam / (lam + sigma), "where its square belongs"),
        (lambda lam, sigma: lam**2 / (lam**2 + sigma**2), "a variance already"),
        (lambda lam, sigma: lam.sqrt() / (lam.sqrt() + sigma), "standard deviations"),
        (lambda lam, sigma: sigma**2 / (lam + sigma**2), "share that is removed"),
        (lambda lam, sigma: lam * sigma**2 / (lam + sigma**2), r"divide by sigma\^2"),
        (lambda lam, sigma: (lam > sigma**2).double(), "a threshold"),
        (lambda lam, sigma: 1 / (1 + sigma**2 / lam) * lam / lam, "not finite"),
        (lambda lam, sigma: torch.diag(spectrum(lam, sigma)), "one value for each"),
        (lambda lam, sigma: spectrum(lam, sigma).sum(), "one value for each"),
        (lambda lam, sigma: spectrum(lam, sigma).tolist(), "got list"),
        (lambda lam, sigma: lam / (lam + 3 * sigma**2), "off by"),
    ],
)
def test_wrong_spectra_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_gaussian_spectrum(answer)


def of_ratios(f1, f2, x, sigma, seed):
    y = x + sigma * torch.randn(x.shape, generator=Rng(seed), dtype=x.dtype)
    a, b = f1(y), f2(y)
    return float(((a - b).square().flatten(1).mean(1) / (a - x).square().flatten(1).mean(1)).mean())


def bare(f1, f2, x, sigma, seed):
    y = x + sigma * torch.randn(x.shape, generator=Rng(seed), dtype=x.dtype)
    return float((f1(y) - f2(y)).square().mean())


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda *a: variance(*a, same=False), "does not differ from itself"),
        (lambda *a: variance(*a, power=0.5), "lengths"),
        (lambda *a: variance(*a, own=False), "not that of f2"),
        (lambda *a: variance(*a, clean=False), "against the clean x"),
        (lambda *a: variance(*a, scale=lambda sigma: 1.0), "not 1"),
        (lambda *a: 0.5 * variance(*a), "no half"),
        (lambda *a: 3 * variance(*a), "expected about"),
        (bare, "has a unit"),
        (of_ratios, "not the mean of ratios"),
        (lambda f1, f2, x, sigma, seed: variance(f1, f2, x, sigma, 0), "another seed"),
        (lambda *a: torch.tensor(variance(*a)), "expected a float, got Tensor"),
    ],
)
def test_wrong_variances_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_model_variance(answer)
