"""What lesson 08's check of settings tries: environment, file, both and neither, and what comes out besides."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from course_lib._secret_sources import SettingsError
from course_lib.exercises._credentials_watch import invented, prints_the_secret, watched_output
from course_lib.exercises.core import AnswerError, Case, NotYet, ask
from course_lib.exercises.tracebacks import one_line

NAME = "DATABASE_URL"


@contextlib.contextmanager
def _environment(value: str | None) -> Iterator[None]:
    """The process's environment with this DATABASE_URL, and as it was afterwards."""
    before = dict(os.environ)
    for name in before:
        if name.upper() == NAME:
            del os.environ[name]
    if value is not None:
        os.environ[NAME] = value
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


@dataclass
class _Call:
    """One call of the answer: what was where, and what came of it."""

    title: str
    environment: str | None
    file: str | None
    got: object = None
    error: Exception | None = None
    printed: bool = False
    environment_after: str | None = None
    tokens: list[str] = field(default_factory=list)

    @property
    def value(self) -> object:
        return self.got.get_secret_value() if isinstance(self.got, SecretStr) else self.got


def _url() -> str:
    # With an "=" in it, as the options of a URL have one.
    return f"postgresql://app:{invented()}@db.internal/shop?sslmode=verify-full"


def _secret_part(url: str | None) -> str:
    return (make_url(url).password or "") if url else ""


def _write(path: Path, url: str | None) -> list[str]:
    """Write a `.env` file with the URL, if there is one, among other variables; return the secrets of those."""
    if url is None:
        path.unlink(missing_ok=True)
        return []
    token = invented("example-token")
    line = f'export {NAME}="{url}"\n' if url else ""
    path.write_text(f"API_TOKEN='{token}'\n# the database\n{line}WORKERS=2\n", encoding="utf-8")
    return [token]


async def _called(
    read: Callable[[str], Any], path: Path, title: str, *, environment: str | None, file: str | None
) -> _Call:
    call = _Call(title, environment, file)
    call.tokens += _write(path, file)
    with _environment(environment), watched_output() as printed:
        try:
            call.got = await ask(read, str(path), given=title)
        except NotYet:
            raise
        except Exception as error:
            call.error = error
        call.environment_after = os.environ.get(NAME)
    known = [_secret_part(environment), _secret_part(file), *call.tokens]
    call.printed = any(secret in printed for secret in known if secret)
    return call


async def judge_read_url(read: Callable[[str], Any]) -> None:
    """08.1: is the URL read from the right place at each call, kept secret, and required?

    Raises:
        NotYet: with the most specific reason.
        Exception: what the answer raised where it should not, if that is no known misunderstanding.
    """
    cases: list[tuple[str, str | None, str | None]] = [
        (f"{NAME} in the environment, no file", _url(), None),
        (f"{NAME} in the environment and in the file", _url(), _url()),
        (f"{NAME} in the file only", None, _url()),
        (f"{NAME} in the file only, which has changed", None, _url()),
        (f"{NAME} nowhere, no file", None, None),
        (f"{NAME} nowhere, a file with other variables", None, ""),
    ]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder, "settings.env")  # one path, as a program has: what is kept for a path has to be seen
        calls = [
            await _called(read, path, title, environment=environment, file=file) for title, environment, file in cases
        ]
    _judge_values(calls)
    if any(call.printed for call in calls):
        raise prints_the_secret()
    plain = next((call for call in calls if isinstance(call.got, str)), None)
    if plain:
        raise NotYet(
            "The URL comes back as plain text, which any `print`, log line or notebook shows. Return a `SecretStr`: it "
            "shows stars, and opens only with `get_secret_value()`.",
            misconception="returns-plain-text",
            case=Case(plain.title, "a SecretStr", "text (str)"),
        )
    for call in calls[:4]:
        if not isinstance(call.got, SecretStr):
            raise NotYet(
                f"Return a `SecretStr` with the URL in it, not {type(call.got).__name__}.",
                misconception="returns-no-secret",
                case=Case(call.title, "a SecretStr", type(call.got).__name__),
            )
    for call in calls[2:]:
        if call.environment_after is not None:
            raise NotYet(
                "The function copied the file into the environment of this process (`load_dotenv` does that). There it "
                "overrules later files, and every child process inherits it. Read the file without that: "
                "`dotenv_values`, or a settings class.",
                misconception="fills-the-environment",
            )
    _judge_missing(calls[4:])


def _judge_values(calls: list[_Call]) -> None:
    in_environment, both, in_file, in_other_file, nowhere, elsewhere = calls
    given = {value for call in calls for value in (call.environment, call.file) if value}
    values = [call.value for call in calls]
    made_up = [value for value in values if isinstance(value, str) and value and value not in given]
    if made_up and len(set(made_up)) == 1 and "://" in made_up[0] and not set(made_up) - set(values[4:]):
        constant = all(value == made_up[0] for value in values)
        if not constant and not _holds_a_password(made_up[0]):
            raise NotYet(
                f"Where {NAME} is not set, a URL from the code comes back. It holds no password, and still a wrong "
                "deployment would talk to another database without a word. Have no default.",
                misconception="goes-on-without-it",
                case=Case(nowhere.title, f"an exception that names {NAME}", "a URL"),
            )
        raise NotYet(
            "The URL is still in the code: it comes back whatever the environment and the file say."
            if constant
            else f"Where {NAME} is not set, a URL from the code comes back. A default with a password in it is a "
            "password in the code, and a wrong deployment would use it without a word. Have no default.",
            misconception="still-in-the-code" if constant else "default-holds-the-secret",
            case=Case(nowhere.title, f"an exception that names {NAME}", "a URL"),
        )
    for call, wanted in ((in_environment, in_environment.environment), (both, both.environment)):
        if call.error:
            _judge_error(call)
        if call is both and call.value == both.file:
            raise NotYet(
                "The file overrules the environment. A deployment sets the environment, and a `.env` that was left "
                "lying about must not win against it: ask the environment first.",
                misconception="wrong-precedence",
                case=Case(call.title, "the URL of the environment", "the URL of the file"),
            )
        _judge_value(call, wanted, calls)
    for call in (in_file, in_other_file):
        if call.error:
            _judge_error(call)
        _judge_value(call, call.file, calls)
    for call in (nowhere, elsewhere):
        if call.error is None and isinstance(call.value, str) and call.value in given:
            raise _keeps_the_first(call)


def _holds_a_password(url: str) -> bool:
    try:
        return bool(make_url(url).password)
    except (ArgumentError, ValueError):
        return True  # not a URL, so it may be anything


def _judge_value(call: _Call, wanted: str | None, calls: list[_Call]) -> None:
    value = call.value
    if value == wanted and type(value) is str:
        return
    others = {each for other in calls for each in (other.environment, other.file) if each}
    if isinstance(value, str) and value in others:
        raise _keeps_the_first(call)
    if isinstance(value, str) and value.strip(" '\"") == wanted:
        raise NotYet(
            'The file says `export DATABASE_URL="…"`, and the quotes came along with the value. A `.env` file has a '
            "syntax of its own: let python-dotenv or pydantic-settings read it.",
            misconception="keeps-the-quotes",
        )
    if call.environment is None and (value is None or value == ""):
        raise _misses_the_file(call)
    if isinstance(value, str) and wanted and len(value) > 10 and wanted.startswith(value.strip("'\"")):
        raise NotYet(
            "The end of the value is missing: it holds an `=`, as a URL with options does. Split the line at its first "
            "`=` only, or let python-dotenv read it.",
            misconception="cuts-the-value",
        )
    if isinstance(value, str) and value and set(value) <= {"*"}:
        raise NotYet(
            "A `SecretStr` was turned into text and gave stars. Return the `SecretStr` itself.",
            misconception="returns-stars",
        )
    raise NotYet(
        f"The function returned something else than the value of {NAME}.",
        misconception="another-value",
        case=Case(call.title, "the URL", f"{type(call.got).__name__}"),
    )


def _judge_error(call: _Call) -> None:
    """Name what an exception means where a URL was expected; raise it if it means nothing known."""
    assert call.error is not None
    error: BaseException = call.error.__cause__ or call.error if isinstance(call.error, AnswerError) else call.error
    chain = [error, error.__cause__, error.__context__]
    if any(
        isinstance(each, ValidationError) and any(one["type"] == "extra_forbidden" for one in each.errors())
        for each in chain
    ):
        raise NotYet(
            "The file also holds variables of other programs, and the settings class refuses them. Its error even "
            'shows their values. Set `extra="ignore"` in `model_config`.',
            misconception="refuses-other-variables",
        )
    if call.environment is not None and call.file is None and isinstance(error, OSError | SettingsError):
        raise NotYet(
            "Without a `.env` file the function fails, although the environment has the URL. In production there is no "
            "such file.",
            misconception="needs-the-file",
        )
    if call.environment is None and NAME.lower() in str(error).lower():
        raise _misses_the_file(call)
    raise call.error


def _misses_the_file(call: _Call) -> NotYet:
    return NotYet(
        "The URL stands in the file whose path is passed, and it was not found. The line begins with `export` and the "
        "value is in quotes, as such files may have it.",
        misconception="does-not-read-the-file",
        case=Case(call.title, "the URL of the file", one_line(call.error) if call.error else "nothing"),
    )


def _keeps_the_first(call: _Call) -> NotYet:
    return NotYet(
        "The URL of an earlier call came back. It was kept, in a global, a cache or the environment, and the settings "
        "have changed since. Read them in each call.",
        misconception="keeps-the-first",
        case=Case(call.title, "what is there now", "the URL of an earlier call"),
    )


def _judge_missing(calls: list[_Call]) -> None:
    for call in calls:
        if call.error is None:
            raise NotYet(
                f"{NAME} is nowhere, and the function returned all the same. The engine would fail much later, with "
                f"another error. Raise an exception that names {NAME}.",
                misconception="goes-on-without-it",
                case=Case(call.title, f"an exception that names {NAME}", type(call.got).__name__),
            )
        error = call.error.__cause__ or call.error if isinstance(call.error, AnswerError) else call.error
        said = f"{error} {error!r}"
        if any(token in said for token in call.tokens):
            raise NotYet(
                "The exception repeats the value of another variable in the file, which is a secret too. Set "
                '`extra="ignore"` and `hide_input_in_errors=True` in `model_config`, or raise one of your own.',
                misconception="error-shows-values",
            )
        if NAME.lower() not in said.lower():
            raise NotYet(
                f"The exception does not say what is missing. Its message needs the name {NAME}.",
                misconception="error-without-the-name",
                case=Case(call.title, f"an exception that names {NAME}", one_line(error)),
            )
