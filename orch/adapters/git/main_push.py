"""The push of a candidate to the default branch: only ever onto exactly its base, without force or lease.

Owns: how the base is held to, the read-back, and what a push came to. Does not own: whether a candidate may land (``landing``).

Desired properties: main becomes the candidate only from the very commit that it was tested on; what is said of a push is what the
remote shows afterwards.
Design: git alone would also take a main that was rewound below the base. So a hook of ours (``pre_push``) holds the push to the
base, in the push's own connection. Where git may not execute it, and only there, the remote is looked at first.
Races we accept: another pusher comes first: the push is refused by the hook, by git (not a descendant) or by the server (old
value changed), and the caller plans again.
"""

from functools import partial
from typing import final

import anyio.to_thread

from orch.adapters.git import history
from orch.adapters.git.clone import Clone
from orch.adapters.git.pre_push import Onto, install
from orch.adapters.git.push import Answer, PushAnswer, name_refusal, push_ref
from orch.adapters.git.together import side_by_side
from orch.core.ids import Sha, parse_sha
from orch.core.model import Candidate
from orch.failpoints import hit
from orch.ports.git import Pushed, PushResult


@final
class MainPush:
    """Pushes one mirror's candidates."""

    def __init__(self, clone: Clone) -> None:
        self._clone = clone
        self._hooks = clone.path / "push-hooks"

    async def push(self, candidate: Candidate) -> Pushed:
        clone = self._clone
        await clone.ensure()
        base = parse_sha(candidate.base)
        if not await anyio.to_thread.run_sync(install, self._hooks):
            tip = await clone.remote_tip(clone.default_branch)
            if tip != base or tip == candidate.sha:
                return await self._landed_already(candidate, tip)
        hit("main.pushing")
        refspec = f"{parse_sha(candidate.sha)}:refs/heads/{clone.default_branch}"
        answer = await push_ref(clone.git, clone.path, clone.remote(), refspec, onto=Onto(base=base, hooks=self._hooks))
        hit("main.pushed")
        tip = await self._read_back(answer, candidate.sha)
        if tip == candidate.sha:
            return Pushed(result=PushResult.PUSHED)
        if tip != base:
            return await self._landed_already(candidate, tip)
        return name_refusal(answer, tip)

    async def _read_back(self, answer: PushAnswer, sha: Sha) -> Sha | None:
        """Ask the remote what stands there; remember meanwhile what the push has said, which the next fetch mends."""
        ask = partial(self._clone.remote_tip, self._clone.default_branch)
        if answer.answer is not Answer.TAKEN:
            return await ask()
        return (await side_by_side(ask, partial(self._clone.track, self._clone.default_branch, sha)))[0]

    async def _landed_already(self, candidate: Candidate, tip: Sha | None) -> Pushed:
        """Say PUSHED when the default branch holds the candidate, whoever pushed it or went on from it; MOVED otherwise."""
        clone = self._clone
        if tip is None:
            return Pushed(result=PushResult.MOVED, detail=f"the remote has no branch {clone.default_branch}")
        if tip == candidate.sha:
            return Pushed(result=PushResult.PUSHED)
        if await history.contains(clone.git, clone.path, candidate.sha, await clone.fetch()):
            return Pushed(result=PushResult.PUSHED, detail=f"{clone.default_branch} has gone on from it to {tip}")
        return Pushed(
            result=PushResult.MOVED, detail=f"{clone.default_branch} is at {tip}, the candidate was built on {candidate.base}"
        )
