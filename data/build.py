"""Recreate the shipped data from their source packages, and write data/MANIFEST.json.

    python data/build.py          # needs Debian's apt-get and dpkg-deb, and the Debian package archive

Nothing in the course runs this: the files it writes are tracked. It names packages, not addresses.
"""

import argparse
import gzip
import hashlib
import io
import json
import lzma
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parent
PACKAGE = "dataset-fashion-mnist"
PACKAGE_SHA256 = "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0"
IMAGE_HEADER, LABEL_HEADER = 16, 8  # bytes before the values in an idx file
# block: (source split, first of each class, number of each class); the blocks are disjoint
BLOCKS = {"G": ("train", 0, 2000), "C": ("train", 2000, 1000), "T": ("t10k", 0, 500)}
USE = {
    "G": "trains generators; reference statistics of FD-64",
    "C": "trains every classifier (metric features, judge, guides)",
    "T": "tests",
}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def fetch(folder: Path) -> Path:
    """Download and unpack the Debian package; returns the folder of its idx files."""
    subprocess.run(["apt-get", "download", "-qq", PACKAGE], cwd=folder, check=True)
    (package,) = folder.glob(f"{PACKAGE}_*.deb")
    got = sha256(package.read_bytes())
    if got != PACKAGE_SHA256:
        raise SystemExit(
            f"{package.name}: sha256 is {got}, expected {PACKAGE_SHA256}; the archive holds another version"
        )
    subprocess.run(["dpkg-deb", "-x", package.name, "."], cwd=folder, check=True)
    return folder / "usr/share/datasets/fashion-mnist"


def read_idx(path: Path, header: int) -> np.ndarray:
    return np.frombuffer(gzip.decompress(path.read_bytes()), dtype=np.uint8)[header:]


def write_array(path: Path, array: np.ndarray) -> dict:
    """Write `array` as .npy under xz, whole or not at all; returns its manifest entry."""
    raw = io.BytesIO()
    np.save(raw, array, allow_pickle=False)
    packed = lzma.compress(raw.getvalue(), preset=9 | lzma.PRESET_EXTREME)
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(packed)
    os.replace(part, path)
    return {
        "sha256": sha256(packed),
        "bytes": len(packed),
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "array_sha256": sha256(array.tobytes()),
    }


def fashion(folder: Path) -> dict[str, dict]:
    """Cut the three blocks out of Fashion-MNIST: the first images of each class, in file order."""
    entries = {}
    for block, (split, first, number) in BLOCKS.items():
        images = read_idx(folder / f"{split}-images-idx3-ubyte.gz", IMAGE_HEADER).reshape(-1, 28, 28)
        labels = read_idx(folder / f"{split}-labels-idx1-ubyte.gz", LABEL_HEADER)
        index = np.sort(np.concatenate([np.flatnonzero(labels == c)[first : first + number] for c in range(10)]))
        for kind, array in (("images", images[index]), ("labels", labels[index])):
            name = f"fashion/{block}-{kind}.npy.xz"
            entries[name] = write_array(DATA / name, array) | {
                "use": USE[block],
                "source": "Debian package dataset-fashion-mnist 0.0~git20200523.55506a9-1",
                "source_sha256": PACKAGE_SHA256,
                "licence": "MIT (Expat), (c) 2017 Zalando SE",
                "split": f"{split}: of each class, in file order, numbers {first} to {first + number - 1}",
                "made_by": "python data/build.py",
            }
    return entries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", type=Path, help="folder of the unpacked idx files; default: download the package")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        entries = fashion(args.package or fetch(Path(scratch)))
    path = DATA / "MANIFEST.json"
    manifest = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    manifest["data"] = entries
    part = path.with_suffix(".part")
    part.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(part, path)
    print(f"{len(entries)} files, {sum(e['bytes'] for e in entries.values()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
