"""Gates: deterministic checks on leaving a stage. Code, never a prompt.

Owns: what each gate demands and the closed set of its answers. Facts come in as values (``BranchFacts``), read
from git by the shell. Rule: missing or unreadable evidence is red with that reason, never green.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import final

from orch.core.ids import Sha
from orch.core.model import Finding, VerdictValue
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
