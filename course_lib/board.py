"""The progress board: every lesson, what is solved in it, and what comes next."""

import html
from dataclasses import asdict, dataclass
from typing import Any

from course_lib._tables import html_table, text_table
from course_lib.exercises.progress import Standing, look
from course_lib.lessons import Objective, lessons

HEADINGS = ("Lesson", "Minutes", "Exercises", "")


@dataclass(frozen=True)
class Goal:
    """One thing that a lesson teaches, and whether the learner has shown it.

    Args:
        text: what a learner can do afterwards; code stands in backticks.
        solved: the ids of the solved ones of its exercises.
        tried: of those that were tried and are not solved.
        untried: of those that were not tried.
    """

    text: str
    solved: tuple[str, ...]
    tried: tuple[str, ...]
    untried: tuple[str, ...]

    @property
    def reached(self) -> bool:
        """Whether all of its exercises are solved."""
        return not self.tried and not self.untried

    @property
    def sign(self) -> str:
        """Whether it is reached, begun, or neither, in a word."""
        return "✔ reached" if self.reached else "✎ begun" if self.tried or self.solved else ""

    @property
    def exercises(self) -> str:
        """The ids of its exercises, such as "02.1, 02.3"."""
        return ", ".join(sorted((*self.solved, *self.tried, *self.untried)))


@dataclass(frozen=True)
class Row:
    """One lesson and where the learner stands with it.

    Args:
        number: the lesson's number.
        title: its title.
        notebook: the file name of its notebook.
        minutes: how long it takes; None when it does not say.
        solved: how many of its exercises are solved.
        tried: how many were tried, solved or not.
        total: how many it has.
        following: the id of its first exercise that is not solved; None when all are.
        goals: what it teaches, in order.
    """

    number: int
    title: str
    notebook: str
    minutes: int | None
    solved: int
    tried: int
    total: int
    following: str | None
    goals: tuple[Goal, ...] = ()

    @property
    def name(self) -> str:
        """Number and title, such as "02 URL conversion"."""
        return f"{self.number:02} {self.title}"

    @property
    def standing(self) -> str:
        """Such as "1 of 3 solved, 2 tried"."""
        tried = f", {self.tried} tried" if self.tried > self.solved else ""
        return f"{self.solved} of {self.total} solved{tried}"

    @property
    def sign(self) -> str:
        """Whether the lesson is done, begun, or neither, in a word."""
        if self.solved == self.total:
            return "✔ done" if self.total else ""
        return "✎ begun" if self.tried else ""


@dataclass(frozen=True, repr=False)
class Board:
    """All lessons with their standing; a notebook shows it as a table with links to the lessons beside it.

    Args:
        rows: the lessons, in order.
        note: "", or a line that says what is wrong with the file that the progress is kept in.
    """

    rows: tuple[Row, ...]
    note: str = ""

    @property
    def following(self) -> Row | None:
        """The first lesson with an exercise that is not solved; None when all are."""
        return next((row for row in self.rows if row.following), None)

    @property
    def summary(self) -> str:
        """How much is solved, and what comes next."""
        solved, total = (sum(values) for values in zip(*((row.solved, row.total) for row in self.rows), strict=True))
        row = self.following
        coming = f"Next: exercise {row.following} in lesson {row.name}." if row else "Nothing is left to solve."
        goals = [goal for row in self.rows for goal in row.goals]
        reached = f", {sum(goal.reached for goal in goals)} of {len(goals)} objectives reached" if goals else ""
        note = f" {self.note}" if self.note else ""
        return f"{solved} of {total} exercises solved{reached}. {coming}{note}"

    def as_dict(self) -> dict[str, object]:
        """The board for JSON."""
        row = self.following
        return {
            "lessons": [_as_dict(each) for each in self.rows],
            "note": self.note,
            "solved": sum(each.solved for each in self.rows),
            "total": sum(each.total for each in self.rows),
            "next": {"exercise": row.following, "notebook": row.notebook} if row else None,
        }

    def cells(self) -> list[tuple[str, str, str, str]]:
        """The cells of the table, as plain text."""
        return [
            (row.name, "" if row.minutes is None else str(row.minutes), row.standing, row.sign) for row in self.rows
        ]

    def __repr__(self) -> str:
        return f"{text_table(HEADINGS, self.cells())}\n{self.summary}"

    def _repr_html_(self) -> str:
        rows = []
        for row, (name, *others) in zip(self.rows, self.cells(), strict=True):
            link = f"<a href='{html.escape(row.notebook, quote=True)}'>{html.escape(name)}</a>"
            rows.append((link, *(html.escape(each) for each in others)))
        return html_table("Your progress", HEADINGS, rows, html.escape(self.summary))


def _as_dict(row: Row) -> dict[str, Any]:
    found = asdict(row)
    found["objectives"] = [asdict(goal) | {"reached": goal.reached} for goal in row.goals]
    del found["goals"]
    return found


def _goal(objective: Objective, stands: dict[str, Standing]) -> Goal:
    solved = tuple(each for each in objective.exercises if each in stands and stands[each].solved)
    tried = tuple(each for each in objective.exercises if each in stands and not stands[each].solved)
    return Goal(objective.text, solved, tried, tuple(each for each in objective.exercises if each not in stands))


async def board() -> Board:
    """Return the progress board over all lessons of this copy of the course.

    Raises:
        FileNotFoundError: the course's folder was not found, or it holds no lesson.
    """
    stands, note = await look()
    rows = []
    for lesson in lessons():
        tried = [stands[each] for each in lesson.exercises if each in stands]
        unsolved = (each for each in lesson.exercises if each not in stands or not stands[each].solved)
        rows.append(
            Row(
                number=lesson.number,
                title=lesson.title,
                notebook=lesson.path.name,
                minutes=lesson.minutes,
                solved=sum(standing.solved for standing in tried),
                tried=len(tried),
                total=len(lesson.exercises),
                following=next(unsolved, None),
                goals=tuple(_goal(each, stands) for each in lesson.objectives),
            )
        )
    if not rows:
        raise FileNotFoundError("The folder notebooks/ holds no lesson. Get a whole copy of the course.")
    return Board(tuple(rows), note)
