# %% right: a little more for the api
pools = {
    "api": {"pool_size": 5, "max_overflow": 0},
    "jobs": {"pool_size": 2, "max_overflow": 0},
    "reports": {"pool_size": 2, "max_overflow": 0},
}


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


# %% right: 88 of the 90 connections given out
pools = {
    "api": dict(pool_size=4, max_overflow=0),
    "jobs": dict(pool_size=2, max_overflow=0),
    "reports": dict(pool_size=4, max_overflow=0),
}
pools["api"].update(max_overflow=0)


# %% wrong: forgets-surge | During a deploy, old and new instances both hold
pools = {
    "api": {"pool_size": 6, "max_overflow": 0},
    "jobs": {"pool_size": 4, "max_overflow": 0},
    "reports": {"pool_size": 3, "max_overflow": 0},
}


# %% wrong: forgets-admin | leaves nothing for a migration
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


# %% wrong: starves-a-service | the queue grows for ever
pools = {
    "api": {"pool_size": 5, "max_overflow": 0},
    "jobs": {"pool_size": 1, "max_overflow": 0},
    "reports": {"pool_size": 2, "max_overflow": 0},
}


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


# %% wrong: starves-a-service | timed out
# Nobody waits long where everybody gives up at once.
pools = {
    "api": {"pool_size": 3, "max_overflow": 0, "pool_timeout": 0.005},
    "jobs": {"pool_size": 2, "max_overflow": 0},
    "reports": {"pool_size": 2, "max_overflow": 0},
}


# %% wrong: other-services | Every service keeps its pool
pools = {"api": {"pool_size": 5, "max_overflow": 0}, "jobs": {"pool_size": 2, "max_overflow": 0}}


# %% wrong: no-whole-number | have to be whole numbers
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
