"""The scenes: drawing, records, splits, knobs, batches. Captions, reader and clips have files of their own."""

import hashlib
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
import torch

from denoising import scenes
from denoising.rng import Rng
from denoising.scenes import knobs, plans, splits, world
from denoising.scenes.draws import Draws, apart, hidden
from denoising.scenes.world import Thing

# SHA-256 of the first 64 pictures of each split as uint8, (64, 3, 32, 32)
GOLDEN = {
    "train": "dc04904115c9a11a5ce2879551af18eaf894b9ff8620314052668939b64f185b",
    "val": "d65fdf93ce5fe684ebccacc1ecec101aa9b4cbc899b521646eced29bf1c9b7b0",
    "test": "a9896c86194feb3db96fbfc631b05f018bfd8f5089c2d3a34c367d4e3efc5661",
    "comp": "7b5fcda784556cade2744ae4416ba1272505a10c592929da23a16c912bb653a3",
    "comp_pair": "5b49539e105f327836cc4c9cdb4ed3edc7b7beda459b15940e7bd65e43d89177",
    "rel_swap": "c66a81a98c57a969378cd0af2414d7bf2900cc725acb092b66662c7fe8b471c4",
    "count": "8458d735adb193531105d08a5f31e9bb539c54da7250734701610a87c04cb5f2",
    "overlap": "892f100e0111de3290787b0084f98acba4879fe2f352213071acb2caa82edd7c",
    "rot": "aa0b199c5530d0776026fcbacf0e9c6c8b1af64408998aa4f3ee8c8019b6a05a",
    "moving": "34a31b2c98042283defbabbec56eb2b4ca2e09d1eec0848feb3e8f88e3da30d9",
}  # fmt: skip
KNOBS = (
    scenes.colour_bias(0.7), scenes.background_bias(0.7), scenes.size_bias(0.7), scenes.rare("star", 0.3),
    scenes.conflict(0.5),
)  # fmt: skip
STREAMS = ("train", "val", "test", "rel_swap", "count", *KNOBS)


def some(split, n=2000):
    size = None if not isinstance(split, str) else splits.SPLITS[split].size
    return [splits.plan(split, i) for i in range(min(n, size or n))]


# Drawing --------------------------------


def digest(images):
    return hashlib.sha256(world.to_uint8(images).tobytes()).hexdigest()


@pytest.mark.parametrize("split", splits.SPLITS)
def test_the_pictures_are_those_of_the_first_day(split):
    assert digest(scenes.batch(split, range(64))[0]) == GOLDEN[split]


def test_the_clips_are_those_of_the_first_day():
    assert digest(scenes.clips(range(64))[0]) == GOLDEN["moving"]


def test_a_scene_does_not_depend_on_what_was_drawn_before():
    images, tokens = scenes.batch("train", [5, 900, 5])
    alone = scenes.scene("train", 900)
    assert torch.equal(images[0], images[2]) and torch.equal(images[1], alone.image)
    assert torch.equal(scenes.batch("train", torch.tensor([900]))[0][0], alone.image)
    assert torch.equal(tokens[0], tokens[2]) and alone.seed == ("train", 900)
    assert not torch.equal(scenes.batch("val", [5])[0], images[:1])


def test_streams_and_indices_never_share_a_number():
    firsts = [Draws(name, seed, i)() for name in ("train", "val") for seed in (0, 1) for i in (0, 1, 2, 2**40)]
    assert len(set(firsts)) == len(firsts)
    many = Draws("train", 0, 0)
    values = np.array([many() for _ in range(4000)])
    assert len(set(values)) == 4000 and values.min() >= 0 and values.max() < 1 and abs(values.mean() - 0.5) < 0.02


AREAS = {"circle": np.pi, "square": 4.0, "triangle": 2.0, "cross": 4 * 0.72 - 0.72**2, "ring": np.pi * (1 - 0.54**2)}
x, y = world.STAR.T
AREAS["star"] = abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2


@pytest.mark.parametrize("rot", [0.0, 20.0])
@pytest.mark.parametrize("shape", world.SHAPES)
def test_a_shape_covers_its_area_and_fills_its_box(shape, rot):
    rng = np.random.default_rng(0)
    for _ in range(5):
        cx, cy, r = rng.uniform(12, 20), rng.uniform(12, 20), rng.uniform(5, 7)
        thing = Thing(shape, "red", "large", cx, cy, r, rot=rot)
        cover = world.paint([thing])[1][0] / 9
        assert abs(cover.sum() - AREAS[shape] * r**2) < 0.04 * AREAS[shape] * r**2
        left, top, right, bottom = thing.box
        rows, columns = np.flatnonzero(cover.any(1)), np.flatnonzero(cover.any(0))
        edges = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        assert (abs(edges - [left, top, right, bottom]) < 1.7).all()  # a tip thinner than a sample is not seen
        assert left > edges[0] - 1 and top > edges[1] - 1 and right < edges[2] + 1 and bottom < edges[3] + 1
        if not rot:
            assert thing.box == (cx - r, cy - r, cx + r, cy + r)


def test_an_anti_aliased_edge_has_the_mean_of_both_colours():
    square = Thing("square", "white", "large", 16.0, 16.0, 6.4)  # its sides cut pixels: one of three samples
    canvas, covers = world.paint([square], "dark")
    assert covers[0, 16, 9] == 3 and covers[0, 16, 10] == 9 and covers[0, 9, 9] == 1
    assert canvas[:, 16, 9].tolist() == [round((6 * 26 + 3 * 247) / 9)] * 3 and canvas[0, 16, 16] == 247
    assert canvas[:, 0, 0].tolist() == [26] * 3
    over = world.paint([square, square._replace(colour="red", r=3.0)])[0]
    assert over[:, 16, 16].tolist() == [230, 41, 41] and over[0, 16, 10] == 247  # later over earlier


def test_the_star_points_up_and_the_triangle_stands():
    for shape in ("star", "triangle"):
        cover = world.paint([Thing(shape, "red", "large", 16.0, 16.0, 7.0)])[1][0]
        assert 0 < cover[10].sum() < 0.5 * cover[14].sum() and np.array_equal(cover, cover[:, ::-1])
    turned = world.paint([Thing("triangle", "red", "large", 16.0, 16.0, 7.0, rot=90.0)])[1][0]
    assert turned[:, 21].sum() < 0.4 * turned[:, 11].sum()  # clockwise: its apex is now on the right


def test_colours_are_far_apart_and_backgrounds_are_as_said():
    rgb = world.RGB
    assert min(np.linalg.norm(rgb[i] - rgb[j]) for i, j in combinations(range(7), 2)) >= 0.44
    assert (world.ground("dark") == 26).all() and (world.ground("light") == 128).all()
    stripes = world.ground("striped", 3)
    assert stripes[0, 0, :13].tolist() == [26] + [82] * 4 + [26] * 4 + [82] * 4 and (stripes == stripes[0, 0]).all()


def test_pixels_survive_the_way_to_float_and_back():
    pixels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(world.to_uint8(world.to_float(pixels)), pixels)
    assert world.to_float(pixels)[0] == -1 and world.to_float(pixels)[-1] == 1
    assert world.to_uint8(torch.tensor([-3.0, 9.0])).tolist() == [0, 255]


# What a scene contains --------------------------------


@pytest.mark.parametrize("split", ["train", "comp", "comp_pair", "rel_swap", "count", "rot", *KNOBS])
def test_objects_stay_apart_inside_the_border_and_in_their_sizes(split):
    for made in some(split, 400):
        for thing in made.things:
            low, high = world.radii(thing.shape, thing.size)
            assert low <= thing.r <= high and min(thing.box) > 1 - 1e-9 and max(thing.box) < 31 + 1e-9
        assert all(apart(a, b, 1 - 1e-6) for a, b in combinations(made.things, 2))


def test_relations_are_exact_and_even():
    counts = Counter()
    for made in some("train"):
        if len(made.things) == 2:
            a, b = made.things
            dx, dy = b.cx - a.cx, b.cy - a.cy
            far, near = (dx, dy) if made.relation in ("left_of", "right_of") else (dy, dx)
            assert abs(far) >= 9 and abs(far) >= 1.6 * abs(near)
            assert (far > 0) == (made.relation in ("left_of", "above"))
            counts[made.relation] += 1
    assert set(counts) == set(world.RELATIONS) and min(counts.values()) > 0.2 * sum(counts.values())


@pytest.mark.parametrize("far, near, word", [(9, 5.6, "left_of"), (8.9, 0, None), (9, 5.7, None), (-9, 0, "right_of")])
def test_the_margins_of_a_relation(far, near, word):
    a = Thing("circle", "red", "small", 10.0, 10.0, 4.0)
    assert scenes.relation_of(a, a._replace(cx=10.0 + far, cy=10.0 + near)) == word
    turned = {"left_of": "above", "right_of": "below", None: None}[word]
    assert scenes.relation_of(a, a._replace(cx=10.0 + near, cy=10.0 + far)) == turned
    assert scenes.relation_of(a, a, margin=0.0) is None


def test_the_shares_of_the_base_stream():
    made = some("train", 4000)
    assert abs(np.mean([len(one.things) == 1 for one in made]) - 0.4) < 0.03
    shapes = Counter(thing.shape for one in made for thing in one.things)
    assert all(abs(n / sum(shapes.values()) - 1 / 6) < 0.02 for n in shapes.values())
    assert all(abs(Counter(one.background for one in made)[b] / 4000 - 1 / 3) < 0.03 for b in world.BACKGROUNDS)
    assert {one.phase for one in made if one.background == "striped"} == set(range(8))
    assert {one.phase for one in made if one.background != "striped"} == {0}


@pytest.mark.parametrize("split", STREAMS)
def test_held_out_pairs_are_never_shown_nor_named(split):
    for made in some(split):
        named = {(one.colour, one.shape) for one in made.caption.objects}
        shown = {(thing.colour, thing.shape) for thing in made.things}
        assert not (named | shown) & set(scenes.HELD_OUT)
        assert not {thing.shape for thing in made.things} >= scenes.HELD_OUT_SHAPES


def test_held_out_pairs_are_shown_where_they_should_be():
    comp = some("comp")
    assert {(thing.colour, thing.shape) for one in comp for thing in one.things} == set(scenes.HELD_OUT)
    assert not any({thing.shape for thing in one.things} >= scenes.HELD_OUT_SHAPES for one in comp)
    pairs = some("comp_pair")
    assert all({thing.shape for thing in one.things} == scenes.HELD_OUT_SHAPES for one in pairs)
    assert not {(thing.colour, thing.shape) for one in pairs for thing in one.things} & set(scenes.HELD_OUT)
    assert {one.things[0].shape for one in pairs} == scenes.HELD_OUT_SHAPES  # in both orders
    seen = {(thing.colour, thing.shape) for one in some("train") for thing in one.things}
    assert len(seen) == 42 - 5 and min(Counter(colour for colour, _ in seen).values()) >= 4
    assert min(Counter(shape for _, shape in seen).values()) >= 4


def test_minimal_pairs_differ_in_the_relation_alone():
    inverse = {"left_of": "right_of", "right_of": "left_of", "above": "below", "below": "above"}
    for i in range(0, 200, 2):
        one, two = scenes.scene("rel_swap", i), scenes.scene("rel_swap", i + 1)
        assert [thing[:3] + thing[5:6] for thing in one.objects] == [thing[:3] + thing[5:6] for thing in two.objects]
        assert two.relation == inverse[one.relation] and one.background == two.background
        words = list(zip(one.caption_text.split(), two.caption_text.split(), strict=True))
        assert sum(a != b for a, b in words) == 1 and not torch.equal(one.image, two.image)


def test_counts_and_overlaps_and_turns():
    counts = Counter(len(one.things) for one in some("count"))
    assert set(counts) == {1, 2, 3, 4} and min(counts.values()) > 90
    assert all(len({thing[:3] for thing in one.things}) == 1 for one in some("count"))
    assert {thing.size for one in some("count") for thing in one.things} == {"small"}
    for made in some("overlap", 100):
        assert 0.1 <= hidden(*made.things) <= 0.5 and made.things[0].colour != made.things[1].colour
    turns = [thing.rot for one in some("rot") for thing in one.things]
    assert -30 <= min(turns) < -25 and 25 < max(turns) <= 30


# Knobs --------------------------------


@pytest.mark.parametrize("rho", [0.0, 1 / 3, 0.9, 1.0])
def test_the_colour_knob_gives_its_skew(rho):
    favoured = {"circle": "blue", "square": "red", "star": "yellow"}
    made = some(scenes.colour_bias(rho), 3000)
    assert abs(np.mean([favoured[one.things[0].shape] == one.things[0].colour for one in made]) - rho) < 0.03
    rest = Counter(one.things[0][:2] for one in made if favoured[one.things[0].shape] != one.things[0].colour)
    assert not rest or (len(rest) == 6 and max(rest.values()) < 2 * min(rest.values()))
    assert {len(one.things) for one in made} == {1}


def test_two_values_have_the_bias_of_the_formula():
    rho = 0.8
    made = some(scenes.background_bias(rho), 4000)
    counts = Counter((one.things[0].shape, one.background) for one in made)
    table = torch.tensor([[counts[shape, ground] for ground in ("striped", "dark")] for shape in ("circle", "square")])
    assert table.sum() == 4000 and abs(scenes.bias(table) - (2 * rho - 1)) < 0.05
    assert counts["circle", "striped"] > counts["circle", "dark"] and counts["square", "dark"] > 1000
    large = Counter(one.things[0][::2][:2] for one in some(scenes.size_bias(1.0), 300))
    assert set(large) == {("circle", "large"), ("square", "small")}


@pytest.mark.parametrize("knob, kind", [(KNOBS[0], "colour"), (KNOBS[1], "background"), (KNOBS[2], "size")])
def test_a_caption_never_names_the_biased_attribute(knob, kind):
    for dropping in (True, False):
        _, tokens = scenes.batch(knob, range(200), dropping=dropping, null=0)
        said = [scenes.parse(scenes.decode(row)) for row in tokens]
        names = [one.background if kind == "background" else getattr(one.objects[0], kind) for one in said]
        assert set(names) == {None} and None not in {one.objects[0].shape for one in said}


def test_only_the_biased_attribute_moves_with_rho():
    low, high = some(scenes.colour_bias(0.2), 100), some(scenes.colour_bias(0.9), 100)
    changed = [a.things[0].colour != b.things[0].colour for a, b in zip(low, high, strict=True)]
    assert 40 < sum(changed) < 95
    assert all(
        a.things[0]._replace(colour="") == b.things[0]._replace(colour="") for a, b in zip(low, high, strict=True)
    )


def test_rare_shapes_and_wrong_colours():
    made = some(scenes.rare("star", 0.04), 4000)
    shapes = Counter(one.things[0].shape for one in made)
    assert abs(shapes["star"] / 4000 - 0.04) < 0.01 and abs(shapes["ring"] / 4000 - 0.96 / 5) < 0.02
    made = some(scenes.conflict(0.25))
    wrong = [one.caption.objects[0].colour != one.things[0].colour for one in made]
    assert abs(np.mean(wrong) - 0.25) < 0.03
    _, tokens = scenes.batch(scenes.conflict(1.0), range(200), null=0)
    for i, row in enumerate(tokens):
        said = {(one.colour, one.shape) for one in scenes.parse(scenes.decode(row)).objects}
        things = splits.plan(scenes.conflict(1.0), i).things
        assert (things[0].colour, things[0].shape) not in said or len(things) == 2


# Records and batches --------------------------------


@pytest.mark.parametrize("split", ["train", "overlap", "rot", "count"])
def test_a_record_agrees_with_itself(split):
    for i in range(40):
        one = scenes.scene(split, i)
        n = len(one.objects)
        assert one.image.dtype == torch.float32 and one.image.shape == (3, 32, 32) and one.image.abs().max() <= 1
        assert one.masks.shape == (n, 32, 32) and one.keypoints.shape == (n, 6, 3)
        assert one.instance_map.dtype == one.semantic_map.dtype == torch.uint8
        for k, thing in enumerate(one.objects):
            where = one.instance_map == k + 1
            assert where.any() and (one.masks[k][where] > 0.5).all()
            assert (one.semantic_map[where] == 1 + world.SHAPES.index(thing.shape)).all()
            solid = where & (one.masks[k] == 1) & (one.masks[k + 1 :].sum(0) == 0)
            colour = torch.from_numpy(world.RGB[world.COLOURS.index(thing.colour)]).float() * 2 - 1
            assert (one.image[:, solid] - colour[:, None]).abs().max() < 0.005
        assert ((one.instance_map == 0) == (one.masks <= 0.5).all(0)).all()
        empty = torch.from_numpy(world.ground(one.background, one.phase).copy()).float() / 127.5 - 1
        assert torch.equal(one.image[:, (one.masks == 0).all(0)], empty[:, (one.masks == 0).all(0)])


def test_attributes_are_indices_into_the_lists():
    first, second = Thing("ring", "white", "large", 8.0, 16.0, 6.0), Thing("star", "red", "small", 24.0, 16.0, 4.5)
    pair = scenes.make([first, second], background="striped", phase=2)
    assert pair.attributes.tolist() == [2, 4, 6, 1, 5, 0, 0, 0, 2] and pair.attributes.dtype == torch.int64
    assert pair.caption_text == "a large white ring left_of a small red star on striped" and pair.seed is None
    assert scenes.make([second]).attributes.tolist() == [1, 5, 0, 0, -1, -1, -1, -1, 0]
    assert scenes.make([]).attributes.tolist() == [0, -1, -1, -1, -1, -1, -1, -1, 0]
    assert len(scenes.ATTRIBUTES) == 9 and scenes.make([]).caption_text == "<null>"


@pytest.mark.parametrize("rot", [0.0, 25.0])
@pytest.mark.parametrize("shape", world.SHAPES)
def test_key_points_lie_on_the_shape(shape, rot):
    thing = Thing(shape, "red", "large", 15.0, 17.0, 6.0, rot=rot)
    points = world.keypoints([thing])[0]
    count = {"triangle": 4, "star": 6}.get(shape, 5)
    assert points[:, 2].tolist() == [1] * count + [0] * (6 - count) and points[0, :2].tolist() == [15, 17]
    for x, y in points[1:count, :2]:
        nearer, further = ((15 + f * (x - 15), 17 + f * (y - 17)) for f in (0.97, 1.03))
        hit = [
            world.inside(shape, *world._local(thing, np.array([a]), np.array([b]))).item() for a, b in (nearer, further)
        ]
        assert hit == [True, False]
    if not rot:
        tips = {
            "square": [9, 11],
            "triangle": [15, 11],
            "circle": [15, 11],
            "star": [15, 11],
            "ring": [15, 11],
            "cross": [15, 11],
        }
        assert points[1, :2].tolist() == tips[shape]
        assert shape in ("square", "triangle") or points[2, 0] > 19  # clockwise


def test_a_hidden_key_point_is_not_visible():
    below, above = Thing("square", "red", "large", 12.0, 16.0, 6.0), Thing("circle", "blue", "large", 24.0, 16.0, 5.0)
    points = world.keypoints([below, above])
    assert points[0, :, 2].tolist() == [1, 1, 1, 1, 1, 0] and points[1, :, 2].tolist() == [1, 1, 1, 1, 1, 0]
    points = world.keypoints([below, above._replace(cx=14.0)])
    assert points[0, :, 2].tolist() == [0, 1, 1, 1, 1, 0]  # the centre


def test_batches_drop_words_as_asked():
    images, full = scenes.batch("train", range(600), dropping=False)
    same, dropped = scenes.batch("train", range(600), null=0)
    again, fresh = scenes.batch("train", range(600), generator=Rng(0))
    assert torch.equal(images, same) and torch.equal(images, again) and full.dtype == torch.int64
    assert torch.equal(scenes.batch("train", range(600), generator=Rng(0))[1], fresh) and not torch.equal(
        fresh, dropped
    )
    for i in range(20):
        assert scenes.decode(dropped[i]) == scenes.scene("train", i).caption_text
        assert scenes.decode(full[i]) == scenes.compose(splits.plan("train", i).caption)
    null = (fresh == scenes.null_caption()).all(1).float().mean(), (scenes.batch("train", range(600))[1][:, 0] == 1)
    assert abs(null[0] - 0.1) < 0.04 and abs(null[1].float().mean() - 0.1) < 0.04
    assert not (full[:, 0] == 1).any() and not (dropped[:, 0] == 1).any()
    said, meant = ([scenes.parse(scenes.decode(row)) for row in tokens] for tokens in (dropped, full))
    objects = [one for caption in said for one in caption.objects]
    assert abs(np.mean([one.size is not None for one in objects]) - 0.5) < 0.06
    assert abs(np.mean([one.colour is None for one in objects]) - 0.15) < 0.05
    assert abs(np.mean([one.shape is None for one in objects]) - 0.10) < 0.04
    assert abs(np.mean([caption.background is not None for caption in said]) - 0.5) < 0.07
    nulls = (scenes.batch("train", range(600))[1][:, 0] == 1).tolist()
    turned = [a.relation != b.relation for a, b, null in zip(said, meant, nulls, strict=True) if a.relation and null]
    assert 0.2 < np.mean(turned) < 0.8  # what is null does not depend on which words are dropped
    pairs = [(a, b) for a, b in zip(said, meant, strict=True) if a.relation]
    assert abs(np.mean([a.relation != b.relation for a, b in pairs]) - 0.5) < 0.08


@pytest.mark.parametrize("split", ["comp", "comp_pair", "rel_swap", "count"])
def test_test_splits_always_name_colours_and_shapes(split):
    for row in scenes.batch(split, range(200), null=0)[1]:
        assert all(one.colour and one.shape for one in scenes.parse(scenes.decode(row)).objects)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"^split: expected one of .*; got 'trian' \(did you mean 'train'\?\)"):
        scenes.scene("trian", 0)
    for index in (-1, 2000, 1.5, "3"):
        with pytest.raises(ValueError, match=r"^index: expected .*got"):
            scenes.scene("val", index)
    with pytest.raises(ValueError, match=r"^indices: expected at least one"):
        scenes.batch("val", [])
    with pytest.raises(ValueError, match=r"^null: .*got 2"):
        scenes.batch("val", [0], null=2)
    for knob in (scenes.colour_bias, scenes.background_bias, scenes.size_bias):
        for rho in (-0.1, 1.1, float("nan"), "much"):
            with pytest.raises(ValueError, match=r"^rho: expected a number"):
                knob(rho)
    with pytest.raises(ValueError, match=r"^p: .*got 1.5"):
        scenes.conflict(1.5)
    with pytest.raises(ValueError, match=r"^shape: .*got 'disc'"):
        scenes.rare("disc", 0.1)
    with pytest.raises(ValueError, match=r"^table: would show red triangle, which is held out"):
        scenes.BiasSpec("colour", (("square", "red"), ("triangle", "yellow")), 0.5)
    with pytest.raises(ValueError, match=r"^table: expected at least two values"):
        scenes.BiasSpec("size", (("square", "small"),), 0.5)
    with pytest.raises(ValueError, match=r"^attribute: .*got 'shape'"):
        scenes.BiasSpec("shape", (), 0.5)
    one = Thing("star", "red", "small", 16.0, 16.0, 4.5)
    for wrong, name in (
        (one._replace(colour="pink"), "colour"),
        (one._replace(r=0), "r"),
        (one._replace(cx="a"), "cx"),
    ):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            scenes.make([wrong])
    with pytest.raises(ValueError, match=r"^phase: expected 0..7, got 8"):
        scenes.make([one], phase=8)
    with pytest.raises(ValueError, match=r"^background: "):
        scenes.make([one], background="sky")


def test_knobs_are_known_by_name():
    assert [knob.name for knob in KNOBS] == ["biased/colour", "biased/background", "biased/size", "rare", "conflict"]
    assert scenes.scene(KNOBS[0], 3).seed == ("biased/colour", 3)
    assert isinstance(KNOBS[3], knobs.Rare) and plans.SINGLE == 0.4
