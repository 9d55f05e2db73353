"""What the sandboxed process does with itself before it runs the program, and how it runs it."""

import builtins
import contextlib
import os
import signal
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from course_lib import _sandbox_hook

_LINUX = sys.platform == "linux"
if _LINUX:
    from course_lib import _sandbox_linux
if sys.platform != "win32":
    import resource

# What Python and its libraries read of a Unix system. No /etc/passwd, no private keys.
_SYSTEM = """
/usr /lib /lib32 /lib64 /bin /sbin /nix/store /System /Library
/etc/ld.so.cache /etc/ld.so.conf /etc/ld.so.conf.d /etc/alternatives /etc/crypto-policies
/etc/ssl/certs /etc/ssl/openssl.cnf /etc/ssl/cert.pem
/etc/pki/tls/certs /etc/pki/tls/cert.pem /etc/pki/tls/openssl.cnf /etc/pki/ca-trust/extracted
/etc/hosts /etc/host.conf /etc/nsswitch.conf /etc/gai.conf /etc/services /etc/protocols
/etc/localtime /etc/timezone /etc/mime.types /etc/locale.alias /etc/os-release
/proc/self /proc/cpuinfo /proc/meminfo /proc/stat /sys/devices/system/cpu
/dev/zero /dev/random /dev/urandom
""".split()  # noqa: SIM905 - a list of these is 40 lines long
_OPEN_FILES = 256
# Mapped files, shared memory and what threads only reserve; the private memory has its own, exact limit.
_ADDRESS_SPACE = 4 << 30
_MEGABYTE = 1 << 20


def enter(configuration: dict[str, Any], result: int, tell: Callable[[str], None], parent: int) -> None:
    """Confine this process.

    Args:
        configuration: see `course_lib.sandbox`.
        result: the descriptor for results.
        tell: tells the supervisor which layer is active, one name a call.
        parent: the parent's process id as seen from here; 0 where it can't be seen.
    Raises:
        OSError: a layer that is there could not be put on; the program must not run.
    """
    folder, readable = configuration["folder"], [Path(path) for path in configuration["readable"]]
    own = [Path(path) for path in (sys.prefix, sys.base_prefix, *configuration["libraries"])]
    os.umask(0o077)
    os.chdir(folder)
    with contextlib.suppress(OSError):
        # Should the machine run out of memory, the kernel ends this process first.
        Path("/proc/self/oom_score_adj").write_text("1000")
    _set_limits(configuration)
    tell("limits")
    files = False
    if configuration["linux"]:
        files = _enter_linux(configuration, [*own, *readable], tell, parent)
    elif configuration["account"] is not None:
        os.setgroups([])
        os.setgid(configuration["account"])
        os.setuid(configuration["account"])
        _require(all(os.access(path, os.R_OK) for path in (*own, folder)), configuration, own)
        tell("account")
    os.environ.clear()
    os.environ.update(configuration["environment"])
    os.environ["COURSE_RESULT_FD"] = str(result)
    roots = [os.path.realpath(path) for path in map(str, (*_SYSTEM, *own, *readable))]
    ports = configuration["ports"]
    hook = _sandbox_hook.make_hook(
        os.path.realpath(folder),
        roots,
        None if ports is None else frozenset(ports),
        may_fork=configuration["may_fork"],
        guards_files=not files,
    )
    sys.addaudithook(hook)
    tell("audit hook")


def _set_limits(configuration: dict[str, Any]) -> None:
    memory = configuration["memory"] * _MEGABYTE
    seconds = int(configuration["seconds"]) + 2
    limits = {
        "RLIMIT_CORE": 0,
        "RLIMIT_CPU": seconds,
        "RLIMIT_FSIZE": configuration["file_size"] * _MEGABYTE,
        "RLIMIT_NOFILE": _OPEN_FILES,
    }
    if configuration["linux"]:
        # Private writable memory, which is what programs use up. The address space would not do: each thread
        # reserves 64 MB of it and never touches them.
        limits |= {"RLIMIT_DATA": memory, "RLIMIT_AS": memory + _ADDRESS_SPACE, "RLIMIT_MEMLOCK": 64 * 1024}
        limits["RLIMIT_NPROC"] = configuration["processes"] + _counted_already(configuration)
    for name, wanted in limits.items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        # A second between them makes the difference between a signal that says why and SIGKILL.
        resource.setrlimit(kind, (value, value + 1 if name == "RLIMIT_CPU" and hard > value else value))


def _counted_already(configuration: dict[str, Any]) -> int:
    """How many processes and threads the kernel counts against the limit before the program starts any."""
    if configuration["account"] is not None:
        return 0
    if configuration["namespaces"]:
        return 4  # the supervisor's own; a user namespace counts for itself
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.stat().st_uid == os.getuid():
                total += len(list((process / "task").iterdir()))
    return total


def _require(readable: bool, configuration: dict[str, Any], own: Sequence[Path]) -> None:
    if not readable:
        wanted = ", ".join(dict.fromkeys([*map(str, own), configuration["folder"]]))
        raise PermissionError(
            f"the account that it gets, {os.getuid()}, cannot read all of {wanted}. Move what is closed to where every "
            "account can read, or start as an ordinary user."
        )


def _enter_linux(configuration: dict[str, Any], own: Sequence[Path], tell: Callable[[str], None], parent: int) -> bool:
    """Put on the kernel's layers. Returns whether Landlock guards the files."""
    folder, account = Path(configuration["folder"]), configuration["account"]
    rules = None
    if configuration["landlock"] and _sandbox_linux.landlock_version():
        rules = _sandbox_linux.Landlock(configuration["ports"])
        rules.allow([Path(path) for path in _SYSTEM])
        rules.allow(own)
        rules.allow([folder, Path("/dev/null")], write=True)
    _require(_sandbox_linux.become(account, [*own, folder], may_pass_modes=rules is not None), configuration, own)
    if account is not None:
        tell("account")
    _sandbox_linux.forbid_new_privileges()
    guarded = configuration["namespaces"] or (rules is not None and rules.guards_signals)
    if rules is not None:
        rules.enforce()
        tell("files")
        for name, active in (("ports", rules.guards_ports), ("signals", rules.guards_signals)):
            if active:
                tell(name)
    if _sandbox_linux.filter_calls(None if guarded else os.getpid()):
        tell("system calls")
    # Last: a change of account would undo it.
    _sandbox_linux.die_with(parent)
    return rules is not None


def run(program: str | Sequence[str], out_of_memory: Callable[[], None]) -> None:
    """Run Python source, or a file with its arguments, as `python` would; ends as the program ends."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "course_lib"]:
        del sys.modules[name]
    sys.dont_write_bytecode = True
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main
    try:
        if isinstance(program, str):
            sys.argv, source, name = ["-c"], program.encode(), "<program>"
            sys.path.insert(0, str(Path.cwd()))
        else:
            sys.argv, name = list(program), str(Path(program[0]).absolute())
            sys.path.insert(0, str(Path(name).parent))
            main.__dict__["__file__"] = name
            source = Path(name).read_bytes()
        exec(compile(source, name, "exec", dont_inherit=True), main.__dict__)  # noqa: S102 - what it is for
    except SystemExit:
        raise
    except BaseException as error:
        error.with_traceback(_without_own_frames(error.__traceback__))
        sys.excepthook(type(error), error, error.__traceback__)
        if isinstance(error, MemoryError):
            out_of_memory()
        raise SystemExit(1) from None


def _without_own_frames(traceback: types.TracebackType | None) -> types.TracebackType | None:
    first = traceback
    while first is not None and first.tb_frame.f_code.co_filename == __file__:
        first = first.tb_next
    return first or traceback
