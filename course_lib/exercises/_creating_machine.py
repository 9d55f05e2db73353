"""Another machine for the check of exercise 11.4: its process, and what it does on the server."""

import asyncio
import contextlib
import contextvars
import functools
import os
import platform
import socket
import uuid
from collections.abc import Iterator
from typing import Any
from unittest import mock

import asyncpg
from sqlalchemy import URL

from course_lib.exercises._creating_watch import Step

_PATIENCE = 6.0  # seconds that its statements get
# Set for the answer alone. The kernel asks `os.getpid` and `os.getppid` in threads of its own too: it ends, or drops a
# message, where another process seems to have come.
_elsewhere: contextvars.ContextVar[bool] = contextvars.ContextVar("course_other_machine", default=False)
_MODULES: dict[Any, Any] = {
    os.getpid: os,
    os.getppid: os,
    socket.gethostname: socket,
    platform.node: platform,
    uuid.getnode: uuid,
}


def _in(value: Any, originals: dict[Any, Any]) -> bool:
    return any(value is each for each in originals)


def _only_there(real: Any, other: Any) -> Any:
    """A function that is *other* for the answer, in its tasks and in the threads that it hands its context to."""

    @functools.wraps(real)
    def function(*arguments: Any) -> Any:
        return (other if _elsewhere.get() else real)(*arguments)

    return function


@contextlib.contextmanager
def another_machine(answer: Any) -> Iterator[None]:
    """Within this block, what tells processes and machines apart is another for the learner's function."""
    others: dict[Any, Any] = {
        os.getpid: lambda real=os.getpid: real() + 1,  # still another one in a child process
        os.getppid: lambda real=os.getppid: real() + 1,
        socket.gethostname: lambda: "elsewhere",
        platform.node: lambda: "elsewhere",
        uuid.getnode: lambda: 1,
        # Python begins each process with another seed for the hash of texts; addresses differ as well.
        hash: lambda value: hash(value) if isinstance(value, int | float) else hash((value, "elsewhere")),
        id: lambda value: id(value) + 16,
    }
    originals = {real: _only_there(real, other) for real, other in others.items()}
    while isinstance(answer, functools.partial):
        answer = answer.func
    function = answer if hasattr(answer, "__globals__") else getattr(answer, "__func__", type(answer).__call__)
    names: dict[str, Any] = getattr(function, "__globals__", {})
    replaced = {name: value for name, value in names.items() if callable(value) and _in(value, originals)}
    made = {each.__name__ for each in (hash, id)} - set(names)
    with contextlib.ExitStack() as stack:
        for original, module in _MODULES.items():
            stack.enter_context(mock.patch.object(module, original.__name__, originals[original]))
        names.update({name: originals[value] for name, value in replaced.items()})
        names.update({each.__name__: originals[each] for each in (hash, id) if each.__name__ in made})
        token = _elsewhere.set(True)
        try:
            yield
        finally:
            _elsewhere.reset(token)
            names.update(replaced)
            for name in made:
                names.pop(name, None)


class OtherMachine:
    """Does on connections of its own what a worker did, statement by statement."""

    def __init__(self, url: URL) -> None:
        self._plain = url.set(drivername="postgresql", query={}).render_as_string(hide_password=False)
        self._connections: dict[int, Any] = {}
        self._open: dict[int, Any] = {}

    async def __aenter__(self) -> "OtherMachine":
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in self._connections.values():
            connection.terminate()

    async def follows(self, steps: list[Step]) -> bool:
        """Do these steps; False if another connection can't do the same, for instance with what only a session has."""
        try:
            async with asyncio.timeout(_PATIENCE):
                for step in steps:
                    await self._do(step)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            return False
        return True

    async def _do(self, step: Step) -> None:
        number = step.connection
        if number not in self._connections:
            self._connections[number] = await asyncpg.connect(self._plain)
        if step.kind == "statement":
            if number not in self._open:
                self._open[number] = self._connections[number].transaction()
                await self._open[number].start()
            await self._connections[number].fetch(step.statement, *step.parameters)
        elif (transaction := self._open.pop(number, None)) is not None:
            await (transaction.commit() if step.kind == "commit" else transaction.rollback())

    async def commit(self) -> None:
        """End what is still open; whatever locks the sessions hold end with them."""
        for transaction in self._open.values():
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError):
                await transaction.commit()
        self._open.clear()
        for connection in self._connections.values():
            await connection.close()
