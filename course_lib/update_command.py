"""The body of `course update`. All of it is imported before it starts: an update replaces these files."""

import json
import sys
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from course_lib._update_git import UpdateError
from course_lib.lessons import course_root
from course_lib.update import Update, unfinished, update
from course_lib.work import show_work, work_folder


def run_update(*, as_json: bool) -> int:
    """Update, print what happened, and return the exit code.

    Args:
        as_json: whether to print JSON.
    """
    work = work_folder()
    if sys.stderr.isatty():
        print("Looking for a new version ...", file=sys.stderr)
    try:
        done = update(course_root(), work)
    except UpdateError as error:
        print(f"course: {error}", file=sys.stderr)
        return 1
    except BaseException:  # Ctrl-C, or a disk that is full
        for folder in unfinished(work):
            told = f"What you wrote is in {show_work(folder)}. `course update` again finishes this update."
            print(f"\ncourse: {told}", file=sys.stderr)
        raise
    if as_json:
        print(json.dumps(asdict(done), indent=2))
    else:
        _print(Console(highlight=False), done)
    return 0


def _print(console: Console, done: Update) -> None:
    if done.files:
        table = Table(title="Your files", title_justify="left")
        for heading in ("File", "What happened", "Copy"):
            table.add_column(heading, overflow="fold")
        for each in done.files:
            table.add_row(Text(each.path), Text(each.happened), Text(each.copy or ""))
        console.print(table)
    if done.finished:
        console.print("An update that was interrupted is finished.")
    if done.note:
        print(f"course: {done.note}", file=sys.stderr)
        return
    if not done.commits:
        console.print(f"The course is up to date ({done.new[:7]}).")
        return
    changes = "1 change" if done.commits == 1 else f"{done.commits} changes"
    console.print(f"Updated by {changes}: {done.old[:7]} is now {done.new[:7]}.")
    if done.packages:
        console.print("It needs other packages: run `make env`, or install again the way that you did at first.")
    console.print("Is JupyterLab open? Restart the kernels, and choose File, Reload Notebook from Disk.")
