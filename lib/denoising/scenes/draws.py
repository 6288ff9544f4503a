"""Random numbers of one scene, and where its objects go."""

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import TypeVar

import numpy as np

from denoising.scenes.world import MARGIN, SIDE, SLOPE, Thing, paint, radii, relation_of

__all__ = ["GAP", "Draws", "apart", "hidden", "place", "place_pair", "sized", "span"]

BORDER = 1.0  # free pixels around everything
GAP = 1.0  # free pixels between two objects; with a wider one two large objects would not fit
BLOCK = 64
One = TypeVar("One")


class Draws:
    """The numbers of scene `index` in the stream `name`: the same whatever was drawn before, on every machine.

    Philox is counter-based: the key names the stream, and `index` sets the counter's highest word, so two scenes never
    share a number. The raw words of a bit generator do not change between numpy's versions; its `random` may.
    """

    def __init__(self, name: str, seed: int, index: int):
        self._bits = np.random.Philox(key=np.array([_hash(name), seed], np.uint64), counter=_counter(index))
        self._left: list[float] = []

    def __call__(self) -> float:
        """The next number, uniform in [0, 1)."""
        if not self._left:
            self._left = ((self._bits.random_raw(BLOCK) >> np.uint64(11)) * 2.0**-53)[::-1].tolist()
        return self._left.pop()

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self()

    def pick(self, known: Sequence[One]) -> One:
        return known[int(self() * len(known))]


@cache
def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def _counter(index: int) -> np.ndarray:
    return np.array([0, 0, 0, index], dtype=np.uint64)


def sized(draw: Draws, shape: str, colour: str, size: str, rot: float = 0.0) -> Thing:
    """An object of a random radius, not placed yet."""
    return Thing(shape, colour, size, 0.0, 0.0, draw.between(*radii(shape, size)), rot=rot)


def span(thing: Thing) -> tuple[float, float, float, float]:
    """Where its centre may be, with one pixel free around the object: lowest and highest x, lowest and highest y."""
    left, top, right, bottom = thing.reach
    return BORDER + left, SIDE - BORDER - right, BORDER + top, SIDE - BORDER - bottom


def place(draw: Draws, thing: Thing) -> Thing:
    """Somewhere, uniformly."""
    x0, x1, y0, y1 = span(thing)
    return thing._replace(cx=draw.between(x0, x1), cy=draw.between(y0, y1))


def apart(a: Thing, b: Thing, gap: float = GAP) -> bool:
    """Whether the boxes of two objects keep `gap` pixels between them (a negative gap: whether they touch by less)."""
    (l1, t1, r1, b1), (l2, t2, r2, b2) = a.box, b.box
    return l2 - r1 >= gap or l1 - r2 >= gap or t2 - b1 >= gap or t1 - b2 >= gap


def hidden(a: Thing, b: Thing) -> float:
    """The share of a that b covers."""
    under, over = paint((a, b))[1].astype(int)
    return float((under * over).sum() / (9 * under.sum()))


def place_pair(draw: Draws, a: Thing, b: Thing, relation: str) -> tuple[Thing, Thing] | None:
    """Uniformly over all places where "a `relation` b" holds and the two are apart; `None` if they do not fit.

    The pair of coordinates that decides is uniform in a triangle, so only the other pair needs rejection. Objects that
    are apart in the other direction alone would be too far apart in it for the relation to hold.
    """
    if relation in ("right_of", "below"):
        pair = place_pair(draw, b, a, "left_of" if relation == "right_of" else "above")
        return pair and pair[::-1]
    flat = relation == "left_of"
    along, across = (slice(0, 2), slice(2, 4)) if flat else (slice(2, 4), slice(0, 2))
    (low, _), (_, high) = span(a)[along], span(b)[along]
    gap = max(MARGIN, a.reach[2 if flat else 3] + b.reach[0 if flat else 1] + GAP)
    room = high - low - gap
    if room <= 0:
        return None
    while True:
        first, second = sorted((draw(), draw()))
        one = low + room * first, draw.between(*span(a)[across])
        two = low + gap + room * second, draw.between(*span(b)[across])
        if SLOPE * abs(two[1] - one[1]) <= two[0] - one[0]:
            (ax, ay), (bx, by) = (one, two) if flat else (one[::-1], two[::-1])
            a, b = a._replace(cx=ax, cy=ay), b._replace(cx=bx, cy=by)
            if relation_of(a, b) == relation and apart(a, b, GAP - 1e-9):  # rounding
                return a, b
