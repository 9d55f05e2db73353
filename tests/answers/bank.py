"""The answer bank: for each exercise, answers that are right, wrong, broken or endless, and what each must get.

One file per exercise, ``tests/answers/<lesson>/<question>.py``, with an answer per part. A part begins with a line
that says what it is and what it must get:

    # %% right: parses the URL
    # %% wrong: keeps-sslmode | a fragment of the message
    # %% error: a fragment of the message or the traceback
    # %% timed out: a fragment of the message

``wrong`` names the misconception that the check must recognise (``-`` for a wrong answer without a name). Each part
stands alone, with its imports, as the answer cell of a notebook does. The starter and the solution are not repeated
here: they are read from the lesson.
"""

import ast
import inspect
import linecache
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_lib.exercises.core import Exercise, Outcome, Status
from course_lib.lessons import cell_source

FOLDER = Path(__file__).parent
_PART = re.compile(r"^# %% (right|wrong|error|timed out): (.+)$", re.MULTILINE)
_STATUS: dict[str, Status] = {
    "right": "correct",
    "wrong": "not_yet",
    "error": "error",
    "timed out": "timed_out",
}


@dataclass(frozen=True)
class Answer:
    """An answer and what its check must say.

    Args:
        lesson: module name of the exercise, such as "url_conversion".
        question: such as "q1".
        title: what kind of answer it is.
        source: the answer cell.
        status: the verdict that it must get.
        misconception: the id that it must get, or None.
        fragment: text that the feedback must hold.
    """

    lesson: str
    question: str
    title: str
    source: str
    status: Status
    misconception: str | None = None
    fragment: str = ""

    def __str__(self) -> str:
        return f"{self.lesson}.{self.question}: {self.title}"


def answers(lesson: str, exercise: Exercise) -> list[Answer]:
    """All answers of one exercise: its starter, its solution, and what its file in the bank holds."""
    found = []
    for role, status in (("starter", "not_attempted"), ("solution", "correct")):
        source = cell_source(exercise.id, role)
        assert source is not None, f"{exercise.id} has no {role} cell"
        found.append(Answer(lesson, exercise.name, role, source, status))
    path = FOLDER / lesson / f"{exercise.name}.py"
    assert path.exists(), f"exercise {exercise.id} has no answer bank: {path.relative_to(FOLDER)}"
    text = path.read_text(encoding="utf-8")
    parts = list(_PART.finditer(text))
    ends = [part.start() for part in parts[1:]] + [len(text)]
    for part, end in zip(parts, ends, strict=True):
        kind, label = part[1], part[2].strip()
        first, _, second = (piece.strip() for piece in label.partition("|"))
        named = kind == "wrong"
        found.append(
            Answer(
                lesson,
                exercise.name,
                f"{kind}: {label}",
                text[part.end() : end].strip("\n") + "\n",
                _STATUS[kind],
                misconception=first if named and first != "-" else None,
                fragment=second if named else first if kind != "right" else "",
            )
        )
    return found


async def run(answer: Answer, exercise: Exercise) -> Outcome:
    """Run an answer cell and then the lesson's own check cell, as a kernel would, in a fresh namespace."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    await run_cell(answer.source, f"<{answer}>", namespace)
    check = cell_source(exercise.id, "check")
    assert check is not None, f"{exercise.id} has no check cell"
    outcome = await run_cell(check, "<check>", namespace)
    assert isinstance(outcome, Outcome), (
        f"the check cell of {exercise.id} must end with: await {exercise.name}.check(...)"
    )
    return outcome


async def run_cell(source: str, filename: str, namespace: dict[str, Any]) -> Any:
    """Execute a cell with top-level await; the value of its last line, if that is an expression."""
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    tree = ast.parse(source, filename)
    last = ast.Expression(tree.body.pop().value) if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    for statement in tree.body:  # one at a time, as IPython does
        value = eval(compile(ast.Module([statement], []), filename, "exec", flags=flags, dont_inherit=True), namespace)
        if inspect.isawaitable(value):
            await value
    if last is None:
        return None
    value = eval(compile(last, filename, "eval", flags=flags, dont_inherit=True), namespace)
    return await value if inspect.isawaitable(value) else value
