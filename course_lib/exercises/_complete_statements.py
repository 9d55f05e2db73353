"""What a text in Markdown asks for: its statements, and for each thing in them whether it is wanted or forbidden."""

import re
from dataclasses import dataclass

# What forbids what comes after it, and what takes the meaning of a word into its opposite.
_NEGATOR = re.compile(
    r"\b(?:no|not|never|none|nothing|nobody|neither|nor|cannot|without|avoid\w*|refus\w*|reject\w*|forbid\w*|forbade|"
    r"prohibit\w*|bann?(?:ed|s)?|free of|instead of|rather than|rarely|seldom|hardly|"
    r"prefer\w* .{1,60}? over|(?:simpler|easier|better|safer|faster|cheaper) than|flag(?:s|ged)?|complain\w*|"
    r"(?:fail\w*|gap|bug|mistake|wrong|bad)\b(?=[^.]*\b(?:if|when|where|any)\b))\b|n't\b|^zero\b"
)
_INVERTER = re.compile(
    r"\b(?:forget\w*|forgot\w*|omit\w*|skip\w*|leav\w+ (?:out|off|away)|drop\w*|strip\w*|disabl\w*|remov\w*|"
    r"(?:switch|turn)\w* off|miss(?:ing|es)?|lack\w*|los(?:e|es|ing)|ignor\w*|weaken\w*|downgrad\w*|delet\w*|"
    r"unset|fail\w* to|neglect\w*|forgo\w*)\b|\breplac\w* (?:the )?$"
)
_AFTER_NEGATOR = re.compile(r"\b(?:before|until|unless)\b")
_NARROW = re.compile(r"instead of|rather than|without")
_COPULA = (
    r"(?:\(\))?(?:[\"'\])`*]*\s*(?::=|=|:|\b(?:is|are|was|be|been|must|should|shall|may|might|can|could|do|does|has|"
    r"have|to|"
    r"stays?|remains?|kept|set|turned|switched|appears?|stands?|belongs?|goes?|ever|also|always|defaults?|by|bool|"
    r"int|float|str|at|all|has to be)\b)[\s\"']*){0,6}[\"'\])`*\s]*"
)
_OFF = (
    r"(?:not|never|no|off|false|none|nowhere|disabled|forbidden|prohibited|banned|absent|optional|un\w*needed|"
    r"unnecessary|useless|needless|superfluous|overkill|harmful|missing|omitted|skipped|dropped|left out|"
    r"out of|avoided)\b"
)
_TRAILING = re.compile(rf"{_COPULA}(?P<off>{_OFF})(?:\s+(?:be\s+)?(?:\w+ly\s+)?(?P<again>\w+(?: out| off)?))?")
_ZERO = re.compile(rf"{_COPULA}(?:0\b|zero\b)")
_CONSEQUENCE = re.compile(r"\b(?:fail|break|error|hang|crash|lost|lose|stale|dead|exception|die|greenlet)\w*")
# "It is not needed": what it says of a thing, wherever the thing stands before it.
POINTLESS = re.compile(
    r"\b(?:is|are) (?:an? )?(?:(?:mere|pure|complete) )?(?:not (?:needed|necessary|required|useful|worth\w*)|"
    r"un(?:needed|"
    r"necessary)|needless|superfluous|overkill|useless|waste|pointless|too (?:slow|new|expensive|much|costly))\b|"
    r"\bneed(?:s)? not be\b|\bneed not\b(?! \w+ed\b)|\bto the garbage collector\b"
)
# "… : leave it off" speaks of what stands before it.
_IT = re.compile(
    r"(?P<not>\b(?:not|never) (?:\w+ )?)?\b(?:(?:leave|turn|switch|keep) (?:it|them|this|that) (?:off|out|away)|"
    r"(?:skip|omit|"
    r"drop|remove|avoid|disable|delete) (?:it|them|this|that)|(?P<order>(?:do not|never) (?:use|set|add|enable|write) "
    r"(?:it|them|this|that)))\b(?! (?:for|on|in|when|if|where|with|unless)\b)"
)
# Headings and first words that forbid what stands below or behind them.
_FORBIDS = re.compile(
    r"\b(?:never|don't|don'ts|do not|avoid\w*|must not|mustn't|forbidden|not allowed|bad|wrong|anti-?patterns?|"
    r"mistakes?|reject\w*|red flags?|gaps?|pitfalls?|refuse\w*|banned|smells?|not like this|not this|no-gos?)\b|[❌✗🚫]"
)
_ALLOWS = re.compile(r"\b(?:dos|always|good|right|fix|instead|better)\b|^\W*do\W*$|\bdo this\b|✅")
_LEAD = re.compile(
    r"(?:❌|✗|🚫|never|don't|do not|avoid|bad|wrong|not allowed|forbidden|must not|anti-?pattern|reject|no)"
    r"(?: (?:do|use|write|accept|this|these|it|ever))*"
)
_IMPERATIVES = (
    "always|set|use|keep|make|turn|call|recycle|dispose|roll|import|let|give|ask|never|don't|do not|no|pass|bound|"
    "limit|cap|put|close|commit|verify|mask|create|read|take|write|convert|accept|leave"
)
_CLAUSES = re.compile(
    r"(?<=[.!?;])\s+|;|\s+[-–—]+\s+|(?<!\()\)|,?\s+(?:but|because|since|so that|so|then|while|whereas|otherwise|"
    r"else|which)"
    rf"\s+|,\s+(?=and\s)|\s+and\s+(?=(?:{_IMPERATIVES})\b)|,\s+(?=(?:{_IMPERATIVES})\b)(?!.*\b(?:or|nor)\b)"
    r"|,\s+(?![^,]*(?:,[^,]*)*\b(?:or|nor)\b)"
)
_SENTENCES = re.compile(r"(?<=[.!?])\s+(?=\S)")
_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+(?:\[[ x]\]\s*)?(.*)")
_REWRITTEN = (
    (r"[‘’]", "'"),
    (r"\bcan(?:not|'t)\b", "can not"),
    (r"\bwon't\b", "will not"),
    (r"n't\b", " not"),
    (r"\bnot (?:only|just|merely)\b", "also"),
    (r"\b(?:no|not) (?:more|longer|later|greater|higher|larger|bigger) than\b|\b(?:not|never) exceed\w*", "at most"),
    (r"\b(?:not|n't|never) (?:above|over|beyond)\b", "at most"),
    (r"\bwhether or not\b|\bno matter\b|\bnothing but\b", " "),
    (r"\bwhat(?:ever)?\b[^.,;:]{0,40}?(?:\bnot\b|n't\b|\bnever\b) (?:\w+ ){0,2}?commit(?:ted)?\b", "the uncommitted"),
    (r"(?:\b(?:was|were|is|are|has|have)\s+)?\bnot (?:yet |been )*committed\b", "uncommitted"),
    (r"\b(?:after|once|following|upon) (?:[\w']+ ){0,3}?commit(?:s|ted)?\b(?:\(\))?", "aftercommit"),
    (r"\b(?:on|at) (?:each |every |a |the )?commit\b", "oncommit"),
    (r"\bnever,? ever\b", "never"),
)


@dataclass(frozen=True)
class Clause:
    """A part of a statement in which a negation reaches everything behind it."""

    text: str
    flipped: bool  # what stands above or before it forbids what it says


@dataclass(frozen=True)
class Statement:
    """A sentence, a bullet, a row of a table or a paragraph of code."""

    clauses: tuple[Clause, ...]
    around: str  # the statement with its heading, its introduction and the sentence before it
    own: str
    question: bool
    shown: str  # as it was written


def plain(text: str) -> str:
    """Return the text in small letters, with the phrases rewritten whose negation is none."""
    text = text.lower()
    for pattern, by in _REWRITTEN:
        text = re.sub(pattern, by, text)
    return text


def statements(markdown: str) -> list[Statement]:
    """Return all that a text in Markdown states, in its order; its front matter is left out."""
    found: list[Statement] = []
    lines = re.sub(r"\A\s*---\n.*?\n---\n", "", markdown.replace("\r\n", "\n"), flags=re.DOTALL).split("\n")
    reader = _Reader(found)
    for line in [*lines, ""]:
        reader.read(line)
    reader.end_block()
    return found


class _Reader:
    """Goes through the lines and puts together what belongs together."""

    def __init__(self, found: list[Statement]) -> None:
        self.found = found
        self.heading = self.lead = ""
        self.block: list[str] = []
        self.kind = "text"
        self.columns: list[str] = []
        self.fence = ""

    def read(self, line: str) -> None:
        if self.fence:
            if line.strip().startswith(self.fence):
                self.end_block()
                self.fence, self.kind = "", "text"
            elif line.strip():
                self.block.append(line)
            else:
                self.end_block()
            return
        item = _ITEM.fullmatch(line)
        if mark := re.match(r"\s*(```+|~~~+)", line):
            self.end_block()
            self.fence, self.kind = mark[1], "code"
        elif heading := re.match(r"(#+)\s+(.*)", line):
            self.end_block()
            self.lead = ""
            self.heading = "" if len(heading[1]) == 1 else _unmarked(heading[2])
            self.add(_unmarked(heading[2]), heading[2], forbidden=False, around="")
        elif line.strip().startswith("|"):
            self.row([_unmarked(cell) for cell in line.strip().strip("|").split("|")])
        elif item:
            self.end_block()
            self.kind, self.block = "item", [item[1]]
        elif not line.strip():
            self.end_block()
            self.columns = []
        elif self.block or not line.startswith("    "):
            self.block.append(line.strip())
        else:  # code by indentation
            self.code([line[4:]])

    def end_block(self) -> None:
        block, self.block = self.block, []
        if not block:
            return
        if self.kind == "code":
            self.code(block)
            return
        text = " ".join(block)
        is_item, self.kind = self.kind == "item", "text"
        if not is_item:
            self.lead = ""
        before = ""
        for sentence in _SENTENCES.split(text):
            said = _unmarked(sentence)
            self.add(said, sentence, forbidden=self.forbids(said), around=f"{self.heading} {self.lead} {before}")
            before = said
        if not is_item and text.rstrip("*_ ").endswith(":"):
            self.lead = _unmarked(text)

    def row(self, cells: list[str]) -> None:
        if all(re.fullmatch(r"\s*:?-+:?\s*", cell) for cell in cells):
            return
        if not self.columns:
            self.columns = cells
            return
        forbidding = [_forbids(column) for column in [*self.columns, *[""] * len(cells)]]
        clauses = [
            Clause(clause.text, clause.flipped or forbids)
            for cell, forbids in zip(cells, forbidding, strict=False)
            for clause in _clauses(cell.strip(), self.forbids(cell.strip()))
        ]
        own = " | ".join(cells)
        asks = any(cell.strip().endswith("?") for cell in cells)
        self.found.append(Statement(tuple(clauses), f"{self.heading} {self.lead} {own}", own, asks, own))

    def code(self, lines: list[str]) -> None:
        chunk = plain("\n".join(lines))
        forbidden = _forbids(self.heading) or _forbids(self.lead)
        clauses: list[Clause] = []
        for line in chunk.split("\n"):
            statement, _, comment = line.partition("#")
            wrong = forbidden or bool(comment and re.match(r"\s*(?:never|bad|wrong|don't|not|❌)\b", comment))
            if statement.strip():
                clauses.append(Clause(statement.rstrip(), wrong))
            if comment.strip():
                clauses += _clauses(comment.strip(), forbidden)
        self.found.append(Statement(tuple(clauses), f"{self.heading} {self.lead} {chunk}", chunk, False, lines[0]))

    def add(self, said: str, shown: str, *, forbidden: bool, around: str) -> None:
        if said:
            clauses = tuple(_clauses(said, forbidden))
            asks = said.rstrip().endswith("?")
            self.found.append(Statement(clauses, f"{around} {said}", said, asks, shown.strip()))

    def forbids(self, said: str) -> bool:
        """Whether the heading or the introduction forbids this, which doesn't forbid anything by itself."""
        if re.match(r"(?:don't|do not|never|avoid)\b", said):
            return False
        return _forbids(self.lead) or _forbids(self.heading)


def _forbids(words: str) -> bool:
    return bool(_FORBIDS.search(words)) and not _ALLOWS.search(_FORBIDS.sub(" ", words))


def _unmarked(text: str) -> str:
    """Return the text without Markdown's signs, in small letters."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return plain(re.sub(r"\*\*|`|(?<!\w)[*_](?=\w)|(?<=\w)[*_](?!\w)|^\s*>\s*", "", text)).strip()


def _clauses(text: str, forbidden: bool) -> list[Clause]:
    if sign := re.match(r"[❌✗🚫]\s*", text):
        text, forbidden = text[sign.end() :], not forbidden
    left, colon, right = text.partition(": ")
    if colon and not re.match(r"(?:true|false|off|on|no|yes|bool|int|float|str|\d)\b", right.lstrip()):
        lead = _LEAD.fullmatch(left.strip(" *:-"))
        after = _clauses(right, forbidden != bool(lead))
        return after if lead else [*_clauses(left, forbidden), *after]
    return [Clause(part, forbidden) for part in _CLAUSES.split(text) if part and part.strip()]


def forbidden(clause: Clause, at: re.Match[str], statement: Statement, *, zero_is_off: bool = False) -> bool:
    """Whether what was found in a clause is forbidden there, by the words around it.

    Two negations make a demand: "never leave out pre-ping".
    """
    before, after = clause.text[: at.start()], clause.text[at.end() :]
    count = int(clause.flipped) + len(re.findall(r"\b(?:not|never)\b", at[0]))
    negators = list(_NEGATOR.finditer(before))
    for each in negators:
        if _NARROW.fullmatch(each[0]):
            if len(before[each.end() :].split()) > 3:
                continue
            if each[0] == "without" and _CONSEQUENCE.search(statement.own, statement.own.find(clause.text)):
                continue  # "without it, the first query fails" asks for it
        count += 1
    count += len(_INVERTER.findall(before))
    if negators:
        count += len(_AFTER_NEGATOR.findall(before, negators[0].end()))
    if trailing := _TRAILING.match(after):
        again = trailing["again"] or ""
        count += 1 + bool(_INVERTER.match(again) or re.match(_OFF, again) or again.startswith("left"))
    elif (zero_is_off and _ZERO.match(after)) or POINTLESS.search(after):
        count += 1
    if (start := statement.own.find(clause.text)) >= 0 and (it := _IT.search(statement.own, start + at.end())):
        count += not it["not"]
    return count % 2 == 1
