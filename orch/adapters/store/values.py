"""Between the core's values and what SQLite holds.

Owns: times as integer microseconds, nested values as JSON text, and the repair of text and numbers that SQLite refuses.
Rule: what is written here is read back equal; only lone surrogates and numbers beyond 64 bits are changed, because
hostile input must never be able to stop a write.
"""

import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from orch.core.ids import ProjectName, Sha, TaskRow
from orch.core.model import Candidate, Counters, Feedback, Finding, Member

SqlValue = str | bytes | int | float | None
Row = sqlite3.Row

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INT_MAX = 2**63 - 1


def to_us(at: datetime) -> int:
    """Return an aware datetime as microseconds since 1970; raise ValueError for a naive one."""
    if at.tzinfo is None:
        raise ValueError(f"a time without a zone cannot be stored: {at.isoformat()}")
    return (at - _EPOCH) // _MICROSECOND


def to_us_or_none(at: datetime | None) -> int | None:
    return None if at is None else to_us(at)


def from_us(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)


def from_us_or_none(us: int | None) -> datetime | None:
    return None if us is None else from_us(us)


def storable(value: SqlValue) -> SqlValue:
    """Return the nearest value that SQLite can hold."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode("utf-8")
        case int():
            return max(-_INT_MAX, min(_INT_MAX, int(value)))
        case _:
            return value


def money(amount: float) -> float:
    """Return *amount*, or 0.0 where an agent reported something that is no number."""
    return float(amount) if math.isfinite(amount) else 0.0


def dump(value: object) -> str:
    """Return *value* as JSON that is plain ASCII, so that no text in it can be refused."""
    return json.dumps(value, separators=(",", ":"))


def dump_counters(counters: Counters) -> str:
    return dump({name: getattr(counters, name) for name in Counters.__slots__ if getattr(counters, name)})


def load_counters(text: str) -> Counters:
    return Counters(**json.loads(text))


def dump_findings(findings: Sequence[Finding]) -> str:
    return dump([_finding(finding) for finding in findings])


def load_findings(text: str) -> tuple[Finding, ...]:
    return tuple(Finding(**finding) for finding in json.loads(text))


def dump_feedback(feedback: Feedback) -> str:
    return dump({"kind": feedback.kind, "text": feedback.text, "findings": [_finding(finding) for finding in feedback.findings]})


def load_feedback(text: str) -> Feedback:
    found = json.loads(text)
    return Feedback(kind=found["kind"], text=found["text"], findings=tuple(Finding(**finding) for finding in found["findings"]))


def dump_candidate(candidate: Candidate | None) -> str | None:
    if candidate is None:
        return None
    return dump(
        {
            "base": candidate.base,
            "sha": candidate.sha,
            "tree": candidate.tree,
            "members": [[member.task, member.head] for member in candidate.members],
            "landed": [[task, sha] for task, sha in candidate.landed.items()],
        }
    )


def load_candidate(text: str | None, project: ProjectName) -> Candidate | None:
    if text is None:
        return None
    found = json.loads(text)
    return Candidate(
        project=project,
        base=Sha(found["base"]),
        sha=Sha(found["sha"]),
        tree=Sha(found["tree"]),
        members=tuple(Member(task=TaskRow(task), head=Sha(head)) for task, head in found["members"]),
        landed={TaskRow(task): Sha(sha) for task, sha in found["landed"]},
    )


def load_payload(text: str) -> Mapping[str, object]:
    found: dict[str, object] = json.loads(text)
    return found


def _finding(finding: Finding) -> dict[str, Any]:
    return {"title": finding.title, "severity": finding.severity, "path": finding.path, "detail": finding.detail}
