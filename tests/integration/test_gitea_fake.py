"""The fake Gitea itself: its shapes beside those that real servers publish and send, and its bad manners."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx  # noqa: TID251
import pytest
from quart import Quart, request

from orch.adapters.gitea import EVENT_HEADER, parse_hook, verify_signature
from orch.core.ids import Branch, ProjectName
from orch.core.model import CiState, CommitStatus, PullRequestState
from orch.ports import ForgeEventKind
from orch.rehearsal.gitea import FakeGitea
from orch.web.server import bind_socket, serve, url_of
from tests.fakes.gitea_connection import open_forge
from tests.fakes.gitea_schema import Swagger, unlike

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
SCHEMA = Path(os.environ.get("ORCH_TEST_SCHEMAS") or SHARED / "schemas") / "gitea-swagger-2025-10.json"
CAPTURES = Path(os.environ.get("ORCH_TEST_CAPTURES") or SHARED / "captures") / "gitea_hooks_1.22dev.jsonl"
BRANCH = Branch("feature/SHOP-1-greet")
SECRET = "sesame-open"


@pytest.fixture
async def gitea(tmp_path: Path) -> AsyncIterator[FakeGitea]:
    async with FakeGitea(tmp_path / "gitea") as server:
        yield server
        server.faults.assert_used()


def captured() -> list[dict[str, Any]]:
    return [json.loads(line) for line in CAPTURES.read_text(encoding="utf-8").splitlines()]


class Receiver:
    """The other end of a hook."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.url = ""

    async def __aenter__(self) -> "Receiver":
        app = Quart("receiver")

        @app.post("/webhook/gitea")
        async def take() -> tuple[str, int]:
            body = await request.get_data()
            assert isinstance(body, bytes)
            self.got.append((dict(request.headers), body))
            return "", self.status

        self._stop = anyio.Event()
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        listener = bind_socket("127.0.0.1", 0)
        self.url = f"{url_of(listener)}/webhook/gitea"

        async def run() -> None:
            await serve(app, listener, shutdown=self._stop, hub_close=anyio.lowlevel.checkpoint, grace_s=0.5)

        self._group.start_soon(run)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await self._group.__aexit__(None, None, None)

    def kinds(self) -> list[ForgeEventKind]:
        return [parse_hook(headers[EVENT_HEADER], body).kind for headers, body in self.got]


async def play(gitea: FakeGitea, data: Path) -> None:
    """Use every call of the adapter and every hand of a person once."""
    person = gitea.person
    head = person.push(BRANCH, {"x": "1"})
    async with open_forge(gitea, data, project=ProjectName("shop")) as forge:
        pull = await forge.open_pull_request(BRANCH, title="WIP: Greet", body="b")
        await forge.open_pull_request(BRANCH, title="WIP: Greet", body="b")
        await forge.edit_pull_request(pull.number, title="Greet", body="c")
        await forge.edit_pull_request(pull.number, state=PullRequestState.CLOSED)
        await forge.edit_pull_request(pull.number, state=PullRequestState.OPEN)
        for text in ("running", "done"):
            await forge.keep_comment(pull.number, marker="orch:status", text=text)
        await forge.post_status(
            CommitStatus(sha=head, context="orch/ci", state=CiState.SUCCESS, description="d", url="http://x/")
        )
        await forge.fetch_statuses(head)
        await forge.find_pull_request(BRANCH)
        await forge.list_pull_requests()
        await forge.check_manual_merge()
        await forge.fetch_branch_rights()
        await forge.mark_merged(pull.number, person.push("main", {"y": "1"}))
        await forge.fetch_pull_request(pull.number)
    async with open_forge(gitea, data, project=ProjectName("shop"), token=gitea.make_token("anna")) as admin:
        for _ in range(2):
            await admin.ensure_webhook("http://127.0.0.1:9/webhook", SECRET)
    gitea.hooks.targets.pop()
    person.comment(pull.number, "thanks")
    person.push("other", {"z": "1"})
    second = person.open("other")
    person.push("other", {"z": "2"})
    person.retitle(second.number, "another title")
    person.delete_branch("other")


# ------------------------------------------------------------------------------------------------ its shapes


@pytest.mark.skipif(not SCHEMA.is_file(), reason="no published description of the API (ORCH_TEST_SCHEMAS)")
async def test_calls_and_answers_are_as_published(gitea: FakeGitea, tmp_path: Path) -> None:
    await play(gitea, tmp_path / "data")
    swagger = Swagger(SCHEMA)
    faults = set()
    for exchange in gitea.exchanges:
        route = exchange.route.removeprefix("/api/v1")
        faults |= set(swagger.faults(exchange.method, route, exchange.sent, exchange.status, exchange.answer))
    assert faults == set()
    assert len({(exchange.method, exchange.route) for exchange in gitea.exchanges}) >= 12


@pytest.mark.skipif(not CAPTURES.is_file(), reason="no captures of a real server (ORCH_TEST_CAPTURES)")
async def test_hooks_have_the_shape_of_captured_ones(tmp_path: Path) -> None:
    seen = {(each["headers"]["X-Gitea-Event-Type"], each["body"].get("action")): each for each in captured()}
    async with FakeGitea(tmp_path / "gitea", old=True) as gitea, Receiver() as receiver:
        gitea.add_hook(receiver.url, SECRET)
        await play(gitea, tmp_path / "data")
        await gitea.hooks.settle()
    compared = set()
    for headers, body in receiver.got:
        table = json.loads(body)
        kind = (headers["X-Gitea-Event-Type"], table.get("action"))
        if kind not in seen:
            continue
        assert unlike(table, seen[kind]["body"]) == []
        named = {name.lower() for name in headers}
        assert {name.lower() for name in seen[kind]["headers"]} <= named | {"accept-encoding"}
        compared.add(kind)
    assert len(compared) >= 7


async def test_its_hooks_are_signed_as_a_real_servers(gitea: FakeGitea) -> None:
    async with Receiver() as receiver:
        gitea.add_hook(receiver.url, SECRET)
        gitea.person.push(BRANCH, {"x": "ж"})
        await gitea.hooks.settle()
    assert len(receiver.got) == 2
    for headers, body in receiver.got:
        assert verify_signature(SECRET, body, headers)
        assert not verify_signature(SECRET, body + b" ", headers)
        hub = {"x-hub-signature-256": headers["X-Hub-Signature-256"]}
        assert verify_signature(SECRET, body, hub)


# ------------------------------------------------------------------------------------------------ its manners


async def test_what_a_push_led_to_is_told_before_the_push(gitea: FakeGitea) -> None:
    async with Receiver() as receiver:
        gitea.add_hook(receiver.url, SECRET)
        gitea.person.push(BRANCH, {"x": "1"})
        number = gitea.person.open(BRANCH).number
        await gitea.hooks.settle()
        assert receiver.kinds() == [ForgeEventKind.PULL_OPENED, ForgeEventKind.BRANCH_CREATED, ForgeEventKind.PUSHED]
        receiver.got.clear()
        gitea.person.merge(number)
        await gitea.hooks.settle()
        assert receiver.kinds() == [ForgeEventKind.PULL_CLOSED, ForgeEventKind.PUSHED]


async def test_a_hook_is_sent_once_whatever_the_answer(gitea: FakeGitea) -> None:
    async with Receiver() as receiver:
        receiver.status = 500
        gitea.add_hook(receiver.url, SECRET, ("push",))
        gitea.add_hook("http://127.0.0.1:9/nowhere", SECRET, ("push",))
        gitea.person.push(BRANCH, {"x": "1"})
        await gitea.hooks.settle()
        assert sorted(delivery.status for delivery in gitea.hooks.deliveries) == [0, 500]
        assert len(receiver.got) == 1


async def test_hooks_are_lost_and_doubled_by_a_seed(tmp_path: Path) -> None:
    counts = []
    for number in range(2):
        settings: dict[str, Any] = {"order": "shuffled", "seed": 3, "loss": 0.3, "doubling": 0.3}
        async with FakeGitea(tmp_path / str(number), **settings) as gitea, Receiver() as receiver:
            gitea.add_hook(receiver.url, SECRET, ("push",))
            for commit in range(20):
                gitea.person.push(BRANCH, {"x": str(commit)})
            await gitea.hooks.settle()
            counts.append([json.loads(body)["after"] for _, body in receiver.got])
    assert counts[0] == counts[1]
    assert len(set(counts[0])) < 20
    assert len(set(counts[0])) < len(counts[0])


async def test_unknown_events_are_dropped_and_a_hook_is_off_unless_asked_on(gitea: FakeGitea) -> None:
    admin = {"Authorization": f"token {gitea.make_token('anna')}"}
    async with httpx.AsyncClient(base_url=f"{gitea.url}/api/v1", headers=admin, trust_env=False) as client:
        wanted = {"type": "gitea", "config": {"url": "http://x/", "content_type": "json"}, "events": ["push", "workflow_run"]}
        made = (await client.post("/repos/team/shop/hooks", json=wanted)).json()
    assert (made["events"], made["active"]) == (["push"], False)


async def test_the_button_is_busy_first_and_then_merges(gitea: FakeGitea) -> None:
    gitea.person.push(BRANCH, {"x": "1"})
    number = gitea.person.open(BRANCH).number
    headers = {"Authorization": f"token {gitea.token}"}
    async with httpx.AsyncClient(base_url=f"{gitea.url}/api/v1", headers=headers, trust_env=False) as client:
        answers = [await client.post(f"/repos/team/shop/pulls/{number}/merge", json={"Do": "merge"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [405, 405, 200, 405]
    assert answers[0].json()["message"] == "Please try again later"
    assert gitea.person.pull(number).merged


async def test_a_branch_is_deleted_twice_and_the_default_one_never(gitea: FakeGitea) -> None:
    gitea.person.push(BRANCH, {"x": "1"})
    headers = {"Authorization": f"token {gitea.token}"}
    async with httpx.AsyncClient(base_url=f"{gitea.url}/api/v1/repos/team/shop", headers=headers, trust_env=False) as client:
        codes = [(await client.delete(f"/branches/{name}")).status_code for name in (BRANCH, BRANCH, "main")]
    assert codes == [204, 204, 403]
