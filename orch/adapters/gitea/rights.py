"""What the bot may do at a repo, found out without changing anything.

Owns: the question whether pull requests can be marked as merged, and what Gitea says of the default branch. The right to push
is tried by git itself (``orch.adapters.git.landing_right``).
"""

from dataclasses import dataclass
from typing import final
from urllib.parse import quote

from orch.adapters.gitea.api import GiteaApi, message
from orch.adapters.gitea.wire import SERVICE, garbage
from orch.core.errors import PermanentError
from orch.ports import MergeMarking

NOWHERE = "0" * 40


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BranchRights:
    """What Gitea says of a branch and of whoever asks. It says nothing of file patterns and signatures."""

    protected: bool
    user_can_push: bool
    user_can_merge: bool


async def fetch_branch_rights(api: GiteaApi, branch: str) -> BranchRights:
    operation = f"GET {api.path}/branches/{branch}"
    reply = await api.client.get(f"{api.path}/branches/{quote(branch)}", expect={404})
    if reply.status == 404:
        await api.require_repo()
        raise PermanentError(SERVICE, operation, f"{api.repo} has no branch {branch}")
    if not isinstance(reply.body, dict):
        raise garbage(operation, "branch")
    return BranchRights(
        protected=reply.body.get("protected") is True,
        user_can_push=reply.body.get("user_can_push") is True,
        user_can_merge=reply.body.get("user_can_merge") is True,
    )


async def check_manual_merge(api: GiteaApi, base: str) -> MergeMarking:
    """Ask the repo's settings; a server that does not tell them is tried on open pull requests with a commit of no repo."""
    repo = await api.require_repo()
    allowed, autodetected = repo.get("allow_manual_merge"), repo.get("autodetect_manual_merge")
    detected = autodetected if isinstance(autodetected, bool) else None
    if isinstance(allowed, bool):
        return MergeMarking(allowed=allowed, autodetected=detected)
    async for item in api.items(f"{api.path}/pulls", {"state": "open"}):
        pull = api.read(item, "check manual merge")
        if pull.value.base != base:
            continue
        body = {"Do": "manually-merged", "MergeCommitID": NOWHERE}
        reply = await api.client.post(f"{api.path}/pulls/{pull.value.number}/merge", body, expect={404, 405, 409})
        if reply.status == 409:
            return MergeMarking(allowed=True, autodetected=detected)
        if reply.status == 405:
            return MergeMarking(allowed=False, autodetected=detected, detail=message(reply))
    return MergeMarking(allowed=None, autodetected=detected, detail="there is no open pull request to try it on")
