"""Lesson 09.2: engines whose connections differ from what their settings and their neighbours suggest."""

import asyncio
import random
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, event, text
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from course_lib.exercises._tls_lab import TLSLab, connect
from course_lib.exercises.core import Case, NotYet, ask
from course_lib.exercises.tracebacks import one_line
from course_lib.servers import FaultProxy
from course_lib.servers.certificates import Authority, ServerTLS
from course_lib.servers.interceptor import Interceptor

_BUSY = "SELECT state = 'active' FROM pg_stat_activity WHERE pid = $1"


@dataclass
class _Question:
    """One engine, and what came of asking about it."""

    description: str
    engine: AsyncEngine
    expected: bool
    got: Any = None
    checkouts: int = 0
    connects: int = 0
    reached: bool = False  # the answer made a connection through the proxy that is not the engine's

    def wrong(self, misconception: str, message: str, got: str | None = None) -> NotYet:
        case = Case(
            given=f"is_encrypted(engine), where engine is {self.description}",
            expected=repr(self.expected),
            got=got if got is not None else repr(self.got),
        )
        return NotYet(message, misconception=misconception, case=case)


def _engine(url: URL, **connect_args: Any) -> AsyncEngine:
    return create_async_engine(url, connect_args=connect_args, pool_size=1, max_overflow=0, pool_timeout=0.5)


async def judge_question(answer: Callable[[AsyncEngine], Any], lab: TLSLab) -> None:
    """Ask about each engine and judge the answers together.

    Raises:
        NotYet: one of them is wrong.
    """
    authority = Authority()
    certificate = authority.server_certificate()
    await lab.server.change_tls(ServerTLS(certificate))
    trusted = ssl.create_default_context(cadata=authority.pem.decode())
    url = lab.server.url
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(FaultProxy(url))
        balancer = await stack.enter_async_context(Interceptor(url, certificate, tls_to_server=False))

        async def neighbours(mode: Any) -> None:
            """Another program's connections, newer than the engine's: one waits, one is busy."""
            waiting, busy = await connect(url, mode), await connect(url, mode)
            task = asyncio.create_task(busy.execute("SELECT pg_sleep(60)"))
            stack.push_async_callback(_end, waiting, busy, task)
            for _ in range(400):
                if await waiting.fetchval(_BUSY, busy.get_server_pid()):
                    break
                await asyncio.sleep(0.005)

        async def asked(question: _Question) -> None:
            before = proxy.counters().accepted
            await _ask(answer, question)
            question.reached = proxy.counters().accepted - before > question.connects
            await _leave_usable(question)

        questions = {
            "plain": _Question("one without TLS, on a server that offers it", _engine(url, ssl=False), False),
            "tls": _Question("one with TLS", _engine(url, ssl=trusted), True),
            "settings": _Question(
                "one with `ssl=prefer` in its URL, on a server without TLS",
                _engine(lab.plain.update_query_dict({"ssl": "prefer"})),
                False,
            ),
            "default": _Question(
                "one whose settings say nothing about TLS, on a server that offers it", _engine(url), True
            ),
            "proxy": _Question("one with TLS behind a proxy", _engine(proxy.url, ssl=trusted), True),
            "balancer": _Question(
                "one with TLS as far as a load balancer, which goes on in plain text",
                _engine(balancer.url, ssl=trusted),
                False,
            ),
            "crowded": _Question(
                "one without TLS, while another program has connections with it", _engine(url, ssl=False), False
            ),
            "outnumbered": _Question(
                "one with TLS, while another program has connections without it", _engine(url, ssl=trusted), True
            ),
        }
        first, *crowds = (questions[name] for name in ("plain", "crowded", "outnumbered"))
        stack.callback((await connect(url, False)).terminate)
        await asked(first)  # before anybody has TLS, so that no row but its own can mislead it
        others = [each for each in questions.values() if each is not first and each not in crowds]
        random.shuffle(others)  # a list of answers in the right order is no answer
        for question in others:
            await asked(question)
        for question in crowds:
            async with question.engine.connect():
                pass  # its connection waits in the pool, older than the neighbours
            await neighbours(False if question.expected else trusted)
            await asked(question)
        _judge(questions)


async def _end(waiting: Any, busy: Any, task: "asyncio.Task[Any]") -> None:
    """End both, and wait until the busy one's row is gone: it would mislead the next check."""
    await waiting.fetchval("SELECT pg_terminate_backend($1, 2000)", busy.get_server_pid())
    await asyncio.gather(task, return_exceptions=True)
    busy.terminate()
    await waiting.close()


async def _ask(answer: Any, question: _Question) -> None:
    engine = question.engine
    pool = engine.pool

    def checked_out(*_: Any) -> None:
        question.checkouts += 1

    def connected(*_: Any) -> None:
        question.connects += 1

    event.listen(engine.sync_engine, "checkout", checked_out)
    event.listen(engine.sync_engine, "connect", connected)
    try:
        question.got = await ask(answer, engine, given=f"is_encrypted(engine), where engine is {question.description}")
    except PoolTimeout:
        raise question.wrong(
            "needs-two-connections",
            "Your function wants a second connection while it holds the first, and this pool has one. Ask everything "
            "on one connection: the backend's own number is `pg_backend_pid()` in the same query.",
            "a time-out of the pool",
        ) from None
    finally:
        event.remove(engine.sync_engine, "checkout", checked_out)
        event.remove(engine.sync_engine, "connect", connected)
    got = question.got
    if type(got) is not bool:
        raise question.wrong(*_no_bool(got))
    if engine.pool is not pool:
        raise question.wrong(
            "disposes-of-the-engine",
            "Your function disposes of the engine, and the program's other connections with it. Give back the one "
            "that you borrowed.",
            "an engine with a new pool",
        )
    if engine.pool.checkedout():  # type: ignore[attr-defined]
        raise question.wrong(
            "keeps-the-connection",
            "The connection was not given back, so a pool of one has none left. Use `async with engine.connect()`.",
            "a connection that is still borrowed",
        )


async def _leave_usable(question: _Question) -> None:
    try:
        async with question.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except Exception as error:
        raise question.wrong(
            "leaves-a-broken-connection",
            "After your function the engine's next connection fails. Close nothing that belongs to the pool; give the "
            "connection back as it was.",
            one_line(error),
        ) from None
    await question.engine.dispose()


def _no_bool(got: Any) -> tuple[str, str, str]:
    kind = type(got).__name__
    if got is None:
        return "returns-nothing", "Your function returns `None`. Return `True` or `False`.", "None"
    if isinstance(got, tuple | list) or hasattr(got, "_mapping"):
        said = "Your function returns a row, and even `(False,)` counts as true in an `if`. Return the value in it."
        return "returns-a-row", said, f"an object of type {kind}"
    return "returns-no-bool", "Return `True` or `False` itself.", f"an object of type {kind}"


def _judge(questions: dict[str, _Question]) -> None:
    right = {name: each.got is each.expected for name, each in questions.items()}
    used = any(each.checkouts for each in questions.values())
    reached = questions["proxy"].reached
    wrong = next((name for name, fine in right.items() if not fine), None)
    shown = questions[wrong or "tls"]
    if not used and not reached:
        raise shown.wrong(
            "looks-at-the-settings",
            "The server was not asked. Settings say what was wanted; what came of it, the server knows. Borrow a "
            "connection of the engine and ask `pg_stat_ssl`.",
        )
    if not used or (reached and wrong is not None):
        raise shown.wrong(
            "opens-its-own-connection",
            "Your function opens a connection of its own. The engine's may be made with other settings: ask on one of "
            "those, with `engine.connect()`.",
        )
    passed_over = next((each for each in questions.values() if not each.checkouts), None)
    if passed_over is not None:
        raise passed_over.wrong(
            "remembers-an-answer",
            "Your function borrowed no connection of this engine. What it saw on another engine with the same URL "
            "says nothing about this one: ask each time.",
        )
    if wrong is None:
        return
    if not right["settings"]:
        raise questions["settings"].wrong(
            "true-without-any-tls",
            "`True`, on a server that has no TLS at all: there, the column `ssl` is `False` in each row of "
            "`pg_stat_ssl`. Return what it says for your own backend, not what the settings ask for.",
        )
    if len({each.got for each in questions.values()}) == 1 and not right["tls"]:
        raise shown.wrong(
            "never-true",
            "It is `False` for every engine, those with TLS included. Look at the row of your own backend in "
            "`pg_stat_ssl`: `pid = pg_backend_pid()`.",
        )
    if not right["plain"]:
        raise questions["plain"].wrong(
            "asks-what-the-server-can",
            "`True`, on a connection in plain text. That the server can do TLS (`show ssl`) does not mean that this "
            "connection uses it. Ask `pg_stat_ssl` for the row of your own backend.",
        )
    crowded = ("crowded", "outnumbered", "tls", "default")
    if name := next((each for each in crowded if not right[each]), None):
        raise questions[name].wrong(
            "looks-at-other-backends",
            "That is not what the server says about this connection. `pg_stat_ssl` has a row for each of the server's "
            "connections: take the one with `pid = pg_backend_pid()`.",
        )
    if not right["balancer"]:
        raise questions["balancer"].wrong(
            "asks-the-client",
            "The client's end has TLS, and the server's has not: something between them ends it. The task wants what "
            "the server sees.",
        )
    if not right["proxy"]:
        raise questions["proxy"].wrong(
            "fails-behind-a-proxy",
            "Behind a proxy the server sees another address and port than the client. Recognise your connection by "
            "`pg_backend_pid()`.",
        )
    raise shown.wrong("wrong-answer", "The server sees it differently. Ask it for the row of your own backend.")
