"""The networks of the scenes: objectives against their formulas, the judge, the acceptance table."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from denoising import scenes, zoo
from denoising.denoisers import CaptionDenoiser, add_noise
from denoising.networks.text_unet import TextUNet
from denoising.rng import Rng
from denoising.schedules import Cosine
from denoising.training import stratified_times
from denoising.zoo import scene_nets


class Zero(nn.Module):
    """Answers 0 and remembers what it was asked."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x, timestep, captions):
        self.seen = x, timestep, captions
        return 0 * x + self.weight


def test_the_loss_of_captions_is_the_weighted_error_of_x0():
    net, batch, step = Zero(), 16, 3
    got = scene_nets.captions_loss(Cosine(), batch=batch, seed=5)(net, step)
    rng = Rng(5).spawn("noise", step)
    x0, y = scenes.batch("train", range(48, 64), generator=rng)
    t = stratified_times(batch, rng).sqrt()
    x = add_noise(Cosine(), x0, t, torch.randn(x0.shape, generator=rng))
    assert torch.equal(net.seen[0], x) and torch.equal(net.seen[2], y)
    assert torch.allclose(net.seen[1].double(), 1000 * t - 1, atol=1e-3)
    alpha, sigma = (value.float().view(-1, 1, 1, 1) for value in Cosine().alpha_sigma(t))
    guess = alpha * x  # of x_0, where v is 0
    weight = 1 + (alpha / sigma).square()
    assert got.item() == pytest.approx((weight * (guess - x0).square()).mean().item(), rel=1e-4)


def test_shares_of_a_batch_of_captions_average_to_the_whole():
    loss, net = scene_nets.captions_loss(Cosine(), batch=8, seed=0), Zero()
    parts = [loss(net, 2, rank=rank, world=2).item() for rank in (0, 1)]
    assert sum(parts) / 2 == pytest.approx(loss(net, 2).item(), rel=1e-5)


def test_no_scene_comes_twice_and_a_tenth_of_the_captions_is_null():
    net, nulls, pictures = Zero(), 0, set()
    loss = scene_nets.captions_loss(Cosine(), batch=50, seed=0)
    for step in range(20):
        loss(net, step)
        nulls += int((net.seen[2] == scenes.null_caption()).all(1).sum())
    assert 70 < nulls < 130  # of 1000, 3 standard deviations
    for step in range(2):
        pictures |= {str(scenes.batch("train", [index])[0].sum().item()) for index in range(step * 50, step * 50 + 50)}
    assert len(pictures) > 95


def test_objects_are_put_in_an_order_that_a_picture_shows():
    for index in range(40):
        things = scenes.scene("val", index).objects
        assert scene_nets.in_order(things) == scene_nets.in_order(things[::-1])
    rows = scene_nets.true_attributes("val", range(60))
    for index, row in enumerate(rows):
        one = scenes.scene("val", index)
        assert row[0] == len(one.objects) and row[8] == one.attributes[8]
        swapped = len(one.objects) == 2 and scene_nets.in_order(one.objects) != list(one.objects)
        want = one.attributes[[0, 4, 5, 6, 1, 2, 3, 7, 8]] if swapped else one.attributes
        assert torch.equal(row[:7], want[:7])
        if swapped:
            inverse = {"left_of": "right_of", "right_of": "left_of", "above": "below", "below": "above"}
            assert scenes.RELATIONS[row[7]] == inverse[one.relation]
        else:
            assert row[7] == one.attributes[7]


def test_the_loss_of_the_judge_asks_every_attribute_that_is_there():
    class Logits(nn.Module):
        def __init__(self):
            super().__init__()
            self.value = nn.Parameter(torch.linspace(-1, 1, sum(scene_nets.HEADS)))

        def forward(self, x):
            return self.value.expand(len(x), -1)

    net = Logits()
    got = scene_nets.attributes_loss(batch=32, seed=0)(net, 0)
    true = scene_nets.true_attributes("train", range(32))
    want, start = 0.0, 0
    for column, width in enumerate(scene_nets.HEADS):
        rows = true[:, column] - int(column == 0)
        kept = rows[rows >= 0]
        logits = net.value[start : start + width].expand(len(kept), -1)
        want, start = want + F.cross_entropy(logits, kept).item(), start + width
    assert got.item() == pytest.approx(want, rel=1e-5)
    with pytest.raises(ValueError, match="world: expected 1 process"):
        scene_nets.attributes_loss(batch=4, seed=0)(net, 0, rank=0, world=2)


def test_acceptance_is_the_mean_over_seeds_within_the_bounds():
    good = {key: [low, high] for key, (low, high) in scene_nets.ACCEPTANCE.items()}
    assert scene_nets.accepted(good)
    for key, (low, high) in scene_nets.ACCEPTANCE.items():
        inside, worse = (low, low - 0.02) if high == 1.0 else (high, high + 0.02)
        assert not scene_nets.accepted(good | {key: [inside, worse]}), key  # one good seed does not make up for it


def test_a_denoiser_that_is_told_captions():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = TextUNet(sample_size=8, channels=(8, 16), emb=16, heads=2, width=8).eval()
        for value in net.parameters():
            nn.init.normal_(value, std=0.3)
    model, x = CaptionDenoiser(net, zoo.SCHEDULE), torch.randn((2, 3, 8, 8), generator=Rng(0))
    words = torch.stack([scenes.encode("a red circle"), scenes.encode("a blue star above a ring")])
    with torch.no_grad():
        told, untold = model(x, 0.5, words), model(x, 0.5)
        null = model(x, 0.5, scenes.null_caption().expand(2, -1))
        alone = model(x[1:], 0.5, words[1:])
        vectors = model(x[1:], 0.5, net.text.table(words[1:, :6]))
    alpha, sigma = (value.float() for value in zoo.SCHEDULE.alpha_sigma(0.5))
    with torch.no_grad():
        assert torch.allclose(told, alpha * x - sigma * net(x, 499.0, words).sample, atol=1e-5)
    assert (told - untold).abs().max() > 1e-3 and torch.allclose(untold, null, atol=1e-5)
    assert torch.allclose(told[1:], alone, atol=1e-5) and torch.allclose(alone, vectors, atol=1e-5)
    with pytest.raises(ValueError, match="y: expected a caption for each of 2 items, got 1"):
        model(x, 0.5, words[:1])
    with pytest.raises(ValueError, match=r"captions: expected ids in 0\.\.63"):
        model(x, 0.5, words + 60)
