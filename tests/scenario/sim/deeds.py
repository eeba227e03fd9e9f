"""Single events of a plan: what one person does at the wrong moment, and what happens to the services and the host.

Owns: the meaning of each kind of event. Rule: an event whose object is not there (yet) is nothing: it is noted as missed.
"""

from dataclasses import replace
from typing import final

import anyio

from orch.core.commands import (
    AddDependency,
    AdoptIssue,
    Decision,
    FreezeRepo,
    PauseRepos,
    RevertTask,
    SendTaskBack,
    UnfreezeRepo,
    UnpauseRepos,
)
from orch.core.ids import IssueId, Sha
from orch.core.model import Finding, PullRequest, PullRequestState, Task
from orch.core.room import Free
from orch.core.stages import ORDER, is_landed
from orch.ports import Tx
from tests.fakes.line import BODY
from tests.fakes.probe import BAD, GOOD
from tests.fakes.repository import Repository
from tests.scenario.sim.fate import FAULTS, Event
from tests.scenario.sim.people import People, project_of
from tests.scenario.sim.world import SimGround

PLENTY = Free(memory_mb=100_000, disk_mb=100_000)
DECISIONS = {"stop-button": Decision.STOP, "resume": Decision.RESUME, "fix": Decision.FIX}


@final
class Deeds:
    """Carries events out, each at its moment."""

    def __init__(self, ground: SimGround, people: People) -> None:
        self._ground, self._people = ground, people

    async def at_its_time(self, event: Event) -> None:
        await anyio.sleep(event.at)
        if event.cue and await self._cued(event):
            return
        if event.kind in dict(FAULTS):
            self._ground.trace.counts[f"event: {event.kind}"] += 1
            await self._happen(event)
        elif (issue := self._people.issues.get(event.who)) is not None:
            self._ground.trace.note(event.kind, issue, event.detail, by="person")
            await self._do(event, issue)
        else:
            self._ground.trace.counts["missed"] += 1

    async def _cued(self, event: Event) -> bool:
        """Wait for the event's cue, and say whether all is done then: a crash is armed within the doing that is noted."""
        trace, come = self._ground.trace, anyio.Event()

        def act() -> None:
            if event.kind == "crash":
                trace.counts["event: crash"] += 1
                self._ground.weather.fuse = int(event.amount)
            come.set()

        trace.upon(event.cue, act)
        await come.wait()
        trace.counts["on cue"] += 1
        return event.kind == "crash"

    # ---------------------------------------------------------------------------------------- the host and the services

    async def _happen(self, event: Event) -> None:
        ground, trouble, name = self._ground, self._ground.weather.trouble, event.detail
        match event.kind:
            case "outage":
                trouble.out.add(name)
                await anyio.sleep(event.amount)
                trouble.out.discard(name)
            case "error":
                trouble.errors[name] += int(event.amount)
            case "lost-answer":
                trouble.lost_answers[name] += int(event.amount)
            case "slow":
                trouble.slow[name] = event.amount
            case "crash":
                ground.weather.fuse = int(event.amount)
            case "stall":
                trouble.stalled_until = anyio.current_time() + event.amount
                ground.trace.note("stall", event.amount, by="fate")
            case "disk-full":
                trouble.full = True
                await anyio.sleep(event.amount)
                trouble.full = False
            case "no-room":
                ground.room.free = replace(PLENTY, disk_mb=50)
                await anyio.sleep(event.amount)
                ground.room.free = PLENTY
            case "clock":
                ground.clock.jump(event.amount)
                ground.trace.note("clock jumps", event.amount, by="fate")
            case "degrade":
                ground.probe.always = BAD
                await anyio.sleep(event.amount)
                ground.probe.always = GOOD
            case _:
                raise AssertionError(event.kind)

    # ---------------------------------------------------------------------------------------- people

    async def _do(self, event: Event, issue: str) -> None:
        people, project = self._people, project_of(event.who)
        match event.kind:
            case "stop-column":
                await people.move(issue, "stop")
            case "move":
                await people.move(issue, event.detail)
            case "stop-button" | "resume" | "fix":
                await people.decide(issue, DECISIONS[event.kind])
            case "send-back":
                await self._send_back(event, issue)
            case "freeze":
                await people.ask(FreezeRepo(by="anna", project=project, reason="a hunch"), project)
            case "thaw":
                await people.ask(UnfreezeRepo(by="anna", project=project), project)
            case "pause":
                await people.ask(PauseRepos(by="anna", project=project), project)
            case "unpause":
                await people.ask(UnpauseRepos(by="anna", project=project), project)
            case "adopt":
                await people.ask(AdoptIssue(issue=issue, by="anna", project=project), issue)
            case "revert":
                await people.ask(RevertTask(task=issue, by="anna"), issue)
            case "depend":
                other = people.issues.get(int(event.amount * len(people.issues)), issue)
                await people.ask(AddDependency(issue=issue, on=other, by="anna"), issue)
            case "edit":
                await people.edit(issue, f"{BODY} Edited at {event.at:.0f}.")
            case "comment":
                await people.say(issue, "Any news?")
            case "archive" | "restore":
                await people.desk.archive_issue(IssueId(issue), by="anna", archived=event.kind == "archive")
            case _:
                await self._to_git(event, issue)

    async def _send_back(self, event: Event, issue: str) -> None:
        task = await self._people.task(issue)
        if task is None or task.finished_at is not None or is_landed(task.stage):
            return
        stage = ORDER[int(event.amount * (ORDER.index(task.stage) + 1))]
        finding = Finding(title="I do not like it")
        await self._people.ask(SendTaskBack(task=issue, stage=stage, by="anna", findings=(finding,)), issue)

    # ---------------------------------------------------------------------------------------- git and the forge

    async def _to_git(self, event: Event, issue: str) -> None:
        """Everything here happens at once: no daemon's doing comes in between."""
        task = await self._people.task(issue)
        project = project_of(event.who)
        repository = self._ground.repositories[project]
        if event.kind in ("push-main", "red-main"):
            text = "RED\n" if event.kind == "red-main" else "somebody else's\n"
            repository.push_elsewhere({f"outside-{event.at:.0f}.py": text})
            return
        tip = repository.branches.get(task.branch) if task is not None else None
        if task is None or tip is None:
            self._ground.trace.counts["missed"] += 1
            return
        match event.kind:
            case "push-branch":
                repository.branches[task.branch] = repository.change(tip, {f"{issue}-more.py": "a person's\n"}, "a person's push")
            case "force-branch":
                first = repository.commits[tip].parents[0]
                repository.branches[task.branch] = repository.change(first, {f"{issue}.py": "forced\n"}, "a person's force")
            case "delete-branch":
                repository.branches.pop(task.branch)
            case "close-pull" | "merge-outside":
                await self._pull(event, task, repository)
            case _:
                raise AssertionError(event.kind)

    async def _pull(self, event: Event, task: Task, repository: Repository) -> None:
        ground = self._ground

        def find(tx: Tx) -> PullRequest | None:
            pull = tx.load_pull_request(task.project, task.pr_number) if task.pr_number is not None else None
            return pull if pull is not None and pull.state is PullRequestState.OPEN else None

        pull = await ground.store.read(find)
        if pull is None:
            ground.trace.counts["missed"] += 1
            return
        if event.kind == "close-pull":
            changed = replace(pull, state=PullRequestState.CLOSED)
        else:
            merged = self._merge(task, repository)
            if merged is None:
                return
            changed = replace(pull, state=PullRequestState.MERGED, merged=merged)
        await ground.store.transact(lambda tx: tx.save_pull_request(changed))
        ground.trace.note("pull", pull.number, changed.state, by="person")
        self._people.hooks.tell_branch(task.project, task.branch, repository.branches.get(task.branch, repository.main))

    def _merge(self, task: Task, repository: Repository) -> Sha | None:
        """Merge a task's branch into main as somebody else's forge would; None where that is a conflict or red."""
        tip = repository.branches[task.branch]
        files, conflicts = repository.merge(repository.main, tip)
        if conflicts:
            return None
        repository.set_main(repository.commit(files, (repository.main, tip), f"merged by somebody else: {task.branch}"))
        return repository.main


def calm_down(ground: SimGround) -> None:
    """End every fault: what comes now is nobody's bad luck."""
    ground.trace.drop_cues()
    ground.weather.trouble.clear()
    ground.weather.fuse = None
    ground.room.free, ground.probe.always = PLENTY, GOOD
    ground.sim_agent.storm = ground.sim_commands.storm = ground.sim_deploys.storm = False
