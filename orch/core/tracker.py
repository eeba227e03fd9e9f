"""The live message of a task: what it says, as pieces.

Owns: its lines: title and link, a line per stage, what it waits for, people's time, totals, and how it ended.
Does not own: the figures (``accounting``), the why sentence (``views``), the buttons (``presses``), when it is written
(``pacing``).
Rule: pure; the board's words pass through ``plain``. Nothing in it ages while nothing happens: a wait is told by when it
began.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from orch.core.accounting import LineState, StageLine, Totals, stage_lines, totals
from orch.core.chat_text import ChatText, Line, Piece, Style, fit, line
from orch.core.model import Task, Transition, Usage
from orch.core.render.catalogue import say
from orch.core.render.figures import render_cost, render_duration, render_tokens, short_sha, tokens_cached, tokens_in
from orch.core.render.quote import plain
from orch.core.stages import Stage, is_terminal
from orch.core.statuses import DEFAULT_NAMES
from orch.core.task_facts import TaskFacts, status_of
from orch.core.why import why

TITLE_MAX = 200
WHY_MAX = 1200
MODELS_MAX = 3
_MARKS: Mapping[LineState, str] = {
    LineState.PENDING: "▫️",
    LineState.RUNNING: "▶️",
    LineState.WAITING: "⏳",
    LineState.DONE: "✅",
    LineState.SKIPPED: "➖",
    LineState.PARKED: "⛔️",
}


def title_line(task: Task) -> Line:
    """Return a task's name, linked to its card, and its title; a cancelled task's is the one that people knew it by."""
    name = task.work_item.partition("#cancelled-")[0]
    return line(Piece(name, Style.BOLD, task.url), f" {plain(task.title_now, TITLE_MAX)}")


def is_moving(facts: TaskFacts) -> bool:
    """Say whether something runs for the task, so that its figures grow by themselves."""
    return not is_terminal(facts.task.stage) and facts.running() is not None


def tracker_text(facts: TaskFacts, now: datetime, language: str) -> ChatText:
    """Return the whole message; *facts* have the history."""
    task = facts.task
    added = totals(task, facts.runs, facts.history, now)
    lines: list[Line] = [
        title_line(task),
        line(Piece(DEFAULT_NAMES[status_of(task)], Style.ITALIC), _park(task, language)),
        (),
        *(_stage(each, language) for each in stage_lines(task, facts.runs, facts.history, now)),
        (),
    ]
    if not is_terminal(task.stage) or task.stage is Stage.DONE:
        lines.append(line("💬 ", plain(why(facts, now, language, elapsed=False), WHY_MAX)))
    if added.human_s >= 1:
        lines.append(line(say(language, "chat.human", duration=render_duration(added.human_s))))
    lines.append(_totals(added, len(facts.runs), language))
    if is_terminal(task.stage):
        lines += [(), *_finish(facts, added, language)]
    return fit(lines)


def _park(task: Task, language: str) -> str:
    if task.park is None or is_terminal(task.stage):
        return ""
    return f" · {say(language, f'park.{task.park.reason}')}"


def _stage(each: StageLine, language: str) -> Line:
    name = say(language, f"stage.{each.stage}")
    parts = [f"{_MARKS[each.state]} {name}"]
    if each.state not in (LineState.PENDING, LineState.SKIPPED):
        parts.append(render_duration(each.duration_s))
    if each.usage != Usage() or each.cost_usd > 0:
        parts += [_tokens(each.usage), render_cost(each.cost_usd)]
    if each.models:
        parts.append(plain(", ".join(each.models[:MODELS_MAX]), 80))
    if each.runs > 1:
        parts.append(f"×{each.runs}")
    return line(" · ".join(parts))


def _tokens(usage: Usage) -> str:
    return f"{render_tokens(tokens_in(usage))}↓ {render_tokens(usage.output)}↑"


def _totals(added: Totals, runs: int, language: str) -> Line:
    told = say(
        language,
        "chat.totals",
        tokens=_tokens(added.usage),
        cached=render_tokens(tokens_cached(added.usage)),
        cost=render_cost(added.cost_usd),
        runs=runs,
    )
    return line(told)


def _finish(facts: TaskFacts, added: Totals, language: str) -> list[Line]:
    task = facts.task
    times = say(
        language,
        f"chat.finish.{task.stage}",
        wall=render_duration(added.wall_s),
        agents=render_duration(added.agents_s),
        human=render_duration(added.human_s),
    )
    pull = "" if task.pr_number is None else f"PR #{task.pr_number}"
    sha: tuple[Piece | str, ...] = (" · " if pull else "", Piece(short_sha(task.landed), Style.CODE)) if task.landed else ()
    return [line(Piece(times, Style.BOLD)), line(Piece(pull, url=pull_request_url(facts.history)), *sha)]


def pull_request_url(history: Sequence[Transition]) -> str:
    """Return the address that the forge gave when it opened the task's newest pull request; empty where it gave none."""
    noted = next((each.detail for each in reversed(history) if each.cause == "pull-request"), "")
    return noted.partition(" ")[2]
