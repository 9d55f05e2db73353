"""The comparison suite of lesson 10: does each database catch what the lesson says, and for the reason that it says?"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from course_lib.samples import portable_suite
from course_lib.samples.compare import CaseResult, run_suite
from course_lib.servers import PostgresServer

MEMORY = "sqlite+aiosqlite://"


def failed(runs: list[CaseResult], group: str) -> set[str]:
    return {run.name for run in runs if run.group == group and not run.passed}


async def test_postgresql_catches_every_mistake_for_its_own_reason() -> None:
    """Red has to come from the mistake, not from tables that could not be made."""
    async with PostgresServer() as server:
        runs = await run_suite(server.url)
    assert failed(runs, "SoundCode") == set()
    said = {run.name: run.error for run in runs if not run.passed}
    reasons = {
        "column_outside_group_by": "must appear in the GROUP BY clause",
        "engine_of_another_loop": "attached to a different loop",
        "id_as_text": "operator does not exist: integer = character varying",
        "name_too_long": "value too long for type character varying",
        "next_id_after_fixture": 'unique constraint "customer_pkey"',
        "number_too_large": "value out of int32 range",
        "order_of_nobody": "violates foreign key constraint",
        "same_name_twice": 'unique constraint "customer_name_key"',
        "search_in_lower_case": "[] is not true",
        "time_zone_in_plain_column": "can't subtract offset-naive and offset-aware datetimes",
        "worker_before_commit": "None is not true",
    }
    assert said.keys() == reasons.keys()
    for name, reason in reasons.items():
        assert reason in said[name]
        assert not re.search("0x|/", said[name]), "a path or an address would differ on each machine"
    assert all(run.seconds > 0 for run in runs)


async def test_sqlite_in_memory_misses_nearly_all() -> None:
    runs = await run_suite(MEMORY)
    assert failed(runs, "Mistakes") == {"same_name_twice"}
    assert failed(runs, "SoundCode") == {
        *("age_of_an_order", "last_cent_taken_once", "log_outlives_rollback", "pool_of_ten", "search_in_jsonb")
    }


async def test_a_file_has_transactions_and_locks(tmp_path: Path) -> None:
    runs = await run_suite(f"{MEMORY}/{(tmp_path / 'suite.db').as_posix()}?timeout=0.2")
    assert failed(runs, "Mistakes") == {"same_name_twice", "worker_before_commit"}
    assert "pool_of_ten" not in failed(runs, "SoundCode")
    assert next(run.error for run in runs if run.name == "log_outlives_rollback") == "database is locked"


async def test_says_that_it_could_not_run() -> None:
    with pytest.raises(RuntimeError, match=r"could not run: .*Could not parse"):
        await run_suite("nonsense")


def test_pytest_runs_it_too() -> None:
    """The lesson says so, and the same tests have to fail."""
    assert portable_suite.__file__
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", portable_suite.__file__],
        env=os.environ | {"DATABASE_URL": MEMORY},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "6 failed, 11 passed" in done.stdout, done.stdout[-2000:] + done.stderr
