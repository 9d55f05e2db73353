"""Open-loop load over HTTP: each request begins at its planned time, however slow the answers before it are.

A client that waits for an answer before it asks again is slowed down together with the server, and measures the least
where users wait the longest (Gil Tene's "coordinated omission"). So times count from the plan here:
https://github.com/giltene/wrk2#acknowledgements names the idea, its README explains it.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from course_lib._drill_client import ask

SERVED, GAVE_UP = "served", "gave up"
ROWS = 20  # tasks that are there before the load begins
Kind = Literal["read", "list", "create"]


@dataclass(frozen=True)
class Phase:
    """A part of the drill.

    Args:
        name: what it is called.
        words: what happens in it.
        begin: when it begins, in seconds.
        end: when it ends, in seconds.
        factor: how many times the ordinary rate comes.
    """

    name: str
    words: str
    begin: float
    end: float
    factor: float = 1.0


@dataclass(frozen=True)
class Planned:
    """A request of the plan: when it begins, in seconds, in which phase, and what it asks."""

    start: float
    phase: str
    kind: Kind
    number: int


@dataclass(frozen=True)
class Answer:
    """What became of a planned request.

    Args:
        planned: the request.
        seconds: from its planned start to its end.
        outcome: "served", "gave up", "HTTP 500" or another status, or the class of the connection's error.
    """

    planned: Planned
    seconds: float
    outcome: str

    @property
    def served(self) -> bool:
        """Whether the user got what was asked for."""
        return self.outcome == SERVED


def plan_requests(phases: Sequence[Phase], rate: float, seed: int) -> tuple[Planned, ...]:
    """Draw when users come, independently of each other (a Poisson process), and what they ask.

    Args:
        phases: one after the other.
        rate: requests per second on average, times each phase's factor.
        seed: the same seed draws the same plan.
    """
    rng = random.Random(seed)
    kinds: tuple[Kind, ...] = ("read", "list", "create")
    plan: list[Planned] = []
    for phase in phases:
        now = phase.begin
        while (now := now + rng.expovariate(rate * phase.factor)) < phase.end:
            kind = rng.choices(kinds, (7, 1, 2))[0]
            plan.append(Planned(now, phase.name, kind, rng.randint(1, ROWS)))
    return tuple(plan)


async def prepare_rows(port: int) -> None:
    """Store the tasks that the load will read; the application's imports and first connection come with it.

    Raises:
        ConnectionError: the application did not store one.
    """
    for number in range(1, ROWS + 1):
        if (status := await ask(port, "POST", "/tasks", _task(f"task {number}"))) != 201:
            raise ConnectionError(f"POST /tasks was answered with the status {status}")


async def send_all(port: int, plan: Sequence[Planned], patience: float, begin: float) -> tuple[list[Answer], float]:
    """Send each request at its time, and wait until all have ended.

    Args:
        port: where the application serves, on 127.0.0.1.
        plan: the requests, in the order of their starts.
        patience: seconds after which a client gives up, from the planned start.
        begin: the time of the running loop at which the plan begins.
    Returns:
        One answer per request, in the plan's order; and by how many seconds the latest request was sent late, because
        this program was busy. That time is part of the answers' seconds.
    """
    loop = asyncio.get_running_loop()
    latest = 0.0
    with _first_error():
        async with asyncio.TaskGroup() as group:
            tasks = []
            for planned in plan:
                due = begin + planned.start
                await asyncio.sleep(due - loop.time())
                latest = max(latest, loop.time() - due)
                tasks.append(group.create_task(_send(port, planned, due, patience)))
    return [task.result() for task in tasks], latest


async def _send(port: int, planned: Planned, due: float, patience: float) -> Answer:
    try:
        async with asyncio.timeout_at(due + patience):
            if planned.kind == "create":
                status = await ask(port, "POST", "/tasks", _task(f"planned for {planned.start:.3f} s"))
            else:
                path = "/tasks" if planned.kind == "list" else f"/tasks/{planned.number}"
                status = await ask(port, "GET", path)
        outcome = SERVED if 200 <= status < 300 else f"HTTP {status}"
    except TimeoutError:
        outcome = GAVE_UP
    except OSError as error:
        outcome = type(error).__name__
    return Answer(planned, asyncio.get_running_loop().time() - due, outcome)


def _task(title: str) -> bytes:
    return json.dumps({"title": title}).encode()


@contextlib.contextmanager
def _first_error() -> Iterator[None]:
    """Raise the first error of a task group by itself: a group would hide its message from the reader."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
