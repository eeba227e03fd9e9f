"""Guarantees judged at each thing that the outside world saw: pushes, agents, deploys, working copies.

Rule: each is a function named after what it judges, its docstring the specification's sentence; it yields what is wrong.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import final

from orch.core.ids import ProjectName, Sha
from orch.core.model import IntentKind
from tests.fakes.git import tree_of
from tests.scenario.sim.look import NOTHING, Look
from tests.scenario.sim.trace import Note
from tests.scenario.sim.world import MAIN, SimGround

NONE = "-"
COLUMN_OF = {"approve": "approved", "reject": "rejected", "confirm-deploy": "confirm_deploy"}
"""The column that stands for the same as a button."""


@final
@dataclass(slots=True)
class Seen:
    """What the world remembers: live agents by task, archives, who made which commit, what people did about what."""

    ground: SimGround
    now: Look = NOTHING
    agents: dict[str, str] = field(default_factory=dict)
    prepared: dict[str, set[str]] = field(default_factory=dict)
    archived: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    """Tips that were archived from a branch."""
    theirs: set[str] = field(default_factory=set)
    """Commits that people pushed to task branches."""
    over_at: dict[str, float] = field(default_factory=dict)
    """By task: when its end was committed."""
    deploys: list[tuple[str, str]] = field(default_factory=list)
    """Launched tries: the commit, and what it exits with."""
    acts: dict[str, int] = field(default_factory=dict)
    """By issue or project, and by issue and decision: how many things people did about it."""

    def remember(self, note: Note) -> None:
        """Take a note in after it was judged."""
        match note.kind, note.what:
            case "agent starts", (task, run, *_):
                self.agents[task] = run
            case "agent ends", (task, *_):
                self.agents.pop(task, None)
            case "prepared", (task, run):
                self.prepared.setdefault(task, set()).add(run)
            case "archive", (run,):
                self.archived.add(run)
            case "keep branch", (what,):
                self.kept.add(what.rpartition(" ")[2])
            case "branch moves", (_, _, _, new) if note.by != "orch" and new != NONE:
                self.theirs.add(new)
            case "deploy", (_, _, sha, code):
                self.deploys.append((sha, code))
            case _:
                pass
        if note.by == "person" and note.what:
            self._count(note.what[0])
            if note.kind == "moves":
                self._count(f"{note.what[0]}:{note.what[1]}")
            if note.kind == "asks":
                self._count(f"{note.what[0]}:{COLUMN_OF.get(note.what[2], note.what[2])}")
                if note.what[1] == "AdoptIssue":
                    self._count(f"{note.what[0]}:to_analyse")

    def _count(self, act: str) -> None:
        self.acts[act] = self.acts.get(act, 0) + 1


def G2_one_agent_per_task(seen: Seen, note: Note) -> Iterator[str]:
    """At most one live agent process per task."""
    if note.kind == "agent starts" and note.what[0] in seen.agents:
        yield f"task {note.what[0]} has runs {seen.agents[note.what[0]]} and {note.what[1]} alive at once"


def G3_main_is_never_broken_by_us(seen: Seen, note: Note) -> Iterator[str]:
    """The default branch moves only by a non-force push of the exact commit whose tree passed the test command on that exact
    base. (S1, S2, S3)"""
    if note.kind != "main moves" or note.by != "orch":
        return
    project, _, old, new = note.what
    repository = seen.ground.repositories[ProjectName(project)]
    if new == NONE or not repository.contains(Sha(old), Sha(new)):
        yield f"main of {project} was moved from {old[:8]} to {new[:8]}, which does not hold it"
        return
    if tree_of(repository, Sha(new)) not in seen.ground.sim_commands.green:
        yield f"main of {project} got {new[:8]}, whose tree never passed"
    bases = [
        intent.candidate.base
        for intent in seen.now.intents.values()
        if intent.kind is IntentKind.LAND and intent.candidate is not None and intent.candidate.sha == new
    ]
    if bases != [old]:
        yield f"main of {project} went from {old[:8]} to {new[:8]} under intents on {bases}"


def G4_we_force_only_our_own(seen: Seen, note: Note) -> Iterator[str]:
    """Only task branches are force-pushed or deleted, only with a lease on the expected SHA."""
    if note.kind != "branch moves" or note.by != "orch":
        return
    project, branch, old, new = note.what
    if not seen.now.of_branch(project, branch):
        yield f"{branch} of {project} is no task's branch"
    repository = seen.ground.repositories[ProjectName(project)]
    if old in seen.theirs and new != NONE and not repository.contains(Sha(old), Sha(new)):
        yield f"a person's {old[:8]} on {branch} was forced over"


def G5_nothing_happens_after_a_STOP(seen: Seen, note: Note) -> Iterator[str]:
    """Within grace + 1 s of STOP no process of the task lives, and nothing of it happens later: no agent, no push."""
    if note.by != "orch":
        return
    bound_s = seen.ground.limits.stop_grace_s + 1
    late_s = note.at - seen.over_at.get(note.what[0], note.at) if note.kind == "agent ends" else 0.0
    if late_s > bound_s:
        yield f"an agent of task {note.what[0]} lived {late_s:.0f} s longer than the task"
    if note.kind == "agent starts" and seen.now.tasks[int(note.what[0])].over:
        yield f"an agent of task {note.what[0]} began after its end"
    if note.kind == "branch moves" and note.what[3] != NONE:
        project, branch, _, new = note.what
        stopped = [task for task in seen.now.of_branch(project, branch) if task.stage == "cancelled"]
        if any(note.at - seen.over_at[str(task.row)] > bound_s for task in stopped):  # one in mid-air cannot be called back
            yield f"{branch} was pushed ({new[:8]}) after its task was cancelled"


def G7_no_work_is_destroyed(seen: Seen, note: Note) -> Iterator[str]:
    """Before a branch or worktree goes, commits and uncommitted changes are kept in the mirror."""
    if note.kind == "remove":
        lost = seen.prepared.get(note.what[0], set()) - seen.archived
        if lost:
            yield f"the working copy of task {note.what[0]} was removed before runs {sorted(lost)} were archived"
    if note.kind == "branch moves" and note.by == "orch" and note.what[3] == NONE:
        project, branch, old, _ = note.what
        repository = seen.ground.repositories[ProjectName(project)]
        landed = any(task.landed is not None and task.head == old for task in seen.now.of_branch(project, branch))
        if old not in seen.kept and not landed and not repository.contains(Sha(old), repository.main):
            yield f"{branch} was deleted at {old[:8]}, which is archived nowhere"


def G15_deploys_are_of_what_landed(seen: Seen, note: Note) -> Iterator[str]:
    """A deploy names a SHA of the default branch, and never one that is an ancestor of the last deployed."""
    if note.kind != "deploy":
        return
    sha = Sha(note.what[2])
    repository = next(each for each in seen.ground.repositories.values() if sha in each.commits)
    if not repository.contains(sha, repository.branches[MAIN]):
        yield f"{sha[:8]} was deployed, which is not in main"
    good = [done for done, code in seen.deploys if code == "0"]
    if good and Sha(good[-1]) != sha and repository.contains(sha, Sha(good[-1])):
        yield f"{sha[:8]} was deployed after {good[-1][:8]}, which holds it"


AT_EACH_NOTE = (
    G2_one_agent_per_task,
    G3_main_is_never_broken_by_us,
    G4_we_force_only_our_own,
    G5_nothing_happens_after_a_STOP,
    G7_no_work_is_destroyed,
    G15_deploys_are_of_what_landed,
)
