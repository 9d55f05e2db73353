"""What the modules of the `course` command share."""

import json
import os
import subprocess
import sys
from typing import Annotated, NoReturn

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}  # further arguments go to another program


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command with a message on standard error.

    Args:
        message: what happened, and what to do.
        code: the exit code.
    """
    typer.echo(f"course: {message}", err=True)
    raise typer.Exit(code)


def print_json(value: object) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, indent=2))


def become(command: list[str], environment: dict[str, str] | None = None) -> NoReturn:
    """Go on as another program, so that Ctrl-C, the exit code and the terminal are that program's own.

    Args:
        command: the program and its arguments.
        environment: its environment; by default this process's.
    """
    sys.stdout.flush()
    environment = environment or dict(os.environ)
    if sys.platform == "win32":  # its exec returns to the prompt at once
        raise typer.Exit(subprocess.run(command, env=environment, check=False).returncode)
    os.execve(command[0], command, environment)
