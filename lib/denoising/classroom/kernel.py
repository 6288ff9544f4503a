"""A kernel in the sandbox: its manager makes a home and a user for it, starts it there, and leaves nothing of it."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager

__all__ = ["MESSAGE", "SandboxedKernel", "unused_user"]

MESSAGE, WAITING = 4 * 2**20, 100  # bytes, and how many; a longer message never reaches the grader's memory
FROM_THE_GRADER = ("LANG", "LC_ALL", "TZ")  # of the environment, which may hold secrets


def unused_user() -> int:
    """The number of a user that exists nowhere, of this process only; 0 if this process may not become another."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return 0
    numbers = int(Path("/proc/self/uid_map").read_text().split()[2])  # a container may have fewer than the system
    return 10**9 + os.getpid() if numbers > 2 * 10**9 else 60_000 + os.getpid() % 5000


class SandboxedKernel(AsyncKernelManager):
    """Starts this very Python's kernel through `denoising.classroom.sandbox`, whatever the notebook asks for."""

    home: Path | None = None
    uid = 0

    async def start_kernel(self, **options: Any) -> None:
        """Make the home and the user, then start."""
        self.home, self.uid = Path(tempfile.mkdtemp(prefix="submission-")), unused_user()
        self.connection_file = str(self.home / "kernel.json")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        await super().start_kernel(**options | quiet | {"cwd": str(self.home), "env": self._environment()})

    def client(self, **options: Any) -> Any:
        """The grader's end of the connection, which holds no more of a flood than this."""
        client = super().client(**options)
        client.context.maxmsgsize, client.context.rcvhwm = MESSAGE, WAITING
        return client

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        """The command: the sandbox, and in it the kernel."""
        python, kernel = [sys.executable, "-m"], ["ipykernel_launcher", "-f", self.connection_file]
        sandbox = ["denoising.classroom.sandbox", str(self.home), str(self.uid)]
        return [*python, *sandbox, *python, *kernel, *(extra_arguments or [])]

    def end(self) -> None:
        """Kill the kernel and all that it started. The user's processes are found by their user, wherever they hide."""
        process = self.provisioner and getattr(self.provisioner, "process", None)
        if process:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
        if self.uid:
            command = ["/bin/sh", "-c", "kill -KILL -1"]
            subprocess.run(command, user=self.uid, group=self.uid, extra_groups=[], stderr=subprocess.DEVNULL)

    async def cleanup_resources(self, restart: bool = False) -> None:
        """End everything, remove the home."""
        self.end()
        await super().cleanup_resources(restart=restart)
        if self.home:
            shutil.rmtree(self.home, ignore_errors=True)

    def _environment(self) -> dict[str, str]:
        places = dict.fromkeys(("HOME", "TMPDIR", "MPLCONFIGDIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR"), str(self.home))
        given = {name: os.environ[name] for name in FROM_THE_GRADER if name in os.environ}
        fixed = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "CUDA_VISIBLE_DEVICES": ""}
        one = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "DENOISING_WIDGETS": "off"}
        return given | fixed | one | places
