"""Guidance against Bayes' rule on exact mixtures, with every sampler; what a guide sees, and what is refused."""

import pytest
import torch
from torch import nn

from denoising import jacobians, samplers
from denoising.denoisers import Counted, Denoiser, NetworkDenoiser
from denoising.exact import GaussianMixture
from denoising.guidance import Adaptive, ClassifierFree, Guided, label_guide, strength_of_w, within
from denoising.rng import Rng
from denoising.schedules import EDM, Cosine, Linear

F = torch.float64
MEANS = torch.tensor([[-2.0, 0.5], [1.0, 1.5], [0.5, -2.0], [1.5, 0.0], [-1.0, -1.0]], dtype=F)
COVS = torch.tensor([[0.3, 0.1], [0.1, 0.2]], dtype=F) * torch.tensor([1, 0.5, 2, 0.3, 1.5], dtype=F)[:, None, None]
CLASSES = torch.tensor([0, 1, 0, 2, 1])
Y = torch.tensor([0, 1, 2, 1, 0, 2])
SCHEDULES = [Cosine(), Linear(), EDM()]
STRENGTHS = [-1.0, 0.0, 0.5, 1.0, 2.0, 4.0]
SAMPLERS = {
    "ddim": {},
    "ddpm": {"generator": 0},
    "euler": {},
    "heun": {},
    "edm_heun": {},
    "dpmpp_2m": {},
    "dpmpp_2s": {},
    "sde": {"generator": 0},
    "edm_stochastic": {"generator": 0, "churn": 40.0},
}


def name(schedule):
    return type(schedule).__name__


def mixture(schedule=None):
    weights = torch.tensor([0.1, 0.3, 0.2, 0.25, 0.15], dtype=F)
    return GaussianMixture(MEANS, COVS, weights, classes=CLASSES, schedule=schedule or Cosine())


def points(n=6, d=2, seed=0):
    return 2 * torch.randn((n, d), generator=Rng(seed), dtype=F)


def far(a, b):
    return float((a - b).detach().abs().max())


def run(sampler, denoiser, x, times, y=Y):
    options = {key: Rng(value) if key == "generator" else value for key, value in SAMPLERS[sampler].items()}
    return samplers.last(getattr(samplers, sampler)(denoiser, x, times, y=y, **options))


def exact_guide(data):
    return label_guide(data.log_posterior, data.num_classes)


# Classifier-free --------------------------------


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
def test_the_strength_is_that_of_the_convention(schedule):
    data, x, t = mixture(schedule), points(), 0.4
    assert torch.equal(ClassifierFree(data, 1)(x, t, Y), data(x, t, Y))
    assert torch.equal(ClassifierFree(data, 0)(x, t, Y), data(x, t))
    for s in STRENGTHS:
        guided = ClassifierFree(data, s)
        assert far(guided.eps(x, t, Y), data.eps(x, t) + s * (data.eps(x, t, Y) - data.eps(x, t))) < 1e-10
    one, three = ClassifierFree(data, 1.0)(x, t, Y), ClassifierFree(data, 3.0)(x, t, Y)
    assert far(ClassifierFree(data, 2.0)(x, t, Y), (one + three) / 2) < 1e-12  # affine
    w = 0.7
    theirs = (1 + w) * data.eps(x, t, Y) - w * data.eps(x, t)
    assert far(ClassifierFree(data, strength_of_w(w)).eps(x, t, Y), theirs) < 1e-10


@pytest.mark.parametrize(("s", "calls"), [(0, 1), (1, 1), (1.0, 1), (2, 2), (0.5, 2), (torch.tensor(3.0), 2)])
def test_no_call_is_wasted(s, calls):
    data = Counted(mixture())
    ClassifierFree(data, s)(points(), 0.5, Y)
    assert (data.calls, data.items) == (calls, 6 * calls)


def test_within_an_interval_and_elsewhere_conditional():
    s = within(3, 0.2, 0.8)
    assert [s(t) for t in (0.1999, 0.2, 0.5, 0.8, 0.8001)] == [1, 3, 3, 3, 1]
    data, x = mixture(), points()
    for t in (0.1, 0.2, 0.6, 0.9, torch.tensor(0.7)):
        assert torch.equal(ClassifierFree(data, s)(x, t, Y), ClassifierFree(data, s(float(t)))(x, t, Y))
        assert torch.equal(Guided(data, exact_guide(data), s)(x, t, Y), Guided(data, exact_guide(data), s(t))(x, t, Y))
    assert within(2, 0, 1)(1.0) == 2 and within(2, 0.5, 0.5)(0.5) == 2


def test_within_forgives_the_rounding_of_a_time():
    assert 0.1 * 3 > 0.3 and 1 - 0.9 < 0.1  # in floats
    s = within(3, 0.1, 0.3)
    assert [s(t) for t in (0.1 * 3, 1 - 0.9, 0.3 + 1e-8, 0.1 - 1e-8)] == [3, 3, 1, 1]


# The exact classifier's gradient is the difference of the branches --------------------------------


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
@pytest.mark.parametrize("s", STRENGTHS)
def test_an_exact_classifier_guides_as_classifier_free_does(schedule, s):
    data, t = mixture(schedule), torch.tensor([0.02, 0.2, 0.4, 0.6, 0.9, 1.0], dtype=F)
    x = points() * schedule.sigma(t)[:, None].clamp(min=1)
    assert far(Guided(data, exact_guide(data), s)(x, t, Y), ClassifierFree(data, s)(x, t, Y)) < 1e-10
    # told the label too, the classifier's part is added to the conditional answer
    both = Guided(data, exact_guide(data), s, conditional=True)(x, t, Y)
    assert far(both, ClassifierFree(data, 1 + s)(x, t, Y)) < 1e-10


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_sampler_knows_of_guidance(sampler, schedule):
    data, times = mixture(schedule), samplers.grid(schedule, 6, spacing="edm")
    x, s = schedule.sigma(1.0) * torch.randn((6, 2), generator=Rng(2), dtype=F), 2.5
    want = run(sampler, ClassifierFree(data, s), x, times)
    far_off = far(run(sampler, Guided(data, exact_guide(data), s), x, times), want)
    assert far_off < 1e-10 * max(1.0, float(want.abs().max()))  # coarse steps of the SDE blow up, in both alike
    assert torch.equal(run(sampler, ClassifierFree(data, 1), x, times), run(sampler, data, x, times))
    assert torch.equal(run(sampler, ClassifierFree(data, 0), x, times), run(sampler, data, x, times, None))
    adaptive = Adaptive(counted := Counted(data), s, threshold=1.1)
    assert torch.equal(run(sampler, adaptive, x, times), want)
    assert int(adaptive.items.sum()) == counted.items == 2 * 6 * (counted.calls // 2)
    # whatever the churn does, the answer "conditional from now on" is given once, and kept
    adaptive = Adaptive(counted := Counted(data), s, threshold=-1)
    run(sampler, adaptive, x, times)
    assert int(adaptive.items.sum()) == counted.items == 6 * counted.calls
    assert adaptive.items.tolist() == [counted.calls] * 6


# A guide's three views --------------------------------


def lookalike(x, t, y):
    """A guide without closed-form luck: uneven, and it depends on label and time."""
    return (x.flatten(1).sin().sum(1) + x.flatten(1).pow(2).sum(1) * (1 + y) / 9) * (1 + torch.as_tensor(t).to(x))


def slope(x, t, y):
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        return torch.autograd.grad(lookalike(x, t, y).sum(), x)[0]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("t", [0.3, torch.tensor(0.3), torch.tensor([0.05, 0.2, 0.4, 0.6, 0.8, 0.9], dtype=F)])
def test_what_the_guide_sees(schedule, conditional, t):
    data, x, s = mixture(schedule), points(), 0.8
    label = Y if conditional else None
    alpha, sigma = (scale.reshape(-1, 1) for scale in schedule.alpha_sigma(t))
    guess, step = data(x, t, label), s * sigma**2 / alpha
    J = jacobians.jacobian(lambda x: data(x, t, label), x)
    want = {
        "xt": slope(x, t, Y),
        "x0": slope(guess, t, Y),
        "through": torch.einsum("bi,bij->bj", slope(guess, t, Y), J),
    }
    for sees, gradient in want.items():
        got = Guided(data, lookalike, s, sees=sees, conditional=conditional)(x, t, Y)
        off = float(((got - guess - step * gradient) / (1 + step)).abs().max())
        assert off < 1e-12 and got.dtype == F and not got.requires_grad, sees


class Small(nn.Module):
    """A float32 network with labels; as a classifier it has as many outputs as classes."""

    def __init__(self, out=1):
        super().__init__()
        self.table, self.layer = nn.Embedding(4, 4), nn.Linear(4, 4 if out == 1 else out)

    def forward(self, x, time, y=None):
        shown = x.flatten(1) + (0 if y is None else self.table(y)) + 0.01 * time[:, None]
        return self.layer(shown).tanh().reshape(x.shape if y is not None else (len(x), -1))


@pytest.fixture
def small():
    """A denoiser and a classifier in float32, and a float64 batch of pictures."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net, classifier = Small(), Small(3)
    return NetworkDenoiser(net, Cosine(), num_classes=3), classifier, points(6, 4).reshape(6, 1, 2, 2)


@pytest.mark.parametrize("sees", ["xt", "x0", "through"])
@pytest.mark.parametrize("around", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_float32_networks_under_float64_states_with_or_without_gradients(small, sees, around):
    denoiser, classifier, x = small
    guided = Guided(denoiser, label_guide(classifier, 3), 2.0, sees=sees)
    want = guided(x, 0.5, Y)
    with around():  # labels, times and states made in inference mode are no obstacle either
        got = guided(x.clone(), torch.tensor(0.5), Y.clone())
    assert torch.equal(got, want) and got.dtype == F and got.shape == x.shape
    assert far(want, denoiser(x, 0.5)) > 1e-4
    assert all(weight.grad is None for weight in [*denoiser.net.parameters(), *classifier.parameters()])
    end = samplers.sample(samplers.heun, guided, x.float(), samplers.grid(Cosine(), 3), y=Y, batch=4)
    assert torch.isfinite(end).all()


def test_label_guide_is_the_log_probability_of_the_label(small):
    _, classifier, x = small
    t = torch.linspace(0.1, 0.9, 6)
    want = classifier(x.float(), t).log_softmax(1)[torch.arange(6), Y]
    assert far(label_guide(classifier, 3)(x, t, Y), want) < 1e-7
    seen = []

    def clean(*arguments):
        seen.append(arguments)
        return torch.zeros(6, 3)

    assert far(label_guide(clean, 3, told_time=False)(x, 0.5, Y), torch.full((6,), 1 / 3).log()) < 1e-6
    label_guide(clean, 3)(x, 0.5, Y)
    assert [len(arguments) for arguments in seen] == [1, 2] and seen[1][1].tolist() == [0.5] * 6


def test_a_derivative_through_a_guide_is_refused_and_not_wrong():
    data = mixture()
    with pytest.raises(ValueError, match=r"^f: expected an answer that can be differentiated"):
        jacobians.jacobian(lambda x: Guided(data, lookalike, 1.0)(x, 0.5, Y), points())
    free = jacobians.jacobian(lambda x: ClassifierFree(data, 3.0)(x, 0.5, Y), points())
    parts = [jacobians.jacobian(lambda x, y=y: data(x, 0.5, y), points()) for y in (None, Y)]
    assert far(free, parts[0] + 3 * (parts[1] - parts[0])) < 1e-12


# Bad input --------------------------------


class Numb(Denoiser):
    """A denoiser that hides its work from the gradient."""

    def __init__(self):
        self.schedule = Cosine()

    def __call__(self, x, t, y=None):
        return mixture()(x.detach(), t)


DATA, WEIGHT = mixture(), torch.ones((), requires_grad=True)
NAN, INF = float("nan"), float("inf")


def guided(guide, **options):
    return lambda: Guided(DATA, guide, 1.0, **options)(points(), 0.5, Y)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        *((lambda s=s: ClassifierFree(DATA, s), "s") for s in (NAN, INF, -INF, "2", None, True, torch.ones(2))),
        *((lambda s=s: Adaptive(DATA, s, threshold=0.9), "s") for s in (NAN, INF, None)),
        *((lambda s=s: Guided(DATA, lookalike, s), "s") for s in (NAN, INF, None)),
        *((lambda v=v: ClassifierFree(DATA, lambda t: v)(points(), 0.5, Y), "s") for v in (NAN, INF, None)),
        (lambda: Adaptive(DATA, lambda t: NAN, threshold=0.9)(points(), 0.5, Y), "s"),
        (lambda: Guided(DATA, lookalike, lambda t: NAN)(points(), 0.5, Y), "s"),
        (lambda: ClassifierFree(DATA, within(2, 0, 1))(points(), torch.full((6,), 0.5), Y), "t"),
        (lambda: Adaptive(DATA, 2.0, threshold=0.9)(points(), torch.full((6,), 0.5), Y), "t"),
        *((lambda s=s: ClassifierFree(DATA, s)(points(), 0.5), "y") for s in (0, 1, 2)),
        (lambda: Adaptive(DATA, 2.0, threshold=0.9)(points(), 0.5), "y"),
        (lambda: ClassifierFree(DATA, 2.0)(points(), 0.5, Y + 2), "y"),
        (lambda: Adaptive(DATA, 2.0, threshold=0.9)(points(), 0.5, Y - 1), "y"),
        (lambda: Adaptive(DATA, 2.0, threshold=NAN), "threshold"),
        (lambda: Adaptive(DATA, 2.0, threshold=0.9, space="v"), "space"),
        *((lambda c=c: Adaptive(DATA, 2.0, threshold=0.9, crop=c), "crop") for c in (-1, 0.5, True)),
        (lambda: Adaptive(DATA, 2.0, threshold=0.9, crop=1)(points(6, 5), 0.5, Y), "crop"),  # no pictures
        (lambda: strength_of_w(NAN), "w"),
        (lambda: within(NAN, 0, 1), "s"),
        *((lambda lo=lo: within(2, lo, 1), "lo") for lo in (-0.1, 1.1, NAN, None)),
        *((lambda hi=hi: within(2, 0.3, hi), "hi") for hi in (0.2, 1.1, NAN, None)),
        (lambda: Guided(DATA, lookalike, 1.0, sees="eps"), "sees"),
        (guided(lambda x, t, y: x.sum()), "guide"),
        (guided(lambda x, t, y: x), "guide"),
        (guided(lambda x, t, y: x.sum(1)[:5]), "guide"),
        (guided(lambda x, t, y: 1.0), "guide"),
        (guided(lambda x, t, y: x.detach().sum(1)), "guide"),
        (guided(lambda x, t, y: WEIGHT * x.detach().sum(1)), "guide"),  # it can be differentiated, but not by x
        (guided(torch.no_grad()(lambda x, t, y: x.sum(1))), "guide"),
        (guided(lambda x, t, y: x.sum(1) * NAN), "guide"),
        (guided(lambda x, t, y: x.sum(1) * INF), "guide"),
        (guided(lambda x, t, y: (0 * x).sqrt().sum(1)), "guide"),  # finite, with an infinite slope
        (guided(lambda x, t, y: x.sum(1) + torch.tensor([INF, 0, 0, 0, 0, 0])), "guide"),  # the other way round
        (lambda: Guided(Numb(), lookalike, 1.0, sees="through")(points(), 0.5, Y), "guide"),
        (guided(label_guide(DATA.log_posterior, 4)), "classifier"),
        (guided(label_guide(lambda x, t: DATA.log_posterior(x, t)[:3], 3)), "classifier"),
        (guided(label_guide(DATA.log_posterior, 2)), "y"),
        (lambda: Guided(DATA, exact_guide(DATA), 1.0)(points(), 0.5), "y"),
        (lambda: Guided(DATA, exact_guide(DATA), 1.0)(points(), 0.5, Y + 1), "y"),  # the null label has no probability
        (lambda: label_guide(DATA.log_posterior, 0), "classes"),
    ],
)
def test_bad_input_is_named(call, argument):
    with pytest.raises(ValueError, match=rf"^{argument}: expected"):
        call()
