"""Writes what was measured as a page: ``python -m tests.bench.table`` after ``make bench``.

Owns: ``docs/performance.md``. Rule: every figure in it comes from a file that a benchmark wrote, with the machine and the load
that it was made at; a goal that is missed is said to be missed, one that was not measured to be not measured.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.bench.goals import GOALS, PEERS, Goal, Peer
from tests.bench.harness import OUT

PAGE = Path("docs/performance.md")
HEAD = """# Performance
Written by `make performance`: it runs every benchmark and fills these tables in. A figure is worth its ratio to a baseline of
the same run (a *ratio* says how many times as good Orch is as the baseline); the absolute ones depend on the machine and on what
else it does. No test asserts any of them.
"""
REST = """
What the baselines are stands at the head of each program in `tests/bench`. What is not measured there: anything over a real
network, and real agents.
"""

Found = dict[str, dict[str, Any]]


def read(folder: Path) -> Found:
    """Return what the benchmarks wrote, by name."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return {each["bench"]: each for each in found}


def number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"


def page(found: Found) -> str:
    return "\n".join([HEAD, *_goals(found), *_peers(found), *_benches(found), REST.rstrip(), ""])


def _goals(found: Found) -> Iterator[str]:
    yield "## Goals"
    yield "| what | goal | measured | |"
    yield "| --- | --- | --- | --- |"
    for goal in GOALS:
        rows = goal.find(found[goal.bench]["rows"]) if goal.bench in found else []
        yield from _goal(goal, rows)
    yield ""


def _peers(found: Found) -> Iterator[str]:
    yield "## Against other choices"
    yield "No goal is set against these; they say what doing it with something else would give on the same machine."
    yield ""
    yield "| what | Orch | the other | ratio |"
    yield "| --- | --- | --- | --- |"
    for peer in PEERS:
        yield from _peer(peer, peer.find(found["peers"]["rows"]) if "peers" in found else [])
    yield ""


def _peer(peer: Peer, rows: Sequence[Any]) -> Iterator[str]:
    if not rows:
        yield f"| {peer.of} | – | – | not measured |"
    for row in rows:
        ratio = "not measured" if row["ratio"] is None else number(row["ratio"])
        yield f"| {row['name']} | {number(row['value'])} | {number(row['baseline'])} | {ratio} |"


def _goal(goal: Goal, rows: Sequence[Any]) -> Iterator[str]:
    if not rows:
        yield f"| {goal.of} | {goal.text()} | – | not measured |"
    for row in rows:
        verdict = {True: "reached", False: "**missed**", None: "not measured"}[goal.reached(row)]
        yield f"| {row['name']}: {goal.of} | {goal.text()} | {number(row[goal.measure])} | {verdict} |"


def _benches(found: Found) -> Iterator[str]:
    for name, bench in found.items():
        yield f"## {name}"
        yield f"`python -m tests.bench.bench_{name}`, {bench['at']}, load {bench['load']} at its end, {bench['machine']}"
        yield ""
        yield "| figure | Orch | unit | baseline | ratio |"
        yield "| --- | --- | --- | --- | --- |"
        for row in bench["rows"]:
            figures = (row["name"], number(row["value"]), row["unit"], number(row["baseline"]), number(row["ratio"]))
            yield f"| {' | '.join(figures)} |"
        yield ""


def main() -> None:
    found = read(OUT)
    PAGE.write_text(page(found), encoding="utf-8")
    print(f"{PAGE}: {len(found)} benchmarks")


if __name__ == "__main__":
    main()
