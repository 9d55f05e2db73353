"""How fast `course_lib.pools.simulation` is, beside SimPy and Ciw on the same queue.

Run it with the extra `bench` installed: ``python benchmarks/simulation.py``. It prints, and asserts nothing.

The queue is M/M/c: Poisson arrivals, exponential leases, nobody gives up. Every contestant simulates the same number
of requests with the same number of seeds in this one process and ends with the mean wait, whose agreement with Erlang
C is printed beside the speed. They take turns, seed by seed. Time is processor time of this process, which on an idle
machine is the time on the clock: all contestants use one thread, and other programs don't count. Only counted requests
make up the speed: our runs also simulate a warm-up, and its time is in. The others count from their first request.
"""

import statistics
import time
from collections.abc import Callable, Generator
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from course_lib.pools.simulation import Exponential, LogNormal, simulate_fleet, simulate_pool
from course_lib.pools.sizing import mean_wait

SERVICE_TIME = 0.02
FLEET = 10_000
HOUR = 3600.0
Contestant = Callable[[float, int, int, int], float]


def ours(rate: float, connections: int, requests: int, seed: int) -> float:
    """Return the mean wait in seconds."""
    return simulate_pool(
        Exponential(1 / rate),
        Exponential(SERVICE_TIME),
        pool_size=connections,
        pool_timeout=None,
        requests=requests,
        seed=seed,
    ).mean_wait


def with_simpy(rate: float, connections: int, requests: int, seed: int) -> float:
    """Return the mean wait in seconds. Random numbers come from numpy in one call, which is SimPy's best case."""
    import simpy

    random = np.random.default_rng(seed)
    gaps = random.exponential(1 / rate, requests).tolist()
    leases = random.exponential(SERVICE_TIME, requests).tolist()
    environment = simpy.Environment()
    pool = simpy.Resource(environment, capacity=connections)
    waited = 0.0

    def request(lease: float) -> Generator[Any, Any, None]:
        nonlocal waited
        asked = environment.now
        with pool.request() as turn:
            yield turn
            waited += environment.now - asked
            yield environment.timeout(lease)

    def arrive() -> Generator[Any, Any, None]:
        for gap, lease in zip(gaps, leases, strict=True):
            yield environment.timeout(gap)
            environment.process(request(lease))

    environment.process(arrive())
    environment.run()
    return waited / requests


def with_ciw(rate: float, connections: int, requests: int, seed: int) -> float:
    """Return the mean wait in seconds over the requests that finished first."""
    import ciw

    ciw.seed(seed)
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate)],
        service_distributions=[ciw.dists.Exponential(1 / SERVICE_TIME)],
        number_of_servers=[connections],
    )
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(requests, method="Finish")
    return statistics.fmean(record.waiting_time for record in simulation.get_all_records())


def compare(console: Console, connections: int, utilisation: float, requests: int, seeds: int) -> None:
    """Let all contestants simulate the same and print requests per second and ratios."""
    rate = utilisation * connections / SERVICE_TIME
    contestants: dict[str, Contestant] = {"SimPy": with_simpy, "Ciw": with_ciw, "ours": ours}
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    waits: dict[str, list[float]] = {name: [] for name in contestants}
    for seed in range(seeds):
        for name, simulate in contestants.items():
            begin = time.process_time()
            waits[name].append(simulate(rate, connections, requests, seed))
            seconds[name].append(time.process_time() - begin)
    speeds = {name: seeds * requests / sum(times) for name, times in seconds.items()}
    fastest = max(speeds["SimPy"], speeds["Ciw"])
    title = f"M/M/{connections} at {utilisation:.0%}, {seeds} seeds × {requests:,} requests"
    table = Table(title=title)
    for heading in ("", "requests/second", "ratio to the faster of the others", "mean wait / Erlang C"):
        table.add_column(heading, justify="right" if heading else "left")
    expected = mean_wait(rate, SERVICE_TIME, connections)
    for name, speed in speeds.items():
        agreement = statistics.fmean(waits[name]) / expected
        table.add_row(name, f"{speed:,.0f}", f"{speed / fastest:.1f}", f"{agreement:.3f}")
    console.print(table)


def absolute(console: Console, connections: int, utilisation: float, full: bool) -> None:
    """Print the processor seconds that 100 million requests of one pool and an hour of a fleet take, or would take."""
    wanted = 100_000_000
    requests = wanted if full else wanted // 10
    how = "measured" if full else "scaled from a tenth"
    begin = time.process_time()
    ours(utilisation * connections / SERVICE_TIME, connections, requests, 0)
    seconds = (time.process_time() - begin) * wanted / requests
    console.print(f"One pool, M/M/{connections} at {utilisation:.0%}, {wanted:,} requests: {seconds:.1f} s ({how}).")
    duration = HOUR if full else HOUR / 60
    how = "measured" if full else "scaled from its first minute, the cold start"
    for overflow, room in ((0, 15_000), (3, 60_000)):
        begin = time.process_time()
        result = simulate_fleet(
            Exponential(1.0),
            LogNormal(SERVICE_TIME, 1.5),
            instances=FLEET,
            max_connections=room,
            pool_size=5 - overflow,
            max_overflow=overflow,
            connect=Exponential(0.01),
            duration=duration,
        )
        seconds = (time.process_time() - begin) * HOUR / duration
        console.print(
            f"A fleet of {FLEET:,} instances for an hour, 1 request a second each (36 million), pools of "
            f"{5 - overflow} + {overflow}, max_connections {room:,}: {seconds:.1f} s ({how}); "
            f"{result.refused / result.arrived:.2%} refused."
        )


def main(
    connections: Annotated[int, typer.Option(help="Connections in the pool.")] = 10,
    utilisation: Annotated[float, typer.Option(help="Share of the time that they are in use.")] = 0.8,
    requests: Annotated[int, typer.Option(help="Requests that each contestant simulates with each seed.")] = 500_000,
    seeds: Annotated[int, typer.Option(help="Runs of each contestant, each with a seed of its own.")] = 2,
    full: Annotated[bool, typer.Option("--full", help="Simulate all 100 million requests and the whole hour.")] = False,
) -> None:
    """Print how many requests a second are simulated, beside SimPy and Ciw, and what large runs take."""
    console = Console()
    compare(console, connections, utilisation, requests, seeds)
    absolute(console, connections, utilisation, full)


if __name__ == "__main__":
    typer.run(main)
