"""Outbox rows: every effect there and back through JSON, each to its target, each with a key that names it and nothing else."""

import json
from datetime import timedelta
from itertools import combinations
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.effects import (
    Alert,
    BoardEffect,
    Comment,
    EditPullRequest,
    ForgeEffect,
    KeepPrComment,
    MarkMerged,
    OpenPullRequest,
    OutboxEffect,
    PostCommitStatus,
    PushBranch,
    ReopenPullRequest,
    SetStatus,
)
from orch.core.ids import Branch, IssueId, ProjectName, TaskRow
from orch.core.model import CiState, CommitStatus, NewOutbox, Target
from orch.core.outbox import read_row, write_row
from orch.core.stages import Role
from orch.core.statuses import Status
from tests.builders import DEMO, NOW, later, sha

BRANCH = Branch("feature/DEMO-1-add-a-greeting")
STATUS = CommitStatus(sha=sha("c"), context="orch/ci", state=CiState.FAILURE, description="exit 1", url="http://x/1")

EFFECTS: list[OutboxEffect] = [
    SetStatus(status=Status.IN_REVIEW),
    Comment(role=Role.ANALYST, text="The plan is ready: «ё» 🚂\n", key="1:2:plan-ready"),
    OpenPullRequest(branch=BRANCH, title="WIP: DEMO-1", body="Greets."),
    EditPullRequest(number=4, title="DEMO-1", body="Greets.", close=True),
    ReopenPullRequest(number=4),
    PushBranch(branch=BRANCH, sha=sha("a")),
    KeepPrComment(number=4, text="| a | b |"),
    PostCommitStatus(status=STATUS),
    MarkMerged(number=4, sha=sha("d"), branch=BRANCH, head=sha("a")),
    Alert(kind="parked", text="It is parked."),
]


def row(effect: OutboxEffect, *, task: int | None = 1, issue: str = "DEMO-1", **changes: Any) -> NewOutbox:
    known: dict[str, Any] = {"project": DEMO, "at": NOW} | changes
    return write_row(effect, task=None if task is None else TaskRow(task), issue=IssueId(issue), **known)


def test_the_examples_are_every_kind_of_effect() -> None:
    assert {type(effect) for effect in EFFECTS} == set(get_args(OutboxEffect))


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: type(effect).__name__)
def test_an_effect_comes_back_from_its_row_as_it_was(effect: OutboxEffect) -> None:
    written = row(effect)
    stored = json.loads(json.dumps(written.payload))
    back = read_row(written.kind, stored)
    assert back == effect
    assert type(back) is type(effect)
    assert stored["issue"] == "DEMO-1"
    for name in ("status", "role"):
        assert type(getattr(back, name, None)) is type(getattr(effect, name, None))


def test_a_commit_status_comes_back_with_its_types() -> None:
    back = read_row("PostCommitStatus", json.loads(json.dumps(row(PostCommitStatus(status=STATUS)).payload)))
    assert isinstance(back, PostCommitStatus)
    assert isinstance(back.status.state, CiState)


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: type(effect).__name__)
def test_each_effect_goes_to_its_own_target(effect: OutboxEffect) -> None:
    expected = Target.CHAT
    if isinstance(effect, BoardEffect):
        expected = Target.BOARD
    elif isinstance(effect, ForgeEffect):
        expected = Target.FORGE
    assert row(effect).target is expected


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: type(effect).__name__)
def test_G1_a_decision_repeated_in_the_same_moment_is_written_once(effect: OutboxEffect) -> None:
    assert row(effect).key == row(effect).key


OWNED = [effect for effect in EFFECTS if not isinstance(effect, PostCommitStatus)]
"""A commit's status is the commit's, whoever posts it."""


@pytest.mark.parametrize("effect", OWNED, ids=lambda effect: type(effect).__name__)
def test_two_tasks_never_share_a_key(effect: OutboxEffect) -> None:
    keys = {row(effect, task=task, issue=issue).key for task, issue in ((1, "DEMO-1"), (11, "DEMO-1"), (None, "DEMO-1"))}
    keys |= {row(effect, task=None, issue="DEMO-2").key, row(effect, task=None, project=ProjectName("shop")).key}
    assert len(keys) == 5


ONCE = [effect for effect in EFFECTS if isinstance(effect, Comment | OpenPullRequest | MarkMerged)]
EACH_TIME = [effect for effect in EFFECTS if effect not in ONCE]


@pytest.mark.parametrize("effect", ONCE, ids=lambda effect: type(effect).__name__)
def test_G10_what_is_said_once_has_one_key_for_ever(effect: OutboxEffect) -> None:
    assert row(effect).key == row(effect, at=NOW + timedelta(days=3)).key


@pytest.mark.parametrize("effect", EACH_TIME, ids=lambda effect: type(effect).__name__)
def test_what_may_be_said_again_has_a_new_key_each_time(effect: OutboxEffect) -> None:
    assert row(effect).key != row(effect, at=later(1)).key


DIFFERENT: list[OutboxEffect] = [
    *EFFECTS,
    SetStatus(status=Status.ANALYSIS),
    Comment(role=Role.ANALYST, text="The plan is ready", key="1:3:plan-ready"),
    EditPullRequest(number=4, title="DEMO-1", body="Greets."),
    EditPullRequest(number=4, title="WIP: DEMO-1", body="Greets."),
    EditPullRequest(number=5, title="DEMO-1", body="Greets."),
    KeepPrComment(number=4, text="| a | c |"),
    PostCommitStatus(status=CommitStatus(sha=sha("c"), context="orch/ci", state=CiState.SUCCESS)),
    PostCommitStatus(status=CommitStatus(sha=sha("e"), context="orch/ci", state=CiState.FAILURE)),
    MarkMerged(number=4, sha=sha("e"), branch=BRANCH, head=sha("a")),
    Alert(kind="budget", text="It is parked."),
]


@pytest.mark.parametrize(("one", "other"), list(combinations(DIFFERENT, 2)))
def test_different_writes_of_one_moment_have_different_keys(one: OutboxEffect, other: OutboxEffect) -> None:
    """With a coarse clock a close of the pull request must not be taken for the edit before it."""
    assert row(one).key != row(other).key


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("Teleport", {}),
        ("", {}),
        ("SetStatus", {"status": "teleported"}),
        ("SetStatus", {}),
        ("Comment", {"role": "stream", "text": "x"}),
        ("EditPullRequest", {"number": 4, "title": "x", "body": "y", "labels": ["new in a later version"]}),
        ("PostCommitStatus", {"status": {"sha": "c" * 40}}),
        ("MarkMerged", {"number": 4}),
    ],
)
def test_a_row_that_this_version_cannot_read_is_refused(kind: str, payload: dict[str, object]) -> None:
    """The outbox parks on exactly these; anything else would end its actor."""
    with pytest.raises((ValueError, KeyError, TypeError)):
        read_row(kind, {"issue": "DEMO-1", **payload})


@given(text=st.text(), key=st.text(), role=st.sampled_from(Role), issue=st.text(min_size=1))
def test_any_words_of_others_survive_the_row(text: str, key: str, role: Role, issue: str) -> None:
    comment = Comment(role=role, text=text, key=key)
    written = write_row(comment, project=DEMO, task=None, issue=IssueId(issue), at=NOW)
    stored = json.loads(json.dumps(written.payload))
    assert (read_row(written.kind, stored), stored["issue"]) == (comment, issue)


@given(text=st.text(alphabet=st.characters(categories=["Cs", "L"])))
def test_a_key_is_made_of_text_that_cannot_be_encoded_too(text: str) -> None:
    written = row(KeepPrComment(number=4, text=text))
    assert written.key.isascii()
    assert written.key.startswith("KeepPrComment:1:4:")
