"""The splits, the record of a scene, and batches. Scene i of a split does not depend on what was drawn before."""

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from denoising import validate
from denoising.scenes import plans
from denoising.scenes.captions import DRAWS, LENGTH, Caption, compose, drop, encode
from denoising.scenes.draws import Draws
from denoising.scenes.knobs import BiasSpec, Conflict, Rare
from denoising.scenes.plans import Plan
from denoising.scenes.world import (
    BACKGROUNDS,
    BAR,
    COLOURS,
    RELATIONS,
    SHAPES,
    SIDE,
    SIZES,
    Thing,
    keypoints,
    paint,
    relation_of,
    to_float,
)

__all__ = [
    "ATTRIBUTES",
    "NULL_RATE",
    "SPLITS",
    "Scene",
    "Split",
    "attributes_of",
    "batch",
    "checked",
    "make",
    "plan",
    "scene",
]


class Split(NamedTuple):
    """A named set of scenes. `size` is `None` for an endless stream."""

    size: int | None
    seed: int
    draw: Callable[[Draws, int], Plan]


SPLITS = {
    "train": Split(None, 0, plans.base),
    "val": Split(2000, 1, plans.base),
    "test": Split(2000, 2, plans.base),
    "comp": Split(1000, 3, plans.comp),
    "comp_pair": Split(500, 3, plans.comp_pair),
    "rel_swap": Split(1000, 3, plans.rel_swap),  # 500 pairs
    "count": Split(500, 3, plans.count),
    "overlap": Split(500, 3, plans.overlap),
    "rot": Split(500, 3, plans.rot),
}


Source = str | BiasSpec | Rare | Conflict
ATTRIBUTES = ("n", "shape1", "colour1", "size1", "shape2", "colour2", "size2", "relation", "background")
NULL_RATE = 0.10
FULL = (1.0, *(0.0, 1.0, 1.0) * 2, 0.0)  # numbers with which `drop` drops nothing


@dataclass(frozen=True)
class Scene:
    """A picture and everything true of it.

    Attributes:
        image: (3, 32, 32), float32, in [-1, 1], a whole number of 255ths.
        objects: in the order in which they are painted.
        background, phase: word of `BACKGROUNDS`; shift of the stripes.
        caption_ids: (12,), int64.
        caption_text: with words left out as in training.
        relation: of the first to the second object, or `None`.
        masks: share of each pixel that each object would cover alone, (n, 32, 32), float32, in [0, 1].
        instance_map: 1 + the object that fills most of a pixel, 0 for the background, (32, 32), uint8.
        semantic_map: 1 + the index of its shape, 0 for the background, (32, 32), uint8.
        keypoints: x, y and visible, (n, 6, 3), float32.
        attributes: indices into the lists of words, -1 where there is none, in the order of `ATTRIBUTES`, (9,), int64.
        seed: name of the stream and index of the scene in it; `None` for one made by hand.
    """

    image: Tensor
    objects: tuple[Thing, ...]
    background: str
    phase: int
    caption_ids: Tensor
    caption_text: str
    relation: str | None
    masks: Tensor
    instance_map: Tensor
    semantic_map: Tensor
    keypoints: Tensor
    attributes: Tensor
    seed: tuple[str, int] | None = None


def plan(split: Source, index: int) -> Plan:
    """What scene `index` of a split contains, without drawing it; arguments and errors as of `scene`."""
    if isinstance(split, BiasSpec | Rare | Conflict):
        size, seed, draw = None, 0, split.draw
    else:
        size, seed, draw = SPLITS[validate.choice("split", split, SPLITS)]
    index = checked(index, size, _name(split))
    # the two scenes of a minimal pair share their numbers
    return draw(Draws(_name(split), seed, index // 2 if split == "rel_swap" else index), index)


def checked(index: int, size: int | None, name: str) -> int:
    """`index` as an int in 0..size - 1."""
    try:
        index = validate.count("index", operator.index(index), lo=0)
    except TypeError:
        raise ValueError(f"index: expected a whole number of at least 0, got {index!r}") from None
    if size is not None and index >= size:
        raise ValueError(f"index: expected 0..{size - 1} in split {name!r}, got {index}")
    return index


def _name(split: Source) -> str:
    return split if isinstance(split, str) else split.name


def _said(made: Plan, u: Sequence[float]) -> str:
    return compose(drop(made.caption, u, keep=made.keep, omit=made.omit))


def scene(split: Source, index: int) -> Scene:
    """Scene `index` of a split.

    Args:
        split: a name in `SPLITS`, or a knob such as `colour_bias(0.9)`.
        index: 0 or more, below the split's size.
    Raises:
        ValueError: for an unknown split, or an index outside it.
    Example:
        >>> one = scene("val", 0)
        >>> tuple(one.image.shape), one.attributes[0].item() == len(one.objects)
        ((3, 32, 32), True)
    """
    made = plan(split, index)
    return _record(made.things, made.background, made.phase, _said(made, made.u), (_name(split), int(index)))


def make(objects: Sequence[Thing], *, background: str = "dark", phase: int = 0, caption: str | None = None) -> Scene:
    """A scene of your own objects, for example those of another scene with one thing changed.

    Args:
        objects: what to paint, in this order; parts beyond the canvas are cut off.
        background: word of `BACKGROUNDS`.
        phase: shift of the stripes, 0..7.
        caption: its text; without it, all that can be said (of more than two objects, `<null>`).
    Raises:
        ValueError: for an unknown word, a radius that is not positive, or a caption that cannot be encoded.
    """
    for thing in objects:
        for kind, known in (("shape", SHAPES), ("colour", COLOURS), ("size", SIZES)):
            validate.choice(kind, getattr(thing, kind), known)
        validate.number("r", thing.r, lo=0, open_lo=True)
        for name in ("cx", "cy", "rot"):
            validate.number(name, getattr(thing, name))
    validate.choice("background", background, BACKGROUNDS)
    if validate.count("phase", phase, lo=0) >= 2 * BAR:
        raise ValueError(f"phase: expected 0..{2 * BAR - 1}, got {phase}")
    if caption is None:
        made = Plan(tuple(objects), background, phase, ())
        caption = compose(made.caption if 1 <= len(objects) <= 2 else Caption(()))
    return _record(tuple(objects), background, phase, caption, None)


def _record(things: tuple[Thing, ...], background: str, phase: int, text: str, seed: tuple[str, int] | None) -> Scene:
    canvas, covers = paint(things, background, phase)
    instances = np.zeros((SIDE, SIDE), dtype=np.uint8)
    for number, cover in enumerate(covers, 1):
        instances[cover > 4] = number  # more than half of 9 samples
    kinds = np.array([0, *(1 + SHAPES.index(thing.shape) for thing in things)], dtype=np.uint8)
    return Scene(
        image=to_float(canvas),
        objects=things,
        background=background,
        phase=phase,
        caption_ids=encode(text),
        caption_text=text,
        relation=relation_of(*things) if len(things) == 2 else None,
        masks=torch.from_numpy(covers).float() / 9,
        instance_map=torch.from_numpy(instances),
        semantic_map=torch.from_numpy(kinds[instances]),
        keypoints=torch.from_numpy(keypoints(things)),
        attributes=attributes_of(things, background),
        seed=seed,
    )


def attributes_of(things: Sequence[Thing], background: str) -> Tensor:
    """The indices that `ATTRIBUTES` names, -1 where there is none: (9,), int64; a third object is only counted."""
    row = [len(things)]
    for thing in [*things, None, None][:2]:
        one = thing and (SHAPES.index(thing.shape), COLOURS.index(thing.colour), SIZES.index(thing.size))
        row += one or (-1, -1, -1)
    relation = relation_of(*things) if len(things) == 2 else None
    return torch.tensor([*row, RELATIONS.index(relation) if relation else -1, BACKGROUNDS.index(background)])


def batch(
    split: Source,
    indices: Iterable[int],
    *,
    generator: torch.Generator | None = None,
    dropping: bool = True,
    null: float = NULL_RATE,
) -> tuple[Tensor, Tensor]:
    """Pictures and captions of many scenes, for training and for tests; makes no masks and is fast.

    Args:
        split: a name in `SPLITS`, or a knob.
        indices: which scenes; a range, a list or a tensor.
        generator: decides which words are dropped and which captions are null. Without it each scene's own numbers do,
            so that the batch is a function of `split` and `indices` alone.
        dropping: `False` gives full captions: every word, told from the first object, never null.
        null: share of captions replaced by the null caption, for classifier-free guidance.
    Returns:
        images, (N, 3, 32, 32), float32 in [-1, 1]; token ids, (N, 12), int64.
    Raises:
        ValueError: for an unknown split, an index outside it, or no index at all.
    """
    validate.number("null", null, lo=0, hi=1)
    made = [plan(split, index) for index in (indices.tolist() if isinstance(indices, Tensor) else indices)]
    if not made:
        raise ValueError("indices: expected at least one, got none")
    if generator is None:
        u = [one.u for one in made]
    else:
        u = torch.rand((len(made), DRAWS + 1), generator=generator, dtype=torch.float64).tolist()
    images = np.empty((len(made), 3, SIDE, SIDE), dtype=np.uint8)
    tokens = torch.empty((len(made), LENGTH), dtype=torch.int64)
    for i, one in enumerate(made):
        images[i] = paint(one.things, one.background, one.phase)[0]
        if not dropping:
            text = compose(drop(one.caption, FULL, keep=("size", "colour", "shape"), omit=one.omit))
        else:
            text = "<null>" if u[i][DRAWS] < null else _said(one, u[i])
        tokens[i] = encode(text)
    return to_float(images), tokens
