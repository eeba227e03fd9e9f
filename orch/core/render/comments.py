"""Comments on the board: what each voice says when something happens to a task.

Owns: one function per event, typed values → Markdown. Rule: pure; names, findings, evidence and details are others' words
and pass through ``quote``; every comment is bounded (about 20,000 characters at the very most).
"""

from collections.abc import Sequence

from orch.core.ids import Sha, WorkItemId
from orch.core.model import AccountPause, Finding, Outcome, Park, ParkReason, RunMode, Usage
from orch.core.render.catalogue import knows, say
from orch.core.render.figures import (
    render_cost,
    render_duration,
    render_moment,
    render_tokens,
    short_sha,
    tokens_cached,
    tokens_in,
)
from orch.core.render.quote import code, fenced, inline, link, quoted
from orch.core.stages import Role, Stage

FINDINGS_MAX = 20
LINKS_MAX = 30


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def _bullets(lines: Sequence[str], most: int, language: str) -> str:
    shown = [f"- {line}" for line in lines[:most]]
    if len(lines) > most:
        shown.append(f"- {say(language, 'returned.more', count=len(lines) - most)}")
    return "\n".join(shown)


def render_no_ci(sha: Sha, seconds: float, language: str) -> str:
    """Why a task is parked whose CI says nothing."""
    return say(language, "no_ci", sha=short_sha(sha), duration=render_duration(seconds))


# ------------------------------------------------------------------------------------------------ entry


def render_qg0_problem(field: str, value: int, low: int, high: int | None, language: str) -> str:
    """One problem of a card with the value found and the limit in force (*high* None: only a minimum). Plain text."""
    key = f"qg0.field.{field}"
    name = say(language, key) if knows(key) else field
    if high is None:
        return say(language, "qg0.minimum", field=name, value=value, low=low)
    return say(language, "qg0.range", field=name, value=value, low=low, high=high)


def render_qg0_failed(problems: Sequence[str], language: str) -> str:
    """A card was not let in: what is wrong with it."""
    return _paragraphs(say(language, "qg0.failed"), _bullets([inline(text) for text in problems], FINDINGS_MAX, language))


# ------------------------------------------------------------------------------------------------ runs


def render_run_launched(role: Role, agent: str, model: str, mode: RunMode, language: str) -> str:
    """A role begins its run."""
    return say(
        language,
        "run.launched",
        role=say(language, f"role.{role}"),
        agent=code(agent, 60),
        model=code(model, 80) if model.strip() else say(language, "run.default_model"),
        mode=say(language, f"mode.{mode}"),
    )


def render_run_finished(
    role: Role, outcome: Outcome, detail: str, usage: Usage, cost_usd: float, seconds: float, language: str
) -> str:
    """A role ended its run: outcome, duration, usage and cost, and the agent's own words quoted."""
    line = say(
        language,
        "run.finished",
        role=say(language, f"role.{role}"),
        outcome=say(language, f"outcome.{outcome}"),
        duration=render_duration(seconds),
        tokens_in=render_tokens(tokens_in(usage)),
        cached=render_tokens(tokens_cached(usage)),
        tokens_out=render_tokens(usage.output),
        cost=render_cost(cost_usd),
    )
    return _paragraphs(line, quoted(detail, 2000) if detail.strip() else "")


# ------------------------------------------------------------------------------------------------ the plan


def render_plan_ready(work_item: WorkItemId, links: Sequence[tuple[str, str]], shown: Sha, language: str) -> str:
    """The plan waits for a decision. *links* are (name, url) of the artefacts; a url may be empty."""
    return _paragraphs(
        say(language, "plan.ready", work_item=inline(work_item), shown=code(short_sha(shown))),
        _bullets([link(name, url) for name, url in links], LINKS_MAX, language),
        say(language, "plan.approve", command=code(f"orch approve {work_item}")),
        say(language, "plan.send_back", command=code(f"orch reject {work_item}")),
        say(language, "plan.binding"),
    )


def render_questions(work_item: WorkItemId, text: str, language: str) -> str:
    """The analyst asks; *text* is its questions file."""
    return _paragraphs(
        say(language, "questions.asked", work_item=inline(work_item)), quoted(text, 8000), say(language, "questions.answer")
    )


# ------------------------------------------------------------------------------------------------ ways back


def render_finding(finding: Finding) -> str:
    """One finding as one line: severity, title, path, detail."""
    where = f" ({code(finding.path, 160)})" if finding.path.strip() else ""
    what = f": {inline(finding.detail, 500)}" if finding.detail.strip() else ""
    return f"**{inline(finding.severity, 20)}** {inline(finding.title)}{where}{what}"


def render_returned(
    stage: Stage, cause: str, findings: Sequence[Finding], evidence: str, count: int, limit: int, language: str
) -> str:
    """*stage* did not pass and the task goes back, for the *count*-th time of *limit*. *cause* is a short key."""
    known = f"cause.{cause}"
    line = say(
        language,
        "returned.line",
        stage=say(language, f"stage.{stage}"),
        cause=say(language, known) if knows(known) else inline(cause),
        count=count,
        limit=limit,
    )
    listed = _bullets([render_finding(finding) for finding in findings], FINDINGS_MAX, language)
    return _paragraphs(
        line,
        f"{say(language, 'returned.findings')}\n\n{listed}" if listed else "",
        f"{say(language, 'returned.evidence')}\n\n{fenced(evidence, log=True)}" if evidence.strip() else "",
    )


def render_sent_back(by: str, stage: Stage, reason: str, findings: Sequence[Finding], language: str) -> str:
    """A person sent the task back to *stage*."""
    line = say(language, "sent_back.line", by=inline(by, 80), stage=say(language, f"stage.{stage}"))
    listed = _bullets([render_finding(finding) for finding in findings], FINDINGS_MAX, language)
    return _paragraphs(
        line,
        quoted(reason) if reason.strip() else "",
        f"{say(language, 'returned.findings')}\n\n{listed}" if listed else "",
    )


def render_retry(gate: str, reason: str, count: int, limit: int, language: str) -> str:
    """A gate is red through the same role's own work: it is run again with the reason."""
    line = say(language, "retry.line", gate=code(gate), count=count, limit=limit)
    return _paragraphs(line, quoted(reason) if reason.strip() else "")


def render_parked(park: Park, language: str) -> str:
    """A task was parked: why, what was seen, what takes it on."""
    clears = park.reason is ParkReason.INFRASTRUCTURE
    onward = say(language, "parked.clears") if clears else say(language, "parked.person", command=code("orch resume"))
    if park.reason is ParkReason.BUDGET:
        onward = say(language, "parked.budget")
    return _paragraphs(
        say(language, "parked.line", reason=say(language, f"park.{park.reason}")),
        f"{say(language, 'parked.evidence')}\n\n{fenced(park.evidence, log=True)}" if park.evidence.strip() else "",
        onward,
    )


def render_resumed(by: str, stage: Stage, language: str) -> str:
    """A person took a parked task on."""
    return say(language, "resumed.line", by=inline(by, 80), stage=say(language, f"stage.{stage}"))


def render_account_paused(account: str, pause: AccountPause, language: str) -> str:
    """All runs of an account wait: why, and until when."""
    cause = say(language, f"account.cause.{pause.cause}")
    return say(language, "account.paused", account=inline(account, 60), cause=cause, moment=render_moment(pause.until))


# ------------------------------------------------------------------------------------------------ landing, deploy, end


def render_landed(work_item: WorkItemId, sha: Sha, language: str) -> str:
    """The task is in the default branch."""
    return say(language, "landed.line", work_item=inline(work_item), sha=code(sha))


def render_done(work_item: WorkItemId, sha: Sha | None, note: str, language: str) -> str:
    """The task is done; *note* says what was special ("no deploy", "delivered with SHOP-9")."""
    if sha is None:
        line = say(language, "done.plain", work_item=inline(work_item))
    else:
        line = say(language, "done.landed", work_item=inline(work_item), sha=code(sha))
    return _paragraphs(line, inline(note, 500))


def render_cancelled(work_item: WorkItemId, landed: Sha | None, language: str) -> str:
    """STOP is complete; after a landing the truth is that the code stays in the default branch."""
    if landed is None:
        return say(language, "cancelled.line", work_item=inline(work_item))
    return say(language, "cancelled.landed", work_item=inline(work_item), sha=code(landed))
