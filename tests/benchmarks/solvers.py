"""Error against network calls on exact scores: our solvers and diffusers' schedulers, from the same noise."""

import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, HeunDiscreteScheduler

from denoising import samplers
from denoising.exact import GaussianMixture
from denoising.rng import Rng
from denoising.schedules import Cosine

SCHEDULE = Cosine()
T = 1000


def mixture():
    """Eight narrow bumps on a circle, in float64."""
    angle = torch.arange(8, dtype=torch.float64) * torch.pi / 4
    means = torch.stack([angle.cos(), angle.sin()], dim=1)
    return GaussianMixture(means, 0.01 * torch.eye(2, dtype=torch.float64).expand(8, 2, 2), schedule=SCHEDULE)


def own(sampler, spacing, calls_a_step):
    """Our sampler as a function of denoiser, noise and calls."""

    def run(denoiser, noise, calls):
        steps = -(-calls // calls_a_step)  # rounded up: the last step to time 0 costs one call in every sampler
        times = samplers.grid(SCHEDULE, steps, spacing=spacing)
        return samplers.last(sampler(denoiser, SCHEDULE.sigma(1.0) * noise, times))

    return run


def foreign(kind, calls_a_step, predicts, *, spacing="trailing", **options):
    """A diffusers scheduler as the same kind of function, on the same table of noise."""

    def run(denoiser, noise, calls):
        scheduler = kind(
            trained_betas=SCHEDULE.betas(T).tolist(),
            prediction_type="sample" if predicts == "x0" else "v_prediction",
            timestep_spacing=spacing,
            **options,
        )
        scheduler.set_timesteps(-(-calls // calls_a_step))
        # some schedulers count noise relative to the picture; theirs starts at sigma / alpha
        x = noise * (SCHEDULE.sigma(1.0) if scheduler.init_noise_sigma == 1 else scheduler.init_noise_sigma)
        for t in scheduler.timesteps:
            scaled, time = scheduler.scale_model_input(x, t), (float(t) + 1) / T
            out = denoiser(scaled, time) if predicts == "x0" else denoiser.v(scaled, time)
            x = scheduler.step(out, t, x).prev_sample
        return x

    return run


METHODS = {
    "ours: DDIM, equal steps of t": own(samplers.ddim, "t", 1),
    "diffusers: `DDIMScheduler`, trailing": foreign(DDIMScheduler, 1, "x0", clip_sample=False),
    "ours: DPM-Solver++ 2M, equal steps of t": own(samplers.dpmpp_2m, "t", 1),
    "diffusers: `DPMSolverMultistepScheduler`, trailing": foreign(DPMSolverMultistepScheduler, 1, "x0"),
    "ours: DPM-Solver++ 2M, equal steps of log-SNR": own(samplers.dpmpp_2m, "lam", 1),
    "diffusers: the same with `use_lu_lambdas`": foreign(DPMSolverMultistepScheduler, 1, "x0", use_lu_lambdas=True),
    "ours: Heun of EDM, equal steps of t": own(samplers.edm_heun, "t", 2),
    "diffusers: `HeunDiscreteScheduler`, trailing": foreign(HeunDiscreteScheduler, 2, "v"),
    "ours: Heun of EDM, rho = 7": own(samplers.edm_heun, "edm", 2),
    # with "trailing" their curve would end at the last coarse step instead of at the table's first row
    "diffusers: the same with `use_karras_sigmas`": foreign(
        HeunDiscreteScheduler, 2, "v", spacing="linspace", use_karras_sigmas=True
    ),
}


def errors(*, points=500, budgets=(5, 10, 20, 40), fine=4000):
    """Median distance between where a solver ends and where the exact flow ends."""
    denoiser, noise = mixture(), torch.randn((points, 2), generator=Rng(0), dtype=torch.float64)
    with torch.inference_mode():
        truth = own(samplers.edm_heun, "edm", 2)(denoiser, noise, fine)
        rows = [["solver", *(f"{calls} calls" for calls in budgets)]]
        for name, run in METHODS.items():
            off = [float((run(denoiser, noise, calls) - truth).norm(dim=1).median()) for calls in budgets]
            rows.append([name, *(f"{value:.2g}" for value in off)])
    text = (
        f"Median distance over {points} starts to the end of the probability-flow ODE (our Heun of EDM with {fine} "
        "calls), on a ring of eight Gaussians of radius 1 and standard deviation 0.1 with its exact denoiser. Methods "
        "with two calls a step get 2n - 1 calls, at most the budget."
    )
    return "Solvers on exact scores", text, rows
