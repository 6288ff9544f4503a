"""Scenes: coloured shapes on a 32x32 canvas with everything true of them, captions, splits, and a reader of pictures.

Nothing is stored: scene i of a split is a function of the split's name and i. A share of colours and shapes is held
out from every training stream, so that composing them can be tested.
"""

from denoising.scenes.captions import (
    LENGTH,
    VOCABULARY,
    Caption,
    Named,
    compose,
    decode,
    encode,
    null_caption,
    paraphrase,
    parse,
)
from denoising.scenes.judge import attr_acc, bias, bind_acc, compose_acc, rel_acc, relation_seen
from denoising.scenes.knobs import BiasSpec, background_bias, colour_bias, conflict, rare, size_bias
from denoising.scenes.moving import Clip, Track, clip, clips, read_clip
from denoising.scenes.plans import HELD_OUT, HELD_OUT_SHAPES
from denoising.scenes.reader import Seen, read_background, read_scene, read_scenes
from denoising.scenes.splits import ATTRIBUTES, SPLITS, Scene, batch, make, scene
from denoising.scenes.world import BACKGROUNDS, COLOURS, RELATIONS, SHAPES, SIZES, Thing, relation_of, to_uint8

__all__ = [
    "ATTRIBUTES",
    "BACKGROUNDS",
    "COLOURS",
    "HELD_OUT",
    "HELD_OUT_SHAPES",
    "LENGTH",
    "RELATIONS",
    "SHAPES",
    "SIZES",
    "SPLITS",
    "VOCABULARY",
    "BiasSpec",
    "Caption",
    "Clip",
    "Named",
    "Scene",
    "Seen",
    "Thing",
    "Track",
    "attr_acc",
    "background_bias",
    "batch",
    "bias",
    "bind_acc",
    "clip",
    "clips",
    "colour_bias",
    "compose",
    "compose_acc",
    "conflict",
    "decode",
    "encode",
    "make",
    "null_caption",
    "paraphrase",
    "parse",
    "rare",
    "read_background",
    "read_clip",
    "read_scene",
    "read_scenes",
    "rel_acc",
    "relation_of",
    "relation_seen",
    "scene",
    "size_bias",
    "to_uint8",
]
