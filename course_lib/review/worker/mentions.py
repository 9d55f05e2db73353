"""What the functions of a file lead to, by the names in its source."""

import ast


class Source:
    """What each function of a file leads to, by the names that it calls, directly or through others of the file."""

    def __init__(self, text: str) -> None:
        self.mentions: dict[str, set[str]] = {}
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self.mentions[node.name] = _names(node)
            elif isinstance(node, ast.ClassDef):
                for part in node.body:
                    if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                        self.mentions[f"{node.name}.{part.name}"] = _names(part)

    def leads_to(self, definition: str, wanted: set[str]) -> bool:
        """Whether a function mentions one of these names, or calls one of the file that does."""
        seen: set[str] = set()
        todo = [definition]
        while todo:
            current = todo.pop()
            if current in seen:
                continue
            seen.add(current)
            names = self.mentions.get(current, set())
            if names & wanted:
                return True
            owner = current.rpartition(".")[0]
            todo += [name for name in names if name in self.mentions]
            todo += [f"{owner}.{name}" for name in names if owner and f"{owner}.{name}" in self.mentions]
        return False


def _names(node: ast.AST) -> set[str]:
    found = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return found | {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
