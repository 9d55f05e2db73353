"""What lessons are made of besides demos: a prediction before a run, and an error that is meant to happen."""

import asyncio
import contextlib
import re
import textwrap
from types import TracebackType
from typing import Any, Self

from course_lib.exercises import originals, progress
from course_lib.exercises.feedback import Panel, masked, steady
from course_lib.exercises.in_kernel import prepare_kernel
from course_lib.exercises.tracebacks import one_line

# Before any cell can replace something in the libraries that it remembers.
assert originals
prepare_kernel()
# A cell's output shows so many characters beside each other in a narrow window.
_WIDTH = 96
# What was chosen in this kernel, by question: a cell that is run again keeps its guess.
_chosen: dict[str, str] = {}


class ExpectedErrorMissing(AssertionError):
    """A demo that was meant to fail did not fail, so what the lesson says about it would be wrong."""


class expect_error:
    """A ``with`` block that must raise a certain exception, and shows it in a line when it does.

    Works around ``await`` as well. Anything else than the named exception fails the cell: no exception at all,
    another type, or a message without ``match``.

    Args:
        expected: the exception type, or several.
        match: a regular expression that must be found in the message.
        show: print type and message, as a demo wants it.

    After the block, ``caught`` (from ``with expect_error(...) as caught``) has ``caught.error``, the exception.
    """

    def __init__(
        self,
        expected: type[BaseException] | tuple[type[BaseException], ...],
        *,
        match: str = "",
        show: bool = True,
    ) -> None:
        self.expected = expected
        self.match = match
        self.show = show
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        wanted = self.expected if isinstance(self.expected, tuple) else (self.expected,)
        names = " or ".join(each.__name__ for each in wanted)
        if error is None:
            raise ExpectedErrorMissing(f"expected {names}, but nothing was raised")
        if not isinstance(error, wanted):
            return False
        if self.match and not re.search(self.match, str(error)):
            raise ExpectedErrorMissing(
                f"{type(error).__name__} was raised as expected, but its message lacks {self.match!r}: "
                f"{masked(str(error))}"
            ) from error
        self.error = error
        if self.show:
            print(
                textwrap.fill(steady(masked(one_line(error))), _WIDTH, break_long_words=False, break_on_hyphens=False)
            )
        return True


class Prediction:
    """A question with a few answers to choose from, asked before a demo. Made by `predict`."""

    def __init__(self, question: str, options: tuple[str, ...]) -> None:
        self.question = question
        self.options = options
        self.guess: str | None = _chosen.get(question) if _chosen.get(question) in options else None
        self._shown: Any = None
        self._saving: set[asyncio.Task[str]] = set()

    def choose(self, option: object) -> None:
        """Record a guess: what a button does, and the way without buttons.

        Args:
            option: one of the options.

        Raises:
            ValueError: it is none of the options.
        """
        text = str(option)
        if text not in self.options:
            raise ValueError(f"{text!r} is none of the answers. Choose one of: {', '.join(self.options)}.")
        self.guess = _chosen[self.question] = text
        if self._shown is not None:
            self._shown.chosen, self._shown.said = text, self._invitation()
        with contextlib.suppress(RuntimeError):  # without a running event loop the guess lives in this object only
            saving = asyncio.get_running_loop().create_task(progress.record_guess(self.question, text))
            self._saving.add(saving)
            saving.add_done_callback(self._saving.discard)

    def compare(self, measured: object) -> Panel:
        """Show the guess beside what was measured.

        Args:
            measured: what the demo found; compared as text.

        Returns:
            A panel, which a notebook displays.
        """
        found = str(measured)
        rows = (("Your guess", self.guess or "none"), ("Measured", found))
        if found not in self.options:
            doubt = (
                "None of the answers was right. If the question does not fit, run this section's predict cell first."
            )
            return Panel("A surprise", f"{self.question}\n\n{doubt}", rows=rows)
        if self.guess is None:
            return Panel("Measured", self.question, rows=rows)
        if self.guess == found:
            return Panel("As you predicted", self.question, "good", rows)
        return Panel("A surprise", self.question, "plain", rows)

    def __repr__(self) -> str:
        options = "\n".join(f"  - {option}" for option in self.options)
        return f"Predict: {self.question}\n{options}"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        # The text stands for the buttons wherever widgets don't run: GitHub, nbval, an exported page.
        bundle = self._buttons()._repr_mimebundle_()
        shown = bundle[0] if isinstance(bundle, tuple) else bundle
        return {**(shown or {}), "text/plain": repr(self)}

    def _invitation(self) -> str:
        if self.guess is None:
            return "Choose one, then select the next code cell and run it."
        return f"Your guess: {self.guess}. Select the next code cell and run it."

    def _buttons(self) -> Any:
        from course_lib._guess_buttons import GuessButtons  # here: quick to import where no notebook runs

        buttons = GuessButtons(
            question=self.question, options=list(self.options), chosen=self.guess or "", said=self._invitation()
        )
        buttons.observe(lambda change: self.choose(change["new"]), names="chosen")
        self._shown = buttons
        return buttons


def predict(question: str, options: list[object]) -> Prediction:
    """Ask for a guess before a demo. Nothing depends on it: whoever skips it goes on.

    Args:
        question: what will be measured.
        options: the answers to choose from, two to five.

    Returns:
        The prediction: display it for its buttons, later call ``compare(measured)``.
    """
    return Prediction(question, tuple(str(option) for option in options))


_NEEDS = re.compile(r"#\s*needs (PostgreSQL|PgBouncer)\b", re.IGNORECASE)
# What this machine lacks of what the lesson needs, in lower case.
_missing: set[str] = set()


def skip_what_is_missing(*, pgbouncer: bool = False) -> None:
    """Say in one line what this machine lacks, and skip the cells that need it.

    A lesson calls it in its first code cell. Where everything is found it does nothing. Elsewhere, a later cell whose
    first line is the comment ``# needs PostgreSQL`` or ``# needs PgBouncer`` prints that it was skipped, and all
    others run. PgBouncer is of no use without PostgreSQL: without that, both kinds are skipped.

    Args:
        pgbouncer: whether the lesson needs PgBouncer as well.
    """
    from IPython.core.getipython import get_ipython

    from course_lib._fixes import how_to_get
    from course_lib.servers import MissingBinaryError, find_pgbouncer, find_postgres

    _missing.clear()
    try:
        find_postgres()
    except MissingBinaryError as error:
        _missing.update(("postgresql", "pgbouncer"))
        print(f"{error} Until then, cells that begin with '# needs PostgreSQL' are skipped.")
    else:
        if pgbouncer and find_pgbouncer() is None:
            _missing.add("pgbouncer")
            print(
                f"No PgBouncer was found on this machine. Get it: {how_to_get('pgbouncer')}. Until then, cells that "
                "begin with '# needs PgBouncer' are skipped; the folder `solutions` shows what they print."
            )
    shell = get_ipython()
    if shell is None:
        return
    if _skip_cell in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.remove(_skip_cell)
    if _missing:
        shell.input_transformers_cleanup.append(_skip_cell)


def _skip_cell(lines: list[str]) -> list[str]:
    found = _NEEDS.match(lines[0]) if lines else None
    if found and found[1].lower() in _missing:
        return [f'print("Skipped: this cell needs {found[1]}.")\n']
    return lines
