"""JupyterHub for one class machine: real accounts, one server per student, on loopback. Started by `make hub`."""

import os
import resource
import sys
from pathlib import Path

from jupyterhub.spawner import LocalProcessSpawner

sys.path.insert(0, str(Path(__file__).parent))
import room

PORT = int(os.environ.get("DENOISING_PORT", "8000"))
IDLE = int(os.environ.get("DENOISING_IDLE", "3600"))  # seconds until a kernel nobody uses ends, then its server
MEMORY = int(os.environ.get("DENOISING_MEMORY", "4")) * 2**30  # bytes that one process of a student may ask for
PROCESSES = 400  # and threads, per account


class RoomSpawner(LocalProcessSpawner):
    """A server as its owner's own process, with limits that hold for everything started from it."""

    def make_preexec_fn(self, name):
        become_user = super().make_preexec_fn(name)

        def prepare():
            Path("/proc/self/oom_score_adj").write_text("500")  # if memory runs out, a student's process goes first
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_NPROC, (PROCESSES, PROCESSES))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            become_user()
            os.umask(0o077)

        return prepare


c = get_config()  # noqa: F821

# Loopback only. To the class it is brought by a web server with a certificate, or by ssh; see the README.
c.JupyterHub.bind_url = f"http://127.0.0.1:{PORT}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{PORT + 1}"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{PORT + 2}"
c.ConfigurableHTTPProxy.command = [str(room.PROXY_HOME / "node_modules/.bin/configurable-http-proxy")]
c.JupyterHub.db_url = f"sqlite:///{room.PRIVATE / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(room.PRIVATE / "cookie_secret")
c.ConfigurableHTTPProxy.pid_file = str(room.PRIVATE / "proxy.pid")

# Who may come in: the accounts of the list, by their passwords on this machine. The teacher sees all, starts and stops
# servers, but opens none, which an admin could: in a student's page, the student's code would act as the visitor.
c.JupyterHub.authenticator_class = "pam"
c.Authenticator.allowed_users = set(room.users())
c.Authenticator.allow_existing_users = False  # a name that left the list stays out, also if the hub remembers it
c.JupyterHub.load_roles = [
    {
        "name": "teacher",
        "users": [name for name, role in room.users().items() if role == "teacher"],
        "scopes": ["admin-ui", "list:users", "read:users", "servers"],
    }
]

# What a student gets.
c.JupyterHub.spawner_class = RoomSpawner
c.Spawner.cmd = [str(room.ENV / "bin/python"), "-m", "jupyterhub.singleuser"]
c.Spawner.default_url = "/lab"
c.Spawner.start_timeout = c.Spawner.http_timeout = 300  # a whole class that logs in at once needs minutes
c.Spawner.env_keep = ["LANG", "LC_ALL"]
c.Spawner.environment = {
    "PATH": f"{room.ENV / 'bin'}:/usr/local/bin:/usr/bin:/bin",
    "DENOISING_COURSE": str(room.ROOT),  # only the teacher may enter
    "JUPYTER_PREFER_ENV_PATH": "1",  # "Python 3" is this environment, not one of the student's
    "OMP_NUM_THREADS": "1",  # the cores are shared by the whole class
    "MKL_NUM_THREADS": "1",
}
c.Spawner.args = [
    f"--MappingKernelManager.cull_idle_timeout={IDLE}",
    f"--MappingKernelManager.cull_interval={max(1, IDLE // 12)}",
    "--MappingKernelManager.cull_connected=True",  # also when its page was left open
    f"--TerminalManager.cull_inactive_timeout={IDLE}",
    f"--TerminalManager.cull_interval={max(1, IDLE // 12)}",
    f"--ServerApp.shutdown_no_activity_timeout={IDLE}",
    "--LanguageServerManager.autodetect=False",  # there are none; looking for them starts node and npm in every server
    "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
    "--LabApp.news_url=None",
]
