"""Errors of `scenes_t2i` under captions: scenes of one object, and minimal pairs of two. The tables of notebook 5.4.

A minimal pair is two pictures and two captions that differ in one thing. Errors are stored as in `errors`: their mean
over the captions in single precision, differences from it in half precision.
"""

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from denoising import classify, scenes, validate, zoo
from denoising.rng import Rng
from denoising.scenes import Caption, Named, Thing
from denoising.scenes.splits import plan
from denoising.zoo.errors import packed

__all__ = [
    "KINDS",
    "Pairs",
    "Singles",
    "ask",
    "attribute_draws",
    "exchanged",
    "pair_draws",
    "pairs",
    "question",
    "scenes_attributes",
    "scenes_swaps",
    "singles",
    "told_by",
]

KINDS = ("relation", "binding", "colour")
PAIRS, PAIR_DRAWS = 100, 32
SINGLES, SINGLE_DRAWS = {"test": 100, "comp": 60}, 16
BOTH = 50  # scenes of "comp" that are asked for all combinations of colour and shape


class Singles(NamedTuple):
    """Scenes of one object: pictures (N, 3, 32, 32), indices of colours and of shapes, (N,)."""

    x: Tensor
    colour: Tensor
    shape: Tensor


class Pairs(NamedTuple):
    """Pictures (2P, 3, 32, 32), those of a pair one after the other, and the two captions of each, (2P, 2, 12).

    Caption 0 is true of the first picture, caption 1 of the second.
    """

    x: Tensor
    captions: Tensor


def singles(split: str, n: int) -> Singles:
    """The first n scenes of a split that hold one object; fewer are the first of more."""
    size = scenes.SPLITS[validate.choice("split", split, scenes.SPLITS)].size or n * 10
    made = (plan(split, i) for i in range(size))
    some = [index for index, one in enumerate(made) if len(one.things) == 1][: validate.count("n", n)]
    if len(some) < n:
        raise ValueError(f"n: expected at most the {len(some)} scenes of one object in {split!r}, got {n}")
    kept = [plan(split, index).things[0] for index in some]
    x, _ = scenes.batch(split, some)
    colour = torch.tensor([scenes.COLOURS.index(one.colour) for one in kept])
    return Singles(x, colour, torch.tensor([scenes.SHAPES.index(one.shape) for one in kept]))


def question(kind: str) -> Tensor:
    """The captions that ask for a "colour", a "shape", or "both", colour by colour: (K, 12)."""
    match validate.choice("kind", kind, ("colour", "shape", "both")):
        case "colour":
            asked = [Named(colour=colour) for colour in scenes.COLOURS]
        case "shape":
            asked = [Named(shape=shape) for shape in scenes.SHAPES]
        case _:
            asked = [Named(None, colour, shape) for colour in scenes.COLOURS for shape in scenes.SHAPES]
    return torch.stack([scenes.encode(scenes.compose(Caption((one,)))) for one in asked])


@cache
def _bases() -> tuple[int, ...]:
    """Scenes of `rel_swap` whose objects differ in colour and shape, and whose exchanged colours are not held out."""
    fine = []
    for index in range(0, scenes.SPLITS["rel_swap"].size or 0, 2):
        if exchanged(*plan("rel_swap", index).things):
            fine.append(index)
    return tuple(fine)


def exchanged(a: Thing, b: Thing) -> tuple[Thing, Thing] | None:
    """Two objects with their colours exchanged; `None` if that changes no caption or shows a held-out combination."""
    if a.colour == b.colour or a.shape == b.shape or {(b.colour, a.shape), (a.colour, b.shape)} & {*scenes.HELD_OUT}:
        return None
    return a._replace(colour=b.colour), b._replace(colour=a.colour)


def _third(a: Thing, b: Thing) -> str:
    """The next colour after a's that neither object has and that is not held out for a's shape."""
    first = scenes.COLOURS.index(a.colour) + 1
    order = scenes.COLOURS[first:] + scenes.COLOURS[:first]
    return next(c for c in order if c not in (a.colour, b.colour) and (c, a.shape) not in scenes.HELD_OUT)


def pairs(kind: str, n: int = PAIRS) -> Pairs:
    """Minimal pairs of two objects; fewer are the first of more, and all kinds start from the same first pictures.

    Args:
        kind: "relation": the objects change places, and in the caption too. "binding": they exchange colours. Both
            captions then hold the same words. "colour": the first object takes a third colour.
        n: pairs.
    """
    validate.choice("kind", kind, KINDS)
    if validate.count("n", n) > len(_bases()):
        raise ValueError(f"n: expected at most {len(_bases())} pairs, got {n}")
    pictures, captions = [], []
    for index in _bases()[:n]:
        made = plan("rel_swap", index)
        a, b = made.things
        if kind == "relation":
            others = plan("rel_swap", index + 1).things
            told = (b, a)
        else:
            others = told = exchanged(a, b) if kind == "binding" else (a._replace(colour=_third(a, b)), b)
        ids = [scenes.encode(told_by(things, made.relation)) for things in ((a, b), told)]
        for things in (made.things, others):
            pictures.append(scenes.make(things, background=made.background, phase=made.phase).image)
            captions.append(torch.stack(ids))
    return Pairs(torch.stack(pictures), torch.stack(captions))


def told_by(things: tuple[Thing, ...], relation: str | None) -> str:
    """The caption that names colours, shapes and the relation, and nothing else."""
    return scenes.compose(Caption(tuple(Named(None, one.colour, one.shape) for one in things), relation))


def attribute_draws(split: str, n: int | None = None) -> classify.Draws:
    """Times and noises of the stored errors of `singles(split, n)`; fewer are the first of more."""
    n = SINGLES[split] if n is None else n
    return _draws(n, SINGLE_DRAWS, "attributes", split)


def pair_draws(kind: str, n: int = PAIRS, *, fresh: bool = False) -> classify.Draws:
    """Times and noises of the stored errors of `pairs(kind, n)`: one set for the two pictures of a pair.

    `fresh` gives every picture other noise at the same times, for what happens if captions do not share it.
    """
    if fresh:
        return _draws(2 * n, PAIR_DRAWS, "fresh", kind)
    made = _draws(n, PAIR_DRAWS, "pairs", kind)
    return classify.Draws(made.t, made.eps.repeat_interleave(2, 0))


def _draws(n: int, draws: int, *name: str) -> classify.Draws:
    rows = [
        classify.draws(zoo.SCHEDULE, (1, 3, 32, 32), draws, generator=Rng(0).spawn(*name, i), weighting="t")
        for i in range(n)
    ]
    return classify.Draws(rows[0].t, torch.cat([one.eps for one in rows]))


def ask(x: Tensor, draws: classify.Draws, captions: Tensor, **how: bool) -> Tensor:
    """Errors of `scenes_t2i`, (B, K, N), summed over pixels; `how` as for `classify.error_table`."""
    return classify.error_table(zoo.denoiser("scenes_t2i"), x, draws, captions, batch=112, **how)


def scenes_attributes() -> dict[str, Tensor]:
    """Squared errors, [image, caption, draw]: "test.colour", "test.shape", "comp.colour", "comp.shape", "comp.both"."""
    stored = {}
    for split, n in SINGLES.items():
        x, draws = singles(split, n).x, attribute_draws(split)
        for kind in ("colour", "shape"):
            stored |= packed(f"{split}.{kind}", ask(x, draws, question(kind)))
    few = ask(singles("comp", BOTH).x, attribute_draws("comp", BOTH), question("both"))
    return stored | packed("comp.both", few)


def scenes_swaps() -> dict[str, Tensor]:
    """Squared errors, [picture, caption, draw], of the pairs of every kind.

    "relation.fresh" holds, for the relations, the errors of caption 1 under noise of its own, (2P, N).
    """
    stored = {}
    for kind in KINDS:
        made = pairs(kind)
        stored |= packed(kind, ask(made.x, pair_draws(kind), made.captions, own=True))
    made = pairs("relation")
    fresh = ask(made.x, pair_draws("relation", fresh=True), made.captions[:, 1:], own=True)
    return stored | {"relation.fresh": fresh[:, 0].float()}
