"""The world: what an object is, where its points lie, how it is drawn, and when one is left of another.

Canvas 32x32, origin at the top left, x to the right, y down, the centre of pixel (0, 0) at (0.5, 0.5). Pictures are
drawn in whole numbers (a pixel is 0..255, its coverage a count of 9 samples), so that every machine draws the same.
"""

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from denoising import validate

__all__ = [
    "BACKGROUNDS",
    "COLOURS",
    "PALETTE",
    "RELATIONS",
    "SHAPES",
    "SIDE",
    "SIZES",
    "Thing",
    "coverage",
    "ground",
    "inside",
    "keypoints",
    "paint",
    "radii",
    "relation_of",
    "to_float",
    "to_uint8",
]

SIDE = 32  # pixels
SHAPES = ("circle", "square", "triangle", "cross", "ring", "star")
COLOURS = ("red", "green", "blue", "yellow", "purple", "cyan", "white")
SIZES = ("small", "large")
BACKGROUNDS = ("dark", "light", "striped")
RELATIONS = ("left_of", "right_of", "above", "below")
RGB = np.array(
    [
        [0.90, 0.16, 0.16],
        [0.13, 0.70, 0.25],
        [0.18, 0.32, 0.95],
        [0.98, 0.85, 0.15],
        [0.62, 0.22, 0.80],
        [0.20, 0.82, 0.85],
        [0.97, 0.97, 0.97],
    ]
)
PALETTE = np.floor(RGB * 255 + 0.5).astype(np.int16)  # (7, 3)
GREY = {"dark": (26, 26), "light": (128, 128), "striped": (26, 82)}  # 0.10, 0.50, 0.10 and 0.32 of 255
BAR = 4  # width of a stripe, pixels
RANGES = {"small": (3.5, 4.3), "large": (6.0, 7.2)}  # half the side of the box, pixels
FINE = ("ring", "star")  # unreadable below 4.2 pixels
FINE_SMALL = (4.2, 4.6)
MARGIN, SLOPE = 9.0, 1.6  # of a relation
SAMPLES = 3  # per pixel and axis
AT = (np.arange(SIDE * SAMPLES) + 0.5) / SAMPLES  # where they lie
ARM, HOLE = 0.36, 0.54  # half the width of the cross's arms, inner radius of the ring, in units of r


def _star() -> np.ndarray:
    """Five tips and five notches, clockwise from the top, stretched to fill the box [-1, 1]^2; (10, 2)."""
    angle = np.pi * np.arange(10) / 5
    points = np.where(np.arange(10) % 2, 0.45, 1.0)[:, None] * np.stack([np.sin(angle), -np.cos(angle)], 1)
    low, high = points.min(0), points.max(0)
    points = 2 * (points - low) / (high - low) - 1
    points[[0, 5], 0] = 0  # exactly symmetric
    return points


STAR = _star()
OUTLINES = {  # corners in units of r; round shapes have none
    "square": np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]]),
    "triangle": np.array([[0.0, -1], [-1, 1], [1, 1]]),
    "cross": np.array([[-ARM, -1], [ARM, -1], [1, -ARM], [1, ARM], [ARM, 1], [-ARM, 1], [-1, ARM], [-1, -ARM]]),
    "star": STAR,
}
COMPASS = np.array([[0.0, -1], [1, 0], [0, 1], [-1, 0]])  # north, east, south, west
POINTS = {  # key points after the centre, in units of r
    "circle": COMPASS,
    "ring": COMPASS,
    "cross": COMPASS,
    "square": OUTLINES["square"],
    "triangle": OUTLINES["triangle"],
    "star": STAR[::2],
}


class Thing(NamedTuple):
    """An object.

    Attributes:
        shape, colour, size: words of `SHAPES`, `COLOURS`, `SIZES`.
        cx, cy: centre of its box, pixels.
        r: half the side of its box before it is turned, pixels.
        vx, vy: pixels per frame, 0 in a still picture.
        rot: turned clockwise by so many degrees.
    """

    shape: str
    colour: str
    size: str
    cx: float
    cy: float
    r: float
    vx: float = 0.0
    vy: float = 0.0
    rot: float = 0.0

    @property
    def reach(self) -> tuple[float, float, float, float]:
        """How far the object extends from its centre to the left, the top, the right and the bottom, pixels."""
        if not self.rot or self.shape not in OUTLINES:
            return (self.r,) * 4
        points = self.r * OUTLINES[self.shape] @ _turn(self.rot).T
        return (*(-points.min(0)).tolist(), *points.max(0).tolist())

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom, pixels."""
        left, top, right, bottom = self.reach
        return self.cx - left, self.cy - top, self.cx + right, self.cy + bottom


def radii(shape: str, size: str) -> tuple[float, float]:
    """The range of r, pixels."""
    validate.choice("shape", shape, SHAPES), validate.choice("size", size, SIZES)
    return FINE_SMALL if size == "small" and shape in FINE else RANGES[size]


def relation_of(a: Thing, b: Thing, *, margin: float = MARGIN) -> str | None:
    """The word between two objects, `None` if none holds.

    "a left_of b" means that b's centre is at least `margin` pixels further right and at least 1.6 times as far in x as
    in y. A drawn pair obeys this exactly, so no picture is a doubtful case.
    """
    dx, dy = b.cx - a.cx, b.cy - a.cy
    if abs(dx) >= margin and abs(dx) >= SLOPE * abs(dy) and dx:
        return "left_of" if dx > 0 else "right_of"
    if abs(dy) >= margin and abs(dy) >= SLOPE * abs(dx) and dy:
        return "above" if dy > 0 else "below"
    return None


def _turn(degrees: float) -> np.ndarray:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, -s], [s, c]])


def inside(shape: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Which points belong to a shape with centre 0 and r = 1; u to the right, v down, broadcast; bool."""
    if shape == "circle":
        return u * u + v * v <= 1
    if shape == "ring":
        d = u * u + v * v
        return (d >= HOLE**2) & (d <= 1)
    u = np.abs(u)  # every other shape is its own mirror image
    if shape == "square":
        return (u <= 1) & (np.abs(v) <= 1)
    if shape == "triangle":
        return (2 * u <= v + 1) & (v <= 1)
    if shape == "cross":
        v = np.abs(v)
        return ((u <= ARM) & (v <= 1)) | ((v <= ARM) & (u <= 1))
    within = np.zeros(np.broadcast_shapes(u.shape, v.shape), dtype=bool)
    for (u1, v1), (u2, v2) in pairwise(STAR[:6]):  # the right half, which a ray to the right crosses
        between = (v1 > v) != (v2 > v)
        within ^= between & (u < u1 + (v - v1) * ((u2 - u1) / (v2 - v1)))
    return within


def _local(thing: Thing, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of the canvas, x (W,) and y (H,), to those of `inside`."""
    u, v = (x - thing.cx) / thing.r, ((y - thing.cy) / thing.r)[:, None]
    if thing.rot:
        (c, s), _ = _turn(-thing.rot)
        u, v = c * u + s * v, c * v - s * u
    return u, v


def coverage(thing: Thing) -> tuple[slice, slice, np.ndarray]:
    """Rows and columns of the object's window in the canvas, and how many of a pixel's 9 samples it covers there."""
    left, top, right, bottom = thing.box
    x0, x1 = max(math.floor(left), 0), min(math.ceil(right), SIDE)
    y0, y1 = max(math.floor(top), 0), min(math.ceil(bottom), SIDE)
    u, v = _local(thing, AT[SAMPLES * x0 : SAMPLES * x1], AT[SAMPLES * y0 : SAMPLES * y1])
    hits = inside(thing.shape, u, v).view(np.uint8)
    rows = hits[0::3] + hits[1::3] + hits[2::3]
    return slice(y0, y1), slice(x0, x1), rows[:, 0::3] + rows[:, 1::3] + rows[:, 2::3]


@cache
def ground(background: str, phase: int = 0) -> np.ndarray:
    """An empty canvas, (3, 32, 32), int16 in 0..255, read-only; `phase` shifts the stripes to the left, 0..7."""
    validate.choice("background", background, BACKGROUNDS)
    grey = np.array(GREY[background], dtype=np.int16)[(np.arange(SIDE) + phase) // BAR % 2]
    canvas = np.ascontiguousarray(np.broadcast_to(grey, (3, SIDE, SIDE)))
    canvas.flags.writeable = False
    return canvas


def paint(things: Sequence[Thing], background: str = "dark", phase: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw objects one after another, later ones over earlier ones.

    Args:
        things: the objects.
        background: word of `BACKGROUNDS`.
        phase: shift of the stripes, 0..7.
    Returns:
        canvas, (3, 32, 32), uint8; and the coverage of each object as if alone, (n, 32, 32), uint8, in ninths.
    """
    canvas = ground(background, phase).copy()
    covers = np.zeros((len(things), SIDE, SIDE), dtype=np.uint8)
    for thing, cover in zip(things, covers, strict=True):
        rows, columns, count = coverage(thing)
        cover[rows, columns] = count
        count = count.astype(np.int16)
        part = canvas[:, rows, columns]
        colour = PALETTE[COLOURS.index(thing.colour)][:, None, None]
        part[:] = (9 * part + count * (colour - part) + 4) // 9  # rounded to the nearest
    return canvas.astype(np.uint8), covers


def keypoints(things: Sequence[Thing]) -> np.ndarray:
    """Points with a fixed meaning per shape, so that they correspond between pictures.

    Returns:
        (n, 6, 3), float32: x, y, and whether it is there and no later object hides it. Slot 0 is the centre of the box;
        then corners from the top left (square), apex and lower corners (triangle), north, east, south, west (circle,
        ring, cross), tips clockwise from the top (star).
    """
    out = np.zeros((len(things), 6, 3), dtype=np.float32)
    for i, thing in enumerate(things):
        points = POINTS[thing.shape] @ _turn(thing.rot).T if thing.rot else POINTS[thing.shape]
        place = np.concatenate([np.zeros((1, 2)), points]) * thing.r + (thing.cx, thing.cy)
        hidden = np.zeros(len(place), dtype=bool)
        for later in things[i + 1 :]:
            hidden |= np.array([bool(inside(later.shape, *_local(later, p[:1], p[1:])).all()) for p in place])
        out[i, : len(place)] = np.concatenate([place, ~hidden[:, None]], 1)
    return out


def to_float(pixels: np.ndarray) -> Tensor:
    """uint8 pictures to float32 in [-1, 1], shape kept."""
    return torch.from_numpy(pixels).float().div_(127.5).sub_(1)


def to_uint8(images: Tensor) -> np.ndarray:
    """Pictures in [-1, 1] (clipped to it) to uint8, shape kept; the inverse of `to_float`."""
    return (
        ((validate.finite("images", images).detach().cpu() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
    )
