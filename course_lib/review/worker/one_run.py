"""One run: import the file, run the probes, write the facts."""

import asyncio
import importlib
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from sqlalchemy.util import greenlet_spawn

from course_lib.review.worker import probes, session_probes
from course_lib.review.worker.context import Context, Facts, describe
from course_lib.review.worker.finding import Finder
from course_lib.review.worker.mentions import Source
from course_lib.review.worker.outside import Outside
from course_lib.review.worker.recording import Recorder

PROBES: dict[str, Any] = {
    "answers": probes.answers,
    "echo": probes.echo,
    "pool": probes.pool,
    "recycles": probes.recycles,
    "restart": probes.restart,
    "tls": probes.tls,
    "impostor": probes.impostor,
    "asked": probes.asked,
    "tables": probes.tables,
    "dependency": session_probes.dependency,
    "sessions": session_probes.sessions,
    "after_commit": session_probes.after_commit,
    "one_engine": session_probes.one_engine,
    "lifespan": session_probes.lifespan,
}


class TooLongError(BaseException):
    """A piece of the reviewed code did not end. No `except Exception` in it holds this back."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """End code that computes without end; code that awaits is ended by `asyncio.timeout`."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise TooLongError(f"did not end within {seconds:g} s")

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def load(job: dict[str, Any]) -> ModuleType:
    """Import the file under its name."""
    name, file = job["module"], Path(job["file"])
    if name == "__main__" or name in sys.stdlib_module_names or name in sys.modules:
        with suppress(ImportError):  # first of all, since `types.py` must not take the place of Python's own
            importlib.import_module(name)
        name = "reviewed_file"
    sys.path[:0] = job["paths"]
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    if package and package not in sys.modules:
        importlib.import_module(package)
    loaded = sys.modules.get(name)  # its package imports it
    if loaded is not None and Path(loaded.__file__ or "") == file:
        return loaded
    specification = importlib.util.spec_from_file_location(name, job["file"])
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


def guard(job: dict[str, Any], recorder: Recorder, pretend: set[str]) -> None:
    """Keep `.env` files closed, and see connections that are opened past SQLAlchemy."""

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str) and Path(arguments[0]).name.startswith(".env"):
            pretend.add(Path(arguments[0]).name)
            raise FileNotFoundError(f"{Path(arguments[0]).name} is not read in a review: it holds secrets")
        if event == "socket.connect" and recorder.phase == "import" and _port(arguments[1]) in recorder.ports:
            recorder.connects.append(("import", "PostgreSQL"))
        if event == "sqlite3.connect" and recorder.phase == "import":
            recorder.connects.append(("import", "SQLite"))

    sys.addaudithook(watch)


def _port(address: object) -> object:
    return address[1] if isinstance(address, tuple) and len(address) > 1 else None


def trust_own_authority(job: dict[str, Any]) -> None:
    """Have the review's certificate authority stand in for every CA file that the code names."""
    import ssl

    original = ssl.SSLContext.load_verify_locations

    def load_verify_locations(context: ssl.SSLContext, cafile: Any = None, *rest: Any, **named: Any) -> None:
        # Where asyncpg looks, as libpq does, there is nothing; a list of revoked certificates is no authority.
        if Path(str(cafile)).parent.name == ".postgresql" or str(cafile).endswith(".crl"):
            original(context, cafile, *rest, **named)
        else:
            original(context, job["ca"])

    ssl.SSLContext.load_verify_locations = load_verify_locations  # type: ignore[method-assign,assignment]


async def run(job: dict[str, Any], context: Context, is_local: Callable[[str], bool]) -> None:
    """Run the probes, each with a time limit of its own."""
    for one in context.recorder.engines:
        if one.asynchronous is not None and one.engine is not None and context.recorder.connects:
            one.engine.dispose(close=False)  # connections of an event loop that has ended
    context.choose_engine()
    if context.engine is None:
        context.facts.add("making", **await session_probes.make_engine(context))
    if context.engine is None:
        await probe(job, context, "dependency", is_local)  # an engine per session
        context.note_seen()
    for name in job["probes"]:
        if context.engine is None or (name == "dependency" and context.dependency is not None):
            continue
        await probe(job, context, name, is_local)


async def probe(job: dict[str, Any], context: Context, name: str, is_local: Callable[[str], bool]) -> None:
    began = time.monotonic()
    seconds = float(job["probe_seconds"])
    try:
        with limited(seconds + 0.5):
            async with asyncio.timeout(seconds):
                found = await PROBES[name](context)
        context.facts.add(name, seconds=round(time.monotonic() - began, 3), **found)
    except (Exception, TooLongError, SystemExit, asyncio.CancelledError) as error:
        context.facts.add(name, seconds=round(time.monotonic() - began, 3), failed=describe(error, is_local))


def do(job: dict[str, Any], facts: Facts) -> None:
    """Do one job in this process, which is for nothing else."""
    roots = tuple(job["roots"])
    inside = [str(Path(sys.prefix).resolve()), os.path.dirname(os.__file__)]  # noqa: PTH120

    def is_local(name: str) -> bool:
        return name.startswith(roots) and not ("site-packages" in name or name.startswith(tuple(inside)))

    with suppress(ImportError):
        import sqlmodel  # noqa: F401
    recorder = Recorder(job["target"], set(job["ports"]), Path(job["scratch"]), job["substitute"])
    outside = Outside(job["give"], job["fixed"], roots)
    closed: set[str] = set()
    guard(job, recorder, closed)
    recorder.install()
    outside.install()
    trust_own_authority(job)
    source = Source(Path(job["file"]).read_text(encoding="utf-8-sig"))
    facts.add("started")
    began = time.monotonic()
    context: Context | None = None

    async def whole(module: ModuleType | None) -> None:
        nonlocal context
        if module is None:
            module = await greenlet_spawn(load, job)
        facts.add("import", seconds=round(time.monotonic() - began, 3))
        signal.setitimer(signal.ITIMER_REAL, 0)
        recorder.phase = "used"
        finder = Finder(module, source, is_local, job["arguments"])
        context = Context(job, facts, outside, recorder, module, source, finder)
        context.choose_engine()
        context.note_seen = partial(add_seen, facts, recorder, outside, closed, context)
        context.note_seen()  # it may never come to its end
        await run(job, context, is_local)

    try:
        with limited(job["import_seconds"]):
            # Sync code uses the async driver too, inside a greenlet and the event loop that its connections belong to.
            module = None if job["sync"] else load(job)
            if job["sync"]:
                asyncio.run(whole(None))
    except BaseException as error:
        if context is not None:
            raise
        facts.add("import", seconds=round(time.monotonic() - began, 3), failed=describe(error, is_local))
    else:
        if module is not None:
            asyncio.run(whole(module))
    finally:
        add_seen(facts, recorder, outside, closed, context)
    facts.add("done")


def add_seen(
    facts: Facts, recorder: Recorder, outside: Outside, closed: set[str], context: Context | None = None
) -> None:
    """Write down what was recorded beside the probes."""
    creations = [
        {
            "asked_async": one.asked_async,
            "async": one.asynchronous is not None,
            "url": one.url,
            "backend": one.backend,
            "driver": one.driver,
            "phase": one.phase,
            "error": f"{type(one.error).__name__}: {one.error}" if one.error else None,
            "missing": getattr(one.error, "name", None) if isinstance(one.error, ImportError) else None,
            "made": one.engine is not None,
            "substituted": one.substituted,
            "chosen": context is not None and one is context.creation,
            "loaded": one.engine.dialect.driver if one.engine is not None else None,
        }
        for one in recorder.creations
    ]
    facts.add(
        "seen",
        creations=creations[:50],
        connects=sorted(set(recorder.connects)),
        creates=recorder.creates,
        asked=outside.asked,
        given=outside.given,
        invented=sorted(outside.invented),
        closed=sorted(closed),
        logged="\n".join(recorder.logged)[:200_000],
    )
