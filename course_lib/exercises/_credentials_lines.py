"""The lines that lesson 08's check of a masking handler logs, and what must and must not be left of each."""

import logging
from collections.abc import Callable
from typing import NamedTuple

from course_lib.exercises._credentials_watch import invented

_SCHEMES = ("postgresql", "redis", "amqps", "mysql+asyncmy", "https", "mongodb+srv")
_ORDINARY = "GET https://shop.example/cart?item=7 200 for visitor@shop.example"


class _Text:
    """A message that is no text, as `logger.info(url)` gives one."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


class Line(NamedTuple):
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


def lines_with(known: list[str]) -> list[Line]:
    """One line for each way in which a secret gets into a log; `known` are the secrets without a URL around them."""
    lines = [
        Line(lambda logger: logger.info(_ORDINARY), (), (_ORDINARY,), "", ""),
        *(_url_line(scheme) for scheme in _SCHEMES),
    ]
    one, other = _url("redis"), _url("amqps")
    for_both = "Several URLs may stand in a line."
    text = f"{one[0]} and {other[0]}"
    lines.append(
        Line(lambda logger: logger.info(text), (one[1], other[1]), ("@cache.internal",), "masks-one-url", for_both)
    )
    odd, user, host = f"{invented()}%40!:$x+~", "app.reader", "db.internal"
    plain = "Passwords in URLs hold more than letters: `%40`, `!`, `:`, `+`. Take all up to the `@` but spaces."
    lines.append(
        Line(
            lambda logger: logger.info(f"mysql://{user}:{odd}@{host}/shop"),
            (odd, odd[-8:]),
            (f"mysql://{user}:", f"@{host}/shop"),
            "misses-odd-passwords",
            plain,
        )
    )
    no_user = invented()
    lines.append(
        Line(
            lambda logger: logger.info(f"redis://:{no_user}@cache.internal/0"),
            (no_user,),
            ("@cache.internal/0",),
            "needs-a-user",
            "A URL may have a password and no user, as Redis has it: then nothing stands before the `:`.",
        )
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
        Line(
            lambda logger: logger.warning("to %s", url), (password,), ("to postgresql",), "misses-arguments", arguments
        ),
        Line(lambda logger: logger.info(_Text(url)), (password,), ("@db.internal",), "misses-objects", objects),
        Line(lambda logger: _raising(logger, url), (password,), ("ConnectionError",), "misses-tracebacks", trace),
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
        first, last = known[0], known[-1]
        several = "Several secrets may stand in a line, and one of them twice. Replace all of them."
        lines += [
            Line(
                lambda logger: logger.info(f"{first} or {last} or {first}"),
                (first, last),
                (" or ",),
                "masks-one-secret",
                several,
            ),
            Line(
                lambda logger: logger.error("login as %(user)s with %(word)s", {"user": "app", "word": first}),
                (first,),
                ("login as app with",),
                "misses-arguments",
                arguments,
            ),
            Line(lambda logger: _raising(logger, first), (first,), ("ConnectionError",), "misses-tracebacks", trace),
        ]
    return lines


def _url(scheme: str) -> tuple[str, str]:
    password = invented()
    host = {"redis": "cache", "amqps": "queue"}.get(scheme, "db")
    return f"{scheme}://app:{password}@{host}.internal:5432/shop", password


def _url_line(scheme: str) -> Line:
    url, password = _url(scheme)
    start, _, end = url.partition(password)
    if scheme == "postgresql":
        return Line(
            lambda logger: logger.info(f"opens {url} now"),
            (password,),
            (f"opens {start}", f"{end} now"),
            "misses-urls",
            "The password in a URL came through: it stands between the user's `:` and the `@`.",
        )
    return Line(
        lambda logger: logger.info(f"opens {url} now"),
        (password,),
        (f"opens {start}", f"{end} now"),
        "only-postgresql",
        f"A URL that begins with `{scheme}://` came through. Brokers, caches and other databases have passwords too: "
        "take any scheme.",
    )


def _known_line(secret: str, hidden: str, misconception: str, advice: str) -> Line:
    def log(logger: logging.Logger) -> None:
        logger.info(f"the word is {secret}.")

    return Line(log, (hidden,), ("the word is ",), misconception, advice)
