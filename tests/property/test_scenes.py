"""Scenes: any caption round-trips, any object is drawn within its box, any scene is a function of its index."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from denoising import scenes
from denoising.scenes import captions, world
from denoising.scenes.captions import Caption, Named
from denoising.scenes.world import Thing

few = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def maybe(words):
    return st.none() | st.sampled_from(words)


named = st.builds(Named, maybe(scenes.SIZES), maybe(scenes.COLOURS), maybe(scenes.SHAPES))
one = st.builds(lambda a, ground: Caption((a,), None, ground), named, maybe(scenes.BACKGROUNDS))
two = st.builds(
    lambda a, b, relation, ground: Caption((a, b), relation, ground),
    named, named, maybe(scenes.RELATIONS), maybe(scenes.BACKGROUNDS),
)  # fmt: skip
said = one | two
things = st.builds(
    Thing,
    st.sampled_from(scenes.SHAPES), st.sampled_from(scenes.COLOURS), st.sampled_from(scenes.SIZES),
    st.floats(-4, 36), st.floats(-4, 36), st.floats(0.5, 12), rot=st.floats(-180, 180),
)  # fmt: skip


@few
@given(said)
def test_any_caption_round_trips(caption):
    text = scenes.compose(caption)
    assert scenes.parse(text) == caption
    assert scenes.decode(scenes.encode(text)) == text
    assert scenes.paraphrase(scenes.paraphrase(caption)) == caption


@few
@given(said, st.lists(st.floats(0, 1, exclude_max=True), min_size=8, max_size=8))
def test_dropping_only_removes_what_is_said(caption, u):
    told = captions.drop(caption, u)
    told = scenes.paraphrase(told) if u[0] < 0.5 else told
    assert told.relation == caption.relation and len(told.objects) == len(caption.objects)
    for less, more in zip(told.objects, caption.objects, strict=True):
        assert all(a is None or a == b for a, b in zip(less, more, strict=True))
    assert told.background in (None, caption.background)


@few
@given(things)
def test_any_object_is_drawn_within_its_box(thing):
    left, top, right, bottom = thing.box
    if left >= 32 or top >= 32 or right <= 0 or bottom <= 0:
        return
    canvas, covers = world.paint([thing], "light")
    rows, columns = np.nonzero(covers[0])
    assert covers.max() <= 9 and (canvas[:, covers[0] == 0] == 128).all()
    assert (columns + 1 > left - 1e-9).all() and (columns < right + 1e-9).all()
    assert (rows + 1 > top - 1e-9).all() and (rows < bottom + 1e-9).all()


@few
@given(st.sampled_from(sorted(set(scenes.SPLITS) - {"train"})), st.integers(0, 499))
def test_a_scene_is_a_function_of_its_index(split, index):
    first, second = scenes.scene(split, index), scenes.scene(split, index)
    assert torch.equal(first.image, second.image) and first.objects == second.objects
    assert scenes.decode(first.caption_ids) == first.caption_text
    caption = scenes.parse(first.caption_text)
    shown = [(thing.size, thing.colour, thing.shape) for thing in first.objects]
    for words in caption.objects:
        assert any(all(a in (None, b) for a, b in zip(words, thing, strict=True)) for thing in shown)


@few
@given(st.lists(st.integers(0, 50), min_size=2, max_size=5), st.integers(1, 9))
def test_bias_is_a_share(counts, times):
    if not sum(counts):
        return
    value = scenes.bias(torch.tensor(counts))
    assert 0 <= value <= 1 and value == pytest.approx(scenes.bias(times * torch.tensor(counts).flip(0)))
    assert (value == 0) == (len(set(counts)) == 1)
