"""Guarantees judged when the storm is long over: everything rests, everything was handled, and what was promised is there.

Rule: each is a function named after what it judges, its docstring the specification's sentence; it yields what is wrong.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import final

from orch.core.ids import ProjectName, Sha, TaskRow
from orch.core.statuses import TRIGGERS
from orch.core.task_facts import status_of
from tests.fakes.git import tree_of
from tests.scenario.sim.look import Look, TaskLook, connection_of, has_open_dependency
from tests.scenario.sim.seen import Seen

CHARGED = ("failed", "turn_limit", "stalled", "timed_out", "gate_red", "review", "testing")
"""Counters that only an agent's own failing may raise."""
LATE_S = 150.0
"""After the storm a lost hook delays by at most a poll's interval, and the poll itself."""


@final
@dataclass(frozen=True, slots=True)
class End:
    """What there is when nothing moves any more. *calm_at* is the board's time at which the storm ended."""

    seen: Seen
    look: Look
    calm_at: datetime
    stops: frozenset[int]
    """Tasks that were live when a person said STOP about them."""


def _rows(end: End, sql: str) -> list[tuple[object, ...]]:
    return [tuple(line) for line in connection_of(end.seen.ground).execute(sql)]


def resting(seen: Seen, look: Look, task: TaskLook) -> str:
    """Return why *task* still moves or waits for nothing that can be said; empty when it rests."""
    if task.over or (task.park is not None and task.park != "infrastructure"):
        return ""
    if task.park is not None:
        return "parked for infrastructure, and all of it works"
    if look.jobs.get(task.row) == "queued":
        if has_open_dependency(seen.ground, task):
            return ""
        earlier = [each for each in look.tasks.values() if each.row < task.row and each.project == task.project and not each.over]
        if task.stage == "analysis" and seen.ground.plan.serial and earlier:
            return ""
    return f"at {task.stage}, waiting for {task.awaiting}, its job {look.jobs.get(task.row)}"


def L1_everything_comes_to_rest(end: End) -> Iterator[str]:
    """Every task ends done, cancelled, waiting for a person, or parked with a reason that says so (with faults stopped)."""
    for task in end.look.tasks.values():
        why = resting(end.seen, end.look, task)
        if why:
            yield f"{task.work_item} does not rest: {why}"
        if task.park is not None and not task.over:
            (evidence,) = _rows(end, f"SELECT park_evidence FROM task WHERE row = {task.row}")
            if not evidence[0]:
                yield f"{task.work_item} is parked for {task.park} and nothing says why"


def G1_accepted_is_kept(end: End) -> Iterator[str]:
    """An event answered 2xx is handled at least once; nothing waits in a queue for ever."""
    yield from (f"inbox row {row} from {source} is pending" for row, source in _rows(end, PENDING))
    for row, kind, error, task in _rows(end, "SELECT id, kind, error, task FROM outbox WHERE state = 'pending'"):
        yield f"outbox row {row} ({kind} of task {task}) is pending: {error}"


PENDING = "SELECT id, source FROM inbox WHERE state = 'pending'"
UNHANDLED = """SELECT local_activity.id, target FROM local_activity JOIN local_issue ON local_issue.id = issue
  LEFT JOIN handled ON activity = local_activity.id AND handled.project = local_issue.project
  WHERE ours = 0 AND source IS NOT NULL AND activity IS NULL"""
LATE = """SELECT local_activity.id, target, (at - local_activity.created_at) / 1e6 FROM local_activity
  JOIN handled ON activity = local_activity.id WHERE ours = 0 AND local_activity.created_at > {since}"""


def G8_no_trigger_is_lost(end: End) -> Iterator[str]:
    """A person's trigger is never lost under a write of ours, wherever the board stored it."""
    for entry, target in _rows(end, UNHANDLED):
        if target in TRIGGERS:
            yield f"{entry}, a move to {target}, was never handled"


def G8_the_board_shows_what_is(end: End) -> Iterator[str]:
    """Status shown on the board is derived from the task; a trigger that does not apply gets the derived status written again."""
    store = end.seen.ground.store._inner
    newest = {task.issue: task for task in end.look.tasks.values()}
    for issue, column, archived in _rows(end, "SELECT id, state_id, archived FROM local_issue"):
        task = newest.get(str(issue))
        found = store._tx.load_task(TaskRow(task.row)) if task is not None else None
        last = _rows(end, f"SELECT ours, target FROM local_activity WHERE issue = '{issue}' ORDER BY seq DESC LIMIT 1")
        theirs = bool(last) and not last[0][0] and last[0][1] not in TRIGGERS
        if found is not None and not archived and column != status_of(found) and not theirs:
            yield f"{issue} stands in {column} and its task is {status_of(found)}"


def G9_a_lost_webhook_only_delays(end: End) -> Iterator[str]:
    """A lost webhook only delays, by at most the reconcile interval plus the stage's grace."""
    ground = end.seen.ground
    wrong_s = (ground.clock.now() - ground.steady.now()).total_seconds()
    for entry, target, late_s in _rows(end, LATE.format(since=int(end.calm_at.timestamp() * 1e6))):
        assert isinstance(late_s, float)
        if late_s - wrong_s > LATE_S:
            yield f"{entry}, a move to {target} after the storm, was handled {late_s - wrong_s:.0f} s late"


def G5_every_STOP_was_obeyed(end: End) -> Iterator[str]:
    """STOP stops: a task that was live when a person said STOP about it is over in the end."""
    for row in sorted(end.stops):
        task = end.look.tasks[row]
        if not task.over:
            yield f"{task.work_item} (row {row}) was told to stop and is at {task.stage}, park {task.park}"


def G5_late_results_count_for_nothing(end: End) -> Iterator[str]:
    """Late results are fenced by attempt number: a job is done by a run of its own, of the attempt that was the task's then."""
    for job, task in _rows(end, UNEARNED):
        yield f"job {job} of {end.look.tasks[int(str(task))].work_item} is done, and no run of it succeeded"


UNEARNED = """SELECT id, task FROM job WHERE state = 'done'
  AND NOT EXISTS (SELECT 1 FROM run WHERE run.job = job.id AND run.outcome = 'succeeded')"""


def G10_nothing_is_half_done(end: End) -> Iterator[str]:
    """After a restart half-done landings, deploys and stops are completed; every intent is resolved. (L3)"""
    yield from (f"intent {number} ({intent.kind}) is open" for number, intent in end.look.intents.items())
    yield from (f"run {run} of task {task} goes on" for run, task in end.look.runs.items())
    yield from (f"an agent of task {task} lives" for task in end.seen.agents)
    for row, name in _rows(end, "SELECT row, work_item FROM task WHERE stage IN ('done', 'cancelled') AND swept = 0"):
        yield f"{name} (row {row}) is over and was never cleaned up"


def G11_infrastructure_is_charged_to_nobody(end: End) -> Iterator[str]:
    """An infrastructure failure is never charged to a task."""
    for task in end.look.tasks.values():
        counters = json.loads(task.counters)
        charged = sum(counters.get(name, 0) for name in CHARGED)
        allowed = end.seen.ground.sim_agent.bad[task.issue]
        if charged > allowed:
            yield f"{task.work_item} is charged {charged} failures ({task.counters}), and its agents failed {allowed} times"


def S1_main_is_what_passed(end: End) -> Iterator[str]:
    """Every value that main ever had is a fast-forward of the one before, and passed unless somebody else pushed it. (S2)"""
    for name, repository in end.seen.ground.repositories.items():
        for before, after in zip(repository.history, repository.history[1:], strict=False):
            others = "somebody else" in repository.commits[after].message
            if not repository.contains(before, after):
                yield f"main of {name} went back from {before[:8]} to {after[:8]}"
            if not others and tree_of(repository, after) not in end.seen.ground.sim_commands.green:
                yield f"{after[:8]} in main of {name} never passed"


def S6_who_was_ejected_was_at_fault(end: End) -> Iterator[str]:
    """Ejected for a red test means: a red run of G+x under the same environment, and a green one of G = main."""
    for row, detail in _rows(end, "SELECT task, detail FROM transition WHERE cause = 'land-red'"):
        task = end.look.tasks[int(str(row))]
        checks = _rows(end, f"SELECT members FROM train_check WHERE project = '{task.project}' AND verdict = 'red'")
        if not any(f'"task": {row}' in str(members) or f'"task":{row}' in str(members) for (members,) in checks):
            yield f"{task.work_item} was sent back as red ({detail}) and no red run holds it"


def S9_pull_requests_end_as_their_tasks(end: End) -> Iterator[str]:
    """The train makes a pull request merged; STOP closes it."""
    states = {(str(project), branch): state for project, branch, state in _rows(end, PULLS)}
    for task in end.look.tasks.values():
        state = states.get((task.project, task.branch))
        if task.landed is not None and state == "open":
            yield f"{task.work_item} landed and its pull request is {state}"
        if task.stage == "cancelled" and task.landed is None and state == "open":
            yield f"{task.work_item} was cancelled and its pull request is open"


PULLS = "SELECT project, branch, state FROM local_pull ORDER BY number"


def S11_no_more_runs_than_slots(end: End) -> Iterator[str]:
    """Running re-tests never exceed the slots that there are."""
    peak, slots = end.seen.ground.sim_commands.peak, end.seen.ground.limits.test_slots
    if peak > slots:
        yield f"{peak} commands ran at once in {slots} slots"


def G2_no_more_agents_than_slots(end: End) -> Iterator[str]:
    """Agents that live at once never exceed ``max_concurrency``."""
    peak, most = end.seen.ground.processes.peak, end.seen.ground.limits.max_concurrency
    if peak > most:
        yield f"{peak} agents lived at once, {most} may"


def done_tasks_are_in_main(end: End) -> Iterator[str]:
    """G15: what is done is in main in the end, too."""
    for task in end.look.tasks.values():
        repository = end.seen.ground.repositories[ProjectName(task.project)]
        if task.stage == "done" and not repository.contains(Sha(str(task.landed)), repository.main):
            yield f"{task.work_item} is done and {task.landed} is not in main"


AT_THE_END = (
    L1_everything_comes_to_rest,
    G1_accepted_is_kept,
    G8_no_trigger_is_lost,
    G8_the_board_shows_what_is,
    G9_a_lost_webhook_only_delays,
    G5_every_STOP_was_obeyed,
    G5_late_results_count_for_nothing,
    G10_nothing_is_half_done,
    G11_infrastructure_is_charged_to_nobody,
    G2_no_more_agents_than_slots,
    S1_main_is_what_passed,
    S6_who_was_ejected_was_at_fault,
    S9_pull_requests_end_as_their_tasks,
    S11_no_more_runs_than_slots,
    done_tasks_are_in_main,
)
