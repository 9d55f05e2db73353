"""The exercises of lesson 12: a database.py that passes review, three diagnoses, a skill that asks for all of it."""

import ast
import os
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import URL

from course_lib.exercises._complete_diagnoses import judge_idle_time, judge_password
from course_lib.exercises._complete_environments import judge_environments
from course_lib.exercises._complete_review import review
from course_lib.exercises._complete_skill import front_matter, what_it_asks
from course_lib.exercises.core import Case, NotAttempted, NotYet, exercise
from course_lib.exercises.lab import lab
from course_lib.exercises.limits import clock_stopped
from course_lib.review import RULES, Finding, Report
from course_lib.servers import find_postgres
from course_lib.work import WorkFolderError, find_work, read_work, show_work, template

__all__ = ["q1", "q2", "q3"]

# What the task asks for besides having no gap: a file without these parts has no gap in them either.
_PARTS = {
    "async-driver": "an async engine",
    "url-forms": "a URL from `DATABASE_URL`, in every form",
    "survives-restart": "an engine whose pool pings first",
    "recycles": "a pool that recycles its connections",
    "pool-bounded": "a bounded pool",
    "pool-arguments": "an SQLite default, so that it works when nothing is set",
    "tls-kept": "TLS where the URL asks for it",
    "echo-off": "an engine that echoes nothing by default",
    "session-closes": "`get_session`, an async generator that yields one session inside `async with`",
    "session-rolls-back": "`get_session`, an async generator that yields one session inside `async with`",
    "tables-created": "an async function that creates the tables, such as `create_db_and_tables`",
    "models-imported": "an import of the models",
    "one-engine": "one engine for all calls",
}
_LONGEST_PATH = 1_000  # characters
_LONGEST = 40_000  # characters; an assistant reads the whole skill for each task


def _text(given: Any, name: str) -> str:
    if given is ... or given is None:
        raise NotAttempted
    is_text = isinstance(given, str) and ("\n" in given or len(given) > _LONGEST_PATH)
    if is_text or not isinstance(given, str | os.PathLike):
        got = "the text itself" if is_text else f"an object of type `{type(given).__name__}`"
        raise NotYet(
            f"The check takes the file: what `work_file({name!r})` gives, or its path. It got {got}.",
            misconception="passes-no-file",
        )
    try:
        return read_work(given)
    except WorkFolderError as error:
        raise NotYet(str(error), misconception="no-such-file") from None
    except ValueError:  # a text with a zero byte is no path
        raise NotYet(
            f"That is no path. Pass what `work_file({name!r})` gives.", misconception="passes-no-file"
        ) from None


@exercise(
    "12.1",
    title="A database.py that passes review",
    hints=(
        "Mend one gap at a time, the first one first: the check names it, with what was observed. In a terminal, "
        "`course review work/database.py` shows all of them.",
        "The steps above are the parts: `Settings`, `get_async_database_url`, `make_engine`, `create_db_and_tables`, "
        "`get_session`, `lifespan`. Take them over, and look at what connects them: the imports at the top, and "
        "`engine = make_engine(Settings())` below `make_engine`.",
        "Still a gap? Read the lesson that the message names. The finished file is `course_lib/database.py`.",
    ),
    seconds=30,
)
async def q1(database_file: Any) -> str:
    """12.1: the learner's file goes through the review."""
    text = _text(database_file, "database.py")
    if _same_code(text, template("database.py")):
        raise NotAttempted
    path = find_work(database_file)
    find_postgres()  # without a server there is nothing to be observed: that is said, and is not the learner's fault
    with clock_stopped():  # the review has time limits of its own
        report = await review(path)
        if any(each.outcome == "cannot_tell" and each.rule.id in _PARTS for each in report.findings):
            report = await review(path)  # on a busy machine a server may have been late
    return _judge(report, show_work(path))


def _judge(report: Report, name: str) -> str:
    if not report.ran:
        raise NotYet(
            f"The review could not run {name}. {report.reason}",
            misconception="cannot-run",
            case=Case(f"course review {name}", "a file that can be imported", "one that can't"),
        )
    found = {finding.rule.id: finding for finding in report.findings}
    short = [
        finding
        for rule in RULES
        if (finding := found[rule.id]).outcome == "gap" or (rule.id in _PARTS and finding.outcome != "ok")
    ]
    if not short:
        _judge_default(found["pool-arguments"], name)
        kept = sum(finding.outcome == "ok" for finding in report.findings)
        return f"{kept} of the review's {len(RULES)} rules apply to {name}, and it keeps them all."
    first, more = short[0], len(short) - 1
    rule = first.rule
    observed = first.observed
    if first.outcome == "not_applicable":
        observed = f"The file has to hold {_PARTS[rule.id]}, and the review found none. {observed}".strip()
    elif first.outcome == "cannot_tell":
        observed = f"The review could not observe it. {observed}"
    rest = f"\n\n{more} more to mend after this one." if more else ""
    raise NotYet(
        f"{rule.title}: not yet (rule `{rule.id}`). {rule.why}\n\n{rule.mend}\n\nRead lesson {rule.lesson[:2]}.{rest}",
        misconception=rule.id,
        case=Case(f"course review {name}", rule.title, observed),
    )


def _judge_default(finding: Finding, name: str) -> None:
    """The review takes a file that demands its URL, or has another default; the task asks for SQLite."""
    if "no default" not in finding.observed and "PostgreSQL" not in finding.observed:
        return
    raise NotYet(
        "The review finds no gap. This exercise asks for one thing more: with nothing set, the engine uses an SQLite "
        "file, so that whoever has just cloned the project can start it.",
        misconception="no-sqlite-default",
        case=Case(f"course review {name}", _PARTS["pool-arguments"], finding.observed),
    )


def _same_code(text: str, other: str) -> bool:
    """Whether two files hold the same code, apart from layout and comments."""
    try:
        return ast.dump(ast.parse(text)) == ast.dump(ast.parse(other))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


@exercise(
    "12.2",
    title="Diagnose three broken configurations",
    hints=(
        "Read each error above as a question. Which password did the server see? Which environment did the author have "
        "in mind? Who knew that the connection was gone?",
        "1: `make_url(database_url).set(drivername=…)` is an object; keep it one. 2: look at `APP_ENV` first, then at "
        "`DATABASE_URL`. 3: one setting for hosts that say goodbye (lesson 04), another for those that don't.",
        "1: `create_async_engine(make_url(database_url).set(drivername='postgresql+asyncpg'))`. 2: for `test`, "
        "`create_async_engine('sqlite+aiosqlite://')` and no pool options; for `production`, "
        "`environ['DATABASE_URL']`, which raises if it is missing. 3: `pool_pre_ping=True, pool_recycle=240`.",
    ),
    seconds=30,
)
async def q2(
    shop_engine: Callable[[str], Any],
    engine_for: Callable[[Mapping[str, str]], Any],
    managed_engine: Callable[[URL], Any],
) -> None:
    """12.2: each of the three is run in the situation in which it failed."""
    async with lab() as box:
        await judge_password(shop_engine, box)
        await judge_environments(engine_for, box)
        await judge_idle_time(managed_engine, box)


@exercise(
    "12.3",
    title="A skill that asks for all of it",
    hints=(
        "Print the review's rules: `for rule in RULES: print(rule.title)`. Which of them would somebody who reads only "
        "your skill not keep?",
        "One bullet for each rule is enough. Name the setting and its value, or what has to hold. Prohibitions "
        "count as "
        "well: `Never echo statements`.",
        "The rules' own words pass: `rule.title` and `rule.mend`. Say what they mean for your services instead, where "
        "you can.",
    ),
    seconds=10,
)
async def q3(skill_file: Any) -> str:
    """12.3: the text is read for what it asks, rule by rule."""
    name = "relational-db-agent/SKILL.md"
    text = _text(skill_file, name)
    if " ".join(text.split()) == " ".join(template(name).split()):
        raise NotAttempted
    _judge_front(text)
    asked = what_it_asks(text)
    contrary = next((rule for rule in RULES if asked[rule.id].how == "contrary"), None)
    if contrary is not None:
        raise NotYet(
            f"One line asks for the opposite of what the review looks for: {contrary.title} (rule `{contrary.id}`). "
            f"{contrary.why} An assistant that reads it may follow it, whatever else stands there. Read lesson "
            f"{contrary.lesson[:2]}.",
            misconception=contrary.id,
            case=Case("your skill", contrary.mend, asked[contrary.id].shown[:200]),
        )
    missing = [rule for rule in RULES if asked[rule.id].how == "no"]
    if missing:
        first, others = missing[0], missing[1:]
        rest = f"\n\nAlso missing: {', '.join(f'`{rule.id}`' for rule in others[:3])}" if others else ""
        rest += f", and {len(others) - 3} more." if len(others) > 3 else "." if others else ""
        raise NotYet(
            f"An assistant that reads only this skill is not asked for this: {first.title} (rule `{first.id}`). "
            f"{first.why} Say it in your words, with the setting and its value. Read lesson {first.lesson[:2]}.{rest}",
            misconception=first.id,
            case=Case("your skill", first.mend, "nothing that asks for it"),
        )
    return f"It asks for what all {len(RULES)} rules of the review look at."


def _judge_front(text: str) -> None:
    if len(text) > _LONGEST:
        raise NotYet(
            f"The skill has {len(text):,} characters, and an assistant reads all of it each time. Keep it below "
            f"{_LONGEST:,}, and put examples into files beside it.",
            misconception="too-long",
        )
    fields = front_matter(text)
    if not fields.get("description") or fields.get("name") != "relational-db-agent":
        raise NotYet(
            "The file has to begin as it did: a line `---`, `name: relational-db-agent`, a `description:`, and a line "
            "`---`. An assistant decides by these two lines whether to read the rest.",
            misconception="no-front-matter",
        )
