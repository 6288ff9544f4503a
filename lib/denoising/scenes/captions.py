"""Captions: a small grammar, a vocabulary of 64 tokens, and the way from the one to the other and back.

    caption := obj [MOTION SPEED] [(REL | "and") obj] ["on" BG]
    obj     := "a" [SIZE] [COLOUR] (SHAPE | "shape")

A word that a caption leaves out is `None` here: nothing is known about it.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import NamedTuple

import torch
from torch import Tensor

from denoising.scenes.world import BACKGROUNDS, COLOURS, RELATIONS, SHAPES, SIZES

__all__ = [
    "INVERSE",
    "LENGTH",
    "MOTIONS",
    "NULL",
    "PAD",
    "SPEEDS",
    "SYNONYMS",
    "VOCABULARY",
    "Caption",
    "Named",
    "compose",
    "decode",
    "drop",
    "encode",
    "null_caption",
    "paraphrase",
    "parse",
]

LENGTH = 12  # tokens, padded on the right
PAD, NULL = 0, 1
MOTIONS = ("moving_left", "moving_right", "moving_up", "moving_down")
SPEEDS = ("slow", "fast")
SYNONYMS = {
    "the": "a", "big": "large", "tiny": "small", "disc": "circle", "box": "square", "crimson": "red", "azure": "blue",
    "golden": "yellow", "violet": "purple", "over": "above", "under": "below", "beside": "and",
}  # fmt: skip
VOCABULARY = (
    "<pad>", "<null>", "a", "on", *SIZES, *COLOURS, *SHAPES, "shape", *RELATIONS, *BACKGROUNDS, "and", *MOTIONS,
    *SPEEDS, *SYNONYMS, *(f"<reserved{i}>" for i in range(10)), *(f"<new{i}>" for i in range(8)),
)  # fmt: skip
IDS = {word: i for i, word in enumerate(VOCABULARY) if not word.startswith(("<pad", "<reserved"))}
INVERSE = {"left_of": "right_of", "right_of": "left_of", "above": "below", "below": "above"}
KEEP_SIZE, DROP_COLOUR, HYPERNYM, KEEP_BACKGROUND, SWAP = 0.5, 0.15, 0.10, 0.5, 0.5
WHATS = {"size": SIZES, "colour": COLOURS, "shape": (*SHAPES, "shape")}
DRAWS = 8  # uniform numbers that `drop` takes


class Named(NamedTuple):
    """What a caption says of an object; `None` where it says nothing."""

    size: str | None = None
    colour: str | None = None
    shape: str | None = None


class Caption(NamedTuple):
    """What a caption says.

    Attributes:
        objects: none (the null caption), one or two.
        relation: of the first to the second; `None` if they are joined by "and" or there is one.
        background: word of `BACKGROUNDS`.
        motion, speed: of the first object.
    """

    objects: tuple[Named, ...]
    relation: str | None = None
    background: str | None = None
    motion: str | None = None
    speed: str | None = None


def compose(caption: Caption) -> str:
    """The text of a caption.

    Example:
        >>> compose(Caption((Named(colour="red"), Named("large", None, "star")), "above", "dark"))
        'a red shape above a large star on dark'
    """
    if not caption.objects:
        return "<null>"
    first, *rest = ([word for word in ("a", o.size, o.colour, o.shape or "shape") if word] for o in caption.objects)
    words = [*first, *([caption.motion, caption.speed] if caption.motion else [])]
    for other in rest:
        words += [caption.relation or "and", *other]
    return " ".join([*words, *(["on", caption.background] if caption.background else [])])


def parse(text: str) -> Caption:
    """What a text says; synonyms are read as the word they stand for.

    Raises:
        ValueError: naming the word that is unknown, out of place, or contradicts an earlier one.
    Example:
        >>> parse("a small circle left_of the azure box").objects[1]
        Named(size=None, colour='blue', shape='square')
    """
    words = [SYNONYMS.get(word, word) for word in _words(text)]
    if words == ["<null>"]:
        return Caption(())
    objects, relation, background, motion, speed = [], None, None, None, None
    at = 0

    def expect(known: Sequence[str], wish: str) -> str:
        nonlocal at
        if at >= len(words) or words[at] not in known:
            got = repr(words[at]) if at < len(words) else "the end"
            raise ValueError(f"caption: expected {wish} at word {at + 1} of {text!r}, got {got}")
        at += 1
        return words[at - 1]

    def one() -> Named:
        nonlocal at
        expect(("a",), "'a'")
        said: dict[str, str] = {}
        while at < len(words) and (kind := _kind(words[at])):
            if kind in said:
                raise ValueError(f"caption: {said[kind]!r} and {words[at]!r} contradict each other in {text!r}")
            if "shape" in said or (kind == "size" and "colour" in said):
                break
            said[kind] = words[at]
            at += 1
        if "shape" not in said:
            expect(WHATS["shape"], "a shape")
        return Named(said.get("size"), said.get("colour"), None if said["shape"] == "shape" else said["shape"])

    objects.append(one())
    if at < len(words) and words[at] in MOTIONS:
        motion, speed = expect(MOTIONS, "a motion"), expect(SPEEDS, "a speed")
    if at < len(words) and words[at] in (*RELATIONS, "and"):
        word = expect((*RELATIONS, "and"), "a relation")
        relation = None if word == "and" else word
        objects.append(one())
    if at < len(words) and words[at] == "on":
        expect(("on",), "'on'")
        background = expect(BACKGROUNDS, "a background")
    if at < len(words):
        raise ValueError(f"caption: expected the end at word {at + 1} of {text!r}, got {words[at]!r}")
    return Caption(tuple(objects), relation, background, motion, speed)


def _kind(word: str) -> str | None:
    return next((kind for kind, known in WHATS.items() if word in known), None)


def _words(text: str) -> list[str]:
    if not isinstance(text, str) or not text.split():
        raise ValueError(f"caption: expected words, got {text!r}")
    words = text.split()
    for word in words:
        if word not in IDS:
            near = get_close_matches(word, IDS, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"caption: unknown word {word!r} in {text!r}{hint}")
    return words


def encode(caption: str) -> Tensor:
    """Text to token ids, (12,), int64, padded with 0. Any order of known words will do, also those that no scene has.

    Raises:
        ValueError: naming an unknown word, or a length above 12.
    Example:
        >>> encode("a red circle").tolist()
        [2, 6, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    """
    words = _words(caption)
    if len(words) > LENGTH:
        raise ValueError(f"caption: expected at most {LENGTH} words, got {len(words)}: {caption!r}")
    return torch.tensor([IDS[word] for word in words] + [PAD] * (LENGTH - len(words)))


def decode(tokens: Tensor) -> str:
    """Token ids, (12,), to text without the padding."""
    if not isinstance(tokens, Tensor) or tokens.dtype != torch.int64 or tokens.shape != (LENGTH,):
        got = f"{tokens.dtype} of shape {tuple(tokens.shape)}" if isinstance(tokens, Tensor) else type(tokens).__name__
        raise ValueError(f"tokens: expected int64 of shape ({LENGTH},), got {got}")
    if tokens.min() < 0 or tokens.max() >= len(VOCABULARY):
        raise ValueError(f"tokens: expected ids in 0..{len(VOCABULARY) - 1}, got {tokens.tolist()}")
    return " ".join(VOCABULARY[i] for i in tokens.tolist() if i != PAD)


def null_caption() -> Tensor:
    """The caption that says nothing, (12,): one token `<null>`, so that attention has something to attend to."""
    return encode("<null>")


def paraphrase(caption: Caption) -> Caption:
    """The same pair told from the other object with the inverse relation; a caption of one object is returned as is."""
    if len(caption.objects) < 2 or caption.motion:
        return caption
    relation = INVERSE[caption.relation] if caption.relation else None
    return caption._replace(objects=caption.objects[::-1], relation=relation)


def drop(caption: Caption, u: Sequence[float], *, keep: Sequence[str] = (), omit: Sequence[str] = ()) -> Caption:
    """Leave out words as in training: sizes kept 50 %, colours dropped 15 %, shapes made "shape" 10 %, background 50 %,
    and half of the pairs told from the other object.

    Args:
        caption: the full one.
        u: eight numbers, uniform in [0, 1), that decide: swap, three for each object, background.
        keep: kinds of word ("size", "colour", "shape") that are never dropped.
        omit: kinds ("size", "colour", "shape", "background") that are never said.
    """
    objects = []
    for thing, (size, colour, shape) in zip(caption.objects, (u[1:4], u[4:7]), strict=False):
        gone = {"size": size >= KEEP_SIZE, "colour": colour < DROP_COLOUR, "shape": shape < HYPERNYM}
        gone = {kind: (lost and kind not in keep) or kind in omit for kind, lost in gone.items()}
        objects.append(Named(*(None if gone[kind] else getattr(thing, kind) for kind in Named._fields)))
    said = None if u[7] >= KEEP_BACKGROUND or "background" in omit else caption.background
    told = caption._replace(objects=tuple(objects), background=said)
    return paraphrase(told) if u[0] < SWAP else told
