"""What `course update` asks of git. Nothing here changes a file of the learner's but `restore`."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# A user name and password in a remote's URL, which git may quote.
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
# They point git to another repository, for instance inside a hook.
_ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE")
_UNFINISHED = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
}


class UpdateError(Exception):
    """The course can't be updated; the message says why, and what to do."""


class GitError(UpdateError):
    """git said no; the message is what it said."""


@dataclass(frozen=True)
class Change:
    """A file that differs between two versions of the course.

    Args:
        path: its path in the course's folder, with slashes.
        old: the id of its content in the old version; None if it isn't there.
        new: the same of the new version.
    """

    path: str
    old: str | None
    new: str | None


class Clone:
    """The course's folder as a git clone.

    Args:
        root: the course's folder.

    Raises:
        UpdateError: it is no clone that can be updated.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        if (program := shutil.which("git")) is None:
            raise UpdateError("git was not found. Install it (https://git-scm.com), then run this again.")
        self._program = program
        if not (root / ".git").exists():
            raise UpdateError(
                f"{root} is no git clone: it was perhaps unpacked from an archive. Clone the course into another "
                "folder, and copy your notebooks and work/ over."
            )
        if Path(self.text("rev-parse", "--show-toplevel")).resolve() != root.resolve():
            raise UpdateError(f"{root} belongs to another repository. Clone the course into a folder of its own.")
        self._refuse_unfinished()

    def run(self, *arguments: str, data: bytes | None = None) -> bytes:
        """Run git and return what it prints.

        Args:
            arguments: its arguments.
            data: what it reads.

        Raises:
            GitError: it failed.
        """
        terminal = sys.stdin is not None and sys.stdin.isatty()  # somebody there who can type a password
        environment = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
        if not terminal:
            environment["GIT_TERMINAL_PROMPT"] = "0"
        # No stash behind our back, no cleaning up in the background.
        settings = ("-c", "merge.autoStash=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false")
        source = subprocess.PIPE if data is not None else None if terminal else subprocess.DEVNULL
        command = [self._program, "-C", str(self.root), *settings, *arguments]
        with subprocess.Popen(
            command, env=environment, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as done:
            printed, complained = done.communicate(data)
        if done.returncode:
            lines = [line for line in complained.decode(errors="replace").splitlines() if line.strip()]
            said = next((line for line in lines if line.startswith(("fatal:", "error:"))), (lines or ["no reason"])[-1])
            raise GitError(_CREDENTIALS.sub("***@", re.sub(r"^(fatal|error): ", "", said)).rstrip("."))
        return printed

    def text(self, *arguments: str) -> str:
        """Run git and return what it prints as text without the last line break."""
        return self.run(*arguments).decode(errors="surrogateescape").rstrip("\r\n")

    def lock_file(self) -> Path:
        """Return the file that stands for the lock of an update; git does not look at it."""
        return self.root / self.text("rev-parse", "--git-path", "course-update.lock")

    def newest(self) -> str:
        """Get the newest version and return its commit.

        Raises:
            UpdateError: there is no branch or no upstream, it can't be reached, or the learner committed.
        """
        try:
            branch = self.text("symbolic-ref", "--short", "-q", "HEAD")
        except GitError:
            raise UpdateError("No branch is checked out. `git switch main`, then run this again.") from None
        try:
            self.text("rev-parse", "--abbrev-ref", "@{upstream}")
        except GitError:
            raise UpdateError(
                f"The branch {branch} follows no branch of the course's repository. "
                f"`git branch --set-upstream-to=origin/{branch}`, then run this again."
            ) from None
        try:
            self.run("fetch", "--quiet")
        except GitError as error:
            raise UpdateError(
                f"The course's repository can't be reached ({error}). Are you online? Nothing was changed."
            ) from None
        target = self.text("rev-parse", "--verify", "@{upstream}^{commit}")
        ahead = int(self.text("rev-list", "--count", f"{target}..HEAD"))
        if ahead:
            self._refuse_commits(ahead, branch, target)
        return target

    def changes(self, old: str, new: str) -> list[Change]:
        """Return the files that differ between two commits."""
        parts = self.run("diff", "--raw", "--no-renames", "--no-abbrev", "-z", old, new).split(b"\0")
        found = []
        for described, path in zip(parts[::2], parts[1::2], strict=False):
            before, after = described.decode().split()[2:4]
            name = os.fsdecode(path)
            found.append(Change(name, before if before.strip("0") else None, after if after.strip("0") else None))
        return found

    def changed_here(self, *arguments: str) -> set[str]:
        """Return the tracked files that differ from the checked-out version; with `--cached`, those in the index."""
        return {os.fsdecode(path) for path in self.run("diff", "--name-only", "-z", *arguments).split(b"\0") if path}

    def content(self, blob: str) -> bytes:
        """Return a content by its id."""
        return self.run("cat-file", "blob", blob)

    def blob(self, commit: str, path: str) -> str | None:
        """Return the id of a file's content in a commit; None if it isn't there."""
        try:
            return self.text("rev-parse", "--verify", "--quiet", f"{commit}:{path}")
        except GitError:
            return None

    def identity(self, path: str, data: bytes) -> str:
        """Return the id that a content has as this file, after git's own conversions."""
        return self.run("hash-object", "--stdin", f"--path={path}", data=data).decode().strip()

    def holds(self, path: str, data: bytes, blob: str | None) -> bool:
        """Return whether a content of this file is that of the id; mostly without asking git, which takes its time."""
        own = hashlib.sha1(b"blob %d\0%b" % (len(data), data), usedforsecurity=False).hexdigest()
        return blob is not None and (own == blob or self.identity(path, data) == blob)

    def restore(self, paths: Iterable[str]) -> None:
        """Bring files to what the checked-out version holds; those that it does not hold are removed."""
        wanted = sorted(set(paths))
        there = [path for path in wanted if self.blob("HEAD", path)]
        if there:
            self.run("checkout", "--quiet", "HEAD", "--", *(f":(literal){path}" for path in there))
        for path in wanted:
            if path not in there:
                self.run("rm", "--quiet", "--cached", "--force", "--ignore-unmatch", "--", f":(literal){path}")
                (self.root / path).unlink(missing_ok=True)

    def _refuse_unfinished(self) -> None:
        lock = self.root / self.text("rev-parse", "--git-path", "index.lock")
        if lock.exists():
            raise UpdateError(
                f"Another git works in this folder, or one was killed. If none runs, remove {lock} and run this again."
            )
        for name, what in _UNFINISHED.items():
            if (self.root / self.text("rev-parse", "--git-path", name)).exists():
                raise UpdateError(
                    f"A {what} of yours is not finished. Finish it, or `git {what} --abort`; then run this again."
                )
        if left := self.text("ls-files", "--unmerged"):
            names = sorted({line.partition("\t")[2] for line in left.splitlines()})
            raise UpdateError(
                f"A conflict is left in {', '.join(names)}. Mend the file and `git add` it, or take the course's with "
                f"`git checkout HEAD -- {names[0]}`; then run this again."
            )

    def _refuse_commits(self, ahead: int, branch: str, target: str) -> None:
        shared = self.text("merge-base", "HEAD", target)[:12]
        commits = "1 commit" if ahead == 1 else f"{ahead} commits"
        raise UpdateError(
            f"Your branch {branch} has {commits} that the course does not have, so it can't be brought forward. "
            f"`git branch my-commits` keeps them under that name, `git reset {shared}` takes them off {branch} and "
            "leaves your files as they are. Then run this again: it carries them over."
        )
