"""What the checks of exercises 04.3 and 04.4 make of numbers: each raises `NotYet`, the most specific reason first."""

import inspect
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

from course_lib.exercises._shown import shown
from course_lib.exercises.core import Case, NotYet

STEPS = (
    "engine made",
    "one query has run",
    "three borrowed at once",
    "all three returned",
    "1.2 s without a query",
    "one query after that",
    "server ended them all",
    "one query after the end",
    "disposed of",
    "one query after dispose",
)


def judge_snapshot(
    got: Any, expected: dict[str, int], phase: str, private: Sequence[str], *, borrowed: bool, changed: bool
) -> None:
    """04.3: is this the pool's state, read in a decent way?

    Args:
        got: what the answer returned.
        expected: what it should be.
        phase: what happened to the pool before, in words.
        private: names of the private fields that were read.
        borrowed: whether the answer took a connection.
        changed: whether the pool is another one, or in another state, than before.
    """
    case = Case(f"engine: {phase}", repr(expected), shown(got))
    if private:
        raise NotYet(
            f"The function reads `{private[0]}`. Names that begin with an underscore are private: SQLAlchemy may "
            "rename them in any release. The pool has public methods for all four numbers.",
            misconception="reads-private-fields",
        )
    if borrowed:
        raise NotYet(
            "The function takes a connection from the pool, so it changes what it measures, and it waits when all "
            "are out: just when somebody wants to look. Ask the pool, not the server.",
            misconception="borrows-a-connection",
        )
    if changed:
        raise NotYet(
            "After the call the pool is not what it was. A health page asks every few seconds: read the numbers, and "
            "leave the pool alone. `dispose()` belongs to the end of the program.",
            misconception="changes-the-pool",
        )
    if not isinstance(got, dict):
        raise NotYet(
            f"Return a dict, not {type(got).__name__}. The text of `status()` is for people; a program wants numbers.",
            misconception="returns-no-dict",
            case=case,
        )
    if uncalled := next((value.__name__ for value in got.values() if inspect.ismethod(value)), None):
        raise NotYet(
            f"The dict holds the method `{uncalled}`, not what it gives. Call it: `{uncalled}()`.",
            misconception="forgets-to-call",
        )
    if set(got) != set(expected) or any(type(value) is not int for value in got.values()):
        raise NotYet(
            "The dict needs exactly the keys `size`, `in_use`, `idle` and `overflow`, each with a whole number.",
            misconception="other-keys",
            case=case,
        )
    if got == expected:
        return
    if got["overflow"] < 0:
        raise NotYet(
            "The overflow is below zero. `overflow()` starts at minus `pool_size` and counts up with each connection "
            "that is opened, so it is the overflow only from 0 on. Report 0 for anything below.",
            misconception="negative-overflow",
            case=case,
        )
    if (got["in_use"], got["idle"]) == (expected["idle"], expected["in_use"]) != (got["idle"], got["in_use"]):
        raise NotYet(
            "`in_use` and `idle` are exchanged. `checkedout()` counts the connections that are out of the pool, in "
            "somebody's hands; `checkedin()` those that lie in it.",
            misconception="swaps-in-use-and-idle",
            case=case,
        )
    opened = expected["in_use"] + expected["idle"]
    if got["overflow"] == expected["size"] - opened > 0:
        raise NotYet(
            "Taking the minus sign away makes an overflow out of places that were never opened. Below zero means: "
            "no overflow.",
            misconception="absolute-overflow",
            case=case,
        )
    if got["overflow"] == max(0, expected["in_use"] - expected["size"]) != expected["overflow"]:
        raise NotYet(
            "Idle connections count too: the overflow is what is open beyond `pool_size`, borrowed or not. The pool "
            "counts it for you in `overflow()`.",
            misconception="overflow-from-borrowed",
            case=case,
        )
    if got["idle"] == expected["size"] - expected["in_use"] != expected["idle"]:
        raise NotYet(
            "These idle connections do not exist: the pool opens them on demand. `checkedin()` counts those that "
            "lie in the pool.",
            misconception="counts-unopened-as-idle",
            case=case,
        )
    if got["in_use"] != expected["in_use"]:
        raise NotYet(
            "`in_use` is the number of connections that are borrowed now, overflow included.",
            misconception="miscounts-in-use",
            case=case,
        )
    if got["size"] != expected["size"]:
        raise NotYet(
            "`size` is the number of connections that this engine's pool keeps, as `size()` gives it. Another engine "
            "has another one, and neither overflow nor what happens to be open changes it.",
            misconception="other-size",
            case=case,
        )
    raise NotYet("These are not the pool's numbers.", misconception="wrong-numbers", case=case)


# For each step: a wrong number that betrays an idea (None: any), its name, and what is true.
_IDEAS: tuple[tuple[int, int | None, str, str], ...] = (
    (0, None, "opens-at-creation", "Making an engine opens nothing. The first query does."),
    (1, 0, "closes-on-return", "A returned connection stays open: that is what a pool is for."),
    (1, None, "fills-the-pool", "The pool opens one connection for one query, not `pool_size` of them."),
    (2, 2, "forgets-overflow", "Two places and one overflow: all three can be open at the same moment."),
    (3, 3, "keeps-overflow", "The pool keeps `pool_size` connections. What comes back beyond that is closed."),
    (3, 0, "closes-on-return", "Returned connections stay open, up to `pool_size` of them."),
    (
        4,
        None,
        "recycles-in-background",
        "Nobody watches the clock: an old one is replaced at its next checkout.",
    ),
    (5, 1, "recycles-all-at-once", "One query checks out one connection, and only that one is replaced."),
    (5, None, "miscounts-recycle", "The old connection is closed and a new one opened; the other one stays."),
    (6, None, "refills-by-itself", "No pool notices that by itself, and none opens a connection without a checkout."),
    (7, 2, "refills-at-once", "The query needs one connection. The other place is filled when somebody needs it."),
    (7, 0, "ping-does-not-reconnect", "Pre-ping finds the closed connection and opens a new one for the query."),
    (8, None, "dispose-keeps-connections", "`dispose` closes all connections that lie in the pool."),
    (9, 0, "dispose-is-the-end", "`dispose` gives the engine a new, empty pool. The next query opens a connection."),
)


def judge_form(predicted: Any) -> None:
    """04.4: is there a number for each step?

    Args:
        predicted: what the learner handed in.
    """
    if not isinstance(predicted, Mapping) or set(predicted) != set(STEPS):
        raise NotYet(
            "The check reads the dict of the starter: keep its ten keys as they are, and replace each `...`.",
            misconception="changed-steps",
        )
    for number, step in enumerate(STEPS, 1):
        guess = predicted[step]
        if guess is ...:
            raise NotYet(
                f"Step {number} has no prediction yet. A guess is enough; the check says what it was.",
                misconception="incomplete",
            )
        whole = isinstance(guess, Integral) or (isinstance(guess, float) and guess.is_integer())
        if not whole or isinstance(guess, bool):
            raise NotYet(
                "Each prediction is a whole number of connections.",
                misconception="no-number",
                case=Case(f"step {number}: {step}", "a whole number", shown(guess)),
            )


def judge_step(predicted: Mapping[str, Any], index: int, seen: int) -> None:
    """04.4: is the number of this step what the server saw?

    Args:
        predicted: the learner's dict, which `judge_form` has accepted.
        index: the step, counted from 0.
        seen: what the server saw after it.
    """
    step = STEPS[index]
    guess = predicted[step]
    if guess == seen:
        return
    case = Case(f"after step {index + 1}: {step}", f"{seen} on the server", shown(guess))
    for at, number, idea, truth in _IDEAS:
        if at == index and number in (guess, None):
            raise NotYet(f"Step {index + 1}. {truth}", misconception=idea, case=case)
    raise NotYet(
        f"Step {index + 1}. The server sees another number. Walk through the steps again: who opens, who returns, who "
        "closes?",
        misconception="miscounted",
        case=case,
    )
