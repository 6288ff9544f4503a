"""Takes submissions out of the exchange. Their folders belong to students, who may have put anything there."""

import os
import stat
from pathlib import Path

from nbgrader.exchange.default import ExchangeCollect

__all__ = ["SUBMISSION_BYTES", "Collect", "plain_bytes"]

SUBMISSION_BYTES = 20 * 2**20  # a longer file is not opened
SECRET, TIME = "submission_secret.txt", "timestamp.txt"  # nbgrader's own files


def plain_bytes(path: Path, owner: int) -> bytes | None:
    """The content of a file; None for a link, for a file of another user than `owner`, and for one that is too long."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with open(handle, "rb") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != owner or about.st_size > SUBMISSION_BYTES:
            return None
        return file.read(SUBMISSION_BYTES)


class Collect(ExchangeCollect):
    """nbgrader's collect, which copies as the teacher: a link to the gradebook would bring the gradebook.

    Only notebooks are taken; nothing else is used in grading. What is left behind is said.
    """

    def do_copy(self, src: str, dest: str, log: object = None) -> None:
        """Copy one submission."""
        source, target = Path(src), Path(dest)
        target.mkdir(parents=True)
        for path in sorted(source.iterdir()):
            if path.suffix == ".ipynb" or path.name == SECRET:
                content = plain_bytes(path, source.stat().st_uid)
                if content is None:
                    self.log.warning("left behind, for it is a link, too long or somebody else's: %s", path)
                else:
                    (target / path.name).write_bytes(content)
        (target / TIME).write_text(source.name.rsplit("+", 3)[2])  # not what the student's file says
