"""Moving scenes: eight frames in which one object crosses the canvas, and how to read such a clip."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from denoising import validate
from denoising.scenes.captions import DRAWS, LENGTH, MOTIONS, SPEEDS, compose, drop, encode
from denoising.scenes.draws import Draws, apart, span
from denoising.scenes.plans import Plan, base
from denoising.scenes.reader import read_scene
from denoising.scenes.splits import NULL_RATE, checked
from denoising.scenes.world import SIDE, Thing, paint, to_float

__all__ = ["FRAMES", "MOVING", "RATES", "Clip", "Track", "clip", "clips", "read_clip"]

FRAMES = 8
MOVING = 2000  # clips
RATES = {"slow": 0.6, "fast": 1.6}  # pixels per frame
WAYS = {"moving_left": (-1, 0), "moving_right": (1, 0), "moving_up": (0, -1), "moving_down": (0, 1)}
FREE = 4  # steps before the first reflection at the earliest, more than half of the seven
SEED = 4


@dataclass(frozen=True)
class Clip:
    """Eight frames and everything true of them. Object k is the same in every frame; the first one moves.

    Attributes:
        frames: (8, 3, 32, 32), float32, in [-1, 1].
        objects: as in the first frame, with their velocities.
        background: word of `BACKGROUNDS`; it stands still.
        caption_ids: (12,), int64.
        caption_text: its motion words belong to the first object and name its velocity in the first frame.
        relation: in the first frame, or `None`.
        tracks: centres, (8, n, 2), x and y, pixels.
        velocities: from each frame to the next, (8, n, 2), pixels; of the last frame, where it would go on.
        boxes: (8, n, 4), left, top, right, bottom.
        masks: share of each pixel, (8, n, 32, 32), in [0, 1].
        flow: velocity of the object that fills most of a pixel, 0 on the background, (8, 2, 32, 32).
        index: of the clip.
    """

    frames: Tensor
    objects: tuple[Thing, ...]
    background: str
    caption_ids: Tensor
    caption_text: str
    relation: str | None
    tracks: Tensor
    velocities: Tensor
    boxes: Tensor
    masks: Tensor
    flow: Tensor
    index: int


@dataclass(frozen=True)
class Track:
    """What a clip was read to show of one object.

    Attributes:
        shape, colour: those read most often.
        motion, speed: the nearest words to the fitted line, `None` if it stands still.
        velocity: slope of the fitted line, x and y, pixels per frame.
        residual: root mean square distance of the centres from the line, pixels.
        constancy: share of all frames in which it was found with its usual colour and shape, 0 to 1.
    """

    shape: str
    colour: str
    motion: str | None
    speed: str | None
    velocity: tuple[float, float]
    residual: float
    constancy: float


def _go(thing: Thing) -> list[Thing]:
    """One object in every frame. It turns round before a step that would leave the canvas, so every step is whole."""
    x0, x1, y0, y1 = span(thing)
    steps = []
    for _ in range(FRAMES):
        if not x0 <= thing.cx + thing.vx <= x1:
            thing = thing._replace(vx=-thing.vx)
        if not y0 <= thing.cy + thing.vy <= y1:
            thing = thing._replace(vy=-thing.vy)
        steps.append(thing)
        thing = thing._replace(cx=thing.cx + thing.vx, cy=thing.cy + thing.vy)
    return steps


def _draw(index: int) -> tuple[Plan, str, str, list[tuple[Thing, ...]]]:
    """A base scene whose first object is set moving, again until nothing ever touches and it turns round late."""
    draw = Draws("moving", SEED, index)
    while True:
        made = base(draw, index)
        motion, speed = draw.pick(MOTIONS), draw.pick(SPEEDS)
        (x, y), rate = WAYS[motion], RATES[speed]
        first = made.things[0]._replace(vx=x * rate, vy=y * rate)
        ways = [_go(thing) for thing in (first, *made.things[1:])]
        frames = list(zip(*ways, strict=True))
        straight = all(step.vx == first.vx and step.vy == first.vy for step in ways[0][:FREE])
        if straight and all(len(things) < 2 or apart(*things) for things in frames):
            return made._replace(things=frames[0]), motion, speed, frames


def _text(made: Plan, motion: str, speed: str, u: Sequence[float] | None) -> str:
    full = made.caption._replace(motion=motion, speed=speed)
    u = (1.0, *(0.0, 1.0, 1.0) * 2, 0.0) if u is None else u
    return compose(drop(full, u, omit=("size",)))  # with sizes, 13 words would be possible


def clip(index: int) -> Clip:
    """Clip `index`, 0 to 1999. Its caption leaves words out like those of still scenes, and never names a size.

    Raises:
        ValueError: for an index out of range.
    """
    index = checked(index, MOVING, "moving")
    made, motion, speed, frames = _draw(index)
    painted = [paint(things, made.background, made.phase) for things in frames]
    covers = np.stack([covers for _, covers in painted])  # (8, n, 32, 32)
    velocities = np.array([[(one.vx, one.vy) for one in things] for things in frames], dtype=np.float32)
    flow = np.zeros((FRAMES, 2, SIDE, SIDE), dtype=np.float32)
    for k in range(covers.shape[1]):  # nothing overlaps, so the order does not matter
        flow += (covers[:, k, None] > 4) * velocities[:, k, :, None, None]
    text = _text(made, motion, speed, made.u)
    return Clip(
        frames=to_float(np.stack([canvas for canvas, _ in painted])),
        objects=made.things,
        background=made.background,
        caption_ids=encode(text),
        caption_text=text,
        relation=made.relation,
        tracks=torch.tensor([[(one.cx, one.cy) for one in things] for things in frames]),
        velocities=torch.from_numpy(velocities),
        boxes=torch.tensor([[one.box for one in things] for things in frames]),
        masks=torch.from_numpy(covers).float() / 9,
        flow=torch.from_numpy(flow),
        index=index,
    )


def clips(
    indices: Iterable[int],
    *,
    generator: torch.Generator | None = None,
    dropping: bool = True,
    null: float = NULL_RATE,
) -> tuple[Tensor, Tensor]:
    """Frames (N, 8, 3, 32, 32) and token ids (N, 12) of many clips; arguments as of `batch`."""
    validate.number("null", null, lo=0, hi=1)
    made = [_draw(checked(i, MOVING, "moving")) for i in (indices.tolist() if isinstance(indices, Tensor) else indices)]
    if not made:
        raise ValueError("indices: expected at least one, got none")
    frames = np.empty((len(made), FRAMES, 3, SIDE, SIDE), dtype=np.uint8)
    tokens = torch.empty((len(made), LENGTH), dtype=torch.int64)
    for i, (one, motion, speed, steps) in enumerate(made):
        u = one.u if generator is None else torch.rand(DRAWS + 1, generator=generator, dtype=torch.float64).tolist()
        for frame, things in zip(frames[i], steps, strict=True):
            frame[:] = paint(things, one.background, one.phase)[0]
        hidden = dropping and u[DRAWS] < null
        tokens[i] = encode("<null>" if hidden else _text(one, motion, speed, u if dropping else None))
    return to_float(frames), tokens


def read_clip(frames: Tensor) -> list[Track]:
    """The objects of a clip by reading each frame, joining each reading to the nearest of the frame before.

    Args:
        frames: (T, 3, 32, 32), T at least 2, in [-1, 1].
    Returns:
        one track for each object of the first frame that is found in half of the frames at least.
    Raises:
        ValueError: for another shape or values that are not finite.
    """
    validate.finite("frames", frames, ndim=4)
    if len(frames) < 2:
        raise ValueError(f"frames: expected at least 2, got {len(frames)}")
    readings = [read_scene(frame) for frame in frames]
    chains = [[(0, one)] for one in readings[0]]
    for t, seen in enumerate(readings[1:], 1):
        left = list(seen)
        for chain in chains:
            last = chain[-1][1]
            # a step of the world is at most 1.6 pixels; allow twice that for soft edges
            near = [one for one in left if max(abs(one.cx - last.cx), abs(one.cy - last.cy)) <= 2 * RATES["fast"]]
            if near:
                one = min(near, key=lambda one: (one.cx - last.cx) ** 2 + (one.cy - last.cy) ** 2)
                left.remove(one)
                chain.append((t, one))
    return [_line(chain, len(frames)) for chain in chains if len(chain) >= max(2, len(frames) / 2)]


def _line(chain: list, count: int) -> Track:
    time = np.array([t for t, _ in chain], dtype=float)
    centres = np.array([(one.cx, one.cy) for _, one in chain])
    slope, start = np.polyfit(time, centres, 1)
    residual = float(np.sqrt(((centres - start - time[:, None] * slope) ** 2).sum(1).mean()))
    looks = [(one.shape, one.colour) for _, one in chain]
    usual = max(dict.fromkeys(looks), key=looks.count)
    rate = float(np.hypot(*slope))
    moves = rate > RATES["slow"] / 2
    motion = max(MOTIONS, key=lambda word: float(np.dot(WAYS[word], slope))) if moves else None
    speed = min(SPEEDS, key=lambda word: abs(RATES[word] - rate)) if moves else None
    return Track(*usual, motion, speed, (float(slope[0]), float(slope[1])), residual, looks.count(usual) / count)
