"""Our samplers against diffusers' schedulers, step by step on the same noise.

What differs is that diffusers keeps its tables in float32. `trained_betas` gives both sides the same schedule.
"""

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

from denoising import samplers
from denoising.denoisers import from_x0
from denoising.exact import GaussianMixture
from denoising.rng import Rng
from denoising.schedules import Table, cosine_betas, linear_betas, rows

F = torch.float64
MEANS = torch.tensor([[-1.5, 0.0], [1.0, 1.2], [0.8, -1.3]], dtype=F)
COVS = torch.tensor([[[0.15, 0.05], [0.05, 0.1]], [[0.08, 0.0], [0.0, 0.2]], [[0.12, -0.04], [-0.04, 0.1]]], dtype=F)
TABLES = {"linear": linear_betas(1000), "cosine": cosine_betas(1000)}


def exact(betas):
    return GaussianMixture(MEANS, COVS, schedule=Table(betas))


def theirs(scheduler, denoiser, kind, x, **options):
    """Every state of a stock scheduler that is fed the exact prediction."""
    states = [x]
    for step in scheduler.timesteps:
        t = (int(step) + 1) / 1000
        alpha, sigma = denoiser.schedule.alpha_sigma(t)
        prediction = from_x0(kind, denoiser(states[-1], t), states[-1], alpha, sigma)
        states.append(scheduler.step(prediction, step, states[-1], **options).prev_sample)
    return states


def worst(states, others):
    states, others = list(states), list(others)
    assert len(states) == len(others)
    return max(float((a.x - b).abs().max()) for a, b in zip(states, others, strict=True))


def start(n=64):
    return torch.randn((n, 2), generator=Rng(0), dtype=F)


@pytest.mark.parametrize(
    ("table", "variance", "steps", "limit"),
    [
        ("linear", "small", 1000, 1e-3),
        ("linear", "small", 50, 1e-4),
        ("linear", "large", 50, 1e-4),
        ("cosine", "small", 50, 1e-4),
        ("cosine", "large", 200, 1e-3),
    ],
)
def test_ddpm(table, steps, limit, variance):
    betas, x = TABLES[table], start(16)
    scheduler = DDPMScheduler(
        trained_betas=betas.tolist(), clip_sample=False, variance_type=f"fixed_{variance}", timestep_spacing="trailing"
    )
    scheduler.set_timesteps(steps)
    others = theirs(scheduler, exact(betas), "eps", x, generator=Rng(1))
    times = samplers.grid(exact(betas).schedule, steps)
    ours = list(samplers.ddpm(exact(betas), x, times, generator=Rng(1), variance=variance))
    if variance == "large" and steps < 1000:  # their last step adds noise to the finished sample unless it is row 0
        assert worst(ours[-1:], others[-1:]) > 0.01
        ours, others = ours[:-1], others[:-1]
    assert worst(ours, others) < limit


@pytest.mark.parametrize("kind", ["eps", "v", "x0"])
@pytest.mark.parametrize(("eta", "limit"), [(0.0, 1e-5), (0.5, 1e-4), (1.0, 1e-4)])
@pytest.mark.parametrize("table", TABLES)
def test_ddim(table, eta, limit, kind):
    betas, x = TABLES[table], start()
    name = {"eps": "epsilon", "v": "v_prediction", "x0": "sample"}[kind]
    scheduler = DDIMScheduler(
        trained_betas=betas.tolist(), clip_sample=False, timestep_spacing="trailing", prediction_type=name
    )
    scheduler.set_timesteps(50)
    others = theirs(scheduler, exact(betas), kind, x, eta=eta, generator=Rng(1))
    ours = samplers.ddim(exact(betas), x, samplers.grid(exact(betas).schedule, 50), eta=eta, generator=Rng(1))
    assert worst(ours, others) < limit


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("steps", [5, 20])
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # theirs, with new versions of numpy
def test_dpmpp_2m(table, steps):
    betas, x = TABLES[table], start()
    scheduler = DPMSolverMultistepScheduler(
        trained_betas=betas.tolist(), solver_order=2, timestep_spacing="trailing", final_sigmas_type="zero"
    )
    scheduler.set_timesteps(steps)
    others = theirs(scheduler, exact(betas), "eps", x)
    assert worst(samplers.dpmpp_2m(exact(betas), x, samplers.grid(exact(betas).schedule, steps)), others) < 1e-5


def test_the_traps_are_seen():
    """Defaults of diffusers that change the result: the comparison would notice each."""
    betas = TABLES["linear"]
    x = start()
    for trap in ({"clip_sample": True}, {"timestep_spacing": "leading"}, {"set_alpha_to_one": False}):
        options = {"clip_sample": False, "timestep_spacing": "trailing"} | trap
        scheduler = DDIMScheduler(trained_betas=betas.tolist(), **options)
        scheduler.set_timesteps(50)
        others = theirs(scheduler, exact(betas), "eps", x)
        ours = samplers.ddim(exact(betas), x, samplers.grid(exact(betas).schedule, 50))
        assert worst(ours, others) > 1e-3, trap


def test_linear_table():
    stock = DDPMScheduler(beta_start=1e-4, beta_end=0.02, beta_schedule="linear").alphas_cumprod
    assert (Table(linear_betas(1000)).alpha_bar(rows(1000)) - stock).abs().max() < 1e-6


def test_cosine_table():
    # theirs has no floor and clips beta at 0.999; where the floor is small against alpha_bar the two agree
    stock = DDPMScheduler(beta_schedule="squaredcos_cap_v2").alphas_cumprod.double()
    ours = Table(cosine_betas(1000)).alpha_bar(rows(1000))
    assert (ours - (1e-4 + (1 - 1e-4) * stock)).abs().max() < 2e-6
    # as `trained_betas` our table goes through unchanged
    passed = DDPMScheduler(trained_betas=cosine_betas(1000).tolist()).alphas_cumprod
    assert (ours - passed).abs().max() < 1e-6


@pytest.mark.parametrize("table", TABLES)
def test_add_noise(table):
    from denoising.denoisers import add_noise

    betas, x0, eps = TABLES[table], start(1000), torch.randn((1000, 2), generator=Rng(2), dtype=F)
    stock = DDPMScheduler(trained_betas=betas.tolist()).add_noise(x0, eps, torch.arange(1000))
    assert (add_noise(Table(betas), x0, rows(1000), eps) - stock).abs().max() < 1e-5
