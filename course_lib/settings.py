"""DatabaseSettings: where the database is and how to use it, read once from wherever a deployment keeps it.

The order is stated, the first place that names a setting counts:

1. arguments, for tests and scripts;
2. environment variables;
3. a `.env` file, for development;
4. mounted files, as Kubernetes and Docker provide secrets;
5. one secret from a secret manager.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, PrivateAttr, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy import URL, make_url

from course_lib._secret_sources import SECRET_FIELDS, SettingsError, fields_of_secret, read_dotenv, read_mounted
from course_lib.masking import remember
from course_lib.tls import ssl_context_for
from course_lib.urls import build_async_url, get_async_database_url

__all__ = ["DatabaseSettings", "SettingsError"]

TlsMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
_LOWER = "lower_sources"


class DatabaseSettings(BaseSettings):
    """The database's URL, TLS and pool, checked when they are read.

        settings = DatabaseSettings()
        engine = create_async_engine(settings.url, **settings.engine_options())

    Each field is read from the variable of its name in capitals (`DATABASE_URL`), a mounted file of its name, or a
    secret. Give the URL, or the parts; with both they have to agree. A password may come on its own, and completes a
    URL that has none. Empty values count as absent. What is secret is masked by `course_lib.masking` from then on.

    Args:
        env_file: the `.env` file; by default `.env` in the current folder, if there is one. None: no file.
        secrets_dir: the folder of mounted secret files.
        secret: fetches one secret's text, such as `AwsSecret("shop/database")`.
        values: fields by name, which win over everything else.
    Raises:
        SettingsError: with all reasons. Neither it nor its traceback holds a value that was read.

    Source: https://docs.pydantic.dev/latest/concepts/pydantic_settings/
    """

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, hide_input_in_errors=True, env_ignore_empty=True, validate_default=False
    )

    database_url: SecretStr | None = None
    database_host: str | None = None
    database_port: int | None = Field(default=None, ge=1, le=65535)
    database_name: str | None = None
    database_user: str | None = None
    database_password: SecretStr | None = None
    database_sslmode: TlsMode | None = None
    database_sslrootcert: Path | None = None
    database_pool_size: int = Field(default=5, ge=1, le=1000)
    database_max_overflow: int = Field(default=10, ge=0, le=1000)
    database_pool_timeout: float = Field(default=30.0, gt=0, allow_inf_nan=False)  # seconds
    database_pool_recycle: int = Field(default=240, ge=1)  # seconds; many hosts close after 5 idle minutes

    _url: URL = PrivateAttr()

    def __init__(
        self,
        *,
        env_file: Path | str | None = ".env",
        secrets_dir: Path | str | None = None,
        secret: Callable[[], str] | None = None,
        **values: Any,
    ) -> None:
        problem = ""
        try:
            values[_LOWER] = _lower_sources(env_file, secrets_dir, secret)
            super().__init__(**values)
        except ValidationError as error:
            problem = _explained(error)
        except SettingsError as error:
            problem = str(error)
        if problem:
            # Raised here, and not while handling the other exception, which keeps the values in itself and in the
            # local variables of its frames. This frame's go too, for whoever logs tracebacks with locals.
            del self, values
            raise SettingsError(problem)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then what `_lower_sources` has read, in the order it has."""
        assert isinstance(init_settings, InitSettingsSource)
        lower = init_settings.init_kwargs.pop(_LOWER, {})
        return (init_settings, env_settings, *(InitSettingsSource(settings_cls, each) for each in lower))

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse changes. Pydantic's own refusal shows the value."""
        if not name.startswith("_"):
            raise AttributeError(f"{name} can't be changed: settings are read once. Make a new DatabaseSettings.")
        super().__setattr__(name, value)

    @property
    def url(self) -> URL:
        """The URL for an async engine. `str()` and `repr()` of it show `***` for the password."""
        return self._url

    def engine_options(self) -> dict[str, Any]:
        """The keyword arguments for `create_async_engine`: pool, TLS, and no values in logs and errors.

        A SQLite URL gets no pool settings, as not all of its pools take them.
        """
        options: dict[str, Any] = {"hide_parameters": True}
        if self._url.get_backend_name() == "postgresql":
            options |= {
                "pool_size": self.database_pool_size,
                "max_overflow": self.database_max_overflow,
                "pool_timeout": self.database_pool_timeout,
                "pool_recycle": self.database_pool_recycle,
                "pool_pre_ping": True,
                "connect_args": self._connect_args(),
            }
        return options

    @model_validator(mode="after")
    def _checked(self) -> Self:
        remember(*filter(None, (self.database_url, self.database_password)))
        if self.database_sslrootcert and re.match(r"[A-Za-z][\w+.-]+:/", self.database_sslrootcert.as_posix()):
            # The error about a missing file would show it, and a URL may hold a password.
            raise ValueError("DATABASE_SSLROOTCERT holds a URL. Give the path of a file")
        self._url = self._whole_url()
        remember(self._url.password or "")
        self._connect_args()
        return self

    @property
    def _password(self) -> str | None:
        return None if self.database_password is None else self.database_password.get_secret_value()

    def _whole_url(self) -> URL:
        if self.database_url is None:
            return self._url_of_parts()
        parts: dict[str, Any] = {
            "username": self.database_user,
            "password": self._password,
            "host": self.database_host,
            "port": self.database_port,
            "database": self.database_name,
        }
        url = make_url(get_async_database_url(self.database_url.get_secret_value()))
        url = _password_out_of_query(url)
        for name, value in parts.items():
            if value is None:
                continue
            if getattr(url, name) not in (None, value):
                variable = {"username": "USER", "database": "NAME"}.get(name, name.upper())
                raise ValueError(f"DATABASE_URL and DATABASE_{variable} name different values. Keep one of the two")
            url = url.set(**{name: value})
        if self.database_sslmode and url.query.get("ssl", self.database_sslmode) != self.database_sslmode:
            raise ValueError("DATABASE_URL and DATABASE_SSLMODE name different modes. Keep one of the two")
        return self._with_tls(url)

    def _url_of_parts(self) -> URL:
        needed = {
            "DATABASE_HOST": self.database_host,
            "DATABASE_NAME": self.database_name,
            "DATABASE_USER": self.database_user,
        }
        missing = [name for name, value in needed.items() if not value]
        if len(missing) == len(needed):
            raise ValueError("no place names a database. Set DATABASE_URL, or DATABASE_HOST, _NAME, _USER, _PASSWORD")
        if missing:
            raise ValueError(
                f"{' and '.join(missing)} {'are' if missing[1:] else 'is'} missing. Set all parts, or only DATABASE_URL"
            )
        url = build_async_url(
            host=self.database_host,
            port=self.database_port,
            database=self.database_name,
            user=self.database_user,
            password=self._password,
        )
        return self._with_tls(url)

    def _with_tls(self, url: URL) -> URL:
        mode = self.database_sslmode or url.query.get("ssl")
        if mode is None and self.database_sslrootcert:
            mode = "verify-full"  # whoever names an authority wants it asked
        if self.database_sslrootcert and mode not in ("verify-ca", "verify-full"):
            raise ValueError("DATABASE_SSLROOTCERT verifies nothing with this mode. Set DATABASE_SSLMODE=verify-full")
        return url.update_query_dict({"ssl": str(mode)}) if mode and url.drivername == "postgresql+asyncpg" else url

    def _connect_args(self) -> dict[str, Any]:
        """TLS for asyncpg: a context where the certificate is to be verified, which a URL can't hold."""
        mode = self._url.query.get("ssl")
        if mode not in ("verify-ca", "verify-full"):
            return {}  # the URL says it
        return {"ssl": ssl_context_for(str(mode), self.database_sslrootcert)}


def _lower_sources(
    env_file: Path | str | None, secrets_dir: Path | str | None, secret: Callable[[], str] | None
) -> list[dict[str, Any]]:
    """What comes after the environment, in order."""
    found: list[dict[str, Any]] = []
    if env_file is not None and (Path(env_file).exists() or env_file != ".env"):
        found.append(dict(read_dotenv(Path(env_file))))
    if secrets_dir is not None:
        found.append(dict(read_mounted(Path(secrets_dir))))
    if secret is not None:
        text: object = secret()
        if not isinstance(text, str):
            kind = type(text).__name__
            del text  # an exception keeps the variables of its frames
            raise SettingsError(f"The function for the secret gave {kind}. It has to return text (str).")
        found.append(dict(fields_of_secret(text)))
    return found


def _password_out_of_query(url: URL) -> URL:
    """`?password=…` where SQLAlchemy masks it."""
    inside = url.query.get("password")
    if inside is None:
        return url
    if not isinstance(inside, str) or url.password not in (None, inside):
        raise ValueError("DATABASE_URL names two passwords. Keep one")
    return url.difference_update_query(["password"]).set(password=inside)


def _explained(error: ValidationError) -> str:
    """All that is wrong, by variable, without the values."""
    lines = []
    for each in error.errors(include_input=False, include_context=False, include_url=False):
        name = ".".join(map(str, each["loc"])).upper()
        # Pydantic's own messages say what would be right, and hold no input (tests/test_secret_masking.py).
        lines.append(f"- {name + ': ' if name else ''}{each['msg'].removeprefix('Value error, ').rstrip('.')}.")
    secret = any(str(each["loc"][0]) in SECRET_FIELDS for each in error.errors() if each["loc"])
    return "The database settings can't be used:\n" + "\n".join(lines) + ("\nThe value is not shown." if secret else "")
