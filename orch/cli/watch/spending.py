"""What was spent, as the live view shows it.

Owns: today's figures out of ``/spend``, and the sums under them. Rule: a figure that the daemon did not give is left out.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import RenderableType

from orch.cli.tables import dollars, plain, tokens
from orch.cli.watch.cells import cell, grid, line
from orch.cli.watch.state import LiveState


def spent_today(state: LiveState) -> tuple[float | None, float | None]:
    """Return what was spent today and the day's limit, each None where the daemon did not say."""
    today = state.spend.get("today") or (state.queue.get("budget") or {}).get("day") or {}
    return _number(today.get("spent_usd")), _number(today.get("day_usd") or today.get("limit_usd"))


def spend_pane(state: LiveState) -> list[RenderableType]:
    """Return today's spending by project and model, then what the tasks that are shown cost in all."""
    spent, limit = spent_today(state)
    lines: list[RenderableType] = []
    if spent is not None:
        of = f" of {dollars(limit)}" if limit is not None else ""
        lines.append(line(("today ", ""), (f"{dollars(spent)}{of}", "bold")))
    table = grid(None, None, None, None, 1)
    day = plain(state.snapshot.get("at"))[:10]
    found = [row for row in state.spend.get("days") or [] if not day or row.get("day") == day]
    for row in by_model(found):
        table.add_row(*(cell(each) for each in row))
    if found:
        lines.append(table)
    totals = state.snapshot.get("totals") or {}
    shown = f"{tokens(totals.get('tokens_in'))} in, {tokens(totals.get('tokens_out'))} out"
    lines.append(
        line((f"all that is shown: {dollars(totals.get('cost_usd'))}, {plain(totals.get('runs'))} runs, {shown}", "dim"))
    )
    return lines


def by_model(rows: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, str, str, str]]:
    """Add up rows of project, stage and model to lines of project and model, the dearest first."""
    sums: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        key = (plain(row.get("project"), 40), plain(row.get("model"), 40) or "–")
        found = sums.setdefault(key, [0.0, 0.0, 0.0, 0.0])
        for place, name in enumerate(("cost_usd", "runs", "tokens_in", "tokens_out")):
            found[place] += _number(row.get(name)) or 0.0
    dearest = sorted(sums.items(), key=lambda item: -item[1][0])
    return [
        (project, model, dollars(cost), f"{runs:.0f} runs", f"{tokens(into)} in, {tokens(out)} out")
        for (project, model), (cost, runs, into, out) in dearest
    ]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
