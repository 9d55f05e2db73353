# %% right: text, each part encoded
from urllib.parse import quote


def build_database_url(*, user, password, host, port, database):
    login = quote(user, safe="")
    if password is not None:
        login += ":" + quote(password, safe="")
    if ":" in host:
        host = f"[{host}]"
    place = host if port is None else f"{host}:{port}"
    return f"postgresql+asyncpg://{login}@{place}/{quote(database, safe='')}"


# %% right: starts from an empty URL and renders
from sqlalchemy import make_url


def build_database_url(*, user, password, host, port, database):
    url = make_url("postgresql+asyncpg://").set(username=user, password=password, host=host)
    return url.set(port=port, database=database).render_as_string(hide_password=False)


# %% right: the course's own
from course_lib.urls import build_async_url


def build_database_url(**parts):
    return build_async_url(**parts)


# %% wrong: pastes-the-password-in | what the URL means
def build_database_url(*, user, password, host, port, database):
    return f"postgresql+asyncpg://{user}:{password}@{host}:{port}/{database}"


# %% wrong: forgets-the-driver | The URL has to begin with
def build_database_url(*, user, password, host, port, database):
    return f"{user}:{password}@{host}:{port}/{database}"


# %% wrong: decodes-the-password | example%41pw
from sqlalchemy import make_url


def build_database_url(*, user, password, host, port, database):
    return f"postgresql+asyncpg://{user}:{password.replace('@', '%40')}@{host}:{port}/{database}"


# %% wrong: quotes-twice | encoded twice
from urllib.parse import quote

from sqlalchemy import URL


def build_database_url(*, user, password, host, port, database):
    return URL.create("postgresql+asyncpg", user, quote(password, safe=""), host, port, database)


# %% wrong: quotes-for-a-form | as web forms do
from urllib.parse import quote_plus


def build_database_url(*, user, password, host, port, database):
    return f"postgresql+asyncpg://{quote_plus(user)}:{quote_plus(password)}@{host}:{port}/{database}"


# %% wrong: loses-an-empty-password | tells them apart
from sqlalchemy import URL


def build_database_url(*, user, password, host, port, database):
    return URL.create("postgresql+asyncpg", user, password or None, host, port, database)


# %% wrong: writes-none | no `None`
from sqlalchemy import URL


def build_database_url(*, user, password, host, port, database):
    return URL.create("postgresql+asyncpg", user, str(password), host, port, database)


# %% wrong: breaks-ipv6 | in [brackets]
from urllib.parse import quote


def build_database_url(*, user, password, host, port, database):
    secret = "" if password is None else ":" + quote(password, safe="")
    place = host if port is None else f"{host}:{port}"
    return f"postgresql+asyncpg://{quote(user, safe='')}{secret}@{place}/{database}"


# %% wrong: breaks-ipv6 | wants the plain address
from sqlalchemy import URL


def build_database_url(*, user, password, host, port, database):
    host = f"[{host}]" if ":" in host else host
    return URL.create("postgresql+asyncpg", user, password, host, port, database)


# %% wrong: quotes-only-the-password | the same care
from urllib.parse import quote


def build_database_url(*, user, password, host, port, database):
    return f"postgresql+asyncpg://{user}:{quote(password, safe='')}@{host}:{port}/{database}"


# %% wrong: masks-the-password | three stars
from sqlalchemy import URL


def build_database_url(*, user, password, host, port, database):
    return str(URL.create("postgresql+asyncpg", user, password, host, port, database))


# %% wrong: forgets-the-driver | has to begin with
from sqlalchemy import URL


def build_database_url(*, user, password, host, port, database):
    return URL.create("postgresql", user, password, host, port, database)


# %% wrong: loses-a-part | port or the database
from sqlalchemy import URL


def build_database_url(*, user, password, host, port, database):
    return URL.create("postgresql+asyncpg", user, password, host, port or 5432, database)


# %% wrong: returns-no-url | `None`
def build_database_url(*, user, password, host, port, database):
    print(user, host)


# %% error: your cell
def build_database_url(*, user, password, host, port, database):
    return "postgresql+asyncpg://" + user + ":" + password + "@" + host + ":" + port + "/" + database


# %% wrong: takes-other-parameters | the keywords `user`, `password`
def build_database_url(username, secret, host):
    return f"postgresql+asyncpg://{username}:{secret}@{host}"


# %% wrong: passes-no-function | calls a function
build_database_url = "postgresql+asyncpg://app:example-pw@db.internal/shop"


# %% right: positional, one helper
from functools import partial
from urllib.parse import quote

encoded = partial(quote, safe="")


async def build_database_url(*, user, password, host, port, database):
    secret = "" if password is None else f":{encoded(password)}"
    place = (f"[{host}]" if ":" in host else host) + ("" if port is None else f":{port}")
    return f"postgresql+asyncpg://{encoded(user)}{secret}@{place}/{database}"


# %% wrong: leaves-a-slash | `quote` leaves `/`
from urllib.parse import quote


def build_database_url(*, user, password, host, port, database):
    secret = "" if password is None else ":" + quote(password, safe="")
    host = f"[{host}]" if ":" in host else host
    place = host if port is None else f"{host}:{port}"
    return f"postgresql+asyncpg://{quote(user)}{secret}@{place}/{database}"


# %% wrong: quotes-for-a-form | In a name `+` is a plus
from urllib.parse import quote, quote_plus


def build_database_url(*, user, password, host, port, database):
    secret = "" if password is None else ":" + quote(password, safe="")
    host = f"[{host}]" if ":" in host else host
    place = host if port is None else f"{host}:{port}"
    return f"postgresql+asyncpg://{quote_plus(user)}{secret}@{place}/{database}"


# %% wrong: loses-a-part | database='Shop'
from sqlalchemy import URL


def build_database_url(*, user, password, host, port, database):
    return URL.create("postgresql+asyncpg", user, password, host, port, "shop")


# %% wrong: loses-a-part | port=6432
from sqlalchemy import URL


def build_database_url(*, user, password, host, port, database):
    return URL.create("postgresql+asyncpg", user, password, host, port and 5432, database)


# %% wrong: loses-a-part | no colon and no `None`
from urllib.parse import quote


def build_database_url(*, user, password, host, port, database):
    secret = "" if password is None else ":" + quote(password, safe="")
    host = f"[{host}]" if ":" in host else host
    return f"postgresql+asyncpg://{quote(user, safe='')}{secret}@{host}:{port}/{database}"


# %% wrong: strips-the-password | belong to it
from sqlalchemy import URL


def build_database_url(*, user, password, host, port, database):
    return URL.create("postgresql+asyncpg", user, password and password.strip(), host, port, database)


# %% wrong: adds-parameters | nobody asked for
from sqlalchemy import URL


def build_database_url(*, user, password, host, port, database):
    return URL.create("postgresql+asyncpg", user, password, host, port, database, {"sslmode": "require"})


# %% wrong: mixes-up-parts | in another one's place
from sqlalchemy import URL


def build_database_url(*, user, password, host, port, database):
    return URL.create("postgresql+asyncpg", password, user, host, port, database)


# %% wrong: mixes-up-parts | Its form is
def build_database_url(*, user, password, host, port, database):
    return f"postgresql+asyncpg://{user}:{password}@{host}:{database}/{port}"


# %% wrong: yields-instead-of-returning | Use `return`
def build_database_url(*, user, password, host, port, database):
    yield user

# %% right: a password that is an object with a text
from sqlalchemy import URL


class Secret:
    def __init__(self, value):
        self.value = value

    def __str__(self):
        return self.value


def build_database_url(*, user, password, host, port, database):
    secret = None if password is None else Secret(password)
    return URL.create("postgresql+asyncpg", user, secret, host, port, database)


# %% wrong: masks-the-password | get_secret_value
from pydantic import SecretStr
from sqlalchemy import URL


def build_database_url(*, user, password, host, port, database):
    secret = None if password is None else SecretStr(password)
    return URL.create("postgresql+asyncpg", user, secret, host, port, database)


# %% wrong: changes-a-part | exactly as it comes in
from sqlalchemy import URL


def build_database_url(*, user, password, host, port, database):
    return URL.create("postgresql+asyncpg", user, password and password.lower(), host, port, database)


# %% wrong: changes-a-part | The user is `app`
from sqlalchemy import URL


def build_database_url(*, user, password, host, port, database):
    return URL.create("postgresql+asyncpg", user.lower(), password, host, port, database)


# %% wrong: changes-a-part | exactly as it comes in
from sqlalchemy import URL


def build_database_url(*, user, password, host, port, database):
    known = password and password.encode("ascii", "ignore").decode()
    return URL.create("postgresql+asyncpg", user, known, host, port, database)


# %% wrong: changes-a-part | The user is `app`
from sqlalchemy import URL


def build_database_url(*, user, password, host, port, database):
    return URL.create("postgresql+asyncpg", user.strip(), password, host, port, database)


# %% wrong: changes-a-part | The user is `None`
from sqlalchemy import URL


def build_database_url(*, user, password, host, port, database):
    url = URL.create("postgresql+asyncpg", user, password, host, port, database)
    return url if password is not None else URL.create("postgresql+asyncpg", None, None, host, port, database)


# %% wrong: decodes-the-password | `unquote` does the same
from urllib.parse import unquote

from sqlalchemy import URL


def build_database_url(*, user, password, host, port, database):
    return URL.create("postgresql+asyncpg", user, password and unquote(password), host, port, database)


# %% wrong: returns-no-url | can't be written as text
from sqlalchemy import URL


def build_database_url(*, user, password, host, port, database):
    return URL.create("postgresql+asyncpg", user, password, host, 10**5000, database)


# %% wrong: returns-no-url | an object of type int


def build_database_url(*, user, password, host, port, database):
    return 10**5000


# %% wrong: changes-a-part | exactly as it comes in


def build_database_url(*, user, password, host, port, database):
    query = f"user={user}&password={password}&host={host}&port={port}&database={database}"
    return f"postgresql+asyncpg:///?{query}"
