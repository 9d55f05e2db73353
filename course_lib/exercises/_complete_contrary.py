"""For each rule of the review, how a line asks an assistant for its opposite."""

import re

from course_lib.exercises._complete_statements import POINTLESS, Statement, forbidden
from course_lib.exercises._complete_wanted import Way

# An exception to a rule is none to its use: "don't rely on pool_pre_ping alone", "echo=True only in development".
_QUALIFIED = re.compile(
    r"\b(?:alone|only|unless|if|when|where|with|for|on|as|in|means|makes|gives|logs|would|dev\w*|debug\w*|sqlite|"
    r"instead|because|rely|inside|before|until|per|each|every|without)\b"
)
_NAMED = re.compile(
    r"pool_pre_ping|pre-?ping|recycl|expire_on_commit|run_sync|dispos|asyncpg|roll|clos|\bimport|create_default_context"
)
# No pattern holds a word that forbids, so that "never print the URL" is read as what it is.
_LINES: dict[str, str] = {
    "async-driver": r"\b(?:prefer|use|stay with|switch to|take) (?:\w+ )?(?:psycopg2\b|create_engine\b|(?:a |the "
    r")?sync\w* "
    r"engines?)",
    "url-forms": r"\b(?:accept|support|handle)s? (?:only )?(?:one|a single) (?:form|kind|spelling)",
    "no-credentials": r"\b(?:put|store|keep|write|place|hard-?code) (?:(?:the|a|your|all) )?(?:password|credential|"
    r"secret)s? "
    r"(?:in|into|as)\b(?! (?:\w+ )?(?:env|\.env|vault|secret|settings))(?=.*(?:code|source|default|comment|repositor))|"
    r"\b(?:passwords?|credentials?) (?:may|can) stand in\b|^hard-?code (?:the )?(?:password|credential|secret)s?\b",
    "survives-restart": r"pool_pre_ping\W*(?:[=:]|\bto\b)\W*false|\b(?:skip|omit|drop|remove|disable|leave (?:out|"
    r"off)) "
    r"(?:the )?(?:pool_pre_ping|pre-?ping)",
    "recycles": r"pool_recycle\W*(?:[=:]|\bto\b)\s*(?:-1|[4-9]\d\d|3[1-9]\d|30[1-9]|[1-9]\d{3,})\b",
    "pool-bounded": r"max_overflow\W*(?:[=:]|\bto\b)\s*(?:-1|\d{3,})\b|pool_size\W*(?:[=:]|\bto\b)\s*(?:0|\d{3,})\b|"
    r"\b(?:let|allow)\b.*\b(?:without (?:a |any )?limit|unlimited)",
    "pool-timeout": r"pool_timeout\W*(?:[=:]|\bto\b)\s*(?:none|0(?!\.)|[4-9]\d|3[1-9]|\d{3,})\b|"
    r"\blet\b.*\bwait\b.*\bfor ?ever",
    "tls-kept": r"\b(?:drop|strip|remove|delete|discard|ignore) (?:the )?(?:sslmode|tls|ssl)\b|sslmode=disable",
    "tls-verified": r"cert_none|check_hostname\W*(?:=|\bto\b)\s*false|\b(?:turn off|switch off|skip|disable) (?:\w+ "
    r"){0,2}"
    r"verif\w*",
    "echo-off": r"echo\W*(?:=|\bto\b)\s*true|\b(?:turn|switch) echo on\b|\balways echo\b|\blog all (?:sql "
    r")?(?:statements|queries)|"
    r"\becho is on by default",
    "session-closes": r"\bleave (?:the |each |every )?sessions? open|\bsessions? stays? open",
    "session-commits": r"\b(?:get_session|get_db|dependency) (?:(?!that|which|who)\w+ ){0,2}?commits?\b|"
    r"\bcommit in (?:the )?(?:session )?(?:dependency|get_session|get_db)",
    "session-after-commit": r"expire_on_commit\W*(?:[=:]|\bto\b|\bat\b)\s*(?:true|its default)",
    "disposed": r"\b(?:skip|omit|drop|leave out) (?:the )?(?:engine\.)?dispos",
    "one-engine": r"\b(?:create|make|build|open|use)s? (?:a |an )?(?:new )?engines? (?:for|per|in|on) (?:each |"
    r"every |a )?"
    r"(?:request|call|session|query)|\bengine per (?:request|call|session|query) is\b(?! (?:bad|wrong|a))",
    "no-connect-at-import": r"\bconnect (?:at|on|during) import\b|\bconnect when (?:\w+ ){1,3}is imported|"
    r"\bcreate_all (?:at|on|during|when) .*import",
    "pgbouncer-settings": r"\bkeep (?:the )?(?:prepared statements|statement cache) on\b|"
    r"statement_cache_size\W*(?:=|\bto\b)\s*"
    r"[1-9]",
    "no-secrets-printed": r"\b(?:print|log|show) (?:the )?(?:(?:full|whole|complete|database) )*(?:password|url|"
    r"credential|secret)s?\b"
    r"(?!.*(?:mask|redact|hid|\*\*\*))",
}
_ORDERS = re.compile(r"(?:please )?(?:never|do not|avoid|(?:there is )?no need (?:for|to)|no)\b")


def is_contrary(rule: str, ways: tuple[Way, ...], statement: Statement) -> bool:
    """Whether a statement tells the assistant to do the opposite, without an "if" or an "only"."""
    if statement.question:
        return False
    for clause in statement.clauses:
        for found in re.finditer(_LINES[rule], clause.text) if rule in _LINES else ():
            rest = f"{clause.text[: found.start()]} {clause.text[found.end() :]}"
            if not _QUALIFIED.search(rest) and not forbidden(clause, found, statement):
                return True
        order = _ORDERS.match(clause.text)
        if _QUALIFIED.search(clause.text, order.end() if order else 0):
            continue
        for way in ways:
            if way.ask != "for" or not all(re.search(each, clause.text) for each in way.also):
                continue
            for found in re.finditer(way.main, clause.text):
                ordered = order or POINTLESS.search(clause.text, found.end())
                if ordered and _NAMED.search(found[0]) and forbidden(clause, found, statement):
                    return True
    return False
