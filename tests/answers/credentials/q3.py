# %% right: a comprehension, and FileNotFoundError as it is
from sqlalchemy import URL


def url_from_files(folder):
    names = ("username", "password", "host", "port", "dbname")
    value = {name: (folder / name).read_text(encoding="utf-8").removesuffix("\n") for name in names}
    value["port"] = int(value["port"])
    value["database"] = value.pop("dbname")
    return URL.create("postgresql+asyncpg", **value)


# %% right: async, from the version that is linked now
from urllib.parse import quote


async def url_from_files(folder):
    version = (folder / "..data").resolve() if (folder / "..data").exists() else folder

    def read(name):
        path = version / name
        if not path.is_file():
            raise RuntimeError(f"the secret in {folder} lacks the file {name}")
        text = path.read_text()
        return quote(text[:-1] if text.endswith("\n") else text, safe="")

    part = {name: read(name) for name in ("username", "password", "host", "port", "dbname")}
    return "postgresql+asyncpg://{username}:{password}@{host}:{port}/{dbname}".format(**part)


# %% right: the course's own settings, and a look before
from course_lib.settings import DatabaseSettings


def url_from_files(folder):
    for name in ("username", "password", "host", "port", "dbname"):
        if not (folder / name).exists():
            raise FileNotFoundError(f"{name} is missing in {folder}")
    return DatabaseSettings(env_file=None, secrets_dir=folder).url


# %% right: bytes, and an exception of its own
from sqlalchemy import URL
class MissingSecret(Exception):
    def __init__(self, path): self.path = path; super().__init__(str(path))
def url_from_files(folder):
    v = {}
    for n in ("username","password","host","port","dbname"):
        try: v[n] = (folder/n).read_bytes().decode().removesuffix("\n")
        except OSError as e: raise MissingSecret(folder/n) from e
    v["database"] = v.pop("dbname"); v["port"] = int(v["port"])
    return URL.create("postgresql+asyncpg", **v)


# %% wrong: keeps-the-line-break | The line break at the end of the file came along
from sqlalchemy import URL


def url_from_files(folder):
    value = {file.name: file.read_text() for file in folder.iterdir() if not file.name.startswith("..")}
    return URL.create(
        "postgresql+asyncpg", value["username"], value["password"], value["host"], int(value["port"]), value["dbname"]
    )


# %% wrong: bare-key-error | names neither the folder nor what to do
from sqlalchemy import URL


def url_from_files(folder):
    v = {file.name: file.read_text().removesuffix("\n") for file in folder.iterdir() if file.is_file()}
    return URL.create("postgresql+asyncpg", v["username"], v["password"], v["host"], int(v["port"]), v["dbname"])


# %% wrong: fetched-once | the secret of an earlier call
from functools import cache

from sqlalchemy import URL


@cache
def url_from_files(folder):
    def read(name):
        return (folder / name).read_text().removesuffix("\n")

    return URL.create(
        "postgresql+asyncpg", read("username"), read("password"), read("host"), int(read("port")), read("dbname")
    )


# %% wrong: goes-on-without-it | returned a URL all the same
from sqlalchemy import URL


def url_from_files(folder):
    def read(name, default=None):
        path = folder / name
        return path.read_text().removesuffix("\n") if path.exists() else default

    return URL.create(
        "postgresql+asyncpg", read("username"), read("password"), read("host"), int(read("port", 5432)), read("dbname")
    )


# %% wrong: error-without-the-name | which file is missing, and in which folder
from sqlalchemy import URL


def url_from_files(folder):
    def read(name):
        try:
            return (folder / name).read_text().removesuffix("\n")
        except OSError:
            raise RuntimeError("the secret is not mounted") from None

    return URL.create(
        "postgresql+asyncpg", read("username"), read("password"), read("host"), int(read("port")), read("dbname")
    )


# %% wrong: error-shows-values | holds the password
from sqlalchemy import URL


def url_from_files(folder):
    files = {f.name: f.read_text().removesuffix("\n") for f in folder.iterdir() if not f.name.startswith("..")}
    for name in ("username", "password", "host", "port", "dbname"):
        if name not in files:
            raise LookupError(f"{folder} has no {name}, only {files}")
    v = files
    return URL.create("postgresql+asyncpg", v["username"], v["password"], v["host"], int(v["port"]), v["dbname"])


# %% wrong: loses-a-part | Not all parts arrived: dbname
from sqlalchemy import URL


def url_from_files(folder):
    def read(name):
        return (folder / name).read_text().removesuffix("\n")

    return URL.create("postgresql+asyncpg", read("username"), read("password"), read("host"), int(read("port")))


# %% wrong: goes-on-without-it | without the file port
from sqlalchemy import URL
def url_from_files(folder):
    def r(n, d=None):
        p = folder/n
        if not p.exists() and d: return d
        return p.read_text().removesuffix("\n")
    return URL.create("postgresql+asyncpg", r("username"), r("password"), r("host"), int(r("port","5432")), r("dbname"))


# %% wrong: bare-key-error | as a key
from sqlalchemy import URL
def url_from_files(folder):
    def r(n):
        if not (folder/n).exists(): raise KeyError(f"no {n} in {folder}")
        return (folder/n).read_text().removesuffix("\n")
    return URL.create("postgresql+asyncpg", r("username"), r("password"), r("host"), int(r("port")), r("dbname"))


# %% wrong: cuts-the-last-character | Not every file ends with
from sqlalchemy import URL
def url_from_files(folder):
    r = lambda n: (folder/n).read_text()[:-1]
    return URL.create("postgresql+asyncpg", r("username"), r("password"), r("host"), int(r("port")), r("dbname"))


# %% wrong: strips-spaces | Spaces at the ends
from sqlalchemy import URL
def url_from_files(folder):
    r = lambda n: (folder/n).read_text().removesuffix("\n").lstrip()
    return URL.create("postgresql+asyncpg", r("username"), r("password"), r("host"), int(r("port")), r("dbname"))
