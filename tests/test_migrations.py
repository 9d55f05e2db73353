"""Do Alembic's commands run as in a terminal, and does a failure say one clear line without secrets and paths?"""

import gc
import os
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from course_lib.migrations import AlembicError, AlembicProject

MODELS = """\
from sqlmodel import Field, SQLModel


class Thing(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str{more}
"""
SECRET = "s3cret%40example"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "app.db"


@pytest.fixture
def url(database: Path) -> URL:
    return make_url(f"sqlite+aiosqlite:///{database}")


async def project_for(url: URL) -> AlembicProject:
    project = AlembicProject(url)
    await project.alembic("init", "-t", "async", "migrations")
    project.replace(
        "migrations/env.py",
        "config = context.config\n",
        "import os\n\nimport models\n\nconfig = context.config\n"
        'config.set_main_option("sqlalchemy.url", os.environ["DATABASE_URL"].replace("%", "%%"))\n',
    )
    project.replace("migrations/env.py", "target_metadata = None", "target_metadata = models.SQLModel.metadata")
    project.replace(
        "migrations/script.py.mako", "import sqlalchemy as sa\n", "import sqlalchemy as sa\nimport sqlmodel\n"
    )
    project.write("models.py", MODELS.format(more=""))
    return project


async def test_a_project_migrates_up_and_down_and_sees_each_change_of_its_models(url: URL, database: Path) -> None:
    project = await project_for(url)
    made = await project.alembic("revision", "--autogenerate", "--rev-id", "0001", "-m", "thing")
    assert made == "Detected added table 'thing'\nGenerating migrations/versions/0001_thing.py ...  done"
    assert await project.alembic("upgrade", "head") == "Running upgrade  -> 0001, thing"
    project.write("models.py", MODELS.format(more="\n    size: int | None = None"))
    assert "added column 'thing.size'" in await project.alembic(
        "revision", "--autogenerate", "--rev-id", "0002", "-m", "size"
    )
    assert project.functions("migrations/versions/0002_size.py").startswith("def upgrade() -> None:")
    await project.alembic("upgrade", "head")
    assert await project.alembic("check") == "No new upgrade operations detected."
    await project.alembic("downgrade", "-1")
    with sqlite3.connect(database) as connection:
        assert [row[1] for row in connection.execute("pragma table_info(thing)")] == ["id", "name"]
    connection.close()


async def test_the_folder_is_private_and_goes_with_the_project(url: URL) -> None:
    project = AlembicProject(url)
    folder = project.folder
    if os.name == "posix":
        assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    made = await project.alembic("init", "-t", "async", "migrations")
    assert "Generating alembic.ini ...  done" in made
    assert str(folder) not in made
    del project
    gc.collect()
    assert not folder.parent.exists()


def test_the_folder_goes_when_the_process_is_killed() -> None:
    program = (
        "from sqlalchemy import make_url\nfrom course_lib.migrations import AlembicProject\n"
        "project = AlembicProject(make_url('sqlite+aiosqlite://'))\nproject.write('models.py', '')\n"
        "print(project.folder, flush=True)\ninput()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().decode().strip())
        assert (folder / "models.py").exists()
        process.kill()
    deadline = time.monotonic() + 20
    while folder.parent.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def test_a_failure_is_one_line_without_the_password_and_the_folder() -> None:
    project = await project_for(URL.create("postgresql+asyncpg", "nobody", SECRET, "127.0.0.1", 1, "none"))
    project.replace("migrations/env.py", 'replace("%", "%%")', 'replace("x", "x")')  # the mistake with a "%"
    with pytest.raises(AlembicError, match="ValueError: invalid interpolation syntax") as caught:
        await project.alembic("upgrade", "head")
    message = str(caught.value)
    assert "s3cret" not in message and str(project.folder) not in message and "\n" not in message


async def test_alembics_own_refusals_come_through(url: URL) -> None:
    project = await project_for(url)
    with pytest.raises(AlembicError, match="Can't locate revision identified by '0009'"):
        await project.alembic("upgrade", "0009")
    with pytest.raises(AlembicError, match="invalid choice: 'fly'"):
        await project.alembic("fly")
    (project.folder / "models.py").unlink()
    with pytest.raises(AlembicError, match="ModuleNotFoundError: No module named 'models'"):
        await project.alembic("revision", "--autogenerate", "-m", "x")


async def test_a_text_to_replace_has_to_stand_there_once(url: URL) -> None:
    project = AlembicProject(url)
    project.write("models.py", "a a")
    with pytest.raises(ValueError, match="2 times"):
        project.replace("models.py", "a", "b")
    with pytest.raises(ValueError, match="0 times"):
        project.replace("models.py", "z", "b")
    assert project.read("models.py") == "a a"
