"""Knobs: streams of scenes whose attributes, frequencies or captions are skewed by a known amount.

A knob stands where the name of a split does: `scene(colour_bias(0.9), 3)`.
"""

from dataclasses import dataclass

from denoising import validate
from denoising.scenes.draws import Draws, place, sized
from denoising.scenes.plans import ALLOWED, HELD_OUT, NAMED, Plan, base, finish, laid
from denoising.scenes.world import BACKGROUNDS, COLOURS, SHAPES, SIZES

__all__ = ["BiasSpec", "Conflict", "Rare", "background_bias", "colour_bias", "conflict", "rare", "size_bias"]


@dataclass(frozen=True)
class BiasSpec:
    """A stream of single objects in which the shape foretells another attribute. The caption never names the latter.

    Args:
        attribute: "colour", "background" or "size".
        table: the favoured value of each shape.
        rho: its share; the other values of the table share the rest equally.
    """

    attribute: str
    table: tuple[tuple[str, str], ...]
    rho: float

    def __post_init__(self):
        validate.number("rho", self.rho, lo=0, hi=1)
        known = {"colour": COLOURS, "background": BACKGROUNDS, "size": SIZES}
        validate.choice("attribute", self.attribute, known)
        for shape, value in self.table:
            validate.choice("table", shape, SHAPES), validate.choice("table", value, known[self.attribute])
        if len(self.values) < 2:
            raise ValueError(f"table: expected at least two values, got {self.table!r}")
        if bad := [pair for pair in HELD_OUT if pair[0] in self.values and pair[1] in dict(self.table)]:
            raise ValueError(f"table: would show {bad[0][0]} {bad[0][1]}, which is held out from every training stream")

    @property
    def values(self) -> tuple[str, ...]:
        """The values of the attribute, each once, in the table's order."""
        return tuple(dict.fromkeys(value for _, value in self.table))

    name = property(lambda self: f"biased/{self.attribute}")

    def draw(self, draw: Draws, index: int) -> Plan:
        shape, own = draw.pick(self.table)
        # the same numbers for every rho: scene i differs between two values of it in this attribute alone
        others = [value for value in self.values if value != own]
        hit, other = draw() < self.rho, draw.pick(others)
        said = {"colour": draw.pick(ALLOWED[shape]), "size": draw.pick(SIZES), "background": None}
        said[self.attribute] = own if hit else other
        thing = place(draw, sized(draw, shape, said["colour"], said["size"]))
        keep = tuple(kind for kind in ("colour", "shape") if kind != self.attribute)
        return finish(draw, (thing,), said["background"], keep=keep, omit=(self.attribute,))


@dataclass(frozen=True)
class Rare:
    """A stream of single objects in which one shape has frequency `p` and the others share the rest equally."""

    shape: str
    p: float

    def __post_init__(self):
        validate.choice("shape", self.shape, SHAPES)
        validate.number("p", self.p, lo=0, hi=1)

    name = property(lambda self: "rare")

    def draw(self, draw: Draws, index: int) -> Plan:
        hit, other = draw() < self.p, draw.pick([shape for shape in SHAPES if shape != self.shape])
        shape = self.shape if hit else other
        return finish(draw, laid(draw, [(shape, draw.pick(ALLOWED[shape]))]))


@dataclass(frozen=True)
class Conflict:
    """The base stream, but a share `p` of the captions gives the first object a wrong colour."""

    p: float

    def __post_init__(self):
        validate.number("p", self.p, lo=0, hi=1)

    name = property(lambda self: "conflict")

    def draw(self, draw: Draws, index: int) -> Plan:
        hit, which = draw() < self.p, draw()
        made = base(draw, index)
        shape, colour = made.things[0].shape, made.things[0].colour
        others = [one for one in ALLOWED[shape] if one != colour]  # no caption names a held-out pair
        lie = others[int(which * len(others))] if hit else None
        return made._replace(keep=NAMED, lie=lie)


def colour_bias(rho: float) -> BiasSpec:
    """Circles are blue, squares red and stars yellow with probability `rho`, else another of these; 1/3 is unbiased.

    No pair of these shapes and colours is held out.
    """
    return BiasSpec("colour", (("circle", "blue"), ("square", "red"), ("star", "yellow")), rho)


def background_bias(rho: float) -> BiasSpec:
    """Circles stand on stripes and squares on dark with probability `rho`; 1/2 is unbiased."""
    return BiasSpec("background", (("circle", "striped"), ("square", "dark")), rho)


def size_bias(rho: float) -> BiasSpec:
    """Circles are large and squares small with probability `rho`; 1/2 is unbiased."""
    return BiasSpec("size", (("circle", "large"), ("square", "small")), rho)


def rare(shape: str, p: float) -> Rare:
    """Single objects, `shape` with frequency `p`: a long tail."""
    return Rare(shape, p)


def conflict(p: float) -> Conflict:
    """A share `p` of wrong colour words: noise in the labels."""
    return Conflict(p)
