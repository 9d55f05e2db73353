# %% right: without pydantic, with a model of its own, and a session maker
from course_lib.work import work_file

database_file = work_file(
    "database.py",
    '''
import os
import ssl
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.engine import make_url


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)


def build():
    url = make_url(os.environ.get("DATABASE_URL") or "sqlite:///notes.db")
    if url.drivername.startswith("sqlite"):
        return create_async_engine(url.set(drivername="sqlite+aiosqlite"))
    query = dict(url.query)
    mode = query.pop("sslmode", None) or query.pop("ssl", None)
    ca = query.pop("sslrootcert", None)
    arguments = {"timeout": 10}
    if mode in ("verify-ca", "verify-full"):
        context = ssl.create_default_context(cafile=ca)
        context.check_hostname = mode == "verify-full"
        arguments["ssl"] = context
    elif mode:
        arguments["ssl"] = mode
    return create_async_engine(
        url.set(drivername="postgresql+asyncpg", query=query),
        connect_args=arguments,
        pool_pre_ping=True,
        pool_recycle=200,
        pool_size=3,
        max_overflow=0,
        pool_timeout=5,
    )


engine = build()
make_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_db():
    session = make_session()
    try:
        yield session
    except BaseException:
        await session.rollback()
        raise
    finally:
        await session.close()


async def init_db():
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


@asynccontextmanager
async def lifespan(app):
    await init_db()
    yield
    await engine.dispose()
''',
    replace=True,
)

# %% right: the generated file, mended where it stood; given as a path
from course_lib.work import template, work_file

text = template("database.py")
start, rest = text[: text.index("# Database connection")], text[text.index("# Session factory") :]
middle = '''
from sqlalchemy import make_url

from course_lib import models

raw = make_url(os.getenv("DATABASE_URL", "sqlite:///tasks.db"))
sqlite = raw.get_backend_name() == "sqlite"
query = dict(raw.query)
if "sslmode" in query:
    query["ssl"] = query.pop("sslmode")
driver = "sqlite+aiosqlite" if sqlite else "postgresql+asyncpg"
options = {} if sqlite else dict(
    pool_size=5, max_overflow=5, pool_pre_ping=True, pool_recycle=240
)
engine = create_async_engine(raw.set(drivername=driver, query=query), **options)

'''
rest = rest.replace("class_=AsyncSession)", "class_=AsyncSession, expire_on_commit=False)")
rest = rest.replace("        await session.commit()\n", "")
work_file("database.py", start + middle + rest, replace=True)
database_file = "work/database.py"

# %% wrong: url-forms | Every form of URL works
from course_lib.work import template, work_file

text = template("database.py").replace("print(", "str(")
database_file = work_file("database.py", text, replace=True)

# %% wrong: survives-restart | pool_pre_ping=True
import inspect

from course_lib import database
from course_lib.work import work_file

text = inspect.getsource(database).replace(' | {"pool_pre_ping": True}', "")
database_file = work_file("database.py", text, replace=True)

# %% wrong: no-credentials | without a password in the default
import inspect

from course_lib import database
from course_lib.work import work_file

text = inspect.getsource(database).replace("sqlite:///app.db", "postgresql://app:example-pw@localhost/app")
database_file = work_file("database.py", text, replace=True)

# %% wrong: echo-off | Statements are not logged by default
import inspect

from course_lib import database
from course_lib.work import work_file

text = inspect.getsource(database).replace("echo: bool = False", "echo: bool = True")
database_file = work_file("database.py", text, replace=True)

# %% wrong: session-closes | has to hold `get_session`
import inspect

from course_lib import database
from course_lib.work import work_file

text = inspect.getsource(database)
text = text[: text.index("async def get_session")] + text[text.index("async def dispose") :]
database_file = work_file("database.py", text, replace=True)

# %% wrong: no-sqlite-default | asks for one thing more
import inspect

from course_lib import database
from course_lib.work import work_file

text = inspect.getsource(database).replace("url: SecretStr = SecretStr(\"sqlite:///app.db\")", "url: SecretStr")
database_file = work_file("database.py", text, replace=True)

# %% wrong: one-engine | made another engine
import inspect

from course_lib import database
from course_lib.work import work_file

text = inspect.getsource(database).replace("AsyncSession(engine, ", "AsyncSession(make_engine(Settings()), ")
database_file = work_file("database.py", text, replace=True)

# %% wrong: cannot-run | could not run work/database.py
from course_lib.work import work_file

database_file = work_file("database.py", "engine = create_async_engine(\n", replace=True)

# %% wrong: no-such-file | is not there
database_file = "work/data_base.py"

# %% wrong: passes-no-file | an object of type `AsyncEngine`
from sqlalchemy.ext.asyncio import create_async_engine

database_file = create_async_engine("sqlite+aiosqlite://")
