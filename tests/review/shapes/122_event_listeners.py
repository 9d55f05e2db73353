# own recycle + own invalidation by hand: retries on connect, LIFO
import os, time
from sqlalchemy import event, exc, make_url
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
u = make_url(os.getenv("DATABASE_URL", "sqlite:///a.db"))
if u.get_backend_name() == "sqlite":
    u = u.set(drivername="sqlite+aiosqlite")
else:
    u = u.set(drivername="postgresql+asyncpg", query={("ssl" if k == "sslmode" else k): v for k, v in u.query.items()})
engine = create_async_engine(u, pool_pre_ping=True, pool_recycle=300, pool_reset_on_return="rollback", future=True, isolation_level="READ COMMITTED" if u.get_backend_name() != "sqlite" else "SERIALIZABLE")
@event.listens_for(engine.sync_engine, "before_cursor_execute")
def before(conn, cursor, statement, parameters, context, executemany):
    conn.info["t0"] = time.perf_counter()
@event.listens_for(engine.sync_engine.pool, "connect")
def connected(dbapi_con, rec):
    rec.info["born"] = time.time()
S = async_sessionmaker(engine, expire_on_commit=False)
async def get_session():
    async with S() as s:
        yield s
