"""What `orch doctor` makes of a project's Plane and Gitea: findings, as values.

Owns: which answers of the services are good, worth a warning, or faults. Does not own the asking
(``orch.adapters.doctor_services``) or the words. Rule: pure, as ``orch.core.doctor``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from orch.core.doctor import Check, Finding, Level
from orch.core.model import CiSource, Project
from orch.core.statuses import ALIASES, DEFAULT_NAMES, REQUIRED, BoardState, Status, equal_names, map_states

CARDS_MAX = 20


def _found(check: Check, level: Level, key: str, project: Project, **values: object) -> Finding:
    told = {name: str(value) for name, value in values.items()}
    return Finding(check=check, level=level, key=key, project=project.name, values=told)


# ------------------------------------------------------------------------------------------------ Plane


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneFacts:
    """What a project's board answered: *trouble* why it did not, *standing* cards (title, state's id), *hook* where events go."""

    trouble: str = ""
    states: tuple[BoardState, ...] = ()
    standing: tuple[tuple[str, str], ...] = ()
    hook: str = ""


def judge_plane(project: Project, facts: PlaneFacts) -> list[Finding]:
    if facts.trouble:
        return [_found(Check.BOARD, Level.FAULT, "board.trouble", project, detail=facts.trouble)]
    findings = _judge_states(project, facts.states)
    if all(finding.level is not Level.FAULT for finding in findings):
        findings.insert(0, _found(Check.BOARD, Level.OK, "board", project, count=len(facts.states)))
    mapped = map_states(facts.states, {Status(key): name for key, name in project.statuses.items()})
    names = {state.id: state.name for state in facts.states}
    cards = [f"{title} ({names[state]})" for title, state in facts.standing if mapped.trigger_of(state) is not None]
    if cards:
        more = f" +{len(cards) - CARDS_MAX}" if len(cards) > CARDS_MAX else ""
        told = "; ".join(cards[:CARDS_MAX]) + more
        findings.append(_found(Check.BOARD, Level.WARNING, "board.standing", project, cards=told))
    findings.append(_found(Check.BOARD, Level.OK, "board.webhook", project, url=facts.hook))
    return findings


def _judge_states(project: Project, states: Sequence[BoardState]) -> list[Finding]:
    mapped = map_states(states, {Status(key): name for key, name in project.statuses.items()})
    absent = [status for status in Status if status not in mapped.ids]
    findings = [
        _found(Check.BOARD, Level.FAULT, "board.equal", project, one=one.name, other=other.name)
        for one, other in equal_names(states)
    ]
    if missing := [status for status in absent if status in REQUIRED]:
        findings.append(_found(Check.BOARD, Level.FAULT, "board.missing", project, names=_names(project, missing)))
    if Status.STOP in absent:
        findings.append(_found(Check.BOARD, Level.WARNING, "board.no_stop", project, name=_names(project, [Status.STOP])))
    if Status.CONFIRM_DEPLOY in absent and _asks_before_a_deploy(project):
        name = _names(project, [Status.CONFIRM_DEPLOY])
        findings.append(_found(Check.BOARD, Level.WARNING, "board.no_confirm", project, name=name))
    if replaced := [status for status in absent if status in ALIASES and status not in REQUIRED]:
        findings.append(_found(Check.BOARD, Level.OK, "board.alias", project, names=_names(project, replaced)))
    return findings


def _asks_before_a_deploy(project: Project) -> bool:
    return project.deploy.confirm and bool(project.deploy.command or project.deploy.agent)


def _names(project: Project, statuses: Sequence[Status]) -> str:
    return ", ".join(project.statuses.get(status, DEFAULT_NAMES[status]) for status in statuses)


# ------------------------------------------------------------------------------------------------ Gitea


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A webhook of a repo that leads to the daemon; *missing* are events that it does not send."""

    active: bool
    missing: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GiteaFacts:
    """What a project's forge answered.

    *marks*: whether it marks pull requests as merged on request, *detects*: whether it does so by itself (None: it does not
    tell). *refused*: why the default branch may not be pushed. *hooks* are those that lead to *hook*, None where the token may
    not see them. *silent* are required contexts of which the newest commit of the default branch has no status.
    """

    trouble: str = ""
    marks: bool | None = True
    marks_detail: str = ""
    detects: bool | None = False
    refused: str = ""
    hooks: tuple[Hook, ...] | None = None
    hook: str = ""
    silent: tuple[str, ...] = ()


def judge_gitea(project: Project, facts: GiteaFacts) -> list[Finding]:
    if facts.trouble:
        return [_found(Check.REPOSITORY, Level.FAULT, "forge.trouble", project, repo=project.repo, detail=facts.trouble)]
    findings: list[Finding] = []
    if facts.refused:
        findings.append(
            _found(Check.REPOSITORY, Level.FAULT, "forge.landing", project, branch=project.default_branch, detail=facts.refused)
        )
    if facts.marks is False:
        findings.append(_found(Check.REPOSITORY, Level.FAULT, "forge.marking", project, detail=facts.marks_detail or "–"))
    if facts.marks is None:
        findings.append(_found(Check.REPOSITORY, Level.WARNING, "forge.marking_unknown", project, detail=facts.marks_detail))
    if facts.detects:
        findings.append(_found(Check.REPOSITORY, Level.FAULT, "forge.autodetect", project))
    if all(finding.level is not Level.FAULT for finding in findings):
        findings.insert(0, _found(Check.REPOSITORY, Level.OK, "forge", project, repo=project.repo, branch=project.default_branch))
    findings += _judge_hooks(project, facts)
    if project.ci is CiSource.FORGE and facts.silent:
        findings.append(_found(Check.REPOSITORY, Level.WARNING, "forge.contexts", project, names=", ".join(facts.silent)))
    return findings


def _judge_hooks(project: Project, facts: GiteaFacts) -> list[Finding]:
    if facts.hooks is None:
        return [_found(Check.REPOSITORY, Level.OK, "forge.hook_unseen", project, url=facts.hook)]
    active = [hook for hook in facts.hooks if hook.active]
    if not active:
        key = "forge.hook_off" if facts.hooks else "forge.no_hook"
        return [_found(Check.REPOSITORY, Level.WARNING, key, project, url=facts.hook)]
    missing = min((hook.missing for hook in active), key=len)
    if missing:
        return [_found(Check.REPOSITORY, Level.WARNING, "forge.hook_events", project, names=", ".join(missing))]
    return [_found(Check.REPOSITORY, Level.OK, "forge.hook", project, url=facts.hook)]
