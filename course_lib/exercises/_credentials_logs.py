"""What lesson 08's check of a masking handler logs, through it and beside it."""

import contextlib
import io
import logging
import secrets
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from course_lib.exercises._credentials_lines import Line, lines_with
from course_lib.exercises._credentials_watch import invented
from course_lib.exercises.core import Case, NotYet, ask

_FORMAT = "%(levelname)s|%(name)s|%(message)s"


class _Keep(logging.Handler):
    """The last handler of all: what the record is when everybody had it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[object, ...]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(
            (type(record.msg), str(record.msg), str(record.args), record.exc_info is not None, str(record.exc_text))
        )


class _Run(NamedTuple):
    masked: list[str]
    other: list[str]
    records: list[tuple[object, ...]]
    complaints: str


def _run(
    lines: list[Line],
    handler: logging.StreamHandler[io.StringIO],
    stream: io.StringIO,
    shared: logging.Formatter | None,
    *,
    first: bool,
) -> _Run:
    """Log each line through the handler and a plain one; what each wrote, line for line."""
    plain: logging.StreamHandler[io.StringIO] = logging.StreamHandler(io.StringIO())
    plain.setFormatter(shared or logging.Formatter(_FORMAT))
    keep, logger = _Keep(), logging.Logger("shop")
    logger.handlers = [handler, plain, keep] if first else [plain, handler, keep]
    texts: list[tuple[io.StringIO, list[str]]] = [(stream, []), (plain.stream, [])]
    with contextlib.redirect_stderr(io.StringIO()) as complaints:
        for line in lines:
            line.log(logger)
            for each, written in texts:
                if each.closed:
                    raise NotYet("The handler's stream was closed. It is still needed.", misconception="drops-lines")
                written.append(each.getvalue())
                each.seek(0)
                each.truncate()
    return _Run(texts[0][1], texts[1][1], keep.seen, complaints.getvalue())


async def judge_handler(protect_handler: Callable[[logging.Handler, list[str]], Any]) -> None:
    """08.4: is nothing secret in what the handler writes, and is everything else as it was?

    Raises:
        NotYet: with the most specific reason.
    """
    word = invented()
    known = [word, f"{word}-{secrets.token_hex(3)}", f"{invented()}.+[("]
    for given, formatted, first in ((known, True, True), (known, True, False), ([], False, True)):
        lines = lines_with(given)
        usual = _handler(formatted)
        reference = _run(lines, usual, usual.stream, usual.formatter, first=first)
        handler = _handler(formatted)
        stream, shared = handler.stream, handler.formatter  # two handlers often have one Formatter object
        title = f"protect_handler(handler, {'three secrets' if given else '[]'})"
        try:
            await ask(protect_handler, handler, list(given), given=title)
        except AttributeError as error:
            if not formatted and "NoneType" in str(error):
                raise NotYet(
                    "A handler without a formatter has None there. `logging.Formatter()` is what it uses then.",
                    misconception="needs-a-formatter",
                ) from error
            raise
        run = _run(lines, handler, stream, shared, first=first)
        _judge_leaks(lines, run, handler)
        _judge_other(reference, run)
        _judge_rest(lines, run, reference)


def _handler(formatted: bool) -> logging.StreamHandler[io.StringIO]:
    handler: logging.StreamHandler[io.StringIO] = logging.StreamHandler(io.StringIO())
    if formatted:
        handler.setFormatter(logging.Formatter(_FORMAT))
    return handler


def _returns_a_record(handler: logging.Handler) -> bool:
    record = logging.LogRecord("shop", logging.INFO, "", 1, "a line", (), None)
    filters: list[Any] = list(handler.filters)
    return any(
        isinstance(getattr(each, "filter", each)(logging.makeLogRecord(vars(record))), logging.LogRecord)
        for each in filters
    )


def _judge_leaks(lines: list[Line], run: _Run, handler: logging.Handler) -> None:
    leaking = [
        (line, text) for line, text in zip(lines, run.masked, strict=True) if any(one in text for one in line.hidden)
    ]
    if not leaking:
        return
    secret_lines = [line for line in lines if line.hidden]
    if len(leaking) == len(secret_lines) and sys.version_info < (3, 12) and _returns_a_record(handler):
        raise NotYet(
            "Up to Python 3.11 a record that a filter returns is not used: only whether it is true. Let the handler's "
            "formatter mask the finished text; that works in all versions.",
            misconception="filter-returns-a-record",
        )
    kinds = {line.misconception for line, _ in leaking}
    order = ["misses-urls", "only-postgresql", "misses-odd-passwords", "needs-a-user", "masks-one-url"]
    order += [
        "misses-known-secrets",
        "masks-one-secret",
        "masks-the-shorter-first",
        "misses-arguments",
        "misses-objects",
        "misses-tracebacks",
    ]
    if {line.misconception for line in secret_lines} == kinds and len(leaking) == len(secret_lines):
        raise NotYet(
            "The handler writes every secret as before. What you prepared is not used by it, or it masks nothing.",
            misconception="masks-nothing",
        )
    kind = next(each for each in order if each in kinds)
    line, text = next(each for each in leaking if each[0].misconception == kind)
    raise NotYet(line.advice, misconception=kind, case=Case("a line in the log", "no secret in it", _short(text), True))


def _judge_other(reference: _Run, run: _Run) -> None:
    for was, now in zip(reference.other, run.other, strict=True):
        if was != now and reference.records == run.records:
            raise NotYet(
                "Another handler of the same logger writes something else now, though the records are as they were. "
                "The two share something that was changed, such as their `Formatter` object. Give this handler one "
                "of its own.",
                misconception="changes-what-is-shared",
                case=Case("the other handler", _short(was), _short(now), True),
            )
        if was != now:
            raise NotYet(
                "Another handler of the same logger writes something else now. All handlers get the same record: "
                "what one changes in it is changed for all. Work on the text that this handler has formatted, or on a "
                "copy of the record.",
                misconception="mutates-the-record",
                case=Case("the other handler", _short(was), _short(now), True),
            )
    if reference.records != run.records:
        raise NotYet(
            "The record was changed on its way. Handlers that come later, in other loggers too, get it like that. Mask "
            "the formatted text instead.",
            misconception="mutates-the-record",
        )


def _judge_rest(lines: list[Line], run: _Run, reference: _Run) -> None:
    for line, text, was in zip(lines, run.masked, reference.masked, strict=True):
        if not text:
            raise NotYet(
                "A line is missing. A log line with a secret in it is still needed, with the secret masked"
                + ("; and this handler failed while it wrote." if run.complaints else "."),
                misconception="drops-lines",
                case=Case("a line in the log", _short(was), "nothing", True),
            )
        prefix = was.partition("|")[0] + "|"
        if was.startswith(prefix) and not text.startswith(prefix) and all(each in text for each in line.kept):
            raise NotYet(
                "The handler has lost its format. Keep its formatter, and mask what that gives.",
                misconception="loses-the-format",
                case=Case("a line in the log", _short(was), _short(text), True),
            )
        if any(each not in text for each in line.kept) or (not line.hidden and text != was):
            raise NotYet(
                "More than the password is gone: the rest of a line, a user, a host, or an ordinary address.",
                misconception="hides-too-much",
                case=Case("a line in the log", _short(was), _short(text), True),
            )


def _short(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else "nothing"
