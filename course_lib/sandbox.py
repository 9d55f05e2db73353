"""Run a Python program that nobody here wrote, in a process of its own, with limits.

What it is: a guard against programs that hang, grow, print, fork, delete, pry and connect, by mistake or on purpose.
Several layers do the work, each where the system has it; `layers` and `Finished.layers` say which ones are there:

- everywhere: a supervisor that ends the program and what it started, also after this process was killed; limits on
  time, memory, output, file size and open files; an empty environment; an audit hook in Python itself.
- on Linux besides: its own process namespace, or orphans that return to the supervisor; as root, an account number
  that nothing else uses; Landlock for files, TCP ports and signals; a seccomp filter that leaves no sockets but TCP.

What it is not: a boundary against somebody who attacks the kernel. On macOS, and on a Linux without Landlock, ctypes,
a C extension or a started program gets past the audit hook, to files and network with this user's rights. Landlock
knows ports and not addresses: with ctypes a program reaches an allowed port on another machine too, and any port with
``ports=None``. An ordinary user's program can change the modes and times of the user's files with ctypes. Sizes of
files are limited one by one, not in sum. A program can learn which files exist, and can forge its own results. On
Windows nothing of this exists: `run_sandboxed` refuses.
"""

import asyncio
import contextlib
import json
import marshal
import os
import random
import struct
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Reason = Literal["ended", "time", "memory", "output", "signal"]

_LAYERS = {
    "processes": "a process namespace: nothing outlives it or sees other processes",
    "descendants": "orphaned processes return to the supervisor, which ends them",
    "session": "the program's process group is ended with it",
    "limits": "processor time, memory, file size, open files and processes",
    "account": "an account number of its own, since this process is root",
    "files": "Landlock: writes its own folder, reads it, Python and what it is given",
    "ports": "Landlock: no TCP ports but the given ones",
    "signals": "Landlock: no signals to other processes",
    "system calls": "seccomp: no sockets but TCP, no tracing, no namespaces, no io_uring",
    "audit hook": "Python's own functions: loopback only, no processes",
}
_ACCOUNTS = range(61184, 65520)  # systemd's range for accounts that exist while a service runs: no person has one
_PATIENCE = 40.0  # seconds for the supervisor above the program's own
_START = """
import sys
sys.path.insert(0, {!r})
from course_lib._sandbox_supervisor import main
del sys.path[0]
main()
"""
# For tests: layers that this machine has, to be left off.
_left_off: frozenset[str] = frozenset()


class SandboxError(RuntimeError):
    """The program could not be run, for a reason that isn't the program's."""


@dataclass(frozen=True)
class Finished:
    """How a sandboxed program ended, and what came out of it."""

    #: "ended" by itself; over its "time", "memory" or "output"; or by a "signal".
    reason: Reason
    #: As of `subprocess`: negative for a signal.
    exit_code: int
    stdout: str
    stderr: str
    #: The JSON values that it handed back, in order; also those from before it was ended.
    results: tuple[Any, ...]
    #: Its running time, without the set-up.
    seconds: float
    layers: tuple[str, ...]

    @property
    def result(self) -> Any:
        """The last value that it handed back; None when there is none."""
        return self.results[-1] if self.results else None


async def run_sandboxed(
    program: str | Sequence[str],
    *,
    folder: Path,
    readable: Sequence[Path] = (),
    ports: Collection[int] | None = (),
    environment: Mapping[str, str] | None = None,
    seconds: float = 10.0,
    memory: int = 512,
    output: int = 1 << 20,
    result: int = 1 << 20,
    file_size: int = 64,
    processes: int = 64,
    may_fork: bool = False,
) -> Finished:
    """Run a Python program with this interpreter's packages, and end it and all that it started.

    It hands back JSON, a value a line, by writing to the descriptor whose number is in ``COURSE_RESULT_FD``:
    ``os.write(int(os.environ["COURSE_RESULT_FD"]), json.dumps(value).encode() + b"\\n")``.
    Its standard input is empty. When this coroutine is cancelled, the program is ended too.

    Args:
        program: Python source, or the path of a file and its arguments.
        folder: where it runs and may write; its HOME and TMPDIR. As root, the folder and what is in it changes its
            owner. Links that a program leaves there can point anywhere.
        readable: files and folders that it may read besides its folder, Python, its packages and the system's.
        ports: TCP ports on loopback that it may connect to and listen on; None for all of them.
        environment: variables besides PATH, LANG, HOME, TMPDIR and USER. Nothing is inherited.
        seconds: how long it may run.
        memory: for all its processes together, in MB.
        output: how many bytes of its standard output, and of its standard error, are kept; more end it.
        result: how many bytes it may hand back; more end it as "output".
        file_size: the size that a file may reach, in MB.
        processes: how many processes and threads it may have at a time.
        may_fork: whether it may start processes through Python's functions; they have no audit hook.
    Raises:
        SandboxError: it could not be run; the message says why and what helps.
    """
    if sys.platform == "win32":
        raise SandboxError("Windows lacks the limits that a sandbox needs. Run this in WSL, on Linux or on macOS.")
    folder, *others = _resolved(folder, *readable)
    account = None if "account" in _left_off else _free_account()
    libraries = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    configuration = {
        "program": program if isinstance(program, str) else [str(part) for part in program],
        "folder": str(folder),
        "readable": [str(path) for path in others],
        "libraries": libraries,
        "ports": None if ports is None else list(ports),
        "environment": _environment() | {"HOME": str(folder), "TMPDIR": str(folder)} | dict(environment or {}),
        "seconds": float(seconds),
        "memory": memory,
        "output": output,
        "result": result,
        "file_size": file_size,
        "processes": processes,
        "may_fork": may_fork,
        "account": account,
        "linux": sys.platform == "linux" and "linux" not in _left_off,
        "namespaces": "namespaces" not in _left_off,
        "landlock": "landlock" not in _left_off,
    }
    if account is not None:
        await asyncio.to_thread(_hand_over, folder, account)
    return _finished(await _supervise(configuration))


async def layers() -> dict[str, str]:
    """The sandbox's layers that this machine has, by name, with what each is for.

    Raises:
        SandboxError: as `run_sandboxed`.
    """
    import tempfile

    with tempfile.TemporaryDirectory(prefix="course-sandbox-") as folder:
        finished = await run_sandboxed("", folder=Path(folder))
    return {name: _LAYERS[name] for name in finished.layers}


def _resolved(*paths: Path) -> list[Path]:
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise SandboxError(f"There is no {', '.join(missing)}. Give paths that exist.")
    return [path.resolve() for path in paths]


def _environment() -> dict[str, str]:
    # An interpreter may need the library path to start at all.
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
    return kept | {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "USER": "sandbox", "LOGNAME": "sandbox"}


def _free_account() -> int | None:
    """An account number for one program, so that programs can't touch each other; None where this isn't root."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd

    try:
        maps = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    except OSError:
        maps = [["0", "0", str(_ACCOUNTS.stop)]]  # not Linux: no container leaves accounts out
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    usable = [
        number
        for first, _, count in maps
        for number in range(max(int(first), _ACCOUNTS.start), min(int(first) + int(count), _ACCOUNTS.stop))
        if number not in taken
    ]
    # A container of an ordinary user's, with no account but root, has nothing to drop to: root is that user there.
    return random.choice(usable) if usable else None


def _hand_over(folder: Path, account: int) -> None:
    if sys.platform != "win32":
        for parent, folders, files in os.walk(folder):
            for name in (*folders, *files):
                os.chown(Path(parent) / name, account, account, follow_symlinks=False)
        os.chown(folder, account, account)


async def _supervise(configuration: dict[str, Any]) -> dict[str, Any]:
    code = _START.format(str(Path(__file__).parent.parent))
    supervisor = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-X", "utf8", "-u", "-c", code),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(),
        start_new_session=True,
        cwd="/",
    )
    assert supervisor.stdin is not None
    assert supervisor.stdout is not None
    assert supervisor.stderr is not None
    try:
        message = marshal.dumps(configuration)
        supervisor.stdin.write(struct.pack("=Q", len(message)) + message)
        async with asyncio.timeout(configuration["seconds"] + _PATIENCE):
            (size,) = struct.unpack("=Q", await supervisor.stdout.readexactly(8))
            report: dict[str, Any] = marshal.loads(await supervisor.stdout.readexactly(size))
        return report
    except (asyncio.IncompleteReadError, ConnectionError):
        said = (await supervisor.stderr.read(2000)).decode(errors="replace").strip()
        raise SandboxError(f"The process that looks after the program ended. It said: {said or 'nothing'}") from None
    except TimeoutError:
        raise SandboxError("The process that looks after the program did not answer. Try again.") from None
    finally:
        # Closing its input ends it, and the program with it.
        supervisor.stdin.close()
        try:
            async with asyncio.timeout(_PATIENCE):
                await supervisor.wait()
        except TimeoutError:
            supervisor.kill()
            await supervisor.wait()


def _finished(report: dict[str, Any]) -> Finished:
    if report["error"] is not None:
        raise SandboxError(f"The program was not run: {report['error']}")
    values = []
    for line in report["result"].splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            values.append(json.loads(line))
    return Finished(
        reason=report["reason"],
        exit_code=report["exit_code"],
        stdout=report["stdout"].decode(errors="replace"),
        stderr=report["stderr"].decode(errors="replace"),
        results=tuple(values),
        seconds=report["seconds"],
        layers=tuple(report["layers"]),
    )
