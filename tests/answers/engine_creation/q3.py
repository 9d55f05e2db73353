# %% right: refreshed once
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note


async def create_note(engine, title):
    async with AsyncSession(engine) as session:
        note = Note(title=title)
        session.add(note)
        await session.commit()
        await session.refresh(note)
    return note.model_dump()


# %% right: the answer is built before the commit
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note


async def create_note(engine, title):
    async with AsyncSession(engine) as session, session.begin():
        note = Note(title=title)
        session.add(note)
        await session.flush()
        return {"id": note.id, "title": note.title, "done": note.done}


# %% right: one statement that inserts and returns
from sqlalchemy import insert

from course_lib.exercises.engine_creation import Note


async def create_note(engine, title):
    table = Note.__table__
    async with engine.begin() as connection:
        result = await connection.execute(insert(table).values(title=title, done=False).returning(*table.c))
        return dict(result.mappings().one())


# %% right: attributes read inside run_sync
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note


async def create_note(engine, title):
    async with AsyncSession(engine) as session:
        note = Note(title=title)
        session.add(note)
        await session.commit()
        return await session.run_sync(lambda _: {"id": note.id, "title": note.title, "done": note.done})


# %% right: loaded again by its id
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note


async def create_note(engine, title):
    async with AsyncSession(engine) as session:
        note = Note(title=title)
        session.add(note)
        await session.flush()
        key = note.id
        await session.commit()
        stored = (await session.exec(select(Note).where(Note.id == key))).one()
        return {"id": stored.id, "title": stored.title, "done": stored.done}


# %% wrong: still-expired | still raises `MissingGreenlet`
# It closes the session sooner, which was not the trouble.
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note


async def create_note(engine, title):
    session = AsyncSession(engine)
    note = Note(title=title)
    session.add(note)
    await session.commit()
    try:
        return {"id": note.id, "title": title, "done": False}
    finally:
        await session.close()


# %% wrong: uses-a-thread | went to the database from another thread
# An expired attribute is read there.
import asyncio

from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note


async def create_note(engine, title):
    async with AsyncSession(engine) as session:
        note = Note(title=title)
        session.add(note)
        await session.commit()
        key = await asyncio.to_thread(lambda: note.id)
    return {"id": key, "title": title, "done": False}


# %% wrong: reads-after-close | reads an expired attribute after the session
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note


async def create_note(engine, title):
    async with AsyncSession(engine) as session:
        note = Note(title=title)
        session.add(note)
        await session.commit()
    return {"id": note.id, "title": note.title, "done": note.done}


# %% wrong: catches-it | Catching it hides the failed read
from sqlalchemy.exc import MissingGreenlet
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note


async def create_note(engine, title):
    async with AsyncSession(engine) as session:
        note = Note(title=title)
        session.add(note)
        await session.commit()
        try:
            return {"id": note.id, "title": note.title, "done": note.done}
        except MissingGreenlet:
            return {"id": None, "title": title, "done": False}


# %% wrong: catches-it | Catching it hides the failed read
# The values come, after a failure that was to be expected.
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note


async def create_note(engine, title):
    async with AsyncSession(engine) as session:
        note = Note(title=title)
        session.add(note)
        await session.commit()
        try:
            note.id
        except Exception:
            await session.refresh(note)
        return {"id": note.id, "title": note.title, "done": note.done}


# %% wrong: one-query-per-attribute | sent 3 `SELECT` statements
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note


async def create_note(engine, title):
    async with AsyncSession(engine) as session:
        note = Note(title=title)
        session.add(note)
        await session.commit()
        latest = Note.id.desc()
        key = (await session.exec(select(Note.id).where(Note.title == title).order_by(latest))).first()
        stored_title = (await session.exec(select(Note.title).where(Note.id == key))).one()
        done = (await session.exec(select(Note.done).where(Note.id == key))).one()
        return {"id": key, "title": stored_title, "done": done}


# %% wrong: one-query-per-attribute | sent 3 `SELECT` statements
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note


async def create_note(engine, title):
    async with AsyncSession(engine) as session:
        note = Note(title=title)
        session.add(note)
        await session.commit()
        answer = {}
        for name in ("id", "title", "done"):
            await session.refresh(note, [name])
            answer[name] = getattr(note, name)
        return answer


# %% wrong: uses-a-thread | went to the database from another thread
# It waits in the event loop's own thread until the other thread is done.
import asyncio
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note


async def store(url, title):
    engine = create_async_engine(url)
    async with AsyncSession(engine, expire_on_commit=False) as session:
        note = Note(title=title)
        session.add(note)
        await session.commit()
    await engine.dispose()
    return note.model_dump()


async def create_note(engine, title):
    with ThreadPoolExecutor() as threads:
        return threads.submit(asyncio.run, store(engine.url, title)).result()


# %% wrong: uses-a-thread | went to the database from another thread
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note


async def load(url, key):
    engine = create_async_engine(url)
    async with AsyncSession(engine) as session:
        note = await session.get(Note, key)
        answer = note.model_dump()
    await engine.dispose()
    return answer


async def create_note(engine, title):
    async with AsyncSession(engine) as session:
        note = Note(title=title)
        session.add(note)
        await session.flush()
        key = note.id
        await session.commit()
    return await asyncio.to_thread(asyncio.run, load(engine.url, key))


# %% wrong: second-engine | around the engine it was given
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note


async def create_note(engine, title):
    own = create_async_engine(engine.url)
    async with AsyncSession(own, expire_on_commit=False) as session:
        note = Note(title=title)
        session.add(note)
        await session.commit()
    await own.dispose()
    return note.model_dump()


# %% wrong: empty-answer | after the commit the note is empty
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note


async def create_note(engine, title):
    async with AsyncSession(engine) as session:
        note = Note(title=title)
        session.add(note)
        await session.commit()
        return note.model_dump()


# %% wrong: nothing-stored | the note is not in the database
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note


async def create_note(engine, title):
    async with AsyncSession(engine) as session:
        note = Note(title=title)
        session.add(note)
        await session.flush()
        return {"id": note.id, "title": note.title, "done": note.done}


# %% wrong: returns-the-instance | returns the `Note` itself
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note


async def create_note(engine, title):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        note = Note(title=title)
        session.add(note)
        await session.commit()
        return note


# %% wrong: wrong-values | with `id`, `title` and `done` of
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note


async def create_note(engine, title):
    note = Note(title=title)
    answer = {"id": note.id, "title": note.title, "done": note.done}
    async with AsyncSession(engine) as session:
        session.add(note)
        await session.commit()
    return answer


# %% wrong: leaves-session-open | is still open and keeps a connection
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note

sessions = []


async def create_note(engine, title):
    session = AsyncSession(engine)
    sessions.append(session)
    note = Note(title=title)
    session.add(note)
    await session.commit()
    await session.refresh(note)
    return {"id": note.id, "title": note.title, "done": note.done}


# %% error: object has no attribute 'exec_'
from sqlmodel.ext.asyncio.session import AsyncSession


async def create_note(engine, title):
    async with AsyncSession(engine) as session:
        return await session.exec_("insert into note ...")


# %% timed out: Exercise 03.3 did not finish
import asyncio


async def create_note(engine, title):
    async with engine.connect():
        await asyncio.Event().wait()


# %% right: an ordered dict, on an engine with options of its own
from collections import OrderedDict

from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note


async def create_note(engine, title):
    own = engine.execution_options(isolation_level="SERIALIZABLE")
    async with AsyncSession(own, expire_on_commit=False) as session:
        note = Note(title=title)
        session.add(note)
        await session.commit()
    return OrderedDict(id=note.id, title=note.title, done=note.done)


# %% right: the driver's own connection, borrowed from the engine
async def create_note(engine, title):
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        row = await raw.driver_connection.fetchrow(
            "insert into note (title, done) values ($1, false) returning id, title, done", title
        )
        return dict(row)


# %% wrong: takes-other-parameters | yours takes `(session, title, *, done)`
async def create_note(session, title, *, done):
    pass


# %% wrong: passes-no-function | an object of type `coroutine`
async def create(engine, title):
    pass


create_note = create(None, "Buy milk")


# %% wrong: leaves-session-open | is still open and keeps a connection
# Three of them: the pool has no more.
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note

sessions = []


async def create_note(engine, title):
    for _ in range(2):
        sessions.append(AsyncSession(engine))
        await sessions[-1].connection()
    session = AsyncSession(engine)
    sessions.append(session)
    note = Note(title=title)
    session.add(note)
    await session.commit()
    await session.refresh(note)
    return {"id": note.id, "title": note.title, "done": note.done}


# %% wrong: nothing-stored | the note is not in the database
# It drops the table.
from sqlalchemy import text


async def create_note(engine, title):
    async with engine.begin() as connection:
        await connection.execute(text("drop table if exists note"))
    return {"id": 1, "title": title, "done": False}


# %% wrong: commits-after-the-answer | a task commits later
import asyncio

from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note

tasks = []


async def finish(session):
    await session.commit()
    await session.close()


async def create_note(engine, title):
    session = AsyncSession(engine)
    note = Note(title=title)
    session.add(note)
    await session.flush()
    answer = note.model_dump()
    tasks.append(asyncio.create_task(finish(session)))
    return answer


# %% wrong: second-engine | around the engine it was given
# The driver alone.
import asyncpg


async def create_note(engine, title):
    address = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(address)
    try:
        row = await connection.fetchrow(
            "insert into note (title, done) values ($1, false) returning id, title, done", title
        )
    finally:
        await connection.close()
    return dict(row)


# %% wrong: sync-session | sent from synchronous code
from sqlmodel import Session

from course_lib.exercises.engine_creation import Note


async def create_note(engine, title):
    with Session(engine.sync_engine) as session:
        note = Note(title=title)
        session.add(note)
        session.commit()
        return note.model_dump()


# %% wrong: uses-a-thread | went to the database from another thread
# With the engine of another event loop.
import asyncio

from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note


async def store(engine, title):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        note = Note(title=title)
        session.add(note)
        await session.commit()
    return note.model_dump()


async def create_note(engine, title):
    return await asyncio.to_thread(asyncio.run, store(engine, title))


# %% wrong: disposes-the-engine | disposes of the engine
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.exercises.engine_creation import Note


async def create_note(engine, title):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        note = Note(title=title)
        session.add(note)
        await session.commit()
    await engine.dispose()
    return note.model_dump()


# %% wrong: wrong-values | an `int`, a `str` and a `bool`
import itertools

from course_lib.exercises.engine_creation import Note
from sqlmodel.ext.asyncio.session import AsyncSession

ids = itertools.count(1)


async def create_note(engine, title):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        note = Note(title=title)
        session.add(note)
        await session.commit()
    return {"id": next(ids), "title": title, "done": False}



# %% wrong: wrong-values | can't be shown (ValueError)
from course_lib.exercises.engine_creation import Note
from sqlmodel.ext.asyncio.session import AsyncSession


async def create_note(engine, title):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        note = Note(title=title)
        session.add(note)
        await session.commit()
    return {"id": 10**5000, "title": note.title, "done": note.done}



# %% wrong: wrong-values | an `int`
import numpy as np
from course_lib.exercises.engine_creation import Note
from sqlmodel.ext.asyncio.session import AsyncSession


async def create_note(engine, title):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        note = Note(title=title)
        session.add(note)
        await session.commit()
    return {"id": np.array([note.id, 2]), "title": note.title, "done": note.done}



# %% wrong: stores-twice | stored 2 notes
from course_lib.exercises.engine_creation import Note
from sqlmodel.ext.asyncio.session import AsyncSession


async def create_note(engine, title):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        note = Note(title=title)
        session.add(note)
        await session.commit()
        session.add(Note(title=title))
        await session.commit()
    return note.model_dump()



# %% wrong: yields-instead-of-returning | Hand the answer over with `return`
from course_lib.exercises.engine_creation import Note
from sqlmodel.ext.asyncio.session import AsyncSession


async def create_note(engine, title):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        note = Note(title=title)
        session.add(note)
        await session.commit()
        yield note.model_dump()



# %% right: numpy's text, after another statement failed
import contextlib

import numpy as np
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from course_lib.exercises.engine_creation import Note
from sqlmodel.ext.asyncio.session import AsyncSession


async def create_note(engine, title):
    with contextlib.suppress(DBAPIError):
        async with engine.connect() as connection:
            await connection.execute(text("delete from another_table"))
    async with AsyncSession(engine, expire_on_commit=False) as session:
        note = Note(title=np.str_(title))
        session.add(note)
        await session.commit()
    return note.model_dump()


# %% timed out: Called with  create_note(engine, 'Buy milk')
from course_lib.exercises.engine_creation import Note
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession


async def create_note(engine, title):
    async with AsyncSession(engine) as first, AsyncSession(engine) as second:
        await (await first.connection()).execute(text("lock table note"))
        second.add(Note(title=title))
        await second.commit()
