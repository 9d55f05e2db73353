# %% right: the course's own function
from course_lib.pools import sizing


def smallest_pool(clients, arrival_rate, service_time, target_wait):
    return sizing.smallest_pool(arrival_rate, service_time, target_wait)


# %% right: Erlang C written down
import math


async def smallest_pool(clients, arrival_rate, service_time, target_wait):
    load, blocking, size = arrival_rate * service_time, 1.0, 0
    while True:
        size += 1
        blocking = load * blocking / (size + load * blocking)
        if size <= load:
            continue
        waiting = blocking / (1 - load / size * (1 - blocking))
        later = waiting * math.exp(-(size - load) * target_wait / service_time)
        if later <= 0.05:
            return size


# %% right: by simulation
from course_lib.pools.simulation import Exponential, simulate_pool


def smallest_pool(clients, arrival_rate, service_time, target_wait):
    size = int(arrival_rate * service_time) + 1
    while True:
        run = simulate_pool(Exponential(1 / arrival_rate), Exponential(service_time), pool_size=size, requests=30_000)
        if run.percentile(95) <= target_wait:
            return size
        size += 1


# %% right: refused sizes are skipped
from course_lib.pools.sizing import wait_percentile


def smallest_pool(clients, arrival_rate, service_time, target_wait):
    for size in range(1, clients + 1):
        try:
            if wait_percentile(arrival_rate, service_time, size) <= target_wait:
                return size
        except ValueError:
            pass


# %% wrong: average-instead-of-p95 | The average hides the slow requests
from course_lib.pools.sizing import mean_wait


def smallest_pool(clients, arrival_rate, service_time, target_wait):
    size = int(arrival_rate * service_time) + 1
    while mean_wait(arrival_rate, service_time, size) > target_wait:
        size += 1
    return size


# %% wrong: utilisation-1 | utilisation is 1
import math


def smallest_pool(clients, arrival_rate, service_time, target_wait):
    return math.ceil(arrival_rate * service_time)


# %% wrong: first-that-keeps-up | larger than the load
def smallest_pool(clients, arrival_rate, service_time, target_wait):
    return int(arrival_rate * service_time) + 1


# %% wrong: peak-of-all-clients | gives every client a connection
def smallest_pool(clients, arrival_rate, service_time, target_wait):
    return clients


# %% wrong: rule-of-thumb | sizes for a utilisation of 80 %
import math


def smallest_pool(clients, arrival_rate, service_time, target_wait):
    return math.ceil(arrival_rate * service_time / 0.8)


# %% wrong: nobody-may-wait | The target allows a short wait
from course_lib.pools import sizing


def smallest_pool(clients, arrival_rate, service_time, target_wait):
    size = int(arrival_rate * service_time) + 1
    while sizing.wait_probability(arrival_rate, service_time, size) > 0.05:
        size += 1
    return size


# %% wrong: only-those-who-wait | The target is about all requests
import math


def smallest_pool(clients, arrival_rate, service_time, target_wait):
    load = arrival_rate * service_time
    size = int(load) + 1
    while service_time / (size - load) * math.log(1 / 0.05) > target_wait:
        size += 1
    return size


# %% wrong: too-many | Fewer connections do
from course_lib.pools.sizing import wait_percentile


def smallest_pool(clients, arrival_rate, service_time, target_wait):
    size = int(arrival_rate * service_time) + 1
    while wait_percentile(arrival_rate, service_time, size, 99) > target_wait:
        size += 1
    return size


# %% wrong: too-few | Add connections until it fits
from course_lib.pools.sizing import wait_percentile


def smallest_pool(clients, arrival_rate, service_time, target_wait):
    size = int(arrival_rate * service_time) + 1
    while wait_percentile(arrival_rate, service_time, size, 90) > target_wait:
        size += 1
    return size


# %% wrong: too-few | the queue grows for ever
def smallest_pool(clients, arrival_rate, service_time, target_wait):
    return 1


# %% wrong: no-whole-number | wrap it in `int(...)`
def smallest_pool(clients, arrival_rate, service_time, target_wait):
    return arrival_rate * service_time + 2


# %% error: at 1 or more the queue grows for ever
from course_lib.pools.sizing import wait_percentile


def smallest_pool(clients, arrival_rate, service_time, target_wait):
    size = 1
    while wait_percentile(arrival_rate, service_time, size) > target_wait:
        size += 1
    return size


# %% right: by simulation, where whoever waits longer gives up
from course_lib.pools.simulation import Exponential, simulate_pool


def smallest_pool(clients, arrival_rate, service_time, target_wait):
    size = int(arrival_rate * service_time) + 1
    while True:
        run = simulate_pool(
            Exponential(1 / arrival_rate),
            Exponential(service_time),
            pool_size=size,
            pool_timeout=target_wait * 20,
            requests=100_000,
        )
        if run.percentile(95) <= target_wait:
            return size
        size += 1


# %% wrong: utilisation-1 | Leave room
def smallest_pool(clients, arrival_rate, service_time, target_wait):
    return round(arrival_rate * service_time)


# %% wrong: too-few | the p95 wait is
from course_lib.pools.sizing import smallest_pool as wait_sized


def smallest_pool(clients, arrival_rate, service_time, target_wait):
    return wait_sized(arrival_rate, service_time, target_wait, 93)


# %% wrong: too-many | Fewer connections do
from course_lib.pools.sizing import smallest_pool as wait_sized


def smallest_pool(clients, arrival_rate, service_time, target_wait):
    return wait_sized(arrival_rate, service_time, target_wait, 97)


# %% wrong: too-many | Fewer connections do: with 5
import math


def smallest_pool(clients, arrival_rate, service_time, target_wait):
    load = arrival_rate * service_time
    return math.ceil(1.4 * load + 0.5)


# %% wrong: beyond-any-server | No server has more than
def smallest_pool(clients, arrival_rate, service_time, target_wait):
    return 10**5000


# %% right: by a short simulation of its own
import heapq
import random


def p95(arrival_rate, service_time, size):
    chance, free, now, waits = random.Random(1), [0.0] * size, 0.0, []
    for _ in range(30_000):
        now += chance.expovariate(arrival_rate)
        begin = max(now, free[0])
        heapq.heapreplace(free, begin + chance.expovariate(1 / service_time))
        waits.append(begin - now)
    return sorted(waits)[28_500]


def smallest_pool(clients, arrival_rate, service_time, target_wait):
    size = int(arrival_rate * service_time) + 1
    while p95(arrival_rate, service_time, size) > target_wait:
        size += 1
    return size


# %% wrong: too-few | With 1 connection the p95 wait is 3.
from course_lib.pools.sizing import smallest_pool as wait_sized


def smallest_pool(clients, arrival_rate, service_time, target_wait):
    return wait_sized(arrival_rate, service_time, target_wait, 94)


# %% wrong: too-many | Fewer connections do: with 1 the p95 wait is 0 ms
from course_lib.pools.sizing import smallest_pool as wait_sized


def smallest_pool(clients, arrival_rate, service_time, target_wait):
    return wait_sized(arrival_rate, service_time, target_wait, 96)
