"""Samplers on drawn grids and shapes, and what they say to bad input."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from denoising import samplers
from denoising.denoisers import NetworkDenoiser
from denoising.exact import Gaussian
from denoising.rng import Rng
from denoising.schedules import EDM, Cosine, Linear

few = settings(max_examples=20, deadline=None, derandomize=True, database=None)

NAMES = ["ddim", "ddpm", "dpmpp_2m", "dpmpp_2s", "edm_heun", "edm_stochastic", "euler", "heun", "sde"]
CALLS = {"heun": 2, "edm_heun": 2, "edm_stochastic": 2, "dpmpp_2s": 2}
NOISY = {"ddpm": {}, "sde": {}, "edm_stochastic": {"churn": 10.0}}  # those that draw fresh noise here
SCHEDULE = st.sampled_from([Linear(), Cosine(), EDM()])
GRID = st.tuples(
    st.integers(1, 6), st.sampled_from(["t", "lam", "edm"]), st.floats(0.1, 1), st.sampled_from([0.0, 0.005, 0.05])
)
SHAPE = st.tuples(st.integers(1, 3)) | st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2))


def start(shape, dtype=torch.float64):
    return torch.randn(shape, generator=Rng(0), dtype=torch.float64).to(dtype)


def run(name, denoiser, x, times, **options):
    options |= {"generator": Rng(0)} | NOISY[name] if name in NOISY else {}
    return list(getattr(samplers, name)(denoiser, x, times, **options))


@few
@given(SCHEDULE, GRID)
def test_grids_fall_from_start_to_end(schedule, wish):
    steps, spacing, t_start, t_end = wish
    times = samplers.grid(schedule, steps, spacing=spacing, t_start=t_start, t_end=t_end)
    assert times.shape == (steps + 1,) and times.dtype == torch.float64
    assert times[0] == t_start and times[-1] == t_end and (times.diff() < 0).all()


@few
@given(st.sampled_from(NAMES), SCHEDULE, GRID, SHAPE, st.sampled_from([torch.float32, torch.float64]))
def test_states_are_finite_float64_and_counted(name, schedule, wish, shape, dtype):
    steps, spacing, t_start, t_end = wish
    times = samplers.grid(schedule, steps, spacing=spacing, t_start=t_start, t_end=t_end)
    denoiser = NetworkDenoiser(lambda x, timestep, y: 0.3 * x, schedule, predicts="x0")
    states = run(name, denoiser, start(shape, dtype), times)
    assert [state.t for state in states] == times.tolist()
    assert states[-1].calls == steps * CALLS.get(name, 1) - (CALLS.get(name, 1) == 2 and t_end == 0)
    for state in states:
        assert state.x.dtype == torch.float64 and state.x.shape == shape and torch.isfinite(state.x).all()
    for before, after in itertools.pairwise(states):
        assert after.calls > before.calls and after.x0.shape == shape


@few
@given(st.sampled_from(NAMES), SCHEDULE, st.integers(1, 4))
def test_items_of_a_batch_do_not_see_each_other(name, schedule, steps):
    denoiser = Gaussian(torch.tensor([0.3]).double(), torch.tensor([[0.5]]).double(), schedule=schedule)
    times, x = samplers.grid(schedule, steps), start((4, 1))
    if name in NOISY:
        return  # its noise is drawn for the batch
    whole = run(name, denoiser, x, times)[-1].x
    parts = [run(name, denoiser, x[i : i + 1], times)[-1].x for i in range(4)]
    assert torch.allclose(torch.cat(parts), whole, atol=1e-10)


@few
@given(st.floats(0, 1), st.integers(1, 6))
def test_the_same_generator_gives_the_same_samples(eta, steps):
    denoiser = NetworkDenoiser(lambda x, timestep, y: 0.3 * x, Cosine(), predicts="x0")
    runs = [
        samplers.last(samplers.ddim(denoiser, start((3, 2)), samplers.grid(Cosine(), steps), eta=eta, generator=Rng(7)))
        for _ in range(2)
    ]
    assert torch.equal(*runs)


@few
@given(
    st.sampled_from(NAMES),
    st.sampled_from(["nan", "int", "list", "flat", "rise", "high", "low", "one", "none", "twice"]),
)
def test_bad_input_is_named(name, fault):
    x, times, argument = start((3, 2)), torch.tensor([0.9, 0.5, 0.1]).double(), "times"
    match fault:
        case "nan":
            x[1, 1], argument = float("nan"), "x"
        case "int":
            x, argument = x.long(), "x"
        case "list":
            times = times.tolist()
        case "flat":
            times = times[None]
        case "rise":
            times = torch.tensor([0.1, 0.9, 0.5])
        case "high":
            times = times + 0.2
        case "low":
            times = times - 0.2
        case "one":
            times = times[:1]
        case "none":
            times = times * float("nan")
        case "twice":
            times = times[[0, 1, 1, 2]]
    denoiser = NetworkDenoiser(lambda x, timestep, y: x, Cosine())
    with pytest.raises(ValueError, match=rf"^{argument}: expected"):
        run(name, denoiser, x, times)


@few
@given(
    st.one_of(st.integers(max_value=0), st.floats(), st.booleans(), st.none()),
    st.text(max_size=4).filter(lambda s: s not in ("t", "lam", "edm")),
)
def test_bad_wishes_for_a_grid_are_named(steps, spacing):
    with pytest.raises(ValueError, match=r"^steps: expected"):
        samplers.grid(Cosine(), steps)
    with pytest.raises(ValueError, match=r"^spacing: expected"):
        samplers.grid(Cosine(), 3, spacing=spacing)
