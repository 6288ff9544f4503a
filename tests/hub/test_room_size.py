"""How big a class room must be: memory and time per student, measured. By hand, it takes minutes:

.venv/bin/python -m pytest -m slow -s tests/hub/test_room_size.py
"""

import contextlib
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from visitors import ROOT, Room, lacking, processes_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hub")]

TOGETHER = 6
HEAVIEST = "1.6"  # of the lessons; see "megabytes" in tests/timings.json
MEMORY = 24 * 1024  # MB of the machine that we size
SYSTEM = 2 * 1024  # MB left to the system and its file cache


def pss(processes) -> float:
    """Memory of these processes in MB; what several share is divided among them."""
    total = 0
    for process in processes:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total / 1024


def hub_processes(pid: int) -> list[int]:
    """The hub and its proxy: what root runs in the hub's session."""
    return [process for process in processes_of(0) if session_of(process) == pid or parent_of(process) == pid]


def session_of(process: int) -> int:
    with contextlib.suppress(OSError):
        return os.getsid(process)
    return -1


def parent_of(process: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return -1


def cells(number: str) -> list[str]:
    (path,) = (ROOT / "notebooks").glob(f"*/{number}-*.ipynb")
    book = json.loads(path.read_text("utf-8"))
    return ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]


def attend(room: Room, who: str, number: str) -> tuple[float, float]:
    """One student runs a lesson in a new kernel; seconds, and the most memory of server and kernel in MB."""
    person, most, done = room.people[who], [0.0], threading.Event()

    def watch():
        while not done.wait(0.3):
            most[0] = max(most[0], pss(room.processes(who)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    kernel = person.call("POST", "api/kernels")["id"]
    begin = time.monotonic()
    try:
        for code in cells(number):
            person.run_in(kernel, code)
        return time.monotonic() - begin, most[0]
    finally:
        done.set()
        watcher.join()
        person.call("DELETE", f"api/kernels/{kernel}")


def test_size_of_the_room():
    if lack := lacking():
        pytest.skip(f"no class room here: {lack}")
    students = [f"s{number}" for number in range(TOGETHER)]
    room = Room(*students)

    def tell(what: str, value: float, unit: str) -> float:
        print(f"{what:64} {value:7.0f} {unit}", flush=True)
        return value

    try:
        print()
        load = os.getloadavg()[0]
        tell("hub and proxy, nobody there", pss(hub_processes(room.hub.pid)), "MB")
        begin = time.monotonic()
        with ThreadPoolExecutor(TOGETHER) as pool:
            list(pool.map(lambda who: room.people[who].start(), students))
        tell(f"login of {TOGETHER} students at once, until all servers answer", time.monotonic() - begin, "s")
        hub = tell(f"hub and proxy, {TOGETHER} servers", pss(hub_processes(room.hub.pid)), "MB")
        tell("a server without a kernel", sum(pss(room.processes(who)) for who in students) / TOGETHER, "MB")
        kernels = {who: room.people[who].call("POST", "api/kernels")["id"] for who in students}
        for who, kernel in kernels.items():
            room.people[who].run_in(kernel, "import torch, denoising, denoising.nb, denoising.samplers, denoising.zoo")
        everybody = sum(pss(room.processes(who)) for who in students)
        idle = tell("with a kernel that has the course imported", everybody / TOGETHER, "MB")
        for who, kernel in kernels.items():
            room.people[who].call("DELETE", f"api/kernels/{kernel}")
        alone, _ = attend(room, "s0", "1.1")
        tell("lesson 1.1, one student", alone, "s")
        with ThreadPoolExecutor(TOGETHER) as pool:
            begin = time.monotonic()
            together = list(pool.map(lambda who: attend(room, who, "1.1"), students))
            tell(f"lesson 1.1, {TOGETHER} students at once, until the last is done", time.monotonic() - begin, "s")
        tell("a student in lesson 1.1, most", sum(most for _, most in together) / TOGETHER, "MB")
        seconds, heavy = attend(room, "s0", HEAVIEST)
        tell(f"lesson {HEAVIEST}, one student", seconds, "s")
        tell(f"a student in lesson {HEAVIEST}, most", heavy, "MB")
        fit = (MEMORY - SYSTEM - hub) / heavy
        tell("students in 24 GB, if all are in the heaviest lesson", fit, "")
        tell("students in 24 GB, if all have only imported the course", (MEMORY - SYSTEM - hub) / idle, "")
        print(f"{os.cpu_count()} cores; load before we began: {load:.1f}")
    finally:
        room.close()
    assert fit >= 15, "the README says so"
