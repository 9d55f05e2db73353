"""The `course` command. What a command needs is imported inside it, so that `course --help` is quick."""

import asyncio
import atexit
import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from course_lib._command import PASS_ON, AsJson, become, fail, print_json
from course_lib.db_command import app as db_app
from course_lib.progress_command import app as progress_app

if TYPE_CHECKING:
    from rich.console import Console

atexit.register(gc.freeze)  # a command ends sooner when nobody looks for cycles in all that it has imported
_FIRST = "00_start_here.ipynb"


class _Commands(TyperGroup):
    """One way for all that goes wrong: a message on stderr and exit code 1; 130 after Ctrl-C; no traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("\nStopped.", err=True)
            raise typer.Exit(130) from None  # 128 + SIGINT, as shells tell it
        except BrokenPipeError:
            raise  # the reader of our output has gone: `course progress | head`
        except (OSError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not _is_for_people(error):
                raise
            if isinstance(error, OSError) and error.filename:
                fail(f"{error.filename}: {error.strerror}. `course doctor` checks folders and disk.")
            fail(str(error))


def _is_for_people(error: RuntimeError) -> bool:
    """Whether it is a ServerError; not imported before it is needed, since that takes half a second."""
    servers = sys.modules.get("course_lib.servers")
    return servers is not None and isinstance(error, servers.ServerError)


app = typer.Typer(
    cls=_Commands,
    help="An interactive course on asynchronous database engines: check this machine, open the lessons, see progress.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its tracebacks show local variables, and with them passwords
)
app.add_typer(db_app, name="db")
app.add_typer(progress_app, name="progress")


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False)  # it looks at NO_COLOR and at the terminal's width by itself


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"course {version('async-database-course')}")
        raise typer.Exit


@app.callback()
def _course(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check this machine, and say how to mend what is missing.

    Exit code 1 if a lesson could not run. A missing PgBouncer is no failure: only lesson 07 shows it.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from course_lib.doctor import SIGNS, examine

    if as_json:
        found = asyncio.run(examine())
        print_json({"ready": found.ready, "summary": found.summary, "findings": [one.as_dict() for one in found]})
        raise typer.Exit(0 if found.ready else 1)
    with Console(stderr=True).status("Looking at this machine") as status:
        found = asyncio.run(examine(lambda step: status.update(f"Looking at this machine: {step}")))
    table = Table("Status", "What", title="This machine", title_justify="left")
    table.add_column("Seen", overflow="fold")
    colours = {"fine": "green", "missing": "red", "optional": "yellow"}
    for one in found:
        seen = "\n".join(part for part in (one.seen, one.detail) if part)
        table.add_row(Text(SIGNS[one.status], colours[one.status]), Text(one.name), Text(seen))
    console = _console()
    console.print(table)
    console.print(Text(found.summary, "bold"))
    for one in found:
        if one.fix:  # not broken into lines, so that its commands can be copied
            console.print(Text(f"{one.name}: {one.fix.replace('`', '')}"), soft_wrap=True)
    raise typer.Exit(0 if found.ready else 1)


@app.command(context_settings=PASS_ON)
def lab(
    context: typer.Context,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open a browser, or print the address.")
    ] = True,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The port; by default a free one from 8888 on.")
    ] = None,
) -> None:
    """Open the lessons in JupyterLab, on this machine only. Ctrl-C, twice, ends it.

    Further arguments go to JupyterLab.
    """
    import zmq

    from course_lib import folders
    from course_lib.lessons import course_root

    # An option given twice is an error to JupyterLab: what the learner gave counts.
    given = {argument.split("=")[0] for argument in context.args}
    if given & {"--ip", "--ServerApp.ip", "--LabApp.ip"}:
        fail("`course lab` listens on this machine only. To listen elsewhere, run `python -m jupyterlab`.", code=2)
    environment = {**os.environ, **folders.for_jupyter()}
    root = course_root()
    os.chdir(root)
    options = {
        "--ServerApp.root_dir": str(root),
        "--ServerApp.ip": "127.0.0.1",
        # It would end its log with a list of twenty language servers that nobody needs here.
        "--LanguageServerManager.autodetect": "False",
    }
    if zmq.has("curve"):
        # Between JupyterLab and its kernels too nobody reads along; without it each kernel warns in the terminal.
        options["--KernelManager.transport_encryption"] = "auto"
    if (root / "notebooks" / _FIRST).is_file():
        options["--LabApp.default_url"] = f"/lab/tree/notebooks/{_FIRST}"
    if port is not None:
        options |= {"--ServerApp.port": str(port), "--ServerApp.port_retries": "0"}
    command = [sys.executable, "-m", "jupyterlab"]
    command += [f"{name}={value}" for name, value in options.items() if name not in given]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    if not browser or not _has_browser():
        command.append("--no-browser")
        typer.echo("Open the address that JupyterLab prints in a moment in a browser. Ctrl-C, twice, ends it.")
    # Its settings switch off JupyterLab's questions about news and updates, for this run only.
    paths = [str(Path(__file__).with_name("jupyter")), *filter(None, [environment.get("JUPYTER_CONFIG_PATH")])]
    # A terminal inside JupyterLab finds `course` without activating anything.
    programs = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    become(command + context.args, environment | {"JUPYTER_CONFIG_PATH": os.pathsep.join(paths), "PATH": programs})


def _has_browser() -> bool:
    import webbrowser

    display = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
    if sys.platform.startswith("linux") and not display:
        return False  # only a browser in the terminal could be there, which can't show JupyterLab
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


@app.command()
def update(as_json: AsJson = False) -> None:
    """Get the newest version of the course, and keep your answers and notes.

    Each notebook of yours that the new version changes is copied to work/updates/ first. The new notebook then gets
    your answers, your own cells, and the lesson's cells that you changed. Exit code 1: nothing was updated, and why.
    """
    from course_lib.update_command import run_update

    raise typer.Exit(run_update(as_json=as_json))


@app.command()
def review(
    file: Annotated[str, typer.Argument(help="A Python file that makes a database engine.")],
    as_json: AsJson = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
    path: Annotated[Path | None, typer.Option(help="The folder of its package; FILE may be package.module.")] = None,
    budget: Annotated[int, typer.Option(min=1, help="How many connections one process may open.")] = 20,
) -> None:
    """Run a database configuration against a throw-away PostgreSQL, and say what it is missing.

    Exit code 0: no gap. 1: a gap. 2: the file could not be run.
    """
    from course_lib.review.command import run_review

    raise typer.Exit(run_review(file, as_json=as_json, as_markdown=as_markdown, search_path=path, budget=budget))


@app.command()
def grade(
    folder: Annotated[Path, typer.Argument(help="Holds one folder per learner, with their notebooks.")],
    output: Annotated[Path, typer.Option(help="Where results go.")] = Path("grades"),
    scheduler: Annotated[str | None, typer.Option(help="A running Dask scheduler: tcp://127.0.0.1:8786.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Workers here; by default one for each core.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Grade also what was graded before.")] = False,
    as_json: AsJson = False,
) -> None:
    """Grade a folder of submissions: points, feedback for each learner, a report of the class.

    What was graded before and has not changed is not graded again, also after Ctrl-C. Exit code 0: everything was
    graded. 1: something could not be read or run; the report names it. 2: the command was misused.
    """
    from course_lib.grade_command import run_grade

    code = run_grade(folder, output=output, scheduler=scheduler, workers=workers, force=force, as_json=as_json)
    raise typer.Exit(code)
