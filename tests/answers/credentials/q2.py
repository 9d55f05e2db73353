# %% right: text with quoted parts
import json
from urllib.parse import quote


def database_url(client, secret_id):
    part = json.loads(client.get_secret_value(SecretId=secret_id)["SecretString"])
    user, password = quote(part["username"], safe=""), quote(part["password"], safe="")
    return f"postgresql+asyncpg://{user}:{password}@{part['host']}:{part['port']}/{part['dbname']}"


# %% right: async, in a thread, then text without the mask
import asyncio
import json

from sqlalchemy import URL


async def database_url(client, secret_id):
    answer = await asyncio.to_thread(client.get_secret_value, SecretId=secret_id)
    s = json.loads(answer["SecretString"])
    url = URL.create("postgresql+asyncpg", s["username"], s["password"], s["host"], s["port"], s["dbname"])
    return url.render_as_string(hide_password=False)


# %% right: the course's own settings
from course_lib.secret_managers import AwsSecret
from course_lib.settings import DatabaseSettings


def database_url(client, secret_id):
    return DatabaseSettings(env_file=None, secret=AwsSecret(secret_id, client)).url


# %% right: asyncpg's port as an int, further options
import json

from sqlalchemy.engine import URL


def database_url(client, secret_id):
    secret = json.loads(client.get_secret_value(SecretId=secret_id, VersionStage="AWSCURRENT")["SecretString"])
    names = {"username": "username", "password": "password", "host": "host", "dbname": "database"}
    parts = {ours: secret[theirs] for theirs, ours in names.items()}
    return URL.create("postgresql+asyncpg", port=int(secret["port"]), query={"ssl": "require"}, **parts)


# %% wrong: password-becomes-host | A part of the password became the host
import json


def database_url(client, secret_id):
    s = json.loads(client.get_secret_value(SecretId=secret_id)["SecretString"])
    return f"postgresql+asyncpg://{s['username']}:{s['password']}@{s['host']}:{s['port']}/{s['dbname']}"


# %% wrong: f-string | put into the text of a URL
import json


def database_url(client, secret_id):
    s = json.loads(client.get_secret_value(SecretId=secret_id)["SecretString"])
    password = s["password"].replace("@", "%40")
    return f"postgresql+asyncpg://{s['username']}:{password}@{s['host']}:{s['port']}/{s['dbname']}"


# %% wrong: quote-plus | writes a space as `+`
import json
from urllib.parse import quote_plus


def database_url(client, secret_id):
    s = json.loads(client.get_secret_value(SecretId=secret_id)["SecretString"])
    return f"postgresql+asyncpg://{s['username']}:{quote_plus(s['password'])}@{s['host']}:{s['port']}/{s['dbname']}"


# %% wrong: fetched-once | the secret of an earlier call
import json
from functools import cache

from sqlalchemy import URL


@cache
def secret(client, name):
    return json.loads(client.get_secret_value(SecretId=name)["SecretString"])


def database_url(client, secret_id):
    s = secret(client, secret_id)
    return URL.create("postgresql+asyncpg", s["username"], s["password"], s["host"], s["port"], s["dbname"])


# %% wrong: read-before-the-call | Nothing in this URL comes from the secret
# As if it had been fetched when the cell ran.
from sqlalchemy import URL

URL_NOW = URL.create("postgresql+asyncpg", "app", "example@pw/1", "db.internal", 5432, "shop")


def database_url(client, secret_id):
    return URL_NOW


# %% wrong: masked-url | The password is `***`
import json

from sqlalchemy import URL


def database_url(client, secret_id):
    s = json.loads(client.get_secret_value(SecretId=secret_id)["SecretString"])
    return str(URL.create("postgresql+asyncpg", s["username"], s["password"], s["host"], s["port"], s["dbname"]))


# %% wrong: another-driver | names the driver `postgresql`
import json

from sqlalchemy import URL


def database_url(client, secret_id):
    s = json.loads(client.get_secret_value(SecretId=secret_id)["SecretString"])
    return URL.create("postgresql", s["username"], s["password"], s["host"], s["port"], s["dbname"])


# %% wrong: loses-a-part | Not all parts arrived: port
import json

from sqlalchemy import URL


def database_url(client, secret_id):
    s = json.loads(client.get_secret_value(SecretId=secret_id)["SecretString"])
    return URL.create("postgresql+asyncpg", s["username"], s["password"], s["host"], database=s["dbname"])


# %% wrong: returns-no-url | Return a URL, as an object or as text
import json


def database_url(client, secret_id):
    return json.loads(client.get_secret_value(SecretId=secret_id)["SecretString"])


# %% wrong: prints-the-secret | printed or logged
import json

from sqlalchemy import URL


def database_url(client, secret_id):
    s = json.loads(client.get_secret_value(SecretId=secret_id)["SecretString"])
    print(s)
    return URL.create("postgresql+asyncpg", s["username"], s["password"], s["host"], s["port"], s["dbname"])


# %% wrong: encodes-for-url-create | Encode only what goes into text
import json
from urllib.parse import quote_plus
from sqlalchemy.engine import URL
def database_url(c, i):
    s = json.loads(c.get_secret_value(SecretId=i)["SecretString"])
    return URL.create("postgresql+asyncpg", s["username"], quote_plus(s["password"]), s["host"], s["port"], s["dbname"])


# %% wrong: f-string | became an `A`
import json
from urllib.parse import unquote
from sqlalchemy.engine import URL
def database_url(c, i):
    s = json.loads(c.get_secret_value(SecretId=i)["SecretString"])
    return URL.create("postgresql+asyncpg", s["username"], unquote(s["password"]), s["host"], s["port"], s["dbname"])


# %% wrong: loses-a-part | a huge number
import json
from sqlalchemy.engine import URL
def database_url(c, i):
    s = json.loads(c.get_secret_value(SecretId=i)["SecretString"])
    return URL.create("postgresql+asyncpg", s["username"], s["password"], s["host"], 10**5000, s["dbname"])


# %% wrong: loses-a-part | an object of type P
import json
from sqlalchemy.engine import URL
class P:
    def __init__(s, x): s.x = x
    def __str__(s): return s.x
    def __repr__(s): raise RuntimeError("x")
def database_url(c, i):
    s = json.loads(c.get_secret_value(SecretId=i)["SecretString"])
    return URL.create("postgresql+asyncpg", s["username"], P(s["password"]), s["host"], s["port"], s["dbname"])


# %% error: string indices must be integers
from sqlalchemy import URL


def database_url(client, secret_id):
    s = client.get_secret_value(SecretId=secret_id)["SecretString"]
    return URL.create("postgresql+asyncpg", s["username"], s["password"], s["host"], s["port"], s["dbname"])


# %% timed out: waits for ever
import time


def database_url(client, secret_id):
    time.sleep(3600)
