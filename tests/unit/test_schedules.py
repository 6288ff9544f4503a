"""Schedules against closed forms, in float64."""

import itertools
import math

import pytest
import torch

from denoising import schedules
from denoising.schedules import EDM, Cosine, Linear, Sigmoid, Table, cosine_betas, linear_betas, rows

PRESERVING = [Linear(), Cosine(), Sigmoid(), Table(linear_betas(1000)), Table(linear_betas(50, 1e-3, 0.3))]
EVERY = [*PRESERVING, EDM()]
TIMES = torch.linspace(1e-4, 1, 500, dtype=torch.float64)


def name(schedule):
    return type(schedule).__name__


def far(a, b):
    return float((a - b).abs().max())


@pytest.mark.parametrize("schedule", PRESERVING, ids=name)
def test_variance_is_preserved_and_noise_grows(schedule):
    alpha, sigma = schedule.alpha_sigma(TIMES)
    assert far(alpha**2 + sigma**2, torch.ones_like(TIMES)) < 1e-14
    assert (alpha.diff() < 0).all() and (sigma.diff() > 0).all()
    assert alpha.dtype == sigma.dtype == torch.float64 and alpha.shape == TIMES.shape


@pytest.mark.parametrize("schedule", EVERY, ids=name)
def test_the_quantities_agree_with_each_other(schedule):
    alpha, sigma = schedule.alpha_sigma(TIMES)
    assert torch.equal(schedule.alpha(TIMES), alpha) and torch.equal(schedule.sigma(TIMES), sigma)
    assert far(schedule.alpha_bar(TIMES), alpha**2) < 1e-15
    assert far(schedule.lam(TIMES), (alpha / sigma).log()) < 1e-12
    assert far((schedule.snr(TIMES) * sigma**2 / alpha**2), torch.ones_like(TIMES)) < 1e-12
    assert far(schedule.sigma_edm(TIMES) * alpha / sigma, torch.ones_like(TIMES)) < 1e-12


@pytest.mark.parametrize("schedule", EVERY, ids=name)
def test_time_is_recovered_from_lam_and_from_sigma_edm(schedule):
    times = TIMES[:-5]  # at t = 1 the cosine is flat, so there only lam itself can be recovered
    assert far(schedule.t_of_lam(schedule.lam(times)), times) < 1e-9
    assert far(schedule.t_of_sigma_edm(schedule.sigma_edm(times)), times) < 1e-9
    assert far(schedule.lam(schedule.t_of_lam(schedule.lam(TIMES))), schedule.lam(TIMES)) < 1e-6
    assert schedule.t_of_lam(schedule.lam(1.0)) <= 1  # never past the end by a rounding error
    assert schedule.t_of_lam(schedule.lam(torch.tensor(0.3))).shape == ()


@pytest.mark.parametrize("schedule", EVERY, ids=name)
def test_a_lam_that_is_never_reached_is_refused(schedule):
    for lam in (float(schedule.lam(1.0)) - 0.01, float("nan")):
        with pytest.raises(ValueError, match=r"lam: expected at least lam\(1\)"):
            schedule.t_of_lam(lam)
    with pytest.raises(ValueError, match="sigma_edm: expected positive"):
        schedule.t_of_sigma_edm(torch.tensor([1.0, -1.0]))


@pytest.mark.parametrize("schedule", EVERY, ids=name)
def test_rates_are_finite_differences(schedule):
    times = torch.tensor([0.0107, 0.1234, 0.5, 0.7771, 0.9503], dtype=torch.float64) + 0.0001  # inside the rows
    step = 1e-6
    up, down = schedule.alpha_sigma(times + step), schedule.alpha_sigma(times - step)
    for rate, high, low in zip(schedule.rates(times), up, down, strict=True):
        assert far(rate, (high - low) / (2 * step)) < 1e-6 * max(1, float(rate.abs().max()))


def test_rates_work_in_inference_mode_and_leave_the_input_alone():
    want = Cosine().rates(0.5)
    with torch.inference_mode():
        times = torch.tensor([0.5])
        got = Cosine().rates(times)
        assert not times.requires_grad
    assert float(got[0]) == float(want[0]) and float(got[1]) == float(want[1])
    assert not got[0].requires_grad


def test_a_thousand_gaussian_steps_compose_to_the_closed_form():
    betas = linear_betas(1000)
    table = Table(betas)
    mean, variance, worst = 1.0, 0.0, 0.0  # of x_t given x_0 = 1
    for beta, t in zip(betas.tolist(), rows(1000), strict=True):
        mean, variance = mean * math.sqrt(1 - beta), variance * (1 - beta) + beta
        worst = max(worst, abs(mean - float(table.alpha(t))), abs(variance - float(table.sigma(t)) ** 2))
    assert worst < 1e-12


def test_the_known_ends():
    assert abs(float(Table(linear_betas(1000)).alpha_bar(1.0)) - 4.04e-5) < 0.005e-5
    assert abs(float(Linear().alpha_bar(1.0)) - math.exp(-10.05)) < 1e-18
    assert abs(float(Cosine().alpha_bar(1.0)) - 1e-4) < 1e-15
    assert abs(float(Sigmoid().alpha_bar(1.0)) - 1e-4) < 1e-15
    # a table cut to 100 rows of the same betas leaves a third of the picture
    assert abs(float(Table(linear_betas(100)).alpha_bar(1.0)) - 0.36) < 0.01
    assert abs(float(EDM().sigma(1.0)) - 80) < 1e-12 and abs(float(EDM().sigma(1e-12)) - 0.002) < 1e-9
    assert float(EDM().alpha(0.3)) == 1


def test_the_first_steps_of_the_sigmoid_do_not_cancel():
    low, high = 1 / (1 + math.exp(3)), 1 / (1 + math.exp(-3))
    slope = (1 - 1e-4) * 6 * low * (1 - low) / (high - low)
    for t in (1e-6, 1e-12, 1e-18):
        assert abs(float(Sigmoid().sigma(t)) ** 2 / (slope * t) - 1) < 1e-5


def test_cosine_follows_the_paper_above_its_floor():
    angle = (TIMES + 0.008) / 1.008 * math.pi / 2
    paper = torch.cos(angle) ** 2 / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    assert far(Cosine().alpha_bar(TIMES), 1e-4 + (1 - 1e-4) * paper) < 1e-14


def test_edm_is_the_rho_curve():
    i = torch.arange(18, dtype=torch.float64)
    karras = (80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    assert far(EDM().sigma((1 - i / 17).clamp(min=1e-15)), karras) < 1e-9


@pytest.mark.parametrize("schedule", PRESERVING, ids=name)
def test_a_table_made_from_a_schedule_passes_through_it(schedule):
    betas = schedule.betas(200)
    table = Table(betas)
    assert betas.shape == (200,) and table.T == 200
    assert far(table.lam(rows(200)), schedule.lam(rows(200))) < 1e-9
    assert far(table.betas(200), betas) < 1e-13
    assert far(torch.cumprod(1 - betas, 0), schedule.alpha_bar(rows(200))) < 1e-13


def test_row_i_is_time_i_plus_one_over_T():
    assert rows(4).tolist() == [0.25, 0.5, 0.75, 1.0]
    assert abs(float(Table(linear_betas(1000)).alpha_bar(rows(1000)[0])) - (1 - 1e-4)) < 1e-15
    assert abs(float(Table(linear_betas(2, 0.1, 0.3)).alpha_bar(0.5)) - 0.9) < 1e-15
    assert abs(float(Table(linear_betas(2, 0.1, 0.3)).alpha_bar(1.0)) - 0.63) < 1e-15
    assert (
        abs(float(Table(linear_betas(2, 0.1, 0.3)).alpha_bar(0.25)) - math.sqrt(0.9)) < 1e-15
    )  # constant rate between


def test_two_half_schedules_multiply():
    betas = linear_betas(1000)
    first, second, whole = Table(betas[:500]), Table(betas[500:]), Table(betas)
    assert abs(float(first.alpha_bar(1.0) * second.alpha_bar(1.0) / whole.alpha_bar(1.0)) - 1) < 1e-12
    assert abs(float(first.alpha_bar(1.0) / whole.alpha_bar(0.5)) - 1) < 1e-12


def test_the_table_approaches_the_continuous_schedule():
    errors = []
    for T in (500, 1000, 2000):
        betas = linear_betas(T, 0.1 / T, 20 / T)
        errors.append(abs(float(Table(betas).alpha_bar(0.5)) - float(Linear().alpha_bar(0.5))))
    slopes = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert all(abs(slope - 1) < 0.05 for slope in slopes)


def test_average_pooling_of_two_by_two_pixels_multiplies_the_snr_by_four():
    # for a picture that is constant over the block: the mean of four independent noises has a quarter of the variance
    alpha, sigma = Cosine().alpha_sigma(0.4)
    assert abs(float((alpha / (sigma / 2)) ** 2 / Cosine().snr(0.4)) - 4) < 1e-12


def test_a_variance_exploding_schedule_has_no_betas():
    with pytest.raises(ValueError, match="EDM: expected alpha"):
        EDM().betas(10)


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: Linear(beta_min=0), "beta_min"),
        (lambda: Linear(beta_min=2, beta_max=1), "beta_max"),
        (lambda: Linear(beta_max="20"), "beta_max"),
        (lambda: Cosine(offset=-1), "offset"),
        (lambda: Cosine(floor=0), "floor"),
        (lambda: Sigmoid(start=3, end=-3), "end"),
        (lambda: EDM(sigma_min=0), "sigma_min"),
        (lambda: EDM(sigma_max=1e-3), "sigma_max"),
        (lambda: EDM(rho=float("nan")), "rho"),
        (lambda: Table(torch.tensor([0.1, 1.0])), "betas"),
        (lambda: Table(torch.tensor([0.0, 0.1])), "betas"),
        (lambda: Table(torch.tensor([])), "betas"),
        (lambda: Table([0.1]), "betas"),
        (lambda: Table(torch.tensor([[0.1]])), "betas"),
        (lambda: linear_betas(0), "T"),
        (lambda: linear_betas(10, beta_min=-1), "beta_min"),
        (lambda: linear_betas(10, beta_max=2), "beta_max"),
        (lambda: rows(2.5), "T"),
        (lambda: cosine_betas(True), "T"),
        (lambda: Cosine().betas(0), "T"),
    ],
)
def test_bad_arguments_are_named(make, argument):
    with pytest.raises(ValueError, match=rf"^{argument}: expected"):
        make()


def test_nothing_public_is_forgotten():
    assert set(schedules.__all__) == {
        "EDM", "Cosine", "Linear", "Schedule", "Sigmoid", "Table", "cosine_betas", "linear_betas", "rows",
    }  # fmt: skip
