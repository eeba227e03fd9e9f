"""The line's own metrics: what is live, what waits, each repo and its merge train.

Owns: ``LineCollector``. Rule: labels come from configuration and closed sets; a counter is what the store keeps, so that it
survives a restart of the daemon.
"""

from collections.abc import Iterator, Mapping
from typing import final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from orch.core.ids import ProjectName
from orch.snapshots import LineFigures, RepoFigures

Repos = Mapping[ProjectName, RepoFigures]


@final
class LineCollector(Collector):
    """The figures as they were at the last look."""

    def __init__(self) -> None:
        self.now = LineFigures()
        self.polls: Mapping[str, Mapping[str, object]] = {}

    def collect(self) -> Iterator[Metric]:
        yield from self._queues()
        yield from _repos(self.now.repos)
        yield from _trains(self.now.repos)
        yield from self._services()

    def _queues(self) -> Iterator[Metric]:
        census = self.now.census
        tasks = GaugeMetricFamily("orch_tasks", "Live tasks", labels=["project", "stage", "parked"])
        for (project, stage, parked), count in sorted(census.tasks.items()):
            tasks.add_metric([project, stage, "true" if parked else "false"], count)
        runs = GaugeMetricFamily("orch_runs_active", "Runs that go on now", labels=["project", "kind"])
        for (project, kind), count in sorted(census.runs.items()):
            runs.add_metric([project, kind], count)
        jobs = GaugeMetricFamily("orch_jobs", "Jobs for agents, waiting and running", labels=["state"])
        for state in ("queued", "running"):
            jobs.add_metric([state], census.jobs.get(state, 0))
        outbox = GaugeMetricFamily("orch_outbox", "Writes to services that are not delivered", labels=["target", "state"])
        for (target, state), count in sorted(census.outbox.items()):
            outbox.add_metric([target, state], count)
        slots = GaugeMetricFamily("orch_slots", "How many runs may go on at the same time", labels=["kind"])
        slots.add_metric(["agents"], self.now.slots)
        slots.add_metric(["tests"], self.now.test_slots)
        yield from (tasks, runs, jobs, outbox, slots)
        yield GaugeMetricFamily("orch_inbox_pending", "Events that are stored and not handled yet", value=census.inbox)

    def _services(self) -> Iterator[Metric]:
        accounts = GaugeMetricFamily("orch_account_paused", "Accounts that no run begins under now", labels=["account"])
        for name in self.now.accounts:
            accounts.add_metric([name], 1)
        failed = GaugeMetricFamily("orch_poll_failed", "Whether the last poll of a project's services failed", labels=["project"])
        dead = GaugeMetricFamily("orch_webhook_silent", "Whether polls see changes that no webhook told of", labels=["project"])
        for project, report in sorted(self.polls.items()):
            failed.add_metric([project], 1 if report.get("error") else 0)
            dead.add_metric([project], 1 if report.get("hook_dead") else 0)
        yield from (accounts, failed, dead)


def _repos(repos: Repos) -> Iterator[Metric]:
    frozen = GaugeMetricFamily("orch_repo_frozen", "Whether nothing enters, lands or is deployed", labels=["project"])
    paused = GaugeMetricFamily("orch_repo_paused", "Whether no new run begins", labels=["project"])
    red = GaugeMetricFamily("orch_repo_main_red", "Whether the default branch fails its own tests", labels=["project"])
    for project, each in repos.items():
        frozen.add_metric([project], 0 if each.repo.freeze is None else 1)
        paused.add_metric([project], 1 if each.repo.paused else 0)
        red.add_metric([project], 0 if each.train.red_main is None else 1)
    yield from (frozen, paused, red)


_COUNTERS = {
    "orch_train_landings": ("Pushes of the default branch", "landings"),
    "orch_train_landed": ("Tasks that landed", "landed"),
    "orch_train_ejected": ("Tasks that were sent back by a red test", "ejected"),
    "orch_train_checks": ("Runs of the test command on candidates", "checks"),
    "orch_train_checks_wasted": ("Those that were cancelled, or whose verdict nobody used", "wasted"),
    "orch_train_lost_swaps": ("Pushes that found the default branch moved", "lost_swaps"),
}


def _trains(repos: Repos) -> Iterator[Metric]:
    for name, (told, attribute) in _COUNTERS.items():
        counter = CounterMetricFamily(name, told, labels=["project"])
        for project, each in repos.items():
            counter.add_metric([project], getattr(each.train, attribute))
        yield counter
    frozen = CounterMetricFamily("orch_train_frozen_seconds", "How long the repo has been frozen in all", labels=["project"])
    members = GaugeMetricFamily("orch_train_members", "Tasks that wait to land", labels=["project"])
    checks = GaugeMetricFamily("orch_train_checks_active", "Candidates under test now", labels=["project"])
    width = GaugeMetricFamily("orch_train_width", "How many tasks the planner tries together at most", labels=["project"])
    wait = GaugeMetricFamily("orch_train_wait_seconds", "How long the last tasks waited to land", labels=["project", "quantile"])
    for project, each in repos.items():
        frozen.add_metric([project], each.frozen_s)
        members.add_metric([project], each.members)
        checks.add_metric([project], each.checks)
        width.add_metric([project], each.width)
        for quantile, seconds in zip(("0.5", "0.95"), each.wait_s or (), strict=False):
            wait.add_metric([project, quantile], seconds)
    yield from (frozen, members, checks, width, wait)
