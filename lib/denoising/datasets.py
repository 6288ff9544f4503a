"""Shipped real data by name. Nothing is downloaded; a damaged file is named together with its remedy."""

import hashlib
import io
import json
import lzma
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from denoising import validate

__all__ = ["CLASSES", "Images", "data_root", "load", "manifest", "recorded", "verify"]

CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
BLOCKS = {"fashion-G": "G", "fashion-C": "C", "fashion-T": "T"}


@dataclass(frozen=True)
class Images:
    """A labelled set of pictures.

    Attributes:
        x: pictures, (N, 1, H, W), float32 in [-1, 1].
        y: labels, (N,), int64.
        classes: name of each label.
    """

    x: Tensor
    y: Tensor
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.x)


@cache
def data_root() -> Path:
    """The `data/` folder beside the library.

    Raises:
        FileNotFoundError: if the package was installed without it.
    """
    root = Path(__file__).resolve().parents[2] / "data"
    if not (root / "MANIFEST.json").is_file():
        raise FileNotFoundError(
            f"{root / 'MANIFEST.json'} is missing: install with `pip install -e .` from a full clone"
        )
    return root


def manifest() -> dict:
    """The parsed data/MANIFEST.json: sha256, size, source and licence of every shipped file."""
    path = data_root() / "MANIFEST.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: file is missing; {_remedy(path)}") from None
    except ValueError as error:  # of json and of utf-8
        raise ValueError(f"{path}: expected JSON, got something else ({error}); {_remedy(path)}") from None


def recorded(section: str, key: str) -> dict:
    """The manifest's entry `key` of `section`.

    Raises:
        ValueError: if there is none.
    """
    path = data_root() / "MANIFEST.json"
    try:
        return manifest()[section][key]
    except KeyError:
        raise ValueError(f"{path}: expected an entry {key!r} under {section!r}, got none; {_remedy(path)}") from None


def _remedy(path: Path) -> str:
    return f"restore it with `git checkout -- data/{path.relative_to(data_root()).as_posix()}`"


def verify(path: Path, sha256: str) -> bytes:
    """Read a tracked file and compare its hash.

    Args:
        path: the file, inside `data/`.
        sha256: what data/MANIFEST.json says.
    Returns:
        the file's bytes.
    Raises:
        FileNotFoundError: if it is missing.
        ValueError: if its content is not what the manifest says.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: file is missing; {_remedy(path)}")
    data = path.read_bytes()
    got = hashlib.sha256(data).hexdigest()
    if got != sha256:
        raise ValueError(
            f"{path}: expected sha256 {sha256[:12]}..., got {got[:12]}... ({len(data)} bytes); {_remedy(path)}"
        )
    return data


def load(name: str) -> Images:
    """A data set by name.

    Args:
        name: "fashion-G" (20 000 pictures; trains generators), "fashion-C" (10 000; trains classifiers), "fashion-T"
            (5 000; tests), or "digits" (1797 digits of 8x8 pixels from scikit-learn). Fashion-MNIST is padded with -1
            from 28x28 to 32x32; see `data/README.md` for the licences.
    Returns:
        the pictures, their labels and the names of the classes.
    Raises:
        ValueError: for an unknown name or a damaged file.
        FileNotFoundError: for a missing file.
    Example:
        >>> load("digits").x.shape
        torch.Size([1797, 1, 8, 8])
    """
    validate.choice("name", name, [*BLOCKS, "digits"])
    if name == "digits":
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        x = torch.from_numpy(images).float().reshape(-1, 1, 8, 8) / 8 - 1  # pixels are 0..16
        return Images(x, torch.from_numpy(labels).long(), tuple(str(digit) for digit in range(10)))
    x = torch.from_numpy(_array(f"fashion/{BLOCKS[name]}-images.npy.xz")).float() / 127.5 - 1
    y = torch.from_numpy(_array(f"fashion/{BLOCKS[name]}-labels.npy.xz")).long()
    return Images(F.pad(x[:, None], (2, 2, 2, 2), value=-1.0), y, CLASSES)


def _array(file: str) -> np.ndarray:
    data = verify(data_root() / file, recorded("data", file)["sha256"])
    return np.load(io.BytesIO(lzma.decompress(data)), allow_pickle=False)
