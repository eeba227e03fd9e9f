"""Gitea's hooks as values: what each tells, and that nothing which a body holds makes it raise."""

import hmac
import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.adapters.gitea import parse_hook, verify_signature
from orch.adapters.hook_body import MANY
from orch.core.model import CiState
from orch.ports import ForgeEvent, ForgeEventKind
from tests.builders import sha

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
CAPTURES = Path(os.environ.get("ORCH_TEST_CAPTURES") or SHARED / "captures") / "gitea_hooks_1.22dev.jsonl"
ZEROS = "0" * 40
EVENTS = ("push", "create", "delete", "pull_request", "issue_comment", "status", "workflow_run", "")
ORIGIN = {"repository": {"full_name": "team/shop"}, "sender": {"login": "anna"}}


def told(event: str, **body: Any) -> ForgeEvent:
    return parse_hook(event, json.dumps({**ORIGIN, **body}).encode())


def pull(action: str, **more: Any) -> ForgeEvent:
    head = {"ref": "feature/SHOP-1-x", "label": "feature/SHOP-1-x", "sha": sha("a"), "repo_id": 1, **more.pop("head", {})}
    table = {"number": 7, "merged": False, "merge_commit_sha": None, "head": head, "base": {"ref": "main", "repo_id": 1}, **more}
    return told("pull_request", action=action, number=7, pull_request=table)


# ------------------------------------------------------------------------------------------------ what each tells


def test_a_push_tells_the_branch_and_where_it_stands() -> None:
    event = told("push", ref="refs/heads/feature/x", before=sha("a"), after=sha("b"))
    assert (event.kind, event.branch, event.before, event.sha) == (ForgeEventKind.PUSHED, "feature/x", sha("a"), sha("b"))
    assert (event.repo, event.actor) == ("team/shop", "anna")
    assert told("push", ref="refs/heads/new", before=ZEROS, after=sha("b")).before is None


@pytest.mark.parametrize(
    "body",
    [
        {"ref": "refs/heads/main", "before": sha("a"), "after": sha("a")},
        {"ref": "refs/tags/v1", "before": ZEROS, "after": sha("a")},
        {"ref": "refs/heads/x", "before": sha("a"), "after": ZEROS},
        {"ref": "refs/heads/", "before": ZEROS, "after": sha("a")},
        {"ref": "refs/heads/x", "before": ZEROS, "after": "main"},
    ],
    ids=["the test button", "a tag", "a deletion", "no branch", "no commit"],
)
def test_other_pushes_are_ignored(body: dict[str, Any]) -> None:
    assert told("push", **body) == ForgeEvent(kind=ForgeEventKind.IGNORED, repo="team/shop", actor="anna")


def test_branches_come_and_go_by_their_short_names() -> None:
    made = told("create", ref="feature/x", ref_type="branch", sha=sha("a"))
    assert (made.kind, made.branch, made.sha) == (ForgeEventKind.BRANCH_CREATED, "feature/x", sha("a"))
    gone = told("delete", ref="feature/x", ref_type="branch", pusher_type="user")
    assert (gone.kind, gone.branch) == (ForgeEventKind.BRANCH_DELETED, "feature/x")
    for event in ("create", "delete"):
        assert told(event, ref="v1", ref_type="tag", sha=sha("a")).kind is ForgeEventKind.IGNORED


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("opened", ForgeEventKind.PULL_OPENED),
        ("closed", ForgeEventKind.PULL_CLOSED),
        ("reopened", ForgeEventKind.PULL_REOPENED),
        ("synchronized", ForgeEventKind.PULL_SYNCHRONIZED),
        ("edited", ForgeEventKind.PULL_EDITED),
        ("label_updated", ForgeEventKind.IGNORED),
        ("reviewed", ForgeEventKind.IGNORED),
        ([], ForgeEventKind.IGNORED),
    ],
)
def test_a_pull_request_tells_what_happened_to_it(action: str, kind: ForgeEventKind) -> None:
    event = pull(action)
    assert event.kind is kind
    if kind is not ForgeEventKind.IGNORED:
        assert (event.number, event.branch, event.base, event.sha) == (7, "feature/SHOP-1-x", "main", sha("a"))


def test_merged_is_told_from_closed() -> None:
    merged = pull("closed", merged=True, merge_commit_sha=sha("b"))
    assert merged.merged
    closed = pull("closed", merge_commit_sha=sha("b"))
    assert not closed.merged


def test_a_deleted_head_is_known_by_its_label() -> None:
    assert pull("closed", head={"ref": "refs/pull/7/head"}).branch == "feature/SHOP-1-x"


def test_a_forks_pull_request_is_none_of_ours() -> None:
    assert pull("closed", head={"repo_id": 2}).kind is ForgeEventKind.IGNORED
    assert pull("closed", head={"repo_id": -1, "repo": None}).kind is ForgeEventKind.IGNORED


def test_a_status_tells_commit_context_and_state() -> None:
    event = told("status", sha=sha("a"), state="failure", context="ci/build")
    assert (event.kind, event.sha, event.state) == (ForgeEventKind.STATUS, sha("a"), CiState.FAILURE)
    assert event.context == "ci/build"
    assert told("status", sha=sha("a"), state="passed", context="x").state is CiState.PENDING


def test_comments_and_workflows_are_ignored() -> None:
    for event in ("issue_comment", "workflow_run", "release", "", "PUSH "):
        kind = told(event, action="created", is_pull=True).kind
        assert kind is ForgeEventKind.IGNORED


def test_R8_a_body_with_many_values_tells_the_same() -> None:
    ballast = {"commits": ["x"] * MANY}
    push = {"ref": "refs/heads/feature/x", "before": sha("a"), "after": sha("b")}
    assert told("push", **push, **ballast) == told("push", **push)
    for event, body in (
        ("create", {"ref": "x", "ref_type": "branch", "sha": sha("a")}),
        ("delete", {"ref": "x", "ref_type": "branch"}),
        ("status", {"sha": sha("a"), "context": "ci", "state": "success"}),
    ):
        assert told(event, **body, **ballast) == told(event, **body) != told("")
    for plain, heavy in (
        (pull("opened"), pull("opened", **ballast)),
        (pull("closed", merged=True), pull("closed", merged=True, **ballast)),
    ):
        assert heavy == plain != told("")
    assert pull("opened", head={"repo_id": 2}, **ballast) == told("")


@pytest.mark.skipif(not CAPTURES.is_file(), reason="no captures of a real server (ORCH_TEST_CAPTURES)")
def test_captured_hooks_are_read() -> None:
    found = []
    for line in CAPTURES.read_text(encoding="utf-8").splitlines():
        capture = json.loads(line)
        event = parse_hook(capture["headers"]["X-Gitea-Event"], json.dumps(capture["body"]).encode())
        assert event.repo == "bot/demo"
        assert event.actor
        found.append(event)
    kinds = [event.kind for event in found]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        ForgeEventKind.PULL_OPENED: 4,
        ForgeEventKind.BRANCH_CREATED: 4,
        ForgeEventKind.PUSHED: 6,
        ForgeEventKind.PULL_SYNCHRONIZED: 2,
        ForgeEventKind.PULL_CLOSED: 4,
        ForgeEventKind.PULL_EDITED: 1,
        ForgeEventKind.BRANCH_DELETED: 3,
        ForgeEventKind.IGNORED: 3,
    }
    merged = [event.number for event in found if event.merged]
    assert merged == [2, 3]
    deleted = found[25]
    assert (deleted.branch, deleted.merged) == ("feat/a", False)


# ------------------------------------------------------------------------------------------------ hostile bodies

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = (
    "ref",
    "before",
    "after",
    "ref_type",
    "sha",
    "action",
    "number",
    "pull_request",
    "state",
    "context",
    "repository",
    "sender",
)
INNER = ("head", "base", "merged", "merge_commit_sha", "ref", "sha", "label", "repo_id", "full_name", "login", "number")
SHAPED = st.dictionaries(st.sampled_from(KEYS), JSON | st.dictionaries(st.sampled_from(INNER), JSON), max_size=12)


def is_clean(event: ForgeEvent) -> bool:
    """Say whether no text of an event could forge a line, a ref or a path of several lines."""
    texts = (event.repo, event.branch, event.base, event.context, event.actor)
    return all(text.isprintable() and len(text) <= 255 for text in texts)


@given(st.sampled_from(EVENTS), SHAPED)
def test_no_body_makes_it_raise(event: str, body: dict[str, Any]) -> None:
    read = parse_hook(event, json.dumps(body).encode("utf-8", "surrogatepass"))
    assert is_clean(read)


@given(st.sampled_from(EVENTS), st.binary(max_size=200))
def test_no_bytes_make_it_raise(event: str, body: bytes) -> None:
    assert is_clean(parse_hook(event, body))


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"number":' + b"9" * 100_000 + b"}",
        b'{"number":1e999,"pull_request":{"head":{},"base":{}},"action":"closed"}',
        b'{"ref":"refs/heads/\\ud800","before":"' + sha("a").encode() + b'","after":"' + sha("b").encode() + b'"}',
        b'{"ref":"refs/heads/a\\nb","before":"' + sha("a").encode() + b'","after":"' + sha("b").encode() + b'"}',
        b"NaN",
        b"",
        b"\xff\xfe",
    ],
    ids=["lists", "objects", "digits", "infinity", "half a character", "a line break", "NaN", "nothing", "no text"],
)
@pytest.mark.parametrize("event", EVENTS)
def test_known_troublemakers_are_ignored(event: str, body: bytes) -> None:
    assert parse_hook(event, body).kind is ForgeEventKind.IGNORED


# ------------------------------------------------------------------------------------------------ signatures


def signed(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, sha256).hexdigest()


@given(st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()), st.binary(max_size=200))
def test_a_right_signature_is_right_in_either_header(secret: str, body: bytes) -> None:
    right = signed(secret, body)
    assert verify_signature(secret, body, {"X-Gitea-Signature": right})
    assert verify_signature(secret, body, {"x-gitea-signature": right})
    assert verify_signature(secret, body, {"X-Hub-Signature-256": f"sha256={right}"})
    assert not verify_signature(secret, body + b"x", {"X-Gitea-Signature": right})
    assert not verify_signature(secret + "x", body, {"X-Gitea-Signature": right})


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Gitea-Signature": ""},
        {"X-Hub-Signature-256": "sha256="},
        {"X-Hub-Signature-256": signed("s", b"{}")},
        {"X-Hub-Signature": "sha1=" + "0" * 40},
        {"X-Gitea-Signature": "0" * 64, "X-Hub-Signature-256": "sha256=" + signed("s", b"{}")},
        {"X-Gitea-Signature": "é\ud800"},
    ],
    ids=["none", "empty", "hub empty", "hub without its prefix", "an old hash", "a wrong one of its own", "no hash"],
)
def test_no_other_signature_is(headers: dict[str, str]) -> None:
    assert not verify_signature("s", b"{}", headers)


def test_without_a_secret_nothing_is_right() -> None:
    assert not verify_signature("", b"{}", {"X-Gitea-Signature": signed("", b"{}")})
