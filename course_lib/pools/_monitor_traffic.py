"""The requests that a monitor sends, and how they fare."""

import asyncio
import re
from collections import deque
from time import perf_counter

from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from course_lib.pools._recording import PoolError
from course_lib.pools._requests import Request
from course_lib.pools._run_result import percentile

_WINDOW = 5.0  # seconds that count as recent, and how many requests at most
_RECENT = 1_000
_SHORTEST = 0.1  # seconds; a rate over less than that would jump
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_TOO_MANY_CONNECTIONS = "53300"
_QUERY = text("select 1")
_PASSWORD = re.compile(r"(://[^\s:/@]*:)\S+(?=@)")


class Traffic:
    """Does the requests' work and counts how they fare."""

    def __init__(self) -> None:
        self.served = self.timed_out = self.errors = 0
        self.failures = 0  # since the last one that was served
        self.last_served = perf_counter()
        self.last_error = ""
        self.refused = False  # whether the server ever had no connection left
        self._recent: deque[tuple[float, float, bool]] = deque(maxlen=_RECENT)

    async def work(self, request: Request) -> None:
        """Check out a connection, run a query, hold, return."""
        try:
            async with request.connection() as connection:
                await connection.execute(_QUERY)
                await asyncio.sleep(request.hold_for)
        except PoolTimeoutError:
            self.timed_out += 1
            self._recent.append((perf_counter(), request.wait, False))
            raise
        except Exception as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # It was told to end, and giving its connection back failed. The error must not hide that.
                raise asyncio.CancelledError from error
            self.errors += 1
            self.failures += 1
            self.last_error = one_line(error)
            # SQLAlchemy 2.1 wraps the driver's error, 2.0 raises that of asyncpg as it is.
            self.refused |= getattr(getattr(error, "orig", error), "sqlstate", None) == _TOO_MANY_CONNECTIONS
            self._recent.append((perf_counter(), request.wait, False))
            raise
        self.served += 1
        self.failures = 0
        self.last_served = now = perf_counter()
        self._recent.append((now, request.wait, True))

    def recent(self, begin: float) -> tuple[float, float]:
        """Served requests per second and the wait in seconds that 95 % do not exceed, over the last requests.

        Args:
            begin: when the traffic began, on the clock of `time.perf_counter`.
        """
        now = perf_counter()
        last = [each for each in self._recent if each[0] > now - _WINDOW]
        since = last[0][0] if len(last) == _RECENT else max(begin, now - _WINDOW)
        served = sum(1 for each in last if each[2])
        return served / max(now - since, _SHORTEST), percentile([each[1] for each in last], 0.95)


def one_line(error: BaseException) -> str:
    """An error in a line: class and first line, passwords in URLs masked; what the course says itself, as it is."""
    if isinstance(error, PoolError):
        return str(error)
    line = (str(error).strip() or repr(error)).splitlines()[0]
    return _PASSWORD.sub(r"\1***", f"{type(error).__name__}: {line}")
