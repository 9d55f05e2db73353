"""The README: do its commands exist, and does its table list the lessons that are there?"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from course_lib.lessons import lessons

ROOT = Path(__file__).resolve().parents[2]
COURSE = Path(sys.executable).with_name("course")
README = (ROOT / "README.md").read_text()


def test_the_table_lists_the_lessons_as_they_are() -> None:
    rows = re.findall(r"^\| \[(.+?)\]\(notebooks/(\w+)\.ipynb\) \| (\d+) \|", README, re.M)
    assert rows == [(each.title, each.name, str(each.minutes)) for each in lessons()]


@pytest.mark.parametrize("verb", sorted(set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", README, re.M))))
def test_each_make_verb_exists(verb: tuple[str, str]) -> None:
    done = subprocess.run(["make", "--dry-run", "".join(verb)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", sorted(set(re.findall(r"course (doctor|lab|progress|db|review|update)\b", README))))
def test_each_course_command_exists(verb: str) -> None:
    done = subprocess.run([COURSE, verb, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((?!https)([^)#]+)\)", README))))
def test_each_link_leads_somewhere(path: str) -> None:
    assert (ROOT / path).exists()


def test_make_help_lists_each_verb() -> None:
    makefile = (ROOT / "Makefile").read_text()
    verbs = re.search(r"^\.PHONY: (.+)$", makefile, re.M)
    assert verbs is not None
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert sorted(re.findall(r"^  make ([a-z-]+) ", listed, re.M)) == sorted(verbs[1].split())
