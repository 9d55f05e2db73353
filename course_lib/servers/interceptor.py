"""Interceptor: it ends TLS with a certificate of its own and reads along, as an impostor on the way can."""

import asyncio
import contextlib
import ssl
import struct
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import URL

from course_lib.servers._errors import ServerError
from course_lib.servers._sockets import HOST
from course_lib.servers.certificates import Certificate

# https://www.postgresql.org/docs/17/protocol-message-formats.html
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_PASSWORD_IN_CLEAR_TEXT = b"R" + struct.pack("!ii", 8, 3)

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Interceptor:
    """A server on loopback that offers TLS to PostgreSQL's clients and passes what they say on to the real server.

    Poolers and load balancers that end TLS do the same with an honest certificate. It belongs to the event loop
    that starts it.

    Args:
        target: the URL of the real server, on loopback.
        certificate: what it shows to clients.
        tls_to_server: whether it talks TLS to the server; it does not verify anything.
        asks_for_password: whether it asks clients for the password in clear text and hangs up after the answer.
    """

    def __init__(
        self, target: URL, certificate: Certificate, *, tls_to_server: bool = True, asks_for_password: bool = False
    ) -> None:
        self.read = bytearray()  # what it has read in both directions, decrypted
        self.passwords: list[str] = []
        self._target = target
        self._certificate = certificate
        self._tls_to_server = tls_to_server
        self._asks_for_password = asks_for_password
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._context = _server_context(self._certificate)
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    def __repr__(self) -> str:
        return f"<Interceptor, {'not running' if self._server is None else 'running'}>"

    @property
    def url(self) -> URL:
        """The target's URL, password and all, with the interceptor's port: where its victims connect.

        Raises:
            ServerError: it does not run.
        """
        if self._server is None:
            raise ServerError("This interceptor is not running. Use `async with Interceptor(...) as interceptor:`.")
        return self._target.set(port=self._server.sockets[0].getsockname()[1])

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._clients.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readexactly(8)
        if first == _SSL_REQUEST:
            writer.write(b"S")
            await writer.start_tls(self._context)
            first = b""
        if self._asks_for_password:
            await _message(reader, first)  # user and database
            writer.write(_PASSWORD_IN_CLEAR_TEXT)
            await reader.readexactly(1)
            self.passwords.append((await _message(reader))[:-1].decode(errors="replace"))
            return
        server = await self._connect()
        self.read += first
        server[1].write(first)
        try:
            pipes = [self._pipe(reader, server[1]), self._pipe(server[0], writer)]
            await asyncio.wait([asyncio.ensure_future(pipe) for pipe in pipes], return_when=asyncio.FIRST_COMPLETED)
        finally:
            server[1].transport.abort()

    async def _connect(self) -> _Streams:
        reader, writer = await asyncio.open_connection(HOST, self._target.port)
        if self._tls_to_server:
            writer.write(_SSL_REQUEST)
            await reader.readexactly(1)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            await writer.start_tls(context)
        return reader, writer

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                self.read += data
                sink.write(data)
                await sink.drain()


def _server_context(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Python loads a key from files only; the folder is private.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "server.pem")
        path.write_bytes(certificate.chain + certificate.key)
        context.load_cert_chain(path)
    return context


async def _message(reader: asyncio.StreamReader, begun: bytes = b"") -> bytes:
    """A message without its length."""
    begun += await reader.readexactly(max(0, 4 - len(begun)))
    length = int.from_bytes(begun[:4], "big")
    return begun[4:] + await reader.readexactly(length - len(begun))
