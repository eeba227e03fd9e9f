"""What people and their CI do on the fake Gitea, by their own names: never a trick, only what the server offers.

Owns: ``Person``.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from orch.core.ids import Sha
from orch.rehearsal.gitea.repository import NOTHING
from orch.rehearsal.gitea.state import Comment, Pull

if TYPE_CHECKING:
    from orch.rehearsal.gitea.server import FakeGitea


class Person:
    """Somebody with a login, at one repo."""

    def __init__(self, gitea: "FakeGitea", login: str, repo: str) -> None:
        self._gitea = gitea
        self._repo = gitea.state.repos[repo]
        self.login = login

    def tip(self, branch: str) -> Sha:
        sha = self._repo.git.branch(branch)
        assert sha is not None, f"no branch {branch}"
        return sha

    def push(
        self, branch: str, files: Mapping[str, str | None], message: str = "work", *, onto: str | None = None, force: bool = False
    ) -> Sha:
        """Push one commit on the branch's tip, or on *onto* (a commit); a new branch starts from the default one.

        With *force* the branch may lose what it had.
        """
        before = self._repo.git.branch(branch)
        parent = onto or before or self.tip(self._repo.default_branch)
        made = self._repo.git.commit(files, parent, message, self.login)
        assert force or before is None or self._repo.git.is_ancestor(before, made), "this would be a forced push"
        self.move(branch, made)
        return made

    def move(self, branch: str, sha: str) -> None:
        """Set a branch to a commit that is there already, as a (forced) push would."""
        before = self._repo.git.branch(branch) or NOTHING
        self._repo.git.set_ref(f"refs/heads/{branch}", sha)
        self._gitea.state.pushed(self._repo, self.login, f"refs/heads/{branch}", before, sha)

    def delete_branch(self, branch: str) -> None:
        before = self.tip(branch)
        self._repo.git.delete_ref(f"refs/heads/{branch}")
        self._gitea.state.pushed(self._repo, self.login, f"refs/heads/{branch}", before, NOTHING)

    def open(self, branch: str, title: str = "by hand", *, base: str | None = None, fork: bool = False) -> Pull:
        """Open a pull request; *fork*: from a branch of that name in a fork."""
        base = base or self._repo.default_branch
        return self._gitea.state.open(self._repo, self.login, head=branch, base=base, title=title, body="", fork=fork)

    def merge(self, number: int, style: str = "merge") -> Sha:
        """Press the button."""
        made = self._gitea.state.merge_by_commit(self._repo, self.pull(number), self.login, style)
        assert made is not None, f"#{number} conflicts"
        return made

    def close(self, number: int) -> None:
        self._gitea.state.close(self._repo, self.pull(number), self.login)

    def reopen(self, number: int) -> None:
        self._gitea.state.reopen(self._repo, self.pull(number), self.login)

    def retitle(self, number: int, title: str) -> None:
        self._gitea.state.edit(self._repo, self.pull(number), self.login, title=title, body=None)

    def comment(self, number: int, text: str) -> Comment:
        return self._gitea.state.comment(self._repo, number, self.login, text)

    def set_status(self, sha: str, state: str, context: str = "ci/build", description: str = "") -> None:
        """Post a status as CI does; *state* is whatever it says."""
        table = {"state": state, "context": context, "description": description}
        self._gitea.state.set_status(self._repo, self.login, sha, table)

    def pull(self, number: int) -> Pull:
        return self._repo.pulls[number]
