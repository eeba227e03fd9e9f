"""Task branches on the remote: pushed, deleted and kept by the daemon, always with a lease on the value that it knows.

Owns: those pushes, which tips are ours, and the daemon's own commits on a branch. Rule: only branches under ``feature/`` are ever
forced or deleted, and only from exactly the expected value.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import final

from orch.adapters.git import history
from orch.adapters.git.clone import Clone
from orch.adapters.git.layout import check_ref_part, read_ref
from orch.adapters.git.push import Answer, name_refusal, push_ref
from orch.adapters.git.runner import Options
from orch.core.errors import DomainError
from orch.core.ids import Branch, RunId, Sha, TaskRow, WorkItemId, archive_ref, artefact_dir, parse_sha, report_ref
from orch.ports.git import Pushed, PushResult


@final
class TaskBranches:
    """The task branches of one mirror's remote."""

    def __init__(self, clone: Clone) -> None:
        self._clone = clone
        self._git = clone.git
        self._dir = clone.path

    async def push(self, branch: Branch, sha: Sha, *, expected: Sha | None) -> Pushed:
        await self._clone.ensure()
        ref = self._task_ref(branch)
        lease = f"{ref}:{parse_sha(expected) if expected else ''}"
        answer = await push_ref(self._git, self._dir, self._clone.remote(), f"{parse_sha(sha)}:{ref}", lease=lease)
        if answer.answer is Answer.TAKEN:
            await self._clone.track(branch, sha)
            return Pushed(result=PushResult.PUSHED)
        tip = await self._clone.remote_tip(branch)
        if tip == sha:
            return Pushed(result=PushResult.PUSHED)
        if tip != expected:
            return Pushed(result=PushResult.MOVED, detail=f"{branch} is at {tip or 'nothing'}, expected {expected or 'nothing'}")
        return name_refusal(answer, tip)

    async def delete(self, branch: Branch, *, expected: Sha) -> Pushed:
        await self._clone.ensure()
        ref = self._task_ref(branch)
        answer = await push_ref(self._git, self._dir, self._clone.remote(), f":{ref}", lease=f"{ref}:{parse_sha(expected)}")
        if answer.answer is Answer.TAKEN:
            return Pushed(result=PushResult.PUSHED)
        tip = await self._clone.remote_tip(branch)
        if tip is None:
            return Pushed(result=PushResult.PUSHED, detail="it was gone already")
        if tip != expected:
            return Pushed(result=PushResult.MOVED, detail=f"{branch} is at {tip}, expected {expected}")
        return name_refusal(answer, tip)

    async def is_ours(self, branch: Branch, tip: Sha) -> bool:
        await self._clone.ensure()
        places = ("refs/agents/", report_ref(self._checked(branch)))
        ran = await self._git.run(self._dir, "for-each-ref", "--format=%(refname)", f"--points-at={parse_sha(tip)}", *places)
        return bool(ran.lines())

    async def keep(self, branch: Branch, *, task: TaskRow, runs: Sequence[RunId], head: Sha | None) -> Sha | None:
        await self._clone.fetch()
        tip = self._clone.tracked(branch)
        if tip is None:
            return None
        if head is None:
            refs = [f"refs/agents/{int(run)}/" for run in runs]
            ran = await self._git.run(self._dir, "for-each-ref", "--format=%(objectname)", *refs) if refs else None
            if ran is None or tip not in ran.lines():
                return None
        await self._clone.set_ref(archive_ref(task, 0), tip)
        return tip

    async def write_artefact(self, branch: Branch, head: Sha, work_item: WorkItemId, *, name: str, text: str) -> Sha | None:
        await self._clone.ensure()
        tip = await self._clone.remote_tip(branch)
        if (
            tip is not None
            and tip != head
            and tip == read_ref(self._dir, report_ref(self._checked(branch)))
            and await history.contains(self._git, self._dir, head, tip)
        ):
            head = tip  # a report of an earlier life, which died before it could record that
        ran = await self._git.run(
            self._dir, "hash-object", "-w", "--stdin", options=Options(stdin=text.encode("utf-8", "replace"))
        )
        line = f"100644 {parse_sha(ran.word())}\t{artefact_dir(work_item)}/{check_ref_part(name)}\0".encode()
        with tempfile.TemporaryDirectory(dir=self._dir) as folder:
            env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            await self._git.run(self._dir, "read-tree", parse_sha(head), options=Options(env=env))
            await self._git.run(self._dir, "update-index", "-z", "--index-info", options=Options(env=env, stdin=line))
            tree = parse_sha((await self._git.run(self._dir, "write-tree", options=Options(env=env))).word())
        held = parse_sha((await self._git.run(self._dir, "rev-parse", "--verify", f"{parse_sha(head)}^{{tree}}")).word())
        if tree == held:
            return head
        message = Options(stdin=f"Keep {name} of {work_item}\n".encode())
        made = parse_sha((await self._git.run(self._dir, "commit-tree", tree, "-p", head, options=message)).word())
        await self._clone.set_ref(report_ref(self._checked(branch)), made)
        pushed = await self.push(branch, made, expected=head)
        return made if pushed.result is PushResult.PUSHED else None

    def _checked(self, branch: Branch) -> Branch:
        return Branch(check_ref_part(branch))

    def _task_ref(self, branch: Branch) -> str:
        if not branch.startswith("feature/") or branch == self._clone.default_branch:
            raise DomainError(f"only branches under feature/ are ever forced or deleted, not {branch[:80]!r}")
        return f"refs/heads/{check_ref_part(branch)}"
