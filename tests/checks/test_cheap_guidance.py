"""The checks of notebook 4.4 accept the solution and name the cause of each planted mistake."""

import pytest
import torch

from denoising.checks import WrongAnswer
from denoising.checks.cheap_guidance import check_adaptive_guidance, check_distill_target
from denoising.denoisers import from_x0
from denoising.samplers.common import alpha_sigma_or_data


def step(schedule, x, x0, t, then):
    (alpha, sigma), (alpha_then, sigma_then) = schedule.alpha_sigma(t), alpha_sigma_or_data(schedule, then)
    return alpha_then * x0 + sigma_then * from_x0("eps", x0, x, alpha, sigma)


def adaptive(denoiser, x, times, y, s, threshold, *, together=False, now=False, null=False, back=False, all_rows=False,
             space="x0", plus=0):  # fmt: skip
    on, items = torch.ones(len(x), dtype=torch.bool), torch.zeros(len(x), dtype=torch.int64)
    for t, then in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
        x0 = denoiser(x, t, y)
        items += 1 + on
        agree = torch.zeros(len(x), dtype=torch.bool)
        rows = torch.ones_like(on) if all_rows or back else on.clone()
        if rows.any():
            any_class = denoiser(x[rows], t)
            a, b = any_class, x0[rows]
            if space == "eps":
                alpha = denoiser.schedule.alpha(t)
                a, b = x[rows] - alpha * a, x[rows] - alpha * b
            agree[rows] = torch.cosine_similarity(a, b) >= threshold
            if together:
                agree[:] = bool(agree[rows].all())
            mixed = x0.clone()
            mixed[rows] = any_class + (s + plus) * (x0[rows] - any_class)
            if null:
                x0 = torch.where(on[:, None], mixed, denoiser.denoiser(x, t))
            else:
                x0 = torch.where((on & ~agree if now else on)[:, None], mixed, x0)
        elif null:
            x0 = denoiser.denoiser(x, t)
        on = ~agree if back else on & ~agree
        x = step(denoiser.schedule, x, x0, t, then)
    return x, items


def target(guess, schedule, x, t, middle, end, *, which="right"):
    first = guess(x, t)
    half = step(schedule, x, first, t, middle)
    second = guess(x if which == "stale" else half, middle)
    landed = step(schedule, half, second, middle, end)
    (alpha, sigma), (alpha_end, sigma_end) = schedule.alpha_sigma(t), alpha_sigma_or_data(schedule, end)
    ratio = 0 if which == "ratio" else sigma_end / sigma
    if which == "upside":
        ratio = ratio * alpha / alpha_end
    answers = {"first": first, "second": second, "mean": (first + second) / 2, "landed": landed}
    return answers.get(which, (landed - ratio * x) / (alpha_end - ratio * alpha))


def test_the_solutions_pass(capsys):
    check_adaptive_guidance(adaptive, strict=True)
    check_distill_target(target, strict=True)
    names = ["adaptive_guidance", "distill_target"]
    assert capsys.readouterr().out == "".join(f"[x] {name}\n" for name in names)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda *given: adaptive(*given, together=True), "stop together"),
        (lambda *given: adaptive(*given, now=True), "the end is not"),
        (lambda *given: adaptive(*given, null=True), "follows its class alone"),
        (lambda *given: adaptive(*given, all_rows=True), "must leave the batch"),
        (lambda *given: adaptive(*given, space="eps"), "cosine of the noises"),
        (lambda *given: adaptive(*given, plus=1), "the mixture or the step"),
        (lambda *given: (adaptive(*given)[0], adaptive(*given)[1] - 1), "all 10 steps cost 2"),
        (lambda *given: adaptive(*given)[0], "the pair"),
        (lambda *given: (adaptive(*given)[0], 25), "one count for each"),
        (lambda *given: (adaptive(*given)[0][0], adaptive(*given)[1]), "x: expected a tensor"),
        (
            lambda d, x, times, y, s, threshold: adaptive(d, x, times, y, s, abs(threshold)),
            "the first step decides",
        ),
        (lambda d, x, times, y, s, threshold: adaptive(d, x, times, y, s, threshold * abs(threshold)), "stop at other"),
    ],
)
def test_wrong_switches_are_named(answer, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_adaptive_guidance(answer)


@pytest.mark.parametrize(
    ("which", "cause"),
    [
        ("second", "the teacher's second guess"),
        ("first", "the teacher's first guess"),
        ("mean", "the mean of the two guesses"),
        ("landed", "where the teacher lands"),
        ("stale", "move x first"),
        ("ratio", "that guess is the target"),
        ("upside", "that guess is the target|lands"),
    ],
)
def test_wrong_targets_are_named(which, cause):
    with pytest.raises(WrongAnswer, match=cause):
        check_distill_target(lambda *given: target(*given, which=which))


def test_a_target_of_another_shape_is_refused():
    with pytest.raises(WrongAnswer, match="expected a tensor"):
        check_distill_target(lambda *given: target(*given)[0])
