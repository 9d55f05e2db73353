"""Lesson 09.2: engines whose connections differ from what their settings and their neighbours suggest."""

import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import URL, event, text
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from course_lib.exercises._tls_lab import TLSLab
from course_lib.exercises.core import Case, NotYet, ask
from course_lib.servers import FaultProxy
from course_lib.servers.certificates import Authority, ServerTLS
from course_lib.servers.interceptor import Interceptor


@dataclass
class _Question:
    """One engine, and what came of asking about it."""

    description: str
    engine: AsyncEngine
    expected: bool
    got: Any = None
    checkouts: int = 0
    reached: bool = False  # the answer made a connection through the proxy

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

        async def neighbour(mode: Any) -> None:
            raw = await asyncpg.connect(
                host=url.host, port=url.port, user=url.username, password=url.password, database=url.database, ssl=mode
            )
            stack.push_async_callback(raw.close)

        async def asked(description: str, engine: AsyncEngine, expected: bool) -> _Question:
            question = _Question(description, engine, expected)
            before = proxy.counters().accepted
            await _ask(answer, question)
            question.reached = proxy.counters().accepted > before
            await _leave_usable(question)
            return question

        # The first two in this order: as long as nobody has TLS, its rows can't mislead anybody.
        await neighbour(False)
        questions = {
            "plain": await asked("one without TLS, on a server that offers it", _engine(url, ssl=False), False),
            "tls": await asked("one with TLS", _engine(url, ssl=trusted), True),
            "settings": await asked(
                "one with `ssl=prefer` in its URL, on a server without TLS",
                _engine(lab.plain.update_query_dict({"ssl": "prefer"})),
                False,
            ),
            "default": await asked(
                "one whose settings say nothing about TLS, on a server that offers it", _engine(url), True
            ),
            "proxy": await asked("one with TLS behind a proxy", _engine(proxy.url, ssl=trusted), True),
            "balancer": await asked(
                "one with TLS as far as a load balancer, which goes on in plain text",
                _engine(balancer.url, ssl=trusted),
                False,
            ),
        }
        await neighbour(trusted)
        questions["crowded"] = await asked(
            "one without TLS, while another program has a connection with it", _engine(url, ssl=False), False
        )
        _judge(questions)


async def _ask(answer: Any, question: _Question) -> None:
    engine = question.engine
    pool = engine.pool

    def count(*_: Any) -> None:
        question.checkouts += 1

    event.listen(engine.sync_engine, "checkout", count)
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
        event.remove(engine.sync_engine, "checkout", count)
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
    async with question.engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
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
    if not used:
        raise shown.wrong(
            "opens-its-own-connection",
            "Your function opens a connection of its own. The engine's may be made with other settings: ask on one of "
            "those, with `engine.connect()`.",
        )
    if wrong is None:
        return
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
    if not right["crowded"] or not right["tls"] or not right["default"]:
        name = next(each for each in ("crowded", "tls", "default") if not right[each])
        raise questions[name].wrong(
            "looks-at-other-backends",
            "That is the answer of another connection: `pg_stat_ssl` has a row for each of the server's. Take the one "
            "with `pid = pg_backend_pid()`.",
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
