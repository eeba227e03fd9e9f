"""Plane's hooks as values: what each tells, whose it is, and that nothing which a body holds makes it raise."""

import hmac
import json
import os
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.adapters.hook_body import BODY_MAX, MANY, VALUES_MAX
from orch.adapters.plane import HookKind, PlaneDoor, PlaneHook, Poison, parse_hook, verify_signature
from orch.core.ids import IssueId, ProjectName, UserId
from orch.ports import CardEvent

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
CAPTURES = Path(os.environ.get("ORCH_TEST_CAPTURES") or SHARED / "captures") / "plane_hooks_v1.jsonl"
ISSUE, PROJECT, USER, BOT, OTHER = (f"{digit}{'0' * 7}-0000-4000-8000-{'0' * 12}" for digit in "12345")
SECRET = "plane_wh_" + "5e" * 16
AT = datetime(2026, 1, 2, tzinfo=UTC)


def v1(event: str = "issue", action: str = "updated", *, data: Any = None, activity: Any = None, **more: Any) -> bytes:
    body = {"event": event, "action": action, "webhook_id": OTHER, "workspace_id": OTHER}
    known = {"id": ISSUE, "project": PROJECT, "updated_at": "2026-01-02T03:04:05Z"} if data is None else data
    changed = {"field": "state", "old_value": OTHER, "new_value": USER, "actor": {"id": USER}} if activity is None else activity
    return json.dumps({**body, "data": known, "activity": changed, **more}).encode()


def v2(event: str, **more: Any) -> bytes:
    body = {"version": "v2", "event": event, "entity_id": ISSUE, "entity_type": "workitem", "data": {"project_id": PROJECT}}
    return json.dumps(body | more).encode()


def told(body: bytes) -> PlaneHook:
    hook = parse_hook(body)
    assert isinstance(hook, PlaneHook), hook
    return hook


# ------------------------------------------------------------------------------------------------ what each tells


@pytest.mark.parametrize("field", ["state", "state_id"])
def test_a_move_tells_whose_card_it_is_whoever_made_it(field: str) -> None:
    hook = told(v1(activity={"field": field, "new_value": OTHER, "actor": {"id": USER.upper()}}))
    assert (hook.kind, hook.issue, hook.project, hook.actor, hook.field) == (HookKind.ISSUE, ISSUE, PROJECT, USER, field)


@pytest.mark.parametrize("action", ["created", "create", "updated", "update"])
def test_old_and_new_names_of_an_action_are_taken(action: str) -> None:
    assert told(v1(action=action, activity={"field": None, "new_value": None, "actor": None})).kind is HookKind.ISSUE


def test_a_comment_tells_its_issue() -> None:
    hook = told(v1("issue_comment", "created", data={"id": OTHER, "issue": ISSUE, "project": PROJECT}))
    assert (hook.kind, hook.issue, hook.project) == (HookKind.COMMENT, ISSUE, PROJECT)


@pytest.mark.parametrize("action", ["deleted", "delete"])
def test_a_deletion_tells_the_id_alone(action: str) -> None:
    hook = told(v1(action=action, data={"id": ISSUE}))
    assert (hook.kind, hook.issue, hook.project) == (HookKind.DELETED, ISSUE, None)


@pytest.mark.parametrize(
    "body",
    [
        v1("project", "created"),
        v1("module_issue"),
        v1("", ""),
        v1(data={"id": "None"}),
        v1(data={"id": 2**63}),
        v1(data=[]),
        b"{}",
        v2("cycle.updated"),
        v2("workitem.updated", entity_id="None"),
    ],
)
def test_what_is_about_no_issue_is_something_else(body: bytes) -> None:
    hook = told(body)
    assert (hook.kind, hook.issue) == (HookKind.OTHER, None)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("workitem.created", HookKind.ISSUE),
        ("workitem.updated", HookKind.ISSUE),
        ("workitem.archived", HookKind.ISSUE),
        ("workitem.deleted", HookKind.DELETED),
        ("WebhookScope.ScopeChoices.WORK_ITEM_UPDATED", HookKind.ISSUE),
        ("WebhookScope.ScopeChoices.WORK_ITEM_DELETED", HookKind.DELETED),
        ("workitem.comment.created", HookKind.COMMENT),
        ("workitem.comment.deleted", HookKind.COMMENT),
        ("workitem.relation.deleted", HookKind.ISSUE),
        ("workitem.dependency.created", HookKind.ISSUE),
    ],
)
def test_the_second_version_is_read_too(event: str, kind: HookKind) -> None:
    data = {"project_id": PROJECT, "state_id": OTHER, "updated_by": USER, "comment": {"id": OTHER}, "parent": "None"}
    hook = told(v2(event, data=data))
    assert (hook.kind, hook.issue, hook.project, hook.actor) == (kind, ISSUE, PROJECT, USER)


def test_lists_and_nulls_in_odd_places_are_read_around() -> None:
    assert told(v1(data=[{"id": ISSUE, "project": {"id": PROJECT}}], activity=[None, {"actor": USER}])).issue == ISSUE
    hook = told(v1(activity={"field": "None", "new_value": [OTHER], "actor": USER}))
    assert (hook.field, hook.actor) == ("", USER)
    comment = {"comment": {"issue": ISSUE}}
    assert told(v2("workitem.comment.created", entity_id=None, data=comment)).issue == ISSUE


# ------------------------------------------------------------------------------------------------ repetitions


def test_a_repeated_hook_has_the_same_key_and_another_one_has_not() -> None:
    first = told(v1()).key
    assert told(v1(webhook_id=ISSUE)).key == first, "a second webhook on the same workspace, or another try"
    others = [
        v1(action="created"),
        v1(activity={"field": "priority", "new_value": USER}),
        v1(activity={"field": "state", "new_value": OTHER}),
        v1(activity={"field": "state", "new_value": [OTHER]}),
        v1(data={"id": ISSUE, "project": PROJECT, "updated_at": "2026-01-02T03:04:06Z"}),
    ]
    assert len({first, *(told(body).key for body in others)}) == 6


def test_the_second_version_names_its_event_itself() -> None:
    one, again = (told(v2("workitem.updated", event_id=OTHER, delivery_id=each)).key for each in (USER, BOT))
    assert one == again
    assert one != told(v2("workitem.updated", event_id=BOT)).key
    assert told(v2("workitem.updated", event_id="None")).key != told(v2("workitem.created", event_id="None")).key


# ------------------------------------------------------------------------------------------------ signatures


def signed(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, sha256).hexdigest()


@pytest.mark.parametrize(
    ("secret", "signature"),
    [
        (SECRET, None),
        (SECRET, ""),
        (SECRET, signed(v1() + b" ")),
        (SECRET, signed(v1(), "another secret")),
        (SECRET, "sha256=" + signed(v1())),
        (SECRET, signed(v1())[:-1]),
        (SECRET, "é" * 64),
        (SECRET, "\ud800"),
        ("", signed(v1(), "")),
        ("", ""),
        ("", None),
    ],
)
def test_what_is_not_signed_with_our_secret_is_refused(secret: str, signature: str | None) -> None:
    assert not verify_signature(secret, v1(), signature)


def test_the_raw_bytes_are_signed() -> None:
    body = b'{"event":  "issue", "name": "\\u00e9"}'
    assert verify_signature(SECRET, body, signed(body))
    assert not verify_signature(SECRET, json.dumps(json.loads(body)).encode(), signed(body))


# ------------------------------------------------------------------------------------------------ the door


class Hall:
    """A door, and what it was told."""

    def __init__(self, own: set[UserId]) -> None:
        self.heard: list[datetime] = []
        projects = {PROJECT.upper(): ProjectName("shop")}
        self.door = PlaneDoor(SECRET, lambda: projects, lambda: own, lambda _, at: self.heard.append(at))


@pytest.fixture
def hall() -> Hall:
    return Hall({UserId(BOT)})


def test_an_event_of_a_project_of_ours_asks_for_its_card(hall: Hall) -> None:
    assert hall.door.concerns(v1(), {})
    read = hall.door.read("plane:issue", v1())
    assert isinstance(read, CardEvent)
    assert (read.project, read.issue, bool(read.key)) == (ProjectName("shop"), IssueId(ISSUE), True)
    hall.door.heard(AT)
    assert hall.heard == [AT]


@pytest.mark.parametrize(
    "body",
    [
        v1(data={"id": ISSUE, "project": OTHER}),
        v1(action="deleted", data={"id": ISSUE}),
        v1("project", "created", data={"id": PROJECT, "project": PROJECT}),
    ],
)
def test_other_projects_and_other_things_are_not_ours(hall: Hall, body: bytes) -> None:
    assert not hall.door.concerns(body, {})
    assert hall.door.read("plane:issue", body) is None


def test_G8_comments_and_our_own_changes_ask_for_nothing_and_show_that_the_hook_lives(hall: Hall) -> None:
    comment = v1("issue_comment", "created", data={"id": OTHER, "issue": ISSUE, "project": PROJECT})
    ours = v1(activity={"field": "state", "new_value": OTHER, "actor": {"id": BOT}})
    for body in (comment, ours):
        assert hall.door.concerns(body, {})
        assert hall.door.read("plane:issue", body) is None


def test_a_body_that_cannot_be_read_is_kept_and_told_of(hall: Hall) -> None:
    assert hall.door.concerns(b"\xff", {})
    assert str(hall.door.read("plane:issue", b"\xff")).startswith("not a hook of Plane")


def test_headers_are_found_however_they_are_written(hall: Hall) -> None:
    assert hall.door.admits(v1(), {"x-plane-signature": signed(v1())})
    assert not hall.door.admits(v1(), {})
    assert hall.door.source({"X-PLANE-EVENT": "Issue"}) == "plane:issue"
    assert hall.door.source({"x-plane-event": "../etc\n"}) == "plane:other"


# ------------------------------------------------------------------------------------------------ hostile bodies


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"NaN",
        b'"text"',
        b"{" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000,
        b"1" * 5_000,
        b'{"data": ' + b"9" * 5_000 + b"}",
        b'{"event": "issue", "activity": {"new_value": ' + b"[" * 20_000 + b"]" * 20_000 + b"}}",
        b"{}" + b" " * BODY_MAX,
        b'{"event": "issue", "data": [' + b"[]," * (VALUES_MAX // 2) + b"[]]}",
        b'{"event": "issue", "data": [' + b"0," * VALUES_MAX + b"0]}",
        b'{"event": "issue", "data": [' + b"{}," * (VALUES_MAX // 2) + b"{}]}",
    ],
)
def test_R8_poison_is_a_value_that_says_so(body: bytes) -> None:
    hook = parse_hook(body)
    assert isinstance(hook, Poison)
    assert 0 < len(hook.reason) < 200
    assert hook.reason.isprintable()


def test_R8_a_deep_value_that_json_just_reads_is_read_or_poison() -> None:
    for depth in range(100, 1200, 50):
        nested = b"[" * depth + b"]" * depth
        body = b'{"event": "issue", "data": {"id": "' + ISSUE.encode() + b'"}, "activity": {"new_value": ' + nested + b"}}"
        assert isinstance(parse_hook(body), PlaneHook | Poison)


def test_R8_strange_but_readable_bodies_are_read() -> None:
    many = {f"k{index}": index for index in range(60_000)}
    assert told(v1(data={"id": ISSUE, "project": PROJECT, **many})).issue == ISSUE
    odd = (
        b'{"event": "issue", "data": {"id": "%s", "updated_at": NaN, "x": -Infinity, "y": 9223372036854775808}}' % ISSUE.encode()
    )
    assert told(odd).issue == ISSUE
    assert told(v1(activity={"field": "\ud800\x00" * 100, "new_value": "\ud800"})).field.encode()


BALLAST: dict[str, Any] = {"names": ["x"] * MANY}


@pytest.mark.parametrize(
    ("plain", "heavy"),
    [
        (v1(), v1(**BALLAST)),
        (
            v1("issue_comment", data={"issue": ISSUE, "project": PROJECT}),
            v1("issue_comment", data={"issue": ISSUE, "project": PROJECT, **BALLAST}),
        ),
        (v2("workitem.updated", event_id=OTHER), v2("workitem.updated", event_id=OTHER, **BALLAST)),
        (
            v2("workitem.comment.created", event_id=OTHER, entity_id=None, data={"comment": {"issue": ISSUE}}),
            v2("workitem.comment.created", event_id=OTHER, entity_id=None, data={"comment": {"issue": ISSUE}, **BALLAST}),
        ),
        (v1(data={"id": ISSUE, "project": 7}), v1(data={"id": ISSUE, "project": [*BALLAST["names"]]})),
    ],
    ids=["v1", "a comment", "v2", "a comment in v2", "a wrong kind"],
)
def test_R8_a_body_with_many_values_tells_the_same(plain: bytes, heavy: bytes) -> None:
    assert told(heavy) == told(plain)


def test_R8_a_body_with_many_values_that_is_no_hook_is_poison() -> None:
    many = ",".join(BALLAST["names"]).encode()
    for body in (b'{"a": [%b]}' % many, b'["x"%b]' % (b',"x"' * MANY), b'{"a": ' + b"[" * MANY + b"]" * MANY + b"}"):
        assert isinstance(parse_hook(body), Poison)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([ISSUE, PROJECT, "None", "v2"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "event",
                    "action",
                    "data",
                    "activity",
                    "id",
                    "project",
                    "issue",
                    "actor",
                    "field",
                    "new_value",
                    "version",
                    "comment",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=6,
        )
    ),
    max_leaves=30,
)


@given(JSON)
def test_R8_whatever_json_comes_is_a_hook_or_poison(value: Any) -> None:
    hook = parse_hook(json.dumps(value).encode())
    assert hook.key.encode()
    if isinstance(hook, PlaneHook):
        assert (hook.issue is None) == (hook.kind is HookKind.OTHER)
        assert f"{hook.event}{hook.action}{hook.field}".isprintable()


@given(st.binary(max_size=300))
def test_R8_whatever_bytes_come_is_a_hook_or_poison(body: bytes) -> None:
    assert isinstance(parse_hook(body), PlaneHook | Poison)
    assert not verify_signature(SECRET, body, body.decode("latin-1"))


# ------------------------------------------------------------------------------------------------ a real server


@pytest.mark.skipif(not CAPTURES.is_file(), reason="no captures of a real server (ORCH_TEST_CAPTURES)")
def test_what_a_real_server_sent_is_read() -> None:
    hooks = [told(json.dumps(json.loads(line)["body"]).encode()) for line in CAPTURES.read_text(encoding="utf-8").splitlines()]
    kinds = [(hook.event, hook.action, hook.kind) for hook in hooks]
    assert ("project", "created", HookKind.OTHER) in kinds
    assert ("issue", "created", HookKind.ISSUE) in kinds
    assert ("issue_comment", "updated", HookKind.COMMENT) in kinds
    of_issues = [hook for hook in hooks if hook.kind is not HookKind.OTHER]
    assert {hook.project is None or hook.actor is None or hook.issue is None for hook in of_issues} == {False}
    assert {"state", "priority", "name", "comment_html"} <= {hook.field for hook in hooks}
    assert len({hook.key for hook in hooks}) == len(hooks)
