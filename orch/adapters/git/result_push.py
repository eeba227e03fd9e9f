"""The push of a run's result to its task branch, and what it meets there.

Owns: the lease on the pinned head, and what follows where the branch is not there: our own unrecorded push, a branch that was
removed, a person's push on top of the pinned head, anything else. Rule: only what descends from the pinned head is built upon,
and nothing of a person's is ever written over: a replay is no result of ours (``refs/agents``), because it holds a person's work.
"""

from typing import final

from orch.adapters.git.ledger import Ledger
from orch.adapters.git.mirror import GitMirror
from orch.core.errors import PermanentError
from orch.core.ids import Sha
from orch.core.messages import Refusal, RefusalKind
from orch.core.model import LandStyle
from orch.ports.git import CandidateMember, LeftOut, PushResult, WorkspaceSpec


@final
class ResultPush:
    """Pushes results of one mirror's tasks."""

    def __init__(self, mirror: GitMirror) -> None:
        self._mirror = mirror

    async def push(self, spec: WorkspaceSpec, tip: Sha, ledger: Ledger) -> Sha | Refusal:
        """Push *tip* with a lease on the pinned head; return what then stands on the branch: after a replay, another commit."""
        if (refused := await self._try(spec, tip, spec.head)) is None:
            return tip
        found = await self._mirror.remote_tip(spec.branch)
        if found is None:  # removed meanwhile: it is pushed again
            return tip if await self._try(spec, tip, None) is None else refused
        if await self.is_ours(spec, found):
            return tip if await self._try(spec, tip, found) is None else refused
        await self._mirror.fetch()
        if spec.head is None or not await self._mirror.contains(spec.head, found):
            return refused
        return await self._replay(spec, tip, found, ledger)

    async def _try(self, spec: WorkspaceSpec, tip: Sha, expected: Sha | None) -> Refusal | None:
        pushed = await self._mirror.push_branch(spec.branch, tip, expected=expected)
        if pushed.result is PushResult.PUSHED:
            return None
        if pushed.result is PushResult.MOVED:
            return Refusal(kind=RefusalKind.REMOTE_MOVED, reason=pushed.detail)
        raise PermanentError("git", "push", f"the server does not take {spec.branch}: {pushed.detail}")

    async def is_ours(self, spec: WorkspaceSpec, sha: Sha) -> bool:
        """Say whether *sha* is a result that we fetched and pushed, but died before recording; an older head of ours is not."""
        ran = await self._mirror.git.run(self._mirror.path, "for-each-ref", "--format=%(objectname)", "refs/agents/")
        if sha not in ran.lines():
            return False
        return spec.head is None or not await self._mirror.contains(sha, spec.head)

    async def _replay(self, spec: WorkspaceSpec, tip: Sha, found: Sha, ledger: Ledger) -> Sha | Refusal:
        """Put the run's commits onto what a person pushed meanwhile; a run that began with a merge is merged, not replayed."""
        style = LandStyle.REBASE if ledger.merged is None else LandStyle.MERGE
        member = CandidateMember(task=spec.task, head=tip, message=f"Merge run {int(spec.run)} of {spec.work_item}")
        built = await self._mirror.build_candidate(found, [member], style)
        if isinstance(built, LeftOut):
            where = f"in {', '.join(built.files[:20])}: {built.detail}"
            reason = f"a person pushed {found[:12]} to {spec.branch} during the run, whose work conflicts with it {where}"
            return Refusal(kind=RefusalKind.REPLAY_CONFLICT, reason=reason)
        refused = await self._try(spec, built.sha, found)
        return built.sha if refused is None else refused
