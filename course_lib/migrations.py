"""Alembic in a lesson: a private folder for its files, and its commands as a terminal would run them."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import weakref
from pathlib import Path

from sqlalchemy import URL

from course_lib.masking import mask_text
from course_lib.servers._supervisor import Supervisor

_LIMIT = 60.0  # seconds that a command gets: they take about one
_EXCEPTION = re.compile(r"^(?:\w+\.)*(\w+(?:Error|Exception|Available)): (.*)$", re.MULTILINE)
# How SQLAlchemy quotes the driver's exception: "(module.Name) text" in 2.1, with "<class 'Name'>: " between in 2.0.
_WRAPPED = re.compile(r"^\((?:\w+\.)*(\w+)\) (?:<class '(?:\w+\.)*(\w+)'>: )?")
# Log lines that say how Alembic works, not what it did; they differ between its versions.
_CHATTER = re.compile(
    r"^INFO  \[alembic\.(?:runtime\.plugins|ddl\.\w+)\].*|.*(?:Context impl|Will assume .* DDL|static SQL).*"
)
_LOGGED = re.compile(r"^INFO  \[alembic[\w.]*\] ")


class AlembicError(RuntimeError):
    """An Alembic command ended with an error; the message is its last line, without paths and passwords."""


class AlembicProject:
    """A private folder with Alembic's files and your models, which goes with this object, or with a killed kernel.

    Commands run as processes of their own, as in a terminal. Two reasons besides: ``env.py`` imports the models, and a
    kernel would not see that their file changed; and it sets up logging, which would be the kernel's.

    Args:
        url: the database. Commands find it in the environment variable ``DATABASE_URL``, with the password.
    """

    def __init__(self, url: URL) -> None:
        self.url = url
        guarded = Path(tempfile.mkdtemp(prefix="course-alembic-"))
        weakref.finalize(self, shutil.rmtree, guarded, ignore_errors=True)
        # It has no program to run here: it removes the folder when this process is gone, for whatever reason.
        self._supervisor = Supervisor(guarded, Path(), None, None, None)
        self.folder = guarded / "project"
        self.folder.mkdir()

    def write(self, name: str, text: str) -> None:
        """Write a file of the project, such as ``"models.py"``; what it held before is gone."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def read(self, name: str) -> str:
        """The text of a file of the project."""
        return (self.folder / name).read_text(encoding="utf-8")

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace a text that stands once in a file of the project.

        Raises:
            ValueError: it stands there not at all, or more than once.
        """
        text = self.read(name)
        if (found := text.count(old)) != 1:
            raise ValueError(f"{old!r} stands {found} times in {name}; it has to stand there once")
        self.write(name, text.replace(old, new))

    def functions(self, name: str) -> str:
        """What a revision file does: its text from ``def upgrade`` on."""
        text = self.read(name)
        return text[text.index("def upgrade") :].rstrip()

    async def alembic(self, *arguments: str) -> str:
        """Run a command in the folder: ``await project.alembic("upgrade", "head")``.

        Args:
            arguments: what follows the word ``alembic`` in a terminal.

        Returns:
            What it printed and logged, without its chatter, this machine's paths and passwords.

        Raises:
            AlembicError: it ended with an error, or not within a minute.
        """
        shown = " ".join(arguments)
        try:
            # In a thread: some event loops on Windows start no processes.
            done = await asyncio.to_thread(_run, self.folder, self.url, arguments)
        except subprocess.TimeoutExpired:
            raise AlembicError(f"alembic {shown} did not end within {_LIMIT:g} seconds") from None
        text = self._without_traces(done.stdout)
        if done.returncode:
            raise AlembicError(_reason(text))
        kept = [line for line in text.splitlines() if not _CHATTER.match(line)]
        return "\n".join(_LOGGED.sub("", line) for line in kept)

    def _without_traces(self, text: str) -> str:
        for folder in {str(self.folder.resolve()), str(self.folder)}:
            text = text.replace(folder + os.sep, "").replace(folder, ".")
        if self.url.password:
            text = text.replace(self.url.password, "***")
        return mask_text(text).rstrip()


def _run(folder: Path, url: URL, arguments: tuple[str, ...]) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {
        "DATABASE_URL": url.render_as_string(hide_password=False),
        "PYTHONUTF8": "1",
        # Files that change twice in a second would meet their own older bytecode.
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=_LIMIT,
    )


def _reason(text: str) -> str:
    """What an error's output comes down to: the last exception's line, or the last line."""
    if found := _EXCEPTION.findall(text):
        kind, message = found[-1]
        wrapped = _WRAPPED.match(message)
        return f"{wrapped[2] or wrapped[1]}: {message[wrapped.end() :]}" if wrapped else f"{kind}: {message}"
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "alembic gave no reason"
