# %% right: with the course's own function
from course_lib.pools import sizing


def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    each = sizing.connection_budget(max_connections, reserved, instances, workers)
    return each - max_overflow if each > max_overflow else 0


# %% right: async, counting upwards
async def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    pool_size = 0
    while (pool_size + 1 + max_overflow) * workers * instances <= max_connections - reserved:
        pool_size += 1
    return pool_size


# %% right: floor of a fraction, a numpy integer
import numpy as np


def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    left = max_connections - reserved - max_overflow * instances * workers
    return np.int64(np.floor(np.clip(left, 0, None) / (instances * workers)))


# %% wrong: forgets-workers | Every worker is a process that makes its own engine
def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    return max(0, (max_connections - reserved) // instances - max_overflow)


# %% wrong: forgets-instances | All instances share the server
def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    return max(0, (max_connections - reserved) // workers - max_overflow)


# %% wrong: forgets-reserved | hands out the reserved connections too
def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    return max(0, max_connections // (instances * workers) - max_overflow)


# %% wrong: counts-only-pool-size | right as long as no pool overflows
def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    return (max_connections - reserved) // (instances * workers)


# %% wrong: rounds-up | rounds up
import math


def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    return max(0, math.ceil((max_connections - reserved) / (instances * workers)) - max_overflow)


# %% wrong: rounds-up | rounds to the nearest number
def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    return max(0, round((max_connections - reserved) / (instances * workers)) - max_overflow)


# %% wrong: goes-negative | a number below 0
def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    return (max_connections - reserved) // (instances * workers) - max_overflow


# %% wrong: at-least-one | still gives a connection
def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    return max(1, (max_connections - reserved) // (instances * workers) - max_overflow)


# %% wrong: overflow-once | Every pool has its own
def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    return max(0, (max_connections - reserved - max_overflow) // (instances * workers))


# %% wrong: no-whole-number | an object of type `float`
def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    return max(0, (max_connections - reserved) / (instances * workers) - max_overflow)


# %% wrong: no-whole-number | returned nothing
def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    print((max_connections - reserved) // (instances * workers) - max_overflow)


# %% wrong: other-sum | All pools full want
# Two mistakes at once.
def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    return max_connections // instances


# %% wrong: other-sum | A larger pool fits too
def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    return 1 if (max_connections - reserved) // (instances * workers) > max_overflow else 0


# %% wrong: takes-other-parameters | Keep the starter's parameters
def connection_budget(max_connections, instances, workers):
    return max_connections // (instances * workers)


# %% error: unsupported operand type
def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    return (max_connections - reserved) // str(instances * workers)


# %% timed out: Exercise 06.1 did not finish
def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    pool_size = 0
    while pool_size * workers * instances <= max_connections - reserved:
        pool_size += max_overflow
    return pool_size


# %% wrong: forgets-workers | Every worker is a process
def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    return max(1, (max_connections - reserved) // instances - max_overflow)


# %% wrong: leaves-one-free | not with `<`
def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    size = 0
    while (size + 1 + max_overflow) * instances * workers < max_connections - reserved:
        size += 1
    return size


# %% wrong: other-sum | The rule is
def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    return 7


# %% wrong: no-whole-number | wrap it in `int(...)`
def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    return float(max(0, (max_connections - reserved) // (instances * workers) - max_overflow))


# %% wrong: beyond-any-server | No server has more than
def connection_budget(max_connections, reserved, instances, workers, max_overflow):
    return 10**5000


# %% right: a callable object, which halves the range
from bisect import bisect_right


class Budget:
    def __call__(self, *numbers):
        max_connections, reserved, instances, workers, max_overflow = numbers
        wanted = (instances * workers * (size + max_overflow) for size in range(1, max_connections + 1))
        return bisect_right(list(wanted), max_connections - reserved)


connection_budget = Budget()
