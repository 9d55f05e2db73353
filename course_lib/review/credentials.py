"""The rule no-credentials: passwords in code, defaults, comments and docstrings, found in tokens and syntax tree."""

import ast
import io
import re
import tokenize

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://(?P<user>[^\s:/@\"'<>]*):(?P<password>[^\s/\"']*)@(?P<host>[^\s/\"'?]*)")
_SECRET_NAME = re.compile(r"(password|passwd|passphrase)$|(^|_)(pass|pw|pwd)$", re.IGNORECASE)
_IN_COMMENT = re.compile(
    r"\b(?:\w*_)?(?:password|passwd|pwd|pw)\b\s*[:=]\s*(?P<value>\"[^\"]*\"|'[^']*'|[^\s,;)]+)", re.I
)
_PLACEHOLDER = re.compile(
    r"^(pass(word|wd)?|pw|pwd|secret|my_?pass(word)?|your[-_ ]?\w*|change[-_ ]?(me|this|it)\w*|x{2,}|\*+|\.{2,}|…+|"
    r"<.*>|\$.*|%.*|\{.*\}|"
    r"\[.*\]|none|null|redacted|hidden|str|string|secretstr|\?+|to[-_ ]?be\w*|todo|placeholder|\w+\.\w+.*|\w+\(.*)$",
    re.IGNORECASE,
)


def credentials_in(text: str, tree: ast.Module) -> list[tuple[int, str]]:
    """Return the lines with credentials, each with what it is, in words and without the credential itself."""
    docstrings = _docstrings(tree)
    found: dict[int, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) in docstrings:
                for offset, line in enumerate(node.value.splitlines()):
                    if _prose_holds_one(line):
                        found.setdefault(node.lineno + offset, "a docstring with a password")
            elif _url_with_password(node.value, in_prose=False):
                found.setdefault(node.lineno, "a URL with a password")
        elif isinstance(node, ast.JoinedStr) and _fixed_in_fstring(node):
            found.setdefault(node.lineno, "a URL with a password")
        for number, name in _named_values(node):
            found.setdefault(number, f"a value for {name!r}")
    for number, comment in _comments(text):
        if _prose_holds_one(comment):
            found.setdefault(number, "a comment with a password")
    return sorted(found.items())


def _docstrings(tree: ast.Module) -> set[int]:
    """Strings that stand alone: docstrings, and what is written as a comment in quotes."""
    return {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def _comments(text: str) -> list[tuple[int, str]]:
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError, IndentationError):
        return []
    return [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]


def _url_with_password(text: str, *, in_prose: bool) -> bool:
    for match in _URL.finditer(text):
        password = match["password"]
        if not password or re.fullmatch(r"\{.*\}|%s|%\(\w+\)s|\$\{?\w+\}?|\*+|<.*>", password):
            continue
        if in_prose and _PLACEHOLDER.match(password):
            continue
        return True
    query = re.search(r"://\S*[?&]password=(?P<password>[^&\s\"']+)", text)
    return bool(query and not _PLACEHOLDER.match(query["password"]))


def _prose_holds_one(line: str) -> bool:
    if _url_with_password(line, in_prose=True):
        return True
    without_urls = re.sub(r"\S+://\S+", "", line)
    for match in _IN_COMMENT.finditer(without_urls):
        value = match["value"].strip("\"'`.,")
        quoted = match["value"][0] in "\"'"
        # "password: the role's password" is prose; "password = hunter2" and "PASSWORD: s3cret" are values.
        looks_like_one = quoted or "=" in match[0] or re.search(r"\d|[!@#%^&]", value)
        if value and looks_like_one and not _PLACEHOLDER.match(value):
            return True
    return False


def _fixed_in_fstring(node: ast.JoinedStr) -> bool:
    text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return _url_with_password(text, in_prose=False)


def _named_values(node: ast.AST) -> list[tuple[int, str]]:
    """Strings given to a name that means a password: assigned, as an argument, a default, a key, a fallback."""
    pairs: list[tuple[str | None, ast.expr | None]] = []
    if isinstance(node, ast.Assign):
        pairs += [(_name(target), node.value) for target in node.targets]
    elif isinstance(node, ast.AnnAssign):
        pairs.append((_name(node.target), node.value))
    elif isinstance(node, ast.keyword):
        pairs.append((node.arg, node.value))
    elif isinstance(node, ast.Dict):
        keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
        pairs += [(key, value) for key, value in zip(keys, node.values, strict=True) if isinstance(key, str)]
    elif isinstance(node, ast.arguments):
        plain = [*node.posonlyargs, *node.args]
        if node.defaults:
            pairs += [(one.arg, value) for one, value in zip(plain[-len(node.defaults) :], node.defaults, strict=True)]
        pairs += [(one.arg, value) for one, value in zip(node.kwonlyargs, node.kw_defaults, strict=True)]
    elif isinstance(node, ast.Call) and _called(node) == "URL.create" and len(node.args) >= 3:
        pairs.append(("password", node.args[2]))
    elif isinstance(node, ast.Call) and len(node.args) >= 2 and isinstance(node.args[0], ast.Constant):
        # os.getenv("DB_PASSWORD", "…"), os.environ.get, config("DB_PASSWORD", "…")
        name = node.args[0].value
        pairs.append((name if isinstance(name, str) else None, node.args[1]))
    found = []
    for name, value in pairs:
        if name and _SECRET_NAME.search(name) and value is not None:
            found += [(text.lineno, name) for text in _strings(value)]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        name = node.args[0].value
        if isinstance(name, str) and _SECRET_NAME.search(name):  # config("DB_PASSWORD", default="…")
            found += [
                (text.lineno, name) for one in node.keywords if one.arg == "default" for text in _strings(one.value)
            ]
    return found


def _strings(value: ast.expr) -> list[ast.Constant]:
    """The fixed, non-empty strings that a value can be: itself, wrapped (`SecretStr`, `Field`), or a fallback."""
    if isinstance(value, ast.Constant):
        return [value] if isinstance(value.value, str) and _could_be_one(value.value) else []
    if isinstance(value, ast.Call) and _called(value).rpartition(".")[2] in (
        "SecretStr",
        "Field",
        "str",
        "quote",
        "quote_plus",
    ):
        keyword = [one.value for one in value.keywords if one.arg == "default"]
        return [text for each in (*value.args[:1], *keyword) for text in _strings(each)]
    if isinstance(value, ast.BoolOp):
        return [text for each in value.values for text in _strings(each)]
    return []


def _could_be_one(text: str) -> bool:
    return bool(text.strip()) and not re.fullmatch(r"\*+|<.*>|\$\{?\w+\}?|\{.*\}|%\(?\w*\)?s", text)


def _name(target: ast.expr) -> str | None:
    if isinstance(target, ast.Name):
        return target.id
    if isinstance(target, ast.Attribute):
        return target.attr
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        return str(target.slice.value)
    return None


def _called(node: ast.Call) -> str:
    return ast.unparse(node.func)
