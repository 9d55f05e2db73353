"""Results on disk: one file per submission while it runs, then CSV, JSON and JUnit XML of all."""

import csv
import hashlib
import io
import json
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from course_lib.grade._marking import Result

_HEADINGS = ("learner", "lesson", "exercise", "points", "possible", "status", "misconception", "message")
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def slug(learner: str) -> str:
    """A file name for a learner: readable, and no other learner's."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", learner).strip("-")[:40]
    return f"{plain or 'learner'}-{hashlib.sha256(learner.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


class Store:
    """The results of a folder of submissions.

    Args:
        folder: where they are kept.
        version: the course's version; what another version graded is graded again.
    """

    def __init__(self, folder: Path, version: str) -> None:
        self._folder = folder / "results"
        self._version = version
        self._folder.mkdir(parents=True, exist_ok=True)

    def known(self, learner: str, key: str) -> Result | None:
        """The result of a submission that was graded before and has not changed since."""
        try:
            values = json.loads(self._path(learner).read_text(encoding="utf-8"))
            if values["version"] == self._version and values["result"]["key"] == key:
                return Result.from_dict(values["result"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def keep(self, result: Result) -> None:
        """Keep a result; a half-written one is never left, also where the machine stops."""
        text = json.dumps({"version": self._version, "result": _plain(result)}, indent=1)
        write_whole(self._path(result.learner), text)

    def _path(self, learner: str) -> Path:
        return self._folder / f"{slug(learner)}.json"


def _plain(result: Result) -> dict[str, Any]:
    values = result.as_dict()
    return {name: value for name, value in values.items() if name not in ("points", "possible")}


def write_whole(path: Path, text: str) -> None:
    """Write a file at once: readers see the old one or the new one."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        Path(name).chmod(0o600)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def as_csv(results: Sequence[Result]) -> str:
    """A line for each learner and exercise."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(_HEADINGS)
    for result in results:
        for mark in result.marks:
            rows.writerow(
                _cell(each)
                for each in (
                    result.learner, mark.lesson, mark.exercise, f"{mark.points:g}", f"{mark.possible:g}", mark.status,
                    mark.misconception or "", mark.message,
                )
            )  # fmt: skip
    return out.getvalue()


def _cell(text: str) -> str:
    # A spreadsheet would run these as a formula.
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def as_json(results: Sequence[Result], version: str) -> dict[str, Any]:
    """Everything, for other programs."""
    return {"course_version": version, "submissions": [result.as_dict() for result in results]}


def as_junit(results: Sequence[Result]) -> str:
    """JUnit XML: a suite for each learner, a case for each exercise."""
    root = ElementTree.Element("testsuites", name="course grade")
    for result in results:
        failed = [mark for mark in result.marks if mark.status not in ("correct", "not_attempted", "missing")]
        suite = ElementTree.SubElement(
            root, "testsuite", name=_xml(result.learner), tests=str(len(result.marks)), failures=str(len(failed))
        )
        for mark in result.marks:
            name = _xml(f"{mark.exercise} {mark.title}")
            case = ElementTree.SubElement(
                suite, "testcase", classname=_xml(mark.lesson), name=name, time=f"{mark.seconds:.3f}"
            )
            if mark in failed:
                message = mark.misconception or mark.status
                ElementTree.SubElement(case, "failure", type=mark.status, message=_xml(message)).text = _xml(
                    mark.message
                )
            elif mark.status != "correct":
                ElementTree.SubElement(case, "skipped", message=mark.status)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _xml(text: str) -> str:
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
