"""Marking a pull request as merged by a commit that was pushed to the default branch.

Owns: ``mark_merged``. Rule: what a refusal means is read off the pull request itself, since the same code stands for merged
already, switched off and try again, often without a word.

Race we accept: a forge that detects merges by itself, or a person, may mark it first, by another commit; merged is merged.
"""

from orch.adapters.gitea.api import GiteaApi, message
from orch.adapters.gitea.wire import SERVICE
from orch.adapters.http import ServiceReply
from orch.core.errors import ExternalError, PermanentError, TransientError
from orch.core.ids import Sha
from orch.core.model import PullRequest, PullRequestState

OPERATION = "mark merged"
_EXPECTED = frozenset({404, 405, 409})


async def mark_merged(api: GiteaApi, number: int, sha: Sha) -> PullRequest:
    """Mark #*number* as merged by *sha* and return it as it then is.

    A closed one, as the deletion of its branch leaves it, is opened again first. Raises TransientError while Gitea does not see
    *sha* in the base, PermanentError when it does not allow the mark.
    """
    reply = await _mark(api, number, sha)
    if reply.status == 404:
        pull = (await api.require_pull(number, OPERATION)).value
        if pull.state is PullRequestState.MERGED:
            return pull
        if pull.state is PullRequestState.CLOSED:
            # 412: it was merged since we looked, which the next answers tell.
            await api.client.patch(f"{api.path}/pulls/{number}", {"state": "open"}, expect={412})
            reply = await _mark(api, number, sha)
    pull = (await api.require_pull(number, OPERATION)).value
    if pull.state is PullRequestState.MERGED:
        return pull
    raise _refusal(number, sha, reply)


async def _mark(api: GiteaApi, number: int, sha: Sha) -> ServiceReply:
    body = {"Do": "manually-merged", "MergeCommitID": sha}
    return await api.client.post(f"{api.path}/pulls/{number}/merge", body, expect=_EXPECTED)


def _refusal(number: int, sha: Sha, reply: ServiceReply) -> ExternalError:
    told = message(reply)
    if reply.status == 409:
        return TransientError(SERVICE, OPERATION, f"Gitea does not see {sha} in the base of #{number} yet")
    if reply.status == 405 and "try again" not in told.casefold():
        return PermanentError(SERVICE, OPERATION, f"#{number} may not be marked ({told or 'no reason given'}); {ADVICE}")
    return TransientError(SERVICE, OPERATION, f"#{number} is not merged after HTTP {reply.status} {told}".strip())


ADVICE = "the repository needs allow_manual_merge, and the bot a place in the merge whitelist where there is one"
