"""The checks of notebook 1.1 accept the solution, wait for an answer, and name the mistake in a wrong one."""

import pytest
import torch

from denoising import schedules
from denoising.checks import WrongAnswer
from denoising.checks.forward_process import check_pooled_snr, check_rescale_betas


def rescaled(betas, T):
    """The solution of exercise 2."""
    every = len(betas) // T
    kept = torch.cumprod(1 - betas, dim=0)[every - 1 :: every]
    return 1 - kept / torch.cat([kept.new_ones(1), kept[:-1]])


def from_ends(betas, T, first):
    """The solution with the kept indices `first`, `first` + every, ...: right for first = every - 1 only."""
    every = len(betas) // T
    kept = torch.cumprod(1 - betas, dim=0)[first(every) :: every][:T]
    return 1 - kept / torch.cat([kept.new_ones(1), kept[:-1]])


def without_clean_start(betas, T):
    every = len(betas) // T
    kept = torch.cumprod(1 - betas, dim=0)[every - 1 :: every]
    return 1 - kept / torch.cat([kept[:1], kept[:-1]])


def kept_every(betas, T):
    return torch.cumprod(1 - betas, 0)[len(betas) // T - 1 :: len(betas) // T]


SNR_MISTAKES = [
    (lambda snr, k: snr, "changes nothing"),
    (lambda snr, k: snr * k, "a factor k:"),
    (lambda snr, k: snr / k**2, "the inverse"),
    (lambda snr, k: snr * k**4, r"a factor k\^4"),
    (lambda snr, k: 4 * snr, "blocks of one pixel change nothing"),
    (lambda snr, k: snr * 2**k, "blocks of one pixel change nothing"),
    (lambda snr, k: snr * (k + 1) ** 2, "blocks of one pixel change nothing"),
    (lambda snr, k: snr * (k**2 - 1), "blocks of one pixel change nothing"),
    (lambda snr, k: snr * (3 * k - 2), r"pooled_snr\(0.01, 8\) is 0.22, expected 0.64"),
    (lambda snr, k: float("nan"), "expected a finite number, got nan"),
    (lambda snr, k: "k squared", "expected one number"),
    (lambda snr, k: torch.ones(2), "expected one number"),
]

TABLE_MISTAKES = [
    (lambda betas, T: betas[:T], "cut the table"),
    (lambda betas, T: betas[len(betas) // T - 1 :: len(betas) // T], "every n-th beta"),
    (lambda betas, T: betas[:: len(betas) // T], "every n-th beta"),
    (lambda betas, T: betas.view(T, -1).sum(1), "do not add up"),
    (lambda betas, T: betas[:: len(betas) // T] * (len(betas) // T), "do not add up"),
    (lambda betas, T: schedules.linear_betas(T), "same range of beta"),
    (kept_every, "values of alpha_bar"),
    (lambda betas, T: 1 - rescaled(betas, T), "factors 1 - beta"),
    (lambda betas, T: 1 - kept_every(betas, T), "noise of the whole way"),
    (lambda betas, T: 1 - (1 - rescaled(betas, T)).sqrt(), r"sqrt\(1 - beta\)"),
    (without_clean_start, "alpha_bar = 1"),
    (lambda betas, T: from_ends(betas, T, lambda every: 0), "every - 1"),
    (lambda betas, T: from_ends(betas, T, lambda every: every - 2), "one old step early"),
    (lambda betas, T: rescaled(betas, T).roll(1), r"alpha_bar at new step 1 of 100"),
    (lambda betas, T: rescaled(betas, T).flip(0), "at that fraction of the way"),
    (lambda betas, T: rescaled(betas, T) * 1.001, "at that fraction of the way"),
    (lambda betas, T: -rescaled(betas, T), r"betas must lie in \(0, 1\)"),
    (lambda betas, T: rescaled(betas, T) * float("nan"), r"betas must lie in \(0, 1\)"),
    (lambda betas, T: from_ends(betas, T, lambda every: every), r"expected shape \(100,\), got \(99,\)"),
    (lambda betas, T: rescaled(betas, T).float(), "expected float64"),
    (lambda betas, T: rescaled(betas, T).tolist(), "expected a tensor, got list"),
]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "answer", [lambda snr, k: snr * k**2, lambda snr, k: torch.tensor(snr, dtype=torch.float64) * k * k]
)
def test_pooled_snr_accepts(answer, strict, capsys):
    check_pooled_snr(answer, strict=strict)
    assert capsys.readouterr().out == "[x] pooled_snr\n"


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "answer",
    [
        rescaled,
        lambda betas, T: 1 - (1 - betas).view(T, -1).prod(dim=1),  # another way to the same table
        lambda betas, T: -torch.expm1(torch.log1p(-betas).view(T, -1).sum(1)),
        lambda betas, T: schedules.Table(betas).betas(T),
    ],
)
def test_rescale_betas_accepts(answer, strict, capsys):
    check_rescale_betas(answer, strict=strict)
    assert capsys.readouterr().out == "[x] rescale_betas\n"


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("wrong", "cause"), SNR_MISTAKES)
def test_pooled_snr_names_the_mistake(wrong, cause, strict, capsys):
    with pytest.raises(WrongAnswer, match=cause):
        check_pooled_snr(wrong, strict=strict)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("wrong", "cause"), TABLE_MISTAKES)
def test_rescale_betas_names_the_mistake(wrong, cause, strict, capsys):
    with pytest.raises(WrongAnswer, match=cause):
        check_rescale_betas(wrong, strict=strict)
    assert capsys.readouterr().out == ""


def test_an_answer_that_is_right_for_the_linear_table_only():
    linear = rescaled(schedules.linear_betas(1000), 250)
    with pytest.raises(WrongAnswer, match="of 250"):
        check_rescale_betas(lambda betas, T: linear if T == 250 else rescaled(betas, T))


def test_the_hidden_cases_of_the_notebook_hold_for_the_solution():
    betas = rescaled(schedules.linear_betas(1000), 20)
    assert torch.cumprod(1 - betas, dim=0)[-1] < 1e-4
