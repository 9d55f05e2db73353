"""The body of `course review`."""

import asyncio
import sys
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from course_lib.review.report import Report
from course_lib.review.running import review
from course_lib.servers import ServerError


def run_review(file: str, *, as_json: bool, as_markdown: bool, search_path: Path | None, budget: int) -> int:
    """Review a file, print the report to stdout and progress to stderr, and return the exit code.

    Args:
        file: the file, or a module's dotted name inside `search_path`.
        as_json: whether to print JSON.
        as_markdown: whether to print Markdown.
        search_path: the folder that holds the file's package.
        budget: how many connections a process may open.
    """
    stderr = Console(stderr=True, highlight=False)
    shows = stderr.is_terminal
    with stderr.status(f"Reviewing {file}") if shows else nullcontext() as status:

        def tell(step: str) -> None:
            if status is not None:
                status.update(f"Reviewing {file}: {step}")

        try:
            report = asyncio.run(review(file, search_path=search_path, budget=budget, progress=tell))
        except (ServerError, OSError) as error:  # 1 would mean that the file has gaps
            report = Report(file, False, f"The review itself could not run: {error}", (), budget)
    if as_json:
        print(report.as_json())
    elif as_markdown:
        print(report.as_markdown(), end="")
    elif not report.ran:
        print(f"course: {report.summary}", file=sys.stderr)
    else:
        report.print(Console(highlight=False))  # it looks at NO_COLOR and at the terminal's width by itself
    return report.exit_code
