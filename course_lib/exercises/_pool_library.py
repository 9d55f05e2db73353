"""The check of exercise 05.4: its tables, and how many statements an answer sends for them."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import URL, Engine, event, text
from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import ORMExecuteState, Session, registry
from sqlmodel import Field, Relationship, SQLModel

from course_lib.exercises._pool_exhaustion import PoolWatch, disposed, from_sharing
from course_lib.exercises.core import Case, NotYet, ask


class _Base(SQLModel, registry=registry()):
    """A base of its own: a lesson may define tables of the same names."""


class Author(_Base, table=True):
    """The table of exercise 05.4: someone who wrote no, one or several books."""

    id: int | None = Field(default=None, primary_key=True)
    name: str
    books: list["Book"] = Relationship(back_populates="author")


class Book(_Base, table=True):
    """A book of exactly one author."""

    id: int | None = Field(default=None, primary_key=True)
    title: str
    author_id: int = Field(foreign_key="author.id")
    author: Author = Relationship(back_populates="books")


class Statements:
    """Counts the statements that all engines of this process send, within its ``with`` block.

    Attributes:
        count: how many were begun.
        most: the most that were begun and not yet answered at one moment.
    """

    def __init__(self) -> None:
        self.count = 0
        self.most = 0
        self._running = 0

    def __enter__(self) -> "Statements":
        event.listen(Engine, "before_cursor_execute", self._on_begin)
        event.listen(Engine, "after_cursor_execute", self._on_end)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(Engine, "before_cursor_execute", self._on_begin)
        event.remove(Engine, "after_cursor_execute", self._on_end)

    def _on_begin(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        self.count += 1
        self._running += 1
        self.most = max(self.most, self._running)

    def _on_end(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        self._running -= 1


class LazyLoads:
    """Counts loads of a relationship that happen because an attribute was read, within its ``with`` block.

    Attributes:
        count: how many.
    """

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> "LazyLoads":
        event.listen(Session, "do_orm_execute", self._on_execute)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(Session, "do_orm_execute", self._on_execute)

    def _on_execute(self, state: ORMExecuteState) -> None:
        self.count += state.lazy_loaded_from is not None


@asynccontextmanager
async def library(url: URL) -> AsyncIterator[AsyncEngine]:
    """An engine of five connections, with empty tables for `Author` and `Book` in its database."""
    async with disposed(create_async_engine(url, pool_size=5, max_overflow=0, pool_timeout=2)) as engine:
        async with engine.begin() as connection:
            await connection.run_sync(_Base.metadata.create_all)
        yield engine


async def add_authors(engine: AsyncEngine, first: int, last: int) -> dict[str, list[str]]:
    """Add authors with these numbers, each third without a book; returns what each one wrote."""
    written = {
        # Titles by chance, so that nobody can know them without asking the database.
        f"Author {number:02}": sorted(f"Book {number:02}.{random.randrange(10**6):06}" for _ in range(number % 3))
        for number in range(first, last + 1)
    }
    async with engine.begin() as connection:
        for name, titles in written.items():
            author = await connection.scalar(
                text("insert into author (name) values (:name) returning id"), {"name": name}
            )
            for title in reversed(titles):  # not in the order that is asked for
                await connection.execute(
                    text("insert into book (title, author_id) values (:title, :author)"),
                    {"title": title, "author": author},
                )
    return written


async def list_titles(titles_by_author: Any, engine: AsyncEngine, written: dict[str, list[str]]) -> int:
    """Call the answer once and return how many statements it sent."""
    given = f"{len(written)} authors"
    with Statements() as sent, PoolWatch(engine) as watch, LazyLoads() as lazy:
        try:
            got = await ask(titles_by_author, engine, given=given)
        except MissingGreenlet:
            raise _lazy() from None
        except Exception as error:
            if from_sharing(error):
                raise _shared() from None
            raise
    statements = sent.count
    if lazy.count > 1:
        raise _lazy()
    if statements > 4 and watch.most == 1 and sent.most > 1:
        raise _shared()
    if statements >= len(written) and watch.most > 1:
        raise NotYet(
            f"The {statements} statements are still there, and now they take {watch.most} connections at once: one "
            "request can exhaust the pool by itself. Send fewer statements instead of sending them faster.",
            misconception="spreads-the-queries",
        )
    if watch.held:
        raise NotYet(
            "A session is still open after the function has returned. Open it with `async with`.",
            misconception="leaves-a-session-open",
        )
    _judge_titles(got, written, given, statements)
    return statements


def _judge_titles(got: Any, written: dict[str, list[str]], given: str, statements: int) -> None:
    missing = sorted(written.keys() - got.keys()) if isinstance(got, dict) else []
    if missing and all(not written[name] for name in missing):
        raise NotYet(
            "Authors without a book are missing. An inner join leaves them out: take an outer join, or load the "
            "relationship.",
            misconception="loses-authors-without-books",
            case=Case(given, f"{missing[0]!r}: []", f"no {missing[0]!r}"),
        )
    if missing and not statements:
        raise NotYet(
            "The second call gave the first one's answer, without a statement. A list that is kept in the process is "
            "wrong as soon as somebody writes a book.",
            misconception="remembers-the-answer",
        )
    if not statements:
        raise NotYet(
            "The function sent no statement through the engine it was given. Read the titles with a session or a "
            "connection of that engine.",
            misconception="sends-no-statement",
        )
    if got == written and all(type(each) is list for each in got.values()):
        return
    name = next((name for name in written if not isinstance(got, dict) or got.get(name) != written[name]), "")
    found = got.get(name) if isinstance(got, dict) else got
    raise NotYet(
        "Return a dict: for each author's name the list of titles, in alphabetical order.",
        misconception="wrong-titles",
        case=Case(given, f"{name!r}: {written.get(name)!r}", repr(found)),
    )


def _lazy() -> NotYet:
    return NotYet(
        "Each author's books are loaded by a query of their own, hidden in an attribute, a refresh or "
        "`immediateload`. Load the relationship with the authors, for all of them at once.",
        misconception="lazy-loads-in-a-loop",
    )


def _shared() -> NotYet:
    return NotYet(
        "The queries run together on one session. It has one connection, which runs them one after another, and on a "
        "cold pool this raises. Send one statement for all instead.",
        misconception="gather-on-one-session",
    )
