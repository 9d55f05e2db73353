"""Exercise 12.3: does the check hear what a skill file asks for, in any words, and what it does not?"""

import more_words
import pytest
import skills
from likely_words import LIKELY

from course_lib.exercises._complete_skill import front_matter, what_it_asks
from course_lib.exercises._complete_wanted import WANTED
from course_lib.review import RULES
from course_lib.work import template

IDS = [rule.id for rule in RULES]


def missing(text: str) -> list[str]:
    return [rule for rule, asked in what_it_asks(text).items() if asked.how != "yes"]


def test_every_rule_of_the_review_is_looked_for() -> None:
    assert list(WANTED) == IDS
    assert all(list(parts) == IDS for parts, _ in skills.SKILLS.values())


@pytest.mark.parametrize("kind", skills.SKILLS)
def test_a_complete_skill_passes_in_any_words(kind: str) -> None:
    assert missing(skills.skill(kind)) == []


@pytest.mark.parametrize("kind", skills.SKILLS)
def test_each_rule_left_out_is_found(kind: str) -> None:
    """Is what is missing named, and nothing else?"""
    found = {rule: missing(skills.skill(kind, without=rule)) for rule in IDS}
    assert found == {rule: [rule] for rule in IDS}


def test_the_reviews_own_words_pass() -> None:
    """Whoever copies each rule's title and its mend has asked for all of it."""
    assert missing("\n".join(f"- {rule.title}. {rule.mend}" for rule in RULES)) == []


def test_the_starter_has_gaps() -> None:
    gaps = missing(template("relational-db-agent/SKILL.md"))
    assert len(gaps) >= 15 and "recycles" in gaps
    assert {"async-driver", "survives-restart", "no-credentials", "session-closes"}.isdisjoint(gaps)


@pytest.mark.parametrize(("rule", "said"), [(rule, said) for rule, each in LIKELY.items() for said in each])
def test_likely_words_are_understood(rule: str, said: str) -> None:
    asked = what_it_asks(f"- {said}")
    assert asked[rule].how == "yes"
    assert "contrary" not in {each.how for each in asked.values()}


ASKING = [
    ("survives-restart", "Never ship an engine without `pool_pre_ping=True`."),
    ("survives-restart", "Don't forget pool_pre_ping."),
    ("survives-restart", "pool_pre_ping must never be left out."),
    ("survives-restart", "pool_pre_ping isn't optional."),
    ("survives-restart", "Without pool_pre_ping the first request after a restart fails."),
    ("survives-restart", "Requests fail when pool_pre_ping is missing."),
    ("survives-restart", "Don’t rely on luck: set pool_pre_ping=True."),
    ("survives-restart", "Set `pool_pre_ping`, not a retry loop."),
    ("survives-restart", "Use pre-ping so that no request fails after a restart."),
    ("survives-restart", "Ping each connection before it is used."),
    ("recycles", "Recycle connections no later than 280 seconds after they were opened."),
    ("recycles", "`pool_recycle` below the host's idle time-out"),
    ("recycles", "Connections older than 4 minutes are replaced at checkout."),
    ("echo-off", "Never echo in production."),
    ("echo-off", "`echo` stays off unless a setting turns it on."),
    ("echo-off", "No statement logging."),
    ("echo-off", "Don't set echo=True."),
    ("echo-off", "Take echo from the settings; its default is False."),
    ("echo-off", "Reject any file with echo=True."),
    ("no-credentials", "Passwords must never stand in the code."),
    ("no-credentials", "Never hard-code a password."),
    ("no-credentials", "Read DATABASE_URL from the environment only; it has no default."),
    ("no-credentials", "Flag any password in the source."),
    ("session-commits", "The endpoint commits, explicitly."),
    ("session-commits", "get_session must not commit."),
    ("session-commits", "Don't auto-commit when the session ends."),
    ("session-after-commit", "Switch expire_on_commit off."),
    ("session-after-commit", "Objects must not expire on commit."),
    ("session-after-commit", "Never leave expire_on_commit on: set expire_on_commit=False."),
    ("tls-kept", "Never drop `sslmode` from the URL; asyncpg calls it `ssl`."),
    ("tls-kept", "The TLS mode of the URL is preserved."),
    ("tls-verified", "Never set verify_mode to CERT_NONE."),
    ("tls-verified", "Don't disable certificate verification."),
    ("pool-bounded", "max_overflow must not be -1; keep it at 5."),
    ("pool-bounded", "No unlimited overflow in the pool."),
    ("one-engine", "Don't create an engine per request."),
    ("one-engine", "Create the engine once, at module level."),
    ("no-connect-at-import", "Importing the module has no side effects."),
    ("no-connect-at-import", "Connect lazily."),
    ("pgbouncer-settings", "Don't use prepared statements with PgBouncer in transaction mode."),
    ("pgbouncer-settings", "Set statement_cache_size to 0 when a pooler stands in front."),
    ("models-imported", "Never create tables before the models are imported."),
    ("models-imported", "Don't call create_all until all models are imported."),
    ("disposed", "Never stop without disposing of the engine."),
    ("no-secrets-printed", "No password in any log line: log nothing of the URL."),
    ("no-secrets-printed", "Use SecretStr."),
    ("async-driver", "Use asyncpg instead of psycopg2."),
    ("async-driver", "No sync drivers."),
    ("pool-timeout", "No request waits for a free connection for more than 10 seconds."),
    ("pool-arguments", "Never pass pool_size to SQLite."),
    ("url-forms", "Whatever URL the host hands out, convert it: all of its forms have to work."),
    ("session-closes", "Never leave a session open after a request."),
    ("session-rolls-back", "If the endpoint raises, nothing is stored."),
    ("tables-created", "Create tables with `await conn.run_sync(SQLModel.metadata.create_all)`."),
]

NOT_ASKING = [
    ("survives-restart", "Don't set pool_pre_ping."),
    ("survives-restart", "Do not use `pool_pre_ping=True`, it is slow."),
    ("survives-restart", "pool_pre_ping=False"),
    ("survives-restart", "pool_pre_ping is not needed."),
    ("survives-restart", "pool_pre_ping is optional."),
    ("survives-restart", "There is no need for pre-ping."),
    ("survives-restart", "Leave out pool_pre_ping."),
    ("survives-restart", "You can skip pre-ping."),
    ("survives-restart", "Never, ever enable pool_pre_ping in this project."),
    ("survives-restart", "Restart the service after each change."),
    ("recycles", "Set pool_recycle=3600."),
    ("recycles", "Recycle connections after 30 minutes."),
    ("recycles", "Don't recycle connections after 240 s."),
    ("recycles", "pool_recycle=-1"),
    ("recycles", "Recycle paper."),
    ("echo-off", "Always set echo=True."),
    ("echo-off", "Log all SQL statements."),
    ("echo-off", "Never turn echo off."),
    ("echo-off", "Turn echo on."),
    ("no-credentials", "Put the password into a default, so that it runs at once."),
    ("no-credentials", "Read DATABASE_URL from the environment."),
    ("no-credentials", "Passwords are important."),
    ("session-commits", "get_session commits at the end."),
    ("session-commits", "What was not committed is rolled back when the session ends."),
    ("session-commits", "Objects of the session are readable after commit."),
    ("session-after-commit", "expire_on_commit=True"),
    ("session-after-commit", "Don't set expire_on_commit=False."),
    ("tls-kept", "Strip sslmode from the URL."),
    ("tls-kept", "Accept every form of URL, with sslmode too."),
    ("tls-kept", "Don't keep sslmode."),
    ("tls-verified", "Disable certificate verification."),
    ("tls-verified", "Set verify_mode=CERT_NONE."),
    ("tls-verified", "Verify the result."),
    ("pool-bounded", "Set max_overflow=-1."),
    ("pool-bounded", "The pool may be unlimited."),
    ("pool-bounded", "A pool keeps connections."),
    ("one-engine", "Make a new engine for each request."),
    ("one-engine", "Name the engine `engine`."),
    ("no-connect-at-import", "Connect when the module is imported."),
    ("pgbouncer-settings", "Keep prepared statements on behind PgBouncer."),
    ("pgbouncer-settings", "Use PgBouncer."),
    ("models-imported", "Don't import the models."),
    ("disposed", "Never dispose of the engine."),
    ("disposed", "There is no need to dispose of the engine."),
    ("no-secrets-printed", "Print the URL at start-up, so that everybody sees which database it is."),
    ("no-secrets-printed", "Never mask the password."),
    ("async-driver", "Use psycopg2."),
    ("async-driver", "Don't use an async driver."),
    ("async-driver", "Use `create_engine`."),
    ("pool-timeout", "pool_timeout=600"),
    ("pool-timeout", "Requests wait."),
    ("pool-arguments", "Set pool options."),
    ("url-forms", "The URL is postgresql+asyncpg://."),
    ("url-forms", "Don't convert the URL, whatever form it has."),
    ("session-closes", "Don't close the session."),
    ("session-rolls-back", "Never roll back after an error."),
    ("tables-created", "Create the tables."),
]


ASKING += more_words.ASKING
NOT_ASKING += more_words.NOT_ASKING


@pytest.mark.parametrize(("rule", "said"), ASKING, ids=[f"{rule}: {said}" for rule, said in ASKING])
def test_asks_for_it(rule: str, said: str) -> None:
    """Double negations, prohibitions, reasons and exceptions: is the demand in them heard?"""
    for text in (said, f"- {said}", f"Some words before.\n\n1. {said}\n"):
        assert what_it_asks(text)[rule].how == "yes", text


@pytest.mark.parametrize(("rule", "said"), NOT_ASKING, ids=[f"{rule}: {said}" for rule, said in NOT_ASKING])
def test_does_not_ask_for_it(rule: str, said: str) -> None:
    """A word alone is no demand, nor is its opposite."""
    for text in (said, f"- {said}", f"## Rules\n\n* {said}\n"):
        assert what_it_asks(text)[rule].how != "yes", text


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("survives-restart", "Never set pool_pre_ping."),
        ("survives-restart", "pool_pre_ping=False"),
        ("echo-off", "Always set echo=True."),
        ("tls-verified", "Set verify_mode to CERT_NONE."),
        ("session-after-commit", "Use expire_on_commit=True."),
        ("pool-bounded", "Set max_overflow=-1."),
        *more_words.CONTRARY,
    ],
)
def test_the_contrary_spoils_a_complete_skill(rule: str, said: str) -> None:
    """An assistant that reads both may do either."""
    asked = what_it_asks(skills.skill("terse bullets") + f"- {said}\n")
    assert asked[rule].how == "contrary" and asked[rule].shown == said
    assert [each for each in asked if asked[each].how != "yes"] == [rule]


@pytest.mark.parametrize(
    "said",
    [
        "Don't rely on pool_pre_ping alone: silent drops need pool_recycle.",
        "echo=True only in development.",
        "Never set pool_pre_ping with NullPool, it does nothing there.",
        "CERT_NONE means that nothing is verified.",
        "Is echo=True anywhere?",
        "Never skip pool_pre_ping.",
        "Print the URL masked, by render_as_string(hide_password=True).",
        "Don't strip sslmode: without it, TLS is gone.",
        "Keep passwords in a vault, never in code.",
        "Without engine.dispose() connections stay open.",
        "Never create an engine per request.",
        "Store the password in the environment.",
    ],
)
def test_an_exception_spoils_nothing(said: str) -> None:
    assert missing(skills.skill("terse bullets") + f"- {said}\n") == []


def test_contexts_that_forbid() -> None:
    """Headings, introductions, columns and comments turn what stands below them."""
    for text in (
        "## Never\n\n- echo statements\n",
        "Avoid:\n\n* echo=True\n",
        "- **Never:** echo=True\n",
        "- ❌ echo=True\n",
        "| Do | Don't |\n|---|---|\n| x | echo=True |\n",
        "## Wrong\n\n```python\nengine = create_async_engine(url, echo=True)\n```\n",
        "```python\nengine = create_async_engine(url, echo=True)  # never\n```\n",
        "## Never\n\n- Don't echo statements.\n",
    ):
        assert what_it_asks(text)["echo-off"].how == "yes", text
    for text in (
        "## Always\n\n- echo statements\n",
        "## Never\n\n- pool_pre_ping=True\n",
        "| Do | Don't |\n|---|---|\n| echo=True | x |\n",
        "## Right\n\n```python\nengine = create_async_engine(url, echo=True)\n```\n",
    ):
        for rule in ("echo-off", "survives-restart"):
            assert what_it_asks(text)[rule].how != "yes", text


def test_front_matter_is_read() -> None:
    folded = "---\nname: 'a-skill'\ndescription: >-\n  Two\n  lines.\n---\n# Title\n"
    assert front_matter(folded) == {"name": "a-skill", "description": "Two lines."}
    assert front_matter(folded.replace("\n", "\r\n"))["name"] == "a-skill"
    assert front_matter("# Title\n\n---\nname: x\n---\n") == {}


def test_odd_texts_are_read_in_time() -> None:
    """Nothing in a file makes the check fail, or wait."""
    for text in (
        "",
        "\n",
        "---\n",
        "```",
        "```python\nx",
        "|",
        "|||\n|-|\n|",
        "- " * 5_000,
        "never " * 20_000,
        "\x00é",
    ):
        assert set(what_it_asks(text)) == set(IDS)
