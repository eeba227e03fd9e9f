"""Prometheus metrics of one app.

Owns: the registry; every app has its own, so that two in one process do not collide. Rule: labels come from the
route table and from closed sets, never from what was sent.
"""

from collections.abc import Iterator, Sequence
from typing import final

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from quart import Response

from orch.core.accounting import SpendRow
from orch.core.budget import Purse
from orch.core.model import Usage
from orch.core.vitals import Vitals
from orch.snapshots import LineFigures
from orch.web.line_metrics import LineCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@final
class _Vitals(Collector):
    """What the daemon itself is like, as it was at the last look."""

    def __init__(self) -> None:
        self.now = Vitals()

    def collect(self) -> Iterator[Metric]:
        crashes = CounterMetricFamily("orch_actor_crashes", "Crashes of actors", labels=["actor_kind"])
        for kind, count in sorted(self.now.crashes.items()):
            crashes.add_metric([kind], count)
        yield crashes
        reloads = CounterMetricFamily("orch_config_reloads", "Readings of the configuration at SIGHUP", labels=["result"])
        for result, count in sorted(self.now.reloads.items()):
            reloads.add_metric([result], count)
        yield reloads
        missing = GaugeMetricFamily("orch_not_ready", "Parts that do not work now", labels=["component"])
        for component in sorted(self.now.not_ready):
            missing.add_metric([component], 1)
        yield missing
        notices = GaugeMetricFamily("orch_notices", "What a person should see to", labels=["component"])
        for component in sorted(self.now.notices):
            notices.add_metric([component], 1)
        yield notices


@final
class _Spending(Collector):
    """What the agents have cost, as the store sums it up: the counters survive a restart."""

    def __init__(self) -> None:
        self.rows: Sequence[SpendRow] = ()
        self.today: Purse | None = None

    def collect(self) -> Iterator[Metric]:
        usd = CounterMetricFamily("orch_spend_usd", "Money that agents' runs cost", labels=["project", "stage"])
        runs = CounterMetricFamily("orch_agent_runs", "Agents' runs that were begun", labels=["project", "stage"])
        tokens = CounterMetricFamily("orch_tokens", "Tokens of agents' runs", labels=["project", "stage", "kind"])
        sums: dict[tuple[str, str], list[SpendRow]] = {}
        for row in self.rows:
            sums.setdefault((row.project, row.stage), []).append(row)
        for (project, stage), own in sorted(sums.items()):
            labels, usage = [project, stage], sum((row.usage for row in own), Usage())
            usd.add_metric(labels, round(sum(row.cost_usd for row in own), 6))
            runs.add_metric(labels, sum(row.runs for row in own))
            for kind in ("input", "output", "cache_read", "cache_creation"):
                tokens.add_metric([*labels, kind], getattr(usage, kind))
        yield from (usd, runs, tokens)
        if self.today is not None:
            yield GaugeMetricFamily("orch_spend_today_usd", "Money of the present UTC day", value=self.today.spent_usd)
            if self.today.limit_usd is not None:
                yield GaugeMetricFamily("orch_budget_today_usd", "Its limit, where there is one", value=self.today.limit_usd)


@final
class Metrics:
    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        info = Gauge("orch_info", "The running version", ["version"], registry=self._registry)
        info.labels(version).set(1)
        self._vitals = _Vitals()
        self._registry.register(self._vitals)
        self._spending = _Spending()
        self._registry.register(self._spending)
        self._line = LineCollector()
        self._registry.register(self._line)
        self._requests = Counter("orch_http_requests", "Requests", ["route", "status"], registry=self._registry)
        self.viewers = Gauge("orch_viewers", "Open live views", registry=self._registry)

    def count(self, route: str, status: int) -> None:
        self._requests.labels(route, str(status)).inc()

    def spent(self, rows: Sequence[SpendRow], today: Purse) -> None:
        """Take what the store says was spent; it stands until the next look."""
        self._spending.rows, self._spending.today = rows, today

    def counted(self, figures: LineFigures) -> None:
        """Take the figures of the line; they stand until the next look."""
        self._line.now = figures

    def render(self, vitals: Vitals) -> Response:
        return Response(self.text(vitals), content_type=CONTENT_TYPE)

    def text(self, vitals: Vitals) -> bytes:
        """Return everything in the text format."""
        self._vitals.now, self._line.polls = vitals, vitals.polls
        return generate_latest(self._registry)
