"""The ``Forge`` port on Gitea: pull requests, comments and commit statuses of one repo over its API.

Owns: ``GiteaForge``. Does not own hooks (``hooks``) or git's traffic (the mirror). Rule: every write may have happened although
its answer was lost, so each is safe to repeat or is looked for first; a state is read back, never inferred.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import final
from urllib.parse import quote

import anyio

from orch.adapters.gitea.api import GiteaApi, message
from orch.adapters.gitea.comments import keep_comment
from orch.adapters.gitea.credentials import GitCredentials
from orch.adapters.gitea.merging import mark_merged
from orch.adapters.gitea.rights import BranchRights, check_manual_merge, fetch_branch_rights
from orch.adapters.gitea.webhook import ensure_webhook
from orch.adapters.gitea.wire import SERVICE, Pull, read_state
from orch.core.errors import PermanentError, TransientError
from orch.core.ids import Branch, Sha, parse_sha
from orch.core.model import CommitStatus, PullRequest, PullRequestState
from orch.ports import GitRemote, MergeMarking

TITLE_MAX = 250
DESCRIPTION_MAX = 250


@final
class GiteaForge:
    """One repo's forge. Its client is shared, and closed by whoever made it."""

    def __init__(self, api: GiteaApi, credentials: GitCredentials, base: str) -> None:
        self.api = api
        self._credentials = credentials
        self._base = base
        self._commenting = anyio.Lock()

    def remote(self) -> GitRemote:
        return self._credentials.remote(self.api.repo)

    def web_url(self, branch: Branch, path: str) -> str:
        return f"{self.api.web}/src/branch/{quote(branch)}/{quote(path)}"

    # ------------------------------------------------------------------------------------------ pull requests

    async def open_pull_request(self, branch: Branch, *, title: str, body: str) -> PullRequest:
        """Open one, or return the one that is open. Raises PermanentError when the branch is not there or adds nothing."""
        path = f"{self.api.path}/pulls"
        payload = {"head": branch, "base": self._base, "title": title[:TITLE_MAX], "body": body}
        reply = await self.api.client.post(path, payload, expect={404, 409})
        if reply.status == 404:
            if await self.api.exists(f"/branches/{quote(branch)}"):
                raise TransientError(SERVICE, "open pull request", f"Gitea does not see the branch {branch} yet")
            raise PermanentError(SERVICE, "open pull request", f"{self.api.repo} has no branch {branch}")
        if reply.status != 409:
            return self.api.read(reply.body, f"POST {path}").value
        found = await self._open_one(branch)
        if found is None:
            raise TransientError(SERVICE, "open pull request", f"{branch} has one that is not among the open ones: look again")
        return found

    async def fetch_pull_request(self, number: int) -> PullRequest | None:
        pull = await self.api.pull(number)
        return None if pull is None else pull.value

    async def find_pull_request(self, branch: Branch) -> PullRequest | None:
        found = await self._open_one(branch)
        if found is not None:
            return found
        closed = [pull for pull in await self._list({"state": "closed"}) if pull.value.branch == branch]
        return max((pull.value for pull in closed), key=lambda pull: pull.number, default=None)

    async def list_pull_requests(
        self, state: PullRequestState | None = None, *, since: datetime | None = None
    ) -> list[PullRequest]:
        asked = "all" if state is None else "open" if state is PullRequestState.OPEN else "closed"
        found = await self._list({"state": asked, "sort": "recentupdate"}, since)
        return [pull.value for pull in found if state is None or pull.value.state is state]

    async def _list(self, query: Mapping[str, str], since: datetime | None = None) -> list[Pull]:
        """List those from a branch of the repo itself onto the default branch."""
        path, found = f"{self.api.path}/pulls", []
        async for item in self.api.items(path, query):
            pull = self.api.read(item, f"GET {path}")
            if since is not None and pull.updated_at is not None and pull.updated_at < since:
                break
            if pull.ours and pull.value.base == self._base:
                found.append(pull)
        return found

    async def _open_one(self, branch: Branch) -> PullRequest | None:
        found = [pull.value for pull in await self._list({"state": "open"})]
        return next((pull for pull in found if pull.branch == branch and pull.state is PullRequestState.OPEN), None)

    async def edit_pull_request(
        self, number: int, *, title: str | None = None, body: str | None = None, state: PullRequestState | None = None
    ) -> PullRequest:
        """Change what is given. A merged pull request stays merged; only ``mark_merged`` makes one."""
        if state is PullRequestState.MERGED:
            raise PermanentError(SERVICE, "edit pull request", "a pull request is merged by landing its commits, not by an edit")
        payload = {key: text for key, text in (("title", title and title[:TITLE_MAX]), ("body", body)) if text is not None}
        if state is not None and await self._may_become(number, state):
            payload["state"] = state.value
        if not payload:
            return (await self.api.require_pull(number, "edit pull request")).value
        path = f"{self.api.path}/pulls/{number}"
        reply = await self.api.client.patch(path, payload, expect={404, 412})
        if reply.status == 404:
            await self.api.require_pull(number, "edit pull request")
            raise TransientError(SERVICE, "edit pull request", f"#{number} was not there for a moment")
        if reply.status == 412:  # it was merged, or something else holds it, between our look and our edit
            raise TransientError(SERVICE, "edit pull request", f"#{number} changed meanwhile: {message(reply)}")
        return self.api.read(reply.body, f"PATCH {path}").value

    async def _may_become(self, number: int, state: PullRequestState) -> bool:
        """Say whether #*number* is to be changed to *state*; raises PermanentError rather than reopen beside a successor."""
        pull = (await self.api.require_pull(number, "edit pull request")).value
        if pull.state is state or pull.state is PullRequestState.MERGED:
            return False
        if state is PullRequestState.OPEN:
            other = await self._open_one(pull.branch)
            if other is not None:
                raise PermanentError(SERVICE, "reopen pull request", f"#{other.number} of that branch is open already")
        return True

    async def mark_merged(self, number: int, sha: Sha) -> PullRequest:
        try:
            landed = parse_sha(sha)
        except ValueError as error:
            raise PermanentError(SERVICE, "mark merged", str(error)) from error
        return await mark_merged(self.api, number, landed)

    async def keep_comment(self, number: int, *, marker: str, text: str) -> None:
        async with self._commenting:
            await keep_comment(self.api, number, marker=marker, text=text)

    # ------------------------------------------------------------------------------------------ commit statuses

    async def post_status(self, status: CommitStatus) -> None:
        """Post a status. Raises PermanentError when Gitea does not have the commit, to which it answers 500."""
        sha = parse_sha(status.sha)
        payload = {"state": status.state.value, "context": status.context, "description": status.description[:DESCRIPTION_MAX]}
        payload |= {"target_url": status.url} if status.url else {}
        reply = await self.api.client.post(f"{self.api.path}/statuses/{sha}", payload, expect={404, 500})
        if reply.status in (404, 500):
            if await self.api.exists(f"/git/commits/{sha}"):
                raise TransientError(SERVICE, "post status", f"HTTP {reply.status} {message(reply)}".strip())
            raise PermanentError(SERVICE, "post status", f"{self.api.repo} has no commit {sha}")

    async def fetch_statuses(self, sha: Sha) -> list[CommitStatus]:
        path = f"{self.api.path}/commits/{parse_sha(sha)}/status"
        found: dict[str, CommitStatus] = {}
        async for item in self.api.items(path, key="statuses"):
            context, description, url = (str(item.get(key) or "") for key in ("context", "description", "target_url"))
            state = read_state(item.get("status", item.get("state")))
            found.setdefault(context, CommitStatus(sha=sha, context=context, state=state, description=description, url=url))
        return list(found.values())

    # ------------------------------------------------------------------------------------------ rights and set-up

    async def check_manual_merge(self) -> MergeMarking:
        return await check_manual_merge(self.api, self._base)

    async def fetch_branch_rights(self) -> BranchRights:
        """Return what Gitea says of the default branch and of the bot."""
        return await fetch_branch_rights(self.api, self._base)

    async def fetch_tip(self) -> Sha | None:
        """Return the newest commit of the default branch, None where there is no such branch."""
        reply = await self.api.client.get(f"{self.api.path}/branches/{quote(self._base)}", expect={404})
        commit = reply.body.get("commit") if isinstance(reply.body, dict) and reply.status != 404 else None
        try:
            return parse_sha(str(commit.get("id"))) if isinstance(commit, dict) else None
        except ValueError as error:
            raise TransientError(SERVICE, "read the default branch", str(error)) from error

    async def ensure_webhook(self, url: str, secret: str) -> tuple[str, ...]:
        """Set the hook to *url* up, as an administrator of the repo; return the events that this server does not know."""
        return await ensure_webhook(self.api, url, secret)
