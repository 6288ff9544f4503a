"""What a submission runs in: `python -m denoising.classroom.sandbox HOME UID COMMAND ...`.

The process gives up everything that it will not need, one lock after the other, and then becomes the command:
limits on what it may use, another user (where root grades), and Landlock (where the kernel has it). It reads Python,
the library and the data; it writes in its own home, which goes away with it.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path

from denoising.classroom import landlock

__all__ = ["GIB", "LIMITS", "enter", "main", "readable"]

GIB = 2**30
LIMITS = {
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_CPU: 300,  # seconds; the referee's clock stops the notebook before
    resource.RLIMIT_DATA: 4 * GIB,  # bytes of memory of its own, per process
    resource.RLIMIT_AS: 32 * GIB,
    resource.RLIMIT_FSIZE: 64 * 2**20,
    resource.RLIMIT_NOFILE: 256,
}
PROCESSES = 64  # and threads; the system counts them by user, so this holds only for a user of its own
DEATH_SIGNAL, KEEP_CAPABILITIES, BOUNDING_DROP, AMBIENT = 1, 8, 24, 47  # of prctl
READ_ANYTHING = 2  # the capability CAP_DAC_READ_SEARCH
PYTHON = ("bin", "lib", "lib64", "pyvenv.cfg")  # below its prefix; not all of it, which may be all of /usr/local
SYSTEM = ("/bin", "/lib", "/lib64", "/usr/bin", "/usr/lib", "/usr/lib64", "/usr/share/fonts", "/proc", "/sys")
CONFIGURATION = ("ld.so.cache", "localtime", "fonts", "passwd", "group", "nsswitch.conf", "hosts", "mime.types")
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")


def readable() -> list[Path]:
    """What a lesson reads: Python with its packages, this library, the course's data, the system's libraries."""
    library = Path(__file__).resolve().parents[2]
    python = [Path(prefix) / part for prefix in (sys.prefix, sys.base_prefix) for part in PYTHON]
    return [*python, library, library.parent / "data", *map(Path, SYSTEM), *(Path("/etc") / c for c in CONFIGURATION)]


def enter(home: Path, uid: int) -> None:
    """Lock this process in, for good.

    Args:
        home: its folder, the only one that it may write to. Holds the connection file `kernel.json`, if any.
        uid: the user that it becomes; 0 leaves the user as it is.
    Raises:
        OSError: if one of the locks is refused. Then nothing may be run.
    """
    os.umask(0o077)
    for limit, value in LIMITS.items():
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))
    connection = home / "kernel.json"
    ports = [port for key, port in json.loads(connection.read_text()).items() if key.endswith("_port")]
    confined = bool(landlock.available())
    if uid:
        for path in (home, connection):
            os.chown(path, uid, uid)
        resource.setrlimit(resource.RLIMIT_NPROC, (PROCESSES, PROCESSES))
    _become(uid, may_read=bool(uid) and confined and not _open_to_all())
    if confined:
        landlock.restrict(readable(), [home, *map(Path, DEVICES)], [0, *ports])
    _prctl(DEATH_SIGNAL, signal.SIGKILL)  # of the parent


def main(arguments: list[str]) -> None:
    """Lock in, then run the command in place of this process."""
    home, uid, *command = arguments
    enter(Path(home), int(uid))
    os.execv(command[0], command)


def _open_to_all() -> bool:
    """Whether every user may reach Python and this library."""
    places = [Path(sys.prefix), Path(sys.executable).resolve(), Path(__file__).resolve()]
    return all(folder.stat().st_mode & 1 for place in places for folder in place.parents)


def _become(uid: int, *, may_read: bool) -> None:
    """Another user, and no capability, for good; but one to read all, if `may_read`: Landlock says which there are."""
    for capability in range(64):
        if not (may_read and capability == READ_ANYTHING) and _library().prctl(BOUNDING_DROP, capability, 0, 0, 0):
            break  # the kernel's last capability was the one before, or this is not root
    if uid:
        _prctl(KEEP_CAPABILITIES, 1)
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    kept = may_read << READ_ANYTHING
    if _library().capset(header, (ctypes.c_uint32 * 6)(kept, kept, kept)):  # effective, permitted, inheritable
        raise OSError("capset was refused")
    if may_read:
        _prctl(AMBIENT, 2, READ_ANYTHING)


def _prctl(option: int, first: int, second: int = 0) -> None:
    if _library().prctl(option, first, second, 0, 0):
        raise OSError(f"prctl({option}, {first}) was refused")


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None)


if __name__ == "__main__":
    main(sys.argv[1:])
