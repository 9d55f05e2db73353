# %% right: from the other end
def choose(deployment):
    wanted = deployment.processes * deployment.pool_limit
    if deployment.keeps_session:
        return "direct"
    return "pool" if wanted <= deployment.budget and deployment.lifetime >= 60 else "pooler"


# %% right: an async function with a match
async def choose(each):
    match each.keeps_session, each.lifetime < 60, each.processes * each.pool_limit > each.budget:
        case True, _, _:
            return "direct"
        case False, False, False:
            return "pool"
    return "pooler"


# %% right: an enumeration of texts
from enum import StrEnum


class Way(StrEnum):
    DIRECT = "direct"
    POOL = "pool"
    POOLER = "pooler"


def choose(deployment):
    if deployment.keeps_session:
        return Way.DIRECT
    if deployment.lifetime < 60 or deployment.processes * deployment.pool_limit > deployment.budget:
        return Way.POOLER
    return Way.POOL


# %% right: by division
from dataclasses import astuple


def choose(deployment):
    _, processes, limit, budget, lifetime, keeps = astuple(deployment)
    if keeps:
        return "direct"
    if lifetime >= 60 and budget // processes >= limit:
        return "pool"
    return "pooler"


# %% wrong: pool-for-everything | has a limit for all of them together
def choose(deployment):
    return "pool"


# %% wrong: pooler-for-everything | costs a hop
def choose(deployment):
    if deployment.processes >= 1:
        return "pooler"
    return "pool"


# %% wrong: forgets-session-state | Transaction mode may give it another one
def choose(deployment):
    if deployment.lifetime < 60:
        return "pooler"
    return "pool" if deployment.processes * deployment.pool_limit <= deployment.budget else "pooler"


# %% wrong: forgets-short-lives | opens its pool anew
def choose(deployment):
    if deployment.keeps_session:
        return "direct"
    return "pool" if deployment.processes * deployment.pool_limit <= deployment.budget else "pooler"


# %% wrong: counts-one-process | what all of them may open together
def choose(deployment):
    if deployment.keeps_session:
        return "direct"
    if deployment.lifetime < 60 or deployment.pool_limit > deployment.budget:
        return "pooler"
    return "pool"


# %% wrong: counts-processes-only | Multiply
def choose(deployment):
    if deployment.keeps_session:
        return "direct"
    if deployment.lifetime < 60 or deployment.processes > deployment.budget:
        return "pooler"
    return "pool"


# %% wrong: refuses-a-full-budget | exactly the budget still fit
def choose(deployment):
    if deployment.keeps_session:
        return "direct"
    if deployment.lifetime < 60:
        return "pooler"
    return "pool" if deployment.processes * deployment.pool_limit < deployment.budget else "pooler"


# %% wrong: direct-where-a-pool-fits | pays for a new connection
def choose(deployment):
    fits = deployment.processes * deployment.pool_limit <= deployment.budget
    if deployment.keeps_session or (fits and deployment.lifetime >= 60):
        return "direct"
    return "pooler"


# %% wrong: decides-by-name | changes with its name
ANSWERS = {
    "an API on 2 instances with 4 workers": "pool",
    "an API on 20 instances with 4 workers": "pooler",
    "functions that start for a request": "pooler",
    "a listener for NOTIFY": "direct",
    "a migration under a session lock": "direct",
    "three small services on one database": "pool",
}


def choose(deployment):
    return ANSWERS.get(deployment.name, "pool")


# %% wrong: returns-something-else | one of the texts
def choose(deployment):
    return deployment.processes


# %% wrong: returns-something-else | one of the texts
class Anything:
    def __eq__(self, other):
        return True

    __hash__ = None


def choose(deployment):
    return Anything()


# %% wrong: - | in the wrong place
def choose(deployment):
    return "direct"


# %% error: AttributeError
def choose(deployment):
    return "direct" if deployment.session else "pool"


# %% right: an object that can be called
class Choose:
    def __call__(self, d):
        return "direct" if d.keeps_session else "pooler" if d.lifetime < 60 or d.processes*d.pool_limit > d.budget else "pool"
choose = Choose()


# %% wrong: a-minute-is-short | less than 60 seconds
def choose(d):
    return "direct" if d.keeps_session else "pooler" if d.lifetime <= 60 or d.processes*d.pool_limit > d.budget else "pool"


# %% wrong: fit-before-session | comes first
def choose(d):
    if d.processes*d.pool_limit > d.budget: return "pooler"
    if d.keeps_session: return "direct"
    return "pooler" if d.lifetime < 60 else "pool"


# %% wrong: knows-only-the-six | three questions
def choose(d):
    if d.keeps_session: return "direct"
    if d.lifetime < 60: return "pooler"
    return "pool" if d.processes+d.pool_limit <= d.budget else "pooler"


# %% wrong: pool-for-everything | has a limit for all of them together
def choose(d):
    object.__setattr__(d, "keeps_session", False)
    object.__setattr__(d, "lifetime", 86400.0)
    object.__setattr__(d, "budget", 10**9)
    return "pool"
