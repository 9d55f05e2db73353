"""The sandboxed side of servers: `PostgresServer` and `PgBouncer` as checks know them, run by the `_broker`."""

import asyncio
import base64
import json
import os
import pickle
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from course_lib.servers import PgBouncer, PostgresServer, ServerError
from course_lib.servers._instance import Ground
from course_lib.servers.binaries import PgBouncerBinary
from course_lib.servers.certificates import ServerTLS

Ask = Callable[..., Any]


def make_ask(question: int, answer: int) -> Ask:
    """A function that sends a request to the broker and returns its value.

    Args:
        question: the descriptor to write to.
        answer: the descriptor to read from.
    """
    lock, write, read, dumps, loads = threading.Lock(), os.write, os.read, json.dumps, json.loads

    def ask(**request: Any) -> Any:
        with lock:
            data = dumps(request).encode() + b"\n"
            while data:
                data = data[write(question, data) :]
            line = b""
            while not line.endswith(b"\n"):
                more = read(answer, 1 << 16)
                if not more:
                    raise ServerError("The grader no longer answers.")
                line += more
        said = loads(line)
        if "error" in said:
            raise ServerError(str(said["error"]))
        return said["value"]

    return ask


class _Instance:
    """What stands in for a server's own instance: each question goes to the broker."""

    name = "The server"

    def __init__(self, ask: Ask, number: int, port: int, folder: Path, pid: int = 0) -> None:
        self.port, self.folder = port, folder
        self.process = _Process(pid)
        self._ask, self._number = ask, number

    @property
    def is_alive(self) -> bool:
        return bool(self._ask(do="state", number=self._number)["alive"])

    def log(self) -> str:
        return str(self._ask(do="state", number=self._number, log=True)["log"])

    async def end_process(self, mode: Literal["fast", "immediate"]) -> None:
        # In a thread: connections notice meanwhile that the server ends them, as they do in a kernel.
        await asyncio.to_thread(self._ask, do="end", number=self._number, mode=mode)

    async def relaunch(self, patience: float = 5.0) -> None:
        await asyncio.to_thread(self._ask, do="restart", number=self._number)

    def rewrite(self, tls: ServerTLS) -> None:
        self._ask(do="tls", number=self._number, tls=_described(tls))
        _place(self.folder, tls)

    def abandon(self) -> None:
        pass

    async def remove(self) -> None:
        await asyncio.to_thread(self._ask, do="stop", number=self._number)


class _Process:
    def __init__(self, pid: int) -> None:
        self.pid = pid


def _described(tls: ServerTLS) -> dict[str, Any]:
    files = {name: base64.b64encode(data).decode() for name, data in tls.files().items()}
    return {"files": files, "access": list(tls.access)}


def _place(folder: Path, tls: ServerTLS) -> None:
    (folder / "ca.pem").write_bytes(tls.certificate.ca)


def use_broker(ask: Ask, ground: Ground, pooler: PgBouncerBinary | None, folder: Path) -> None:
    """From here on, servers of this process are the broker's.

    Args:
        ask: from `make_ask`.
        ground: what the broker's servers stand on; checks ask for the version.
        pooler: the PgBouncer of this machine.
        folder: where this process may write.
    """

    async def begin_postgres(self: Any) -> None:
        tls = self._tls
        made = ask(
            do="postgres",
            tls=_described(tls) if tls is not None else None,
            settings=self._settings,
            roles=self._wanted_roles,
            databases=list(self._wanted_databases),
        )
        place = Path(tempfile.mkdtemp(dir=folder, prefix="server-"))
        if tls is not None:
            _place(place, tls)
        self._ground = ground
        self._passwords = dict(made["passwords"])
        self._instance = _Instance(ask, made["number"], made["port"], place)

    async def begin_bouncer(self: Any) -> None:
        made = ask(do="bouncer", server=self._server._instance._number, settings=self._settings)
        self._password = made["password"]
        self._instance = _Instance(ask, made["number"], made["port"], folder, made["pid"])

    async def review(path: Any, **_: Any) -> Any:
        text = Path(path).read_text(encoding="utf-8", errors="replace")  # noqa: ASYNC240 - a small local file
        return pickle.loads(base64.b64decode(ask(do="review", text=text)))

    PostgresServer._begin = begin_postgres  # type: ignore[method-assign]
    PgBouncer._begin = begin_bouncer  # type: ignore[method-assign]
    # A sandboxed check cannot ask programs for their versions.
    found: dict[str, Any] = {
        "find_postgres": lambda: ground.binaries,
        "find_pgbouncer": lambda: pooler,
        "review": review,
        "ask_console": lambda port, password, command: ask(do="console", port=port, command=command),
    }
    for name, module in list(sys.modules.items()):
        if name.startswith("course_lib.exercises.") or name == "course_lib.servers.pgbouncer":
            for key in found.keys() & vars(module).keys():
                setattr(module, key, found[key])
