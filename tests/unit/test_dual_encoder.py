"""The dual encoder and its loss: shapes, unit vectors, order of words, padding, files, errors."""

import json
import math

import pytest
import torch

from denoising import scenes
from denoising.networks.dual_encoder import DualEncoder
from denoising.rng import Rng
from denoising.zoo import contrast


def build(**options):
    small = {"sample_size": 16, "channels": (8, 8, 16), "hidden": 12, "dim": 10, "width": 8, "heads": 2}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DualEncoder(**(small | options)).eval()


X = torch.randn((3, 3, 16, 16), generator=Rng(0))
WORDS = torch.stack([scenes.encode(text) for text in ("a red circle", "a star above a ring on dark", "a blue shape")])


def swapped():
    other = WORDS.clone()
    other[1, [1, 4]] = WORDS[1, [4, 1]]  # a ring above a star
    return other


@torch.no_grad()
def test_size_shapes_and_unit_vectors():
    net = build(sample_size=32, channels=(32, 64, 112), hidden=96, dim=64, width=64, heads=4)
    assert 4e5 < sum(value.numel() for value in net.parameters()) < 6e5
    assert dict(DualEncoder().config) == dict(net.config) | {
        "_use_default_values": DualEncoder().config["_use_default_values"]
    }
    x = torch.randn((2, 3, 32, 32), generator=Rng(1))
    pictures, texts = net.encode_images(x), net.encode_texts(WORDS)
    assert pictures.shape == (2, 64) and texts.shape == (3, 64)
    for vectors in (pictures, texts):
        assert torch.allclose(vectors.norm(dim=1), torch.ones(len(vectors)), atol=1e-5)
    assert torch.allclose(net(x, WORDS), pictures @ texts.T / 0.07, atol=1e-4)


@torch.no_grad()
def test_the_scale_is_learned_up_to_a_limit():
    net = build()
    net.log_scale.fill_(9.0)
    assert torch.allclose(net(X, WORDS), 100 * net.encode_images(X) @ net.encode_texts(WORDS).T, atol=1e-3)


@torch.no_grad()
def test_the_order_of_words_matters_unless_it_is_a_bag():
    ordered, bag = build(), build(ordered=False)
    assert (ordered.encode_texts(WORDS) - ordered.encode_texts(swapped()))[1].abs().max() > 1e-4
    for seed in range(5):  # any order of all words
        order = torch.randperm(12, generator=Rng(seed))
        assert torch.equal(bag.encode_texts(WORDS[:, order]), bag.encode_texts(WORDS))
    assert (bag.encode_texts(WORDS[:1]) - bag.encode_texts(WORDS[2:])).abs().max() > 1e-4  # other words are another bag
    assert "text.positions" in ordered.state_dict() and "text.positions" not in bag.state_dict()


@torch.no_grad()
def test_places_matter():
    net = build()
    x = torch.full((2, 3, 16, 16), -1.0)
    x[0, :, 4:8, 0:4], x[1, :, 4:8, 12:16] = 1, 1
    left, right = net.encode_images(x)
    assert (left - right).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("ordered", [True, False])
def test_padding_is_invisible(ordered):
    net = build(ordered=ordered)
    assert torch.allclose(net.encode_texts(WORDS[:, :8]), net.encode_texts(WORDS), atol=1e-5)
    one = torch.cat([net.encode_texts(row[None]) for row in WORDS])
    assert torch.allclose(one, net.encode_texts(WORDS), atol=1e-5)


@pytest.mark.parametrize("ordered", [True, False])
def test_every_parameter_learns(ordered):
    net = build(ordered=ordered).train()
    contrast.info_nce(net(X, WORDS)).backward()
    idle = {name for name, value in net.named_parameters() if value.grad is None or not value.grad.abs().max() > 0}
    assert idle == set()


def test_files_bring_the_same_network_back(tmp_path):
    net = build(ordered=False)
    net.save_pretrained(tmp_path)
    again = DualEncoder.from_pretrained(tmp_path, local_files_only=True)
    ours = [json.dumps({k: one.config[k] for k in one.config if k[0] != "_"}, sort_keys=True) for one in (net, again)]
    assert ours[0] == ours[1] and not again.config.ordered
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True))


def test_info_nce_in_closed_form():
    sure = 50.0 * torch.eye(4)
    assert contrast.info_nce(sure) < 1e-6
    assert math.isclose(contrast.info_nce(torch.zeros(8, 8)), math.log(8), rel_tol=1e-6)
    assert contrast.info_nce(sure.roll(1, 0)) > 40
    uneven = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    rows, columns = ((math.log(1 + math.exp(a)) + math.log(1 + math.exp(b))) / 2 for a, b in ((1, 0), (-1, 2)))
    assert math.isclose(contrast.info_nce(uneven), (rows + columns) / 2, rel_tol=1e-6)


def test_the_loss_is_a_function_of_the_step(monkeypatch):
    net = build(sample_size=32)
    loss, other = contrast.contrast_loss(batch=6, seed=0), contrast.contrast_loss(batch=6, seed=1)
    assert torch.equal(loss(net, 3), loss(net, 3)) and not torch.equal(loss(net, 3), loss(net, 4))
    assert not torch.equal(loss(net, 3), other(net, 3))  # other words are dropped
    real, asked = scenes.batch, []
    monkeypatch.setattr(
        scenes, "batch", lambda split, some, **how: asked.append((split, [*some])) or real(split, some, **how)
    )
    loss(net, 3)
    assert asked == [("train", [18, 19, 20, 21, 22, 23])]  # no scene comes twice
    with pytest.raises(ValueError, match=r"^world: expected 1 process"):
        loss(net, 0, world=2)


def test_a_network_of_chance_is_measured_as_chance():
    net = build(sample_size=32)
    net.log_scale.data.fill_(-20.0)
    card = contrast.evaluate(net, n=60, batch=20)
    assert card["n"] == 60 and abs(card["info_nce_on_test"] - math.log(20)) < 1e-3
    assert card["right_caption_of_100"] < 0.25


def test_partners_have_the_same_words_and_are_told_apart_by_their_order_alone():
    x, captions = contrast.partners(0, 20)
    assert x.shape == (40, 3, 32, 32) and torch.equal(captions[0::2].sort(1).values, captions[1::2].sort(1).values)
    readings, exchanged = scenes.read_scenes(x), captions.view(20, 2, 12).flip(1).view(40, 12)
    assert scenes.compose_acc(readings, captions) > 0.97 and scenes.compose_acc(readings, exchanged) == 0
    for row in captions:
        held = {(one.colour, one.shape) for one in scenes.parse(scenes.decode(row)).objects} & set(scenes.HELD_OUT)
        assert not held
    again = contrast.partners(0, 3)
    assert torch.equal(again[0], x[:6]) and not torch.equal(contrast.partners(9, 3)[0], x[:6])


def test_without_order_the_loss_on_partners_stays_above_log_2():
    loss = contrast.partners_loss(batch=8)
    net = build(sample_size=32, ordered=False)
    assert loss(net, 0) >= math.log(2) and not torch.equal(loss(net, 0), loss(net, 1))
    with pytest.raises(ValueError, match=r"^world: expected 1 process for a contrastive loss, got 2"):
        loss(net, 0, world=2)
    x, captions = contrast.partners(0, 4)

    class Reads(torch.nn.Module):
        """A scorer that knows the answers: only order tells the two of a pair apart."""

        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(50.0))

        def forward(self, pictures, said):
            right = (pictures[:, None] == x[None]).flatten(2).all(2).double()  # which picture it is
            return self.scale * right @ (captions[:, None] == said[None]).all(2).double()

    assert loss(Reads(), 0) < 1e-6


def test_bad_input_is_named():
    net = build()
    with pytest.raises(ValueError, match=r"^x: expected \(B, 3, 16, 16\), got \(3, 3, 16, 8\)"):
        net.encode_images(X[..., :8])
    for captions in (WORDS.int(), WORDS.float(), "a red circle"):
        with pytest.raises(ValueError, match=r"^captions: expected int64 ids, got"):
            net.encode_texts(captions)
    for captions in (WORDS[0], torch.ones(3, 13).long()):
        with pytest.raises(ValueError, match=r"^captions: expected \(B, L\)"):
            net.encode_texts(captions)
    for captions in (WORDS + 60, WORDS - 1):
        with pytest.raises(ValueError, match=r"^captions: expected ids in 0..63"):
            net.encode_texts(captions)
    with pytest.raises(ValueError, match=r"^captions: expected at least one word"):
        net.encode_texts(torch.zeros_like(WORDS))
    with pytest.raises(ValueError, match=r"^logits: expected \(B, B\), got \(3, 2\)"):
        contrast.info_nce(torch.zeros(3, 2))
    for options in ({"sample_size": 20}, {"channels": (8, 8)}, {"channels": (8, 12, 8)}):
        with pytest.raises(ValueError, match=f"^{next(iter(options))}: expected"):
            build(**options)
