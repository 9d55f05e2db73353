# %% right: floats, in an OrderedDict
from collections import OrderedDict

predicted = OrderedDict(
    {
        "engine made": 0.0,
        "one query has run": 1.0,
        "three borrowed at once": 3.0,
        "all three returned": 2.0,
        "1.2 s without a query": 2.0,
        "one query after that": 2.0,
        "server ended them all": 0.0,
        "one query after the end": 1.0,
        "disposed of": 0.0,
        "one query after dispose": 1.0,
    }
)


# %% wrong: opens-at-creation | Making an engine opens nothing
predicted = {
    "engine made": 2,
    "one query has run": 1,
    "three borrowed at once": 3,
    "all three returned": 2,
    "1.2 s without a query": 2,
    "one query after that": 2,
    "server ended them all": 0,
    "one query after the end": 1,
    "disposed of": 0,
    "one query after dispose": 1,
}


# %% wrong: closes-on-return | A returned connection stays open
predicted = {
    "engine made": 0,
    "one query has run": 0,
    "three borrowed at once": 3,
    "all three returned": 2,
    "1.2 s without a query": 2,
    "one query after that": 2,
    "server ended them all": 0,
    "one query after the end": 1,
    "disposed of": 0,
    "one query after dispose": 1,
}


# %% wrong: fills-the-pool | not `pool_size` of them
predicted = {
    "engine made": 0,
    "one query has run": 2,
    "three borrowed at once": 3,
    "all three returned": 2,
    "1.2 s without a query": 2,
    "one query after that": 2,
    "server ended them all": 0,
    "one query after the end": 1,
    "disposed of": 0,
    "one query after dispose": 1,
}


# %% wrong: forgets-overflow | all three can be open
predicted = {
    "engine made": 0,
    "one query has run": 1,
    "three borrowed at once": 2,
    "all three returned": 2,
    "1.2 s without a query": 2,
    "one query after that": 2,
    "server ended them all": 0,
    "one query after the end": 1,
    "disposed of": 0,
    "one query after dispose": 1,
}


# %% wrong: keeps-overflow | What comes back beyond that is closed
predicted = {
    "engine made": 0,
    "one query has run": 1,
    "three borrowed at once": 3,
    "all three returned": 3,
    "1.2 s without a query": 2,
    "one query after that": 2,
    "server ended them all": 0,
    "one query after the end": 1,
    "disposed of": 0,
    "one query after dispose": 1,
}


# %% wrong: closes-on-return | up to `pool_size` of them
predicted = {
    "engine made": 0,
    "one query has run": 1,
    "three borrowed at once": 3,
    "all three returned": 0,
    "1.2 s without a query": 2,
    "one query after that": 2,
    "server ended them all": 0,
    "one query after the end": 1,
    "disposed of": 0,
    "one query after dispose": 1,
}


# %% wrong: recycles-in-background | Nobody watches the clock
predicted = {
    "engine made": 0,
    "one query has run": 1,
    "three borrowed at once": 3,
    "all three returned": 2,
    "1.2 s without a query": 0,
    "one query after that": 2,
    "server ended them all": 0,
    "one query after the end": 1,
    "disposed of": 0,
    "one query after dispose": 1,
}


# %% wrong: recycles-all-at-once | only that one is replaced
predicted = {
    "engine made": 0,
    "one query has run": 1,
    "three borrowed at once": 3,
    "all three returned": 2,
    "1.2 s without a query": 2,
    "one query after that": 1,
    "server ended them all": 0,
    "one query after the end": 1,
    "disposed of": 0,
    "one query after dispose": 1,
}


# %% wrong: miscounts-recycle | the other one stays
predicted = {
    "engine made": 0,
    "one query has run": 1,
    "three borrowed at once": 3,
    "all three returned": 2,
    "1.2 s without a query": 2,
    "one query after that": 3,
    "server ended them all": 0,
    "one query after the end": 1,
    "disposed of": 0,
    "one query after dispose": 1,
}


# %% wrong: refills-by-itself | none opens a connection without a checkout
predicted = {
    "engine made": 0,
    "one query has run": 1,
    "three borrowed at once": 3,
    "all three returned": 2,
    "1.2 s without a query": 2,
    "one query after that": 2,
    "server ended them all": 2,
    "one query after the end": 1,
    "disposed of": 0,
    "one query after dispose": 1,
}


# %% wrong: refills-at-once | The query needs one connection
predicted = {
    "engine made": 0,
    "one query has run": 1,
    "three borrowed at once": 3,
    "all three returned": 2,
    "1.2 s without a query": 2,
    "one query after that": 2,
    "server ended them all": 0,
    "one query after the end": 2,
    "disposed of": 0,
    "one query after dispose": 1,
}


# %% wrong: ping-does-not-reconnect | opens a new one for the query
predicted = {
    "engine made": 0,
    "one query has run": 1,
    "three borrowed at once": 3,
    "all three returned": 2,
    "1.2 s without a query": 2,
    "one query after that": 2,
    "server ended them all": 0,
    "one query after the end": 0,
    "disposed of": 0,
    "one query after dispose": 1,
}


# %% wrong: dispose-keeps-connections | closes all connections
predicted = {
    "engine made": 0,
    "one query has run": 1,
    "three borrowed at once": 3,
    "all three returned": 2,
    "1.2 s without a query": 2,
    "one query after that": 2,
    "server ended them all": 0,
    "one query after the end": 1,
    "disposed of": 1,
    "one query after dispose": 1,
}


# %% wrong: dispose-is-the-end | a new, empty pool
predicted = {
    "engine made": 0,
    "one query has run": 1,
    "three borrowed at once": 3,
    "all three returned": 2,
    "1.2 s without a query": 2,
    "one query after that": 2,
    "server ended them all": 0,
    "one query after the end": 1,
    "disposed of": 0,
    "one query after dispose": 0,
}


# %% wrong: miscounted | The server sees another number
predicted = {
    "engine made": 0,
    "one query has run": 1,
    "three borrowed at once": 15,
    "all three returned": 2,
    "1.2 s without a query": 2,
    "one query after that": 2,
    "server ended them all": 0,
    "one query after the end": 1,
    "disposed of": 0,
    "one query after dispose": 1,
}


# %% wrong: incomplete | has no prediction yet
predicted = {
    "engine made": 0,
    "one query has run": 1,
    "three borrowed at once": 3,
    "all three returned": 2,
    "1.2 s without a query": 2,
    "one query after that": 2,
    "server ended them all": 0,
    "one query after the end": 1,
    "disposed of": 0,
    "one query after dispose": ...,
}


# %% wrong: no-number | a whole number
predicted = {
    "engine made": 0,
    "one query has run": True,
    "three borrowed at once": 3,
    "all three returned": 2,
    "1.2 s without a query": 2,
    "one query after that": 2,
    "server ended them all": 0,
    "one query after the end": 1,
    "disposed of": 0,
    "one query after dispose": 1,
}


# %% wrong: changed-steps | keep its ten keys
predicted = [0, 1, 3, 2, 2, 2, 0, 1, 0, 1]


# %% wrong: opens-at-creation | can't be shown
predicted = {
    "engine made": 10**6000,
    "one query has run": 1,
    "three borrowed at once": 3,
    "all three returned": 2,
    "1.2 s without a query": 2,
    "one query after that": 2,
    "server ended them all": 0,
    "one query after the end": 1,
    "disposed of": 0,
    "one query after dispose": 1,
}


# %% wrong: no-number | a whole number
predicted = {
    "engine made": 0.5,
    "one query has run": 1,
    "three borrowed at once": 3,
    "all three returned": 2,
    "1.2 s without a query": 2,
    "one query after that": 2,
    "server ended them all": 0,
    "one query after the end": 1,
    "disposed of": 0,
    "one query after dispose": 1,
}


# %% right: numpy's numbers, in a mapping that is no dict
from types import MappingProxyType

import numpy as np

STEPS = """engine made|one query has run|three borrowed at once|all three returned|1.2 s without a query
one query after that|server ended them all|one query after the end|disposed of|one query after dispose"""
numbers = np.array([0, 1, 3, 2, 2, 2, 0, 1, 0, 1])
predicted = MappingProxyType(dict(zip(STEPS.replace("\n", "|").split("|"), numbers, strict=True)))
