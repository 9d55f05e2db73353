"""Keep secrets out of logs: mask every URL, and every secret that this process has read.

A filter is the usual place for it, but up to Python 3.11 a `logging.Filter` can only change the record itself, which
all other handlers get as well. A formatter sees the finished text of one handler, its traceback included, so nothing
that is written escapes it, and the record stays as it was.
https://docs.python.org/3/library/logging.html#logging.Filter
"""

import json
import logging
import re
from threading import Lock
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

from course_lib.urls import mask

__all__ = ["MaskingFormatter", "mask_text", "protect", "remember"]

_HIDDEN = "***"
_URL_START = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
# So many secrets are remembered: rotation makes new ones for as long as a process lives.
_MOST = 100


class _Known:
    """The secrets of this process, in every spelling that a log could hold."""

    def __init__(self) -> None:
        self._spellings: dict[str, frozenset[str]] = {}
        self._longest_first: tuple[str, ...] = ()
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"<{len(self._spellings)} known secrets>"

    def add(self, secret: str) -> None:
        if not secret or secret in self._spellings:
            return
        with self._lock:
            self._spellings[secret] = _spellings(secret)
            while len(self._spellings) > _MOST:
                self._spellings.pop(next(iter(self._spellings)))
            # One secret may be the beginning of another.
            self._longest_first = tuple(sorted(frozenset[str]().union(*self._spellings.values()), key=len)[::-1])

    def hide(self, text: str) -> str:
        for spelling in self._longest_first:
            text = text.replace(spelling, _HIDDEN)
        return text


_known = _Known()


def remember(*secrets: str | SecretStr) -> None:
    """Have these secrets masked from now on, by every `MaskingFormatter` of this process.

    `DatabaseSettings` does this with all that it reads, so that a rotated password is known at once.

    Args:
        secrets: as they are, without any encoding. Empty ones are left out.
    """
    for secret in secrets:
        _known.add(secret.get_secret_value() if isinstance(secret, SecretStr) else secret)


def mask_text(text: str) -> str:
    """Return `text` with all known secrets and all passwords of URLs replaced by `***`.

    Where a URL in running text ends is a guess: with an "@" behind it on its line, the password is taken to
    end at the last one. That hides too much rather than too little.

    Args:
        text: any text, such as a finished log line with its traceback.

    Returns:
        The masked text.
    """
    return "".join(map(_mask_line, _known.hide(text).splitlines(keepends=True)))


class MaskingFormatter(logging.Formatter):
    """A formatter that masks what another one has formatted, traceback included.

    Args:
        inner: the formatter whose text is masked; by default `logging`'s own.
    """

    def __init__(self, inner: logging.Formatter | None = None) -> None:
        super().__init__()
        self.inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """The text of `inner`, masked. The record gets nothing that any other formatter would not give it."""
        return mask_text(self.inner.format(record))


def protect(handler: logging.Handler, *secrets: str | SecretStr) -> None:
    """Have a handler write masked text, in the format that it has. Calling it twice changes nothing more.

    Args:
        handler: the handler; others of the same logger are left alone.
        secrets: further secrets to `remember`.
    """
    remember(*secrets)
    if not isinstance(handler.formatter, MaskingFormatter):
        handler.setFormatter(MaskingFormatter(handler.formatter))


def _spellings(secret: str) -> frozenset[str]:
    """A secret as it is, percent-encoded as URLs are, and escaped as in a repr and in JSON."""
    encoded = {quote(secret, safe=safe) for safe in ("", "/", " +", "+")} | {quote_plus(secret)}
    lower = {re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), each) for each in encoded}
    shown = (repr(secret), ascii(secret), json.dumps(secret), json.dumps(secret, ensure_ascii=False))
    once = _with_quotes({each[1:-1] for each in shown})
    twice = _with_quotes({each.replace("\\", "\\\\") for each in once})  # a repr inside a repr
    return frozenset({secret} | encoded | lower | once | twice)


def _with_quotes(texts: set[str]) -> set[str]:
    """Each text with its quotes escaped and not: that depends on the text around it."""
    found = set(texts)
    for quote_mark in "'\"":
        escaped = f"\\{quote_mark}"
        found |= {each.replace(escaped, quote_mark) for each in found}
        found |= {each.replace(quote_mark, escaped) for each in found}
    return found


def _mask_line(line: str) -> str:
    starts = [found.start() for found in _URL_START.finditer(line)]
    if not starts:
        return line
    pieces = [line[: starts[0]]]
    for first, end in zip(starts, [*starts[1:], len(line)], strict=True):
        piece = line[first:end]
        at = piece.rfind("@")
        tail = re.compile(r"\s").search(piece, max(at, 0))
        url, rest = (piece[: tail.start()], piece[tail.start() :]) if tail else (piece, "")
        pieces += [mask(url), rest]
    return "".join(pieces)
