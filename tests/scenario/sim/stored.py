"""Guarantees judged after each commit of the daemon: what the store says now, beside what it said before.

Rule: each is a function named after what it judges, its docstring the specification's sentence; it yields what is wrong.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import final

import anyio

from orch.core.ids import ProjectName, Sha
from orch.core.model import Intent, IntentKind
from tests.scenario.sim.look import NOTHING, Look, has_open_dependency
from tests.scenario.sim.seen import Seen

CLEARS_ITSELF = ("infrastructure",)
"""Parks that end with their cause."""
OF_PEOPLE = {"approved": "approved", "rejected": "rejected", "deploy-confirmed": "confirm_deploy", "stopped": "stop"}
"""Causes in a history that only a person's act brings about."""


@final
@dataclass(slots=True)
class Commit:
    """Two looks at the store, one commit apart, and what was seen outside meanwhile."""

    seen: Seen
    before: Look = NOTHING
    after: Look = NOTHING
    parked: dict[int, int] = field(default_factory=dict)
    """By parked task: how many things people had done about its issue when it was parked."""
    effects: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often what a person decides about an issue has happened."""

    def new_intents(self) -> list[Intent]:
        return [intent for number, intent in self.after.intents.items() if number not in self.before.intents]

    def acts(self, row: int) -> int:
        task = self.after.tasks[row]
        return self.seen.acts.get(task.issue, 0) + self.seen.acts.get(task.project, 0)

    def remember(self) -> None:
        """Keep what later commits are compared with."""
        for row, task in self.after.tasks.items():
            if task.over:
                self.seen.over_at.setdefault(str(row), anyio.current_time())
            if task.park is None:
                self.parked.pop(row, None)
            else:
                self.parked.setdefault(row, self.acts(row))


def G2_one_pipeline_per_issue(commit: Commit) -> Iterator[str]:
    """However webhooks, reconciler and people race: one live task, one branch. Two tasks never share a branch."""
    live = Counter((task.project, task.issue) for task in commit.after.tasks.values() if not task.over)
    yield from (f"{issue} has {number} live tasks" for (_, issue), number in live.items() if number > 1)
    branches = Counter((task.project, task.branch) for task in commit.after.tasks.values())
    yield from (f"{branch} belongs to {number} tasks" for (_, branch), number in branches.items() if number > 1)


def G5_no_job_after_a_STOP(commit: Commit) -> Iterator[str]:
    """No job of a stopped task can be claimed; what is over stays over, and its attempt is fenced."""
    for row, task in commit.after.tasks.items():
        old = commit.before.tasks.get(row)
        if task.over and row in commit.after.jobs:
            yield f"{task.work_item} is {task.stage} and has a job that is {commit.after.jobs[row]}"
        if old is not None and old.over and task.stage != old.stage:
            yield f"{task.work_item} went from {old.stage} to {task.stage}"
        if old is not None and task.attempt < old.attempt:
            yield f"{task.work_item}: attempt {task.attempt} after {old.attempt}"
        if old is not None and not old.over and task.stage == "cancelled" and task.attempt == old.attempt:
            yield f"{task.work_item} was cancelled and its attempt is not fenced"


def G6_a_STOP_waits_only_in_a_window(commit: Commit) -> Iterator[str]:
    """Inside a critical window STOP is recorded and deferred; outside nothing is pending."""
    landing = {
        int(member.task)
        for intent in commit.after.intents.values()
        if intent.kind is IntentKind.LAND and intent.candidate is not None
        for member in intent.candidate.members
    }
    for row, task in commit.after.tasks.items():
        if task.stop_asked is not None and not task.over and row not in landing and task.awaiting != "deploying":
            yield f"{task.work_item} has a STOP pending at {task.stage}, {task.awaiting}"


def G8_status_is_a_sign(commit: Commit) -> Iterator[str]:
    """Our own changes never trigger anything; comments never drive the line. G1: handled at least once, and takes effect once:
    what only a person decides happens at most as often as a person decided it."""
    for step in commit.after.steps:
        wanted, task = OF_PEOPLE.get(step.cause), commit.after.tasks[step.task]
        if wanted is None:
            continue
        commit.effects[task.issue, step.cause] += 1
        done, asked = commit.effects[task.issue, step.cause], commit.seen.acts.get(f"{task.issue}:{wanted}", 0)
        if done > asked:
            yield f"{task.work_item} was {step.cause} {done} times, and people did that {asked} times"


def G1_a_task_begins_when_asked(commit: Commit) -> Iterator[str]:
    """An event takes effect once: an issue has at most as many tasks as people have sent it into the line."""
    began = [row for row in commit.after.tasks if row not in commit.before.tasks]
    for issue in {commit.after.tasks[row].issue for row in began}:
        tasks, asked = len(commit.after.of_issue(issue)), commit.seen.acts.get(f"{issue}:to_analyse", 0)
        if issue in commit.seen.ground.cards and tasks > asked:
            yield f"{issue} has its {tasks}. task, and people sent it into the line {asked} times"


def G12_a_park_is_sticky(commit: Commit) -> Iterator[str]:
    """A park is sticky: only a person un-parks, except that a park for infrastructure clears with its cause."""
    for row, task in commit.after.tasks.items():
        old = commit.before.tasks.get(row)
        if old is None or old.park is None or task.park is not None or old.park in CLEARS_ITSELF:
            continue
        delivered = task.stage in ("done", "deploy") and task.landed is not None
        if commit.acts(row) <= commit.parked.get(row, 0) and not delivered:
            yield f"{task.work_item} was parked ({old.park}) and goes on at {task.stage} though nobody did anything"


def G15_done_means_done(commit: Commit) -> Iterator[str]:
    """Done: landed, and the deploy verdict good (or the project has no deploy)."""
    for row, task in commit.after.tasks.items():
        old = commit.before.tasks.get(row)
        if task.stage != "done" or (old is not None and old.stage == "done"):
            continue
        ground, project = commit.seen.ground, ProjectName(task.project)
        repository = ground.repositories[project]
        if task.landed is None or not repository.contains(Sha(task.landed), repository.main):
            yield f"{task.work_item} is done with {task.landed}, which is not in main"
            continue
        good = [sha for sha, code in commit.seen.deploys if code == "0" and sha in repository.commits]
        configured = next(each for each in ground.projects if each.name == project)
        if configured.deploy.command and not any(repository.contains(Sha(task.landed), Sha(sha)) for sha in good):
            yield f"{task.work_item} is done and nothing that holds {task.landed[:8]} was deployed"


def S4_members_may_land(commit: Commit) -> Iterator[str]:
    """Members of a landed candidate were queued, not cancelled, heads as pinned, at that moment. S8: no landing between freeze
    and unfreeze but the exempt. S3: the candidate's base is main."""
    for intent in commit.new_intents():
        if intent.kind is not IntentKind.LAND or intent.candidate is None:
            continue
        for member in intent.candidate.members:
            task = commit.after.tasks[int(member.task)]
            if task.stop_asked is not None or task.over or task.park is not None or task.train_seq is None:
                yield f"{task.work_item} is being landed: {task.stage}, park {task.park}, STOP {task.stop_asked}"
            if task.head != member.head:
                yield f"{task.work_item} is being landed at {member.head[:8]} and its head is {task.head}"
            if task.project in commit.after.frozen and not task.exempt:
                yield f"{task.work_item} is being landed under a freeze"


def S5_nothing_lands_twice(commit: Commit) -> Iterator[str]:
    """A task never lands twice."""
    for row, task in commit.after.tasks.items():
        old = commit.before.tasks.get(row)
        if old is not None and old.landed is not None and task.landed != old.landed:
            yield f"{task.work_item} landed at {old.landed[:8]} and again at {task.landed}"


def S7_dependencies_are_terminal(commit: Commit) -> Iterator[str]:
    """No job of a task is claimed until each of its dependencies is terminal."""
    for run, row in commit.after.runs.items():
        if run not in commit.before.runs and has_open_dependency(commit.seen.ground, commit.after.tasks[row]):
            yield f"run {run} of {commit.after.tasks[row].work_item} was claimed while a dependency is open"


def S8_no_deploy_under_a_freeze(commit: Commit) -> Iterator[str]:
    """A freeze blocks entry, landing and deploy; a fix is exempt."""
    for begun in commit.after.deploys.keys() - commit.before.deploys.keys():
        task = commit.after.tasks[commit.after.deploys[begun]]
        if task.project in commit.after.frozen and not task.exempt:
            yield f"try {begun[1]} of the deploy of {task.work_item} began under a freeze"


def S10_one_verdict_per_candidate(commit: Commit) -> Iterator[str]:
    """One verdict per candidate and attempt; stale ones change nothing."""
    for check, verdict in commit.before.checks.items():
        if verdict is not None and commit.after.checks.get(check) != verdict:
            yield f"check {check} was {verdict} and is {commit.after.checks.get(check)}"


AT_EACH_COMMIT = (
    G2_one_pipeline_per_issue,
    G5_no_job_after_a_STOP,
    G6_a_STOP_waits_only_in_a_window,
    G8_status_is_a_sign,
    G1_a_task_begins_when_asked,
    G12_a_park_is_sticky,
    G15_done_means_done,
    S4_members_may_land,
    S5_nothing_lands_twice,
    S7_dependencies_are_terminal,
    S8_no_deploy_under_a_freeze,
    S10_one_verdict_per_candidate,
)
