"""A class room for a while, and the people in it: real accounts, real servers, everything over HTTP."""

import contextlib
import importlib.util
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

requests = pytest.importorskip("requests", reason="the extra [classroom] is not installed: make hub")
websocket = pytest.importorskip("websocket", reason="the extra [classroom] is not installed: make hub")

ROOT = Path(__file__).resolve().parents[2]
PLACE = Path("/var/tmp")  # where everybody may go, unlike pytest's folders
SECONDS = 300  # how long anything may take; two cores may be busy


# The course's configuration; only that Eve's server waits seconds where those of the others wait an hour.
CONFIG = """
import re
load_subconfig({course!r})
def hurry(spawner):
    if spawner.user.name == {eve!r}:
        spawner.args = [re.sub("=3600$", "=10", re.sub("=300$", "=1", word)) for word in spawner.args]
c.Spawner.pre_spawn_hook = hurry
"""


def room_module():
    """classroom/room.py, which is no package."""
    spec = importlib.util.spec_from_file_location("room", ROOT / "classroom" / "room.py")
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    return module


def lacking() -> str | None:
    """Why there can be no class room here; None if there can."""
    room = room_module()
    if lack := room.missing():
        return lack
    if not (room.PROXY_HOME / room.PROXY).exists():
        return "the hub's proxy is not installed: .venv/bin/python classroom/room.py proxy"
    return None


def clear(prefix: str) -> None:
    """End what the accounts of this prefix run, remove them with their homes, and the room's folder."""
    for account in [entry for entry in pwd.getpwall() if entry.pw_name.startswith(f"{prefix}-")]:
        for process in processes_of(account.pw_uid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        subprocess.run(["userdel", "--force", "--remove", account.pw_name], capture_output=True)
    shutil.rmtree(PLACE / f"denoising-room-{prefix}", ignore_errors=True)


def clear_dead() -> None:
    """What earlier tests left that were killed: the prefix holds the number of their process."""
    names = {entry.pw_name.partition("-")[0] for entry in pwd.getpwall()}
    names |= {folder.name.rpartition("-")[2] for folder in PLACE.glob("denoising-room-*")}
    for name in names:
        if (owner := re.fullmatch(r"dnt(\d+)", name)) and not Path(f"/proc/{owner[1]}").exists():
            clear(name)


def processes_of(uid: int) -> list[int]:
    """The running ones. One that ended stays in the list of processes until its parent asks for its status."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            ended = (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            if folder.stat().st_uid == uid and not ended:
                found.append(int(folder.name))
    return found


def free_ports(count: int) -> int:
    """The first of so many neighbouring ports that nobody uses."""
    for first in range(18000 + os.getpid() % 1000 * 10, 60000, 10):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
    raise OSError("no free ports")


class Room:
    """A furnished room with a running hub. The people are known by short names: teacher, ada, bob, eve.

    The course lies in the teacher's home, as the README says; of the lessons, this one does.
    """

    LESSON = "1.1-forward-process"

    def __init__(self, *students: str):
        clear_dead()
        self.prefix = f"dnt{os.getpid()}"
        clear(self.prefix)
        self.folder = PLACE / f"denoising-room-{self.prefix}"
        self.people, self.hub, self.port = {}, None, free_ports(3)
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = dict(os.environ, DENOISING_ROOM=str(self.folder), DENOISING_USERS=str(self.folder / "users"))
        self.env["DENOISING_PORT"] = str(self.port)
        self.folder.mkdir()
        roles = [("teacher", "teacher"), *((name, "student") for name in students)]
        (self.folder / "users").write_text("".join(f"{self.name(who)} {role}\n" for who, role in roles))
        try:
            self._open([who for who, _ in roles])
        except BaseException:
            self.close()
            raise

    def _open(self, people: list[str]) -> None:
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", self.name("teacher")], check=True)
        self.course = self.home("teacher") / "denoising"
        for part in ("lib", "data", "classroom"):
            shutil.copytree(ROOT / part, self.course / part, ignore=shutil.ignore_patterns("course", "users"))
        (lesson,) = (ROOT / "notebooks").glob(f"*/{self.LESSON}.ipynb")
        self.lesson = json.loads(lesson.read_text("utf-8"))
        (self.course / lesson.relative_to(ROOT).parent).mkdir(parents=True)
        shutil.copy(lesson, self.course / lesson.relative_to(ROOT))
        subprocess.run(["chown", "-R", self.name("teacher"), self.course], check=True)
        passwords = {self.name("teacher"): (word := uuid.uuid4().hex)}
        subprocess.run(["chpasswd"], input=f"{self.name('teacher')}:{word}", text=True, check=True)
        self.furnish()
        passwords |= dict(line.split("\t") for line in (self.folder / "hub/passwords").read_text().splitlines())
        self.people = {who: Visitor(self.url, self.name(who), passwords[self.name(who)]) for who in people}
        config = self.folder / "hub/config.py"
        config.write_text(
            CONFIG.format(course=str(self.course / "classroom/jupyterhub_config.py"), eve=self.name("eve"))
        )
        command = [sys.executable, "-m", "jupyterhub", "-f", str(config)]
        with open(self.folder / "hub/log", "wb") as log:
            self.hub = subprocess.Popen(
                command, env=self.env, cwd=self.folder / "hub", stdout=log, stderr=log, start_new_session=True
            )
        wait_for(lambda: requests.get(f"{self.url}/hub/health", timeout=10).ok, "the hub", self.hub)

    def furnish(self) -> None:
        """The first half of `make hub`, from the teacher's copy of the course."""
        command = [sys.executable, str(self.course / "classroom/room.py")]
        done = subprocess.run(command, env=self.env, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr

    def name(self, who: str) -> str:
        """The account of a person."""
        return f"{self.prefix}-{who}"

    def home(self, who: str) -> Path:
        return Path(pwd.getpwnam(self.name(who)).pw_dir)

    def processes(self, who: str) -> list[int]:
        return processes_of(pwd.getpwnam(self.name(who)).pw_uid)

    def log(self) -> str:
        return (self.folder / "hub/log").read_text()

    def stop(self) -> int:
        """Stop the hub as Ctrl-C does; its exit status."""
        self.hub.send_signal(signal.SIGINT)
        return self.hub.wait(SECONDS)

    def close(self) -> None:
        for person in self.people.values():
            person.web.close()
        if self.hub and self.hub.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.hub.pid, signal.SIGKILL)
            self.hub.wait()
        clear(self.prefix)


class Visitor:
    """Somebody with a browser."""

    def __init__(self, hub: str, name: str, password: str):
        self.hub, self.name, self.password, self.web = hub, name, password, requests.Session()
        self.kernel = None

    def xsrf(self) -> str:
        """What the hub wants back with every form, against forged ones."""
        (value,) = [cookie.value for cookie in self.web.cookies if cookie.name == "_xsrf" and cookie.path == "/hub/"]
        return value

    def login(self, password: str | None = None):
        """Fill in the login form and send it."""
        page = self.web.get(f"{self.hub}/hub/login", timeout=SECONDS)
        assert 'name="password"' in page.text
        form = {"username": self.name, "password": password or self.password, "_xsrf": self.xsrf()}
        return self.web.post(f"{self.hub}/hub/login", data=form, timeout=SECONDS, allow_redirects=False)

    def api(self, method: str, path: str, **more):
        """A request to the hub, as its own pages make them."""
        headers = {"X-XSRFToken": self.xsrf()}
        return self.web.request(method, f"{self.hub}/hub/api/{path}", headers=headers, timeout=SECONDS, **more)

    def running(self) -> bool:
        """Whether the hub says that the server is there and ready."""
        return bool(self.api("GET", f"users/{self.name}").json()["servers"].get("", {}).get("ready"))

    def start(self) -> None:
        """Log in if need be, start the server, and wait until it answers."""
        if not any(cookie.name == "jupyterhub-hub-login" for cookie in self.web.cookies):
            self.login()
            made = self.api("POST", f"users/{self.name}/tokens", json={"note": "test"})
            self.token = {"Authorization": f"token {made.json()['token']}"}
        if not self.running():
            answer = self.api("POST", f"users/{self.name}/server")
            assert answer.status_code in (201, 202, 400), answer.text  # 400: is starting or stopping
            wait_for(self.running, f"the server of {self.name}")

    def call(self, method: str, path: str, **more):
        """A request to the own server, which is started if need be."""
        self.start()
        url = f"{self.hub}/user/{self.name}/{path}"
        answer = requests.request(method, url, headers=self.token, timeout=SECONDS, **more)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer.json() if answer.content else None

    def run(self, code: str) -> str:
        """Run code in this person's kernel and return what it prints."""
        self.kernel = self.kernel or self.call("POST", "api/kernels")["id"]
        return self.run_in(self.kernel, code)

    def run_in(self, kernel: str, code: str) -> str:
        """Run code in a kernel, through the websocket that JupyterLab uses."""
        address = f"{self.hub}/user/{self.name}/api/kernels/{kernel}/channels".replace("http", "ws", 1)
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "username": "", "session": "s"}
        message = {"channel": "shell", "header": header | {"version": "5.3"}, "parent_header": {}, "metadata": {}}
        printed = ""
        with contextlib.closing(websocket.create_connection(address, header=self.token, timeout=SECONDS)) as socket:
            socket.send(json.dumps(message | {"content": content}))
            while True:
                got = json.loads(socket.recv())
                if got["parent_header"].get("msg_id") != header["msg_id"]:
                    continue
                kind, content = got["msg_type"], got["content"]
                if kind == "stream":
                    printed += content["text"]
                elif kind == "error":
                    raise AssertionError("\n".join(content["traceback"]))
                elif kind == "status" and content["execution_state"] == "idle":
                    return printed


def wait_for(happens, what: str, process: subprocess.Popen | None = None, seconds: float = SECONDS) -> None:
    """Ask until it happens.

    Raises:
        AssertionError: if it takes too long, or the process ends before.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process is None or process.poll() is None, f"{what} ended with status {process.returncode}"
        with contextlib.suppress(requests.ConnectionError):
            if happens():
                return
        time.sleep(1)
    raise AssertionError(f"{what}: nothing after {seconds} s")
