"""Does serving an application leave nothing behind, whatever the application or the block does?"""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI

from course_lib.serving import ServingError, serve

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def application(events: list[str], *, start: object = None, end: object = None) -> FastAPI:
    """An application that notes its start and its end, and raises or waits there on demand."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        events.append("start")
        await trouble(start)
        try:
            yield
            await trouble(end)
        finally:
            events.append("end")

    app = FastAPI(lifespan=lifespan)

    @app.get("/fine")
    async def fine() -> dict[str, bool]:
        return {"fine": True}

    @app.get("/broken")
    async def broken() -> None:
        raise LookupError("no such thing")

    @app.get("/slow")
    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            events.append("slow ended")

    return app


async def trouble(what: object) -> None:
    if isinstance(what, BaseException):
        raise what
    if what == "hang":
        await asyncio.sleep(60)


@pytest.fixture(autouse=True)
def nothing_stays(capfd: pytest.CaptureFixture[str]) -> Any:
    """After each test: the signal handlers and log filters of before, and nothing on stderr."""
    handlers = [signal.getsignal(each) for each in SIGNALS]
    yield
    assert [signal.getsignal(each) for each in SIGNALS] == handlers
    assert not any(logging.getLogger(f"uvicorn.{name}").filters for name in ("error", "access", "asgi"))
    assert capfd.readouterr().err == ""


async def refused(url: str) -> bool:
    """Whether nothing listens there any more."""
    port = int(url.rstrip("/").rpartition(":")[2])
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


async def test_it_answers_over_http_on_loopback_and_ends() -> None:
    events: list[str] = []
    handlers = [signal.getsignal(each) for each in SIGNALS]
    async with serve(application(events)) as client:
        assert client.base_url.host == "127.0.0.1"
        assert events == ["start"]
        assert (await client.get("/fine")).json() == {"fine": True}
        assert [signal.getsignal(each) for each in SIGNALS] == handlers
    assert events == ["start", "end"]
    assert await refused(str(client.base_url))


async def test_an_exception_in_a_request_is_a_500_and_not_a_log() -> None:
    async with serve(application([])) as client:
        assert (await client.get("/broken")).status_code == 500
        assert (await client.get("/fine")).status_code == 200


@pytest.mark.parametrize("error", [RuntimeError("no tables"), SystemExit(3)])
async def test_a_failed_start_says_why(error: BaseException) -> None:
    kind = type(error).__name__
    with pytest.raises(ServingError, match=f"did not start: {kind}: {error}") as caught:
        async with serve(application([], start=error)):
            pytest.fail("the block must not run")
    assert caught.value.__cause__ is error


async def test_a_failed_end_says_why_once() -> None:
    with pytest.raises(ServingError, match="did not end as it should: RuntimeError: no end") as caught:
        async with serve(application([], end=RuntimeError("no end"))) as client:
            await client.get("/fine")
    assert await refused(str(client.base_url))
    assert isinstance(caught.value.__cause__, RuntimeError)


async def test_the_blocks_own_exception_goes_first() -> None:
    events: list[str] = []
    with pytest.raises(KeyError, match="mine"):
        async with serve(application(events, end=RuntimeError("no end"))):
            raise KeyError("mine")
    assert events == ["start", "end"]


async def test_a_block_that_is_cancelled_ends_the_application() -> None:
    events: list[str] = []
    inside = asyncio.Event()
    seen: list[str] = []

    async def block() -> None:
        async with serve(application(events)) as client:
            seen.append(str(client.base_url))
            inside.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(block())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert events == ["start", "end"]
    assert await refused(seen[0])


async def test_a_start_that_hangs_can_be_cancelled() -> None:
    before = asyncio.all_tasks()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            async with serve(application([], start="hang"), grace=0.2):
                pytest.fail("the block must not run")
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("twice", [False, True])
async def test_an_end_that_hangs_is_cancelled(twice: bool) -> None:
    """By itself after the grace, or at once when the one who waits is cancelled as well."""
    events: list[str] = []
    before = asyncio.all_tasks()

    async def block() -> None:
        async with serve(application(events, end="hang"), grace=60 if twice else 0.2):
            pass

    task = asyncio.create_task(block())
    if twice:
        await asyncio.sleep(0.6)
        task.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError if twice else ServingError, match=None if twice else "took too long"):
            await task
    assert events == ["start", "end"]
    assert asyncio.all_tasks() == before


async def test_a_request_that_never_ends_is_cancelled() -> None:
    events: list[str] = []
    async with asyncio.timeout(15):
        async with serve(application(events), grace=1) as client:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(client.get("/slow"), timeout=0.3)
            # A client that went away without a word leaves the request running: uvicorn cancels it.
    await asyncio.sleep(0)
    assert events[-1] in ("end", "slow ended")
    assert "end" in events


async def test_several_applications_at_a_time() -> None:
    async with serve(application([])) as one, serve(application([])) as other:
        assert one.base_url != other.base_url
        answers = await asyncio.gather(one.get("/broken"), other.get("/broken"), one.get("/fine"))
    assert [answer.status_code for answer in answers] == [500, 500, 200]


async def test_an_asgi_function_without_a_lifespan_is_served() -> None:
    async def plain(scope: Any, _: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with serve(plain) as client:
        assert (await client.get("/")).status_code == 204
