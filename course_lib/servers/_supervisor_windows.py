"""What supervisor.sh is elsewhere, for Windows, where there is no sh. It runs as a program of its own.

It follows the same protocol with the standard library alone. The course's tests do not run on Windows, so this
file is kept as small as it can be.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path


def main(folder: Path, programs: Path, template: Path) -> None:
    """Prepare the data in ``folder``, obey the commands on standard input, and clean up at its end."""
    server: subprocess.Popen[bytes] | None = None

    def say(text: str) -> None:
        with (folder / "events").open("a", newline="\n") as events:
            events.write(f"{text}\n")

    postgres = str(programs / "postgres.exe")
    with (folder / "log").open("ab") as log, (folder / "prepare.log").open("wb") as told:
        try:
            shutil.copytree(template, folder / "data")
            with (folder / "passwords.sql").open("rb") as sql:
                single = [postgres, "--single", "-F", "-D", str(folder / "data"), "-c", "exit_on_error=on", "template1"]
                subprocess.run(single, stdin=sql, stdout=told, stderr=told, check=True)
        except (OSError, shutil.Error, subprocess.SubprocessError) as error:
            told.write(f"{error}\n".encode())
            told.flush()
            say("failed 1")
        else:
            say("prepared")
        (folder / "passwords.sql").unlink(missing_ok=True)
        for line in sys.stdin:
            if server is not None:
                server.wait()
            config = f"config_file={folder / 'postgresql.conf'}"
            command = [postgres, "-D", str(folder / "data"), "-c", config, "-p", line.split()[1]]
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            say(f"started {server.pid}")
        if server is not None:
            # The other processes of PostgreSQL end when they see that their parent is gone.
            server.kill()
            server.wait()
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
        time.sleep(0.1)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
