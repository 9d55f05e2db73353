"""Executing a notebook strictly, and making its outputs fit to be stored."""

import getpass
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from course_lib.folders import cache_folder

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
CELL_SECONDS = 60

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_URL_PASSWORD = re.compile(r"\w://[^\s/@:]*:([^\s/@]+)@")
# They would lead a client to the author's own server, or run the author's own code.
_REMOVED_VARIABLES = re.compile(r"PG[A-Z]+|DATABASE_URL|PYTHONSTARTUP")


class CellFailure(Exception):
    """A cell can't be stored as it ran: `index` counts the notebook's cells from 0."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index


def kernel_environment(scratch: Path, root: Path) -> dict[str, str]:
    """Return the environment of a lesson's kernel, the same on every machine where that matters.

    Args:
        scratch: An empty temporary folder; progress (COURSE_HOME), the learner's files (COURSE_WORK) and IPython's own
            go there.
        root: The folder that holds notebooks/ and solutions/, for COURSE_ROOT.
    """
    # Progress starts empty; caches are the author's own, since making them anew only takes time.
    home = scratch / "course_home"
    home.mkdir()
    cache_folder().mkdir(parents=True, exist_ok=True)
    (home / "cache").symlink_to(cache_folder())
    kept = {name: value for name, value in os.environ.items() if not _REMOVED_VARIABLES.fullmatch(name)}
    return kept | {
        "COLUMNS": "80",
        "COURSE_HOME": str(home),
        "COURSE_ROOT": str(root),
        "COURSE_WORK": str(scratch / "work"),
        "IPYTHONDIR": str(scratch / "ipython"),
        "NO_COLOR": "1",
        "PYTHONHASHSEED": "0",
        "TZ": "UTC",
    }


def execute(
    notebook: NotebookNode,
    folder: Path,
    environment: dict[str, str],
    *,
    seconds: int = CELL_SECONDS,
    on_cell: Callable[[int], None] = lambda index: None,
) -> None:
    """Run every cell in one fresh kernel of this Python, and keep the outputs in `notebook`.

    Args:
        notebook: What to run; changed in place.
        folder: The kernel's working folder.
        environment: The kernel's environment variables.
        seconds: The time limit of each cell.
        on_cell: Called with the index of each cell before it runs.

    Raises:
        CellFailure: a cell raised, replied with an error, ran out of time, or its kernel died.
    """
    client = NotebookClient(
        notebook,
        timeout=seconds,
        record_timing=False,
        force_raise_errors=True,
        raise_on_iopub_timeout=True,
        resources={"metadata": {"path": str(folder)}},
    )
    # Without folders to look in, "python3" is the interpreter that runs the build, whatever else is installed.
    client.create_kernel_manager().kernel_spec_manager = KernelSpecManager(kernel_dirs=[])
    # Not client.execute(): that replaces the handler of Ctrl-C by one which hides the interruption.
    # The kernel's own stderr (a notice at each start, for one) is no output of a cell.
    with client.setup_kernel(env=environment, stderr=subprocess.DEVNULL, cleanup_kc=True):
        count = 0
        for index, cell in enumerate(notebook.cells):
            on_cell(index)
            if cell.cell_type != "code":
                continue
            count += 1
            try:
                client.execute_cell(cell, index, execution_count=count)
            except CellExecutionError as error:
                raise CellFailure(index, _tail(cell, error)) from error
            except CellTimeoutError as error:
                client.shutdown_kernel = "immediate"
                raise CellFailure(index, f"the cell ran longer than {seconds} s.") from error
            except DeadKernelError as error:
                raise CellFailure(index, "the kernel died while this cell ran.") from error
            if any(output.output_type == "error" for output in cell.outputs):
                raise CellFailure(index, "the cell printed an error although it went on. Catch it with expect_error.")


def tidy_outputs(notebook: NotebookNode) -> None:
    """Make the stored outputs the same from run to run: no widget views, no picture twice, no split streams."""
    count = 0
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        kept: list[NotebookNode] = []
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
            if "data" in output:
                output.data.pop(WIDGET_VIEW, None)
                output.metadata.pop(WIDGET_VIEW, None)
                if "image/png" in output.data:  # once is enough, and GitHub may cut a picture out of HTML
                    output.data.pop("text/html", None)
                if not output.data:
                    continue
            if output.output_type == "stream" and kept and kept[-1].get("name") == output.name:
                kept[-1].text += output.text
            else:
                kept.append(output)
        cell.outputs = kept


def refuse_leaks(notebook: NotebookNode, private: dict[str, re.Pattern[str]]) -> None:
    """Raise CellFailure when an output holds what must not be published.

    Args:
        notebook: An executed notebook.
        private: What to look for, from `private_patterns`.
    """
    for index, cell in enumerate(notebook.cells):
        for text in (_text(output) for output in cell.get("outputs", [])):
            for what, pattern in private.items():
                if found := pattern.search(text):
                    around = text[max(0, found.start() - 30) : found.end() + 30]
                    raise CellFailure(index, f"an output holds {what}: …{around!r}… Print something else.")
            for password in _URL_PASSWORD.findall(text):
                # A made-up password in a lesson about URLs says so; those of real servers are random.
                if password != "***" and "example" not in password.lower():
                    raise CellFailure(
                        index,
                        "an output holds a URL with its password. Mask it, or make it up with the word `example`.",
                    )


def private_patterns(*roots: Path) -> dict[str, re.Pattern[str]]:
    """Return what no stored output may hold: this machine's paths and names, each with its description.

    Args:
        roots: The project's folders.
    """
    folders = {
        "the project's path": roots,
        "the path of the Python environment": (Path(sys.prefix),),
        "the home folder's path": (Path.home(),),
        "the temporary folder's path": (Path(tempfile.gettempdir()),),
    }
    found: dict[str, re.Pattern[str]] = {}
    for what, paths in folders.items():
        spellings = {str(spelling) for path in paths for spelling in (path, path.resolve())}
        if usable := [re.escape(text) for text in sorted(spellings) if len(text) >= 4]:
            found[what] = re.compile(rf"(?<![\w.])(?:{'|'.join(usable)})(?![\w.-])")
    names = {"the user's name": _user_name(), "the host's name": socket.gethostname()}
    # Who is called as a word of the lessons is (`learner`, for one) can't be told from that word.
    texts = [path.read_text(encoding="utf-8") for root in roots for path in sorted(root.glob("lessons/*.md"))]
    for what, name in names.items():
        if any(re.search(rf"\b{re.escape(name)}\b", text) for text in texts):
            continue
        if len(name) >= 4 and name not in {"root", "localhost"}:
            found[what] = re.compile(rf"\b{re.escape(name)}\b")
    return found


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        return ""


def _text(output: NotebookNode) -> str:
    """Return all that can be read in one output; pictures in base64 hold nothing to read."""
    data: dict[str, Any] = output.get("data", {})
    parts = [output.get("text", "")]
    for kind, value in data.items():
        if not kind.startswith("image/") or kind == "image/svg+xml":
            parts.append(value if isinstance(value, str) else json.dumps(value))
    return "\n".join(parts)


def _tail(cell: NotebookNode, error: CellExecutionError) -> str:
    """Return the last lines of what a failed cell said, without colours."""
    # An unknown magic raises nothing in the notebook: its message is on stderr alone.
    said = "".join(out.text for out in cell.outputs if out.output_type == "stream" and out.name == "stderr")
    text = str(error.traceback) if any(out.output_type == "error" for out in cell.outputs) else said
    lines = [line for line in _ANSI.sub("", text or f"{error.ename}: {error.evalue}").splitlines() if line.strip()]
    return "it failed:\n    " + "\n    ".join(lines[-8:])
