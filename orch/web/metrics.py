"""Prometheus metrics of one app.

Owns: the registry; every app has its own, so that two in one process do not collide. Rule: labels come from the
route table and from closed sets, never from what was sent.
"""

from collections.abc import Iterator
from typing import final

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from quart import Response

from orch.core.vitals import Vitals

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
class Metrics:
    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        info = Gauge("orch_info", "The running version", ["version"], registry=self._registry)
        info.labels(version).set(1)
        self._vitals = _Vitals()
        self._registry.register(self._vitals)
        self._requests = Counter("orch_http_requests", "Requests", ["route", "status"], registry=self._registry)
        self.viewers = Gauge("orch_viewers", "Open live views", registry=self._registry)

    def count(self, route: str, status: int) -> None:
        self._requests.labels(route, str(status)).inc()

    def render(self, vitals: Vitals) -> Response:
        self._vitals.now = vitals
        return Response(generate_latest(self._registry), content_type=CONTENT_TYPE)
