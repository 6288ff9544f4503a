"""The checks of notebook 5.1 accept the solution and name the cause of each planted mistake."""

import pytest
import torch

from denoising.checks import WrongAnswer
from denoising.checks.bayes import check_diffusion_posterior, check_elbo_weight


def weight(schedule, t):
    alpha, sigma = schedule.alpha_sigma(t)
    d_alpha, d_sigma = schedule.rates(t)
    return d_sigma / sigma - d_alpha / alpha


def posterior(x, eps_hat, log_prior, n, generator, log_snr=(-9.0, 11.0), *, half=0.5, reduce="sum", fresh=False,
              prior=1.0, inside=False, width=None, sign=-1.0, last="softmax"):  # fmt: skip
    low, high = log_snr
    offset = torch.rand(len(x), generator=generator, dtype=torch.float64)
    score = torch.zeros(len(x), len(log_prior), dtype=torch.float64)
    for i in range(n):
        at = low + (high - low) * ((i + offset) / n)
        eps = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        alpha, sigma = torch.sigmoid(at).sqrt()[:, None], torch.sigmoid(-at).sqrt()[:, None]
        for c in range(len(log_prior)):
            if fresh:
                eps = torch.randn(x.shape, generator=generator, dtype=x.dtype)
            off = (eps - eps_hat(alpha * x + sigma * eps, at, torch.full((len(x),), c))).square()
            score[:, c] += (off.sum(1) if reduce == "sum" else off.mean(1)) / n
    width = high - low if width is None else width
    score = half * width * (sign * score + log_prior) if inside else sign * half * width * score + prior * log_prior
    if last == "argmax":
        return torch.nn.functional.one_hot(score.argmax(1), len(log_prior)).double()
    return score.softmax(1) if last == "softmax" else score


def having(**changes):
    return lambda *args: posterior(*args, **changes)


def test_the_solutions_pass(capsys):
    check_elbo_weight(weight, strict=True)
    check_diffusion_posterior(posterior, strict=True)
    assert capsys.readouterr().out == "[x] elbo_weight\n[x] diffusion_posterior\n"


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda s, t: -weight(s, t), "the sign"),
        (lambda s, t: 2 * weight(s, t), "twice too large"),
        (lambda s, t: weight(s, t) / 2, "half too small"),
        (lambda s, t: weight(s, t) * s.snr(t), "errors of x_0"),
        (lambda s, t: 1 / weight(s, t), "upside down"),
        (lambda s, t: 10 + 0 * t, "a constant"),
        (lambda s, t: 3 * weight(s, t), "off by a factor 3"),
        (lambda s, t: weight(s, t).sum(), "expected a tensor of shape"),
        (lambda s, t: weight(s, t).tolist(), "got list"),
        (lambda s, t: weight(s, t) / 0, "finite"),
    ],
)
def test_wrong_weights_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_elbo_weight(answer)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (having(half=1.0), "the half is missing"),
        (having(sign=1.0), "the sign: the smallest error"),
        (having(reduce="mean"), "a sum over pixels"),
        (having(width=1.0), "half the width"),
        (having(width=2.0), "half the width of the log-SNR range"),
        (having(prior=0.0), "the prior is missing"),
        (having(prior=-1.0), "the sign of the prior"),
        (having(inside=True), "inside the weight"),
        (having(last="argmax"), "a decision, not a probability"),
        (having(last="scores"), "take a softmax"),
        (having(fresh=True), "do all classes share"),
        (lambda x, e, p, n, g, log_snr=None: posterior(x, e, p, n, g), "outside log_snr"),
        (having(width=20.0), "width of the given log_snr"),
        (lambda x, e, p, n, g, log_snr=(-9.0, 11.0): posterior(x, e, p, 1024, g, log_snr), "are 120 guesses"),
        (
            lambda x, e, p, n, g, log_snr=(-9.0, 11.0): posterior(
                x, e, p, n, torch.Generator().manual_seed(1), log_snr
            ),
            "another generator",
        ),
        (lambda *a: posterior(*a).T, "expected probabilities of shape"),
        (lambda *a: posterior(*a) / 0, "finite"),
    ],
)
def test_wrong_posteriors_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_diffusion_posterior(answer)
