"""Builders of git repositories for tests: real git, temporary folders, fixed names and dates.

Rule: nothing of the machine's own git configuration is read, and the same calls give the same commit ids.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from orch.core.ids import Sha, parse_sha
from orch.ports.services import GitRemote

UPDATE_INSTEAD = "git -c core.hooksPath=/dev/null -c receive.denyCurrentBranch=updateInstead receive-pack"
_DATE = "1700000000 +0000"
_ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Ada Agent",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_AUTHOR_DATE": _DATE,
    "GIT_COMMITTER_NAME": "Ada Agent",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_COMMITTER_DATE": _DATE,
}


class Repo:
    """A repository on disk, driven as a person or an agent would."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def git(self, *args: str, env: Mapping[str, str] | None = None, check: bool = True) -> str:
        """Run git here and return its output without the last newline."""
        done = subprocess.run(
            ["git", *args], cwd=self.path, env=_ENV | dict(env or {}), capture_output=True, check=False, stdin=subprocess.DEVNULL
        )
        if check and done.returncode:
            raise AssertionError(f"git {' '.join(args)}: {done.stderr.decode('utf-8', 'replace')}")
        return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Write files; None removes one."""
        for name, content in files.items():
            path = self.path / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files: Mapping[str, str | bytes | None], message: str = "change", *, author: str = "Ada Agent") -> Sha:
        """Write *files*, commit everything and return the commit."""
        self.write(files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message, env={"GIT_AUTHOR_NAME": author})
        return self.tip()

    def tip(self, ref: str = "HEAD") -> Sha:
        return parse_sha(self.git("rev-parse", "--verify", f"{ref}^{{commit}}"))

    def has(self, ref: str) -> bool:
        return self.git("rev-parse", "--verify", "--quiet", ref, check=False) != ""

    def tree(self, ref: str = "HEAD") -> dict[str, str]:
        """Return every file of a commit with its content."""
        names = [name for name in self.git("ls-tree", "-r", "-z", "--name-only", ref).split("\0") if name]
        return {name: self.git("cat-file", "blob", f"{ref}:{name}") for name in names}

    def subjects(self, *revs: str) -> list[str]:
        """Return the subjects of a range, oldest first."""
        return self.git("log", "--reverse", "--topo-order", "--format=%s", *revs).splitlines()

    def switch(self, branch: str, start: str | None = None) -> None:
        """Check a branch out, making it at *start* where given."""
        self.git("checkout", "--quiet", *(["-B", branch, start] if start else [branch]))


def make_repo(path: Path, *, branch: str = "main", files: Mapping[str, str | bytes | None] | None = None) -> Repo:
    """Make a repository with a working tree and one commit on *branch*."""
    path.mkdir(parents=True)
    repo = Repo(path)
    repo.git("init", "--quiet", f"--initial-branch={branch}")
    repo.commit({"README.md": "# Sample\n", "app.py": "def add(a, b):\n    return a + b\n"} if files is None else files, "first")
    return repo


def make_bare(path: Path, source: Repo, *, branch: str = "main") -> Repo:
    """Make a bare repository, a server's, that holds *source*'s branches, and make it *source*'s ``origin``."""
    path.mkdir(parents=True)
    bare = Repo(path)
    bare.git("init", "--quiet", "--bare", f"--initial-branch={branch}")
    source.git("remote", "add", "origin", str(path))
    source.git("push", "--quiet", "origin", "--all")
    return bare


def remote_of(repo: Repo) -> GitRemote:
    """Name a repository as a remote; one with a working tree takes pushes to the branch that is checked out."""
    bare = (repo.path / "HEAD").exists()
    return GitRemote(url=str(repo.path), receive_pack=None if bare else UPDATE_INSTEAD)
