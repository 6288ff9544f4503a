"""Landlock, the Linux kernel's own sandbox, open to every user: what a process and all it starts may never touch again.

Source: the kernel's documentation, userspace-api/landlock. Python has no binding, so the three system calls stand here.
"""

import ctypes
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

__all__ = ["available", "restrict"]

CREATE, ADD, RESTRICT = 444, 445, 446  # the numbers are the same on every processor
NO_NEW_PRIVILEGES = 38
PATH, PORT = 1, 2  # kinds of rules

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | 1 << 14 | 1 << 15  # the last: truncate, ioctl
ALL_RIGHTS = {1: 2**13 - 1, 2: 2**14 - 1, 3: 2**15 - 1, 4: 2**15 - 1, 5: 2**16 - 1}  # by version
BIND, CONNECT = 1, 2


def available() -> int:
    """The version of Landlock that this kernel speaks; 0 if none."""
    if sys.platform != "linux":
        return 0
    return max(0, ctypes.CDLL(None).syscall(CREATE, None, ctypes.c_size_t(0), 1))


def restrict(read: Iterable[Path], write: Iterable[Path], ports: Iterable[int]) -> None:
    """From now on: read below `read`, do all below `write`, listen on `ports`; connect nowhere, signal nobody outside.

    Older versions of Landlock know nothing of ports (before 4) and of signals (before 6).

    Args:
        read: files and folders; those that are not there are left out.
        write: likewise.
        ports: of TCP.
    Raises:
        OSError: if the kernel refuses.
    """
    version = available()
    every = ALL_RIGHTS[min(version, 5)]
    attributes = [every, (BIND | CONNECT) if version >= 4 else 0, 3 if version >= 6 else 0]
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = _call(CREATE, (ctypes.c_uint64 * 3)(*attributes), ctypes.c_size_t(size), 0)
    for paths, rights in ((read, EXECUTE | READ_FILE | READ_DIR), (write, every)):
        for path in paths:
            _allow(rules, path, rights & every)
    if version >= 4:
        for port in ports:
            _call(ADD, rules, PORT, (ctypes.c_uint64 * 2)(BIND, port), 0)
    if ctypes.CDLL(None).prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError("prctl: no_new_privs was refused")
    _call(RESTRICT, rules, 0)
    os.close(rules)


class _Below(ctypes.Structure):
    """struct landlock_path_beneath_attr."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("rights", ctypes.c_uint64), ("parent", ctypes.c_int32))


def _allow(rules: int, path: Path, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not stat.S_ISDIR(os.fstat(handle).st_mode):
        rights &= FILE_RIGHTS
    _call(ADD, rules, PATH, ctypes.byref(_Below(rights, handle)), 0)
    os.close(handle)


def _call(number: int, *arguments: object) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    result = library.syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"landlock: {os.strerror(code)}")
    return result
