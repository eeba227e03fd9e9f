"""Gates: deterministic checks on leaving a stage. Code, never a prompt.

Owns: what each gate demands and the closed set of its answers. Facts come in as values (``BranchFacts``), read
from git by the shell. Rule: missing or unreadable evidence is red with that reason, never green.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never, final

from orch.core.ids import Sha
from orch.core.model import CiSource, CiState, Finding, Limits, Project, Task, VerdictValue
from orch.core.stages import Stage


class Light(StrEnum):
    GREEN = "green"
    RED = "red"
    PENDING = "pending"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """One gate's answer. *reason* is a sentence for people and, when red, for the next prompt."""

    gate: str
    light: Light
    reason: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """One file of the artefact folder at a branch's head.

    *name* is relative to the folder. *front* is its YAML front matter as parsed data where it has one, *problem* why it
    could not be read. *blob* is git's id of the content, *text* the content without front matter, cut at 200 kB.
    """

    name: str
    blob: str
    text: str = ""
    front: Mapping[str, object] | None = None
    problem: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BranchFacts:
    """What a task branch holds at *head*.

    *code_head* is the newest commit of the branch that changed something outside the artefact folder, None when
    none did. *artefacts* are the files of the folder that this attempt may have written (``history/`` is left out).
    """

    head: Sha
    code_head: Sha | None
    artefacts: Mapping[str, Artefact] = field(default_factory=dict)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A verdict file that could be read."""

    value: VerdictValue
    findings: Sequence[Finding]
    blob: str


VERDICT_FILES: Mapping[Stage, tuple[str, Mapping[str, VerdictValue]]] = {
    Stage.REVIEW: (
        "07-review.md",
        {"approved": VerdictValue.APPROVED, "changes_requested": VerdictValue.CHANGES_REQUESTED},
    ),
    Stage.TESTING: ("08-test-report.md", {"pass": VerdictValue.PASS, "fail": VerdictValue.FAIL}),
    Stage.DEPLOY_STAGING: ("09-staging.md", {"ok": VerdictValue.OK, "fail": VerdictValue.FAIL}),
}
"""Which file carries a stage's verdict and which words it may say."""

GREEN_VALUES: frozenset[VerdictValue] = frozenset(
    {VerdictValue.APPROVED, VerdictValue.PASS, VerdictValue.OK, VerdictValue.SUCCESS}
)


# ------------------------------------------------------------------------------------------------ evidence and gates


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a gate may look at beside the task itself.

    *artefacts* are those of the attempt that just ended; *report* a verdict file of it that could be read, *unreadable* why
    not. *approved* is a person's decision on what was shown. *verdict* is a stored verdict of the daemon's own (staging, deploy).
    """

    artefacts: Mapping[str, Artefact] | None = None
    report: Report | None = None
    unreadable: str = ""
    approved: bool = False
    verdict: VerdictValue | None = None
    detail: str = ""


Gate = Callable[[Task, Project, Evidence], GateResult]


def _green(gate: str, reason: str = "") -> GateResult:
    return GateResult(gate=gate, light=Light.GREEN, reason=reason)


def _red(gate: str, reason: str) -> GateResult:
    return GateResult(gate=gate, light=Light.RED, reason=reason)


def _pending(gate: str, reason: str) -> GateResult:
    return GateResult(gate=gate, light=Light.PENDING, reason=reason)


def has_questions(artefacts: Mapping[str, Artefact] | None) -> bool:
    """Say whether this attempt asks a person something (``questions.md`` present and not blank)."""
    found = (artefacts or {}).get("questions.md")
    return found is not None and bool(found.text.strip())


def analysis_artifacts(task: Task, project: Project, evidence: Evidence) -> GateResult:
    """Requirements and acceptance criteria exist and say something; questions hold the gate open."""
    gate = "analysis_artifacts"
    if evidence.approved:
        return _green(gate)
    if has_questions(evidence.artefacts):
        return _pending(gate, "questions.md asks for input")
    for name in ("01-brd.md", "02-acceptance.md"):
        found = (evidence.artefacts or {}).get(name)
        if found is None or not found.text.strip():
            return _red(gate, f"{name} is missing or empty: write it, or write questions.md if you need input")
    return _green(gate)


def approved(task: Task, project: Project, evidence: Evidence) -> GateResult:
    """A person approved exactly what was shown."""
    return _green("approved") if evidence.approved else _pending("approved", "a person's approval")


_ADR = re.compile(r"06-adr/ADR-[0-9]{3}-[^/]+\.md")


def architecture_artifacts(task: Task, project: Project, evidence: Evidence) -> GateResult:
    """At least one decision record of this attempt."""
    gate = "architecture_artifacts"
    records = [a for name, a in (evidence.artefacts or {}).items() if _ADR.fullmatch(name) and a.text.strip()]
    return _green(gate) if records else _red(gate, "no decision record: write at least one 06-adr/ADR-001-<title>.md")


def branch_pushed(task: Task, project: Project, evidence: Evidence) -> GateResult:
    """The branch holds a commit that changes something outside the artefact folder."""
    gate = "branch_pushed"
    if task.code_head is None:
        return _red(gate, "no commit of the branch changes anything outside the artefact folder")
    return _green(gate)


def pull_request_open(task: Task, project: Project, evidence: Evidence) -> GateResult:
    """The forge shows the task's pull request."""
    gate = "pull_request_open"
    return _green(gate) if task.pr_number is not None else _pending(gate, "the pull request to be opened")


def ci_green(task: Task, project: Project, evidence: Evidence) -> GateResult:
    """CI says success for the last head that changed code; silence is never success."""
    gate = "ci_green"
    if project.ci is CiSource.OFF:
        return _green(gate, "CI is off for this project")
    match task.ci:
        case CiState.SUCCESS:
            return _green(gate)
        case CiState.FAILURE | CiState.ERROR:
            return _red(gate, evidence.detail or f"CI says {task.ci}")
        case CiState.PENDING | None:
            return _pending(gate, "the CI")
        case _:
            assert_never(task.ci)


def _verdict_gate(gate: str, stage: Stage, evidence: Evidence) -> GateResult:
    name = VERDICT_FILES[stage][0]
    if evidence.report is None:
        return _red(gate, evidence.unreadable or f"{name} was not written by this attempt")
    if evidence.report.value in GREEN_VALUES:
        return _green(gate)
    return _red(gate, f"{name} says {evidence.report.value}")


def review_verdict(task: Task, project: Project, evidence: Evidence) -> GateResult:
    """``07-review.md`` of this attempt says ``approved``."""
    return _verdict_gate("review_verdict", Stage.REVIEW, evidence)


def test_verdict(task: Task, project: Project, evidence: Evidence) -> GateResult:
    """``08-test-report.md`` of this attempt says ``pass``."""
    return _verdict_gate("test_verdict", Stage.TESTING, evidence)


def _command_gate(gate: str, command: tuple[str, ...], evidence: Evidence) -> GateResult:
    if not command:
        return _green(gate, f"no {gate.removesuffix('_status')} command is configured")
    if evidence.verdict is None:
        return _pending(gate, f"the {gate.removesuffix('_status')} command")
    if evidence.verdict in GREEN_VALUES:
        return _green(gate)
    return _red(gate, evidence.detail or f"the {gate.removesuffix('_status')} command failed")


def staging_status(task: Task, project: Project, evidence: Evidence) -> GateResult:
    """The project's staging command succeeded on the head; passes at once where there is none."""
    return _command_gate("staging_status", project.deploy.staging_command, evidence)


def branch_mergeable(task: Task, project: Project, evidence: Evidence) -> GateResult:
    """Landed. Only the landing itself turns this green; nobody else evaluates it."""
    gate = "branch_mergeable"
    return _green(gate) if task.landed is not None else _pending(gate, "the landing")


def deploy_status(task: Task, project: Project, evidence: Evidence) -> GateResult:
    """The landed commit is deployed, by the project's command or its agent; passes at once where there is neither."""
    if evidence.verdict is not None and evidence.verdict in GREEN_VALUES:
        return _green("deploy_status", evidence.detail)
    deployer = ("agent",) if project.deploy.agent else project.deploy.command
    return _command_gate("deploy_status", deployer, evidence)


GATES: Mapping[str, Gate] = {
    gate.__name__: gate
    for gate in (
        analysis_artifacts,
        approved,
        architecture_artifacts,
        branch_pushed,
        pull_request_open,
        ci_green,
        review_verdict,
        test_verdict,
        staging_status,
        branch_mergeable,
        deploy_status,
    )
}
"""Every gate that the stage table names, by name."""


def read_report(stage: Stage, artefacts: Mapping[str, Artefact]) -> Report | str:
    """Read the verdict file of *stage*; return it, or the sentence that says why it does not count."""
    name, words = VERDICT_FILES[stage]
    found = artefacts.get(name)
    if found is None:
        return f"{name} was not written by this attempt"
    if found.problem or found.front is None:
        return f"{name} has no readable front matter: {found.problem or 'it must begin with a --- block'}"
    word = found.front.get("verdict")
    value = words.get(word.strip().lower()) if isinstance(word, str) else None
    if value is None:
        return f"{name} must say 'verdict: {' | '.join(words)}' in its front matter, not {_text(word, 80)!r}"
    findings = parse_findings(found.front.get("findings"))
    if isinstance(findings, str):
        return f"{name}: {findings}"
    return Report(value=value, findings=findings, blob=found.blob)


def _text(value: object, limit: int) -> str:
    """Return a scalar of someone's front matter as text that can be encoded; anything else, which may be vast, as nothing."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 64:
        return "a number without bounds"
    if not isinstance(value, str | int | float):
        return ""
    return str(value)[:limit].encode("utf-8", "replace").decode("utf-8")


def parse_findings(raw: object) -> tuple[Finding, ...] | str:
    """Parse a verdict's ``findings``: at most 100 mappings of short texts; or return what is wrong with them."""
    if raw is None:
        return ()
    if not isinstance(raw, list) or len(raw) > 100:
        return "'findings' must be a list of at most 100 entries"
    findings = []
    for entry in raw:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("title"), str):
            return "each of 'findings' needs a 'title'"
        texts = {key: _text(entry.get(key), 4000) for key in ("title", "severity", "path", "detail")}
        findings.append(
            Finding(title=texts["title"], severity=texts["severity"] or "major", path=texts["path"], detail=texts["detail"])
        )
    return tuple(findings)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Qg0Problem:
    """One limit that an issue misses: the *value* found and the limits in force (*high* None: no upper one)."""

    field: str
    value: int
    low: int
    high: int | None


def qg0(title: str, text: str, limits: Limits) -> tuple[Qg0Problem, ...]:
    """Check an issue at the line's entry; *text* is the description without markup."""
    problems = []
    length = len(title.strip())
    if not limits.qg0_title_min <= length <= limits.qg0_title_max:
        problems.append(Qg0Problem(field="title", value=length, low=limits.qg0_title_min, high=limits.qg0_title_max))
    length = len(text.strip())
    if length < limits.qg0_description_min:
        problems.append(Qg0Problem(field="description", value=length, low=limits.qg0_description_min, high=None))
    return tuple(problems)
