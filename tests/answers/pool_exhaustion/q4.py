# %% right: an outer join, row by row
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.pool_exhaustion import Author, Book


async def titles_by_author(engine):
    query = select(Author.name, Book.title).join(Book, isouter=True).order_by(Author.name, Book.title)
    titles = {}
    async with AsyncSession(engine) as session:
        for name, title in await session.exec(query):
            titles.setdefault(name, [])
            if title is not None:
                titles[name].append(title)
    return titles


# %% right: the server collects
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.pool_exhaustion import Author, Book


from sqlalchemy import text


async def titles_by_author(engine):
    query = text("""
        select a.name, coalesce(array_agg(b.title order by b.title) filter (where b.id is not null), '{}')
        from author a left join book b on b.author_id = a.id group by a.name
    """)
    async with engine.connect() as connection:
        return {name: list(titles) for name, titles in await connection.execute(query)}


# %% right: lazy loads allowed in run_sync, and not needed
from sqlalchemy.orm import joinedload, selectinload
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.pool_exhaustion import Author, Book


async def titles_by_author(engine):
    def read(session):
        authors = session.exec(select(Author).options(selectinload(Author.books))).all()
        return {author.name: sorted(book.title for book in author.books) for author in authors}

    async with AsyncSession(engine) as session:
        return await session.run_sync(read)


# %% wrong: lazy-loads-in-a-loop | hidden in an attribute
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.pool_exhaustion import Author, Book


async def titles_by_author(engine):
    def read(session):
        authors = session.exec(select(Author)).all()
        return {author.name: sorted(book.title for book in author.books) for author in authors}

    async with AsyncSession(engine) as session:
        return await session.run_sync(read)


# %% wrong: lazy-loads-in-a-loop | a refresh
# A refresh of the relationship for each.
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.pool_exhaustion import Author, Book


async def titles_by_author(engine):
    titles = {}
    async with AsyncSession(engine) as session:
        for author in (await session.exec(select(Author))).all():
            await session.refresh(author, ["books"])
            titles[author.name] = sorted(book.title for book in author.books)
    return titles


# %% wrong: one-query-per-author | one more for each
# A short session for each.
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.pool_exhaustion import Author, Book


async def titles_by_author(engine):
    titles = {}
    async with AsyncSession(engine) as session:
        authors = (await session.exec(select(Author.id, Author.name))).all()
    for number, name in authors:
        async with AsyncSession(engine) as session:
            query = select(Book.title).where(Book.author_id == number).order_by(Book.title)
            titles[name] = list(await session.exec(query))
    return titles


# %% wrong: gather-on-one-session | run together on one session
import asyncio

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.pool_exhaustion import Author, Book




async def titles_by_author(engine):
    async with AsyncSession(engine) as session:
        authors = (await session.exec(select(Author))).all()

        async def titles(author):
            query = select(Book.title).where(Book.author_id == author.id).order_by(Book.title)
            return author.name, list(await session.exec(query))

        return dict(await asyncio.gather(*map(titles, authors)))


# %% wrong: gather-on-one-session | run together on one session
# After a commit the session has no connection.
import asyncio

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.pool_exhaustion import Author, Book




async def titles_by_author(engine):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        authors = (await session.exec(select(Author))).all()
        await session.commit()

        async def titles(author):
            query = select(Book.title).where(Book.author_id == author.id).order_by(Book.title)
            return author.name, list(await session.exec(query))

        return dict(await asyncio.gather(*map(titles, authors)))


# %% wrong: spreads-the-queries | exhaust the pool by itself
import asyncio

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.pool_exhaustion import Author, Book




async def titles_by_author(engine):
    async with AsyncSession(engine) as session:
        authors = (await session.exec(select(Author.id, Author.name))).all()

    async def titles(number, name):
        async with AsyncSession(engine) as session:
            query = select(Book.title).where(Book.author_id == number).order_by(Book.title)
            return name, list(await session.exec(query))

    return dict(await asyncio.gather(*(titles(*author) for author in authors)))


# %% wrong: loses-authors-without-books | An inner join leaves them out
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.pool_exhaustion import Author, Book


async def titles_by_author(engine):
    titles = {}
    async with AsyncSession(engine) as session:
        query = select(Author.name, Book.title).join(Book).order_by(Book.title)
        for name, title in await session.exec(query):
            titles.setdefault(name, []).append(title)
    return titles


# %% wrong: remembers-the-answer | wrong as soon as somebody writes a book
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.pool_exhaustion import Author, Book


cache = {}


async def titles_by_author(engine):
    if not cache:
        async with AsyncSession(engine) as session:
            for author in (await session.exec(select(Author))).all():
                query = select(Book.title).where(Book.author_id == author.id).order_by(Book.title)
                cache[author.name] = list(await session.exec(query))
    return dict(cache)


# %% wrong: wrong-titles | in alphabetical order
# In the order of the table.
from sqlalchemy.orm import joinedload, selectinload
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.pool_exhaustion import Author, Book


async def titles_by_author(engine):
    async with AsyncSession(engine) as session:
        authors = (await session.exec(select(Author).options(selectinload(Author.books)))).all()
    return {author.name: [book.title for book in author.books] for author in authors}


# %% wrong: wrong-titles | Return a dict
from sqlalchemy.orm import joinedload, selectinload
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.pool_exhaustion import Author, Book


async def titles_by_author(engine):
    async with AsyncSession(engine) as session:
        authors = (await session.exec(select(Author).options(selectinload(Author.books)))).all()
    return [(author.name, sorted(book.title for book in author.books)) for author in authors]


# %% error: DetachedInstanceError
# After the session was closed.
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.pool_exhaustion import Author, Book


async def titles_by_author(engine):
    async with AsyncSession(engine) as session:
        authors = (await session.exec(select(Author))).all()
    return {author.name: sorted(book.title for book in author.books) for author in authors}


# %% wrong: sends-no-statement | a session or a connection of that engine
# One query for each author, past SQLAlchemy.
async def titles_by_author(engine):
    async with engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        titles = {}
        for author in await driver.fetch("select id, name from author"):
            query = "select title from book where author_id = $1 order by title"
            titles[author["name"]] = [row["title"] for row in await driver.fetch(query, author["id"])]
        return titles


# %% right: two queries at the same time, on two connections
import asyncio

from sqlalchemy import text


async def rows(engine, statement):
    async with engine.connect() as connection, connection.stream(text(statement)) as result:
        return [tuple(row) async for row in result]


class Titles:
    async def __call__(self, engine):
        async with asyncio.TaskGroup() as group:
            authors = group.create_task(rows(engine, "select id, name from author"))
            books = group.create_task(rows(engine, "select author_id, title from book order by title"))
        return {name: [title for author, title in books.result() if author == id] for id, name in authors.result()}


titles_by_author = Titles()
