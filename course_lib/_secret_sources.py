"""Where settings are read from besides the environment: `.env`, mounted files, and the text of one secret.

Each gives a mapping of `DatabaseSettings`' fields. No error shows anything that was read, nor does it keep it: an
exception such as UnicodeDecodeError or JSONDecodeError carries the whole text, so it never leaves these functions.
"""

import json
import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream
from pydantic import SecretStr

__all__ = ["SettingsError", "fields_of_secret", "read_dotenv", "read_mounted"]

Fields = dict[str, str | SecretStr]

SECRET_FIELDS = ("database_url", "database_password")
# What the parts are called in secrets that others write: RDS in AWS Secrets Manager, CloudNativePG, servicebinding.io.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "database_url": ("database_url", "url", "uri"),
    "database_host": ("database_host", "host"),
    "database_port": ("database_port", "port"),
    "database_name": ("database_name", "dbname", "database"),
    "database_user": ("database_user", "username", "user"),
    "database_password": ("database_password", "password"),
    "database_sslmode": ("database_sslmode", "sslmode"),
}
_WELL_KNOWN = "username, password, host, port, dbname, url"
_LARGEST = 64 * 1024  # bytes: what AWS Secrets Manager holds at most, and more than any setting needs


class SettingsError(ValueError):
    """The database settings can't be used. The message says why and what to do, and holds no secret."""


def read_dotenv(path: Path) -> Fields:
    """Read the settings in a `.env` file; other variables in it are left alone.

    Quotes, `export`, spaces around `=`, comments and a byte order mark are understood. Unlike python-dotenv's
    default, `${NAME}` stays as it is: a password may hold it.

    Raises:
        SettingsError: the file can't be read, or one of its lines.
    """
    bindings = list(parse_stream(StringIO(_text_of(path, str(path)))))
    wrong = [str(each.original.line) for each in bindings if each.error]
    if wrong:
        raise SettingsError(
            f"{path}: line {', '.join(wrong)} can't be read. Write NAME=value, and put a value with spaces, # or "
            "quotes into single quotes."
        )
    found = {each.key.lower(): each.value for each in bindings if each.key and each.value}
    return _wrapped({name: found[name] for name in found if name.startswith("database_")})


def read_mounted(folder: Path) -> Fields:
    """Read a folder with one file for each setting, as Kubernetes and Docker mount secrets.

    Kubernetes swaps the symbolic link `..data` when a secret changes. The link is followed once, so that all values
    are of one version. One line break at the end of a file is not a part of the value.

    Raises:
        SettingsError: no folder, no file with a known name in it, or one that can't be read.
    """
    data = folder / "..data"
    for attempt in range(1, 4):
        version = data.resolve() if data.exists() else folder
        try:
            found = _files_in(version, folder)
        except SettingsError:
            # The old version is removed after a swap, perhaps while it was being read.
            if attempt == 3 or not data.exists() or data.resolve() == version:
                raise
        else:
            if not data.exists() or data.resolve() == version:
                break
    if not found:
        raise SettingsError(
            f"{folder} holds no file with a known name. Name the files as the settings ({_WELL_KNOWN}), with the "
            "value alone in each."
        )
    return _wrapped(found)


def fields_of_secret(text: str) -> Fields:
    """Tell apart what a secret manager's text is: a JSON object, a URL, or a password alone.

    Args:
        text: the secret. A JSON object may use the names that RDS writes (username, dbname, …).

    Raises:
        SettingsError: the text is empty, or a JSON object without what is needed.
    """
    text = _without_line_break(text.removeprefix("\ufeff"))
    if not text.strip():
        raise SettingsError("The secret is empty. Store a password, a URL, or a JSON object in it.")
    if text.lstrip().startswith("{"):
        return _wrapped(_known_names(_json_object(text)))
    if re.match(r"[A-Za-z][A-Za-z0-9+.\-]*://", text):
        return _wrapped({"database_url": text})
    return _wrapped({"database_password": text})


def _json_object(text: str) -> dict[str, str]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise SettingsError(
            "The secret begins with { but is no valid JSON object. Correct it, or store a password that begins "
            'with { as {"password": "…"}.'
        )
    plain: dict[str, str] = {}
    known = {name for names in _NAMES.values() for name in names}
    for name, value in values.items():
        if name.lower() not in known:
            continue
        if not isinstance(value, str | int) or isinstance(value, bool) or not str(value):
            raise SettingsError(f"{name.lower()} in the secret must be text or a whole number, and not empty.")
        plain[name.lower()] = str(value)
    if not plain:
        raise SettingsError(f"The secret is a JSON object without any known name. Expected some of: {_WELL_KNOWN}.")
    return plain


def _files_in(version: Path, folder: Path) -> dict[str, str]:
    try:
        files = {each.name.lower().replace("-", "_"): each for each in version.iterdir()}
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingsError(f"{folder} can't be read as a folder of secret files: {reason}. Is it mounted?") from None
    return _known_names(
        {
            name: _without_line_break(_text_of(files[name], f"{folder.name}/{files[name].name}"))
            for names in _NAMES.values()
            for name in names
            if name in files
        }
    )


def _known_names(found: Mapping[str, str]) -> dict[str, str]:
    """The values by their fields' names; of several names for one field the first counts."""
    first = {field: next((name for name in names if name in found), None) for field, names in _NAMES.items()}
    return {field: found[name] for field, name in first.items() if name}


def _text_of(path: Path, shown: str) -> str:
    try:
        if path.is_file() and path.stat().st_size > _LARGEST:
            raise SettingsError(f"{shown} is too large for settings. Is it the right file?")
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{shown} can't be read: {error.strerror or type(error).__name__}.") from None
    text = _decoded(content)
    if text is None:
        raise SettingsError(f"{shown} is not text in UTF-8. Save it as UTF-8; other encodings change passwords.")
    return text


def _decoded(content: bytes) -> str | None:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _without_line_break(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


def _wrapped(found: Mapping[str, str | None]) -> Fields:
    return {
        name: SecretStr(value) if name in SECRET_FIELDS else value for name, value in found.items() if value is not None
    }
