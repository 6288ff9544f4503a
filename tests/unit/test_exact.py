"""Exact denoisers against scalar formulas, brute force, Tweedie and samples."""

import math

import pytest
import torch

from denoising import datasets
from denoising.exact import Gaussian, GaussianMixture, LowRankMixture, digit_gaussians
from denoising.rng import Rng
from denoising.schedules import EDM, Cosine, Linear

F = torch.float64
MEANS = torch.tensor([[-2.0, 0.5], [1.0, 1.5], [0.5, -2.0]], dtype=F)
COVS = torch.tensor([[[0.3, 0.1], [0.1, 0.2]], [[0.5, -0.2], [-0.2, 0.3]], [[0.1, 0.0], [0.0, 0.6]]], dtype=F)
WEIGHTS = torch.tensor([0.2, 0.5, 0.3], dtype=F)


def mixture(schedule=None):
    return GaussianMixture(MEANS, COVS, WEIGHTS, schedule=schedule or Cosine())


def points(n, d=2, seed=0):
    return 2 * torch.randn((n, d), generator=Rng(seed), dtype=F)


def far(a, b):
    return float((a - b).detach().abs().max())


@pytest.mark.parametrize("schedule", [Cosine(), EDM()])
@pytest.mark.parametrize("c2", [0.25, 1.0, 4.0])
def test_scalar_gaussian(schedule, c2):
    m, x, t = 0.7, points(6, 1), torch.tensor([0.01, 0.2, 0.4, 0.6, 0.8, 1.0], dtype=F)
    data = Gaussian(torch.tensor([m], dtype=F), torch.tensor([[c2]], dtype=F), schedule=schedule)
    alpha, sigma = (scale[:, None] for scale in schedule.alpha_sigma(t))
    v = alpha**2 * c2 + sigma**2
    assert far(data(x, t), m + alpha * c2 / v * (x - alpha * m)) < 1e-12
    assert far(data.score(x, t) * v, -(x - alpha * m)) < 1e-9
    assert far(data.eps(x, t), sigma / v * (x - alpha * m)) < 1e-9
    assert far(data.logp(x, t), (-0.5 * ((x - alpha * m) ** 2 / v + (2 * math.pi * v).log()))[:, 0]) < 1e-12
    assert far(data.cov(x, t)[:, :, 0], c2 * sigma**2 / v) < 1e-12


def test_irreducible_loss_of_a_gaussian():
    # E|eps - E[eps|x_t]|^2 = alpha_bar c^2 / (alpha_bar c^2 + 1 - alpha_bar)
    c2, t, n = 4.0, 0.4, 200_000
    data = Gaussian(torch.zeros(1, dtype=F), torch.full((1, 1), c2, dtype=F), schedule=Linear())
    alpha, sigma = data.schedule.alpha_sigma(t)
    eps, (x0, _) = torch.randn((n, 1), generator=Rng(1), dtype=F), data.sample(n, generator=Rng(2))
    loss = (eps - data.eps(alpha * x0 + sigma * eps, t)).square().mean()
    assert abs(float(loss / (alpha**2 * c2 / (alpha**2 * c2 + sigma**2))) - 1) < 0.02


@pytest.mark.parametrize("t", [0.2, 0.6])
def test_posterior_by_brute_force_integration(t):
    data = mixture()
    alpha, sigma = data.schedule.alpha_sigma(t)
    line = torch.linspace(-9, 9, 721, dtype=F)
    x0 = torch.cartesian_prod(line, line)
    prior = data.logp(x0)
    assert abs(float(prior.exp().sum()) * 0.025**2 - 1) < 1e-9
    for x in points(4):
        joint = (prior - (x - alpha * x0).square().sum(1) / (2 * sigma**2)).exp()
        evidence = joint.sum()
        mean = (joint[:, None] * x0).sum(0) / evidence
        apart = x0 - mean
        cov = torch.einsum("n,ni,nj->ij", joint, apart, apart) / evidence
        logp = (evidence * 0.025**2 / (2 * math.pi * sigma**2)).log()
        assert far(data(x[None], t)[0], mean) < 1e-9
        assert far(data.cov(x[None], t)[0], cov) < 1e-9
        assert far(data.logp(x[None], t)[0], logp) < 1e-9


def test_in_more_dimensions_too():
    # in two dimensions the matrix of axes is often its own transpose, which hides a swapped index
    roots = torch.randn((2, 4, 4), generator=Rng(8), dtype=F)
    data = GaussianMixture(points(2, 4, seed=9), roots @ roots.mT, WEIGHTS[1:] / 0.8, schedule=Cosine())
    x, t = points(5, 4).requires_grad_(), 0.4
    alpha, sigma = data.schedule.alpha_sigma(t)
    each = torch.distributions.MultivariateNormal(
        alpha * data.means, alpha**2 * roots @ roots.mT + sigma**2 * torch.eye(4, dtype=F)
    )
    logp = (each.log_prob(x[:, None]) + torch.log(WEIGHTS[1:] / 0.8)).logsumexp(1)
    (gradient,) = torch.autograd.grad(logp.sum(), x)
    x = x.detach()
    assert far(data.logp(x, t), logp.detach()) < 1e-10
    assert far(data.score(x, t), gradient) < 1e-10
    hessian = torch.autograd.functional.jacobian(lambda x: data.score(x[None], t)[0], x[0])
    assert far(data.cov(x[:1], t)[0], sigma**2 * (torch.eye(4, dtype=F) + sigma**2 * hessian) / alpha**2) < 1e-10
    drawn, y = data.sample(100_000, generator=Rng(10))
    assert far(torch.cov(drawn[y == 0].T), roots[0] @ roots[0].T) < 0.03 * float((roots[0] @ roots[0].T).abs().max())


def test_component_probabilities_are_bayes_rule():
    data, x, t = mixture(), points(7), 0.5
    of = [data.logp(x, t, torch.full((7,), k)) + WEIGHTS[k].log() for k in range(3)]
    assert far(data.posterior(x, t), torch.stack(of, 1).softmax(1)) < 1e-13
    assert far(torch.stack(of, 1).logsumexp(1), data.logp(x, t)) < 1e-13


@pytest.mark.parametrize("schedule", [Cosine(), EDM()])
def test_covariance_is_tweedie_of_the_second_order(schedule):
    data, t = mixture(schedule), 0.35
    alpha, sigma = schedule.alpha_sigma(t)
    for x in points(5):
        hessian = torch.autograd.functional.jacobian(lambda x: data.score(x[None], t)[0], x)
        want = sigma**2 * (torch.eye(2) + sigma**2 * hessian) / alpha**2
        assert far(data.cov(x[None], t)[0], want) < 1e-10 * max(1.0, float(sigma) ** 2)


def test_score_has_mean_zero_and_obeys_stein():
    data, t, n = mixture(), 0.4, 20_000
    x, _ = data.sample(n, generator=Rng(3), t=t)
    x.requires_grad_()
    score = data.score(x, t)
    trace = sum(torch.autograd.grad(score[:, i].sum(), x, retain_graph=True)[0][:, i] for i in range(2))
    score = score.detach()
    stein = trace + score.square().sum(1)
    assert abs(float(stein.mean())) < 4 * float(stein.std()) / math.sqrt(n)
    assert float(score.mean(0).abs().max()) < 4 * float(score.std()) / math.sqrt(n)


def test_a_label_means_its_component_alone():
    data, x, t = mixture(), points(6), torch.linspace(0.1, 1, 6, dtype=F)
    for k in range(3):
        alone, y = Gaussian(MEANS[k], COVS[k], schedule=Cosine()), torch.full((6,), k)
        assert far(data(x, t, y), alone(x, t)) < 1e-12
        assert far(data.logp(x, t, y), alone.logp(x, t)) < 1e-12
        assert far(data.score(x, t, y), alone.score(x, t)) < 1e-9


def test_the_null_label_means_no_label_and_labels_may_be_mixed():
    data, x, t = mixture(), points(6), 0.4
    null = torch.full((6,), 3)
    assert torch.equal(data(x, t, null), data(x, t)) and torch.equal(data.logp(x, t, null), data.logp(x, t))
    y = torch.tensor([0, 3, 1, 2, 3, 0])
    one = torch.cat([data(x[i : i + 1], t, y[i : i + 1]) for i in range(6)])
    assert far(data(x, t, y), one) < 1e-14


def test_equal_weights_are_exact_in_float64():
    data = GaussianMixture(MEANS, COVS, schedule=Cosine())
    assert far(data.log_weights.exp().sum(), torch.ones((), dtype=F)) < 1e-15
    line = torch.linspace(-9, 9, 721, dtype=F)
    assert abs(float(data.logp(torch.cartesian_prod(line, line)).exp().sum()) * 0.025**2 - 1) < 1e-12


def test_point_masses():
    data = GaussianMixture(MEANS, torch.zeros((3, 2, 2), dtype=F), WEIGHTS, schedule=Cosine())
    x, t = points(6), 0.3
    alpha, sigma = data.schedule.alpha_sigma(t)
    logits = WEIGHTS.log() - (x[:, None] - alpha * MEANS).square().sum(2) / (2 * sigma**2)
    assert far(data(x, t), logits.softmax(1) @ MEANS) < 1e-12


def basis(k, n, d, seed):
    return torch.linalg.qr(torch.randn((k, n, d), generator=Rng(seed), dtype=F)).Q


def test_low_rank_mixture_has_the_closed_form_of_the_paper():
    bases, t = basis(3, 8, 2, 4), 0.4
    data = LowRankMixture(bases, WEIGHTS, schedule=Cosine())
    x, _ = data.sample(20, generator=Rng(5), t=t)
    alpha, sigma = data.schedule.alpha_sigma(t)
    inside = torch.einsum("knd,bn->bkd", bases, x)
    shrink = alpha / (alpha**2 + sigma**2)
    # log-weights up to what all components share: |U^T x|^2 alpha^2 / (2 sigma^2 (alpha^2 + sigma^2))
    logits = WEIGHTS.log() + alpha**2 / (2 * sigma**2 * (alpha**2 + sigma**2)) * inside.square().sum(2)
    want = shrink * torch.einsum("bk,knd,bkd->bn", logits.softmax(1), bases, inside)
    assert far(data(x, t), want) < 1e-10
    assert far(data.posterior(x, t), logits.softmax(1)) < 1e-10


# Classes of several components --------------------------------

CLASSES = torch.tensor([1, 0, 1, 2, 0])
MASS = torch.tensor([0.1, 0.3, 0.2, 0.25, 0.15], dtype=F)


def grouped(schedule=None):
    means, covs = torch.cat([MEANS, -MEANS[:2]]), torch.cat([COVS, COVS[:2]])
    return GaussianMixture(means, covs, MASS, classes=CLASSES, schedule=schedule or Cosine())


@pytest.mark.parametrize("schedule", [Cosine(), Linear(), EDM()])
def test_a_class_is_the_sum_of_its_components(schedule):
    data, x, t = grouped(schedule), points(7).requires_grad_(), torch.linspace(0.05, 1, 7, dtype=F)
    assert data.num_classes == 3
    alpha, sigma = (scale[:, None, None] for scale in schedule.alpha_sigma(t))
    cov = alpha[..., None] ** 2 * torch.cat([COVS, COVS[:2]]) + sigma[..., None] ** 2 * torch.eye(2, dtype=F)
    each = torch.distributions.MultivariateNormal(alpha * data.means, cov).log_prob(x[:, None]).exp() * MASS
    by_class = torch.stack([each[:, c == CLASSES].sum(1) for c in range(3)], 1)
    prior = torch.stack([MASS[c == CLASSES].sum() for c in range(3)])
    assert far(data.log_posterior(x, t), (by_class / by_class.sum(1, keepdim=True)).log()) < 1e-10
    assert far(data.posterior(x, t), by_class / by_class.sum(1, keepdim=True)) < 1e-13
    for c in range(4):
        y = torch.full((7,), c)
        density = by_class[:, c] / prior[c] if c < 3 else each.sum(1)  # the last label is "any"
        assert far(data.logp(x, t, y), density.log()) < 1e-10
        (gradient,) = torch.autograd.grad(data.logp(x, t, y).sum(), x)
        assert far(data.score(x, t, y), gradient) < 1e-10
        if c < 3:  # Bayes' rule, density by density and gradient by gradient
            (of_posterior,) = torch.autograd.grad(data.log_posterior(x, t)[:, c].sum(), x)
            assert far(data.score(x, t, y), data.score(x, t) + of_posterior) < 1e-10
            inside = c == CLASSES
            alone = GaussianMixture(
                data.means[inside], torch.cat([COVS, COVS[:2]])[inside], MASS[inside] / prior[c], schedule=schedule
            )
            assert far(data(x, t, y), alone(x, t)) < 1e-10 and far(data.logp(x, t, y), alone.logp(x, t)) < 1e-12
    assert torch.equal(data(x, t, torch.full((7,), 3)), data(x, t))


def test_a_log_posterior_is_a_number_where_the_posterior_is_zero():
    data, x = grouped(), torch.tensor([[60.0, 80.0]], dtype=F).requires_grad_()
    logp = data.log_posterior(x, 0.01)
    assert (data.posterior(x, 0.01) == 0).any() and torch.isfinite(logp).all() and (logp < -1000).any()
    assert torch.isfinite(torch.autograd.grad(logp[0, 2], x)[0]).all()
    assert far(logp.exp().sum(), torch.ones(())) < 1e-12


def test_samples_carry_their_class():
    x, y = grouped().sample(40_000, generator=Rng(3))
    assert y.dtype == torch.int64 and far(torch.bincount(y) / 40_000, torch.tensor([0.45, 0.3, 0.25])) < 0.01
    for c in range(3):
        inside = c == CLASSES
        assert far(x[y == c].mean(0), MASS[inside] / MASS[inside].sum() @ grouped().means[inside]) < 0.05
    drawn, own = mixture().sample(1000, generator=Rng(3))
    again = GaussianMixture(MEANS, COVS, WEIGHTS, classes=torch.arange(3), schedule=Cosine())
    assert all(torch.equal(a, b) for a, b in zip(again.sample(1000, generator=Rng(3)), (drawn, own), strict=True))
    assert far(again(drawn, 0.3, own), mixture()(drawn, 0.3, own)) == 0


def test_a_low_rank_mixture_has_a_class_for_each_subspace():
    data = LowRankMixture(basis(3, 8, 2, 4), WEIGHTS, schedule=Cosine())
    x, y = data.sample(30, generator=Rng(5), t=0.3)
    assert data.num_classes == 3 and data.posterior(x, 0.3).shape == (30, 3) and int(y.max()) == 2
    alone = LowRankMixture(data.bases[:1], schedule=Cosine())
    assert far(data(x, 0.3, torch.zeros(30, dtype=torch.int64)), alone(x, 0.3)) < 1e-12
    assert torch.equal(data(x, 0.3, torch.full((30,), 3)), data(x, 0.3))


def test_digit_gaussians_have_the_moments_of_the_digits():
    data, digits = digit_gaussians(Cosine(), variance=0.05), datasets.load("digits")
    x = digits.x[digits.y == 7].flatten(1).double()
    apart = x - x.mean(0)
    cov = apart.mT @ apart / (len(x) - 1) + 0.05 * torch.eye(64, dtype=F)
    assert far(data.means[7], x.mean(0)) < 1e-12
    assert far((data.axes[7] * data.values[7]) @ data.axes[7].mT, cov) < 1e-12
    assert data.num_classes == 10 and far(data.log_weights.exp(), torch.full((10,), 0.1, dtype=F)) < 1e-15
    assert float((data.posterior(digits.x.flatten(1).double(), 0.05).argmax(1) == digits.y).double().mean()) > 0.95
    assert digit_gaussians(EDM(), dtype=torch.float32)(torch.zeros(2, 1, 8, 8), 0.5).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_data_on_a_subspace_have_no_density(dtype):
    data = LowRankMixture(basis(2, 6, 2, 6).to(dtype), schedule=Cosine())
    assert int((data.values == 0).sum()) == 8  # rounding does not hide the missing dimensions
    for call in (data.logp, data):
        with pytest.raises(ValueError, match="no density"):
            call(points(3, 6).to(dtype), 0)


def test_samples_have_the_moments():
    for t in (0, 0.3, torch.full((100_000,), 0.7)):
        data = mixture()
        x, y = data.sample(100_000, generator=Rng(7), t=t)
        alpha, sigma = (
            (1.0, 0.0)
            if isinstance(t, int)
            else (float(s) for s in data.schedule.alpha_sigma(torch.as_tensor(t).max()))
        )
        mean = WEIGHTS @ MEANS
        cov = torch.einsum("k,kij->ij", WEIGHTS, COVS + torch.einsum("ki,kj->kij", MEANS - mean, MEANS - mean))
        assert far(x.mean(0), alpha * mean) < 0.03
        assert far(torch.cov(x.T), alpha**2 * cov + sigma**2 * torch.eye(2)) < 0.05
        assert far(torch.bincount(y) / len(y), WEIGHTS) < 0.01
        assert x.dtype == F and y.dtype == torch.int64


def test_samples_depend_on_the_generator_alone():
    torch.manual_seed(1)
    first = mixture().sample(5, generator=Rng(1))[0]
    torch.manual_seed(2)
    assert torch.equal(first, mixture().sample(5, generator=Rng(1))[0])


def test_shapes_and_dtypes_are_kept():
    data = GaussianMixture(torch.randn(2, 12, generator=Rng(0)), torch.eye(12).expand(2, -1, -1), schedule=Cosine())
    x = torch.randn((5, 3, 2, 2), generator=Rng(1), dtype=F)
    assert data(x, 0.5).shape == x.shape and data(x, 0.5).dtype == F
    assert data.logp(x, 0.5).shape == (5,) and data.cov(x, 0.5).shape == (5, 12, 12)
    assert data(x.float(), 0.5).dtype == torch.float32


EYE = torch.eye(2).expand(3, 2, 2)
Y = torch.zeros(6, dtype=torch.int64)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: GaussianMixture(MEANS[0], COVS, schedule=Cosine()), "means"),
        (lambda: GaussianMixture(MEANS.long(), COVS, schedule=Cosine()), "means"),
        (lambda: GaussianMixture(MEANS[:0], COVS[:0], schedule=Cosine()), "means"),
        (lambda: GaussianMixture(MEANS, COVS[:2], schedule=Cosine()), "covs"),
        (lambda: GaussianMixture(MEANS, -EYE, schedule=Cosine()), "covs"),
        (lambda: GaussianMixture(MEANS, COVS.tril(), schedule=Cosine()), "covs"),
        (lambda: GaussianMixture(MEANS, COVS * float("nan"), schedule=Cosine()), "covs"),
        (lambda: GaussianMixture(MEANS, COVS, WEIGHTS[:2], schedule=Cosine()), "weights"),
        (lambda: GaussianMixture(MEANS, COVS, 2 * WEIGHTS, schedule=Cosine()), "weights"),
        (lambda: GaussianMixture(MEANS, COVS, torch.tensor([1.5, -0.5, 0.0]), schedule=Cosine()), "weights"),
        *(
            (lambda classes=classes: GaussianMixture(MEANS, COVS, classes=classes, schedule=Cosine()), "classes")
            for classes in (
                *([0, 1, 2], torch.tensor([0.0, 1.0, 1.0]), torch.tensor([0, 1]), torch.tensor([[0, 1, 2]])),
                *(torch.tensor([0, 1, 3]), torch.tensor([1, 2, 1]), torch.tensor([-1, 0, 1]), torch.tensor([0, 2, 2])),
            )
        ),
        (lambda: digit_gaussians(Cosine(), variance=0.0), "variance"),
        (lambda: digit_gaussians(Cosine(), variance=float("nan")), "variance"),
        (lambda: grouped()(points(6), 0.5, Y + 4), "y"),  # a component is no label
        (lambda: Gaussian(MEANS, COVS[0], schedule=Cosine()), "mean"),
        (lambda: Gaussian(MEANS[0], COVS, schedule=Cosine()), "cov"),
        (lambda: LowRankMixture(torch.ones(2, 3, 2), schedule=Cosine()), "bases"),
        (lambda: LowRankMixture(torch.ones(2, 3, 4), schedule=Cosine()), "bases"),
        (lambda: mixture()(points(6, 3), 0.5), "x"),
        (lambda: mixture()(points(6) * float("inf"), 0.5), "x"),
        (lambda: mixture()(points(6), 0.0 - 0.1), "t"),
        (lambda: mixture().eps(points(6), 0), "t"),
        (lambda: mixture()(points(6), torch.rand(5)), "t"),
        (lambda: mixture()(points(6), 0.5, Y + 4), "y"),
        (lambda: mixture()(points(6), 0.5, Y[:2]), "y"),
        (lambda: mixture().sample(0, generator=Rng(0)), "n"),
        (lambda: mixture().sample(2.0, generator=Rng(0)), "n"),
        (lambda: mixture().sample(2, generator=Rng(0), t=2), "t"),
    ],
)
def test_bad_input_is_named(call, argument):
    with pytest.raises(ValueError, match=rf"^{argument}: expected"):
        call()
