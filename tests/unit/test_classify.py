"""The error table, Bayes' rule read off it, and the race, against exact mixtures and by counting."""

import math

import pytest
import torch

from denoising import classify
from denoising.classify import Draws, draws, error_table, n_calls, posterior, prune, scores
from denoising.denoisers import Counted, Denoiser, NetworkDenoiser, add_noise
from denoising.exact import GaussianMixture
from denoising.rng import Rng
from denoising.schedules import EDM, Cosine, Linear

K, D = 3, 4
CLASSES = torch.arange(K)


def mixture(schedule=None, spread=1.5):
    """Three classes of two components each, no two alike."""
    g = Rng(1)
    means = spread * torch.randn((2 * K, D), generator=g, dtype=torch.float64)
    covs = torch.diag_embed(0.1 + 0.9 * torch.rand((2 * K, D), generator=g, dtype=torch.float64))
    weights = torch.tensor([0.1, 0.2, 0.2, 0.1, 0.3, 0.1])
    owner = torch.tensor([0, 0, 1, 1, 2, 2])
    return GaussianMixture(means, covs, weights, classes=owner, schedule=schedule or Linear())


def points(data, n=5):
    return data.sample(n, generator=Rng(2))[0]


class Recorded(Denoiser):
    """Answers with zero and remembers what it was shown."""

    def __init__(self):
        self.schedule, self.seen = Linear(), []

    def __call__(self, x, t, y=None):
        self.seen.append((x.clone(), t.clone(), y.clone()))
        return torch.zeros_like(x)


class Constant(Denoiser):
    """A class-c guess that is off by c in the first pixel, whatever it sees."""

    def __init__(self, target):
        self.schedule, self.target = Linear(), target

    def __call__(self, x, t, y=None):
        return self.target + y[:, None]


@pytest.mark.parametrize("schedule", [Linear(), Cosine(), EDM()], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("batch", [1, 7, 1024])
def test_the_table_is_the_error_of_the_noise(schedule, shared, batch):
    data = mixture(schedule)
    x = points(data)
    some = draws(schedule, x.shape, 6, generator=Rng(0), shared=shared, log_snr=(-8, 8))
    table = error_table(data, x, some, CLASSES, batch=batch)
    absolute = error_table(data, x, some, CLASSES, batch=batch, loss="l1")
    assert table.shape == absolute.shape == (5, K, 6) and table.dtype == torch.float64
    for n in range(6):
        t = some.t[n].expand(5) if shared else some.t[:, n]
        eps = some.eps[n].expand(5, D) if shared else some.eps[:, n]
        for c in range(K):
            off = eps - data.eps(add_noise(schedule, x, t, eps), t, torch.full((5,), c))
            assert torch.allclose(table[:, c, n], off.square().sum(1), rtol=1e-8, atol=1e-9)
            assert torch.allclose(absolute[:, c, n], off.abs().sum(1), rtol=1e-8, atol=1e-9)


def test_classes_see_the_same_noisy_pictures_and_images_do_not():
    mock, x = Recorded(), torch.randn((4, 2, 3), generator=Rng(3))
    some = draws(mock.schedule, x.shape, 5, generator=Rng(0))
    error_table(mock, x, some, torch.tensor([7, 2]), batch=8)
    shown, t, y = (torch.cat([one[i] for one in mock.seen]) for i in range(3))
    assert shown.shape == (40, 2, 3) and shown.dtype == torch.float32 and max(len(one[0]) for one in mock.seen) == 8
    assert torch.equal(shown[0::2], shown[1::2]) and torch.equal(t[0::2], t[1::2])
    assert y[0::2].eq(7).all() and y[1::2].eq(2).all()
    assert len(shown[0::2].flatten(1).unique(dim=0)) == 20


def test_a_constant_advantage_wins_with_one_draw():
    x = torch.zeros((6, 2), dtype=torch.float64)
    some = draws(Linear(), x.shape, 1, generator=Rng(0))
    assert posterior(error_table(Constant(x[:1]), x, some, torch.tensor([2, 0, 1]))).argmax(1).eq(1).all()


def test_labels_come_in_any_order_and_images_in_any_shape():
    data = mixture()
    x = points(data)
    some = draws(data.schedule, x.shape, 4, generator=Rng(0))
    table, order = error_table(data, x, some, CLASSES), torch.tensor([2, 0, 1])
    assert torch.equal(error_table(data, x, some, order), table[:, order])
    tall = Draws(some.t, some.eps.view(5, 4, 2, 2))
    assert torch.equal(error_table(data, x.view(5, 2, 2), tall, CLASSES), table)
    flat = Draws(some.t[0], some.eps)  # one set of times, each image its own noise
    assert torch.equal(error_table(data, x, flat, CLASSES)[0], table[0])


class Captions(Denoiser):
    """A guess that is off by the sum of a caption's tokens in the first pixel."""

    def __init__(self):
        self.schedule, self.seen = Linear(), []

    def __call__(self, x, t, y=None):
        self.seen.append(y)
        off = torch.zeros_like(x)
        off[:, 0] = y.sum(1)
        return off


def test_captions_are_classes_too():
    x, captions = torch.zeros((4, D)), torch.tensor([[3, 1], [1, 1], [0, 5]])
    some = draws(Linear(), x.shape, 2, generator=Rng(0))
    table = error_table(Captions(), x, some, captions, batch=5)
    ratio = Linear().lam(some.t.flatten()).exp().view(4, 2)
    for k, off in enumerate((4.0, 2.0, 5.0)):
        assert torch.allclose(table[:, k], (off * ratio).square(), rtol=1e-6)
    result = classify.classify(Captions(), x, some, captions, [1, 2], [2, 1])
    assert torch.equal(result.prediction, captions[1].expand(4, -1)) and result.calls == 5
    with pytest.raises(ValueError, match="classes: expected int64 token ids"):
        error_table(Captions(), x, some, captions.float())


def test_each_image_may_have_candidates_of_its_own():
    x, captions = torch.zeros((3, D)), torch.arange(12).view(3, 2, 2)
    some = draws(Linear(), x.shape, 2, generator=Rng(0))
    table = error_table(Captions(), x, some, captions, own=True, batch=3)
    for image in range(3):
        one = Draws(some.t[image : image + 1], some.eps[image : image + 1])
        assert torch.equal(table[image : image + 1], error_table(Captions(), x[:1], one, captions[image]))
    data = mixture()
    x = points(data)
    some, labels = draws(data.schedule, x.shape, 3, generator=Rng(0)), torch.arange(10).view(5, 2) % K
    table, whole = error_table(data, x, some, labels, own=True), error_table(data, x, some, CLASSES)
    assert torch.equal(table, whole.gather(1, labels[:, :, None].expand(-1, -1, 3)))
    with pytest.raises(ValueError, match="classes: expected a list for each of 5 images"):
        error_table(data, x, some, CLASSES, own=True)
    with pytest.raises(ValueError, match=r"labels in 0\.\.3"):
        error_table(data, x, some, labels + K, own=True)


def test_the_posterior_is_bayes_rule():
    data = mixture(spread=0.7)
    x = points(data, 60)
    some = draws(data.schedule, x.shape, 2048, generator=Rng(0))
    table = error_table(data, x, some, CLASSES, batch=4096)
    log_prior = torch.tensor([0.3, 0.3, 0.4]).log()  # the summed weights of each class's components
    exact = data.log_posterior(x, 0).exp()
    assert 0.3 < exact.amax(1).mean() < 0.95  # not a foregone conclusion
    mine = posterior(table, log_prior=log_prior)
    assert (mine - exact).abs().sum(1).mean() / 2 < 0.02
    assert torch.allclose(mine.sum(1), torch.ones(60, dtype=torch.float64))
    odds = scores(table, log_prior=log_prior) - scores(table)
    assert torch.allclose(odds, log_prior.double().expand(60, -1))
    truth = data.log_posterior(x, 0)
    slope = (scores(table, log_prior=log_prior) - truth).var(1).sum() / truth.var(1).sum()
    assert slope < 0.01  # the scale of the log-odds is right, not only their order


def test_the_weight_is_half_the_width_of_the_log_snr():
    table = torch.tensor([[[1.0, 3.0], [2.0, 5.0]]])
    assert torch.allclose(scores(table, width=6.0), torch.tensor([[-6.0, -10.5]], dtype=torch.float64))
    assert torch.allclose(scores(table), torch.tensor([[-20.0, -35.0]], dtype=torch.float64))
    odds = posterior(table, width=6.0)
    assert math.isclose(float((odds[0, 0] / odds[0, 1]).log()), 4.5)


def test_times_cover_the_log_snr_evenly_with_a_random_offset():
    some = draws(Linear(), (500, 2), 16, generator=Rng(0), log_snr=(-6, 10))
    log_snr = 2 * Linear().lam(some.t.flatten()).view(500, 16)
    assert some.t.shape == (500, 16) and some.eps.shape == (500, 16, 2) and some.eps.dtype == torch.float64
    for prefix in (1, 2, 4, 16):  # every prefix is a stratified sample
        cell = ((log_snr[:, :prefix] + 6) / 16 * prefix).sort(1).values
        assert prefix == 1 or (cell.diff(dim=1) - 1).abs().max() < 1e-6
        assert abs(float(cell[:, 0].mean()) - 0.5) < 0.07  # uniform in its cell
    assert abs(float(some.eps.mean())) < 0.03 and abs(float(some.eps.std()) - 1) < 0.03
    assert log_snr.min() > -6.0001 and log_snr.max() < 10.0001


def test_the_grid_in_t_is_the_papers():
    some = draws(Linear(), (2, 3), 50, generator=Rng(0), weighting="t")
    rows = (some.t * 1000 - 1).round().long()
    assert rows.sort().values.tolist() == list(range(10, 1000, 20))  # T // (2 N), T // N
    first = rows[:8].sort().values.diff()
    assert first.max() - first.min() <= 20 and rows[:8].min() > 10  # a prefix is spread, and not at the lower end
    assert draws(Linear(), (2, 3), 1, generator=Rng(0), weighting="t").t.tolist() == [0.501]
    assert sorted(draws(Linear(), (1, 1), 4, generator=Rng(0), weighting="t", T=4).t.tolist()) == [0.25, 0.5, 0.75, 1]


def test_shared_draws_have_no_batch_and_others_differ_between_images():
    one = draws(Linear(), (3, 2), 4, generator=Rng(0), shared=True)
    many = draws(Linear(), (3, 2), 4, generator=Rng(0))
    assert one.t.shape == (4,) and one.eps.shape == (4, 2) and len(one) == len(many) == 4
    assert not torch.equal(many.eps[0], many.eps[1]) and not torch.equal(many.t[0], many.t[1])
    again = draws(Linear(), (3, 2), 4, generator=Rng(0))
    assert torch.equal(many.eps, again.eps) and torch.equal(many.t, again.t)


def test_calls_of_a_schedule():
    assert n_calls(1000, (50, 100, 500, 1000), (500, 50, 10, 1)) == 100_000
    assert n_calls(10, [7], [1]) == 70
    assert n_calls(20, (8, 32, 128), (8, 3, 1)) == 20 * 8 + 8 * 24 + 3 * 96


def test_a_race_drops_who_is_behind_and_does_not_look_back():
    table = torch.tensor([
        [[1.0, 9, 9, 1], [2, 2, 2, 2], [3, 0, 0, 0]],  # class 2 would win at the end, but is out after one draw
        [[3.0, 3, 3, 3], [1, 1, 1, 1], [2, 2, 2, 2]],
    ])  # fmt: skip
    winner, calls = prune(table, (1, 4), (2, 1))
    assert winner.tolist() == [1, 1] and calls == 3 + 2 * 3
    assert prune(table, [4], [1])[0].tolist() == [2, 1]
    assert prune(torch.zeros(2, 3, 4), (2, 4), (2, 1))[0].tolist() == [0, 0]  # ties: the first


@pytest.mark.parametrize(("stages", "keep"), [((2, 5, 8), (3, 2, 1)), ((3, 8), (2, 1)), ((8,), (1,))])
@pytest.mark.parametrize("loss", ["l1", "l2"])
def test_the_real_race_asks_only_survivors(stages, keep, loss):
    data, labels = mixture(), torch.tensor([2, 0, 1])
    x, counted = points(data, 20), Counted(data)
    some = draws(data.schedule, x.shape, 8, generator=Rng(4))
    table = error_table(data, x, some, labels, loss=loss)
    found = classify.classify(counted, x, some, labels, stages, keep, batch=16, loss=loss)
    winner, calls = prune(table, stages, keep)
    assert torch.equal(found.prediction, labels[winner]) and found.calls == calls == n_calls(K, stages, keep)
    assert counted.items == 20 * calls
    made = ~found.table.isnan()
    assert torch.allclose(found.table[made], table[made])
    assert made.sum() == 20 * calls and made[:, :, : stages[0]].all()
    for stop, k in zip(stages[1:], keep, strict=False):  # each survivor saw every draw of its stage
        assert made[:, :, :stop].all(2).sum(1).eq(k).all()


def test_a_survivor_that_is_dropped_stays_dropped():
    data = mixture()
    x = points(data, 30)
    some = draws(data.schedule, x.shape, 8, generator=Rng(5))
    made = ~classify.classify(data, x, some, CLASSES, (1, 3, 8), (3, 2, 1)).table.isnan()
    assert (made.long().diff(dim=2) <= 0).all()


def test_null_label_is_a_class_too():
    data = mixture()
    x = points(data)
    some = draws(data.schedule, x.shape, 4, generator=Rng(0))
    table = error_table(data, x, some, torch.tensor([K, K]))
    assert torch.equal(table[:, 0], table[:, 1])


def test_tables_cost_their_network_calls():
    """The rows sent are B K N, whole batches but for the last: nothing is asked twice."""
    counted, x = Counted(mixture()), points(mixture(), 10)
    error_table(counted, x, draws(counted.schedule, x.shape, 8, generator=Rng(0)), CLASSES, batch=30)
    assert counted.items == 10 * 8 * K and counted.calls == 8


def test_networks_in_float32_give_float64_tables():
    net = NetworkDenoiser(lambda x, t, y: 0.5 * x + y[:, None], Cosine(), predicts="x0", num_classes=3)
    x = torch.zeros((2, D))
    some = draws(net.schedule, x.shape, 3, generator=Rng(0), log_snr=(-8, 8))
    table = error_table(net, x, some, CLASSES)
    assert table.dtype == torch.float64 and not table.requires_grad and torch.isfinite(table).all()


@pytest.mark.parametrize(
    ("labels", "cause"),
    [
        (torch.zeros(0, dtype=torch.int64), "classes: expected at least one label"),
        ([0, 1], r"classes: .*got \[0, 1\]"),
        (torch.tensor(1), "classes: .*shape"),
        (torch.tensor([0, K + 1]), r"labels in 0\.\.3, got 0\.\.4"),
        (torch.tensor([-1, 0]), r"got -1\.\.0"),
        (torch.tensor([0.0, 1.0]), "int64"),
    ],
)
def test_bad_labels_are_named(labels, cause):
    data = mixture()
    x = points(data)
    some = draws(data.schedule, x.shape, 4, generator=Rng(0))
    with pytest.raises(ValueError, match=cause):
        error_table(data, x, some, labels)
    with pytest.raises(ValueError, match=cause):
        classify.classify(data, x, some, labels, [4], [1])


@pytest.mark.parametrize(
    ("stages", "keep", "cause"),
    [
        ((2, 4), (4, 1), "keep: expected at most the 3 classes there are"),
        ((2, 2), (2, 1), "stages: expected rising"),
        ((4, 2), (2, 1), "stages: expected rising"),
        ((0, 2), (2, 1), "stages: expected rising"),
        ((2, 4), (2, 2), "keep: expected numbers of classes that fall to 1"),
        ((2, 4), (3, 2), "keep: expected numbers of classes that fall to 1"),
        ((2, 4), (1, 2), "keep: expected numbers of classes that fall to 1"),
        ((2, 3, 4), (2, 2, 1), "keep: expected numbers of classes that fall to 1"),
        ((2, 4), (1,), "one number each"),
        ((), (), "one number each"),
        ((2, 9), (2, 1), "stages: expected at most the 4 draws there are"),
    ],
)
def test_bad_schedules_are_named(stages, keep, cause):
    data = mixture()
    x = points(data)
    some = draws(data.schedule, x.shape, 4, generator=Rng(0))
    with pytest.raises(ValueError, match=cause):
        prune(torch.zeros(5, K, 4), stages, keep)
    with pytest.raises(ValueError, match=cause):
        classify.classify(Counted(data), x, some, CLASSES, stages, keep)


@pytest.mark.parametrize(
    ("call", "cause"),
    [
        (lambda: draws(Linear(), (5,), 4, generator=Rng(0)), "shape: expected"),
        (lambda: draws(Linear(), (5, 0), 4, generator=Rng(0)), "shape: expected"),
        (lambda: draws(Linear(), (5, 2), 0, generator=Rng(0)), "n: expected"),
        (lambda: draws(Linear(), (5, 2), 4, generator=Rng(0), weighting="lam"), "weighting: expected one of snr, t"),
        (lambda: draws(Linear(), (5, 2), 4, generator=Rng(0), log_snr=(3, 3)), "log_snr: expected"),
        (lambda: draws(Linear(), (5, 2), 4, generator=Rng(0), log_snr=(-30, 3)), "lam: expected at least"),
        (lambda: draws(Linear(), (5, 2), 9, generator=Rng(0), weighting="t", T=8), "T: expected .* at least 9"),
        (lambda: scores(torch.zeros(2, 3)), "table: expected 3 dimensions"),
        (lambda: scores(torch.full((2, 3, 4), torch.nan)), "table: expected finite"),
        (lambda: scores(torch.zeros(2, 3, 4), width=0.0), "width: expected"),
        (lambda: scores(torch.zeros(2, 3, 4), log_prior=torch.zeros(2)), r"log_prior: expected \(3,\)"),
        (lambda: prune(torch.zeros(3, 4), [4], [1]), "table: expected 3 dimensions"),
        (lambda: n_calls(0, [4], [1]), "classes: expected a whole number"),
    ],
)
def test_bad_arguments_are_named(call, cause):
    with pytest.raises(ValueError, match=cause):
        call()


def test_bad_draws_and_pictures_are_named():
    data = mixture()
    x = points(data)
    some = draws(data.schedule, x.shape, 4, generator=Rng(0))
    for bad in (Draws(some.t[:3], some.eps), Draws(some.t, some.eps[..., :2]), Draws(some.t[0], some.eps[:, :3])):
        with pytest.raises(ValueError, match="draws: expected t"):
            error_table(data, x, bad, CLASSES)
    with pytest.raises(ValueError, match="times in"):
        error_table(data, x, Draws(0 * some.t, some.eps), CLASSES)
    with pytest.raises(ValueError, match="x: expected a floating-point"):
        error_table(data, x.long(), some, CLASSES)
    with pytest.raises(ValueError, match="loss: expected one of l1, l2"):
        error_table(data, x, some, CLASSES, loss="huber")
    with pytest.raises(ValueError, match="batch: expected"):
        error_table(data, x, some, CLASSES, batch=0)
