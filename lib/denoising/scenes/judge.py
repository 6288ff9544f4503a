"""How well pictures show what their captions say: colours, shapes, bindings, relations, and how evenly.

Every rate takes readings (of `read_scenes`) and the captions that the pictures should show, one each.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from denoising import validate
from denoising.scenes.captions import Caption, Named, decode, parse
from denoising.scenes.reader import Seen
from denoising.scenes.world import Thing, relation_of

__all__ = ["attr_acc", "bias", "bind_acc", "compose_acc", "rel_acc", "relation_seen"]

Wanted = Tensor | Sequence[str | Caption]
Readings = Sequence[Sequence[Seen]]


def relation_seen(a: Seen, b: Seen) -> str | None:
    """The relation of two objects by their centres: the rule of 1.6 without the margin of 9 pixels, or `None`."""
    first, second = (Thing(one.shape, one.colour, "small", one.cx, one.cy, one.r) for one in (a, b))
    return relation_of(first, second, margin=0.0)


def _fits(want: Named, seen: Seen) -> tuple[bool, bool]:
    """Whether shape and colour are as wanted; a word left out is fulfilled by anything."""
    return want.shape in (None, seen.shape), want.colour in (None, seen.colour)


def _matched(caption: Caption, seen: Sequence[Seen]) -> list[Seen | None]:
    """For each named object a different one of those seen: the choice that fulfils most, shapes before colours."""
    places: list[list[int | None]] = [[]]
    for _ in caption.objects:
        places = [[*one, i] for one in places for i in (*range(len(seen)), None) if i is None or i not in one]

    def value(one: list[int | None]) -> tuple[int, int, int]:
        pairs = [_fits(want, seen[i]) for want, i in zip(caption.objects, one, strict=True) if i is not None]
        both, shapes = sum(all(pair) for pair in pairs), sum(pair[0] for pair in pairs)
        return both, shapes, sum(pair[1] for pair in pairs)

    best = max(places, key=value)
    return [None if i is None else seen[i] for i in best]


def _read(readings: Readings, captions: Wanted) -> list[tuple[Caption, list[Seen | None]]]:
    if len(readings) != len(captions):
        raise ValueError(f"captions: expected one for each of {len(readings)} readings, got {len(captions)}")
    texts = [decode(row) for row in captions] if isinstance(captions, Tensor) else captions
    wanted = [text if isinstance(text, Caption) else parse(text) for text in texts]
    return [(want, _matched(want, seen)) for want, seen in zip(wanted, readings, strict=True)]


def _right(caption: Caption, matched: list[Seen | None]) -> list[bool]:
    return [one is not None and all(_fits(want, one)) for want, one in zip(caption.objects, matched, strict=True)]


def _related(caption: Caption, matched: list[Seen | None]) -> bool:
    return None not in matched and relation_seen(*matched) == caption.relation


def _share(hits: list[bool], what: str) -> float:
    if not hits:
        raise ValueError(f"captions: expected at least one {what}, got none")
    return sum(hits) / len(hits)


def attr_acc(readings: Readings, captions: Wanted) -> float:
    """The share of named objects that are there with their colour and shape.

    Args:
        readings: what each picture shows, from `read_scenes`.
        captions: texts, `Caption` records, or token ids (N, 12); a word left out is fulfilled by anything.
    Raises:
        ValueError: if the numbers differ, a caption cannot be read, or no caption names an object.
    """
    return _share([hit for one in _read(readings, captions) for hit in _right(*one)], "named object")


def bind_acc(readings: Readings, captions: Wanted) -> float:
    """The share of captions of two objects whose objects both have the right colour on the right shape."""
    pairs = [all(_right(*one)) for one in _read(readings, captions) if len(one[0].objects) == 2]
    return _share(pairs, "caption of two objects")


def rel_acc(readings: Readings, captions: Wanted) -> float:
    """The share of captions with a relation whose two objects obey it.

    Objects are told apart by colour and shape if they can be, else by shape: swapped colours are an error of binding,
    not of relation.
    """
    return _share([_related(*one) for one in _read(readings, captions) if one[0].relation], "caption with a relation")


def compose_acc(readings: Readings, captions: Wanted) -> float:
    """The share of captions of which everything named is there: each colour, each shape, and the relation if any."""
    every = [one for one in _read(readings, captions) if one[0].objects]
    return _share([all(_right(*one)) and (not one[0].relation or _related(*one)) for one in every], "named object")


def bias(counts: Tensor) -> float:
    """How unevenly the values of an attribute occur: mean of |n_i - n_j| / N over pairs of values, then over prompts.

    0 is balanced. With two values of which one has share rho it is |2 rho - 1|. Counts of few pictures are uneven by
    chance: compare with the same number of balanced draws.

    Args:
        counts: pictures of each value, (prompts, K) or (K,), whole numbers or shares, at least 0.
    Raises:
        ValueError: for fewer than two values, a negative count, or a prompt without pictures.
    Example:
        >>> bias(torch.tensor([90, 10]))
        0.8
    """
    counts = validate.finite("counts", torch.as_tensor(counts).double())
    counts = counts[None] if counts.ndim == 1 else counts
    if counts.ndim != 2 or counts.shape[1] < 2 or (counts < 0).any() or (counts.sum(1) == 0).any():
        raise ValueError(f"counts: expected (prompts, K >= 2) numbers >= 0, not all 0, got {counts.tolist()}")
    i, j = torch.triu_indices(counts.shape[1], counts.shape[1], offset=1)
    gaps = (counts[:, i] - counts[:, j]).abs().mean(1) / counts.sum(1)
    return float(gaps.mean())
