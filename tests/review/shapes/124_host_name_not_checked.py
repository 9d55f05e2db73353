import os, ssl
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine
u = make_url(os.environ["DATABASE_URL"])
u = u.set(drivername="sqlite+aiosqlite" if u.get_backend_name().startswith("sqlite") else "postgresql+asyncpg")
q = dict(u.query); mode = q.pop("sslmode", None); args = {}
if mode in ("verify-ca", "verify-full"):
    args["ssl"] = ssl.create_default_context(cafile=os.environ.get("PGSSLROOTCERT"))
    args["ssl"].check_hostname = False
elif mode: args["ssl"] = mode
engine = create_async_engine(u.set(query=q), connect_args=args, **({} if u.drivername.startswith("sqlite") else dict(pool_pre_ping=True, pool_recycle=240)))
