# %% right: overflow where the target allows it, other settings besides
pools = {
    "reports": {"pool_size": 1, "max_overflow": 1, "pool_pre_ping": True},
    "jobs": {"pool_size": 1, "max_overflow": 1, "pool_timeout": 10},
    "api": {"pool_size": 4, "max_overflow": 1, "pool_recycle": 300},
}


# %% right: computed from the fleet
from course_lib.exercises.pool_sizing import FLEET
from course_lib.pools.sizing import smallest_pool

pools = {
    each.name: {
        "pool_size": smallest_pool(each.arrival_rate, each.service_time, each.target_wait),
        "max_overflow": 0,
    }
    for each in FLEET.services
}


# %% wrong: forgets-surge | During a deploy, old and new instances both hold
pools = {
    "api": {"pool_size": 6, "max_overflow": 0},
    "jobs": {"pool_size": 4, "max_overflow": 0},
    "reports": {"pool_size": 3, "max_overflow": 0},
}


# %% wrong: forgets-admin | leaves 1 of the 7 that migrations
pools = {
    "api": {"pool_size": 4, "max_overflow": 0},
    "jobs": {"pool_size": 3, "max_overflow": 0},
    "reports": {"pool_size": 2, "max_overflow": 0},
}


# %% wrong: forgets-reserved | The server keeps 3 for superusers
pools = {
    "api": {"pool_size": 5, "max_overflow": 0},
    "jobs": {"pool_size": 2, "max_overflow": 0},
    "reports": {"pool_size": 4, "max_overflow": 0},
}


# %% wrong: counts-only-pool-size | In a burst each pool opens its overflow too
pools = {
    "api": {"pool_size": 4, "max_overflow": 4},
    "jobs": {"pool_size": 2, "max_overflow": 2},
    "reports": {"pool_size": 2, "max_overflow": 2},
}


# %% wrong: counts-only-pool-size | the pools open 380 connections
# What is left out is not 0: max_overflow is 10 then.
pools = {
    "api": {"pool_size": 4},
    "jobs": {"pool_size": 2},
    "reports": {"pool_size": 2},
}


# %% wrong: forgets-workers | Every worker has its own
pools = {
    "api": {"pool_size": 8, "max_overflow": 0},
    "jobs": {"pool_size": 5, "max_overflow": 0},
    "reports": {"pool_size": 2, "max_overflow": 0},
}


# %% wrong: over-budget | 90 are theirs
pools = {
    "api": {"pool_size": 5, "max_overflow": 5},
    "jobs": {"pool_size": 5, "max_overflow": 5},
    "reports": {"pool_size": 5, "max_overflow": 5},
}


# %% wrong: starves-a-service | Not every service needs the same size
pools = {name: {"pool_size": 3, "max_overflow": 0} for name in ("api", "jobs", "reports")}


# %% wrong: lives-on-overflow | lives on overflow
pools = {
    "api": {"pool_size": 1, "max_overflow": 4},
    "jobs": {"pool_size": 2, "max_overflow": 0},
    "reports": {"pool_size": 2, "max_overflow": 0},
}


# %% wrong: no-limit | `pool_size=0` means no limit
pools = {
    "api": {"pool_size": 5, "max_overflow": 0},
    "jobs": {"pool_size": 2, "max_overflow": 0},
    "reports": {"pool_size": 0, "max_overflow": 2},
}


# %% wrong: no-limit | `NullPool` opens a connection for each request
from sqlalchemy import NullPool

pools = {name: {"poolclass": NullPool} for name in ("api", "jobs", "reports")}


# %% wrong: another-pool | Leave out `poolclass`
from sqlalchemy import StaticPool

pools = {name: {"poolclass": StaticPool} for name in ("api", "jobs", "reports")}


# %% wrong: gives-up-early | p95 is within the target, but
# Nobody waits long where everybody gives up at once.
pools = {
    "api": {"pool_size": 3, "max_overflow": 0, "pool_timeout": 0.005},
    "jobs": {"pool_size": 2, "max_overflow": 0},
    "reports": {"pool_size": 2, "max_overflow": 0},
}


# %% wrong: other-services | Every service keeps its pool
pools = {"api": {"pool_size": 5, "max_overflow": 0}, "jobs": {"pool_size": 2, "max_overflow": 0}}


# %% wrong: no-whole-number | has to be a whole number
pools = {
    "api": {"pool_size": 4.5, "max_overflow": 0},
    "jobs": {"pool_size": 2, "max_overflow": 0},
    "reports": {"pool_size": 2, "max_overflow": 0},
}


# %% wrong: no-number | has to be a number of seconds
pools = {
    "api": {"pool_size": 4, "max_overflow": 0, "pool_timeout": "10"},
    "jobs": {"pool_size": 2, "max_overflow": 0},
    "reports": {"pool_size": 2, "max_overflow": 0},
}


# %% wrong: passes-no-mapping | takes a dictionary
pools = [(5, 0), (2, 0), (2, 0)]


# %% error: Invalid argument(s) 'overflow'
pools = {
    "api": {"pool_size": 5, "overflow": 0},
    "jobs": {"pool_size": 2, "max_overflow": 0},
    "reports": {"pool_size": 2, "max_overflow": 0},
}


# %% right: requests give up at the target, and few do
pools = {
    "api": {"pool_size": 4, "max_overflow": 0, "pool_timeout": 1},
    "jobs": {"pool_size": 2, "max_overflow": 0, "pool_timeout": 1.0},
    "reports": {"pool_size": 2, "max_overflow": 0, "pool_timeout": None},
}


# %% right: numpy's numbers
import numpy as np

sizes = dict(zip(("api", "jobs", "reports"), np.array([4, 2, 2]), strict=True))
pools = {name: {"pool_size": size, "max_overflow": np.int64(0)} for name, size in sizes.items()}


# %% wrong: starves-a-service | the queue grows for ever
pools = {
    "api": {"pool_size": 5, "max_overflow": 0},
    "jobs": {"pool_size": 1, "max_overflow": 0, "pool_timeout": None},
    "reports": {"pool_size": 2, "max_overflow": 0},
}


# %% wrong: gives-up-early | requests gave up after 0 s
pools = {
    "api": {"pool_size": 5, "max_overflow": 0},
    "jobs": {"pool_size": 2, "max_overflow": 0, "pool_timeout": 0},
    "reports": {"pool_size": 2, "max_overflow": 0},
}


# %% wrong: forgets-surge | Without a deploy it would be 90
# What a cell does to the fleet that it imports changes nothing.
from course_lib.exercises.pool_sizing import FLEET

kept = FLEET.max_connections
object.__setattr__(FLEET, "max_connections", 1000)
pools = {each.name: {"pool_size": 5, "max_overflow": 0} for each in FLEET.services}
object.__setattr__(FLEET, "max_connections", kept)


# %% wrong: no-number | Write `None` for no limit
pools = {
    "api": {"pool_size": 4, "max_overflow": 0, "pool_timeout": float("inf")},
    "jobs": {"pool_size": 2, "max_overflow": 0},
    "reports": {"pool_size": 2, "max_overflow": 0},
}


# %% wrong: no-number | `pool_timeout` of `api`
pools = {name: {"pool_size": 2, "max_overflow": 0, "pool_timeout": True} for name in ("api", "jobs", "reports")}


# %% wrong: no-whole-number | it is of type `str`
pools = {name: {"pool_size": "2", "max_overflow": 0} for name in ("api", "jobs", "reports")}


# %% wrong: out-of-range | `pool_size` of `api` is negative
pools = {name: {"pool_size": -1, "max_overflow": 5} for name in ("api", "jobs", "reports")}


# %% wrong: out-of-range | No server has so many connections
pools = {name: {"pool_size": 10**5000, "max_overflow": 0} for name in ("api", "jobs", "reports")}


# %% wrong: another-pool | an object that is made already
from sqlalchemy import AsyncAdaptedQueuePool

pools = {name: {"pool": AsyncAdaptedQueuePool(lambda: None, pool_size=2)} for name in ("api", "jobs", "reports")}


# %% wrong: passes-no-mapping | The pool of `api` is an object of type `ndarray`
import numpy as np

pools = {"api": np.array([4, 0]), "jobs": np.array([2, 0]), "reports": np.array([2, 0])}


# %% right: views of several dicts, the pool's class written down
from collections import ChainMap
from types import MappingProxyType

from sqlalchemy import AsyncAdaptedQueuePool

common = {"poolclass": AsyncAdaptedQueuePool, "max_overflow": 0, "pool_recycle": 300}
pools = MappingProxyType({name: ChainMap({"pool_size": n}, common) for name, n in dict(jobs=2, api=5, reports=2).items()})
