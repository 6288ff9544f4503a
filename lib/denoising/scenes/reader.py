"""Reading a picture without any training: find what is not background, name its colour, fit each shape, measure.

A pixel on the rim of an object is a mixture of two colours, so each pixel is read as ground + a (colour - ground), with
the colour that fits best and the share a of the object in it. Components of a > 1/2 are objects; the shape is the
one of all shapes, at every place and size near the component's box, that the shares resemble most.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from torch import Tensor

from denoising import validate
from denoising.scenes.world import BACKGROUNDS, BAR, COLOURS, PALETTE, SHAPES, SIDE, Thing, coverage, ground

__all__ = ["Seen", "read_background", "read_scene", "read_scenes"]

AREA = 8  # pixels that an object has at least
FIT = 0.6  # intersection over union that a shape reaches at least
STRANGE = 0.25  # a border that misses every background by more (root mean square, of 1) has none
HALF = 10  # half the side of the window in which shapes are fitted
PLACES = np.arange(-2, 5) / 4  # of a template's centre along each axis, pixels
RADII = np.arange(2.5, 8.51, 0.25)
THRESHOLDS = (0.5, 0.7, 0.85)  # a stricter one parts objects that a soft one has joined


class Seen(NamedTuple):
    """An object in a picture, as in `Thing`; `fit` is the intersection over union with its template, 0 to 1."""

    shape: str
    colour: str
    cx: float
    cy: float
    r: float
    fit: float


class _Ground(NamedTuple):
    name: str
    rgb: np.ndarray  # (3, 32, 32), in [0, 1]
    ways: np.ndarray  # from the ground to each colour, (7, 3, 32, 32)
    squares: np.ndarray  # their squared lengths, (7, 32, 32)


@cache
def _grounds() -> list[_Ground]:
    found = []
    for name in BACKGROUNDS:
        for phase in range(2 * BAR if name == "striped" else 1):
            rgb = ground(name, phase) / 255.0
            ways = PALETTE[:, :, None, None] / 255.0 - rgb
            found.append(_Ground(name, rgb, ways, (ways**2).sum(1)))
    return found


@cache
def _border() -> np.ndarray:
    """The outermost pixels, which no object of the world touches."""
    rim = np.ones((SIDE, SIDE), dtype=bool)
    rim[1:-1, 1:-1] = False
    return rim


@cache
def _rims() -> np.ndarray:
    return np.stack([one.rgb[:, _border()] for one in _grounds()])  # (10, 3, 124)


@cache
def _templates() -> np.ndarray:
    """Shares of every shape at every place (y, x) and size, (7, 7, radii, 6, 20 * 20)."""
    size = 2 * HALF
    bank = np.zeros((len(PLACES), len(PLACES), len(RADII), len(SHAPES), size, size), dtype=np.float32)
    for i, y in enumerate(PLACES.tolist()):
        for j, x in enumerate(PLACES.tolist()):
            for k, r in enumerate(RADII.tolist()):
                for s, shape in enumerate(SHAPES):
                    place = (HALF + x, HALF + y)
                    rows, columns, count = coverage(Thing(shape, "white", "small", *place, r))
                    bank[i, j, k, s, rows, columns] = count / 9
    return bank.reshape(*bank.shape[:4], -1)


def _pixels(image: Tensor) -> np.ndarray:
    validate.finite("image", image)
    if image.shape != (3, SIDE, SIDE):
        raise ValueError(f"image: expected shape (3, {SIDE}, {SIDE}), got {tuple(image.shape)}")
    return (image.detach().cpu().double().numpy() + 1) / 2


def _ground_of(pixels: np.ndarray) -> _Ground | None:
    errors = ((pixels[:, _border()] - _rims()) ** 2).mean(1)  # (10, 124)
    # an object that leaves the canvas hides a part of the border; half of it is dark on stripes, so a median would tie
    usual = np.sort(errors, axis=1)[:, : 3 * errors.shape[1] // 4].mean(1)
    best = int(usual.argmin())
    return _grounds()[best] if usual[best] <= STRANGE**2 else None


def read_background(image: Tensor) -> str | None:
    """The background of a picture, (3, 32, 32) in [-1, 1], by its border; `None` if it is like none of them."""
    found = _ground_of(_pixels(image))
    return found and found.name


def read_scene(image: Tensor) -> list[Seen]:
    """What a picture shows.

    Args:
        image: (3, 32, 32), float, in [-1, 1].
    Returns:
        its objects from left to right; an empty list if there is none that has a colour and a shape of the world.
    Raises:
        ValueError: for another shape or a value that is not finite.
    """
    pixels = _pixels(image)
    found = _ground_of(pixels)
    if found is None:
        return []
    off = pixels - found.rgb
    share = np.clip(np.einsum("chw,kchw->khw", off, found.ways) / found.squares, 0, 1.2)  # (7, 32, 32)
    miss = ((off - share[:, None] * found.ways) ** 2).sum(1)
    best = miss.argmin(0)
    filled = np.take_along_axis(share, best[None], 0)[0]
    seen: list[Seen] = []
    _look(np.ones((SIDE, SIDE), dtype=bool), 0, share, miss, best, filled, seen)
    return sorted(seen, key=lambda one: one.cx)


def _look(
    where: np.ndarray,
    level: int,
    share: np.ndarray,
    miss: np.ndarray,
    best: np.ndarray,
    filled: np.ndarray,
    seen: list[Seen],
) -> None:
    """Add the objects in `where`; a part that fits no shape is parted by colour, or by a stricter threshold."""
    from scipy.ndimage import label

    parts, n = label(where & (filled > THRESHOLDS[level]), structure=np.ones((3, 3)))
    for number in range(1, n + 1):
        part = parts == number
        if part.sum() < AREA:
            continue
        colour = int(miss[:, part].sum(1).argmin())
        one = _fit(part, COLOURS[colour], share[colour])
        colours = [k for k in range(len(COLOURS)) if (part & (best == k)).sum() >= max(AREA, 0.2 * part.sum())]
        if one and (one.fit >= 0.75 or len(colours) < 2):
            seen.append(one)
        elif len(colours) > 1:
            for k in colours:
                _look(part & (best == k), level, share, miss, best, filled, seen)
        elif level + 1 < len(THRESHOLDS):
            _look(part, level + 1, share, miss, best, filled, seen)


def _fit(part: np.ndarray, colour: str, share: np.ndarray) -> Seen | None:
    """The shape that a component resembles most, or `None`."""
    from scipy.ndimage import binary_dilation

    rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    cy, cx = (rows[0] + rows[-1] + 1) / 2, (columns[0] + columns[-1] + 1) / 2
    r = max(rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1) / 2
    y0, x0 = int(cy) - HALF, int(cx) - HALF
    near = np.where(binary_dilation(part, np.ones((3, 3))), np.clip(share, 0, 1), 0)
    window = np.pad(near, HALF)[y0 + HALF : y0 + 3 * HALF, x0 + HALF : x0 + 3 * HALF].ravel().astype(np.float32)
    # half a pixel around the centre of the box, whose sides the threshold rounds to whole pixels
    i, j = (np.flatnonzero(np.abs(PLACES - (c - int(c))) <= 0.5) for c in (cy, cx))
    k = np.flatnonzero(np.abs(RADII - r) <= 1)
    if not len(k):
        return None
    templates = _templates()[np.ix_(i, j, k)]  # (I, J, K, 6, 400)
    both = np.minimum(templates, window).sum(-1)
    fit = both / (templates.sum(-1) + window.sum() - both)
    a, b, c, s = np.unravel_index(int(fit.argmax()), fit.shape)
    if fit[a, b, c, s] < FIT:
        return None
    x, y = x0 + HALF + PLACES[j[b]], y0 + HALF + PLACES[i[a]]
    return Seen(SHAPES[s], colour, float(x), float(y), float(RADII[k[c]]), float(fit[a, b, c, s]))


def read_scenes(images: Tensor) -> list[list[Seen]]:
    """`read_scene` of each picture of a batch, (N, 3, 32, 32)."""
    validate.finite("images", images, ndim=4)
    return [read_scene(image) for image in images]
