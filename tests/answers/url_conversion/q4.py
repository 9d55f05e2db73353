# %% right: finds the places without a regular expression
from urllib.parse import unquote


def mask_url(url: str) -> str:
    if "://" not in url:
        return "***"
    address, question, query = url.partition("?") if "@" not in url.partition("?")[2] else (url, "", "")
    scheme, _, rest = address.partition("://")
    login, at, place = rest.rpartition("@")
    user, colon, password = login.partition(":")
    if at and colon:
        address = f"{scheme}://{user}:***@{place}"
    items = [
        "password=***" if "pass" in unquote(item.partition("=")[0]).lower() else item for item in query.split("&")
    ]
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
        return "***"
    if "@" in (parsed.host or ""):
        return "a database URL with a raw @ in it"
    secret = {name: "hidden" for name in parsed.query if "pass" in name.lower()}
    parsed = parsed.update_query_dict(secret)
    return str(parsed)


# %% wrong: leaks-behind-a-raw-at | at the last one
from sqlalchemy import make_url


def mask_url(url: str) -> str:
    try:
        parsed = make_url(url)
    except Exception:
        return "***"
    if "password" in parsed.query:
        parsed = parsed.update_query_dict({"password": "***"})
    return str(parsed)


# %% wrong: leaks-the-query-password | in the query
from sqlalchemy import make_url


def mask_url(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except Exception:
        return "***"


# %% wrong: leaks-the-query-password | application_name=web'
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
    except Exception:
        return "***"


# %% wrong: masks-only-the-first | the same word
import re
from urllib.parse import unquote


def mask_url(url: str) -> str:
    if "://" not in url:
        return "***"
    for item in re.findall(r"[?&][^?&=]*=[^&]*", url):
        if "pass" in unquote(item.partition("=")[0]).lower():
            url = url.replace(item, item.partition("=")[0] + "=***")
    found = re.search(r"://[^:/]*:(.*)@", url, flags=re.DOTALL)
    return url.replace(found.group(1), "***", 1) if found else url


# %% wrong: hides-other-parts | More than the password is gone
import re
from urllib.parse import unquote


def mask_url(url: str) -> str:
    if "://" not in url:
        return "***"
    for item in re.findall(r"[?&][^?&=]*=[^&]*", url):
        if "pass" in unquote(item.partition("=")[0]).lower():
            url = url.replace(item, item.partition("=")[0] + "=***")
    found = re.search(r"://[^:/]*:(.*)@", url, flags=re.DOTALL)
    return url.replace(found.group(1), "***") if found else url


# %% wrong: hides-other-parts | which user, host and database
def mask_url(url: str) -> str:
    return "***"


# %% wrong: hides-other-parts | a text with 'postgresql://example'
import re
from urllib.parse import unquote


def mask_url(url: str) -> str:
    if "://" not in url:
        return "***"

    def hide(item):
        return f"{item[1]}=***" if "pass" in unquote(item[1]).lower() else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&]*)", hide, url)
    return re.sub(r"://[^/].*@", "://***@", url, flags=re.DOTALL)


# %% wrong: leaks-the-password | holds the password
def mask_url(url: str) -> str:
    return url


# %% wrong: returns-no-text | It returned `None`
def mask_url(url: str):
    print(url.partition("@")[2])


# %% error: your cell
def mask_url(url: str) -> str:
    return url.hide()


# %% right: takes passwords away, with urllib's help
from urllib.parse import unquote


def mask_url(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "***"
    login, at, place = rest.rpartition("@") if "/" not in rest.partition(":")[0] else ("", "", rest)
    address, question, query = place.partition("?")
    items = [item for item in query.split("&") if "pass" not in unquote(item.partition("=")[0]).lower()]
    return f"{scheme}://{login.partition(':')[0]}{at}{address}{question}{'&'.join(items)}"


# %% wrong: leaks-behind-a-raw-character | `/` into the password
import re
from urllib.parse import unquote


def mask_url(url: str) -> str:
    if "://" not in url:
        return "***"

    def hide(item):
        return f"{item[1]}=***" if "pass" in unquote(item[1]).lower() else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&]*)", hide, url)
    return re.sub(r"(://[^:/?@]*):[^/]*@", r"\1:***@", url, flags=re.DOTALL)


# %% wrong: leaks-behind-a-raw-character | `?` into the password
import re
from urllib.parse import unquote


def mask_url(url: str) -> str:
    if "://" not in url:
        return "***"

    def hide(item):
        return f"{item[1]}=***" if "pass" in unquote(item[1]).lower() else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&]*)", hide, url)
    return re.sub(r"(://[^:/]*:)[^?]*@", r"\1***@", url, flags=re.DOTALL)


# %% wrong: leaks-behind-a-raw-character | flags=re.DOTALL
import re
from urllib.parse import unquote


def mask_url(url: str) -> str:
    if "://" not in url:
        return "***"

    def hide(item):
        return f"{item[1]}=***" if "pass" in unquote(item[1]).lower() else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&]*)", hide, url)
    return re.sub(r"(://[^:/]*:).*@", r"\1***@", url)


# %% wrong: leaks-behind-a-raw-at | The user holds
import re
from urllib.parse import unquote


def mask_url(url: str) -> str:
    if "://" not in url:
        return "***"

    def hide(item):
        return f"{item[1]}=***" if "pass" in unquote(item[1]).lower() else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&]*)", hide, url)
    return re.sub(r"(://[^:/@]*:).*@", r"\1***@", url, flags=re.DOTALL)


# %% wrong: leaks-behind-a-raw-at | into the password
import re
from urllib.parse import unquote


def mask_url(url: str) -> str:
    if "://" not in url:
        return "***"

    def hide(item):
        return f"{item[1]}=***" if "pass" in unquote(item[1]).lower() else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&]*)", hide, url)
    return re.sub(r"(://[^:/]*:)[^@]*@", r"\1***@", url, flags=re.DOTALL)


# %% wrong: leaks-another-spelling | Password=
import re
from urllib.parse import unquote


def mask_url(url: str) -> str:
    if "://" not in url:
        return "***"

    def hide(item):
        return f"{item[1]}=***" if item[1][1:] == "password" else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&]*)", hide, url)
    return re.sub(r"(://[^:/]*:).*@", r"\1***@", url, flags=re.DOTALL)


# %% wrong: leaks-another-spelling | p%61ssword
import re
from urllib.parse import unquote


def mask_url(url: str) -> str:
    if "://" not in url:
        return "***"

    def hide(item):
        return f"{item[1]}=***" if "password" in item[1].lower() else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&]*)", hide, url)
    return re.sub(r"(://[^:/]*:).*@", r"\1***@", url, flags=re.DOTALL)


# %% wrong: leaks-another-spelling | sslpassword
import re
from urllib.parse import unquote


def mask_url(url: str) -> str:
    if "://" not in url:
        return "***"

    def hide(item):
        return f"{item[1]}=***" if unquote(item[1][1:]).lower() == "password" else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&]*)", hide, url)
    return re.sub(r"(://[^:/]*:).*@", r"\1***@", url, flags=re.DOTALL)


# %% wrong: leaks-what-is-no-url | return `***` alone
import re
from urllib.parse import unquote


def mask_url(url: str) -> str:

    def hide(item):
        return f"{item[1]}=***" if "pass" in unquote(item[1]).lower() else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&]*)", hide, url)
    return re.sub(r"(://[^:/]*:).*@", r"\1***@", url, flags=re.DOTALL)


# %% wrong: leaks-the-password | its ends
import re
from urllib.parse import unquote


def mask_url(url: str) -> str:
    if "://" not in url:
        return "***"

    def hide(item):
        return f"{item[1]}=***" if "pass" in unquote(item[1]).lower() else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&]*)", hide, url)
    return re.sub(r"(://[^:/]*:).*@", lambda found: found[0][:-3] + "***@", url, flags=re.DOTALL)


# %% wrong: leaks-the-password | Got          'postgresql+asyncpg://app:7***@
import re
from urllib.parse import unquote


def mask_url(url: str) -> str:
    if "://" not in url:
        return "***"

    def hide(item):
        return f"{item[1]}=***" if "pass" in unquote(item[1]).lower() else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&]*)", hide, url)
    return re.sub(r"(://[^:/]*:.).*@", r"\1***@", url, flags=re.DOTALL)


# %% wrong: leaks-the-password | Got          'postgresql+asyncpg://app:***9@
import re
from urllib.parse import unquote


def mask_url(url: str) -> str:
    if "://" not in url:
        return "***"

    def hide(item):
        return f"{item[1]}=***" if "pass" in unquote(item[1]).lower() else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&]*)", hide, url)
    return re.sub(r"(://[^:/]*:).*(.@)", r"\1***\2", url, flags=re.DOTALL)


# %% wrong: breaks-on-an-unreadable-url | must not stop a program
import re
from urllib.parse import unquote


def mask_url(url: str) -> str:
    if "://" not in url:
        raise ValueError("no URL")

    def hide(item):
        return f"{item[1]}=***" if "pass" in unquote(item[1]).lower() else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&]*)", hide, url)
    return re.sub(r"(://[^:/]*:).*@", r"\1***@", url, flags=re.DOTALL)


# %% wrong: hides-other-parts | 'user=app'
import re
from urllib.parse import unquote


def mask_url(url: str) -> str:
    if "://" not in url or "user=" in url:
        return "***"

    def hide(item):
        return f"{item[1]}=***" if "pass" in unquote(item[1]).lower() else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&]*)", hide, url)
    return re.sub(r"(://[^:/]*:).*@", r"\1***@", url, flags=re.DOTALL)


# %% wrong: yields-instead-of-returning | Use `return`
import re
from urllib.parse import unquote


def mask_url(url: str) -> str:
    yield url

# %% wrong: leaks-the-query-password | mask each of them
import re
from urllib.parse import unquote


def mask_url(url):
    if "://" not in url:
        return "***"

    def hide(item):
        return f"{item[1]}=***" if "pass" in unquote(item[1]).lower() else item[0]

    for item in re.finditer(r"([?&][^?&=]*)=([^&]*)", url):
        if hide(item) != item[0]:
            url = url.replace(item[0], hide(item))
            break
    return re.sub(r"(://[^:/]*:).*@", r"\1***@", url, flags=re.DOTALL)


# %% wrong: leaks-another-spelling | passphrase
import re
from urllib.parse import unquote


def mask_url(url):
    if "://" not in url:
        return "***"

    def hide(item):
        return f"{item[1]}=***" if unquote(item[1])[1:].lower() in {"password", "sslpassword"} else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&]*)", hide, url)
    return re.sub(r"(://[^:/]*:).*@", r"\1***@", url, flags=re.DOTALL)


# %% wrong: hides-other-parts | compass
import re
from urllib.parse import unquote


def mask_url(url):
    if "://" not in url:
        return "***"

    def hide(item):
        return f"{item[1]}=***" if "pass" in unquote(item[0]).lower() else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&]*)", hide, url)
    return re.sub(r"(://[^:/]*:).*@", r"\1***@", url, flags=re.DOTALL)


# %% wrong: leaks-what-is-no-url | Called with  '7Qx-example-Zk9'
import re
from urllib.parse import unquote


def mask_url(url):
    if "://" not in url:
        return re.sub(r"(password=)\S+|:.*@", r"\1***", url)

    def hide(item):
        return f"{item[1]}=***" if "pass" in unquote(item[1]).lower() else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&]*)", hide, url)
    return re.sub(r"(://[^:/]*:).*@", r"\1***@", url, flags=re.DOTALL)


# %% wrong: leaks-the-query-password | ends at the next
import re
from urllib.parse import unquote


def mask_url(url):
    if "://" not in url:
        return "***"

    def hide(item):
        return f"{item[1]}=***" if "pass" in unquote(item[1]).lower() else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&=#]*)", hide, url)
    return re.sub(r"(://[^:/]*:).*@", r"\1***@", url, flags=re.DOTALL)


# %% wrong: changes-a-url-without-a-password | with nothing added
import re
from urllib.parse import unquote


def mask_url(url):
    if "://" not in url:
        return "***"

    def hide(item):
        return f"{item[1]}=***" if "pass" in unquote(item[1]).lower() else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&]*)", hide, url)
    masked = re.sub(r"(://[^:/]*:).*@", r"\1***@", url, flags=re.DOTALL)
    return masked if "***" in masked else f"{masked} (password: ***)"


# %% wrong: leaks-behind-a-raw-character | Someone wrote `://`
import re
from urllib.parse import unquote


def mask_url(url):
    if "://" not in url:
        return "***"

    def hide(item):
        return f"{item[1]}=***" if "pass" in unquote(item[1]).lower() else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&]*)", hide, url)
    return re.sub(r"(.*://[^:/]*:).*@", r"\1***@", url, flags=re.DOTALL)


# %% wrong: shows-what-is-no-url | whatever it holds
import re
from urllib.parse import unquote


def mask_url(url):
    if "://" not in url:
        return "no URL"

    def hide(item):
        return f"{item[1]}=***" if "pass" in unquote(item[1]).lower() else item[0]

    url = re.sub(r"([?&][^?&=]*)=([^&]*)", hide, url)
    return re.sub(r"(://[^:/]*:).*@", r"\1***@", url, flags=re.DOTALL)


# %% wrong: returns-no-text | an object of type `int`
def mask_url(url):
    return 10**5000


# %% timed out: Called with
def mask_url(url):
    while True:
        pass
