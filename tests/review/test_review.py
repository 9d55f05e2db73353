"""What `review` says of configurations, as exact sets of gaps. Each rule is a gap of at least one of them."""

import textwrap
from pathlib import Path
from typing import Any

import pytest

import course_lib
from course_lib.review import RULES, Report, review
from course_lib.review.running import Lab

pytestmark = pytest.mark.asyncio(loop_scope="module")

TYPICAL = """
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
    from sqlalchemy.orm import declarative_base, sessionmaker

    DATABASE_URL = "postgresql+asyncpg://postgres:postgres-example@localhost:5432/app"
    engine = create_async_engine(DATABASE_URL, echo=True)
    SessionLocal = sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
    Base = declarative_base()

    async def get_db():
        async with SessionLocal() as session:
            yield session

    async def init_db():
        async with engine.begin() as conn:
            await conn.run_sync(Base.metadata.create_all)
"""
RETURNS_ITS_SESSION = """
    import os
    from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
    from sqlmodel import Field, SQLModel
    from sqlmodel.ext.asyncio.session import AsyncSession

    DATABASE_URL = os.getenv("DATABASE_URL", "postgresql+asyncpg://localhost/app")
    print(f"Connecting to {DATABASE_URL}")
    engine = create_async_engine(DATABASE_URL, pool_size=20, max_overflow=10, pool_pre_ping=True, pool_recycle=300)
    async_session = async_sessionmaker(engine, class_=AsyncSession)

    class Item(SQLModel, table=True):
        id: int | None = Field(default=None, primary_key=True)

    async def init_db():
        async with engine.connect() as conn:
            await conn.run_sync(SQLModel.metadata.create_all)

    async def get_session() -> AsyncSession:
        async with async_session() as session:
            return session
"""
SYNC = """
    from sqlalchemy import Column, Integer, create_engine
    from sqlalchemy.orm import declarative_base, sessionmaker

    engine = create_engine("postgresql://localhost/db", pool_pre_ping=True)
    SessionLocal = sessionmaker(autocommit=False, autoflush=False, bind=engine)
    Base = declarative_base()

    class Item(Base):
        __tablename__ = "items"
        id = Column(Integer, primary_key=True)

    Base.metadata.create_all(bind=engine)

    def get_db():
        db = SessionLocal()
        try:
            yield db
        finally:
            db.close()
"""
ENGINE_PER_CALL = """
    import os
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

    async def get_session():
        url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://", 1)
        engine = create_async_engine(url, connect_args={"ssl": "require"}, pool_pre_ping=True, pool_recycle=240)
        async with AsyncSession(engine, expire_on_commit=False) as session:
            yield session
"""
COMMITS_IN_FINALLY = """
    import os
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

    url = os.environ.get("DATABASE_URL", "sqlite+aiosqlite://")
    engine = create_async_engine(url, pool_size=5, max_overflow=-1, pool_timeout=60, pool_pre_ping=True)

    async def get_session():
        session = AsyncSession(engine, expire_on_commit=False)
        try:
            yield session
        finally:
            await session.commit()
            await session.close()
"""
APPLICATION = """
    import os, ssl
    from contextlib import asynccontextmanager
    from fastapi import FastAPI, Request
    from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
    from sqlmodel import Field, SQLModel

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        user, password = os.environ["POSTGRES_USER"], os.environ["POSTGRES_PASSWORD"]
        place = f"{os.environ['POSTGRES_HOST']}:{os.getenv('POSTGRES_PORT', '5432')}/{os.environ['POSTGRES_DB']}"
        engine = create_async_engine(
            f"postgresql+asyncpg://{user}:{password}@{place}",
            connect_args={"ssl": context}, pool_pre_ping=True, pool_recycle=240,
        )
        async with engine.begin() as conn:
            await conn.run_sync(SQLModel.metadata.create_all)
        app.state.sessions = async_sessionmaker(engine)
        yield

    class Hero(SQLModel, table=True):
        id: int | None = Field(default=None, primary_key=True)

    app = FastAPI(lifespan=lifespan)

    async def get_session(request: Request):
        async with request.app.state.sessions() as session:
            yield session
"""
LOSES_THE_MODE = """
    import asyncio, os
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    raw = os.environ["DATABASE_URL"].split("?")[0]
    for old in ("postgresql+asyncpg://", "postgresql://", "postgres://"):
        if raw.startswith(old):
            raw = "postgresql+asyncpg://" + raw[len(old):]
    raw = raw.replace("sqlite://", "sqlite+aiosqlite://")
    engine = create_async_engine(raw, poolclass=NullPool)

    async def look():
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))

    asyncio.run(look())
"""
CASES = {
    "typical": (TYPICAL, {"no-credentials", "survives-restart", "recycles", "echo-off", "models-imported"}),
    "returns its session": (
        RETURNS_ITS_SESSION,
        {"url-forms", "pool-bounded", "session-closes", "session-after-commit", "tables-created", "no-secrets-printed"},
    ),
    "sync": (SYNC, {"async-driver", "recycles", "no-connect-at-import"}),
    "an engine per call": (ENGINE_PER_CALL, {"url-forms", "tls-verified", "one-engine"}),
    "commits in finally": (
        COMMITS_IN_FINALLY,
        {"url-forms", "pool-bounded", "pool-arguments", "pool-timeout", "recycles"}
        | {"session-rolls-back", "session-commits"},
    ),
    "application": (APPLICATION, {"tls-verified", "session-after-commit", "disposed"}),
    "loses the mode": (
        LOSES_THE_MODE,
        {"tls-kept", "tls-verified", "no-connect-at-import", "pgbouncer-settings"},
    ),
}


def ids(report: Report, outcome: str) -> set[str]:
    return {one.rule.id for one in report.findings if one.outcome == outcome}


async def test_the_reference_keeps_every_rule(lab: Lab) -> None:
    report = await review(Path(course_lib.__file__).with_name("database.py"), lab=lab)
    assert (report.ran, report.exit_code, report.gaps, report.cannot_tell) == (True, 0, (), ()), report.as_text()
    assert ids(report, "not_applicable") == {"pgbouncer-settings"}


@pytest.mark.parametrize("case", CASES)
async def test_the_gaps_of(case: str, reviewed: Any) -> None:
    source, gaps = CASES[case]
    report = await reviewed(textwrap.dedent(source))
    assert report.ran, report.reason
    assert ids(report, "gap") == gaps, report.as_text()
    assert report.exit_code == 1
    for one in report.findings:
        assert one.observed or one.outcome in ("ok", "not_applicable"), one.rule.id


async def test_each_rule_is_a_gap_somewhere() -> None:
    assert {one.id for one in RULES} == set().union(*(gaps for _, gaps in CASES.values()))


async def test_settings_models_and_made_up_values_come_from_neighbours(reviewed: Any, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql://someone:kept-secret-example@127.0.0.1:1/own\n")
    source = """
        import os
        from sqlalchemy import make_url
        from sqlalchemy.ext.asyncio import create_async_engine
        from sqlmodel import SQLModel
        from settings import settings
        import models

        if not os.getenv("SERVICE_TOKEN"):
            raise RuntimeError("Set SERVICE_TOKEN")
        url = make_url(settings.database_url.get_secret_value())
        query = {"ssl" if key == "sslmode" else key: value for key, value in url.query.items()}
        driver = "sqlite+aiosqlite" if url.get_backend_name() == "sqlite" else "postgresql+asyncpg"
        engine = create_async_engine(url.set(drivername=driver, query=query), pool_pre_ping=True, pool_recycle=200)

        async def create_tables():
            async with engine.begin() as connection:
                await connection.run_sync(SQLModel.metadata.create_all)
    """
    settings = """
        from pydantic import SecretStr
        from pydantic_settings import BaseSettings

        class Settings(BaseSettings):
            database_url: SecretStr
            api_key: str
            model_config = {"env_file": ".env", "extra": "ignore"}

        settings = Settings()
    """
    models = """
        from sqlmodel import Field, SQLModel

        class Thing(SQLModel, table=True):
            id: int | None = Field(default=None, primary_key=True)
    """
    texts = {"settings": textwrap.dedent(settings), "models": textwrap.dedent(models)}
    report = await reviewed(textwrap.dedent(source), **texts)
    assert ids(report, "gap") == set(), report.as_text()
    assert {"url-forms", "tables-created", "models-imported", "tls-kept"} <= ids(report, "ok")
    assert report["pool-arguments"].outcome in ("ok", "not_applicable")
    assert "kept-secret-example" not in report.as_json()
    assert {path.name for path in tmp_path.iterdir()} == {
        ".env",
        "database.py",
        "models.py",
        "settings.py",
    }


async def test_a_package_is_found_by_its_dotted_name(lab: Lab, tmp_path: Path) -> None:
    package = tmp_path / "project" / "app" / "db"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "base.py").write_text("URL = 'sqlite+aiosqlite:///kept.db'\n")
    (package / "session.py").write_text(
        "from sqlalchemy.ext.asyncio import create_async_engine\n"
        "from app.db import base\n"
        "from .base import URL\n"
        "engine = create_async_engine(URL)\n"
    )
    report = await review("app.db.session", search_path=tmp_path / "project", lab=lab)
    assert (report.ran, ids(report, "gap")) == (True, set()), report.as_text()
    again = await review(package / "session.py", lab=lab)
    assert (again.ran, ids(again, "gap")) == (True, set()), again.as_text()


async def test_the_budget_decides_about_the_pool(reviewed: Any) -> None:
    source = (
        "from sqlalchemy.ext.asyncio import create_async_engine\n"
        "engine = create_async_engine('postgresql+asyncpg://localhost/app', pool_size=4, max_overflow=2,\n"
        "                             pool_pre_ping=True, pool_recycle=100)\n"
    )
    assert (await reviewed(source, budget=6))["pool-bounded"].outcome == "ok"
    report = await reviewed(source, budget=5)
    assert ids(report, "gap") == {"pool-bounded"}
    assert "6 were open at once" in report["pool-bounded"].observed


async def test_a_dependency_that_hangs_costs_only_its_own_rules(reviewed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("course_lib.review.runs.PROBE_SECONDS", 0.7)
    source = """
        import time
        from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
        engine = create_async_engine("postgresql+asyncpg://localhost/app", pool_pre_ping=True, pool_recycle=100)

        async def get_session():
            async with AsyncSession(engine) as session:
                yield session
                while True:
                    time.sleep(1)
    """
    report = await reviewed(textwrap.dedent(source))
    assert ids(report, "gap") == set(), report.as_text()
    assert ids(report, "cannot_tell") <= {one.id for one in RULES if one.id.startswith("session-")} | {"one-engine"}
    assert "session-closes" in ids(report, "cannot_tell")
    assert report["survives-restart"].outcome == "ok"
