"""The rules for library and repository, tried on planted violations."""

import pytest

import lint_library
import lint_tree

GOOD = {
    "denoising": '"""The package."""\n',
    "denoising.rng": '"""Numbers."""\n__all__ = ["f"]\n\ndef f(x: int) -> int:\n    """One line."""\n    return x\n',
    "denoising.samplers": '"""Samplers."""\nfrom denoising import rng\nfrom denoising.rng import f\n__all__ = []\n',
}
HEAD = '"""Words."""\n__all__ = []\n'


@pytest.mark.parametrize("rule", lint_library.RULES, ids=lambda rule: rule.__name__)
def test_good_library(rule):
    assert rule(GOOD) == []


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    [
        ("floors", "denoising.rng", HEAD + "from denoising.samplers import f\n"),
        ("floors", "denoising.rng", HEAD + "from denoising import samplers\n"),
        ("floors", "denoising.rng", HEAD + "from .samplers import f\n"),
        ("floors", "denoising.rng", HEAD + "def f():\n    import denoising.samplers\n"),
        ("floors", "denoising.novel", HEAD),
        ("cycles", "denoising.rng", HEAD + "from denoising.samplers import f\n"),
        ("form", "denoising.rng", HEAD + "x = 1\n" * 300),
        ("form", "denoising.rng", '"""Words."""\nx = 1\n'),
        ("form", "denoising.rng", "__all__ = []\n"),
        ("form", "denoising.rng", HEAD + "print(1)\n"),
        ("form", "denoising.rng", HEAD + "for i in []:\n    pass\n"),
        ("form", "denoising.rng", HEAD + "from math import *\n"),
        ("form", "denoising.rng", HEAD + "def f():\n    import requests\n"),
        ("form", "denoising.rng", HEAD + "def f(x):\n    assert x\n"),
        ("form", "denoising.rng", HEAD + "import sys\nx = sys.path\n"),
        ("public", "denoising.rng", '"""W."""\n__all__ = ["f"]\ndef f(x: int) -> int:\n    return x\n'),
        ("public", "denoising.rng", '"""W."""\n__all__ = ["f"]\ndef f(x) -> int:\n    """W."""\n'),
        ("public", "denoising.rng", '"""W."""\n__all__ = ["f"]\ndef f(x: int):\n    """W."""\n'),
    ],
)
def test_planted_in_the_library(rule, name, source):
    assert getattr(lint_library, rule)(GOOD | {name: source})


def test_imports_for_types_only_are_free():
    source = HEAD + "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from denoising.samplers import f\n"
    assert lint_library.floors(GOOD | {"denoising.rng": source}) == []


TREE = {
    "README.md": b"See https://example.org/home/x and notebooks.",
    "notebooks/1-ddpm/1.1-forward.ipynb": b'{"cells": []}',
    "tests/timings.json": b'{"1-ddpm/1.1-forward.ipynb": {}}',
}


@pytest.mark.parametrize("rule", lint_tree.RULES, ids=lambda rule: rule.__name__)
def test_good_tree(rule):
    assert rule(TREE) == []


@pytest.mark.parametrize(
    ("rule", "name", "content"),
    [
        ("size", "data/x.npy", bytes(61 * 2**20)),
        ("size", "notebooks/1-ddpm/1.2-x.ipynb", bytes(13 * 10**6)),
        ("places", "README.md", b"in /hom" + b"e/somebody/course"),
        ("places", "README.md", b"'/roo" + b"t/x'"),
        ("places", "README.md", b"from https://pyp" + b"i.org/simple"),
        ("places", "a.ipynb", b'{"cells": [{"source": ["/Use' + b'rs/x"]}]}'),
        ("notebook_names", "notebooks/1-ddpm/2.1-x.ipynb", b""),
        ("notebook_names", "notebooks/1-ddpm/1.1-Upper.ipynb", b""),
        ("notebook_names", "notebooks/timings.json", b""),
        ("timings_table", "tests/timings.json", b'{"gone.ipynb": {}}'),
        ("one_settings_file", "pytest.ini", b""),
    ],
)
def test_planted_in_the_tree(rule, name, content):
    assert getattr(lint_tree, rule)(TREE | {name: content})


def test_pictures_are_not_read_as_text():
    picture = b'{"cells": [{"source": [], "outputs": [{"data": {"image/png": "aa+/roo' + b't/xx"}}]}]}'
    assert lint_tree.places({"a.ipynb": picture}) == []
