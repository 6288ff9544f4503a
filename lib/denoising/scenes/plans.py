"""What a scene contains, before anything is drawn: one function for each kind of split."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from denoising.scenes.captions import DRAWS, Caption, Named
from denoising.scenes.draws import Draws, apart, hidden, place, place_pair, sized
from denoising.scenes.world import BACKGROUNDS, BAR, COLOURS, RELATIONS, SHAPES, SIDE, SIZES, Thing, relation_of

__all__ = [
    "ALLOWED",
    "HELD_OUT",
    "HELD_OUT_SHAPES",
    "NAMED",
    "Plan",
    "base",
    "comp",
    "comp_pair",
    "count",
    "finish",
    "laid",
    "overlap",
    "rel_swap",
    "rot",
]

HELD_OUT = (("red", "triangle"), ("blue", "ring"), ("yellow", "cross"), ("green", "star"), ("purple", "circle"))
HELD_OUT_SHAPES = frozenset({"triangle", "star"})  # never in one scene
ALLOWED = {shape: tuple(colour for colour in COLOURS if (colour, shape) not in HELD_OUT) for shape in SHAPES}
SINGLE = 0.4  # share of scenes with one object
TURN = 30.0  # degrees to either side, in `rot`
Bare = tuple[str, str]  # shape and colour


class Plan(NamedTuple):
    """A scene before it is drawn.

    Attributes:
        things: the objects, in the order in which they are painted.
        background, phase: of the canvas.
        u: the numbers that decide which words are dropped.
        keep, omit: kinds of word that its caption always, or never, says.
        lie: a colour that the caption gives the first object instead of its own.
    """

    things: tuple[Thing, ...]
    background: str
    phase: int
    u: tuple[float, ...]
    keep: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    lie: str | None = None

    @property
    def relation(self) -> str | None:
        """Of the first to the second of two objects."""
        return relation_of(*self.things) if len(self.things) == 2 else None

    @property
    def caption(self) -> Caption:
        """What can be said, all words; a scene of several equal objects is described by one of them."""
        named = [Named(thing.size, thing.colour, thing.shape) for thing in self.things]
        if self.lie:
            named[0] = named[0]._replace(colour=self.lie)
        alike = len(named) > 1 and len({(thing.shape, thing.colour) for thing in self.things}) == 1
        return Caption(tuple(named[:1] if alike else named), None if alike else self.relation, self.background)


def _seen(draw: Draws) -> Bare:
    shape = draw.pick(SHAPES)
    return shape, draw.pick(ALLOWED[shape])


def _held(draw: Draws) -> Bare:
    return draw.pick(HELD_OUT)[::-1]


def _pair(draw: Draws, one: Callable[[Draws], Bare] = _seen) -> list[Bare]:
    while True:
        pair = [one(draw), one(draw)]
        if pair[0] != pair[1] and {pair[0][0], pair[1][0]} != HELD_OUT_SHAPES:
            return pair


def _bare(draw: Draws, one: Callable[[Draws], Bare] = _seen) -> list[Bare]:
    return [one(draw)] if draw() < SINGLE else _pair(draw, one)


def laid(draw: Draws, bare: Sequence[Bare], turn: float = 0.0) -> tuple[Thing, ...]:
    """Sizes and places for one object, or for two that obey a relation."""
    while True:
        things = [sized(draw, *one, draw.pick(SIZES), draw.between(-turn, turn) if turn else 0.0) for one in bare]
        if len(things) == 1:
            return (place(draw, *things),)
        if pair := place_pair(draw, *things, draw.pick(RELATIONS)):
            return pair


def finish(draw: Draws, things: tuple[Thing, ...], background: str | None = None, **options: Any) -> Plan:
    """Draw the ground (unless it is given) and the numbers that decide the words."""
    drawn, phase = draw.pick(BACKGROUNDS), int(draw() * 2 * BAR)
    background = background or drawn
    u = tuple(draw() for _ in range(DRAWS + 1))  # one more for the null caption
    return Plan(things, background, phase if background == "striped" else 0, u, **options)


NAMED = ("colour", "shape")


def base(draw: Draws, index: int) -> Plan:
    """One object, or two that obey a relation; nothing held out."""
    return finish(draw, laid(draw, _bare(draw)))


def comp(draw: Draws, index: int) -> Plan:
    """Like `base`, but every pair of colour and shape is a held-out one."""
    return finish(draw, laid(draw, _bare(draw, _held)), keep=NAMED)


def comp_pair(draw: Draws, index: int) -> Plan:
    """A triangle and a star in one scene, in colours that are not held out."""
    first, second = ("triangle", "star") if draw() < 0.5 else ("star", "triangle")
    bare = [(shape, draw.pick(ALLOWED[shape])) for shape in (first, second)]
    return finish(draw, laid(draw, bare), keep=NAMED)


def rel_swap(draw: Draws, index: int) -> Plan:
    """Scenes 2i and 2i + 1 share their numbers; the second mirrors the places along the relation."""
    made = finish(draw, laid(draw, _pair(draw)), keep=NAMED)
    if index % 2 == 0:
        return made
    axis = "cx" if made.relation in ("left_of", "right_of") else "cy"
    return made._replace(things=tuple(one._replace(**{axis: SIDE - getattr(one, axis)}) for one in made.things))


def count(draw: Draws, index: int) -> Plan:
    """One to four small objects of one shape and colour."""
    bare = _seen(draw)
    number = 1 + int(4 * draw())
    things: list[Thing] = []
    while len(things) < number:
        thing = place(draw, sized(draw, *bare, "small"))
        if all(apart(thing, other) for other in things):
            things.append(thing)
    return finish(draw, tuple(things), keep=NAMED)


def overlap(draw: Draws, index: int) -> Plan:
    """Two colours, the second object hides a tenth to a half of the first; "and" joins them where no relation holds."""
    pair = _pair(draw)
    while pair[0][1] == pair[1][1]:
        pair = _pair(draw)
    while True:
        things = tuple(place(draw, sized(draw, *one, draw.pick(SIZES))) for one in pair)
        if not apart(*things) and 0.1 <= hidden(*things) <= 0.5:
            return finish(draw, things)


def rot(draw: Draws, index: int) -> Plan:
    """Like `base`, each object turned by up to 30 degrees."""
    return finish(draw, laid(draw, _bare(draw), TURN))
