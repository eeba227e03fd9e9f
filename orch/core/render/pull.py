"""The pull request's title, body and its one status comment; the request file; evidence and gates for prompts.

Owns: every text that goes with the branch. Rule: title and description stay the card's own words, as data: escaped in the
pull request, where a forge would act on them, exact and fenced in the request file, which an agent reads.
"""

from collections.abc import Sequence
from difflib import unified_diff

from orch.core.ids import Sha
from orch.core.model import Run, RunKind, Task, Usage
from orch.core.render.catalogue import say
from orch.core.render.figures import render_cost, render_duration, render_tokens, tokens_in
from orch.core.render.quote import code, cut, fenced, inline, link, plain, quoted
from orch.core.stages import Stage, is_terminal

RUNS_MAX = 30
TITLE_MAX = 200
REQUEST_MAX = 100_000
EVIDENCE_MAX = 12_000
DIFFED_MAX = 60_000


def render_pr_title(task: Task, wip: bool) -> str:
    """``SHOP-12: title``, with ``WIP:`` before it until the review passes (a forge then refuses to merge it)."""
    return f"{'WIP: ' if wip else ''}{plain(task.work_item, 40)}: {plain(task.title_now, TITLE_MAX)}"


def render_pr_body(task: Task, language: str) -> str:
    """The pull request's text, kept from the card."""
    lines = [say(language, "pr.task", work_item=inline(task.work_item, 40), branch=code(task.branch))]
    if task.url:
        lines.insert(0, say(language, "pr.issue", link=link(task.title_now, task.url)))
    if task.description_now.strip():
        told = f"{say(language, 'pr.description')}\n\n{quoted(task.description_now, 8000)}"
    else:
        told = say(language, "pr.no_description")
    return "\n\n".join(("  \n".join(lines), told, say(language, "pr.footer")))


def render_pr_status(task: Task, runs: Sequence[Run], language: str) -> str:
    """The one status comment: where the task is, each run with its result and cost, the total."""
    if task.park is not None and not is_terminal(task.stage):
        status = say(language, "parked.line", reason=say(language, f"park.{task.park.reason}"))
    else:
        status = code(task.landed) if task.landed else code(task.head or "")
    line = say(
        language,
        "status.line",
        work_item=inline(task.work_item, 40),
        stage=say(language, f"stage.{task.stage}"),
        status=status,
    )
    if not runs:
        return f"{line}\n\n{say(language, 'status.none')}"
    rows = [say(language, "status.head"), "| --- | --- | --- | ---: | ---: | ---: | ---: |"]
    rows += [_run_row(run, language) for run in runs[-RUNS_MAX:]]
    rows.append(_total_row(runs, language))
    earlier = len(runs) - RUNS_MAX
    note = f"\n\n{say(language, 'status.earlier', count=earlier)}" if earlier > 0 else ""
    return f"{line}\n\n" + "\n".join(rows) + note


def _seconds(run: Run) -> float | None:
    return None if run.ended_at is None else (run.ended_at - run.started_at).total_seconds()


def _run_row(run: Run, language: str) -> str:
    who = say(language, f"role.{run.role}") if run.role and run.kind is RunKind.AGENT else say(language, f"kind.{run.kind}")
    seconds = _seconds(run)
    cells = (
        say(language, f"stage.{run.stage}"),
        f"{who} ({inline(run.model, 60)})" if run.model.strip() else who,
        say(language, f"outcome.{run.outcome}" if run.outcome else "outcome.running"),
        "–" if seconds is None else render_duration(seconds),
        render_tokens(tokens_in(run.usage)),
        render_tokens(run.usage.output),
        render_cost(run.cost_usd),
    )
    return f"| {' | '.join(cells)} |"


def _total_row(runs: Sequence[Run], language: str) -> str:
    usage = sum((run.usage for run in runs), Usage())
    took = sum(_seconds(run) or 0.0 for run in runs)
    cost = sum(run.cost_usd for run in runs)
    cells = (
        f"**{say(language, 'status.total')}**",
        "",
        str(len(runs)),
        render_duration(took),
        render_tokens(tokens_in(usage)),
        render_tokens(usage.output),
        render_cost(cost),
    )
    return f"| {' | '.join(cells)} |"


def render_request(task: Task, language: str) -> str:
    """The text of ``00-request.md``: ids, then title and description as data, exact but for control characters."""
    ids = [
        f"- {say(language, 'request.id')}: {code(task.work_item)}",
        f"- {say(language, 'request.issue')}: {code(task.issue)}",
        f"- {say(language, 'request.project')}: {code(task.project)}",
        f"- {say(language, 'request.branch')}: {code(task.branch)}",
    ]
    if task.url:
        ids.append(f"- {say(language, 'request.url')}: {link(plain(task.url, 300), task.url)}")
    described = task.description_now if task.description_now.strip() else say(language, "request.empty")
    parts = (
        f"# {plain(task.work_item, 40)}",
        "\n".join(ids),
        say(language, "request.note"),
        f"## {say(language, 'request.title')}",
        fenced(task.title_now, 2000),
        f"## {say(language, 'request.description')}",
        fenced(described, REQUEST_MAX),
    )
    return "\n\n".join(parts) + "\n"


def render_card_diff(task: Task) -> str:
    """What was changed on the card since the task was started, as a unified diff of title and text; empty for nothing."""
    parts = (("title", task.title, task.title_now), ("description", task.description, task.description_now))
    lines = [
        line
        for name, old, new in parts
        for line in unified_diff(_lines(old), _lines(new), f"{name} at the start", f"{name} now", lineterm="")
    ]
    return cut("\n".join(lines), REQUEST_MAX)


def _lines(text: str) -> list[str]:
    """Return the lines of a text that is cut first: to compare very long ones takes very long."""
    return text[:DIFFED_MAX].splitlines()


def render_gate(stage: Stage, language: str) -> str:
    """What *stage* must pass, for the prompt of its role."""
    return say(language, "gate.none" if is_terminal(stage) else f"gate.{stage}")


def render_staging_report(sha: Sha, tail: str, language: str, *, ok: bool) -> str:
    """The text of ``09-staging.md``, which the daemon writes after the staging command."""
    front = f"---\nverdict: {'ok' if ok else 'fail'}\nfindings: []\n---\n"
    return f"{front}{say(language, 'staging.line', sha=sha[:12])}\n\n{fenced(tail or '-', EVIDENCE_MAX, log=True)}\n"


def render_ci_evidence(tail: str, language: str) -> str:
    """The end of a red test run's output, for the developer's next prompt."""
    if not tail.strip():
        return say(language, "ci.silent")
    return f"{say(language, 'ci.line')}\n\n{fenced(tail, EVIDENCE_MAX, log=True)}"
