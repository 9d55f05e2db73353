"""Is there no credential in the repository but the lessons' throw-away ones?

detect-secrets looks at every file that git tracks, or that it would track. What it finds has to be recognisable as
made up: it holds the word "example" (as lesson text must), or it stands in the list below with a reason. The scanner's
own comments that allow a line are not heeded, and it verifies nothing over the network.
"""

import os
import re
import shutil
import subprocess
import unicodedata
from pathlib import Path
from urllib.parse import unquote

import pytest
from detect_secrets import SecretsCollection
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.settings import transient_settings

ROOT = Path(__file__).resolve().parents[2]
# Any random text counts as a secret to the first two; hashes in locks and pictures in notebooks are nothing else. The
# third reports addresses, which are no credentials.
LEFT_OUT = {"Base64HighEntropyString", "HexHighEntropyString", "IPPublicDetector"}
# Test data that is looked for in outputs, or whose characters matter. None of it is anybody's password.
MADE_UP = (
    ("7Qx", "the beginning of lesson 02's invented password, with the rest in braces"),
    ("12345", "a secret that is a number to JSON"),
    ("a+b c", "a password with a plus and a space"),
    ("a b", "a password with a space"),
    ("a\\nb\\r\\n", "a password with line breaks"),
    ("geheim", "looked for in what a picture shows"),
    ("hunter", "looked for in feedback"),
    ("hunter2", "looked for in feedback and in built notebooks"),
    ("made-up", "looked for in errors about URLs"),
    ("mounted-empty", "the name of a folder"),
    ("one-password", "which version of a mounted secret was read"),
    ("p%40", "a password with an encoded character"),
    ("password", "the word in a pattern"),
    ("qzxvwy", "looked for in errors about URLs"),
    ("s3cret", "looked for in a widget's state"),
    ("secret", "looked for in a proxy's events"),
    ("wrong", "a password that a server has to refuse"),
)
# Put together here, so that this file holds nothing to be found.
ODD = "Kd82hs" + "Pq0vnT"


def tracked_files() -> list[Path]:
    """What git tracks and what it would; in a copy without git, all that a fresh checkout could hold."""
    if shutil.which("git") and (ROOT / ".git").exists():
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]
    found = []
    for folder, inner, names in os.walk(ROOT):
        inner[:] = [name for name in inner if not name.startswith((".", "__pycache__", "build", "dist", "work"))]
        found += [Path(folder, name) for name in names]
    return found


def secrets_in(files: list[Path], scratch: Path) -> list[tuple[str, int, str, str]]:
    """Path, line, kind and value of each thing that looks like a credential.

    The scanner goes by lines, and most lines of the notebooks stand in three files: of each kind of file, all lines
    that differ are put together in `scratch` and scanned once, and what is found is told of where it stood first.
    """
    lines: dict[str, dict[str, tuple[str, int]]] = {}
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            # In the text of a picture's bytes a key appears by chance.
            if line.strip() and not line.lstrip().startswith('"image/png": "iVBOR'):
                lines.setdefault(file.suffix, {}).setdefault(line.strip(), (str(file), number))
    plugins = {plugin.__name__ for plugin in get_mapping_from_secret_type_to_class().values()} - LEFT_OUT
    found = []
    with transient_settings({"plugins_used": [{"name": name} for name in sorted(plugins)], "filters_used": []}):
        for suffix, first in lines.items():
            together, places = scratch / f"together{suffix}", list(first.values())
            together.write_text("\n".join(first) + "\n", encoding="utf-8")
            collection = SecretsCollection()
            collection.scan_file(str(together))
            found += [(*places[each.line_number - 1], each.type, each.secret_value or "") for _, each in collection]
    return found


def is_made_up(value: str) -> bool:
    """Whether a finding is one of the course's: the word example, a placeholder, a secret's name, or listed."""
    plain = unicodedata.normalize("NFKD", unquote(value).lower().replace("@", "a")).encode("ascii", "ignore").decode()
    if "example" in plain.replace(" ", "") or len(value) < 3 or value in dict(MADE_UP):
        return True
    return bool(re.fullmatch(r"\{\w*\}|shop/[a-z-]+", value))


def test_tracked_files_hold_no_credential(tmp_path: Path) -> None:
    """Nothing but what is plainly made up; a finding is reported without its value, as it may be a real one."""
    files = [file for file in tracked_files() if file.suffix != ".lock"]
    assert len(files) > 100
    found = secrets_in(files, tmp_path)
    assert any("example" in value for *_, value in found), "the scanner finds nothing at all"
    real = [
        f"{Path(name).relative_to(ROOT)}:{line}: {kind}" for name, line, kind, value in found if not is_made_up(value)
    ]
    assert real == [], "looks like a credential: use a value with the word example in it"


@pytest.mark.parametrize(
    "line",
    [
        f'password = "{ODD}"',
        f'url = "postgresql://app:{ODD}@db.internal/shop"',
        "AWS_KEY = 'AKIA" + "Z7Q2M4X6C8V0B1N3'",
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        f'password = "{ODD}"  # pragma: allowlist secret',
    ],
)
def test_a_credential_would_be_found(tmp_path: Path, line: str) -> None:
    """Does the guard see what it guards against, whatever a comment says?"""
    file = tmp_path / "settings.py"
    file.write_text(f"{line}\n")
    assert [each for each in secrets_in([file], tmp_path) if not is_made_up(each[3])]
