"""Furnishes the class room: the proxy, what students may read, the accounts, the exchange. `make hub` runs it first.

Students get the packages and what SHARED names, nothing else. The checkout, with its solutions, must be closed to them.
"""

import importlib.util
import os
import pwd
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOM = Path(os.environ.get("DENOISING_ROOM", "/srv/denoising"))
USERS = Path(os.environ.get("DENOISING_USERS", ROOT / "classroom" / "users"))

ENV, EXCHANGE, PRIVATE = ROOM / "env", ROOM / "exchange", ROOM / "hub"
PASSWORDS = PRIVATE / "passwords"  # of the new accounts, until the teacher deletes it
SHARED = ("lib/denoising", "data")
ROLES = ("teacher", "student")
COURSE = "denoising"
PROXY = "configurable-http-proxy@5.1.0"
PROXY_HOME = Path(sys.prefix) / "proxy"
FIRST_UID = 1000  # below are the accounts of the system


def users() -> dict[str, str]:
    """Name and role (teacher or student) of everybody who may log in.

    Raises:
        SystemExit: with one line that says what is wrong with the file.
    """
    if not USERS.is_file():
        sys.exit(f"make hub: there is no file {USERS}; begin with a copy of classroom/users.example")
    found = {}
    for number, line in enumerate(USERS.read_text("utf-8").splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", words[0]) or words[1] not in ROLES:
            sys.exit(f"{USERS}, line {number}: expected NAME and one of {', '.join(ROLES)}, got {line.strip()!r}")
        if words[0] in found:
            sys.exit(f"{USERS}, line {number}: {words[0]} stands there twice")
        found[words[0]] = words[1]
    if list(found.values()).count("teacher") != 1:
        sys.exit(f"{USERS}: expected exactly one teacher, whose account keeps the gradebook")
    return found


def missing() -> str | None:
    """One line that says what this machine lacks for the hub; None if nothing."""
    for module in ("jupyterhub", "nbgrader", "pamela"):
        if not importlib.util.find_spec(module):
            return f"{module} is not installed: .venv/bin/python -m pip install -c constraints.txt -e '.[classroom]'"
    if not shutil.which("node") or not shutil.which("npm"):
        return "node and npm are not installed; the hub's proxy needs Node 18 or newer: apt install nodejs npm"
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "only root can make accounts and start each server as its own user: sudo make hub"
    if not shutil.which("useradd"):
        return "useradd is not installed: apt install passwd"
    if interpreter() is None:
        return (
            f"students could not run {os.path.realpath(sys.executable)}, nor is there another Python "
            f"{version()} for everybody: make clean, then make hub PYTHON=/usr/bin/python3"
        )
    return None


def version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def interpreter() -> str | None:
    """A Python of this version that everybody may run; the one of the environment if it is open to all."""
    for candidate in (os.path.realpath(sys.executable), *(f"/usr/{d}bin/python{version()}" for d in ("local/", ""))):
        if open_to_all(Path(candidate)):
            return candidate
    return None


def open_to_all(path: Path) -> bool:
    """Whether others may reach and read the file."""
    try:
        return all(place.stat().st_mode & 1 for place in path.parents) and path.stat().st_mode & 5 == 5
    except OSError:
        return False


def install_proxy() -> None:
    """The hub's proxy, by npm, once."""
    stamp = PROXY_HOME / PROXY
    if not stamp.exists():
        shutil.rmtree(PROXY_HOME, ignore_errors=True)
        PROXY_HOME.mkdir(parents=True)
        quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error")
        run("npm", "install", *quiet, "--prefix", str(PROXY_HOME), PROXY)
        stamp.touch()


def share() -> None:
    """Put what students may read into the room: an environment, the library, the data. Whole or not at all."""
    fresh = ROOM / "env.new"
    shutil.rmtree(fresh, ignore_errors=True)
    run(interpreter(), "-m", "venv", "--without-pip", str(fresh))
    packages = f"lib/python{version()}/site-packages"
    for part in (packages, "share", "etc"):
        shutil.rmtree(fresh / part, ignore_errors=True)
        copy(Path(sys.prefix) / part, fresh / part, "--link")
    for editable in (fresh / packages).glob("__editable__*denoising*"):
        editable.unlink()
    (fresh / packages / "denoising.pth").write_text(f"{ROOM / 'lib'}\n")
    shutil.copyfile(ROOT / "classroom/everybody.py", fresh / "etc/jupyter/nbgrader_config.py")
    for script in (Path(sys.prefix) / "bin").iterdir():  # nbgrader, jupyter and the others, for the terminal
        text = script.read_bytes()
        if text.startswith(f"#!{sys.prefix}/bin/python".encode()):
            (fresh / "bin" / script.name).write_bytes(b"#!%s/bin/python\n" % bytes(ENV) + text.partition(b"\n")[2])
            (fresh / "bin" / script.name).chmod(0o755)
    for part in SHARED:
        shutil.rmtree(ROOM / part, ignore_errors=True)
        copy(ROOT / part, ROOM / part)
    shutil.rmtree(ENV, ignore_errors=True)
    fresh.rename(ENV)
    run("chmod", "-R", "a+rX", str(ENV), *(str(ROOM / part) for part in SHARED))


def copy(source: Path, target: Path, *how: str) -> None:
    """Copy a folder. With "--link" its files take no room, where source and target lie on one disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    plain = ("cp", "-a", "--no-preserve=ownership")
    if subprocess.run([*plain, *how, source, target], capture_output=True).returncode:
        shutil.rmtree(target, ignore_errors=True)
        run(*plain, str(source), str(target))


def open_accounts() -> int:
    """Make the accounts that are missing, write down their passwords for root, and close every home.

    Returns:
        how many are new.
    """
    known = {account.pw_name: account.pw_uid for account in pwd.getpwall()}
    for name in users():
        if known.get(name, FIRST_UID) < FIRST_UID:
            sys.exit(f"{USERS}: {name} is an account of the system; choose another name")
    new = [name for name in users() if name not in known]
    for name in new:
        run("useradd", "--create-home", "--shell", "/bin/bash", name)
        password = secrets.token_urlsafe(9)
        run("chpasswd", stdin=f"{name}:{password}\n")
        with open(PASSWORDS, "a", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(f"{name}\t{password}\n")
    for name in users():
        os.chmod(pwd.getpwnam(name).pw_dir, 0o700)
    return len(new)


def open_exchange() -> None:
    """The folders through which assignments, submissions and feedback go, with the rights that nbgrader gives them.

    The sticky bits are ours: without them a student could move the folders of others, or the whole course, away.
    """
    (teacher,) = [name for name, role in users().items() if role == "teacher"]
    owner = pwd.getpwnam(teacher)
    modes = {"": 0o755, "outbound": 0o755, "inbound": 0o3733, "feedback": 0o711}
    make_folder(EXCHANGE, 0o1777)
    for name, mode in modes.items():
        make_folder(EXCHANGE / COURSE / name, mode, owner)


def make_folder(path: Path, mode: int, owner: pwd.struct_passwd | None = None) -> None:
    path.mkdir(parents=True, exist_ok=True)
    if owner:
        os.chown(path, owner.pw_uid, owner.pw_gid)
    path.chmod(mode)


def run(*command: str, stdin: str = "") -> None:
    done = subprocess.run(command, input=stdin, text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()}")


def furnish() -> None:
    """Everything that stands between a checkout and a running hub; again after an update or a new name."""
    if lack := missing():
        sys.exit(f"make hub: {lack}")
    users()
    os.umask(0o022)
    install_proxy()
    make_folder(ROOM, 0o755)
    make_folder(PRIVATE, 0o700)
    if new := open_accounts():
        print(f"{new} new accounts; their passwords: {PASSWORDS} (hand them out, then delete the file)")
    if open_to_all(ROOT / "notebooks"):
        sys.exit(f"make hub: students could read the solutions; close the folder first: chmod 700 '{ROOT}'")
    share()
    open_exchange()


if __name__ == "__main__":
    install_proxy() if sys.argv[1:] == ["proxy"] else furnish()
