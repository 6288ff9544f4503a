"""Where the course stands on disk, and how a file is replaced: wholly or not at all."""

import os
import tempfile
from pathlib import Path

__all__ = ["ROOT", "replace_file", "root"]

ROOT = Path(__file__).resolve().parents[3]


def root() -> Path:
    """The folder of the course.

    Raises:
        FileNotFoundError: if this package was installed without it.
    """
    if not (ROOT / "notebooks").is_dir():
        missing = ROOT / "notebooks"
        raise FileNotFoundError(f"{missing}: not there; install the course from its own folder with pip install -e .")
    return ROOT


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that whoever reads or interrupts it finds the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, path.stat().st_mode & 0o777 if path.exists() else 0o644)  # mkstemp makes it private
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
