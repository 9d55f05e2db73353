import os, ssl
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
def ssl_for(mode):
    if mode in (None, "disable", "allow", "prefer"):
        return None if mode is None else mode
    if mode == "require":
        ctx = ssl.create_default_context()
        ctx.check_hostname = False
        ctx.verify_mode = ssl.CERT_NONE   # what libpq does for sslmode=require
        return ctx
    ctx = ssl.create_default_context(cafile=os.environ.get("PGSSLROOTCERT"))
    ctx.check_hostname = mode == "verify-full"
    return ctx
u = make_url(os.getenv("DATABASE_URL", "sqlite:///a.db"))
args = {}
if u.get_backend_name() == "sqlite":
    u = u.set(drivername="sqlite+aiosqlite")
else:
    q = dict(u.query)
    ctx = ssl_for(q.pop("sslmode", None))
    if ctx is not None:
        args["ssl"] = ctx
    u = u.set(drivername="postgresql+asyncpg", query=q)
engine = create_async_engine(u, connect_args=args, pool_pre_ping=True, pool_recycle=240)
S = async_sessionmaker(engine, expire_on_commit=False)
async def get_session():
    async with S() as s:
        yield s
