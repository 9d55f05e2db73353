"""What lesson 02's check of a mask tries: invented URLs, what must not be left of them, and what must."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from course_lib.exercises._url_mistakes import text_of
from course_lib.exercises.core import AnswerError, Case, NotYet, ask
from course_lib.exercises.tracebacks import one_line

_BASE = "postgresql+asyncpg://app:7Qx-example-Zk9@db.internal:5432/shop"
# What is left of the invented password: its middle, or an end that a half-hearted mask keeps.
_ENDS = ("example", "7", "9", "Qx", "Zk")
_LEAKS = "A log with this line holds the password, or a part of it. "


class Leak(NamedTuple):
    """A text, what must not be readable afterwards, and which misunderstanding it finds."""

    given: str
    misconception: str
    advice: str
    secrets: tuple[str, ...] = _ENDS


_SPELLINGS = "The name of a parameter may be written in another way: compare `unquote(name).lower()`."
_RAW_AT = (
    "Someone wrote an `@` into the password without encoding it. SQLAlchemy ends the password at the first `@`, so its "
    "`***` does too. For a log, let the password end at the last one."
)
_RAW_AT_IN_USER = (
    "The user holds an `@`. Let the password begin at the first `:` behind `://`, and end at the last `@`."
)
_RAW_OTHER = (
    "Someone wrote `{}` into the password without encoding it. Only the last `@` ends the password: let your pattern "
    "take everything up to it."
)
_NO_URL = "This text is no URL, so nobody can tell where its password ends. Without `://`, return `***` alone."
_NOT_ALONE = "This text is no URL. Return `***` alone for it, whatever it holds."
_UNCHANGED = "There is no password in this URL, so it comes back as it is, with nothing added and nothing taken away."
_QUERY = "The password stands in the query, as `password=…`."
_VALUE_END = "The value of a parameter ends at the next `&`, whatever else stands in it."
_TWO = "Two parameters hold a password here: mask each of them."
LEAKS = [
    Leak(
        _BASE,
        "leaks-the-password",
        "Replace all that stands between the user's colon and the `@`; its ends are parts of it as well.",
    ),
    Leak(
        "postgresql://app:7Qx%40example%2FZk9@db.internal/shop",
        "leaks-the-encoded-password",
        "`url.password` is decoded, and the text holds the encoded form: looking for one in the other finds nothing.",
    ),
    Leak(
        "postgresql://db.internal/shop?user=app&password=7Qx-example-Zk9&application_name=web",
        "leaks-the-query-password",
        _QUERY,
    ),
    Leak(f"{_BASE}?password=7Qx-example-Zk9&application_name=web", "leaks-the-query-password", _QUERY),
    *(
        Leak(f"postgresql://db.internal/shop?password=7Qx{raw}example{raw}Zk9", "leaks-the-query-password", _VALUE_END)
        for raw in "=#?/"
    ),
    Leak("postgresql://app:7Qx@example@Zk9@db.internal/shop", "leaks-behind-a-raw-at", _RAW_AT),
    Leak(
        "postgresql://app:7Qx-example-Zk9@db1.internal:5432,db2.internal:5432/shop",
        "leaks-the-password",
        "`make_url` can't read a list of hosts, but the password in it is a password.",
    ),
    *(
        Leak(f"postgresql://app:7Qx{raw}example{raw}Zk9@db.internal/shop", "leaks-behind-a-raw-character", advice)
        for raw, advice in [(each, _RAW_OTHER.format(each)) for each in (*"/:?#&=% +[]", "://")]
    ),
    Leak("postgresql://app:7Qx/example@Zk9@db.internal/shop", "leaks-behind-a-raw-at", _RAW_AT),
    Leak("postgresql://me@corp:7Qx-example-Zk9@db.internal/shop", "leaks-behind-a-raw-at", _RAW_AT_IN_USER),
    *(
        Leak(f"postgresql://db.internal/shop?{name}=7Qx-example-Zk9", "leaks-another-spelling", _SPELLINGS)
        for name in ("Password", "p%61ssword", "sslpassword", "passphrase")
    ),
    Leak(
        "postgresql://db.internal/shop?password=7Qx-example-Zk9&user=app&sslpassword=7Qx-example-Zk9",
        "leaks-the-query-password",
        _TWO,
    ),
    Leak("host=db user=app password=7Qx-example-Zk9", "leaks-what-is-no-url", _NO_URL),
    Leak("app:7Qx-example-Zk9@db.internal/shop", "leaks-what-is-no-url", _NO_URL),
    Leak("7Qx-example-Zk9", "leaks-what-is-no-url", _NO_URL),
    Leak("", "leaks-what-is-no-url", "", secrets=()),
    Leak(
        "postgresql://app:7Qx\nexample\nZk9@db.internal/shop",
        "leaks-behind-a-raw-character",
        "A line break got into the password. In a pattern `.` stops there, unless you give `flags=re.DOTALL`.",
    ),
]
_WITHOUT = [
    "postgresql+asyncpg://app@db.internal/shop",
    "postgresql://db.internal:5432/shop",
    "postgresql://app@db.internal:5432/shop?application_name=web",
    "postgresql://app@db.internal/shop?application_name=compass",
    "sqlite:////srv/app.db",
]
_SAME_WORD = "postgresql://example:example@db.internal/shop"
_KEPT = [
    (_SAME_WORD, ["postgresql://example", "@db.internal/shop"]),
    (_BASE, ["postgresql+asyncpg://app", "@db.internal:5432/shop"]),
    (f"{_BASE}?password=7Qx-example-Zk9&application_name=web", ["+asyncpg://app", "@db.internal:5432/shop", "=web"]),
    (LEAKS[2].given, ["postgresql://", "db.internal/shop", "user=app", "application_name=web"]),
    *((each, [each]) for each in _WITHOUT),
]


async def judge_mask(mask_url: Callable[[str], str | Awaitable[str]]) -> None:
    """Is no secret left, is all else still there, and does nothing stop the log?

    Raises:
        NotYet: a part of a password is left, something else is gone, or the function raised.
    """
    await _masked(mask_url, _BASE)  # an exception here is an error in the code, not a misunderstanding
    for given in (*_WITHOUT, *(each.given for each in LEAKS)):
        try:
            await _masked(mask_url, given)
        except NotYet:
            raise
        except Exception as error:
            cause = error.__cause__ if isinstance(error, AnswerError) and error.__cause__ else error
            without = given in _WITHOUT
            raise NotYet(
                "There is no password in this URL, and your function raised. A URL without one is logged as it is."
                if without
                else "Your function raised, and a log line must not stop a program. Mask what you can't read.",
                misconception="breaks-without-a-password" if without else "breaks-on-an-unreadable-url",
                case=Case(repr(given), "text", one_line(cause), made_up=True),
            ) from error
    for leak in LEAKS:
        got = await _masked(mask_url, leak.given)
        if any(secret in got for secret in leak.secrets):
            case = Case(repr(leak.given), "no part of the password", repr(got), made_up=True)
            raise NotYet(_LEAKS + leak.advice, misconception=leak.misconception, case=case)
    got = await _masked(mask_url, _SAME_WORD)
    if ":example@" in got:
        raise NotYet(
            "User and password are the same word here, and the user was masked in the password's place. Find the place "
            "of the password, not its text.",
            misconception="masks-only-the-first",
            case=Case(repr(_SAME_WORD), "'postgresql://example:***@db.internal/shop'", repr(got), made_up=True),
        )
    for given, pieces in _KEPT:
        got = await _masked(mask_url, given)
        if missing := [piece for piece in pieces if piece not in got]:
            raise NotYet(
                "More than the password is gone. Whoever reads the log wants to see which user, host and database it "
                "was.",
                misconception="hides-other-parts",
                case=Case(repr(given), f"a text with {' and '.join(map(repr, missing))}", repr(got), made_up=True),
            )
        if given in _WITHOUT and got != given:
            case = Case(repr(given), repr(given), repr(got), made_up=True)
            raise NotYet(_UNCHANGED, misconception="changes-a-url-without-a-password", case=case)
    for given in (leak.given for leak in LEAKS if leak.given and "://" not in leak.given):
        if (got := await _masked(mask_url, given)) != "***":
            case = Case(repr(given), "'***'", repr(got), made_up=True)
            raise NotYet(_NOT_ALONE, misconception="shows-what-is-no-url", case=case)


async def _masked(mask_url: Callable[[str], str | Awaitable[str]], given: str) -> str:
    got = await ask(mask_url, given, given=repr(given), made_up=True)
    return text_of(got, lambda shown: Case(repr(given), "text", shown, made_up=True))
