"""The landing protocol as a state machine: the real planner and membership check, and all that can come between their steps.

Owns: what can happen, and the invariants that are checked at every move. Does not own: any rule of the train.
The steps of one landing (chosen, intended, pushed, recorded) are moves of their own, so that a crash, a push from outside, a STOP
or a freeze comes between any two. ``Safeguards`` switches the model's base check, membership check or reconciliation off, so that
it can be seen that each is needed. Without the base check a landing is what a forge's merge API does: onto whatever is there.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from orch.core.decide_repo import membership_fault
from orch.core.ids import Sha, TaskRow
from orch.core.messages import CommandVerdict
from orch.core.model import Candidate, Member
from orch.core.train import Train, initial, landed
from tests.core.train_shell import settle, tidied
from tests.core.train_world import (
    GREEN,
    PROJECT,
    RED,
    Content,
    Job,
    Landing,
    Place,
    Probe,
    Safeguards,
    Shell,
    State,
    Step,
    Story,
    demand,
    head_of,
    link_of,
    name_of,
    repo_of,
    task_of,
    tree_of,
)

Move = tuple[str, Callable[[], State]]


class Model:
    """``start`` and ``moves``: everything that can happen, each move with the state that it leads to."""

    def __init__(self, story: Story, safeguards: Safeguards | None = None) -> None:
        self.story = story
        self.safe = safeguards or Safeguards()
        self._settled: dict[Shell, Shell] = {}

    def start(self) -> State:
        story = self.story
        train = initial(story.slots) if story.width is None else Train(width=story.width)
        jobs = tuple(Job(exempt=number in story.fixes) for number in range(1, story.tasks + 1))
        return State(shell=Shell(jobs=jobs, train=train), budget=tuple(sorted(story.budget.items())))

    # ------------------------------------------------------------------------------------------ what can happen

    def moves(self, state: State) -> Iterator[Move]:
        """Yield everything that can happen now."""
        if state.left("push"):
            yield "someone pushes to main", lambda: self._spend(self._outside(state), "push")
        if not state.alive:
            yield "restart", lambda: self._restart(state)
            return
        if state.left("crash"):
            yield "crash", lambda: self._spend(self._crash(state), "crash")
        if state.shell.seen != state.main and not state.shell.closing:
            yield "look", lambda: self._plan(state)
        yield from self._landing_goes_on(state)
        for index, probe in enumerate(state.shell.probes):
            if probe.verdict is None:
                yield from self._check_ends(state, index, probe)
        for number, job in enumerate(state.shell.jobs, 1):
            yield from self._people(state, number, job)
        if state.left("freeze") and not state.shell.frozen:
            yield "freeze", lambda: self._spend(self._set(state, frozen=True), "freeze")
        if state.left("unfreeze") and state.shell.frozen:
            yield "unfreeze", lambda: self._spend(self._set(state, frozen=False), "unfreeze")

    def _check_ends(self, state: State, index: int, probe: Probe) -> Iterator[Move]:
        red = self.story.is_red(probe.content)
        told = f"the check of {name_of(probe.members)} ends"
        yield f"{told} {'red' if red else 'green'}", lambda: self._verdict(state, index, RED if red else GREEN)
        if not red and state.left("flake"):
            yield f"{told} red by a flake", lambda: self._spend(self._verdict(state, index, RED), "flake")
        if state.left("timeout"):
            yield f"{told} by a time-out", lambda: self._spend(self._verdict(state, index, CommandVerdict.TIMEOUT), "timeout")

    def _people(self, state: State, number: int, job: Job) -> Iterator[Move]:
        shell = state.shell

        def change(**fields: object) -> State:
            return self._plan(replace(state, shell=shell.with_job(number, replace(job, **fields))))  # type: ignore[arg-type]

        def enter() -> State:
            return self._plan(replace(state, shell=shell.enter(number)))

        if job.place is Place.AWAY and self.story.is_ready(number, shell.jobs):
            yield f"{number} is queued", enter
        if job.place is Place.PARKED and state.left("resume"):
            yield f"{number} goes on", lambda: self._spend(enter(), "resume")
        if job.place is not Place.QUEUED or job.stopping:
            return
        closing = shell.landing is not None and shell.closing and number in {task for task, _ in shell.landing.members}
        place = Place.QUEUED if closing else Place.CANCELLED
        if state.left("stop"):
            yield f"STOP {number}", lambda: self._spend(change(place=place, stopping=True), "stop")
        if state.left("repush"):
            yield f"{number} gets a newer head", lambda: self._spend(change(version=job.version + 1), "repush")
        if state.left("fix") and not job.exempt:
            yield f"{number} is a fix", lambda: self._spend(change(exempt=True), "fix")

    def _landing_goes_on(self, state: State) -> Iterator[Move]:
        landing = state.shell.landing
        if landing is None:
            return
        name = name_of(landing.members)
        match landing.step:
            case Step.CHOSEN:
                yield f"intend to land {name}", lambda: self._intend(state, landing)
            case Step.INTENDED:
                yield f"push {name}", lambda: self._push(state, landing)
            case Step.PUSHED:
                yield f"record {name}", lambda: self._record(state, landing)

    def _outside(self, state: State) -> State:
        number = 1 + sum(task == 0 for task, _ in state.main)
        return replace(state, main=(*state.main, (0, number)))

    def _set(self, state: State, *, frozen: bool) -> State:
        return self._plan(replace(state, shell=replace(state.shell, frozen=frozen)))

    def is_stranded(self, state: State) -> bool:
        """Say whether tasks wait though nothing is under way that could end, and nobody has stopped the train."""
        shell = state.shell
        going = shell.landing is not None or bool(shell.running)
        return state.alive and bool(shell.queue) and not going and not shell.frozen and shell.seen == state.main

    # ------------------------------------------------------------------------------------------ the daemon

    def _intend(self, state: State, landing: Landing) -> State:
        """One transaction: base, membership, freeze, then the intent."""
        shell = state.shell
        none = replace(state, shell=replace(shell, landing=None))
        if self.safe.base_check and shell.seen != landing.base:
            return self._plan(none)
        if self.safe.membership and self._fault(shell, landing) is not None:
            return self._plan(none)
        demand(shell.count(tree_of(landing.content), GREEN) > 0, "S1: what is to land was never green")
        for task, version in landing.members:
            job = shell.job(task)
            demand(job.place is Place.QUEUED and job.version == version and not job.stopping, f"S4: {task} has left the queue")
            demand(not shell.frozen or job.exempt, f"S8: {task} lands under a freeze")
            demand(self.story.is_ready(task, shell.jobs), f"S7: {task} lands before what it needs")
        return replace(state, shell=replace(shell, landing=replace(landing, step=Step.INTENDED)))

    def _fault(self, shell: Shell, landing: Landing) -> str | None:
        members = tuple(Member(task=TaskRow(task), head=head_of(task, version)) for task, version in landing.members)
        link = link_of(landing.content)
        each = {member.task: link.sha for member in members}
        candidate = Candidate(project=PROJECT, base=Sha("base"), sha=link.sha, tree=link.tree, members=members, landed=each)
        return membership_fault(candidate, [task_of(t, shell.job(t)) for t, _ in landing.members], repo_of(shell))

    def _push(self, state: State, landing: Landing) -> State:
        """The compare-and-swap on the forge. Without the base check it is a merge onto whatever is there."""
        if self.safe.base_check and state.main != landing.base:
            return self._plan(self._refused(state))
        main = state.main + landing.members
        self._audit(state.main, main)
        return replace(state, main=main, shell=replace(state.shell, landing=replace(landing, step=Step.PUSHED)))

    def _audit(self, before: Content, after: Content) -> None:
        twice = [task for task, count in Counter(task for task, _ in after if task).items() if count > 1]
        demand(not twice, f"S5: {twice} landed twice")
        demand(not self.story.is_red(after), f"S1: main is red with {name_of(after)}")
        demand(after[: len(before)] == before, "S2: main was rewound")

    def _refused(self, state: State) -> State:
        """The intent is cleared; a STOP that waited for it is carried out."""
        shell = replace(state.shell, landing=None)
        for number, job in enumerate(shell.jobs, 1):
            if job.stopping and job.place is Place.QUEUED:
                shell = shell.put(number, Place.CANCELLED)
        return replace(state, shell=shell)

    def _record(self, state: State, landing: Landing) -> State:
        shell = state.shell
        for task, _ in landing.members:
            demand(shell.job(task).place is not Place.LANDED, f"S5: {task} landed twice")
            shell = shell.put(task, Place.LANDED)
        train = landed(shell.train, len(landing.members), self.story.slots)
        return self._plan(replace(state, shell=replace(shell, landing=None, train=train)))

    def _crash(self, state: State) -> State:
        """Memory is gone, the store is not: an intent stays open, whatever became of its push."""
        shell = state.shell
        landing = replace(shell.landing, step=Step.INTENDED) if shell.landing and shell.closing else None
        probes = tuple(p if p.verdict is not None else replace(p, verdict=CommandVerdict.INTERRUPTED) for p in shell.probes)
        return replace(state, alive=False, shell=replace(shell, landing=landing, probes=probes))

    def _restart(self, state: State) -> State:
        """Ask git what became of an open intent."""
        state = replace(state, alive=True)
        landing = state.shell.landing
        if landing is None:
            return self._plan(state)
        if self.safe.reconcile and state.main[: len(landing.content)] == landing.content:
            return self._record(state, landing)
        return self._plan(self._refused(state))

    def _verdict(self, state: State, index: int, verdict: CommandVerdict) -> State:
        probes = list(state.shell.probes)
        demand(probes[index].verdict is None, "S10: a second verdict")
        probes[index] = replace(probes[index], verdict=verdict)
        return self._plan(replace(state, shell=replace(state.shell, probes=tuple(probes))))

    def _plan(self, state: State) -> State:
        """Fetch main, unless an intent is open, and plan."""
        shell = state.shell if state.shell.closing else replace(state.shell, seen=state.main)
        shell = tidied(shell)
        if shell not in self._settled:
            self._settled[shell] = settle(shell, self.story)
        return replace(state, shell=self._settled[shell])

    def _spend(self, state: State, what: str) -> State:
        return replace(state, budget=tuple((name, count - (name == what)) for name, count in state.budget))
