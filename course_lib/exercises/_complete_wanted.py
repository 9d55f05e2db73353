"""For each rule of the review, the ways to ask an assistant for it: words, code names, and what has to be near them."""

import re
from dataclasses import dataclass
from typing import Literal

TLS = r"\btls\b|\bssl\b|sslmode|encrypt\w*"
SECRET = r"passwords?|credentials?|secrets?|\burls?\b|\bdsn\b|connection strings?|database_url|tokens?"
PLACES = (
    r"\bcode\b|sources?\b|(?:source|python|config\w*|settings|this|the|a) files?\b|defaults?\b|comments?\b|docstrings?|"
    r"repositor\w+|\brepo\b|\bgit\b|hard-?cod\w*|inline|literals?|database\.py|version control|module"
)
BOUND = (
    r"\bbound\w*|(?<!without )(?<!without a )(?<!without any )\blimit\w*|\bcap\b|\bcapped\b|budget|\bat most\b|"
    r"\bmax(?:imum)? (?:number|size|of|\d)|finite|ceiling|"
    r"upper bound|<=|≤|\bsmall\b|\bfixed\b"
)
STARTS = r"work\w*|start\w*|\bruns?\b|answer\w*|usable|valid|out of the box|sqlite|boot\w*"


@dataclass(frozen=True)
class Way:
    """One way to ask for a rule.

    Args:
        main: what is wanted or forbidden, as a pattern over small letters.
        also: patterns that have to be found near it: in the statement, its heading or the sentence before.
        ask: whether `main` has to be wanted ("for"), forbidden ("against"), or only spoken of ("either").
        number: the number behind `main`, if there is one, has to lie between these, in seconds where it is a time.
        zero_is_off: `= 0` behind `main` forbids it.
    """

    main: str
    also: tuple[str, ...] = ()
    ask: Literal["for", "against", "either"] = "for"
    number: tuple[float, float] | None = None
    zero_is_off: bool = False

    def finds(self, text: str) -> list[re.Match[str]]:
        """Where a clause speaks of it, with a number that will do."""
        found = list(re.finditer(self.main, text))
        if self.number is None:
            return found
        low, high = self.number
        return [each for each in found if (value := number_after(text, each.end())) is None or low <= value <= high]


def number_after(text: str, start: int) -> float | None:
    """Return the first number of a text from a place on; minutes and hours in seconds."""
    found = re.search(r"(-?\d[\d_]*(?:\.\d+)?)[\s-]*(ms|milli\w*|min\w*|m\b|h\b|hours?)?", text[start:])
    if found is None:
        return None
    unit = found[2] or "s"
    factor = 0.001 if unit.startswith(("ms", "mil")) else {"m": 60, "h": 3600}.get(unit[0], 1)
    return float(found[1].replace("_", "")) * factor


WANTED: dict[str, tuple[Way, ...]] = {
    "async-driver": (
        Way(r"(?:asyncpg|aiosqlite)(?!'s| calls| takes| names)|create_async_engine|asyncengine|psycopg_async"),
        Way(r"\basync\w*[\s-]+(?:\w+[\s-]+){0,2}?(?:drivers?|engines?|dialects?)"),
        Way(r"(?:drivers?|engines?) (?:(?:is|are|has|have|must|should|to|be|an|a) )+async\w*"),
        Way(r"\bsync\w*[\s-]+(?:\w+[\s-]+){0,2}?(?:drivers?|engines?)|psycopg2|\bcreate_engine\b", ask="against"),
    ),
    "url-forms": (
        Way(
            r"convert\w*|normali[sz]\w*|translat\w*|rewrit\w*|accept\w*|handl\w*|support\w*|turn\w*|pars\w+|work\w*|"
            r"understand\w*|tak(?:e|es|ing)\b|make_url|cop(?:e|es)\b|map\w*|read\w*|\bgoes\b|\ballowed\b|\bvalid\b",
            (
                r"\burls?\b|database_url|postgres://|address|schemes?",
                r"(?:every|any|all|each|whatever)\b(?:[\s-]+[\w']+){0,4}?[\s-]+"
                r"(?:forms?|kinds?|spellings?|shapes?|variants?|urls?|flavou?rs?|schemes?|addresses)\b|"
                r"in whatever (?:form|shape|spelling)",
            ),
        ),
    ),
    "no-credentials": (
        Way(SECRET.replace(r"\burls?\b|", "") + r"|hard-?cod\w*|literals?", (SECRET, PLACES), ask="against"),
        Way(
            SECRET,
            (
                r"environment|env var\w*|\benv\b|os\.environ|secret (?:manager|store)|secrets manager|vault",
                r"\bonly\b|(?:never|not) from|\bno default|without (?:a |any )?default|nowhere|exclusively|"
                r"\balone\b|solely",
            ),
        ),
        Way(r"os\.environ\[|\burl\s*:\s*secretstr\s*$"),
    ),
    "survives-restart": (
        Way(r"pool_pre_ping|pre-?ping\w*|pessimistic|\bping\w*(?: \w+){0,4} (?:before|at|on|first|each|every)\b"),
        Way(
            r"(?:test|check|prob|validat|verif|ping)\w* (?:\w+ ){0,3}?connections? (?:\w+ ){0,3}?"
            r"(?:before|at|on|when|first)\b"
        ),
        Way(r"surviv\w*|recover\w*|succeed\w*|reconnect\w*", (r"restart|fail-?over",)),
        Way(r"\bfail\w*|\berrors?\b", (r"\bfirst\b", r"restart|fail-?over"), ask="against"),
    ),
    "recycles": (
        Way(
            r"pool_recycle|recycl\w*",
            (r"\d|idle|time-?outs?|\bfive\b|\bfour\b|minutes|\bhosts?\b|firewall|load balancer|\bnat\b",),
            number=(1, 300),
        ),
        Way(
            r"(?:replac|renew|refresh|retir)\w* (?:\w+ ){0,5}?connections?|connections? (?:\w+ ){0,6}?(?:replac|renew|"
            r"refresh|retir)\w*",
            (r"idle|minutes|seconds|\bage\b|older",),
            number=(1, 300),
        ),
    ),
    "pool-bounded": (
        Way(r"max_overflow", (r"max_overflow[\"']?\s*(?:=|:|to|of|at)?\s*\d|" + BOUND,), number=(0, 100)),
        Way(r"pool_size\s*(?:\+|plus|and)\s*max_overflow", (BOUND + r"|\d",)),
        Way(r"\bpools?\b(?![\s_-]*(?:time|option|arg))(?:'s)?|\boverflow\b", (BOUND,)),
        Way(
            r"connections",
            (r"(?:budget|at most|limit\w*|cap\w*|max\w*) .*per (?:process|worker|instance)|max_connections",),
        ),
        Way(
            r"unlimited|unbounded|max_overflow[^.;,]{0,20}-1|pool_size\s*=\s*0|grow\w*",
            (r"\bpool|overflow|connections",),
            ask="against",
        ),
    ),
    "pool-arguments": (
        Way(
            r"default (?:database[\s_])?(?:url|address)|sqlite(?:[\s-]+\w+){0,3} (?:(?:as|is|by|the|a) ){0,2}default|"
            r"default\w*(?: [\w-]+){0,4} sqlite|default database\b",
            (STARTS,),
        ),
        Way(
            r"(?:nothing|no setting|no (?:environment|variables?)|no database_url|without (?:any )?settings?)\b",
            (STARTS, r"\bset\b|sett|_url"),
            "either",
        ),
        Way(
            r"(?:pool (?:options|arguments|settings|parameters|keywords|args)|pool_size|engine options|pool_\w+ "
            r"(?:options|arguments))(?!.*\b(?:too|as well)\b)",
            (r"sqlite|static ?pool|in-memory|backends?\b|dialects?\b|takes? them|accepts? them",),
            "either",
        ),
        Way(r"(?:=|getenv|get\().*[\"']sqlite[^\"']*:///"),
    ),
    "pool-timeout": (
        Way(r"pool_timeout|pool[\s-]+time-?outs?|checkout time-?outs?", number=(0.5, 30)),
        Way(
            r"wait\w*(?: \w+){0,5}? (?:for|to get) (?:(?:a|an|one|the|its|free|pooled|database) )*(?:connection|"
            r"checkout)",
            (r"second|\d\s?s\b|(?<!without )(?<!without a )\blimit|\bbound|\bends?\b|time-?out|at most|give up|short",),
            "either",
            number=(0.5, 30),
        ),
        Way(
            r"wait\w*(?: \w+){0,5}? for (?:\w+ ){0,4}?connection",
            (r"for ?ever|endless|without (?:end|limit)",),
            "against",
        ),
    ),
    "tls-kept": (
        Way(
            r"\b(?:keep\w*|kept|preserv\w*|honou?r\w*|retain\w*|respect\w*|enforc\w*|insist\w*|carr(?:y|ies|ied)|"
            r"surviv\w*|stays?|remains?)\b",
            (TLS,),
        ),
        Way(r"(?:requir|use|demand|forc)\w* (?:\w+ ){0,2}?(?:tls|ssl(?!\.\w)|encryption)\b"),
        Way(r"sslmode[\"')\]]*\W+(?:[\w`'\"]+\s+){0,5}?\W*ssl\b(?!\.\w)|\bssl[\"'\]]*\s*[:=]+.{0,40}sslmode"),
        Way(
            r"\btls\b|\bssl\b|sslmode|encryption",
            (
                r"strip\w*|drop\w*|remov\w*|los(?:e|es|ing)|ignor\w*|discard\w*|weaken\w*|downgrad\w*|delet\w*|"
                r"disabl\w*",
            ),
        ),
        Way(
            r"\bused\b",
            (r"(?:tls|ssl|encryption) (?:\w+ ){0,4}?(?:asked|requested|demanded)|asks? for (?:tls|ssl|encryption)",),
        ),
        Way(r"without (?:tls|encryption|ssl)|plain ?text|unencrypted|clear ?text", (TLS,), "against"),
    ),
    "tls-verified": (
        Way(
            r"(?<!sslmode=)\bverif\w*|check_hostname|create_default_context|authenticate\w*",
            (TLS + r"|certificates?|\bca\b|host ?names?|impostors?|verify-full|check_hostname|create_default_context",),
        ),
        Way(r"certificates? (?:\w+ ){0,3}?(?:checked|validated)|(?:check|validat)\w* (?:\w+ ){0,3}?certificates?"),
        Way(r"cert_none|unverified|(?:any|unknown|self-signed) certificates?|impostors?", ask="against"),
    ),
    "echo-off": (
        Way(
            r"\becho\w*|\blog\w*(?: \w+){0,3}? (?:sql|statements?|queries)\b|(?:sql|statement|query)[\s-]+log\w*|"
            r"(?:sql|statements?|queries) (?:\w+ ){0,2}?log\w*",
            ask="against",
        ),
        Way(
            r"\becho\b", (r"default\w*.{0,25}(?:false|off)|(?:false|off).{0,25}default|only (?:if|when|where)|opt-in",)
        ),
    ),
    "session-closes": (
        Way(
            r"clos(?:e|es|ed|ing)\b|async with|context manager|releas\w+|(?:gives?|hands?|returns?|goes|puts?|given) "
            r"(?:\w+ ){0,3}?(?:connections? )?back\b|returns? (?:its|the|every) connections?",
            (r"sessions?\b|get_session|get_db|asyncsession",),
        ),
        Way(
            r"leak\w*|left open|stays? open|leav\w*(?: \w+){0,3} open", (r"sessions?\b|get_session|get_db",), "against"
        ),
    ),
    "session-rolls-back": (
        Way(
            r"roll(?:s|ed|ing)?[\s-]*(?:\w+ ){0,2}?back|rollback|undo\w*|undone|discard\w*|nothing (?:is|was|may be|"
            r"stays|remains)? ?(?:written|stored|saved|left)|writes? nothing",
            (
                r"errors?\b|exceptions?|\bexcept\b|fail\w*|rais\w+|uncommitted|abort\w*|cancel\w*|crash\w*|"
                r"breaks?\b|success",
            ),
        ),
        Way(r"\bhalf\b|half-?\w*|partial\w*", (r"errors?\b|exceptions?|fail\w*|rais\w+|cancel\w*",), "against"),
    ),
    "session-commits": (
        Way(
            r"(?<!\w)commit(?:s|ted|ting)?\b|auto-?commit\w*",
            (r"sessions?\b|dependency|get_session|get_db|surprise|automat\w*|implicit\w*|yield|request|auto-?commit",),
            "against",
        ),
        Way(
            r"(?<!\w)commit(?:s|ted|ting)?\b(?! (?:in|inside|within) (?:the )?(?:session )?(?:dependency|"
            r"get_session|get_db))",
            (
                r"explicit\w*|callers?\b|endpoints?|handlers?\b|routes?\b|themselves|whoever|owns?\b|where the work|"
                r"business|use cases?",
            ),
        ),
    ),
    "session-after-commit": (
        Way(r"expire_on_commit[\"']?\s*[=:]\s*false"),
        Way(r"expire_on_commit|\bexpir(?:e|es|ed|ing|y)\b", (r"commit",), "against"),
        Way(
            r"\b(?:readable|usable|available|accessible|loaded|intact|valid|read|used?|keep\w*|reload\w*|refresh\w*)\b",
            (r"aftercommit|expire_on_commit",),
        ),
        Way(r"missinggreenlet", (r"aftercommit|oncommit",), "either"),
    ),
    "tables-created": (
        Way(
            r"run_sync|create_all|creat\w* (?:\w+ ){0,3}?tables?|tables? (?:\w+ ){0,2}?created?|alembic|migrations?",
            (r"run_sync|\basync\w*|alembic|migrat\w*|engine\.begin",),
        ),
    ),
    "models-imported": (Way(r"\bimport\w*", (r"\bmodels?\b",)), Way(r"\bmodels?\b", (r"loaded|registered|known",))),
    "disposed": (
        Way(r"\bdispos\w*|clos\w+ (?:(?:the|all|its|every|down) )?(?:\w+ )?(?:engine|pool)\b"),
        Way(r"(?:engine|pool) (?:\w+ ){0,3}?(?:closed|shut down)"),
    ),
    "one-engine": (
        Way(
            r"\b(?:one|single|same|1|shared|only)\s+(?:(?!that|which|the|of|for|in|to\b)[\w-]+\s+){0,2}?engines?\b|"
            r"engines?\s+(?:\w+\s+){0,5}?(?:once|shared|singleton|module[\s-]level|global\w*|cached|reused|per "
            r"(?:process|application|app|program|worker))\b|lru_cache|^engine\s*(?::\s*\w+\s*)?=\s*\w*engine\("
        ),
        Way(
            r"engines? (?:\w+ )?(?:per|for each|for every|in each|in every|on each|on every|inside) (?:a )?"
            r"(?:request|call|session|function|query|handler|endpoint)|"
            r"(?:new|another|second|more than one|several|multiple|two) (?:\w+ )?engines?",
            ask="against",
        ),
        Way(r"engines?\b", (r"(?:per|each|every) (?:request|call|session|query)",), "against"),
    ),
    "no-connect-at-import": (
        Way(
            r"connect\w*|\bopen\w*|quer(?:y|ies)|\bi/o\b|side[\s-]effects?|touch\w*|network|talk\w*|database work|"
            r"\bwork\b|contact\w*",
            (r"\bimport\w*|module[\s-]level|module load|load time|loading",),
            "against",
        ),
        Way(
            r"connect\w*(?: \w+){0,4} (?:lazily|(?:at|on|with|in|when|until|during) (?:(?:the|"
            r"its) )?(?:first (?:use|query|checkout)|"
            r"lifespan|start-?up|app\w* starts))|lazy connect\w*|connect\w* lazily|lazily connect\w*"
        ),
    ),
    "pgbouncer-settings": (
        Way(
            r"statement_cache_size|prepared[\s-]+statements?(?: cach\w+)?|statement cach\w*",
            (r"pgbouncer|poolers?\b|transaction[\s-]+(?:mode|pool\w*)",),
            "against",
            zero_is_off=True,
        ),
        Way(r"cache\w*", (r"pgbouncer|poolers?\b", r"statement", r"\b0\b|zero|\boff\b|disabl"), "either"),
    ),
    "no-secrets-printed": (
        Way(
            r"print\w*|\blog(?:s|ged|ging|gable)?\b|show(?:s|n|ing)?\b|display\w*|expos\w*|leak\w*|appear\w*|\brepr\b|"
            r"emit\w*|reveal\w*|dump\w*|output\w*",
            (SECRET,),
            "against",
        ),
        Way(r"secretstr|mask\w*|redact\w*|hide_password|hide_input_in_errors|censor\w*|obfuscat\w*|scrub\w*"),
    ),
}
