# %% right: async, from the sync engine's pool
async def pool_snapshot(engine):
    pool = engine.sync_engine.pool
    beyond = pool.overflow()
    return dict(idle=pool.checkedin(), in_use=pool.checkedout(), overflow=beyond if beyond > 0 else 0, size=pool.size())


# %% right: the numbers in the sentence
import re


def pool_snapshot(engine):
    size, idle, overflow, in_use = (int(each) for each in re.findall(r"-?\d+", engine.pool.status()))
    return {"size": size, "in_use": in_use, "idle": idle, "overflow": max(overflow, 0)}


# %% wrong: negative-overflow | starts at minus `pool_size`
def pool_snapshot(engine):
    pool = engine.pool
    return {
        "size": pool.size(),
        "in_use": pool.checkedout(),
        "idle": pool.checkedin(),
        "overflow": pool.overflow(),
    }


# %% wrong: absolute-overflow | Taking the minus sign away
def pool_snapshot(engine):
    pool = engine.pool
    return {
        "size": pool.size(),
        "in_use": pool.checkedout(),
        "idle": pool.checkedin(),
        "overflow": abs(pool.overflow()),
    }


# %% wrong: overflow-from-borrowed | Idle connections count too
def pool_snapshot(engine):
    pool = engine.pool
    return {
        "size": pool.size(),
        "in_use": pool.checkedout(),
        "idle": pool.checkedin(),
        "overflow": max(0, pool.checkedout() - pool.size()),
    }


# %% wrong: reads-private-fields | reads `_overflow`
def pool_snapshot(engine):
    pool = engine.pool
    return {
        "size": pool.size(),
        "in_use": pool.checkedout(),
        "idle": pool.checkedin(),
        "overflow": max(0, pool._overflow),
    }


# %% wrong: reads-private-fields | reads `__dict__`
def pool_snapshot(engine):
    pool = engine.pool
    return {
        "size": pool.size(),
        "in_use": pool.checkedout(),
        "idle": pool.checkedin(),
        "overflow": max(0, vars(pool)["_overflow"]),
    }


# %% wrong: counts-unopened-as-idle | These idle connections do not exist
def pool_snapshot(engine):
    pool = engine.pool
    return {
        "size": pool.size(),
        "in_use": pool.checkedout(),
        "idle": pool.size() - pool.checkedout(),
        "overflow": max(0, pool.overflow()),
    }


# %% wrong: miscounts-in-use | overflow included
def pool_snapshot(engine):
    pool = engine.pool
    return {
        "size": pool.size(),
        "in_use": min(pool.checkedout(), pool.size()),
        "idle": pool.checkedin(),
        "overflow": max(0, pool.overflow()),
    }


# %% wrong: other-size | `size` is the number of connections that this engine's pool keeps
def pool_snapshot(engine):
    pool = engine.pool
    return {
        "size": pool.size() + 2,
        "in_use": pool.checkedout(),
        "idle": pool.checkedin(),
        "overflow": max(0, pool.overflow()),
    }


# %% wrong: other-keys | exactly the keys
def pool_snapshot(engine):
    pool = engine.pool
    return {
        "size": str(pool.size()),
        "in_use": pool.checkedout(),
        "idle": pool.checkedin(),
        "overflow": max(0, pool.overflow()),
    }


# %% wrong: returns-no-dict | Return a dict, not str
def pool_snapshot(engine):
    return engine.pool.status()


# %% wrong: borrows-a-connection | changes what it measures
from sqlalchemy import text


async def pool_snapshot(engine):
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
    pool = engine.pool
    return {
        "size": pool.size(),
        "in_use": pool.checkedout(),
        "idle": pool.checkedin(),
        "overflow": max(0, pool.overflow()),
    }


# %% wrong: other-size | Another engine has another one
def pool_snapshot(engine):
    pool = engine.pool
    return {
        "size": 3,
        "in_use": pool.checkedout(),
        "idle": pool.checkedin(),
        "overflow": max(0, pool.overflow()),
    }


# %% wrong: wrong-numbers | not the pool's numbers
def pool_snapshot(engine):
    pool = engine.pool
    return {
        "size": pool.size(),
        "in_use": pool.checkedout(),
        "idle": pool.checkedin(),
        "overflow": pool.overflow() + pool.size(),
    }


# %% wrong: swaps-in-use-and-idle | are exchanged
def pool_snapshot(engine):
    pool = engine.pool
    return {
        "size": pool.size(),
        "in_use": pool.checkedin(),
        "idle": pool.checkedout(),
        "overflow": max(0, pool.overflow()),
    }


# %% wrong: forgets-to-call | Call it: `size()`
def pool_snapshot(engine):
    pool = engine.pool
    return {
        "size": pool.size,
        "in_use": pool.checkedout,
        "idle": pool.checkedin,
        "overflow": pool.overflow,
    }


# %% wrong: other-size | can't be shown
def pool_snapshot(engine):
    pool = engine.pool
    return {
        "size": 10**6000,
        "in_use": pool.checkedout(),
        "idle": pool.checkedin(),
        "overflow": max(0, pool.overflow()),
    }


# %% wrong: changes-the-pool | leave the pool alone
async def pool_snapshot(engine):
    pool = engine.pool
    numbers = {
        "size": pool.size(),
        "in_use": pool.checkedout(),
        "idle": pool.checkedin(),
        "overflow": max(0, pool.overflow()),
    }
    await engine.dispose()
    return numbers


# %% error: object is not callable
def pool_snapshot(engine):
    return {"size": engine.pool.size()()}


# %% right: a callable object, which looks for the methods first
from collections import OrderedDict


class Snapshot:
    names = {"size": "size", "in_use": "checkedout", "idle": "checkedin"}

    def __call__(self, engine):
        pool = engine.execution_options(logging_token="health").pool
        if not all(name in dir(pool) and hasattr(pool, name) for name in self.names.values()):
            raise TypeError(f"{pool!r} has no numbers")
        found = OrderedDict((key, getattr(pool, name)()) for key, name in self.names.items())
        found["overflow"] = max(0, found["in_use"] + found["idle"] - found["size"])
        return found


pool_snapshot = Snapshot()
