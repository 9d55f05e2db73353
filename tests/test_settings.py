"""Does DatabaseSettings read each place, in its order, and say what is wrong without what it read?"""

import os
import ssl
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from course_lib.servers import PostgresServer
from course_lib.settings import DatabaseSettings, SettingsError

URL = "postgresql://app:example-pw@db.internal:5433/shop"
SECRET = "example-S3cret"


@pytest.fixture(autouse=True)
def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder without .env, and an environment without settings."""
    for name in os.environ:
        if name.upper().startswith(("DATABASE_", "PG")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(match: str, **arguments: object) -> str:
    """The error's text, after a look for the secret in all that the exception holds."""
    with pytest.raises(SettingsError, match=match) as caught:
        DatabaseSettings(**arguments)
    error = caught.value
    assert error.__context__ is None and error.__cause__ is None
    frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    ours = [frame for frame in frames if "course_lib" in frame.filename]
    assert ours and SECRET not in str(error) + "".join(str(frame.locals) for frame in ours)
    return str(error)


# --- the places, and their order ---------------------------------------------------------------------------------


def test_the_first_place_that_names_a_setting_counts(empty_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = empty_place / "mounted"
    mounted.mkdir()
    places: list[Callable[[], object]] = [
        lambda: None,
        lambda: (mounted / "database_host").write_text("from-file\n"),
        lambda: (empty_place / ".env").write_text("DATABASE_HOST=from-dotenv\n"),
        lambda: monkeypatch.setenv("DATABASE_HOST", "from-environment"),
    ]
    (mounted / "username").write_text("app")
    hosts = []
    for add in places:
        add()
        arguments = {"secrets_dir": mounted, "secret": lambda: '{"host": "from-secret", "dbname": "shop"}'}
        hosts.append(DatabaseSettings(**arguments).url.host)
    hosts.append(DatabaseSettings(**arguments, database_host="from-argument").url.host)
    assert hosts == ["from-secret", "from-file", "from-dotenv", "from-environment", "from-argument"]


def test_an_empty_variable_counts_as_absent(empty_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_place / ".env").write_text(f"DATABASE_URL={URL}\n")
    monkeypatch.setenv("DATABASE_URL", "")
    assert DatabaseSettings().url.host == "db.internal"


def test_a_named_env_file_has_to_exist_and_the_usual_one_does_not(empty_place: Path) -> None:
    assert "production.env can't be read" in refused("No such file", env_file="production.env")
    assert DatabaseSettings(database_url=URL).url.port == 5433
    (empty_place / ".env").write_text(f"DATABASE_URL={URL}\n")
    refused("no place names a database", env_file=None)


# --- what a .env file may look like ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "password"),
    [
        ("DATABASE_PASSWORD=example", "example"),
        ("export DATABASE_PASSWORD=example", "example"),
        ("DATABASE_PASSWORD = example  ", "example"),
        ('DATABASE_PASSWORD="exam ple#1"', "exam ple#1"),
        ("DATABASE_PASSWORD='exam\"ple'", 'exam"ple'),
        ("DATABASE_PASSWORD=exam#ple # a comment", "exam#ple"),
        ("DATABASE_PASSWORD='${HOME}example'", "${HOME}example"),
        ("database_password=example", "example"),
        ("# a comment\r\n\r\nDATABASE_PASSWORD=example\r\nOTHER=1\r\n", "example"),
        ("DATABASE_PASSWORD=exampleß€", "exampleß€"),
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "byte order mark"])
def test_dotenv_as_people_write_it(empty_place: Path, content: str, password: str, mark: str) -> None:
    (empty_place / ".env").write_bytes((mark + content).encode())
    settings = DatabaseSettings(database_host="h", database_name="d", database_user="u")
    assert settings.url.password == password


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (f"OTHER=1\nDATABASE_PASSWORD='{SECRET}".encode(), "line 2 can't be read"),
        (f"DATABASE_PASSWORD '{SECRET}'".encode(), "line 1 can't be read"),
        (f"DATABASE_PASSWORD={SECRET}".encode("utf-16"), "not text in UTF-8"),
        (f"DATABASE_PASSWORD={SECRET}\xe4".encode("latin-1"), "not text in UTF-8"),
        (f"DATABASE_PASSWORD={SECRET}\0".encode(), "not text in UTF-8"),
        (f"DATABASE_PASSWORD={SECRET}\n".encode() * 9999, "too large"),
    ],
)
def test_dotenv_that_cannot_be_read(empty_place: Path, content: bytes, match: str) -> None:
    (empty_place / ".env").write_bytes(content)
    refused(match, database_url=URL)


# --- mounted files -----------------------------------------------------------------------------------------------


def test_files_as_docker_and_kubernetes_mount_them(empty_place: Path) -> None:
    for name, value in {"username": "app", "password": " exam\nple \n", "host": "h\r\n", "dbname": "d"}.items():
        (empty_place / name).write_bytes(value.encode())
    url = DatabaseSettings(secrets_dir=empty_place).url
    assert (url.username, url.password, url.host, url.database) == ("app", " exam\nple ", "h", "d")


def test_files_come_from_one_version_of_a_kubernetes_secret(empty_place: Path) -> None:
    for version in ("one", "two"):
        folder = empty_place / f"..{version}"
        folder.mkdir()
        for name in ("username", "password", "host", "dbname"):
            (folder / name).write_text(f"{version}-{name}")
    (empty_place / "..data").symlink_to("..one")
    for name in ("username", "password", "host", "dbname"):
        (empty_place / name).symlink_to(f"..data/{name}")
    assert DatabaseSettings(secrets_dir=empty_place).url.password == "one-password"
    (empty_place / "..new").symlink_to("..two")
    (empty_place / "..new").rename(empty_place / "..data")  # as the kubelet does
    url = DatabaseSettings(secrets_dir=empty_place).url
    assert {url.username, url.password, url.host, url.database} == {
        f"two-{name}" for name in ("username", "password", "host", "dbname")
    }


def test_a_swap_while_reading_gives_no_mixture(empty_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("one", "two"):
        (empty_place / f"..{version}").mkdir()
        for name in ("username", "password", "host", "dbname"):
            (empty_place / f"..{version}" / name).write_text(f"{version}-{name}")
    (empty_place / "..data").symlink_to("..one")
    read = Path.read_bytes

    def swap_first(path: Path) -> bytes:
        content = read(path)
        if (empty_place / "..one").exists():
            for each in (empty_place / "..one").iterdir():
                if each != path:
                    each.unlink()
            (empty_place / "..data").unlink()
            (empty_place / "..data").symlink_to("..two")
            path.unlink()
            (empty_place / "..one").rmdir()
        return content

    monkeypatch.setattr(Path, "read_bytes", swap_first)
    url = DatabaseSettings(secrets_dir=empty_place).url
    assert (url.username, url.password) == ("two-username", "two-password")


def test_mounted_files_that_cannot_be_used(empty_place: Path) -> None:
    folder = empty_place / "secrets"
    assert "Is it mounted?" in refused("No such file", secrets_dir=folder)
    folder.mkdir()
    (folder / "pasword").write_text(SECRET)
    refused("no file with a known name", secrets_dir=folder)
    (folder / "password").write_bytes(SECRET.encode() + b"\xff")
    refused("secrets/password is not text in UTF-8", secrets_dir=folder)
    (folder / "password").unlink()
    (folder / "password").mkdir()
    refused("secrets/password can't be read", secrets_dir=folder)
    refused("can't be read as a folder", secrets_dir=folder / "pasword")


# --- the text of one secret --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        (URL, "postgresql+asyncpg://app:example-pw@db.internal:5433/shop"),
        (f"\ufeff{URL}\r\n", "postgresql+asyncpg://app:example-pw@db.internal:5433/shop"),
        (
            '{"engine": "postgres", "username": "app", "password": "ex@mple", "host": "h", "port": 5433, '
            '"dbname": "shop", "dbInstanceIdentifier": "shop-1"}',
            "postgresql+asyncpg://app:ex%40mple@h:5433/shop",
        ),
        ('{"Url": "postgres://app:example@h/d?sslmode=require"}', "postgresql+asyncpg://app:example@h/d?ssl=require"),
    ],
)
def test_shapes_of_a_secret(secret: str, shown: str) -> None:
    assert DatabaseSettings(secret=lambda: secret).url.render_as_string(hide_password=False) == shown


def test_a_secret_that_is_a_password_completes_the_rest() -> None:
    settings = DatabaseSettings(database_url="postgresql://app@h/d", secret=lambda: "12345\n")
    assert settings.url.password == "12345"


@pytest.mark.parametrize(
    ("secret", "match"),
    [
        ("", "empty"),
        (" \n", "empty"),
        (f'{{"password": "{SECRET}"', "no valid JSON object"),
        (f"{{{SECRET}", "no valid JSON object"),
        (f'{{"pasword": "{SECRET}"}}', "without any known name"),
        (f'{{"password": ["{SECRET}"]}}', "password in the secret must be text"),
        ('{"password": null}', "password in the secret must be text"),
        ('{"password": true}', "password in the secret must be text"),
        ('{"password": ""}', "password in the secret must be text"),
        ("{" * 100_000, "no valid JSON object"),
        (f'{{"port": "{SECRET}", "password": "{SECRET}"}}', "DATABASE_PORT"),
        (f"mysql://app:{SECRET}@h/d", "not a database that this course converts"),
    ],
)
def test_a_secret_of_the_wrong_shape(secret: str, match: str) -> None:
    refused(match, secret=lambda: secret)


# --- what fits together ------------------------------------------------------------------------------------------


def test_url_and_parts_have_to_agree() -> None:
    assert DatabaseSettings(database_url=URL, database_password="example-pw", database_port=5433).url.port == 5433
    refused("DATABASE_PASSWORD name different", database_url=URL, database_password=SECRET)
    refused("DATABASE_NAME name different", database_url=URL, database_name="other")
    refused("DATABASE_SSLMODE name different", database_url=f"{URL}?sslmode=require", database_sslmode="verify-full")


def test_parts_are_missing() -> None:
    refused("DATABASE_NAME and DATABASE_USER are missing", database_host="h")
    refused("no place names a database", database_password=SECRET)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"database_port": SECRET}, "DATABASE_PORT: Input should be a valid integer"),
        ({"database_port": 0}, "greater than or equal to 1"),
        ({"database_sslmode": SECRET}, "DATABASE_SSLMODE: Input should be 'disable'"),
        ({"database_pool_size": SECRET}, "DATABASE_POOL_SIZE"),
        ({"database_pool_timeout": "nan"}, "DATABASE_POOL_TIMEOUT"),
        ({"database_url": f"postgresql://app:{SECRET}@h:x/d"}, "can't be read"),
        ({"database_url": SECRET}, "not a database URL"),
        ({"database_url": [SECRET]}, "DATABASE_URL"),
        ({"database_password": {"a": SECRET}}, "DATABASE_PASSWORD"),
        ({"database_url": f"postgresql://app:{SECRET}@h/d?password=other"}, "two passwords"),
        ({"database_host": f"app:{SECRET}@h", "database_name": "d", "database_user": "u"}, "no host name|no IPv6"),
    ],
)
def test_values_that_cannot_be_used(arguments: dict[str, object], match: str) -> None:
    said = refused(match, **{"database_url": None, **arguments})
    assert said.startswith("The database settings can't be used:\n- ")


def test_a_password_in_the_query_is_masked() -> None:
    url = DatabaseSettings(database_url=f"postgresql://h/d?user=app&password={SECRET}").url
    assert url.password == SECRET and SECRET not in str(url)


def test_nothing_shows_the_secret() -> None:
    settings = DatabaseSettings(database_url=f"postgresql://app:{SECRET}@h/d")
    for shown in (
        repr(settings),
        str(settings),
        settings.model_dump_json(),
        repr(settings.model_dump()),
        vars(settings),
    ):
        assert SECRET not in str(shown)
    assert SECRET not in repr(settings.url) + repr(settings.engine_options())
    assert settings.database_url == SecretStr(f"postgresql://app:{SECRET}@h/d")
    with pytest.raises(AttributeError, match="settings are read once") as caught:
        settings.database_url = SECRET  # type: ignore[assignment, misc]
    assert SECRET not in str(caught.value)


# --- pool and TLS ------------------------------------------------------------------------------------------------


def test_a_url_as_the_path_of_a_certificate_is_not_shown() -> None:
    path = f"postgresql://app:{SECRET}@db.internal/shop"
    refused("SSLROOTCERT holds a URL", database_url=URL, database_sslmode="verify-full", database_sslrootcert=path)


@pytest.mark.parametrize("given", [None, SECRET.encode(), {"password": SECRET}])
def test_a_function_that_gives_no_text(given: Any) -> None:
    refused(r"gave \w+\. It has to return text", database_url=URL, secret=lambda: given)


def test_engine_options() -> None:
    options = DatabaseSettings(database_url=URL, database_pool_size=2, database_max_overflow="0").engine_options()
    assert options["pool_size"] == 2 and options["max_overflow"] == 0 and options["hide_parameters"]
    assert options["connect_args"] == {}
    assert DatabaseSettings(database_url="sqlite:///app.db").engine_options() == {"hide_parameters": True}


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require"])
def test_modes_that_verify_nothing_stay_in_the_url(mode: str) -> None:
    settings = DatabaseSettings(database_url=URL, database_sslmode=mode)
    assert settings.url.query == {"ssl": mode} and settings.engine_options()["connect_args"] == {}
    refused("verifies nothing", database_url=URL, database_sslmode=mode, database_sslrootcert="ca.pem")


def test_verifying_modes_get_a_context(empty_place: Path) -> None:
    ca = empty_place / "ca.pem"
    trustme.CA().cert_pem.write_to_path(ca)
    for mode, checks in (("verify-ca", False), ("verify-full", True), (None, True)):
        settings = DatabaseSettings(database_url=URL, database_sslmode=mode, database_sslrootcert=ca)
        context = settings.engine_options()["connect_args"]["ssl"]
        assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname is checks
        assert len(context.get_ca_certs()) == 1
    system = DatabaseSettings(database_url=f"{URL}?sslmode=verify-full").engine_options()["connect_args"]["ssl"]
    assert system.check_hostname
    refused("verify-ca needs the file of the authority", database_url=URL, database_sslmode="verify-ca")
    refused("No such file", database_url=URL, database_sslrootcert=empty_place / "none.pem")
    (empty_place / "empty.pem").write_text("")
    refused("holds no certificate", database_url=URL, database_sslrootcert=empty_place / "empty.pem")
    (empty_place / "key.pem").write_text("-----BEGIN CERTIFICATE-----\nnot base64\n-----END CERTIFICATE-----\n")
    refused("holds a certificate that can't be read", database_url=URL, database_sslrootcert=empty_place / "key.pem")


async def test_one_object_opens_a_verified_connection() -> None:
    async with PostgresServer(tls=True) as server:
        address = server.url.set(host="localhost", drivername="postgresql").render_as_string(hide_password=False)
        settings = DatabaseSettings(database_url=address, database_sslrootcert=server.ca_file)
        engine = create_async_engine(settings.url, **settings.engine_options())
        try:
            async with engine.connect() as connection:
                question = text("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
                assert await connection.scalar(question) is True
        finally:
            await engine.dispose()
