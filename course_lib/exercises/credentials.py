"""Checks of lesson 08: read, rotate, mask and limit credentials. Each one runs what the learner wrote."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import URL

from course_lib.exercises._credentials_grants import judge_grants
from course_lib.exercises._credentials_logs import judge_handler
from course_lib.exercises._credentials_settings import judge_read_url
from course_lib.exercises._credentials_urls import judge_aws_url, judge_file_url
from course_lib.exercises.core import exercise


@exercise(
    "08.1",
    title="Take the URL out of the code",
    hints=(
        "A class that derives from `BaseSettings`, with one field `database_url: SecretStr` and no default, reads the "
        "environment first. Make it inside the function, so that each call reads afresh.",
        "The path of the file is passed when the object is made: `YourSettings(_env_file=env_file)`. The file holds "
        'other variables: `model_config = SettingsConfigDict(extra="ignore")`.',
        "If nothing is found, pydantic's error is a `ValueError`. Its text names the field, which is enough; or catch "
        "it and raise one of your own, with `from None`.",
    ),
)
async def q1(read_database_url: Callable[[str], SecretStr]) -> None:
    """Environment, file, both and neither, each with a new URL."""
    await judge_read_url(read_database_url)


@exercise(
    "08.2",
    title="Build a URL from an AWS secret",
    hints=(
        "`client.get_secret_value(SecretId=secret_id)` gives a dict, and its `SecretString` is JSON.",
        "Passwords hold any character. `URL.create` takes each part as it is; text that is put together does not.",
        "The driver is `postgresql+asyncpg`. The parts are called `username`, `password`, `host`, `port` and `dbname` "
        "in the secret, and `database` instead of `dbname` in `URL.create`.",
    ),
    seconds=15,
)
async def q2(database_url: Callable[[Any, str], str | URL]) -> None:
    """Secrets with difficult passwords on moto's server, rotated between the calls."""
    await judge_aws_url(database_url)


@exercise(
    "08.3",
    title="Build a URL from mounted files",
    hints=(
        "A small function inside yours reads one file: `(folder / name).read_text()`.",
        '`.removesuffix("\\n")` takes off one line break. `.strip()` takes off spaces too, which a password may have.',
        "`read_text` raises `FileNotFoundError`, whose text has the whole path. Let it through, or raise your own with "
        "the folder and the name in it.",
    ),
)
async def q3(url_from_files: Callable[[Path], str | URL]) -> None:
    """Folders as Kubernetes mounts them, swapped between the calls, then with a file missing."""
    await judge_file_url(url_from_files)


@exercise(
    "08.4",
    title="Mask what a handler writes",
    hints=(
        "The handler's formatter makes the finished text, with the traceback. Put a formatter of your own around the "
        "one that is there: `handler.formatter`, or `logging.Formatter()` if that is None.",
        "In its `format(record)`, call the inner formatter's `format(record)`, and change the text that it returns. "
        "The record stays untouched. Replace the longest secrets first.",
        r"For URLs: `re.sub` with a pattern that remembers `scheme://user:` in a group, takes all up to the `@` that "
        r"is neither space nor `@`, and puts `\1***@` there. The scheme may hold letters, digits, `+`, `-` and `.`.",
    ),
)
async def q4(protect_handler: Callable[[logging.Handler, list[str]], None]) -> None:
    """Lines with secrets in every place, through the handler and beside it."""
    await judge_handler(protect_handler)


@exercise(
    "08.5",
    title="Grant three roles what they need",
    hints=(
        "Three kinds of objects need rights: the schema, its tables, and the sequences behind `serial` columns. Name "
        "the rights; `ALL` has more than you want.",
        "`GRANT … ON ALL TABLES IN SCHEMA …` is for what exists. `ALTER DEFAULT PRIVILEGES IN SCHEMA … GRANT … ON "
        "TABLES TO …` is for what the owner makes later. You need both, for tables and for sequences.",
        "Seven statements: `USAGE` on the schema for both roles; then for the application the four rights on tables "
        "and `USAGE` on sequences, and for the reader `SELECT` on tables, each of them for now and for later.",
    ),
    seconds=20,
)
async def q5(grants: Callable[[str, str, str], list[str]]) -> None:
    """Each role tries what it may and what it may not, on a real server."""
    await judge_grants(grants)
