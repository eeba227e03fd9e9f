"""Tasks' working copies: made for a run, archived at its every end, collected when it succeeded.

Owns: ``<data_dir>/tasks/<row>/`` with ``worktree``, ``home``, ``shadow.git`` and ``ledger.json``. Does not own: the agent's
process, or the decision what a refusal means. Desired properties: what an agent leaves is data (``snapshot``); no work is
lost before its archive ref stands in the mirror; every call may be repeated after a crash. Design: a working copy is a
repository of its own that borrows the mirror's objects and has no remote; each run gets it freshly laid out, so nothing
that an earlier agent configured outlives its run; ignored files (caches, dependencies) therefore do not either.
Races we accept: a person may push to the task branch at any time; a lease on the pinned head then refuses ours (``result_push``).
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never, final

import anyio.to_thread

from orch.adapters.git.checks import Inspection, inspect, name_paths
from orch.adapters.git.layout import lay_out, make_private_folder, remove_tree, write_ref
from orch.adapters.git.ledger import Ledger, Snapshot, load_ledger, save_ledger
from orch.adapters.git.mirror import GitMirror
from orch.adapters.git.objects import parse_commit, read_objects
from orch.adapters.git.result_push import ResultPush
from orch.adapters.git.rework import MainMerge
from orch.adapters.git.runner import Options, signature_env
from orch.adapters.git.snapshot import Shadow, parse_archive
from orch.adapters.git.start import StartCommit
from orch.core.errors import LeaseLost, PermanentError, StoreError, TransientError
from orch.core.ids import (
    Branch,
    Sha,
    TaskRow,
    agent_ref,
    archive_ref,
    artefact_dir,
    branch_apart,
    docs_ref,
    parse_sha,
    parse_work_item_id,
)
from orch.core.messages import CommandVerdict, Refusal, RefusalKind
from orch.core.model import RunMode
from orch.failpoints import hit
from orch.ports.git import Collected, MergedMain, Prepared, WorkspaceSpec
from orch.ports.processes import Commands

MayPush = Callable[[WorkspaceSpec], Awaitable[bool]]


def _utc_now() -> datetime:
    return datetime.now(UTC)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a task's things lie."""

    row: TaskRow
    folder: Path

    @property
    def worktree(self) -> Path:
        return self.folder / "worktree"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.json"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a working copy is laid out from: *files* on disk, the branch at *head*.

    *merged* is the default branch's commit that was merged in before *start*; *told* says what of it is to be resolved.
    """

    base: Sha
    pinned: Sha
    start: Sha
    head: Sha
    files: Sha
    merged: Sha | None = None
    told: MergedMain | None = None


@final
class GitWorkspace:
    """The working copies of one project's tasks.

    *may_push* is asked just before a branch is pushed: False (a stale fence) raises LeaseLost and nothing is pushed.
    """

    def __init__(
        self,
        data_dir: Path,
        mirror: GitMirror,
        commands: Commands,
        *,
        may_push: MayPush | None = None,
        now: Callable[[], datetime] = _utc_now,
        setup_timeout_s: float = 1800.0,
    ) -> None:
        self._data_dir = data_dir.absolute()
        self._mirror = mirror
        self._git = mirror.git
        self._merge = MainMerge(mirror.git, mirror.path)
        self._results = ResultPush(mirror)
        self._commands = commands
        self._may_push = may_push
        self._now = now
        self._setup_timeout_s = setup_timeout_s

    def place(self, task: TaskRow) -> Place:
        return Place(row=task, folder=self._data_dir / "tasks" / str(int(task)))

    def _shadow(self, place: Place) -> Shadow:
        return Shadow(self._git, place.folder / "shadow.git", place.worktree, self._mirror.objects, sha256=self._mirror.sha256)

    # ------------------------------------------------------------------------------------------ prepare

    async def prepare(self, spec: WorkspaceSpec) -> Prepared:
        await self._mirror.ensure()
        place = self.place(spec.task)
        ledger = load_ledger(place.ledger)
        if ledger is not None and ledger.open:  # a run whose daemon died before it could archive
            await self._archive(place, ledger)
        plan = await self._restorable(spec) if spec.mode is RunMode.CONTINUATION else None
        if plan is None:
            plan = await self._fresh(spec, place)
        if spec.head is None:
            spec = replace(spec, branch=await self._free_branch(spec, plan.base))
        await self._lay_out(place, spec, plan)
        hit("workspace.laid-out")
        await self._set_up(place, spec)
        save_ledger(
            place.ledger,
            Ledger(
                run=int(spec.run),
                work_item=spec.work_item,
                branch=spec.branch,
                base=plan.base,
                pinned=plan.pinned,
                start=plan.start,
                merged=plan.merged,
            ),
        )
        return Prepared(
            worktree=place.worktree,
            home=place.home,
            start_head=plan.start,
            base=plan.base,
            branch=spec.branch,
            merged=plan.told,
        )

    async def _fresh(self, spec: WorkspaceSpec, place: Place) -> Plan:
        """Begin on the pinned head; the first run cuts the branch from the freshly fetched default branch."""
        base = spec.base if spec.base is not None else await self._mirror.fetch()
        pinned = spec.head if spec.head is not None else base
        place.folder.mkdir(parents=True, exist_ok=True)
        try:
            start, told = await self._start(spec, place, pinned)
        except (PermanentError, StoreError):  # a head that the mirror has not seen yet
            await self._mirror.fetch()
            start, told = await self._start(spec, place, pinned)
        await self._mirror.set_ref(agent_ref(spec.run, spec.attempt), start)
        hit("workspace.cut")
        merged = None if told is None else told.main
        return Plan(base=base, pinned=pinned, start=start, head=start, files=start, merged=merged, told=told)

    async def _start(self, spec: WorkspaceSpec, place: Place, pinned: Sha) -> tuple[Sha, MergedMain | None]:
        """Make the commit to start from on *pinned*, into which the default branch is merged where that is asked for."""
        maker, now = StartCommit(self._mirror, place.folder / "start.index"), self._now()
        made = await self._merge.make(pinned, await self._mirror.fetch(), now) if spec.merge_main else None
        if made is None:
            return await maker.make(spec, pinned, now), None
        return await maker.make(spec, made[0], now), made[1]

    async def _free_branch(self, spec: WorkspaceSpec, base: Sha) -> Branch:
        """Return the task's branch, or a name apart from it where somebody else has pushed a branch of that name."""
        found = self._mirror.tracked(spec.branch)
        if found is None or await self._results.is_ours(spec, found):
            return spec.branch
        return branch_apart(spec.branch, base)

    async def _restorable(self, spec: WorkspaceSpec) -> Plan | None:
        """Read the task's last archive, unless it is another run's or the branch has been moved on past it since."""
        ran = await self._git.run(
            self._mirror.path, "for-each-ref", "--format=%(objectname) %(refname)", archive_ref(spec.task, 0).rpartition("/")[0]
        )
        kept = [(int(name.rpartition("/")[2]), parse_sha(sha)) for sha, _, name in (line.partition(" ") for line in ran.lines())]
        if not kept or (spec.continues is not None and max(kept)[0] != int(spec.continues)):
            return None
        archive = max(kept)[1]
        commit = parse_commit(archive, (await read_objects(self._git, self._mirror.path, [archive]))[archive])
        told = parse_archive(commit.message.decode("utf-8", "replace"))
        try:
            base, pinned, start = (parse_sha(told[key]) for key in ("Base", "Pinned", "Start"))
            merged = parse_sha(told["Merged"]) if "Merged" in told else None
        except (KeyError, ValueError):
            return None
        head = commit.parents[0]
        expected = spec.head if spec.head is not None else spec.base
        if expected is not None and expected != pinned and not await self._mirror.contains(expected, head):
            return None
        return Plan(base=spec.base or base, pinned=pinned, start=start, head=head, files=archive, merged=merged)

    async def _lay_out(self, place: Place, spec: WorkspaceSpec, plan: Plan) -> None:
        """Make the working copy anew: files of ``plan.files``, branch at ``plan.head``, what differs uncommitted."""
        shadow = self._shadow(place)
        await anyio.to_thread.run_sync(self._clear, place)
        git_dir = place.worktree / ".git"
        ref = f"refs/heads/{spec.branch}"
        lay_out(git_dir, bare=False, head=f"ref: {ref}", alternates=[self._mirror.objects], sha256=self._mirror.sha256)
        write_ref(git_dir, ref, plan.head)
        tip = self._mirror.tracked(self._mirror.default_branch)
        if tip is not None:
            write_ref(git_dir, f"refs/remotes/origin/{self._mirror.default_branch}", tip)
        shadow.make()
        shadow.set_attributes(exact=plan.files != plan.head)
        await shadow.check_out(plan.files)
        index = git_dir / "index"
        await anyio.to_thread.run_sync(lambda: index.write_bytes((shadow.dir / "index").read_bytes()))
        if plan.files != plan.head:
            env = {"GIT_INDEX_FILE": str(index)}
            await self._git.run(shadow.dir, "read-tree", "-m", plan.head, options=Options(env=env))

    def _clear(self, place: Place) -> None:
        place.ledger.unlink(missing_ok=True)
        for path in (place.worktree, place.folder / "shadow.git"):
            remove_tree(path)
        place.folder.mkdir(parents=True, exist_ok=True)
        place.folder.chmod(0o700)
        place.worktree.mkdir(mode=0o700)
        make_private_folder(place.home)

    async def _set_up(self, place: Place, spec: WorkspaceSpec) -> None:
        if not spec.setup_command:
            return
        report = await self._commands.run(
            spec.setup_command,
            cwd=place.worktree,
            timeout_s=self._setup_timeout_s,
            label=f"setup-{int(spec.run)}",
            log_path=place.folder / "setup.log",
            project=self._mirror.project,
        )
        match report.verdict:
            case CommandVerdict.GREEN:
                return
            case CommandVerdict.RED:
                raise PermanentError("setup", spec.setup_command[0], f"exit code {report.exit_code}: {report.tail[-2000:]}")
            case CommandVerdict.TIMEOUT | CommandVerdict.INTERRUPTED | CommandVerdict.INFRA:
                raise TransientError("setup", spec.setup_command[0], f"{report.verdict}: {report.tail[-2000:]}")
            case _:
                assert_never(report.verdict)

    # ------------------------------------------------------------------------------------------ archive

    async def archive(self, spec: WorkspaceSpec) -> Sha | None:
        await self._mirror.ensure()
        place = self.place(spec.task)
        ledger = load_ledger(place.ledger)
        if ledger is None or ledger.run != int(spec.run):  # prepare never came to its end
            return None
        snapshot = await self._archive(place, ledger)
        return None if snapshot is None else snapshot.commit

    async def _archive(self, place: Place, ledger: Ledger) -> Snapshot | None:
        """Bring the working copy into the mirror; where the agent's own objects are broken, its files at least."""
        if place.worktree.is_symlink() or not place.worktree.is_dir():
            return None
        shadow = self._shadow(place)
        target = archive_ref(place.row, ledger.run)
        try:
            snapshot = await shadow.take(ledger, self._now(), trusting=True)
            hit("archive.taken")
            await self._mirror.take(shadow.dir, shadow.taken_ref, target)
        except (PermanentError, StoreError) as error:
            if re.search(r"no space|quota|read-only", str(error), re.IGNORECASE):
                raise
            await anyio.to_thread.run_sync(shadow.make)
            snapshot = replace(await shadow.take(ledger, self._now(), trusting=False), problem=str(error)[:500])
            await self._mirror.take(shadow.dir, shadow.taken_ref, target)
        hit("archive.kept")
        save_ledger(place.ledger, ledger.closed(snapshot))
        return snapshot

    # ------------------------------------------------------------------------------------------ collect

    async def collect(self, spec: WorkspaceSpec, prepared: Prepared) -> Collected | Refusal:
        await self._mirror.ensure()
        place = self.place(spec.task)
        ledger = load_ledger(place.ledger)
        if ledger is None or ledger.run != int(spec.run):
            raise StoreError(f"git: run {int(spec.run)} of task {int(spec.task)} has no working copy to collect")
        snapshot = ledger.snapshot if not ledger.open else await self._archive(place, ledger)
        if snapshot is None:
            return Refusal(kind=RefusalKind.HISTORY, reason="the working copy is gone")
        if snapshot.problem:
            return Refusal(kind=RefusalKind.HISTORY, reason=f"what the run committed cannot be read: {snapshot.problem}")
        if snapshot.branch_tip != snapshot.head:
            return Refusal(
                kind=RefusalKind.HISTORY,
                reason=f"the work is not on the branch {spec.branch}: it is at {snapshot.branch_tip or 'nothing'}, "
                f"HEAD at {snapshot.head}; commit on the task's branch and leave it checked out",
            )
        if snapshot.nested:
            names = name_paths([path.encode() for path in snapshot.nested])
            return Refusal(kind=RefusalKind.PATHS, reason=f"remove or ignore the repositories inside the repository: {names}")
        tip = await self._keep_leftovers(place, spec, snapshot)
        if isinstance(tip, Refusal):
            return tip
        hit("collect.kept")
        known = self._mirror.tracked(self._mirror.default_branch)
        what = Inspection(start=prepared.start_head, tip=tip, known=known, allowed=spec.allowed)
        refusal = await inspect(self._git, self._mirror.path, what) or await self._left_over(ledger, tip)
        if refusal is not None:
            return refusal
        hit("collect.checked")
        if self._may_push is not None and not await self._may_push(spec):
            raise LeaseLost(f"run {int(spec.run)} of {spec.work_item} is no longer the task's current attempt")
        hit("branch.pushing")
        pushed = await self._results.push(spec, tip, ledger)
        hit("branch.pushed")
        if isinstance(pushed, Refusal):
            return pushed
        return Collected(facts=await self._mirror.read_artefacts(pushed, spec.work_item, prepared.base))

    async def _keep_leftovers(self, place: Place, spec: WorkspaceSpec, snapshot: Snapshot) -> Sha | Refusal:
        """Put the run's result under its agent ref: the branch's tip, and what was not committed in a commit on top."""
        target = agent_ref(spec.run, spec.attempt)
        tip = snapshot.head
        if snapshot.tree != snapshot.head_tree:
            shadow = self._shadow(place)
            await anyio.to_thread.run_sync(shadow.borrow)
            added = await shadow.add_all(snapshot.head, exact=False, new_within=spec.allowed)
            if added.complaint:
                return Refusal(
                    kind=RefusalKind.PATHS, reason=f"git cannot take the files: {' '.join(added.complaint.split())[:400]}"
                )
            if added.tree != snapshot.head_tree:
                message = f"Keep uncommitted work of the {spec.role.value} (run {int(spec.run)})\n"
                tip = await shadow.commit(added.tree, [tip], message, datetime.fromtimestamp(snapshot.at, UTC))
                await self._mirror.take(shadow.dir, shadow.taken_ref, target)
                return tip
        await self._mirror.set_ref(target, tip)
        return tip

    async def _left_over(self, ledger: Ledger, tip: Sha) -> Refusal | None:
        """Refuse a result that still holds markers of the merge that its run began with."""
        if ledger.merged is None:
            return None
        reason = await self._merge.left_over(tip, ledger.pinned, ledger.merged)
        return None if reason is None else Refusal(kind=RefusalKind.MARKERS, reason=reason)

    # ------------------------------------------------------------------------------------------ remove

    async def remove(self, task: TaskRow) -> None:
        await self._mirror.ensure()
        place = self.place(task)
        ledger = load_ledger(place.ledger)
        if ledger is not None:
            snapshot = await self._archive(place, ledger) if ledger.open else ledger.snapshot
            if snapshot is not None:
                await self._keep_documents(place, ledger, snapshot)
        await anyio.to_thread.run_sync(remove_tree, place.folder)

    async def _keep_documents(self, place: Place, ledger: Ledger, snapshot: Snapshot) -> None:
        """Keep the artefact folder under its own ref, which outlives the archive."""
        tree = f"{snapshot.commit}:{artefact_dir(parse_work_item_id(ledger.work_item))}"
        at = datetime.fromtimestamp(snapshot.at, UTC)
        message = f"Artefacts of {ledger.work_item}\n"
        signed = Options(stdin=message.encode(), env=signature_env(self._git.identity, at), any_code=True)
        ran = await self._git.run(self._mirror.path, "commit-tree", tree, options=signed)
        if ran.code == 0:  # else there is no such folder
            await self._mirror.set_ref(docs_ref(place.row, ledger.run), parse_sha(ran.word()))
