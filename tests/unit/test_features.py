"""Features of frozen networks: right block, right noise, nothing left behind."""

import pytest
import torch
import torch.nn.functional as F

from denoising import features, zoo
from denoising.denoisers import NetworkDenoiser, add_noise
from denoising.networks.unet import UNet
from denoising.rng import Rng


@pytest.fixture
def small():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = UNet(sample_size=16, channels=(8, 16), attention=(False, True), fold=2, emb=16, num_classes=3).eval()
        for weight in net.parameters():
            torch.nn.init.normal_(weight, std=0.1)
    return NetworkDenoiser(net, zoo.SCHEDULE, num_classes=3)


X = torch.randn((5, 1, 16, 16), generator=Rng(1))


def take(denoiser, block="mid", **options):
    options = {"pool": 2, "generator": Rng(2), "t": 0.3} | options
    blocks = features.unet_blocks(denoiser.net)
    return features.extract(denoiser, X, blocks={block: blocks[block]}, **options)[block]


def test_the_blocks_in_the_order_of_the_picture(small):
    blocks = features.unet_blocks(small.net)
    assert list(blocks) == ["entry", "down.0", "down.1", "mid", "up.0", "up.1", "up.2", "up.3", "out"]
    got = features.extract(small, X, 0.3, blocks, pool=None, generator=Rng(0))
    sizes = [tuple(value.shape[1:]) for value in got.values()]
    assert sizes == [(8, 8, 8)] * 2 + [(16, 4, 4)] * 4 + [(8, 8, 8)] * 2 + [(4, 8, 8)]
    with pytest.raises(ValueError, match="expected a UNet, got a Linear"):
        features.unet_blocks(torch.nn.Linear(1, 1))


def test_the_features_are_those_of_one_call_on_the_noisy_picture(small):
    noisy = add_noise(small.schedule, X, 0.3, torch.randn(X.shape, generator=Rng(2)))
    e = small.net.cond(torch.full((5,), 299.0), torch.full((5,), 3))
    with torch.no_grad():
        h, skips = small.net.encode(noisy, e)
        middle = small.net.middle(h, e)
        out = F.pixel_unshuffle(small.net.decode(middle, skips, e), 2)
    assert torch.allclose(take(small, pool=None), middle, atol=1e-5)
    assert torch.allclose(take(small, "out", pool=None), out, atol=1e-5)
    assert torch.allclose(take(small), F.avg_pool2d(middle, 2).flatten(1), atol=1e-5)


def test_pooling_means_over_equal_cells(small):
    whole = take(small, pool=None)
    assert torch.allclose(take(small, pool=1), whole.mean((2, 3)), atol=1e-6)
    assert torch.equal(take(small, pool=4), whole.flatten(1))
    two = take(small, pool=2).view(5, 16, 2, 2)
    assert torch.allclose(two[:, :, 0, 1], whole[:, :, :2, 2:].mean((2, 3)), atol=1e-6)


def test_the_generator_decides_and_the_batch_does_not(small):
    assert torch.equal(take(small), take(small)) and not torch.allclose(take(small), take(small, generator=Rng(3)))
    assert torch.allclose(take(small), take(small, batch=2), atol=1e-5)


def test_labels_told_times_and_clean_pictures_are_passed_on(small):
    base = take(small)
    assert torch.allclose(take(small, y=torch.full((5,), 3), batch=2), base, atol=1e-5)
    assert torch.allclose(take(small, told=0.3), base)
    clean = take(small, noisy=False)
    assert torch.equal(clean, take(small, noisy=False, generator=Rng(9)))
    for other in (take(small, y=torch.tensor([0, 1, 2, 0, 1]), batch=2), take(small, told=0.9), clean):
        assert not torch.allclose(other, base, atol=1e-3)
    assert torch.allclose(take(small, t=0.5, told=0.3, noisy=False), clean)


def test_nothing_is_left_behind(small):
    before = {key: value.clone() for key, value in small.net.state_dict().items()}
    assert not take(small).requires_grad
    assert all(torch.equal(value, before[key]) for key, value in small.net.state_dict().items())
    assert not any(module._forward_hooks for module in small.net.modules()) and not small.net.training
    with pytest.raises(RuntimeError, match="stop"), features.maps({"net": small.net}):
        raise RuntimeError("stop")
    assert not small.net._forward_hooks


def test_random_weights_keep_the_structure_and_the_way_of_asking(small):
    other = features.with_random_weights(small, Rng(4))
    assert torch.equal(take(other), take(features.with_random_weights(small, Rng(4))))
    assert not torch.allclose(take(other), take(small), atol=1e-2) and take(other).shape == take(small).shape
    assert not torch.allclose(take(other), take(features.with_random_weights(small, Rng(5))), atol=1e-2)
    assert (other.predicts, other.num_classes, other.schedule) == (small.predicts, small.num_classes, small.schedule)
    assert float(other.net.mid[0].conv2.weight.std()) > 0.05 and float(other.net.mid[0].conv2.bias.abs().max()) == 0


def test_a_probe_standardises_and_counts_what_is_right():
    y = torch.arange(60) % 3
    x = torch.nn.functional.one_hot(y, 3).float() * torch.tensor([1e-4, 1.0, 1e4]) + torch.tensor([0.0, 50.0, 0.0])
    assert features.probe(x[:30], y[:30], x[30:], y[30:]) == 1.0
    assert features.probe(x[:30], y[:30], x[30:], (y[30:] + 1) % 3) == 0.0


def test_an_attention_head_finds_the_cell_that_tells():
    y = torch.arange(240) % 2
    x = torch.randn((240, 4, 3, 3), generator=Rng(5))
    x[:, 0, 2, 1] = 12.0 * y - 6
    got = features.attend(x[:160], y[:160], x[160:], generator=Rng(6), steps=200, batch=40)
    assert got.shape == (80,) and float((got == y[160:]).float().mean()) > 0.9
    assert torch.equal(got, features.attend(x[:160], y[:160], x[160:], generator=Rng(6), steps=200, batch=40))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"t": 0.0}, "^t: "), ({"pool": 0}, "^pool: "), ({"batch": 0}, "^batch: ")],
)
def test_bad_arguments_are_named(small, options, message):
    with pytest.raises(ValueError, match=message):
        take(small, **options)


def test_a_block_of_another_network_is_named(small):
    with pytest.raises(ValueError, match="'x' is not part of the network"):
        features.extract(small, X, 0.3, {"x": torch.nn.Identity()}, pool=1, generator=Rng(0))
    with pytest.raises(ValueError, match=r"^blocks: expected at least one"):
        features.extract(small, X, 0.3, {}, pool=1, generator=Rng(0))
