"""Prometheus metrics of one app.

Owns: the registry; every app has its own, so that two in one process do not collide. Rule: labels come from the
route table and from closed sets, never from what was sent.
"""

from typing import final

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest
from quart import Response

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@final
class Metrics:
    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        info = Gauge("orch_info", "The running version", ["version"], registry=self._registry)
        info.labels(version).set(1)
        self._requests = Counter("orch_http_requests", "Requests", ["route", "status"], registry=self._registry)
        self.viewers = Gauge("orch_viewers", "Open live views", registry=self._registry)

    def count(self, route: str, status: int) -> None:
        self._requests.labels(route, str(status)).inc()

    def render(self) -> Response:
        return Response(generate_latest(self._registry), content_type=CONTENT_TYPE)
