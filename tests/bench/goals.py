"""Which figures matter, and what they are held against.

Owns: the goals of speed, each with the bench and the row that shows it, and the peers that set no goal. Rule: a goal is compared
with what was measured, never asserted in a test.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

Measure = Literal["value", "ratio"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """*row* is a pattern for the name of a row of *bench*; *measure* of it is to be at most, or at least, the given number.

    *of* says in words what is compared with what, for the table.
    """

    bench: str
    row: str
    measure: Measure
    of: str
    at_most: float | None = None
    at_least: float | None = None

    def text(self) -> str:
        unit = "" if self.measure == "value" else " × the baseline"
        sign, bound = ("≤", self.at_most) if self.at_most is not None else ("≥", self.at_least)
        return f"{sign} {bound:g}{unit}"

    def reached(self, row: Mapping[str, Any]) -> bool | None:
        """Say whether *row* is as good as that; None where it lacks the figure."""
        figure = row[self.measure]
        if figure is None:
            return None
        return figure <= self.at_most if self.at_most is not None else bool(figure >= (self.at_least or 0.0))

    def find(self, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        return [row for row in rows if re.fullmatch(self.row, row["name"])]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Something else that does the same work, to compare with: *rows* is a pattern for the names of rows of ``bench_peers``."""

    rows: str
    of: str

    def find(self, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        return [row for row in rows if re.fullmatch(self.rows, row["name"])]


GOALS = (
    Goal(
        bench="webhooks",
        row="acks",
        measure="ratio",
        of="acknowledged webhooks, against the same server without a store",
        at_least=0.9,
    ),
    Goal(
        bench="webhooks",
        row="p99.*100/s.*|.*100/s.*p99.*",
        measure="value",
        of="acknowledgement at 100/s open loop, ms",
        at_most=50,
    ),
    Goal(bench="webhooks", row="the same under siege.*p99", measure="value", of="acknowledgement under siege, ms", at_most=50),
    Goal(bench="line", row="event to agent started, p99", measure="value", of="event → agent's process, ms", at_most=50),
    Goal(
        bench="line",
        row="event to agent started, p50",
        measure="ratio",
        of="event → agent's process, against bare spawn + commit, which may take a third of it",
        at_least=0.33,
    ),
    Goal(bench="spawn", row="STOP of a hostile tree.*p99", measure="value", of="STOP → no process alive, ms", at_most=250),
    Goal(bench="spawn", row="STOP of a hostile tree.*survivors", measure="value", of="processes left after STOP", at_most=0),
    Goal(
        bench="store",
        row="claim . complete, 4 workers",
        measure="ratio",
        of="durable claims, against a commit per request (aiosqlite)",
        at_least=2,
    ),
    Goal(
        bench="store",
        row="claim . complete, 32 workers",
        measure="ratio",
        of="durable claims, against a commit per request (aiosqlite)",
        at_least=2,
    ),
    Goal(bench="start", row="restart to ready, 10000 tasks", measure="value", of="restart to ready, ms, 10k tasks", at_most=2000),
    Goal(
        bench="start", row="restart to ready, 100000 tasks", measure="value", of="restart to ready, ms, 100k tasks", at_most=10000
    ),
    Goal(bench="start", row="idle task.*", measure="value", of="memory of an idle task beside its row, bytes", at_most=1024),
    Goal(bench="viewers", row=".*p99.*", measure="value", of="100 viewers at 20 updates/s, ms", at_most=100),
    Goal(
        bench="landing",
        row="landing beyond the test command p50",
        measure="value",
        of="a landing on 10,000 files, ms",
        at_most=100,
    ),
    Goal(bench="train", row="K=4 p=.05 N=64", measure="ratio", of="against the plain lease", at_least=6),
    Goal(bench="train", row="K=4 p=.05 N=64 runs per task", measure="value", of="runs of the test command per task", at_most=0.6),
    Goal(bench="train", row="K=1 p=.05 N=64", measure="ratio", of="against the plain lease", at_least=3),
    Goal(
        bench="train",
        row="K=[1248] p=.3 N=64",
        measure="ratio",
        of="against the plain lease, every third task red",
        at_least=0.95,
    ),
    Goal(
        bench="train",
        row=".*f=.05 innocent ejections",
        measure="value",
        of="ejected innocents where one run in twenty flakes, %",
        at_most=0.1,
    ),
    Goal(bench="train", row="unsafe landings.*", measure="value", of="unsafe landings", at_most=0),
)

PEERS = (
    Peer(rows="acks, against FastAPI .*", of="acknowledged webhooks, each on disk, against FastAPI + uvicorn that keep nothing"),
    Peer(rows=".*, against procrastinate .*", of="durable claims, against procrastinate on PostgreSQL"),
    Peer(rows=".*, against huey .*", of="durable claims, against huey on SQLite"),
)
