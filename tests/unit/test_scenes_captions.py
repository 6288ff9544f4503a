"""Captions of scenes: vocabulary, grammar, dropping, errors."""

import pytest
import torch

from denoising import scenes
from denoising.scenes import captions
from denoising.scenes.captions import Caption, Named


def test_the_vocabulary_is_the_published_one():
    assert len(scenes.VOCABULARY) == 64 and len(set(scenes.VOCABULARY)) == 64
    places = {
        "<pad>": 0, "<null>": 1, "a": 2, "on": 3, "small": 4, "large": 5, "red": 6, "white": 12, "circle": 13,
        "star": 18, "shape": 19, "left_of": 20, "below": 23, "dark": 24, "striped": 26, "and": 27, "moving_left": 28,
        "moving_down": 31, "slow": 32, "fast": 33, "the": 34, "beside": 45, "<new0>": 56, "<new7>": 63,
    }  # fmt: skip
    assert {word: scenes.VOCABULARY.index(word) for word in places} == places
    assert [scenes.VOCABULARY[i] for i in range(34, 46)] == (
        ["the", "big", "tiny", "disc", "box", "crimson", "azure", "golden", "violet", "over", "under", "beside"]
    )


def test_text_to_tokens_and_back():
    text = "a small red circle left_of a large blue square on striped"
    tokens = scenes.encode(text)
    assert tokens.tolist() == [2, 4, 6, 13, 20, 2, 5, 8, 14, 3, 26, 0] and tokens.dtype == torch.int64
    assert scenes.decode(tokens) == text
    assert scenes.null_caption().tolist() == [1] + [0] * 11 and scenes.parse("<null>") == Caption(())
    assert scenes.encode("a <new0> shape").tolist()[:3] == [2, 56, 19]


def test_parse_gives_objects_and_relation_back():
    assert scenes.parse("a circle above a red shape on dark") == Caption(
        (Named(shape="circle"), Named(colour="red")), "above", "dark"
    )
    assert scenes.parse("a red circle moving_up slow and a blue ring") == Caption(
        (Named(None, "red", "circle"), Named(None, "blue", "ring")), None, None, "moving_up", "slow"
    )
    assert scenes.parse("the crimson disc over a golden box") == scenes.parse("a red circle above a yellow square")


@pytest.mark.parametrize(
    "text, message",
    [
        ("a red cirkle", r"unknown word 'cirkle' in 'a red cirkle' \(did you mean 'circle'\?\)"),
        ("a <reserved0> circle", "unknown word '<reserved0>'"),
        ("a <pad> circle", "unknown word '<pad>'"),
        ("", "expected words, got ''"),
        (3, "expected words, got 3"),
    ],
)
def test_unknown_words_are_named(text, message):
    for function in (scenes.encode, scenes.parse):
        with pytest.raises(ValueError, match=f"^caption: {message}"):
            function(text)


def test_a_long_caption_is_named():
    with pytest.raises(ValueError, match=r"^caption: expected at most 12 words, got 13"):
        scenes.encode(" ".join(["a"] * 13))
    assert scenes.encode(" ".join(["a"] * 12)).tolist() == [2] * 12


@pytest.mark.parametrize(
    "text, message",
    [
        ("a red blue circle", "'red' and 'blue' contradict each other"),
        ("a small large circle", "'small' and 'large' contradict each other"),
        ("a circle square", "'circle' and 'square' contradict each other"),
        ("a star shape", "'star' and 'shape' contradict each other"),
        ("a red", "expected a shape at word 3 of 'a red', got the end"),
        ("a red small circle", "expected a shape at word 3 .* got 'small'"),
        ("red circle", "expected 'a' at word 1"),
        ("a circle on", "expected a background at word 4"),
        ("a circle on dark light", "expected the end at word 5 .* got 'light'"),
        ("a circle left_of", "expected 'a' at word 4"),
        ("a circle moving_left on dark", "expected a speed at word 4"),
        ("a circle left_of a ring above a star", "expected the end at word 6 .* got 'above'"),
        ("a <new0> circle", "expected a shape at word 2 .* got '<new0>'"),
    ],
)
def test_what_contradicts_or_breaks_the_grammar_is_named(text, message):
    with pytest.raises(ValueError, match=f"^caption: {message}"):
        scenes.parse(text)


def test_bad_tokens_are_named():
    for tokens in (torch.zeros(11, dtype=torch.int64), torch.zeros(12), [0] * 12):
        with pytest.raises(ValueError, match=r"^tokens: expected int64 of shape \(12,\), got"):
            scenes.decode(tokens)
    with pytest.raises(ValueError, match=r"^tokens: expected ids in 0..63"):
        scenes.decode(torch.full((12,), 64))


FULL = scenes.parse("a small red circle left_of a large blue square on dark")


def test_each_number_drops_its_word():
    nothing = [1.0, 0, 1, 1, 0, 1, 1, 0]

    def with_(i, value):
        return scenes.compose(captions.drop(FULL, [*nothing[:i], value, *nothing[i + 1 :]]))

    assert captions.drop(FULL, nothing) == FULL
    assert with_(0, 0.49) == "a large blue square right_of a small red circle on dark" and with_(0, 0.5)[2:7] == "small"
    assert with_(1, 0.5) == "a red circle left_of a large blue square on dark" and "small" in with_(1, 0.49)
    assert with_(2, 0.149) == "a small circle left_of a large blue square on dark" and "red" in with_(2, 0.15)
    assert with_(3, 0.099) == "a small red shape left_of a large blue square on dark" and "circle" in with_(3, 0.1)
    assert "large" not in with_(4, 0.5) and "blue" not in with_(5, 0.1) and "square" not in with_(6, 0.05)
    assert "dark" not in with_(7, 0.5) and "dark" in with_(7, 0.49)
    least = captions.drop(FULL, [1, 1, 0, 0, 1, 0, 0, 1])
    assert scenes.compose(least) == "a shape left_of a shape"
    assert captions.drop(FULL, [1, 1, 0, 0, 1, 0, 0, 1], keep=("colour", "shape")).objects[1] == Named(
        None, "blue", "square"
    )
    assert captions.drop(FULL, nothing, omit=("background", "size")).objects[0] == Named(None, "red", "circle")


def test_a_paraphrase_says_the_same():
    other = scenes.paraphrase(FULL)
    assert scenes.compose(other) == "a large blue square right_of a small red circle on dark"
    assert scenes.paraphrase(other) == FULL
    alone = scenes.parse("a red circle")
    assert scenes.paraphrase(alone) == alone
    moving = scenes.parse("a red circle moving_left slow above a ring")
    assert scenes.paraphrase(moving) == moving  # the motion is the first object's
