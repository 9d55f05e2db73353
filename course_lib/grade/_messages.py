"""Messages between a worker and its warm process: a JSON text behind its length."""

import json
import struct
from typing import Any


def receive(file: Any) -> Any:
    """The next message; None when there is no more."""
    head = _exactly(file, 4)
    if head is None:
        return None
    data = _exactly(file, struct.unpack("=I", head)[0])
    return None if data is None else json.loads(data)


def send(file: Any, message: Any) -> None:
    """Write a message."""
    data = json.dumps(message).encode()
    data = struct.pack("=I", len(data)) + data
    while data:
        data = data[file.write(data) :]


def _exactly(file: Any, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        more = file.read(size - len(data))
        if not more:
            return None
        data += more
    return data
