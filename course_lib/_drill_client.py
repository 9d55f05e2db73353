"""One HTTP request for the load: what matters is that it takes little of the processor that is being measured.

httpx took as much of it as the application (about 2.5 ms per request, measured on two cores) and fell up to a second
behind at 160 requests per second. This speaks only what uvicorn answers to the drill: HTTP/1.1 with a Content-Length.
Each request has a connection of its own, as each user has. On one that is used again, an error at the end of the
request before, whose user had an answer already, would be charged to the next.
"""

import asyncio


async def ask(port: int, method: str, path: str, body: bytes = b"") -> int:
    """Send a request to 127.0.0.1 and read the whole answer.

    Args:
        port: where the application listens.
        method: such as GET.
        path: such as "/tasks".
        body: JSON, or nothing.
    Returns:
        The answer's status.
    Raises:
        ConnectionError: the application closed the connection before the answer was whole, or is not there.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        await reader.readexactly(int(headers["content-length"]))
        return int(head[0].split()[1])
    except asyncio.IncompleteReadError:
        raise ConnectionResetError("The application closed the connection.") from None
    finally:
        writer.transport.abort()
