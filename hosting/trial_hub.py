"""A JupyterHub on loopback with accounts made for it: hosting/jupyterhub_config.py under trial."""

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[1]
PROXY = "configurable-http-proxy"
START_SECONDS = 120.0

# Runs a program where a closed folder holds nothing but the Python and the course below it, for the learners to reach.
# The mounts are this program's own: nothing changes for the rest of the machine, and they end with it.
_OPENED = """
set -eu
umask 022
kept=$1 closed=$2 needed=$3
shift 3
number=0
for folder in $needed; do
    number=$((number + 1))
    mkdir "$kept/$number"
    mount --bind "$folder" "$kept/$number"
done
for folder in $closed; do mount -t tmpfs -o mode=755 none "$folder"; done
number=0
for folder in $needed; do
    number=$((number + 1))
    mkdir -p "$folder"
    mount --bind "$kept/$number" "$folder"
done
exec "$@"
"""


def proxy_program() -> str | None:
    """Return where JupyterHub's proxy is: on PATH, or where npm puts it in the course's folder."""
    folders = [os.environ.get("PATH", ""), str(ROOT / "node_modules" / ".bin")]
    return shutil.which(PROXY, path=os.pathsep.join(folders))


def what_is_missing() -> str | None:
    """Return why there can be no trial on this machine and what to do, or None."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "The trial makes an account for each learner, so it needs Linux and root."
    if importlib.util.find_spec("jupyterhub") is None:
        return 'JupyterHub is missing: pip install -e ".[hub]", in the course\'s folder.'
    if proxy_program() is None:
        return f"{PROXY} is missing. With Node.js 20 or newer: npm install --no-save {PROXY}@5, in the course's folder."
    return None


@dataclass(frozen=True)
class Account:
    """A learner's account on this machine."""

    name: str
    uid: int
    home: Path

    def processes(self) -> list[psutil.Process]:
        """Return what runs under this account now."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.uids().real == self.uid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def ports(self) -> set[int]:
        """Return the ports that this account listens on: the kernel's table, which every learner can read too."""
        lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
        rows = [line.split() for line in lines]
        return {int(row[1].partition(":")[2], 16) for row in rows if row[3] == "0A" and int(row[7]) == self.uid}

    def servers(self) -> list[Path]:
        """Return the folders of this learner's database servers."""
        return sorted((self.home / ".cache" / "async-database-course" / "postgres" / "servers").glob("*"))


@contextlib.contextmanager
def accounts(number: int, homes: Path) -> Iterator[list[Account]]:
    """Make so many accounts with random names and private homes, without a password; remove them at the end."""
    made: list[Account] = []
    batch = secrets.token_hex(3)
    try:
        for each in range(number):
            name, home = f"learner-{batch}-{each:02}", homes / f"{each:02}"
            command = ["useradd", "--create-home", "--home-dir", str(home), "-K", "HOME_MODE=0700", name]
            subprocess.run(command, check=True, capture_output=True)
            made.append(Account(name, pwd.getpwnam(name).pw_uid, home))
        yield made
    finally:
        for account in made:
            for process in account.processes():
                with contextlib.suppress(psutil.Error):
                    process.kill()
            subprocess.run(["userdel", "--remove", account.name], check=True, capture_output=True)


def _free_ports(number: int) -> list[int]:
    """Return ports that were free just now."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in found]


def _opened(folder: Path) -> list[str]:
    """Return the beginning of a command that opens the way to Python and the course, where it is closed."""
    needed = list(dict.fromkeys(str(Path(each).resolve()) for each in (sys.base_prefix, sys.prefix, ROOT)))
    ways = [path for each in needed for path in reversed(Path(each).parents)]
    closed = [path for path in dict.fromkeys(ways) if not path.stat().st_mode & 0o001]
    outer = [path for path in closed if not any(other in path.parents for other in closed)]
    below = [each for each in needed if any(Path(each).is_relative_to(path) for path in outer)]
    if not outer:
        return []
    kept = folder / "kept"
    kept.mkdir()
    words = [str(kept), " ".join(map(str, outer)), " ".join(below)]
    return ["unshare", "--mount", "/bin/sh", "-c", _OPENED, "sh", *words]


class TrialHub:
    """A running Hub with accounts for its learners; use it as ``with TrialHub(2) as hub``.

    Args:
        learners: how many accounts to make.
    """

    def __init__(self, learners: int) -> None:
        self._learners = learners
        self._ports = _free_ports(3)
        self.url = f"http://127.0.0.1:{self._ports[0]}"
        # Instead of everybody's own password. It is known to this process, and to the Hub by a private file.
        self.password = secrets.token_urlsafe(24)
        self.accounts: list[Account] = []
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "TrialHub":
        if reason := what_is_missing():
            raise RuntimeError(reason)
        with contextlib.ExitStack() as stack:
            # Not in TMPDIR, which may be deep: the sockets of kernels lie below it, with at most 107 characters a path.
            self._folder = Path(tempfile.mkdtemp(prefix="hub-", dir="/tmp"))
            stack.callback(shutil.rmtree, self._folder)
            self._folder.chmod(0o711)
            homes, self._own = self._folder / "h", self._folder / "hub"
            homes.mkdir(mode=0o711)
            self._own.mkdir(mode=0o700)
            self.accounts = stack.enter_context(accounts(self._learners, homes))
            self._hub = self._start()
            stack.callback(self._stop, self._hub)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    def processes(self) -> list[psutil.Process]:
        """Return the Hub's process and all below it: its proxy, and the learners' servers."""
        hub = psutil.Process(self._hub.pid)
        return [hub, *hub.children(recursive=True)]

    def log(self) -> str:
        """Return what the Hub, its proxy and the learners' servers have said."""
        return (self._own / "log").read_text(encoding="utf-8", errors="replace")

    def _start(self) -> subprocess.Popen[bytes]:
        public, inner, proxy = (f"http://127.0.0.1:{port}" for port in self._ports)
        settings = self._own / "trial_config.py"
        settings.touch(mode=0o600)
        settings.write_text(
            f"load_subconfig({str(ROOT / 'hosting' / 'jupyterhub_config.py')!r})\n"
            f"c.JupyterHub.bind_url = {public!r}\n"
            f"c.JupyterHub.hub_bind_url = {inner!r}\n"
            f"c.ConfigurableHTTPProxy.api_url = {proxy!r}\n"
            f"c.ConfigurableHTTPProxy.command = [{proxy_program()!r}]\n"
            "c.JupyterHub.authenticator_class = 'shared-password'\n"
            f"c.Authenticator.allowed_users = { ({account.name for account in self.accounts})!r}\n"
            f"c.SharedPasswordAuthenticator.user_password = {self.password!r}\n",
            encoding="utf-8",
        )
        command = [*_opened(self._folder), sys.executable, "-m", "jupyterhub", "--config", str(settings)]
        environment = {"HOME": str(self._own), "LANG": "C.UTF-8", "PATH": os.environ["PATH"]}
        with (self._own / "log").open("wb") as log:
            hub = subprocess.Popen(
                command, cwd=self._own, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            self._wait(hub)
        except BaseException:
            self._stop(hub)
            raise
        return hub

    def _wait(self, hub: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and hub.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/hub/api/", trust_env=False).status_code == 200:
                    return
            time.sleep(0.2)
        raise RuntimeError(f"The Hub ended, or did not start in {START_SECONDS:.0f} s. It said:\n{self.log()[-3000:]}")

    @staticmethod
    def _stop(hub: "subprocess.Popen[bytes]") -> None:
        """End the Hub, which ends the learners' servers and the proxy."""
        hub.send_signal(signal.SIGTERM)
        try:
            hub.wait(120)
        except subprocess.TimeoutExpired:
            hub.kill()
            hub.wait()
