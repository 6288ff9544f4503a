"""The locks of the sandbox, one by one: what a command in it can read, write, reach and use."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from denoising.classroom import landlock

ROOT = Path(__file__).resolve().parents[2]
IS_ROOT = getattr(os, "geteuid", int)() == 0
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="grading needs Linux"),
    pytest.mark.skipif(not landlock.available(), reason="this kernel has no Landlock"),
]
OTHER = 10**9 + 7  # a user that is nobody
USERS = [0, pytest.param(OTHER, marks=pytest.mark.skipif(not IS_ROOT, reason="only root can become another user"))]


def run(home, uid, code):
    """Run Python code in the sandbox; what it printed, read as JSON."""
    home.mkdir(exist_ok=True)
    (home / "kernel.json").write_text(json.dumps({"shell_port": 0}))
    command = [sys.executable, "-m", "denoising.classroom.sandbox", str(home), str(uid), sys.executable, "-c", code]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


TRY = """
import json, os
def tries(do, *given):
    try:
        do(*given)
        return True
    except OSError:
        return False
"""


@pytest.mark.parametrize("uid", USERS)
def test_reads_python_and_the_library_and_nothing_else(tmp_path, uid):
    secret = tmp_path / "secret"
    secret.write_text("hidden tests")
    parent = f"/proc/{os.getpid()}/environ"
    closed = [secret, tmp_path, ROOT / "notebooks", ROOT / "README.md", Path("/etc/shadow"), Path("/etc"), Path("/tmp")]
    opened = [ROOT / "lib/denoising/__init__.py", ROOT / "data/MANIFEST.json", Path(os.__file__), Path("/proc/cpuinfo")]
    code = (
        TRY
        + f"""
look = lambda path: os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1)
import numpy, denoising
print(json.dumps([[tries(look, path) for path in paths] for paths in {[list(map(str, closed)), list(map(str, opened))]}]
    + [tries(look, {parent!r})]))
"""
    )
    assert run(tmp_path / "home", uid, code) == [[False] * len(closed), [True] * len(opened), False]


@pytest.mark.parametrize("uid", USERS)
def test_writes_at_home_only(tmp_path, uid):
    places = [tmp_path / "home" / "mine", tmp_path / "theirs", Path("/tmp/theirs"), Path("/dev/shm/theirs")]
    places += [ROOT / "lib/denoising/theirs.py", Path("/proc/self/oom_adj")]
    write = TRY + f"print(json.dumps([tries(lambda p: open(p, 'w').write('1'), p) for p in {list(map(str, places))}]))"
    assert run(tmp_path / "home", uid, write) == [True] + [False] * 5
    assert (tmp_path / "home" / "mine").stat().st_mode & 0o077 == 0, "nobody else reads it"
    assert (tmp_path / "home" / "mine").stat().st_uid == (uid or os.geteuid())


@pytest.mark.parametrize("uid", USERS)
def test_reaches_nobody(tmp_path, uid):
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = (
            TRY
            + f"""
import socket
print(json.dumps([tries(socket.create_connection, ("127.0.0.1", {server.getsockname()[1]}), 5),
    tries(os.kill, {os.getpid()}, 0), tries(os.kill, os.getpid(), 0), tries(socket.create_server, ("127.0.0.1", 0))]))
"""
        )
        version = landlock.available()
        assert run(tmp_path / "home", uid, code) == [version < 4, version < 6 and not uid, True, True]


@pytest.mark.skipif(not IS_ROOT, reason="only root can become another user")
def test_another_user_for_good(tmp_path):
    code = """
import json, os
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
caps = {key: int(status[key], 16) for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
back = []
for become in (os.setuid, os.setgid, lambda i: os.setgroups([i])):
    try: become(0); back.append(become)
    except OSError: pass
who = [os.getuid(), os.geteuid(), os.getgid(), os.getgroups()]
print(json.dumps([*who, max(caps.values()), int(status["NoNewPrivs"]), len(back)]))
"""
    uid, euid, gid, groups, capabilities, no_new, back = run(tmp_path / "home", OTHER, code)
    assert (uid, euid, gid, groups, no_new, back) == (OTHER, OTHER, OTHER, [], 1, 0)
    assert capabilities in (0, 1 << 2), "at most the right to read, which Landlock limits"


def test_limits(tmp_path):
    code = (
        TRY
        + """
import resource
def much(): bytearray(5 * 2**30)
try: much(); memory = True
except MemoryError: memory = False
print(json.dumps([memory, tries(lambda: open("big", "wb").write(bytes(65 * 2**20))),
    resource.getrlimit(resource.RLIMIT_CPU)[1], resource.getrlimit(resource.RLIMIT_NPROC)[1]]))
"""
    )
    memory, disk, seconds, processes = run(tmp_path / "home", OTHER if IS_ROOT else 0, code)
    assert not memory and not disk and seconds == 300
    assert processes == 64 or not IS_ROOT


def test_if_a_lock_is_refused_nothing_runs(tmp_path):
    """Without the connection file it is not known where to listen."""
    command = [sys.executable, "-m", "denoising.classroom.sandbox", str(tmp_path), "0", "/bin/echo", "ran"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0 and "ran" not in done.stdout


def test_the_environment_is_not_the_grader_s(monkeypatch, tmp_path):
    from denoising.classroom.kernel import SandboxedKernel

    monkeypatch.setenv("TOKEN", "of the teacher")
    manager = SandboxedKernel()
    manager.home = tmp_path
    environment = manager._environment()
    assert "TOKEN" not in environment and environment["HOME"] == environment["TMPDIR"] == str(tmp_path)
