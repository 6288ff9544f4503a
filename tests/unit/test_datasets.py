"""Shipped data: what the blocks are, and what a damaged folder says."""

import hashlib
import io
import json
import lzma
import shutil

import numpy as np
import pytest
import torch

from denoising import datasets

SIZES = {"fashion-G": 20_000, "fashion-C": 10_000, "fashion-T": 5_000}


def arrays():
    """Every tracked array as it lies in its file, by its path."""
    found = {}
    for file in datasets.manifest()["data"]:
        packed = (datasets.data_root() / file).read_bytes()
        found[file] = packed, np.load(io.BytesIO(lzma.decompress(packed)), allow_pickle=False)
    return found


def test_files_are_what_the_manifest_says_and_blocks_are_disjoint():
    found, seen = arrays(), []
    assert len(found) == 6
    for file, (packed, array) in found.items():
        entry = datasets.manifest()["data"][file]
        assert hashlib.sha256(packed).hexdigest() == entry["sha256"] and len(packed) == entry["bytes"]
        assert hashlib.sha256(array.tobytes()).hexdigest() == entry["array_sha256"]
        assert list(array.shape) == entry["shape"] and str(array.dtype) == entry["dtype"] == "uint8"
        assert {"licence", "made_by", "source", "source_sha256", "split", "use"} <= set(entry)
        if "images" in file:
            seen += [image.tobytes() for image in array]
    assert len(seen) == 35_000 and len(set(seen)) == 35_000  # bytes: no picture stands twice, within or across blocks


@pytest.mark.parametrize("name", SIZES)
def test_blocks_are_balanced_and_padded(name):
    images = datasets.load(name)
    assert len(images) == SIZES[name] and images.x.shape == (SIZES[name], 1, 32, 32)
    assert images.x.dtype == torch.float32 and images.y.dtype == torch.int64
    assert images.x.min() == -1 and images.x.max() == 1
    assert torch.bincount(images.y).tolist() == [SIZES[name] // 10] * 10
    assert len(images.classes) == 10 and images.classes[1] == "trouser" and images.classes[9] == "ankle boot"
    border = images.x.clone()
    border[:, :, 2:-2, 2:-2] = -1
    assert (border == -1).all() and (images.x[:, :, 2:-2, 2:-2] > -1).any(0).float().mean() > 0.99


def test_labels_belong_to_their_pictures():
    # trousers are narrow and bags are wide: means of the classes differ in the expected way
    images = datasets.load("fashion-T")
    ink = ((images.x > -0.5).float().flatten(2).sum(2)[:, 0] / 784, (images.x > -0.5).float().amax((1, 2)).mean(1))
    by_class = [[float(value[images.y == c].mean()) for c in range(10)] for value in ink]
    assert min(by_class[1]) == by_class[1][1]  # the trouser covers the fewest columns
    assert sorted(range(10), key=lambda c: by_class[0][c])[0] in (1, 5)  # with the sandal, the least ink


def test_digits():
    digits = datasets.load("digits")
    assert digits.x.shape == (1797, 1, 8, 8) and digits.x.min() == -1 and digits.x.max() == 1
    assert digits.classes == tuple("0123456789") and torch.bincount(digits.y).min() > 170


def test_an_unknown_name_gets_a_hint():
    with pytest.raises(ValueError, match=r"^name: expected one of .*; got 'fashion-g' \(did you mean 'fashion-G'\?\)"):
        datasets.load("fashion-g")


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A folder `data/` with block T alone, and the library looking at it."""
    (tmp_path / "fashion").mkdir()
    for file in ("MANIFEST.json", "fashion/T-images.npy.xz", "fashion/T-labels.npy.xz"):
        shutil.copy(datasets.data_root() / file, tmp_path / file)
    monkeypatch.setattr(datasets, "data_root", lambda: tmp_path)
    assert len(datasets.load("fashion-T")) == 5000
    return tmp_path


def flipped(data):
    return data[:1000] + bytes([data[1000] ^ 1]) + data[1001:]


@pytest.mark.parametrize("damage", [lambda data: data[:-1], flipped, lambda data: b""])
@pytest.mark.parametrize("kind", ["images", "labels"])
def test_a_damaged_file_is_named_with_its_remedy(copy, kind, damage):
    path = copy / f"fashion/T-{kind}.npy.xz"
    path.write_bytes(damage(path.read_bytes()))
    remedy = f"restore it with `git checkout -- data/fashion/T-{kind}.npy.xz`"
    with pytest.raises(ValueError, match=rf"T-{kind}.npy.xz: expected sha256 .*{remedy}"):
        datasets.load("fashion-T")
    path.unlink()
    with pytest.raises(FileNotFoundError, match=rf"T-{kind}.npy.xz: file is missing; {remedy}"):
        datasets.load("fashion-T")


def test_swapped_files_are_named(copy):
    shutil.copy(copy / "fashion/T-labels.npy.xz", copy / "fashion/T-images.npy.xz")
    with pytest.raises(ValueError, match="T-images"):
        datasets.load("fashion-T")


def test_a_damaged_manifest_is_named_with_its_remedy(copy):
    path = copy / "MANIFEST.json"
    text = path.read_text()
    entries = json.loads(text)
    del entries["data"]["fashion/T-labels.npy.xz"]
    for content in (text[: len(text) // 2].encode(), b"", b"\xff\xfe", json.dumps(entries).encode(), b"{}"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"MANIFEST.json: expected .* `git checkout -- data/MANIFEST.json`"):
            datasets.load("fashion-T")
    path.unlink()
    with pytest.raises(
        FileNotFoundError, match=r"MANIFEST.json: file is missing; .* `git checkout -- data/MANIFEST.json`"
    ):
        datasets.load("fashion-T")
