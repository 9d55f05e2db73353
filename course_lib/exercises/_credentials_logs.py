"""What lesson 08's check of a masking handler logs, through it and beside it."""

import contextlib
import io
import logging
import secrets
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from course_lib.exercises._credentials_settings import invented
from course_lib.exercises.core import Case, NotYet, ask

_FORMAT = "%(levelname)s|%(name)s|%(message)s"
_SCHEMES = ("postgresql", "redis", "amqps", "mysql+asyncmy", "https", "mongodb+srv")
_ORDINARY = "GET https://shop.example/cart?item=7 200 for visitor@shop.example"


class _Text:
    """A message that is no text, as `logger.info(url)` gives one."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


class _Line(NamedTuple):
    """One line: how it is logged, what must not be in it, what must, and what a leak means."""

    log: Callable[[logging.Logger], None]
    hidden: tuple[str, ...]
    kept: tuple[str, ...]
    misconception: str
    advice: str


def _raising(logger: logging.Logger, text: str) -> None:
    try:
        raise ConnectionError(text)
    except ConnectionError:
        logger.exception("no connection")


def _lines(known: list[str]) -> list[_Line]:
    lines = [
        _Line(lambda logger: logger.info(_ORDINARY), (), (_ORDINARY,), "", ""),
        *(_url_line(scheme) for scheme in _SCHEMES),
    ]
    one, other = _url("redis"), _url("amqps")
    for_both = "Several URLs may stand in a line."
    text = f"{one[0]} and {other[0]}"
    lines.append(
        _Line(lambda logger: logger.info(text), (one[1], other[1]), ("@cache.internal",), "masks-one-url", for_both)
    )
    arguments = "The arguments of a log call are filled in later: mask `record.getMessage()`, or the finished line."
    objects = "A message can be an object, such as an exception; it becomes text when the line is formatted."
    trace = (
        "The traceback was written as it is. A filter sees the message only; the handler's formatter sees the finished "
        "text, with the traceback."
    )
    words = "One of the `secrets` stands in the line as it is, without a URL around it."
    url, password = _url("postgresql")
    lines += [
        _Line(
            lambda logger: logger.warning("to %s", url), (password,), ("to postgresql",), "misses-arguments", arguments
        ),
        _Line(lambda logger: logger.info(_Text(url)), (password,), ("@db.internal",), "misses-objects", objects),
        _Line(lambda logger: _raising(logger, url), (password,), ("ConnectionError",), "misses-tracebacks", trace),
    ]
    shorter = (
        "Of a secret that begins with another one, the end is left: the shorter was replaced first. Replace the "
        "longest first."
    )
    for secret in known:
        begins = next((each for each in known if secret != each and secret.startswith(each)), "")
        end = secret.removeprefix(begins)
        lines.append(_known_line(secret, secret, "misses-known-secrets", words))
        if begins:
            lines.append(_known_line(secret, end, "masks-the-shorter-first", shorter))
    if known:
        first = known[0]
        lines += [
            _Line(
                lambda logger: logger.error("login as %(user)s with %(word)s", {"user": "app", "word": first}),
                (first,),
                ("login as app with",),
                "misses-arguments",
                arguments,
            ),
            _Line(lambda logger: _raising(logger, first), (first,), ("ConnectionError",), "misses-tracebacks", trace),
        ]
    return lines


def _url(scheme: str) -> tuple[str, str]:
    password = invented()
    host = {"redis": "cache", "amqps": "queue"}.get(scheme, "db")
    return f"{scheme}://app:{password}@{host}.internal:5432/shop", password


def _url_line(scheme: str) -> _Line:
    url, password = _url(scheme)
    start, _, end = url.partition(password)
    if scheme == "postgresql":
        return _Line(
            lambda logger: logger.info(f"opens {url} now"),
            (password,),
            (f"opens {start}", f"{end} now"),
            "misses-urls",
            "The password in a URL came through: it stands between the user's `:` and the `@`.",
        )
    return _Line(
        lambda logger: logger.info(f"opens {url} now"),
        (password,),
        (f"opens {start}", f"{end} now"),
        "only-postgresql",
        f"A URL that begins with `{scheme}://` came through. Brokers, caches and other databases have passwords too: "
        "take any scheme.",
    )


def _known_line(secret: str, hidden: str, misconception: str, advice: str) -> _Line:
    def log(logger: logging.Logger) -> None:
        logger.info(f"the word is {secret}.")

    return _Line(log, (hidden,), ("the word is ",), misconception, advice)


class _Keep(logging.Handler):
    """The last handler of all: what the record is when everybody had it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[object, ...]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append((type(record.msg), str(record.msg), str(record.args), record.exc_info is not None))


class _Run(NamedTuple):
    masked: list[str]
    other: list[str]
    records: list[tuple[object, ...]]
    complaints: str


def _run(lines: list[_Line], handler: logging.StreamHandler[io.StringIO], *, first: bool) -> _Run:
    """Log each line through the handler and a plain one; what each wrote, line for line."""
    plain: logging.StreamHandler[io.StringIO] = logging.StreamHandler(io.StringIO())
    plain.setFormatter(logging.Formatter(_FORMAT))
    keep, logger = _Keep(), logging.Logger("shop")
    logger.handlers = [handler, plain, keep] if first else [plain, handler, keep]
    texts: dict[logging.StreamHandler[io.StringIO], list[str]] = {handler: [], plain: []}
    with contextlib.redirect_stderr(io.StringIO()) as complaints:
        for line in lines:
            line.log(logger)
            for each, written in texts.items():
                written.append(each.stream.getvalue())
                each.stream.seek(0)
                each.stream.truncate()
    return _Run(texts[handler], texts[plain], keep.seen, complaints.getvalue())


async def judge_handler(protect_handler: Callable[[logging.Handler, list[str]], Any]) -> None:
    """08.4: is nothing secret in what the handler writes, and is everything else as it was?

    Raises:
        NotYet: with the most specific reason.
    """
    word = invented()
    known = [word, f"{word}-{secrets.token_hex(3)}", f"{invented()}.+[("]
    for given, formatted, first in ((known, True, True), (known, True, False), ([], False, True)):
        lines = _lines(given)
        reference = _run(lines, _handler(formatted), first=first)
        handler = _handler(formatted)
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
        run = _run(lines, handler, first=first)
        _judge_leaks(lines, run, handler)
        _judge_other(reference, run)
        _judge_rest(lines, run, reference)


def _handler(formatted: bool) -> logging.StreamHandler[io.StringIO]:
    handler: logging.StreamHandler[io.StringIO] = logging.StreamHandler(io.StringIO())
    if formatted:
        handler.setFormatter(logging.Formatter(_FORMAT))
    return handler


def _judge_leaks(lines: list[_Line], run: _Run, handler: logging.Handler) -> None:
    leaking = [
        (line, text) for line, text in zip(lines, run.masked, strict=True) if any(one in text for one in line.hidden)
    ]
    if not leaking:
        return
    secret_lines = [line for line in lines if line.hidden]
    if len(leaking) == len(secret_lines) and handler.filters and sys.version_info < (3, 12):
        raise NotYet(
            "Up to Python 3.11 a record that a filter returns is not used: only whether it is true. Let the handler's "
            "formatter mask the finished text; that works in all versions.",
            misconception="filter-returns-a-record",
        )
    kinds = {line.misconception for line, _ in leaking}
    order = ["misses-urls", "only-postgresql", "masks-one-url", "misses-known-secrets"]
    order += ["masks-the-shorter-first", "misses-arguments", "misses-objects", "misses-tracebacks"]
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


def _judge_rest(lines: list[_Line], run: _Run, reference: _Run) -> None:
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
