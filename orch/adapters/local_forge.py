"""The built-in forge: the user's own git repository, with pull requests and commit statuses as rows of the store.

Owns: pull requests of one repo, and how it is pushed to. Does not own the pushing (the mirror does). Rule: what git says decides
whether something has landed; a row follows.
"""

import os
import subprocess
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import anyio

from orch.core.errors import PermanentError, TransientError
from orch.core.ids import Branch, ProjectName, Sha, parse_sha
from orch.core.model import CommitStatus, PullRequest, PullRequestState
from orch.ports import Clock, GitRemote, MergeMarking, Store, Tx

SERVICE = "local forge"
GIT_TIMEOUT_S = 30.0

RECEIVE_PACK = "git -c receive.denyCurrentBranch=updateInstead -c core.hooksPath=/dev/null -c core.fsmonitor=false receive-pack"
"""Where the default branch is checked out, a clean working tree follows the push and a dirty one refuses it."""


class LocalForge:
    """The ``Forge`` port for a repository on this machine, bare or not."""

    def __init__(self, store: Store, project: ProjectName, repo_path: Path, default_branch: str, clock: Clock) -> None:
        self._store = store
        self._project = project
        self._path = repo_path.absolute()
        self._base = default_branch
        self._clock = clock

    def remote(self) -> GitRemote:
        return GitRemote(url=str(self._path), receive_pack=RECEIVE_PACK)

    async def open_pull_request(self, branch: Branch, *, title: str, body: str) -> PullRequest:
        return await self._store.transact(lambda tx: self._open(tx, branch, title, body))

    def _open(self, tx: Tx, branch: Branch, title: str, body: str) -> PullRequest:
        found = tx.open_pull_request_of(self._project, branch, self._base)
        return found or tx.insert_pull_request(self._project, branch, self._base, title, body, self._clock.now())

    async def fetch_pull_request(self, number: int) -> PullRequest | None:
        return await self._store.read(lambda tx: tx.load_pull_request(self._project, number))

    async def find_pull_request(self, branch: Branch) -> PullRequest | None:
        def work(tx: Tx) -> PullRequest | None:
            found = tx.open_pull_request_of(self._project, branch, self._base)
            if found is not None:
                return found
            return next((pull for pull in tx.list_pull_requests(self._project, self._base) if pull.branch == branch), None)

        return await self._store.read(work)

    async def list_pull_requests(
        self,
        state: PullRequestState | None = None,
        *,
        since: datetime | None = None,  # noqa: ARG002 - its rows do not say when they changed
    ) -> list[PullRequest]:
        pulls = await self._store.read(lambda tx: tx.list_pull_requests(self._project, self._base))
        return [pull for pull in pulls if state is None or pull.state is state]

    async def edit_pull_request(
        self, number: int, *, title: str | None = None, body: str | None = None, state: PullRequestState | None = None
    ) -> PullRequest:
        """Change what is given. A merged pull request stays merged; only ``mark_merged`` makes one."""
        if state is PullRequestState.MERGED:
            raise PermanentError(SERVICE, "edit pull request", "a pull request is merged by landing its commits, not by an edit")
        return await self._store.transact(lambda tx: self._edit(tx, number, title, body, state))

    def _edit(self, tx: Tx, number: int, title: str | None, body: str | None, state: PullRequestState | None) -> PullRequest:
        pull = self._known(tx, number, "edit pull request")
        if state is PullRequestState.OPEN and pull.state is PullRequestState.CLOSED:
            other = tx.open_pull_request_of(self._project, pull.branch, pull.base)
            if other is not None:
                raise PermanentError(SERVICE, "reopen pull request", f"#{other.number} of that branch is open already")
        pull = replace(
            pull,
            title=pull.title if title is None else title,
            body=pull.body if body is None else body,
            state=pull.state if state is None or pull.state is PullRequestState.MERGED else state,
        )
        tx.save_pull_request(pull)
        return pull

    async def mark_merged(self, number: int, sha: Sha) -> PullRequest:
        """Mark it as merged by *sha*; raises PermanentError unless that commit is in the default branch."""
        if not await self._landed(sha):
            raise PermanentError(SERVICE, "mark merged", f"{sha} is not in {self._base} of {self._path}")
        return await self._store.transact(lambda tx: self._mark_merged(tx, number, sha))

    def _mark_merged(self, tx: Tx, number: int, sha: Sha) -> PullRequest:
        pull = self._known(tx, number, "mark merged")
        if pull.state is PullRequestState.MERGED and pull.merged != sha:
            raise PermanentError(SERVICE, "mark merged", f"#{number} was merged by {pull.merged} already")
        merged = replace(pull, state=PullRequestState.MERGED, merged=sha)
        tx.save_pull_request(merged)
        return merged

    async def keep_comment(self, number: int, *, marker: str, text: str) -> None:
        await self._store.transact(lambda tx: self._keep_comment(tx, number, marker, text))

    def _keep_comment(self, tx: Tx, number: int, marker: str, text: str) -> None:
        self._known(tx, number, "comment")
        tx.keep_pr_comment(self._project, number, marker, text)

    async def post_status(self, status: CommitStatus) -> None:
        await self._store.transact(lambda tx: tx.save_commit_status(self._project, status, self._clock.now()))

    async def fetch_statuses(self, sha: Sha) -> list[CommitStatus]:
        return await self._store.read(lambda tx: tx.list_commit_statuses(self._project, sha))

    async def check_manual_merge(self) -> MergeMarking:
        return MergeMarking(allowed=True, autodetected=False)

    def web_url(self, branch: Branch, path: str) -> str:  # noqa: ARG002 - the local forge has no pages
        return ""

    def _known(self, tx: Tx, number: int, operation: str) -> PullRequest:
        pull = tx.load_pull_request(self._project, number)
        if pull is None:
            raise PermanentError(SERVICE, operation, f"project {self._project} has no pull request #{number}")
        return pull

    async def _landed(self, sha: Sha) -> bool:
        """Ask git whether *sha* is reachable from the default branch."""
        try:
            wanted = parse_sha(sha)
        except ValueError as error:
            raise PermanentError(SERVICE, "mark merged", str(error)) from error
        command = ["git", "-C", str(self._path), "merge-base", "--is-ancestor", wanted, f"refs/heads/{self._base}"]
        environment = {**_without_git(os.environ), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
        try:
            with anyio.fail_after(GIT_TIMEOUT_S):
                ended = await anyio.run_process(
                    command, check=False, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
                )
        except (OSError, TimeoutError) as error:
            raise TransientError(SERVICE, "mark merged", f"git could not be asked about {self._path}: {error}") from error
        # 0 is yes, 1 is no, 128 an object or branch that is not there: not landed either.
        return ended.returncode == 0


def _without_git(environment: "os._Environ[str]") -> dict[str, str]:
    """Leave out what would point git at another repository."""
    return {name: value for name, value in environment.items() if not name.startswith("GIT_")}
