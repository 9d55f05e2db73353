"""What lesson 08's checks share: invented passwords, and a watch over what an answer prints and logs."""

import contextlib
import io
import logging
import secrets
from collections.abc import Iterator

from course_lib.exercises.core import NotYet


def invented(word: str = "example") -> str:
    """A password that nobody has guessed, recognisable as invented."""
    return f"{word}-{secrets.token_hex(5)}"


class Printed(io.StringIO):
    """What an answer printed or logged while it was watched."""

    def __contains__(self, secret: object) -> bool:
        return str(secret) in self.getvalue()


@contextlib.contextmanager
def watched_output() -> Iterator[Printed]:
    """Within this block, keep what is printed and logged instead of showing it."""
    printed = Printed()
    handler = logging.StreamHandler(printed)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)  # on DEBUG botocore itself logs the secret that it fetched
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield printed
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def prints_the_secret() -> NotYet:
    """The verdict on an answer that shows the password while it works."""
    return NotYet(
        "The password was printed or logged on the way. Whoever reads the log, or the notebook's file, has it now. "
        "Take the output away.",
        misconception="prints-the-secret",
    )
