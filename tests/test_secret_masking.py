"""Does a masking handler write no secret, and do other handlers get the record as it was?"""

import io
import json
import logging
import string
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import URL

from course_lib import masking
from course_lib.masking import MaskingFormatter, mask_text, protect, remember
from course_lib.settings import DatabaseSettings, SettingsError

# Nothing else in a log looks like these: a marker that stands nowhere, then any characters at all.
MARKER = "zQ7xw"
ANY = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
PASSWORDS = st.text(ANY, max_size=20).map(lambda tail: MARKER + tail + MARKER[::-1])
PATIENT = settings(deadline=None)  # the machine may be busy
PLAIN = st.text(string.ascii_letters + string.digits, min_size=8, max_size=20).map(lambda word: MARKER + word)


@pytest.fixture(autouse=True, scope="module")
def nothing_known() -> Iterator[None]:
    """Other tests of this process have read passwords, some of them ordinary words."""
    before = masking._known
    masking._known = masking._Known()
    yield
    masking._known = before


class Written:
    """A logger of its own with a protected handler and a plain one, and what each wrote."""

    def __init__(self) -> None:
        self.masked, self.plain = io.StringIO(), io.StringIO()
        self.logger = logging.getLogger("course.test.masking")
        self.logger.handlers = [logging.StreamHandler(self.masked), logging.StreamHandler(self.plain)]
        self.logger.propagate = False
        protect(self.logger.handlers[0])


@pytest.fixture
def written() -> Iterator[Written]:
    made = Written()
    yield made
    made.logger.handlers = []


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("no URL, no secret", "no URL, no secret"),
        ("to postgresql://app:pw@h:5432/d now", "to postgresql://app:***@h:5432/d now"),
        ("two: redis://:pw@h/0, amqp://u:pw@h", "two: redis://:***@h/0, amqp://u:***@h"),
        ("'postgresql+asyncpg://app:p w@1@h/d'", "'postgresql+asyncpg://app:***@h/d'"),
        ("GET http://localhost:8000/health 200", "GET http://localhost:8000/health 200"),
        ("see https://example.org/a?b=c#d", "see https://example.org/a?b=c#d"),
        ("a://u:pw@h\nb://u:pw@h\n", "a://u:***@h\nb://u:***@h\n"),
        ("postgresql://h/d?password=pw&application_name=web x", "postgresql://h/d?password=***&application_name=web x"),
        ("", ""),
    ],
)
def test_urls_in_running_text(text: str, masked: str) -> None:
    assert mask_text(text) == masked


def test_the_record_stays_as_it_was(written: Written) -> None:
    remember("example-known-1")
    records: list[logging.LogRecord] = []
    written.logger.addFilter(lambda record: records.append(record) or True)
    try:
        raise ValueError("example-known-1")
    except ValueError:
        written.logger.exception("with %s and %s", "example-known-1", "a://u:pw@h", stack_info=True)
    finally:
        written.logger.filters.clear()
    assert "example-known-1" not in written.masked.getvalue() and "pw@" not in written.masked.getvalue()
    assert "ValueError: ***" in written.masked.getvalue()
    assert "ValueError: example-known-1" in written.plain.getvalue()
    assert "with example-known-1 and a://u:pw@h" in written.plain.getvalue()
    assert records[0].args == ("example-known-1", "a://u:pw@h") and records[0].msg == "with %s and %s"


def test_the_traceback_of_another_handler_is_masked_too() -> None:
    """A formatter caches its traceback in the record, and the plain handler's must not get through."""
    first, second = io.StringIO(), io.StringIO()
    logger = logging.getLogger("course.test.masking.order")
    logger.propagate = False
    logger.handlers = [logging.StreamHandler(first), logging.StreamHandler(second)]
    protect(logger.handlers[1], SecretStr("example-known-2"))
    try:
        raise ValueError("example-known-2")
    except ValueError:
        logger.exception("failed")
    logger.handlers = []
    assert "example-known-2" in first.getvalue() and "example-known-2" not in second.getvalue()


def test_protect_keeps_the_format_and_works_once() -> None:
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(logging.Formatter("[%(levelname)s] %(message)s"))
    protect(handler, "example-known-3", "")
    protect(handler)
    assert isinstance(handler.formatter, MaskingFormatter)
    assert not isinstance(handler.formatter.inner, MaskingFormatter)
    record = logging.LogRecord("n", logging.INFO, "f", 1, "it is %s", ("example-known-3",), None)
    assert handler.format(record) == "[INFO] it is ***"


def test_many_secrets_are_remembered_and_not_all() -> None:
    for number in range(300):
        remember(f"example-rotated-{number:03}")
    assert mask_text("example-rotated-299 example-rotated-250") == "*** ***"
    assert mask_text("example-rotated-000") == "example-rotated-000"


# --- whatever the password is ------------------------------------------------------------------------------------


@PATIENT
@given(PASSWORDS)
@example(MARKER + "'\"\\\n%41 +" + MARKER)
@example(MARKER + "é\u2028\x85😀" + MARKER)
def test_a_known_secret_is_masked_however_it_is_written(password: str) -> None:
    remember(password)
    url = URL.create("postgresql+asyncpg", "app", password, "h", 5432, "d")
    ways = [
        password,
        repr(password),
        ascii(password),
        repr({"password": password}),
        repr(repr(password)),
        json.dumps(password),
        json.dumps([password], ensure_ascii=False),
        quote(password, safe=""),
        url.render_as_string(hide_password=False),
        repr(url.render_as_string(hide_password=False)),
        f"postgresql://app:{password}@h/d",
    ]
    for way in ways:
        assert MARKER not in mask_text(f"before {way} behind"), way


@PATIENT
@given(PASSWORDS)
@example(MARKER + " +" + MARKER)
def test_the_password_of_an_unknown_url_is_masked(password: str) -> None:
    url = URL.create("postgresql+asyncpg", "app", password, "h", 5432, "d").render_as_string(hide_password=False)
    raw = f"postgresql://app:{quote(password, safe='')}@h/d"
    masked = mask_text(f"before {url} behind, {raw}")
    assert MARKER not in masked and masked.startswith("before postgresql+asyncpg://app:***")


@PATIENT
@given(PASSWORDS)
def test_settings_show_no_password(password: str) -> None:
    address = URL.create("postgresql", "app", password, "h", 5432, "d").render_as_string(hide_password=False)
    logged = Written()
    for make in (
        lambda: DatabaseSettings(env_file=None, database_url=address),
        lambda: DatabaseSettings(
            env_file=None, database_host="h", database_name="d", database_user="u", database_password=password
        ),
        lambda: DatabaseSettings(
            env_file=None, database_url="postgresql://u@h/d", secret=lambda: json.dumps({"password": password})
        ),
    ):
        try:
            read = make()
        except SettingsError as error:  # some characters can't stand in a URL, and that is said
            assert MARKER not in str(error) + repr(error)
            logged.logger.exception("refused")
        else:
            assert read.url.password == password
            assert MARKER not in repr(read) + str(read.url) + read.model_dump_json()
            logged.logger.info("%s %r", tuple(read.url), read)
    assert MARKER not in logged.masked.getvalue()


@PATIENT
@given(
    PASSWORDS,
    st.sampled_from(
        [
            "database_url",
            "database_host",
            "database_port",
            "database_name",
            "database_user",
            "database_sslmode",
            "database_sslrootcert",
            "database_pool_size",
            "database_pool_timeout",
        ]
    ),
    st.sampled_from(["{}", "postgresql://{}", "postgresql://app:{}", "postgresql://app:{}@h:x/d", "x{}://u@h/d"]),
)
def test_a_password_in_the_wrong_place_is_not_repeated(password: str, name: str, shape: str) -> None:
    """Whatever variable got the password by mistake, the error does not say it."""
    try:
        read = DatabaseSettings(**{"env_file": None, name: shape.format(password)})
    except SettingsError as error:
        assert MARKER not in str(error) + repr(error)
    else:
        assert MARKER not in repr(read)


@PATIENT
@given(PASSWORDS, st.sampled_from(["{{{}", '{{"a": {}}}', '{{"password": "{}', "[{}]", '{{"port": "{}"}}', "x://{}"]))
def test_a_malformed_secret_is_not_repeated(password: str, shape: str) -> None:
    try:
        read = DatabaseSettings(env_file=None, database_url="postgresql://u@h/d", secret=lambda: shape.format(password))
    except SettingsError as error:
        assert MARKER not in str(error) + repr(error)
    else:
        assert MARKER not in repr(read) + str(read.url)


@PATIENT
@given(content=st.binary(max_size=60).map(lambda tail: f"DATABASE_PASSWORD={MARKER}".encode() + tail))
@example(content=f"DATABASE_PASSWORD '{MARKER}".encode())
@example(content=f"DATABASE_PORT={MARKER}".encode())
def test_a_malformed_dotenv_is_not_repeated(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.env"
    path.write_bytes(content)
    try:
        read = DatabaseSettings(env_file=path, database_url="postgresql://u@h/d")
    except SettingsError as error:
        assert MARKER not in str(error) + repr(error)
    else:
        assert MARKER not in repr(read) + str(read.url)


@PATIENT
@given(st.text(max_size=80))
def test_masking_never_raises(text: str) -> None:
    assert isinstance(mask_text(text), str)


@PATIENT
@given(PLAIN)
def test_one_secret_that_begins_with_another(password: str) -> None:
    remember(password, password + "-and-more")
    assert mask_text(f"{password}-and-more {password}") == "*** ***"
