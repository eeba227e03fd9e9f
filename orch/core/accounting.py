"""What a task has cost: per stage and in all, in time, tokens and money; what a person's part of the time was.

Owns: adding up runs and history. Does not own: what was a person's time (``human_time``), budgets (``budget``), how figures
are shown (``spend_views``, ``render.figures``).
Rule: pure and total. Every run counts exactly once, in the stage that it was for; no duration is negative. A run that goes
on counts with what it has reported so far.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import final

from orch.core.human_time import human_seconds
from orch.core.ids import ProjectName
from orch.core.model import Awaiting, Run, RunKind, Task, Transition, Usage
from orch.core.render.quote import clean
from orch.core.stages import ORDER, Stage, is_terminal

MODEL_MAX = 40
_VENDOR = re.compile(r"^.*claude-")
_BUILD = re.compile(r"(?:\[[^\]]*\]|[-@]?20\d{6}|-v\d+(?::\d+)?|:\d+|-latest)+$")
_NAME_LAST = re.compile(r"(\d+(?:-\d+)?)-([a-z]+)")
_NAME_FIRST = re.compile(r"([a-z]+)-(\d+(?:-\d+)?)")


class LineState(StrEnum):
    """How one stage of the line stands for one task."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    SKIPPED = "skipped"
    """It was passed without being entered, or at once because there was nothing to do."""
    PARKED = "parked"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StageLine:
    """One stage of the line for one task. *duration_s* is how long the task stood there, repeats added up."""

    stage: Stage
    state: LineState
    runs: int = 0
    duration_s: float = 0.0
    usage: Usage = Usage()
    cost_usd: float = 0.0
    models: tuple[str, ...] = ()
    """Short names, in the order of their first use."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """A task in all. *agents_s* is the time of its agents' runs, *human_s* the time in which only a person could move it on."""

    wall_s: float
    agents_s: float
    human_s: float
    usage: Usage
    cost_usd: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SpendRow:
    """What one UTC day cost in one project at one stage with one model; a run counts on the day on which it began."""

    day: date
    project: ProjectName
    stage: Stage
    model: str
    runs: int = 0
    usage: Usage = Usage()
    cost_usd: float = 0.0
    seconds: float = 0.0


def short_model(name: str) -> str:
    """Return a model's name for people: ``claude-sonnet-4-5-20250929`` is ``sonnet-4.5``; an unknown shape stays as it is."""
    told = clean(name).strip()
    bare = _BUILD.sub("", _VENDOR.sub("", told.lower())) if "claude-" in told.lower() else told
    if match := _NAME_FIRST.fullmatch(bare):
        bare = f"{match[1]}-{match[2].replace('-', '.')}"
    elif (match := _NAME_LAST.fullmatch(bare)) and bare != told:
        bare = f"{match[2]}-{match[1].replace('-', '.')}"
    return (bare or told)[:MODEL_MAX]


def add_usage(runs: Iterable[Run]) -> Usage:
    """Add up tokens; without a value for every step, for each list of tasks asks for hundreds of these sums."""
    own = [run.usage for run in runs]
    return Usage(
        input=sum(usage.input for usage in own),
        output=sum(usage.output for usage in own),
        cache_read=sum(usage.cache_read for usage in own),
        cache_creation=sum(usage.cache_creation for usage in own),
    )


def add_cost(runs: Iterable[Run]) -> float:
    """Add up money; the store keeps six decimal places, and the sum has no more."""
    return round(sum(run.cost_usd for run in runs), 6)


def run_seconds(run: Run, now: datetime) -> float:
    return max(((run.ended_at or now) - run.started_at).total_seconds(), 0.0)


def stage_durations(task: Task, history: Sequence[Transition], now: datetime) -> dict[Stage, float]:
    """Return how long the task stood in each stage that it was in, in seconds, repeats added up."""
    spent: dict[Stage, float] = {}
    stage, entered = Stage.ANALYSIS, task.created_at
    for line in history:
        spent[stage] = spent.get(stage, 0.0) + max((line.at - entered).total_seconds(), 0.0)
        stage, entered = line.target, line.at
    if not is_terminal(stage):
        spent[stage] = spent.get(stage, 0.0) + max(((task.finished_at or now) - entered).total_seconds(), 0.0)
    return spent


def stage_lines(task: Task, runs: Sequence[Run], history: Sequence[Transition], now: datetime) -> tuple[StageLine, ...]:
    """Return every stage of the line in order, the terminal ones not among them."""
    spent = stage_durations(task, history, now)
    lines = []
    for stage in ORDER:
        if is_terminal(stage):
            continue
        own = [run for run in runs if run.stage is stage]
        lines.append(
            StageLine(
                stage=stage,
                state=_line_state(task, stage, own, spent),
                runs=len(own),
                duration_s=round(spent.get(stage, 0.0), 3),
                usage=add_usage(own),
                cost_usd=add_cost(own),
                models=tuple(dict.fromkeys(short_model(run.model) for run in own if run.model)),
            )
        )
    return tuple(lines)


def _line_state(task: Task, stage: Stage, own: Sequence[Run], spent: Mapping[Stage, float]) -> LineState:
    if stage is task.stage:
        if task.park is not None:
            return LineState.PARKED
        busy = task.awaiting is Awaiting.DEPLOYING or any(run.outcome is None for run in own)
        return LineState.RUNNING if busy else LineState.WAITING
    if task.stage is Stage.CANCELLED:
        return LineState.DONE if own else LineState.SKIPPED
    if ORDER.index(stage) > ORDER.index(task.stage):
        return LineState.PENDING
    return LineState.DONE if own or spent.get(stage, 0.0) > 0 else LineState.SKIPPED


def totals(task: Task, runs: Sequence[Run], history: Sequence[Transition], now: datetime) -> Totals:
    end = task.finished_at or now
    return Totals(
        wall_s=round(max((end - task.created_at).total_seconds(), 0.0), 3),
        agents_s=round(sum(run_seconds(run, now) for run in runs if run.kind is RunKind.AGENT), 3),
        human_s=round(human_seconds(task, runs, history, end), 3),
        usage=add_usage(runs),
        cost_usd=add_cost(runs),
    )


def spend_rows(runs: Iterable[Run], now: datetime) -> tuple[SpendRow, ...]:
    """Add *runs* up by day, project, stage and model, newest day first. Only agents' runs are spending."""
    grouped: dict[tuple[date, ProjectName, Stage, str], list[Run]] = {}
    for run in runs:
        if run.kind is RunKind.AGENT:
            key = (run.started_at.astimezone(UTC).date(), run.project, run.stage, short_model(run.model))
            grouped.setdefault(key, []).append(run)
    return _in_order(
        SpendRow(
            day=day,
            project=project,
            stage=stage,
            model=model,
            runs=len(own),
            usage=add_usage(own),
            cost_usd=add_cost(own),
            seconds=round(sum(run_seconds(run, now) for run in own), 3),
        )
        for (day, project, stage, model), own in grouped.items()
    )


def merge_rows(rows: Iterable[SpendRow]) -> tuple[SpendRow, ...]:
    """Merge rows whose models have one short name."""
    merged: dict[tuple[date, ProjectName, Stage, str], SpendRow] = {}
    for row in rows:
        short = replace(row, model=short_model(row.model))
        key = (short.day, short.project, short.stage, short.model)
        merged[key] = _add(merged[key], short) if key in merged else short
    return _in_order(merged.values())


def _add(one: SpendRow, other: SpendRow) -> SpendRow:
    return replace(
        one,
        runs=one.runs + other.runs,
        usage=one.usage + other.usage,
        cost_usd=round(one.cost_usd + other.cost_usd, 6),
        seconds=round(one.seconds + other.seconds, 3),
    )


def _in_order(rows: Iterable[SpendRow]) -> tuple[SpendRow, ...]:
    """Sort rows: newest day first, then by project, along the line, by model."""
    return tuple(sorted(rows, key=lambda row: (-row.day.toordinal(), row.project, ORDER.index(row.stage), row.model)))
