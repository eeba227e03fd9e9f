"""The fake Plane itself: its shapes beside those that the real server publishes and was seen to send, and its bad manners."""

import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx  # noqa: TID251
import pytest
from quart import Quart, request

from orch.adapters.plane import HookKind, PlaneHook, parse_hook, verify_signature
from orch.core.stages import Role
from orch.rehearsal.plane import SECRET, FakePlane
from orch.rehearsal.plane.access import went_wrong
from orch.rehearsal.plane.worker import RETRIES_MAX, RETRY_SPREAD_S
from orch.web.server import bind_socket, serve, url_of
from tests.fakes.gitea_schema import unlike
from tests.fakes.plane_connection import open_board
from tests.fakes.plane_schema import OpenApi

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
SCHEMA = Path(os.environ.get("ORCH_TEST_SCHEMAS") or SHARED / "schemas") / "plane-openapi-1.3.yaml"
CAPTURES = Path(os.environ.get("ORCH_TEST_CAPTURES") or SHARED / "captures")
HOOKS, SESSION = CAPTURES / "plane_hooks_v1.jsonl", CAPTURES / "plane_rest_session.txt"
TO_ANALYSE, IN_PROGRESS, STOP, DONE = "To Analyse", "In Progress", "STOP", "Done"


@pytest.fixture
async def plane() -> AsyncIterator[FakePlane]:
    async with FakePlane() as server:
        yield server
        server.faults.assert_used()


@pytest.fixture
async def client(plane: FakePlane) -> AsyncIterator[httpx.AsyncClient]:
    base = f"{plane.url}/api/v1/workspaces/acme/projects/{plane.project.id}/"
    async with httpx.AsyncClient(base_url=base, headers={"X-API-Key": plane.key}, trust_env=False) as made:
        yield made


class Receiver:
    """The other end of a hook."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200

    async def __aenter__(self) -> "Receiver":
        self._app = Quart("receiver")

        @self._app.post("/webhook/plane")
        async def take() -> tuple[str, int]:
            body = await request.get_data()
            assert isinstance(body, bytes)
            self.got.append((dict(request.headers), body))
            return "", self.status

        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._serve(0)
        return self

    async def __aexit__(self, *raised: Any) -> None:
        self._stop.set()
        await self._group.__aexit__(*raised)

    def _serve(self, port: int) -> None:
        listener, self._stop, self._ended = bind_socket("127.0.0.1", port), anyio.Event(), anyio.Event()
        self.url = f"{url_of(listener)}/webhook/plane"

        async def nothing() -> None: ...

        async def run(stop: anyio.Event, ended: anyio.Event) -> None:
            await serve(self._app, listener, shutdown=stop, hub_close=nothing, grace_s=0.5)
            ended.set()

        self._group.start_soon(run, self._stop, self._ended)

    async def go_down(self) -> None:
        self._stop.set()
        await self._ended.wait()

    def come_back(self) -> None:
        self._serve(int(self.url.rpartition(":")[2].partition("/")[0]))

    def told(self) -> list[tuple[str, str]]:
        """Return the changed field and the column that each hook names."""
        bodies = [json.loads(body) for _, body in self.got]
        return [(str(body["activity"]["field"]), body["data"]["state"]["name"]) for body in bodies]


@pytest.fixture
async def receiver(plane: FakePlane) -> AsyncIterator[Receiver]:
    async with Receiver() as made:
        plane.add_webhook(made.url)
        yield made


# ------------------------------------------------------------------------------------------------ shapes


async def exercise(plane: FakePlane) -> None:
    """Make every call that the adapter makes."""
    _, tester = plane.add_bot("tester")
    issue, other = plane.person.create("Greet", "<p>Hello</p>"), plane.person.create("Other")
    async with open_board(plane, {Role.TESTER: tester}) as board:
        made = await board.create_issue(title="Made", text="x", key="k")
        await board.add_comment(issue, role=Role.TESTER, text="Done.", key="k")
        await board.set_state(made.id, plane.project.column(DONE).id)
        plane.person.block(issue, by=other)
        for call in (board.fetch_issue, board.fetch_activities, board.fetch_comments, board.fetch_blocked_by):
            await call(issue)
        await board.fetch_states()
        await board.fetch_changed(None)


@pytest.mark.skipif(not SCHEMA.is_file(), reason="no published description of the API (ORCH_TEST_SCHEMAS)")
async def test_what_it_answers_is_what_the_real_server_publishes(plane: FakePlane, client: httpx.AsyncClient) -> None:
    await exercise(plane)
    item = next(iter(plane.project.items))
    for path in (
        "states/",
        "work-items/",
        f"work-items/{item}/",
        f"work-items/{item}/activities/",
        f"work-items/{item}/comments/",
    ):
        await client.get(path)
    sent = {"relation_type": "blocked_by", "issues": list(plane.project.items)[1:2]}
    assert (await client.post(f"work-items/{item}/relations/", json=sent)).status_code == 201
    described = OpenApi(SCHEMA)
    assert len({(each.method, each.route) for each in plane.exchanges}) >= 11
    faults = [
        fault
        for each in plane.exchanges
        for fault in described.faults(each.method, each.route, each.status, each.answer, partial=each.partial)
    ]
    assert faults == []


@pytest.mark.skipif(not SESSION.is_file(), reason="no captures of a real server (ORCH_TEST_CAPTURES)")
async def test_an_item_and_a_comment_have_the_fields_that_a_real_server_gave_them(plane: FakePlane) -> None:
    seen: dict[str, Any] = {
        name: json.loads(line[line.index("{") :])
        for line in SESSION.read_text(encoding="utf-8").splitlines()
        if (name := line[3:].partition(" 20")[0]) in ("create", "comment")
    }
    issue = plane.person.create("Greet")
    plane.person.comment(issue, "<p>x</p>")
    [comment] = plane.project.comments.values()
    ours = {"create": plane.answers.item(plane.project.items[issue]), "comment": plane.answers.comment(comment)}
    for name, shown in ours.items():
        assert shown.keys() == seen[name].keys()
        assert unlike(shown, seen[name]) == []


@pytest.mark.skipif(not HOOKS.is_file(), reason="no captures of a real server (ORCH_TEST_CAPTURES)")
async def test_its_hooks_look_like_those_of_a_real_server(plane: FakePlane, receiver: Receiver) -> None:
    seen = {
        (each["event"], each["action"]): each for line in HOOKS.read_text().splitlines() for each in [json.loads(line)["body"]]
    }
    issue = plane.person.create("Greet")
    await plane.worker.settled()
    plane.person.move(issue, STOP)
    comment = plane.person.comment(issue, "<p>x</p>")
    await plane.worker.settled()
    plane.state.edit_comment(plane.project.comments[comment], plane.carol.id, "<p>y</p>")
    await plane.worker.settled()
    told = [json.loads(body) for _, body in receiver.got]
    assert {(body["event"], body["action"]) for body in told} == seen.keys() - {("project", "created")}
    for body in told:
        real = seen[body["event"], body["action"]]
        assert body["data"].keys() == real["data"].keys()
        assert unlike(body, real) == []


# ------------------------------------------------------------------------------------------------ the API's bad manners


async def test_a_post_without_its_slash_becomes_a_get_and_makes_nothing(plane: FakePlane, client: httpx.AsyncClient) -> None:
    answer = await client.post("work-items", json={"name": "Lost"}, follow_redirects=True)
    assert (answer.status_code, answer.json()["results"], plane.log) == (200, [], [])
    assert [each.status_code for each in answer.history] == [301]


@pytest.mark.parametrize(
    ("fields", "entry"),
    [
        ({"state_id": STOP}, ("Backlog", STOP)),
        ({"closed_to": STOP}, (None, STOP)),
        ({"state": "Backlog", "state_id": STOP}, ("Backlog", STOP)),
        ({"archived_at": "2026-01-01"}, (None, "manual_archive")),
    ],
)
async def test_some_writes_change_nothing_and_are_logged_all_the_same(
    plane: FakePlane, client: httpx.AsyncClient, fields: dict[str, str], entry: tuple[str | None, str]
) -> None:
    issue = plane.person.create("Greet")
    columns = {column.name: column.id for column in plane.project.columns.values()}
    sent = {name: columns.get(value, value) for name, value in fields.items()}
    answer = await client.patch(f"work-items/{issue}/", json=sent)
    assert (answer.status_code, answer.json()["state"], answer.json()["archived_at"]) == (200, columns["Backlog"], None)
    listed = (await client.get(f"work-items/{issue}/activities/")).json()["results"]
    assert (listed[-1]["old_value"], listed[-1]["new_value"]) == entry


async def test_no_state_means_the_default_one(plane: FakePlane, client: httpx.AsyncClient) -> None:
    issue = plane.person.create("Greet", state=TO_ANALYSE)
    await client.patch(f"work-items/{issue}/", json={"state": None})
    assert plane.project.items[issue].state == plane.project.column("Backlog").id
    listed = (await client.get(f"work-items/{issue}/activities/")).json()["results"]
    assert (listed[-1]["old_value"], listed[-1]["new_identifier"]) == (TO_ANALYSE, None)


async def test_what_it_refuses_and_how(plane: FakePlane, client: httpx.AsyncClient) -> None:
    issue = plane.person.create("Greet")
    item = f"work-items/{issue}/"
    nowhere = "00000000-0000-4000-8000-000000000000"
    answers = [
        (await client.patch(item, json={"state": nowhere}), 400),
        (await client.patch(item, json={"priority": "zzz"}), 400),
        (await client.post("work-items/", json={}), 400),
        (await client.get("work-items/?per_page=5000"), 400),
        (await client.get("work-items/?cursor=x"), 400),
        (await client.get(f"{item}activities/?order_by=nonsense"), 500),
        (await client.get(f"work-items/{nowhere}/"), 404),
        (await client.get(f"{plane.url}/api/v1/workspaces/elsewhere/projects/{plane.project.id}/states/"), 403),
        (await client.delete(item), 403),
        (await client.get("states/", headers={"X-API-Key": "plane_api_wrong"}), 403),
        (await client.get("states/", headers={"X-API-Key": ""}), 401),
    ]
    assert [answer.status_code for answer, _ in answers] == [status for _, status in answers]
    assert answers[9][0].json() == {"detail": "Given API token is not valid"}
    assert "X-RateLimit-Remaining" not in answers[9][0].headers


async def test_an_external_id_is_one_per_project_and_free_again_when_its_comment_is_gone(
    plane: FakePlane, client: httpx.AsyncClient
) -> None:
    one, two = plane.person.create("One"), plane.person.create("Two")
    sent = {"comment_html": "<p>x</p>", "external_source": "s", "external_id": "e"}
    first = await client.post(f"work-items/{one}/comments/", json=sent)
    again = await client.post(f"work-items/{two}/comments/", json=sent)
    assert (first.status_code, again.status_code, again.json()["id"]) == (201, 409, first.json()["id"])
    assert (await client.delete(f"work-items/{one}/comments/{first.json()['id']}/")).status_code == 204
    assert (await client.post(f"work-items/{two}/comments/", json=sent)).status_code == 201


async def test_sixty_calls_a_minute_per_key_and_the_refused_ones_do_not_count(
    plane: FakePlane, client: httpx.AsyncClient
) -> None:
    answers = [await client.get("states/") for _ in range(65)]
    assert Counter(answer.status_code for answer in answers) == {200: 60, 429: 5}
    assert answers[0].headers["X-RateLimit-Remaining"] == "59"
    assert (answers[-1].json()["error_code"], answers[-1].headers["Retry-After"]) == (5900, "60")
    _, other = plane.add_bot("other")
    assert (await client.get("states/", headers={"X-API-Key": other})).status_code == 200, "each key has its own"
    plane.time.tick(60)
    assert (await client.get("states/")).status_code == 200


async def test_states_are_made_as_a_real_server_makes_them(plane: FakePlane, client: httpx.AsyncClient) -> None:
    made = await client.post("states/", json={"name": "Ready", "group": "unstarted", "color": "x"})
    assert (made.status_code, made.json()["group"]) == (200, "unstarted")
    for sent, status in (
        ({"name": "Ready", "color": "x"}, 409),
        ({"name": " Ready ", "color": "x"}, 500),
        ({"name": "ready", "color": "x"}, 200),
        ({"name": "Other"}, 400),
        ({"name": "Hidden", "group": "triage", "color": "x"}, 400),
    ):
        assert (await client.post("states/", json=sent)).status_code == status


async def test_without_the_broker_a_write_is_stored_and_never_told_of(
    plane: FakePlane, client: httpx.AsyncClient, receiver: Receiver
) -> None:
    issue = plane.person.create("Greet")
    await plane.worker.settled()
    plane.worker.broker = False
    answer = await client.patch(f"work-items/{issue}/", json={"state": plane.project.column(STOP).id})
    plane.worker.broker = True
    assert answer.status_code == 500
    assert plane.project.items[issue].state == plane.project.column(STOP).id
    assert len((await client.get(f"work-items/{issue}/activities/")).json()["results"]) == 1
    await plane.worker.settled()
    assert len(receiver.got) == 1


async def test_a_relation_tells_both_sides_and_touches_one(plane: FakePlane, client: httpx.AsyncClient) -> None:
    one, two = plane.person.create("One"), plane.person.create("Two")
    before = plane.project.items[two].updated_at
    sent = {"relation_type": "blocked_by", "issues": [two]}
    assert [(await client.post(f"work-items/{one}/relations/", json=sent)).status_code for _ in range(2)] == [201, 201]
    assert (await client.get(f"work-items/{two}/relations/")).json()["blocking"] == [
        {"project_id": plane.project.id, "issue_id": one}
    ]
    assert plane.project.items[two].updated_at == before
    assert (await client.post(f"work-items/{one}/relations/remove/", json={"related_issue": two})).status_code == 404


# ------------------------------------------------------------------------------------------------ hooks


async def test_a_hook_is_signed_and_a_page_and_the_api_name_the_field_differently(plane: FakePlane, receiver: Receiver) -> None:
    issue = plane.person.create("Greet")
    await plane.worker.settled()
    plane.person.move(issue, TO_ANALYSE)
    await plane.worker.settled()
    plane.state.patch(plane.project.items[issue], plane.bot.id, {"state": plane.project.column(STOP).id})
    await plane.worker.settled()
    assert receiver.told() == [("None", "Backlog"), ("state_id", TO_ANALYSE), ("state", STOP)]
    for headers, body in receiver.got:
        assert verify_signature(SECRET, body, headers["X-Plane-Signature"])
        hook = parse_hook(body)
        assert isinstance(hook, PlaneHook)
        assert (hook.kind, hook.issue, hook.project) == (HookKind.ISSUE, issue, plane.project.id)


async def test_one_hook_per_field_in_any_order_each_with_the_state_at_its_sending(plane: FakePlane, receiver: Receiver) -> None:
    plane.worker.order = "reversed"
    issue = plane.person.create("Greet")
    for name in (TO_ANALYSE, STOP):
        plane.person.move(issue, name)
    plane.person.patch(issue, name="Greet them", priority="high")
    await plane.worker.settled()
    assert receiver.told() == [("priority", STOP), ("name", STOP), ("state_id", STOP), ("state_id", STOP), ("None", STOP)]


async def test_what_tells_nobody_and_what_is_gone_before_it_is_told(plane: FakePlane, receiver: Receiver) -> None:
    one, two = plane.person.create("One"), plane.person.create("Two")
    await plane.worker.settled()
    receiver.got.clear()
    plane.person.block(one, by=two)
    plane.person.move(two, DONE)
    await plane.worker.settled()
    plane.person.archive(two)
    plane.person.delete_comment(plane.person.comment(one, "<p>x</p>"))
    plane.person.delete(one)
    plane.person.patch(two, state=plane.project.column(DONE).id)
    await plane.worker.settled()
    assert receiver.told() == [("state_id", DONE)]


async def test_an_answer_is_not_heeded_and_a_refused_connection_is_tried_again(plane: FakePlane, receiver: Receiver) -> None:
    receiver.status = 500
    issue = plane.person.create("Greet")
    await plane.worker.settled()
    plane.time.tick(3600)
    await plane.worker.settled()
    assert len(receiver.got) == 1, "a 500 is not tried again"
    await receiver.go_down()
    plane.person.move(issue, STOP)
    await plane.worker.settled()
    receiver.come_back()
    plane.time.tick(RETRY_SPREAD_S)
    await plane.worker.settled()
    assert receiver.told()[-1] == ("state_id", STOP)
    deliveries = [headers["X-Plane-Delivery"] for headers, _ in receiver.got]
    assert len(set(deliveries)) == len(deliveries) == 2
    assert [delivery.status for delivery in plane.worker.deliveries] == [500, 0, 500]


async def test_R4_a_hook_is_switched_off_by_its_last_failed_try_and_on_by_hand_alone(
    plane: FakePlane, receiver: Receiver
) -> None:
    issue = plane.person.create("Greet")
    await plane.worker.settled()
    await receiver.go_down()
    plane.person.move(issue, STOP)
    for _ in range(RETRIES_MAX + 1):
        await plane.worker.settled()
        plane.time.tick(RETRY_SPREAD_S)
    await plane.worker.settled()
    assert [delivery.status for delivery in plane.worker.deliveries] == [200] + [0] * (RETRIES_MAX + 1)
    receiver.come_back()
    plane.person.move(issue, TO_ANALYSE)
    await plane.worker.settled()
    assert len(receiver.got) == 1, "nothing comes any more, and nothing is made up for"
    plane.switch_on(plane.worker.webhooks[0])
    plane.person.move(issue, IN_PROGRESS)
    await plane.worker.settled()
    assert receiver.told()[-1] == ("state_id", IN_PROGRESS)


async def test_R3_hooks_are_lost_and_doubled_by_a_seed() -> None:
    counts = []
    for _ in range(2):
        async with FakePlane(seed=7, loss=0.4, doubling=0.4) as plane, Receiver() as receiver:
            plane.add_webhook(receiver.url)
            issues = [plane.person.create(f"Issue {number}") for number in range(20)]
            await plane.worker.settled()
            ids = Counter(json.loads(body)["data"]["id"] for _, body in receiver.got)
            counts.append([ids[issue] for issue in issues])
    assert counts[0] == counts[1]
    assert set(counts[0]) == {0, 1, 2}


async def test_a_worker_that_was_stopped_catches_up_the_log_in_order_and_the_hooks_in_reverse(
    plane: FakePlane, receiver: Receiver
) -> None:
    plane.worker.order = "sent"
    issue = plane.person.create("Greet")
    await plane.worker.settled()
    plane.worker.stop()
    for name in (TO_ANALYSE, STOP):
        plane.person.move(issue, name)
    assert len(plane.worker.read(issue)) == 1
    stopped_for = plane.time.tick(30)
    plane.worker.start()
    entries = plane.worker.read(issue)
    assert [entry.values[1] for entry in entries[1:]] == [TO_ANALYSE, STOP]
    assert all(entry.created_at is not None and entry.created_at > stopped_for for entry in entries[1:])
    assert all(entry.epoch < stopped_for.timestamp() - 20 for entry in entries[1:]), "the epoch is that of the change"
    await plane.worker.settled()
    changed = [json.loads(body)["activity"]["new_value"] for _, body in receiver.got[1:]]
    assert changed == [plane.project.column(name).id for name in (STOP, TO_ANALYSE)]


async def test_faults_come_before_or_after_the_work(plane: FakePlane, client: httpx.AsyncClient) -> None:
    plane.faults.fail_next("items.post", went_wrong())
    plane.faults.fail_after("items.post", went_wrong())
    answers = [await client.post("work-items/", json={"name": name}) for name in ("One", "Two", "Three")]
    assert [answer.status_code for answer in answers] == [500, 500, 201]
    assert [item.name for item in plane.project.items.values()] == ["Two", "Three"]
    assert plane.log == [("create", "bot Two"), ("create", "bot Three")]
