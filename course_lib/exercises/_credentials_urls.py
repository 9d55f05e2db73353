"""What lesson 08's checks of URLs from secrets try: moto's AWS and mounted folders, changed between the calls."""

import json
import logging
import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from course_lib.exercises._credentials_verdicts import SHOWN, Parts, judge_url
from course_lib.exercises._credentials_watch import Printed, invented, prints_the_secret, watched_output
from course_lib.exercises.core import AnswerError, Case, NotYet, ask
from course_lib.exercises.limits import clock_stopped
from course_lib.exercises.tracebacks import one_line

_client: Any = None


def _parts(password: str) -> Parts:
    return {
        "username": f"app_{secrets.token_hex(2)}",
        "password": password,
        "host": f"db-{secrets.token_hex(2)}.internal",
        "port": 20000 + secrets.randbelow(10000),
        "database": f"shop_{secrets.token_hex(2)}",
    }


def _passwords() -> list[str]:
    return [
        invented(),
        f"{invented()}@x/1",
        f"{invented()}%41",
        f"{invented()} +y",
        f"{invented()}:#?[]&=%",
        f"{invented()}'\"\\$",
        f" {invented()}  ",
    ]


def _aws() -> Any:
    """A boto3 client for Secrets Manager on a server in this process, which is started at the first use."""
    global _client
    import boto3  # type: ignore[import-untyped]
    from moto.server import ThreadedMotoServer

    if _client is None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        _client = boto3.client(
            "secretsmanager",
            endpoint_url=f"http://127.0.0.1:{server.get_host_and_port()[1]}",
            region_name="eu-west-1",
            aws_access_key_id="example",
            aws_secret_access_key="example",
        )
    return _client


async def judge_aws_url(database_url: Callable[[Any, str], Any]) -> None:
    """08.2: does the URL hold what AWS keeps under this name at the moment?

    Raises:
        NotYet: with the most specific reason.
    """
    with clock_stopped():
        client = _aws()
    names = [f"check/{secrets.token_hex(6)}" for _ in range(2)]
    earlier: list[Parts] = []
    results: list[tuple[object, Parts, list[Parts], str]] = []
    with watched_output() as printed:
        for number, password in enumerate(_passwords()):
            parts, one = _parts(password), number % 2
            stored = {SHOWN[key]: value for key, value in parts.items()}
            with clock_stopped():
                _store(client, names[one], json.dumps({"engine": "postgres", **stored}), new=number < len(names))
            given = f"database_url(client, {'ab'[one]!r})"
            got = await ask(database_url, client, names[one], given=given)
            results.append((got, parts, list(earlier), given))
            earlier.append(parts)
    for got, parts, before, given in results:
        judge_url(got, parts, before, given)
    _judge_printed(printed, earlier)


def _store(client: Any, name: str, value: str, *, new: bool) -> None:
    if new:
        client.create_secret(Name=name, SecretString=value)
    else:
        client.put_secret_value(SecretId=name, SecretString=value)


def _judge_printed(printed: Printed, used: list[Parts]) -> None:
    if any(parts["password"] in printed for parts in used):
        raise prints_the_secret()


# --- 08.3 --------------------------------------------------------------------------------------------------------


def _mount(folder: Path, parts: Parts, *, line_break: str) -> None:
    """Write the parts as a new version of a mounted secret, as Kubernetes does where links can be made."""
    version = Path(tempfile.mkdtemp(prefix="..", dir=folder))
    for key, value in parts.items():
        (version / SHOWN[key]).write_bytes(f"{value}{line_break}".encode())
    try:
        (folder / "..new").symlink_to(version.name)
        (folder / "..new").replace(folder / "..data")
        for name in SHOWN.values():
            if not (folder / name).is_symlink():
                (folder / name).symlink_to(f"..data/{name}")
    except OSError:  # Windows lets only some users make links
        for name in SHOWN.values():
            shutil.copy(version / name, folder / name)


async def judge_file_url(url_from_files: Callable[[Path], Any]) -> None:
    """08.3: does the URL hold what the files hold now, and is a missing file told?

    Raises:
        NotYet: with the most specific reason.
    """
    earlier: list[Parts] = []
    results: list[tuple[object, Parts, list[Parts], str]] = []
    endings = ["\n", "\n", "", "\n", "\n", "\n", "\n", ""]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place, watched_output() as printed:
        folder = Path(tempfile.mkdtemp(prefix="secret-", dir=place))
        for password, line_break in zip([*_passwords(), f"\t{invented()} "], endings, strict=True):
            parts = _parts(password)
            _mount(folder, parts, line_break=line_break)
            got = await ask(url_from_files, folder, given="url_from_files(folder)")
            results.append((got, parts, list(earlier), f"files that end with {line_break!r}"))
            earlier.append(parts)
    for got, parts, before, given in results:
        judge_url(got, parts, before, given)
    _judge_printed(printed, earlier)
    for missing in ("password", "host", "port", "username", "dbname"):
        await _judge_missing(url_from_files, missing)


def _folder_without(missing: str, parts: Parts, place: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="mounted-", dir=place))
    for key, value in parts.items():
        if SHOWN[key] != missing:
            (folder / SHOWN[key]).write_text(f"{value}\n")
    return folder


async def _judge_missing(url_from_files: Callable[[Path], Any], missing: str) -> None:
    given = f"a folder without the file {missing}"
    parts = _parts(invented())
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        folder = _folder_without(missing, parts, place)
        wanted = f"an exception that names {missing} and the folder"
        try:
            await ask(url_from_files, folder, given=given)
        except NotYet:
            raise
        except Exception as caught:
            error = caught.__cause__ or caught if isinstance(caught, AnswerError) else caught
        else:
            raise NotYet(
                "A file is missing, and the function returned a URL all the same. The login would fail later, with "
                "another error. Raise an exception that names the file and its folder.",
                misconception="goes-on-without-it",
                case=Case(given, wanted, "a URL"),
            )
        if isinstance(error, KeyError):
            told = missing in str(error) and folder.name in str(error)
            raise NotYet(
                (
                    "A `KeyError` shows its argument as a key, in quotes. Raise an exception of another kind, with the "
                    "same message."
                )
                if told
                else f"`{one_line(error)}` names neither the folder nor what to do. Raise an exception of another "
                "kind, whose message has the file's name and the folder's.",
                misconception="bare-key-error",
                case=Case(given, wanted, one_line(error)),
            )
        said = str(error)
        if parts["password"] in said:
            raise NotYet(
                "The exception's message holds the password. Name the file, not its content.",
                misconception="error-shows-values",
            )
        if missing not in said or folder.name not in said:
            raise NotYet(
                "The message does not say which file is missing, and in which folder. Whoever reads it at night needs "
                "both.",
                misconception="error-without-the-name",
                case=Case(given, wanted, type(error).__name__),
            )
