"""Waits until the database's port answers, at import, for ever."""

import socket
import time

from sqlalchemy.ext.asyncio import create_async_engine

HOST, PORT = "127.0.0.1", 1

while True:
    try:
        socket.create_connection((HOST, PORT), timeout=1).close()
        break
    except OSError:
        time.sleep(0.5)

engine = create_async_engine(f"postgresql+asyncpg://app@{HOST}:{PORT}/app")
