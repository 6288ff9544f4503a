"""Minimal pairs and questions: what they show, what they say, and that the stored errors are the network's."""

import pytest
import torch

from denoising import classify, scenes, zoo
from denoising.zoo import errors, zero_shot


def things(caption):
    return [(one.colour, one.shape) for one in scenes.parse(scenes.decode(caption)).objects]


@pytest.mark.parametrize("kind", zero_shot.KINDS)
def test_each_caption_is_true_of_its_picture_and_not_of_the_other(kind):
    made = zero_shot.pairs(kind, 20)
    assert made.x.shape == (40, 3, 32, 32) and made.captions.shape == (40, 2, 12)
    assert torch.equal(made.captions[0::2], made.captions[1::2])
    readings = scenes.read_scenes(made.x)
    for picture, reading in enumerate(readings):
        own, other = made.captions[picture, picture % 2], made.captions[picture, 1 - picture % 2]
        assert scenes.compose_acc([reading], own[None]) == 1 and scenes.compose_acc([reading], other[None]) == 0
    assert {(made.captions != 0).sum(2).unique().item()} == {7}  # equal lengths


def test_what_the_kinds_change():
    made = {kind: zero_shot.pairs(kind, 15) for kind in zero_shot.KINDS}
    base = made["relation"].captions[0::2, 0]
    for kind, one in made.items():
        assert torch.equal(one.captions[0::2, 0], base) and torch.equal(one.x[0::2], made["relation"].x[0::2])
        first, second = one.captions[0::2].unbind(1)
        same_bag = (first.sort(1).values == second.sort(1).values).all(1)
        assert bool(same_bag.all()) == (kind != "colour") and (first != second).any(1).all()
        assert int((first != second).sum(1).max()) == {"relation": 4, "binding": 2, "colour": 1}[kind]
    for caption in made["binding"].captions.flatten(0, 1):
        assert not set(things(caption)) & set(scenes.HELD_OUT)
    for caption in made["colour"].captions[:, 1]:
        assert not set(things(caption)) & set(scenes.HELD_OUT) and len({c for c, _ in things(caption)}) == 2


def test_fewer_are_the_first_of_more():
    few, more = zero_shot.pairs("binding", 2), zero_shot.pairs("binding", 5)
    assert torch.equal(few.x, more.x[:4]) and torch.equal(few.captions, more.captions[:4])
    a, b = zero_shot.singles("comp", 3), zero_shot.singles("comp", 6)
    assert all(torch.equal(one, other[:3]) for one, other in zip(a, b, strict=True))
    for short, long in (
        (zero_shot.attribute_draws("test", 2), zero_shot.attribute_draws("test", 4)),
        (zero_shot.pair_draws("colour", 1), zero_shot.pair_draws("colour", 2)),
        (zero_shot.pair_draws("colour", 1, fresh=True), zero_shot.pair_draws("colour", 2, fresh=True)),
    ):
        assert torch.equal(short.eps, long.eps[: len(short.eps)]) and torch.equal(short.t, long.t)


def test_noise_is_shared_within_a_pair_and_fresh_noise_is_not():
    drawn, fresh = (zero_shot.pair_draws("relation", 3, fresh=one) for one in (False, True))
    assert torch.equal(drawn.eps[0::2], drawn.eps[1::2]) and not torch.equal(drawn.eps[0], drawn.eps[2])
    assert torch.equal(drawn.t, fresh.t) and len(fresh.eps) == len(drawn.eps) == 6
    assert len({tuple(one.flatten()[:3].tolist()) for one in (*drawn.eps, *fresh.eps)}) == 3 + 6
    other = zero_shot.pair_draws("binding", 3)
    assert not torch.equal(other.eps[0], drawn.eps[0])


def test_singles_are_what_they_say():
    for split in ("test", "comp"):
        made = zero_shot.singles(split, 12)
        for reading, colour, shape in zip(scenes.read_scenes(made.x), made.colour, made.shape, strict=True):
            assert [(one.colour, one.shape) for one in reading] == [(scenes.COLOURS[colour], scenes.SHAPES[shape])]
            assert ((scenes.COLOURS[colour], scenes.SHAPES[shape]) in scenes.HELD_OUT) == (split == "comp")


def test_questions():
    colours, shapes, both = (zero_shot.question(kind) for kind in ("colour", "shape", "both"))
    assert [scenes.decode(row) for row in colours[:2]] == ["a red shape", "a green shape"]
    assert [scenes.decode(row) for row in shapes[:2]] == ["a circle", "a square"]
    assert scenes.decode(both[6 * 3 + 2]) == "a yellow triangle" and len(both) == 42
    for asked in (colours, shapes, both):
        assert len((asked != 0).sum(1).unique()) == 1


def test_a_table_is_restored_to_half_precision():
    table = 500 + 3 * torch.randn((4, 3, 5), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    stored = errors.packed("one", table)
    assert stored["one.off"].dtype == torch.float16
    assert (errors.restored(stored, "one") - table).abs().max() < 0.01


def test_bad_input_is_named():
    for call, name in (
        (lambda: zero_shot.pairs("relatoin"), "kind"),
        (lambda: zero_shot.question("size"), "kind"),
        (lambda: zero_shot.singles("tset", 3), "split"),
    ):
        with pytest.raises(ValueError, match=f"^{name}: expected one of"):
            call()
    with pytest.raises(ValueError, match=r"^n: expected at most 253 pairs, got 300"):
        zero_shot.pairs("colour", 300)
    with pytest.raises(ValueError, match=r"^n: expected at most the .* scenes of one object in 'comp', got 900"):
        zero_shot.singles("comp", 900)


@pytest.mark.skipif("scenes_t2i" not in zoo.names(), reason="the denoiser of captions is not shipped yet")
def test_stored_errors_are_what_the_network_says():
    stored, drawn = zoo.table("scenes_swaps"), zero_shot.pair_draws("binding", 1)
    few = classify.Draws(drawn.t[:3], drawn.eps[:, :3])
    made = zero_shot.pairs("binding", 1)
    live = zero_shot.ask(made.x, few, made.captions, own=True)
    table = errors.restored(stored, "binding")
    assert table.shape == (2 * zero_shot.PAIRS, 2, zero_shot.PAIR_DRAWS)
    assert (live - table[:2, :, :3]).abs().max() < 0.3 < (live - table[2:4, :, :3]).abs().max()
    other = classify.Draws(drawn.t[:2], zero_shot.pair_draws("relation", 1, fresh=True).eps[:, :2])
    made = zero_shot.pairs("relation", 1)
    live = zero_shot.ask(made.x, other, made.captions[:, 1:], own=True)[:, 0]
    assert (live - stored["relation.fresh"][:2, :2]).abs().max() < 0.3
    stored = zoo.table("scenes_attributes")
    few = zero_shot.attribute_draws("comp", 1)
    live = zero_shot.ask(
        zero_shot.singles("comp", 1).x, classify.Draws(few.t[:2], few.eps[:, :2]), zero_shot.question("both")
    )
    assert (live - errors.restored(stored, "comp.both")[:1, :, :2]).abs().max() < 0.3
