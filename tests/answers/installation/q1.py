# %% right: names only, with greenlet through SQLAlchemy's extra
requirements = ["sqlmodel", "sqlalchemy[asyncio]", "asyncpg", "aiosqlite", "alembic"]

# %% right: greenlet by its own name, in a tuple
requirements = ("sqlmodel", "greenlet>=1", "asyncpg", "aiosqlite", "Alembic")

# %% right: the drivers through SQLAlchemy's extras
requirements = ["sqlmodel", "sqlalchemy[postgresql-asyncpg,aiosqlite]>=2.0.40", "alembic"]

# %% right: greenlet through SQLModel's extra, where the installed SQLModel has it
from importlib.metadata import metadata

offers_it = "asyncio" in (metadata("sqlmodel").get_all("Provides-Extra") or [])
requirements = ["sqlmodel[asyncio]" if offers_it else "sqlmodel", "asyncpg", "aiosqlite", "alembic"]
if not offers_it:
    requirements.append("greenlet")

# %% right: names what arrives anyway, and conditions that hold everywhere
requirements = [
    "pydantic",
    "sqlmodel; sys_platform == 'win32' or sys_platform != 'win32'",
    "sqlalchemy[asyncio]; platform_machine != 'arm64'",
    "sqlmodel[asyncio]; platform_machine == 'arm64'",
    "greenlet; platform_machine == 'arm64'",
    "asyncpg",
    "aiosqlite",
    "alembic",
]

# %% right: two lines for one package, and a marker that holds
requirements = [
    "sqlmodel",
    "SQLAlchemy < 3",
    "sqlalchemy[asyncio] >= 2.0.14, != 2.0.41",
    "asyncpg >= 0.30; python_version >= '3.11'",
    "aiosqlite ~= 0.21",
    "alembic",
]

# %% wrong: misses-asyncio-extra | Nothing here brings greenlet
requirements = ["sqlmodel", "sqlalchemy", "asyncpg", "aiosqlite", "alembic"]

# %% wrong: excludes-machines | The line `greenlet; python_version < "3"`
requirements = ["sqlmodel", "asyncpg", "aiosqlite", "alembic", "greenlet; python_version < '3'"]

# %% wrong: excludes-machines | on macOS (arm64)
requirements = ["sqlmodel", "asyncpg", "aiosqlite", "alembic", "greenlet; platform_machine != 'arm64'"]

# %% wrong: excludes-machines | on Windows (AMD64)
requirements = ["sqlmodel", "sqlalchemy[asyncio]", "asyncpg; sys_platform != 'win32'", "aiosqlite", "alembic"]

# %% wrong: excludes-machines | nothing else there brings `greenlet`
requirements = ["sqlmodel", "asyncpg", "aiosqlite", "alembic", "greenlet; platform_machine == 'x86_64'"]

# %% wrong: synchronous-driver | `psycopg2` is a synchronous driver
requirements = ["sqlmodel", "sqlalchemy[asyncio]", "psycopg2", "aiosqlite", "alembic"]

# %% wrong: synchronous-driver | `psycopg2-binary` is a synchronous driver
requirements = ["sqlmodel", "sqlalchemy[asyncio]", "asyncpg", "psycopg2_binary>=2.9", "aiosqlite", "alembic"]

# %% wrong: synchronous-driver | Take the driver that the URL names
requirements = ["sqlmodel", "sqlalchemy[asyncio,postgresql-psycopg2binary]", "aiosqlite", "alembic"]

# %% wrong: another-async-driver | loads another driver
requirements = ["sqlmodel", "sqlalchemy[asyncio]", "psycopg[binary]", "aiosqlite", "alembic"]

# %% wrong: forgets-asyncpg | postgresql+asyncpg://
requirements = ["sqlmodel", "sqlalchemy[asyncio]", "aiosqlite", "alembic"]

# %% wrong: forgets-aiosqlite | sqlite+aiosqlite://
requirements = ["sqlmodel", "sqlalchemy[asyncio]", "asyncpg", "alembic"]

# %% wrong: forgets-alembic | can migrate the tables
requirements = ["sqlmodel", "sqlalchemy[asyncio]", "asyncpg", "aiosqlite"]

# %% wrong: forgets-sqlmodel | Nothing here brings SQLModel
requirements = ["sqlalchemy[asyncio]", "asyncpg", "aiosqlite", "alembic"]

# %% wrong: forgets-sqlmodel | nothing
requirements = []

# %% wrong: unknown-extra | has no extra `async`
requirements = ["sqlmodel", "sqlalchemy[async]", "asyncpg", "aiosqlite", "alembic"]

# %% wrong: range-leaves-out-installed | `sqlmodel` asks for `SQLAlchemy
requirements = ["sqlmodel", "sqlalchemy[asyncio]<2", "asyncpg", "aiosqlite", "alembic"]

# %% wrong: range-leaves-out-installed | `asyncpg>=99` leaves out
requirements = ["sqlmodel", "sqlalchemy[asyncio]", "asyncpg>=99", "aiosqlite", "alembic"]

# %% wrong: malformed-requirement | `asyncpg=0.30` can't be read
requirements = ["sqlmodel", "sqlalchemy[asyncio]", "asyncpg=0.30", "aiosqlite", "alembic"]

# %% wrong: malformed-requirement | One text names one package
requirements = ["pip install sqlmodel sqlalchemy[asyncio] asyncpg aiosqlite alembic"]

# %% wrong: misspelt-name | Did you mean `asyncpg`
requirements = ["sqlmodel", "sqlalchemy[asyncio]", "async-pg", "aiosqlite", "alembic"]

# %% wrong: misspelt-name | Did you mean `sqlalchemy`
requirements = ["sqlmodel", "sqlalchemy-asyncio", "asyncpg", "aiosqlite", "alembic"]

# %% wrong: module-instead-of-package | comes with Python
requirements = ["sqlmodel", "sqlalchemy", "asyncio", "asyncpg", "aiosqlite", "alembic"]

# %% wrong: module-instead-of-package | comes with Python
requirements = ["sqlmodel", "sqlalchemy[asyncio]", "asyncpg", "sqlite3", "alembic"]

# %% wrong: module-instead-of-package | is what you import
requirements = ["sqlmodel", "sqlalchemy.ext.asyncio", "asyncpg", "aiosqlite", "alembic"]

# %% wrong: not-needed | Leave it out
requirements = ["sqlmodel", "sqlalchemy[asyncio]", "asyncpg", "aiosqlite", "alembic", "no-such-package-anywhere"]

# %% wrong: not-needed | `tornado` is not needed for this task. Leave it out.
requirements = ["sqlmodel", "sqlalchemy[asyncio]", "asyncpg", "aiosqlite", "alembic", "tornado"]

# %% wrong: not-needed | `jupyterlab` is not needed
requirements = ["sqlmodel", "sqlalchemy[asyncio]", "asyncpg", "aiosqlite", "alembic", "jupyterlab>=4"]

# %% wrong: not-needed | `matplotlib` is not needed
requirements = ["matplotlib; sys_platform == 'win32'", "sqlmodel", "sqlalchemy[asyncio]", "asyncpg", "aiosqlite", "alembic"]

# %% wrong: not-needed | the extra `aiomysql` brings `aiomysql`
requirements = ["sqlmodel", "sqlalchemy[asyncio,aiomysql]", "asyncpg", "aiosqlite", "alembic"]

# %% wrong: requires-the-course | is this course
requirements = ["async-database-course"]

# %% wrong: not-a-list | Make it a list
requirements = "sqlmodel sqlalchemy[asyncio] asyncpg aiosqlite alembic"

# %% wrong: not-a-list | in quotes
requirements = ["sqlmodel", "sqlalchemy[asyncio]", 5, "aiosqlite", "alembic"]


# %% right: numpy's texts, upper case, spaces and brackets
import numpy as np

requirements = list(np.array([" SQLModel ", "SQLAlchemy [AsyncIO] (>=2.1)", "AsyncPG", "AIOsqlite", "ALEMBIC ~=1.15"]))

# %% wrong: not-a-list | is of type `int`
requirements = [10**5000]

# %% wrong: malformed-requirement | can't be read as a requirement: Exceeds the limit
requirements = ["sqlmodel", "sqlalchemy[asyncio]", "asyncpg>=" + "9" * 5000, "aiosqlite", "alembic"]

# %% wrong: malformed-requirement | can't be read as a requirement: maximum recursion depth
requirements = ["asyncpg; " + "(" * 5000 + "os_name=='posix'" + ")" * 5000]

# %% wrong: malformed-requirement | behind the `;`
requirements = ["sqlmodel", "sqlalchemy[asyncio]", 'asyncpg; sys_platform ~= "linux"', "aiosqlite", "alembic"]

# %% wrong: malformed-requirement | Nobody can tell
requirements = ["sqlmodel", "sqlalchemy[asyncio]", 'asyncpg; "dev" in extras', "aiosqlite", "alembic"]

# %% wrong: names-an-address | names a file at an address
requirements = ["sqlmodel", "sqlalchemy[asyncio]", "asyncpg @ https://db.example/x-1.0.zip", "aiosqlite", "alembic"]
