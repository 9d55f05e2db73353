"""The README: does what it names exist, and is every command in it one that is looked at here?"""

import errno
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from course_lib.cli import app
from course_lib.lessons import lessons

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = "".join(re.findall(r"^```console\n(.+?)^```$", README, re.M | re.S)).splitlines()
SPANS = re.findall(r"`([^`\n]+)`", re.sub(r"^```.+?^```$", "", README, flags=re.M | re.S))
PROGRAMS = ("make", "course", "python3", "python", "pip", "conda", "git", "ssh", "sudo")


def program(command: str) -> str:
    """What is run, without the folder that Windows or the others keep it in."""
    return re.split(r"[/\\]", command.split()[0])[-1]


COMMANDS = sorted({*BLOCKS, *(each for each in SPANS if program(each) in PROGRAMS and " " in each)})


def arguments(name: str) -> list[list[str]]:
    """The arguments of each command that runs this program."""
    return [shlex.split(each.replace("\\", "/"))[1:] for each in COMMANDS if program(each) == name]


def is_verb(word: str) -> bool:
    return re.fullmatch("[a-z]+", word) is not None


def help_of(words: list[str]) -> str:
    shown = CliRunner().invoke(app, [*filter(is_verb, words), "--help"])
    assert shown.exit_code == 0, shown.output
    return shown.stdout


def test_no_command_goes_by_unseen() -> None:
    """A new kind of command needs a test here."""
    assert {program(each) for each in COMMANDS} == set(PROGRAMS)
    assert arguments("git") == [["clone"], ["pull"]]
    assert arguments("ssh") == [["-L", "8888:127.0.0.1:8888", "MACHINE"]]
    assert arguments("sudo") == [["apt", "install", "python3-venv"]]


def test_the_table_lists_the_lessons_as_they_are() -> None:
    rows = re.findall(r"^\| \[(.+?)\]\(notebooks/(\w+)\.ipynb\) \| (\d+) \|", README, re.M)
    assert rows == [(each.title, each.name, str(each.minutes)) for each in lessons()]
    hours = re.search(r"about (\d+) hours", README)
    assert hours is not None
    assert int(hours[1]) == round(sum(each.minutes for each in lessons()) / 60)


@pytest.mark.parametrize("words", arguments("make"), ids=" ".join)
def test_each_make_verb_exists(words: list[str]) -> None:
    done = subprocess.run(["make", "--dry-run", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", arguments("course"), ids=" ".join)
def test_each_course_command_exists(words: list[str]) -> None:
    """A path and what stands in capitals are arguments."""
    shown = help_of(words)
    assert "Arguments" in shown or all(map(is_verb, words))


def test_each_option_in_the_text_is_one_of_the_course() -> None:
    helps = [help_of(words) for words in arguments("course")]
    options = {each for each in SPANS if each.startswith("--")}
    assert options
    assert [option for option in sorted(options) if not any(option in text for text in helps)] == []
    assert any("export" in text and "import" in text and "reset" in text for text in helps)


def test_pip_installs_what_make_installs() -> None:
    """The same lock and the same folder; and Windows' block is the first one in Windows' words."""
    makefile = (ROOT / "Makefile").read_text()
    (venv,) = {tuple(each) for each in arguments("python") + arguments("python3")}
    assert venv == ("-m", "venv", ".venv")
    installs = {tuple(each) for each in arguments("pip")}
    assert installs == {("install", "-r", "requirements.lock"), ("install", "--no-deps", "-e", ".")}
    assert "cat requirements.lock;" in makefile and "$(pip) --no-deps -e ." in makefile
    others = [each for each in BLOCKS if ".venv/bin" in each or each.startswith("python3 ")]
    windows = [each for each in BLOCKS if ".venv\\Scripts" in each or each.startswith("python ")]
    translated = [each.replace("/", "\\").replace("\\bin\\", "\\Scripts\\") for each in others[: len(windows)]]
    assert windows == [each.replace("python3 ", "python ") for each in translated]


def test_conda_makes_the_environment_that_is_activated() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert arguments("conda") == [["activate", environment["name"]], ["env", "create", "-f", "environment.yml"]]


@pytest.mark.parametrize("message", re.findall(r"^\| (`.+?`[^|]*) \|", README.split("## When something")[1], re.M))
def test_the_messages_of_the_table_are_what_programs_say(message: str) -> None:
    """Ours stand in the sources; one is the operating system's."""
    own = [ROOT / "Makefile", *(ROOT / "course_lib").rglob("*.py")]
    sources = "\n".join(each.read_text() for each in own) + os.strerror(errno.ENOSPC)
    quoted = re.findall("`(.+?)`", message)
    assert quoted
    for each in quoted:
        assert each in sources, each


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((?!https)([^)#]+)\)", README))))
def test_each_link_leads_somewhere(path: str) -> None:
    assert (ROOT / path).exists()


def test_make_help_lists_each_verb() -> None:
    makefile = (ROOT / "Makefile").read_text()
    verbs = re.search(r"^\.PHONY: (.+)$", makefile, re.M)
    assert verbs is not None
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert sorted(re.findall(r"^  make ([a-z-]+) ", listed, re.M)) == sorted(verbs[1].split())
