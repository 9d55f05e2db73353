"""Does an interceptor read what clients and server say to each other, and leave nothing behind?"""

import asyncio
import ssl

import asyncpg
import psutil
import pytest
from server_helpers import connect

from course_lib.servers import PostgresServer, ServerError
from course_lib.servers.certificates import Authority
from course_lib.servers.interceptor import Interceptor

STATE = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.mark.parametrize("tls_to_server", [True, False])
@pytest.mark.parametrize("mode", ["require", "disable"])
async def test_it_reads_along_and_both_sides_see_what_they_expect(
    server: PostgresServer, mode: str, tls_to_server: bool
) -> None:
    certificate = Authority().server_certificate()
    async with Interceptor(server.url, certificate, tls_to_server=tls_to_server) as interceptor:
        connection = await connect(interceptor.url, ssl=mode)
        assert await connection.fetchval(STATE) is tls_to_server
        assert await connection.fetchval("SELECT repeat('x', 300000)") == "x" * 300_000
        assert await connection.fetchval("SELECT 'example-' || 'word'") == "example-word"
        assert b"SELECT 'example-' || 'word'" in interceptor.read
        assert b"example-word" in interceptor.read
        assert str(server.url.password).encode() not in interceptor.read, "SCRAM never says the password"
        await connection.close()


async def test_who_verifies_is_not_read(server: PostgresServer) -> None:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    async with Interceptor(server.url, Authority().server_certificate()) as interceptor:
        with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
            await connect(interceptor.url, ssl=context)
        assert interceptor.read == b""


async def test_it_is_told_the_password_that_it_asks_for(server: PostgresServer) -> None:
    certificate = Authority().server_certificate()
    async with Interceptor(server.url, certificate, asks_for_password=True) as interceptor:
        for mode in ("require", "disable"):
            with pytest.raises((asyncpg.PostgresConnectionError, ConnectionError)):
                await connect(interceptor.url, ssl=mode)
        assert interceptor.passwords == [server.url.password] * 2
        assert str(server.url.password) not in repr(interceptor)


async def test_it_leaves_nothing_behind(server: PostgresServer) -> None:
    async def use() -> None:
        async with Interceptor(server.url, Authority().server_certificate()) as interceptor:
            connection = await connect(interceptor.url, ssl="require")
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await connection.fetchval("SELECT 1")
        with pytest.raises(ServerError, match="not running"):
            _ = interceptor.url

    await use()
    await asyncio.sleep(0.05)
    before, tasks = psutil.Process().num_fds(), len(asyncio.all_tasks())
    for _ in range(3):
        await use()
    await asyncio.sleep(0.05)
    assert psutil.Process().num_fds() <= before
    assert len(asyncio.all_tasks()) == tasks
