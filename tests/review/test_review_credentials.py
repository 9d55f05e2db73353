"""The rule no-credentials, by source."""

import ast

import pytest

from course_lib.review.credentials import credentials_in

# Put together here, so that this file holds nothing to be found.
SAME = "postgres"
USUAL, ANGLES, STARS, SHELL = ("user:" + "password", "<user>:" + "<password>", "app:" + "***", "${USER}:" + "${PW}")
HOLDS_ONE = [
    'url = "postgresql://app:example-4711@db.host/app"',
    f'url = os.getenv("DATABASE_URL", "postgresql+asyncpg://{SAME}:{SAME}@localhost/app")',
    'class S(BaseSettings):\n    db_password: str = "example-4711"',
    'class S(BaseSettings):\n    password: SecretStr = SecretStr("example-4711")',
    'class S(BaseSettings):\n    password: str = Field(default="example-4711")',
    'password = os.getenv("DB_PASSWORD", "postgres")',
    'password = os.environ.get("DB_PASSWORD") or "example-4711"',
    'url = URL.create("postgresql+asyncpg", "app", "example-4711", "host")',
    'url = URL.create("postgresql+asyncpg", username="app", password="example-4711")',
    'options = {"user": "app", "password": "example-4711"}',
    'def connect(user="app", password="example-4711"): ...',
    'url = f"postgresql://app:example-4711@{host}/app"',
    'os.environ["PGPASSWORD"] = "example-4711"',
    "# old: postgresql://app:example-4711@db.host/app",
    "# password = example-4711",
    '"""Connect with postgresql://app:example-4711@db.host/app."""',
    'password = config("DB_PASSWORD", default="example-4711")',
    'url = "postgresql://db.host/app?user=app&password=example-4711"',
]
HOLDS_NONE = [
    'url = os.environ["DATABASE_URL"]',
    'url = "postgresql+asyncpg://localhost/app"',
    'url = "postgresql+asyncpg://app@localhost/app"',
    'url = f"postgresql://{user}:{password}@{host}/app"',
    'url = "postgresql://{}:{}@{}/app".format(user, password, host)',
    'password = os.getenv("DB_PASSWORD")',
    'password = os.getenv("DB_PASSWORD", "")',
    "class S(BaseSettings):\n    password: SecretStr",
    'class S(BaseSettings):\n    password: str | None = None\n    password_file: str = "/run/secrets/password"',
    f"# DATABASE_URL=postgresql://{USUAL}@host/database",
    f"# for example postgresql://{ANGLES}@host/db, or postgres://{STARS}@host",
    f"# postgresql://{SHELL}@host/db",
    '"""The password: read from the environment."""',
    "# password: the role's, from the secret manager",
    "# password=os.environ['DB_PASSWORD'] would do too",
    'shown = url.replace(password, "***")',
    'pwd_context = CryptContext(schemes=["bcrypt"])',
    'raise RuntimeError("DB_PASSWORD is not set")',
]


@pytest.mark.parametrize("source", HOLDS_ONE)
def test_a_password_is_found_and_not_repeated(source: str) -> None:
    found = credentials_in(source, ast.parse(source))
    assert len(found) == 1
    assert "4711" not in found[0][1]
    assert 1 <= found[0][0] <= len(source.splitlines())


@pytest.mark.parametrize("source", HOLDS_NONE)
def test_placeholders_and_names_are_none(source: str) -> None:
    assert credentials_in(source, ast.parse(source)) == []
