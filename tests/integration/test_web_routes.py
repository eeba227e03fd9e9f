"""Every address over a real socket: what it answers when all is well, and what it says when not."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orch.core.errors import ActorDied, MailboxFull, StoreError, TransientError
from orch.core.ids import Sha
from orch.core.messages import (
    AddDependency,
    Answer,
    ArchiveIssue,
    CommentIssue,
    CreateIssue,
    DecideTask,
    Decision,
    MoveIssue,
    RemoveDependency,
    Verb,
)
from orch.web.routes import rule_of
from tests.integration.web_world import SHOWN, World, running


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path) as made:
        yield made


READS = [
    ("/healthz", {"status": "ok", "version": "9.9.9"}),
    ("/readyz", {"ready": True, "not_ready": {}, "notices": {}}),
    ("/deps", {"deps": [{"project": "shop", "issue": "SHOP-3", "on": "SHOP-2", "open": True}]}),
]


@pytest.mark.parametrize(("path", "body"), READS)
async def test_small_reads_answer_exactly(world: World, path: str, body: dict[str, Any]) -> None:
    async with world.client() as client:
        reply = await client.get(path)
    assert (reply.status_code, reply.json()) == (200, body)


async def test_tasks_show_stage_status_figures_and_cards(world: World) -> None:
    async with world.client() as client:
        body = (await client.get("/tasks")).json()
    rows = {task["id"]: task for task in body["tasks"]}
    assert (rows["SHOP-1"]["status"], rows["SHOP-1"]["tokens_in"], rows["SHOP-1"]["cost_usd"]) == ("in_review", 11_300, 0.25)
    assert (rows["SHOP-2"]["status"], rows["SHOP-2"]["parked"]["reason"]) == ("blocked", "no-ci-reported")
    assert [issue["id"] for issue in body["issues"] if issue["task"] is None] == ["SHOP-3"]


async def test_tasks_are_limited_on_request(world: World) -> None:
    async with world.client() as client:
        body = (await client.get("/tasks?limit=1")).json()
        wrong = await client.get("/tasks?limit=-1")
    assert len(body["tasks"]) == 1
    assert (wrong.status_code, wrong.json()["detail"]) == (422, "limit must be a positive number.")


async def test_task_has_runs_and_what_was_shown(world: World) -> None:
    async with world.client() as client:
        body = (await client.get("/tasks/shop-1")).json()
    assert (body["id"], body["shown"], [run["role"] for run in body["runs"]]) == ("SHOP-1", SHOWN, ["analyst"])


async def test_why_is_a_sentence_that_names_the_way_on(world: World) -> None:
    async with world.client() as client:
        body = (await client.get("/tasks/SHOP-2/why")).json()
    assert "orch resume SHOP-2" in body["why"]


async def test_queue_has_all_its_blocks(world: World) -> None:
    async with world.client() as client:
        body = (await client.get("/queue")).json()
    blocks = {"jobs", "tasks", "serial_gate", "task_deps", "merge", "deploy", "stop", "reconcile", "agents", "budget", "outbox"}
    assert blocks <= body.keys()


async def test_log_gives_its_end_bounded_and_by_whole_lines(world: World) -> None:
    async with world.client() as client:
        whole = await client.get("/tasks/SHOP-1/runs/1/log")
        end = await client.get("/tasks/SHOP-1/runs/1/log?tail=20")
    assert whole.text == world.log.read_text()
    assert end.text == "line 998\nline 999\n"
    assert end.headers["content-type"] == "text/plain; charset=utf-8"


async def test_log_that_became_a_link_is_not_followed(world: World, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    world.log.unlink()
    world.log.symlink_to(secret)
    async with world.client() as client:
        reply = await client.get("/tasks/SHOP-1/runs/1/log")
    assert (reply.status_code, reply.json()["detail"]) == (404, "The log of run 1 is not kept any more.")


async def test_board_lists_and_shows_issues(world: World) -> None:
    async with world.client() as client:
        listed = (await client.get("/board/issues?project=shop")).json()["issues"]
        none = (await client.get("/board/issues?project=other")).json()["issues"]
        shown = (await client.get("/board/issues/shop-3")).json()
    assert [(issue["id"], issue["status"], issue["column"]) for issue in listed] == [
        (f"SHOP-{number}", "backlog", "Backlog") for number in (1, 2, 3)
    ]
    assert none == []
    assert [(remark["by"], remark["text"]) for remark in shown["comments"]] == [("Ann", "Soon!")]


DECISIONS: list[tuple[str, str, dict[str, str], Any]] = [
    ("POST", f"/tasks/SHOP-1/{decision.value}", {}, DecideTask(task="SHOP-1", decision=decision, by="api"))
    for decision in Decision
]
ACTS: list[tuple[str, str, dict[str, Any], Any]] = [
    *DECISIONS,
    (
        "POST",
        "/tasks/SHOP-1/reject",
        {"shown": SHOWN, "reason": "too big", "by": "ann"},
        DecideTask(task="SHOP-1", decision=Decision.REJECT, by="api:ann", shown=SHOWN, reason="too big"),
    ),
    ("POST", "/board/issues/SHOP-3/archive", {}, ArchiveIssue(issue="SHOP-3", by="api")),
    ("POST", "/board/issues/SHOP-3/archive", {"archived": False}, ArchiveIssue(issue="SHOP-3", by="api", archived=False)),
    ("POST", "/board/issues/SHOP-3/move", {"status": "to_analyse"}, MoveIssue(issue="SHOP-3", status="to_analyse", by="api")),
    ("POST", "/board/issues/SHOP-3/comments", {"text": "a\nb"}, CommentIssue(issue="SHOP-3", text="a\nb", by="api")),
    ("POST", "/deps", {"issue": "SHOP-3", "on": "SHOP-1"}, AddDependency(issue="SHOP-3", on="SHOP-1", by="api")),
    ("DELETE", "/deps", {"issue": "SHOP-3", "on": "SHOP-2"}, RemoveDependency(issue="SHOP-3", on="SHOP-2", by="api")),
]


@pytest.mark.parametrize(("method", "path", "body", "command"), ACTS)
async def test_acts_are_handed_to_the_actors(world: World, method: str, path: str, body: dict[str, str], command: Any) -> None:
    async with world.client() as client:
        reply = await client.request(method, path, json=body)
    assert (reply.status_code, reply.json()) == (200, {"result": "done", "text": "So be it.", "id": "SHOP-1"})
    assert world.control.asked == [command]


async def test_a_decision_needs_no_body_at_all(world: World) -> None:
    async with world.client() as client:
        reply = await client.post("/tasks/SHOP-1/stop")
    assert reply.status_code == 200


async def test_a_new_issue_comes_back_with_its_id(world: World) -> None:
    async with world.client() as client:
        reply = await client.post("/board/issues", json={"title": "  A  new card ", "body": "What it is about"})
    assert reply.json()["issue"]["id"] == "SHOP-4"
    assert world.control.asked == [CreateIssue(title="A new card", body="What it is about", by="api")]


VERBS = [(Verb.DONE, 200), (Verb.NOTHING, 200), (Verb.REFUSED, 409), (Verb.UNKNOWN, 404), (Verb.INVALID, 422)]


@pytest.mark.parametrize(("verb", "status"), VERBS)
async def test_an_answer_becomes_a_status(world: World, verb: Verb, status: int) -> None:
    world.control.answers = [Answer(verb=verb, text="because")]
    async with world.client() as client:
        reply = await client.post("/tasks/SHOP-1/approve", json={})
    assert reply.status_code == status
    assert reply.json().get("text" if status == 200 else "detail") == "because"


FAULTS = [TransientError("desk", "ask", "x"), MailboxFull("x"), ActorDied("x"), StoreError("x")]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
async def test_a_busy_or_broken_inside_is_a_503_to_try_again(world: World, fault: Exception) -> None:
    world.control.answers = [fault]
    async with world.client() as client:
        reply = await client.post("/tasks/SHOP-1/approve", json={})
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
    assert reply.headers["content-type"] == "application/problem+json"


async def test_readiness_names_what_is_missing(world: World) -> None:
    world.control.missing = {"store": "the disk is full"}
    async with world.client(token=False) as client:
        reply = await client.get("/readyz")
    assert (reply.status_code, reply.json()) == (503, {"ready": False, "not_ready": {"store": "the disk is full"}, "notices": {}})


UNKNOWN = [
    "/tasks/SHOP-99",
    "/tasks/SHOP-99/why",
    "/tasks/SHOP-99/runs/1/log",
    "/tasks/SHOP-1/runs/99/log",
    "/tasks/SHOP-2/runs/1/log",
    f"/tasks/SHOP-1/runs/{2**70}/log",
    "/board/issues/SHOP-99",
    "/tasks/%00",
    "/tasks/%ED%A0%80",
    "/tasks/..%2f..%2fetc",
    "/nowhere",
    "/static/app.py",
    "/static/..%2fapp.py",
]


@pytest.mark.parametrize("path", UNKNOWN)
async def test_what_does_not_exist_is_a_404_problem(world: World, path: str) -> None:
    async with world.client() as client:
        reply = await client.get(path)
    assert (reply.status_code, reply.headers["content-type"]) == (404, "application/problem+json")
    assert {"status", "title", "detail"} <= reply.json().keys()


async def test_every_address_refuses_other_methods(world: World) -> None:
    async with world.client() as client:
        for path in sorted({route.path for route in world.app.routes if not route.socket}):
            known = {route.method for route in world.app.routes if route.path == path}
            reply = await client.request("PATCH", path.replace("{id}", "SHOP-1").replace("{n}", "1"))
            assert reply.status_code == 405, path
            assert known <= set(reply.headers["allow"].split(", ")), path


async def test_every_acting_address_refuses_without_a_token(world: World) -> None:
    async with world.client(token=False) as client:
        for route in world.app.routes:
            if route.acting:
                reply = await client.request(route.method, route.path.replace("{id}", "SHOP-1"), json={})
                assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer"), route.path
    assert world.control.asked == []


async def test_openapi_describes_exactly_what_the_app_answers(world: World) -> None:
    async with world.client() as client:
        document = (await client.get("/openapi.json")).json()
    described = {(rule_of(path), method.upper()) for path, row in document["paths"].items() for method in row}
    rules = {
        (rule.rule, method)
        for rule in world.app.url_map.iter_rules()
        for method in (rule.methods or {"GET"}) - {"HEAD", "OPTIONS"}
    }
    assert described == rules
    assert document["paths"]["/deps"]["delete"]["security"] == [{"token": []}]
    assert document["components"]["schemas"]["DecisionBody"]["properties"].keys() == {"by", "shown", "reason"}


async def test_metrics_count_by_route_not_by_what_was_sent(world: World) -> None:
    async with world.client() as client:
        await client.get("/tasks/SHOP-1")
        await client.get("/tasks/made-up")
        await client.get("/made-up-address")
        text = (await client.get("/metrics")).text
    assert 'orch_http_requests_total{route="/tasks/<id>",status="200"} 1.0' in text
    assert 'orch_info{version="9.9.9"} 1.0' in text
    assert "process_open_fds" in text
    assert "made-up" not in text


async def test_the_page_lists_tasks_escaped_under_a_strict_policy(world: World) -> None:
    async with world.client(token=False) as client:
        reply = await client.get("/")
        style = await client.get("/static/orch.css")
    assert "Add a basket" in reply.text
    assert "&lt;script&gt;alert(1)" in reply.text
    assert "<script>" not in reply.text
    assert reply.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert (reply.headers["x-content-type-options"], reply.headers["cache-control"]) == ("nosniff", "no-store")
    assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")


@pytest.mark.parametrize("shown", ["abc", "A" * 40, SHOWN + "\n", Sha("g" * 40)])
async def test_a_shown_sha_is_a_full_one_or_none(world: World, shown: str) -> None:
    async with world.client() as client:
        reply = await client.post("/tasks/SHOP-1/approve", json={"shown": shown})
    assert reply.status_code == 422
