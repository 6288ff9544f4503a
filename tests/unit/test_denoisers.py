"""The contract of a denoiser and every conversion, in float64."""

import pytest
import torch
from torch import nn

from denoising.denoisers import PREDICTIONS, Counted, Denoiser, NetworkDenoiser, add_noise, from_x0, to_x0
from denoising.exact import GaussianMixture
from denoising.schedules import EDM, Cosine

SCHEDULES = [Cosine(), EDM()]
X = torch.randn((5, 3, 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
X0 = torch.randn((5, 3, 2), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
T = torch.tensor([0.05, 0.3, 0.5, 0.8, 1.0], dtype=torch.float64)


def name(schedule):
    return type(schedule).__name__


def far(a, b):
    return float((a - b).detach().abs().max())


class Returns(Denoiser):
    """Answers with a fixed x_0."""

    def __init__(self, x0, schedule):
        self.x0, self.schedule = x0, schedule

    def __call__(self, x, t, y=None):
        return self.x0


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
@pytest.mark.parametrize("kind", PREDICTIONS)
def test_conversions_round_trip(schedule, kind):
    alpha, sigma = (scale.view(-1, 1, 1) for scale in schedule.alpha_sigma(T))
    value = from_x0(kind, X0, X, alpha, sigma)
    assert far(to_x0(kind, value, X, alpha, sigma), X0) < 1e-9  # sigma reaches 80
    assert far(from_x0(kind, to_x0(kind, X0, X, alpha, sigma), X, alpha, sigma), X0) < 1e-9


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
def test_each_prediction_is_what_its_name_says(schedule):
    eps = X
    x = add_noise(schedule, X0, T, eps)
    alpha, sigma = (scale.view(-1, 1, 1) for scale in schedule.alpha_sigma(T))
    assert torch.equal(x, alpha * X0 + sigma * eps)
    guess = Returns(X0, schedule)
    assert far(guess.eps(x, T), eps) < 1e-9
    assert far(guess.v(x, T), alpha * eps - sigma * X0) < 1e-9
    assert far(guess.score(x, T) * sigma, -eps) < 1e-9


def test_x0_is_alpha_x_minus_sigma_v_where_variance_is_preserved():
    alpha, sigma = Cosine().alpha_sigma(0.3)
    assert far(to_x0("v", X, X0, alpha, sigma), alpha * X0 - sigma * X) < 1e-14


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
def test_the_score_is_the_gradient_of_the_exact_log_density(schedule):
    mixture = GaussianMixture(
        torch.tensor([[-2.0, 0.0], [1.0, 1.0]], dtype=torch.float64),
        torch.tensor([[[0.3, 0.1], [0.1, 0.2]], [[1.0, 0.0], [0.0, 0.05]]], dtype=torch.float64),
        torch.tensor([0.3, 0.7], dtype=torch.float64),
        schedule=schedule,
    )
    x = torch.randn((5, 2), generator=torch.Generator().manual_seed(2), dtype=torch.float64).requires_grad_()
    for y in (None, torch.tensor([0, 1, 2, 0, 1])):
        (gradient,) = torch.autograd.grad(mixture.logp(x, T, y).sum(), x)
        assert far(mixture.score(x, T, y), gradient) < 1e-10


def test_a_time_for_the_batch_equals_a_time_for_each_item():
    assert torch.equal(
        add_noise(Cosine(), X0, 0.3, X), add_noise(Cosine(), X0, torch.full((5,), 0.3, dtype=torch.float64), X)
    )


class Records(nn.Module):
    """A float32 network that remembers what it was called with and predicts a constant."""

    def __init__(self, answer=0.25, fields=False):
        super().__init__()
        self.weight = nn.Parameter(torch.full((), answer))
        self.fields = fields

    def forward(self, x, timestep, labels):
        self.seen = x, timestep, labels
        out = self.weight * torch.ones_like(x)
        return type("Out", (), {"sample": out})() if self.fields else out


@pytest.mark.parametrize("fields", [False, True])
@pytest.mark.parametrize("kind", PREDICTIONS)
def test_a_network_is_wrapped(kind, fields):
    net = Records(fields=fields)
    denoiser = NetworkDenoiser(net, Cosine(), predicts=kind, num_classes=10)
    got = denoiser(X, T, torch.tensor([0, 1, 2, 10, 9]))
    alpha, sigma = (scale.view(-1, 1, 1) for scale in Cosine().alpha_sigma(T))
    assert far(got, to_x0(kind, torch.full_like(X, 0.25), X, alpha, sigma)) < 1e-12
    x, timestep, labels = net.seen
    assert x.dtype == timestep.dtype == torch.float32 and got.dtype == torch.float64
    assert torch.allclose(timestep, torch.tensor([49.0, 299.0, 499.0, 799.0, 999.0]))  # row i is t = (i + 1) / T
    assert labels.tolist() == [0, 1, 2, 10, 9]


def test_no_label_means_the_null_label():
    net = Records()
    NetworkDenoiser(net, Cosine(), num_classes=10, num_timesteps=50)(X, 0.5)
    _, timestep, labels = net.seen
    assert labels.tolist() == [10] * 5 and labels.dtype == torch.int64
    assert timestep.tolist() == [24.0] * 5
    NetworkDenoiser(net, Cosine())(X, 0.5)
    assert net.seen[2] is None


def test_a_function_is_wrapped_too():
    denoiser = NetworkDenoiser(lambda x, timestep, labels: 0 * x, Cosine(), predicts="x0")
    assert torch.equal(denoiser(X, 0.5), torch.zeros_like(X))


def test_counting_changes_no_answer_and_counts_calls_and_rows():
    inner = NetworkDenoiser(Records(), EDM(), num_classes=10)
    counted = Counted(inner)
    assert counted.schedule is inner.schedule and isinstance(counted, Denoiser)
    assert (counted.calls, counted.items) == (0, 0)
    y = torch.tensor([0, 1, 2, 10, 9])
    assert torch.equal(counted(X, T, y), inner(X, T, y)) and inner.net.seen[2].tolist() == y.tolist()
    assert torch.equal(counted.v(X[:2], 0.5), inner.v(X[:2], 0.5))
    assert (counted.calls, counted.items) == (2, 7)
    with pytest.raises(ValueError, match=r"^y: expected"):
        counted(X, T, y + 1)


def nan():
    return torch.full_like(X, float("nan"))


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda d: d(nan(), 0.5), "x"),
        (lambda d: d(X.long(), 0.5), "x"),
        (lambda d: d([1.0], 0.5), "x"),
        (lambda d: d(torch.tensor(1.0), 0.5), "x"),
        (lambda d: d(X, 0.0), "t"),
        (lambda d: d(X, 1.01), "t"),
        (lambda d: d(X, float("nan")), "t"),
        (lambda d: d(X, "half"), "t"),
        (lambda d: d(X, None), "t"),
        (lambda d: d(X, T[:4]), "t"),
        (lambda d: d(X, T[:, None]), "t"),
        (lambda d: d(X, 0.5, torch.zeros(5)), "y"),
        (lambda d: d(X, 0.5, torch.zeros(4, dtype=torch.int64)), "y"),
        (lambda d: d(X, 0.5, torch.full((5,), 11)), "y"),
        (lambda d: d(X, 0.5, torch.full((5,), -1)), "y"),
        (lambda d: d(X, 0.5, 3), "y"),
        (lambda d: d.eps(nan(), 0.5), "x"),
        (lambda d: NetworkDenoiser(Records(), Cosine())(X, 0.5, torch.zeros(5, dtype=torch.int64)), "y"),
        (lambda d: NetworkDenoiser(lambda x, t, y: x[..., :1], Cosine())(X, 0.5), "net"),
        (lambda d: NetworkDenoiser(Records(), Cosine(), predicts="noise"), "predicts"),
        (lambda d: NetworkDenoiser(Records(), Cosine(), num_timesteps=0), "num_timesteps"),
        (lambda d: NetworkDenoiser(Records(), Cosine(), num_classes=-1), "num_classes"),
        (lambda d: add_noise(Cosine(), nan(), 0.5, X), "x0"),
        (lambda d: add_noise(Cosine(), X0, 0.5, X[:4]), "eps"),
        (lambda d: add_noise(Cosine(), X0, 0.5, nan()), "eps"),
        (lambda d: add_noise(Cosine(), X0, 0.5, 1.0), "eps"),
        (lambda d: add_noise(Cosine(), X0, T[:2], X), "t"),
        (lambda d: to_x0("noise", X, X, torch.ones(()), torch.ones(())), "kind"),
        (lambda d: from_x0(None, X, X, torch.ones(()), torch.ones(())), "kind"),
    ],
)
def test_bad_input_is_named(call, argument):
    with pytest.raises(ValueError, match=rf"^{argument}: (expected|this network)"):
        call(NetworkDenoiser(Records(), Cosine(), num_classes=10))
