# %% right: finds the places without a regular expression
def mask_url(url: str) -> str:
    address, question, query = url.partition("?") if "@" not in url.partition("?")[2] else (url, "", "")
    scheme, _, rest = address.partition("://")
    login, at, place = rest.rpartition("@")
    user, colon, password = login.partition(":")
    if at and colon:
        address = f"{scheme}://{user}:***@{place}"
    items = ["password=***" if item.startswith("password=") else item for item in query.split("&")]
    return address + question + "&".join(items)


# %% right: the course's own
from course_lib.urls import mask


def mask_url(url: str) -> str:
    return mask(url)


# %% right: make_url, with care for what it can't read
from sqlalchemy import make_url


def mask_url(url: str) -> str:
    try:
        parsed = make_url(url)
    except Exception:
        return "a database URL that can't be read"
    if "@" in (parsed.host or ""):
        return "a database URL with a raw @ in it"
    if "password" in parsed.query:
        parsed = parsed.update_query_dict({"password": "hidden"})
    return str(parsed)


# %% wrong: leaks-behind-a-raw-at | at the last one
from sqlalchemy import make_url


def mask_url(url: str) -> str:
    parsed = make_url(url) if "," not in url else None
    if parsed is None:
        return "***"
    if "password" in parsed.query:
        parsed = parsed.update_query_dict({"password": "***"})
    return str(parsed)


# %% wrong: leaks-the-query-password | in the query
from sqlalchemy import make_url


def mask_url(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ValueError:
        return "***"


# %% wrong: leaks-the-query-password | in the query as well
import re


def mask_url(url: str) -> str:
    return re.sub(r"(://[^:/@]*:).*@", r"\1***@", url)


# %% wrong: breaks-on-an-unreadable-url | must not stop a program
from sqlalchemy import make_url


def mask_url(url: str) -> str:
    return str(make_url(url))


# %% wrong: breaks-without-a-password | There is no password in this URL
def mask_url(url: str) -> str:
    head, tail = url.split("@")
    return head.rsplit(":", 1)[0] + ":***@" + tail


# %% wrong: breaks-without-a-password | TypeError
from sqlalchemy import make_url


def mask_url(url: str) -> str:
    return url.replace(make_url(url).password, "***")


# %% wrong: leaks-the-encoded-password | is decoded
from sqlalchemy import make_url


def mask_url(url: str) -> str:
    try:
        return url.replace(make_url(url).password or "\0", "***")
    except ValueError:
        return "***"


# %% wrong: masks-only-the-first | the same word
import re


def mask_url(url: str) -> str:
    url = re.sub(r"([?&]password=)[^&]*", r"\1***", url)
    found = re.search(r"://[^:/@]*:(.*)@", url)
    return url.replace(found.group(1), "***", 1) if found else url


# %% wrong: hides-other-parts | More than the password is gone
import re


def mask_url(url: str) -> str:
    url = re.sub(r"([?&]password=)[^&]*", r"\1***", url)
    found = re.search(r"://[^:/@]*:(.*)@", url)
    return url.replace(found.group(1), "***") if found else url


# %% wrong: hides-other-parts | which user, host and database
def mask_url(url: str) -> str:
    return "***"


# %% wrong: hides-other-parts | a text with 'postgresql://example:'
import re


def mask_url(url: str) -> str:
    url = re.sub(r"([?&]password=)[^&]*", r"\1***", url)
    return re.sub(r"://[^/].*@", "://***@", url)


# %% wrong: leaks-the-password | holds the password
def mask_url(url: str) -> str:
    return url


# %% wrong: returns-no-text | NoneType
def mask_url(url: str):
    print(url.partition("@")[2])


# %% error: your cell
def mask_url(url: str) -> str:
    return url.hide()
