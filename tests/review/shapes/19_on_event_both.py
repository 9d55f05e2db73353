import os
from collections.abc import AsyncGenerator

from fastapi import Depends, FastAPI
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Field, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

url = make_url(os.getenv("DATABASE_URL", "sqlite+aiosqlite:///./events.db"))
if url.get_backend_name() == "sqlite":
    url = url.set(drivername="sqlite+aiosqlite")
else:
    url = url.set(
        drivername="postgresql+asyncpg",
        query={("ssl" if name == "sslmode" else name): value for name, value in url.query.items()},
    )

engine = create_async_engine(url, echo=False, pool_pre_ping=True, pool_recycle=280, pool_timeout=5)
app = FastAPI(title="Events")


class Event(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str


async def get_session() -> AsyncGenerator[AsyncSession, None]:
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session


@app.on_event("startup")
async def on_startup():
    async with engine.begin() as conn:
        await conn.run_sync(SQLModel.metadata.create_all)


@app.on_event("shutdown")
async def on_shutdown():
    await engine.dispose()


@app.get("/events")
async def events(session: AsyncSession = Depends(get_session)):
    return (await session.exec(select(Event))).all()
