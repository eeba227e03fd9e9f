"""What people read about a deployed SHA: how it does, what a bad one set off, freezes and thaws, reverts.

Owns: one function per event, typed values → text. Rule: pure; what a probe, a command or a person said passes through ``quote``;
alerts and comments are the same text where both are told.
"""

from orch.core.ids import Sha, WorkItemId
from orch.core.messages import CommandReport, CommandVerdict
from orch.core.model import Candidate, Freeze, LandStyle, Task, Watch
from orch.core.render.catalogue import say
from orch.core.render.figures import render_duration, render_moment, short_sha
from orch.core.render.quote import code, cut, cut_middle, fenced, inline, plain
from orch.core.render.replies import render_frozen_by

DETAIL_MAX = 300
TAIL_MAX = 4000


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


# ------------------------------------------------------------------------------------------------ the watch


def render_healthy(work_item: WorkItemId, watch: Watch, seconds: float, language: str) -> str:
    """The window is over and the last probe was good."""
    return say(
        language,
        "watch.healthy",
        work_item=inline(work_item),
        sha=code(short_sha(watch.sha)),
        duration=render_duration(seconds),
        probes=watch.probes,
    )


def render_degraded_cause(work_item: WorkItemId, watch: Watch, language: str) -> str:
    """What a freeze says of the deploy that caused it. Plain."""
    detail = plain(watch.detail, DETAIL_MAX)
    return say(language, "watch.cause", work_item=work_item, sha=short_sha(watch.sha), detail=detail)


def render_degraded(work_item: WorkItemId, watch: Watch, freeze: Freeze | None, language: str, *, rollback: bool) -> str:
    """A deployed SHA does badly. *freeze* is what its repo is frozen by now, if it is; *rollback* says that one is begun."""
    line = say(
        language,
        "watch.degraded",
        work_item=inline(work_item),
        sha=code(watch.sha),
        bad=watch.bad,
        detail=inline(watch.detail, DETAIL_MAX),
    )
    frozen = say(language, "watch.not_frozen")
    if freeze is not None:
        frozen = say(language, "watch.frozen", project=inline(freeze.project), command=code("orch fix ID"))
    return _paragraphs(line, frozen, say(language, "watch.rollback" if rollback else "watch.no_rollback"))


def render_rolled_back(work_item: WorkItemId, report: CommandReport, language: str) -> str:
    """The rollback command has ended, well or not."""
    good = report.verdict is CommandVerdict.GREEN
    line = say(language, "rollback.done" if good else f"rollback.{report.verdict.value}", work_item=inline(work_item))
    told = "" if good or not report.tail.strip() else fenced(cut_middle(report.tail, TAIL_MAX), log=True)
    return _paragraphs(line, told, "" if good else say(language, "rollback.by_hand"))


# ------------------------------------------------------------------------------------------------ freeze and thaw


def render_frozen(freeze: Freeze, language: str) -> str:
    """A repo was frozen: who or what did it, what that keeps from happening, and what lifts it."""
    return say(
        language,
        f"frozen.alert_{freeze.cause.value.replace('-', '_')}",
        project=inline(freeze.project),
        who=inline(render_frozen_by(freeze, language), 400),
        command=code(f"orch unfreeze {freeze.project}"),
    )


def render_thawed(freeze: Freeze, work_item: WorkItemId, sha: Sha, language: str) -> str:
    """A good deploy, or in a project without one a landing, lifted a machine's freeze."""
    return say(
        language,
        "thawed.line",
        project=inline(freeze.project),
        work_item=inline(work_item),
        sha=code(short_sha(sha)),
        who=inline(render_frozen_by(freeze, language), 400),
        since=render_moment(freeze.since),
    )


# ------------------------------------------------------------------------------------------------ revert


def render_revert_title(task: Task, limit: int, language: str) -> str:
    """The title of the card that takes a landed task back, at most *limit* characters."""
    title = plain(task.title_now, 2000)
    return cut(say(language, "revert.title", work_item=task.work_item, title=title), max(limit, 20))


def render_revert_text(task: Task, landing: Candidate | None, style: LandStyle, language: str) -> str:
    """The text of that card: which commits are to be reverted, for a developer to do. *landing* is what brought them to main.

    Without one (somebody else merged the pull request) the commit that is known is named.
    """
    assert task.landed is not None, "only what has landed is taken back"
    started = landing.begins_after(task.row) if landing is not None else None
    if started is None:
        which = say(language, "revert.commit", sha=task.landed)
    elif style is LandStyle.MERGE:
        which = say(language, "revert.merge", sha=task.landed)
    else:
        which = say(language, "revert.range", first=started, last=task.landed)
    return _paragraphs(
        say(language, "revert.what", work_item=task.work_item, title=plain(task.title_now, 300)),
        which,
        say(language, "revert.how", work_item=task.work_item),
    )


def render_reverting(work_item: WorkItemId, by: str, language: str) -> str:
    """On the card of a landed task: *work_item* takes it back."""
    return say(language, "revert.started", work_item=inline(work_item), by=inline(by, 80))
