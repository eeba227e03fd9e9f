"""People's controls over HTTP and on the command line: what they send, what they answer, and what they refuse."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orch.adapters.http import connect_api
from orch.core.messages import (
    AdoptIssue,
    Answer,
    DecideTask,
    Decision,
    FreezeRepo,
    PauseRepos,
    RevertTask,
    SendTaskBack,
    UnfreezeRepo,
    UnpauseRepos,
    Verb,
)
from orch.core.model import Finding, Freeze, FreezeCause
from orch.core.stages import Stage
from orch.web.server import write_daemon_file
from tests.integration.test_cli_commands import Cli, nobody
from tests.integration.web_world import NOW, SHOP, TOKEN, World, running


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path) as made:
        write_daemon_file(tmp_path, made.url)
        (tmp_path / "token").write_text(TOKEN + "\n")
        yield made


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(lambda data_dir, url: connect_api(data_dir or tmp_path, url))


FINDINGS = [{"title": "No test", "path": "app.py"}, {"title": "Too long", "severity": "minor", "detail": "300 lines"}]
SENT_BACK = SendTaskBack(
    task="SHOP-1",
    stage=Stage.DEVELOPMENT,
    by="api:ann",
    reason="Mend it.",
    findings=(Finding(title="No test", path="app.py"), Finding(title="Too long", severity="minor", detail="300 lines")),
)

POSTS: list[tuple[str, dict[str, Any], Any]] = [
    ("/tasks/SHOP-1/fix", {}, DecideTask(task="SHOP-1", decision=Decision.FIX, by="api")),
    ("/tasks/SHOP-1/send-back", {"stage": "development", "reason": "Mend it.", "findings": FINDINGS, "by": "ann"}, SENT_BACK),
    (
        "/tasks/SHOP-1/send-back",
        {"stage": "analysis", "reason": "Ask first."},
        SendTaskBack(task="SHOP-1", stage=Stage.ANALYSIS, by="api", reason="Ask first."),
    ),
    ("/tasks/SHOP-3/adopt", {}, AdoptIssue(issue="SHOP-3", by="api")),
    ("/tasks/0b5e/adopt", {"project": "shop"}, AdoptIssue(issue="0b5e", by="api", project="shop")),
    ("/tasks/SHOP-1/revert", {"by": "ann"}, RevertTask(task="SHOP-1", by="api:ann")),
    ("/serial-gate/freeze", {}, FreezeRepo(by="api")),
    (
        "/serial-gate/freeze",
        {"project": "shop", "reason": "release day", "by": "ann"},
        FreezeRepo(by="api:ann", project="shop", reason="release day"),
    ),
    ("/serial-gate/unfreeze", {"project": "shop"}, UnfreezeRepo(by="api", project="shop")),
    ("/pause", {}, PauseRepos(by="api")),
    ("/pause", {"project": "shop"}, PauseRepos(by="api", project="shop")),
    ("/unpause", {}, UnpauseRepos(by="api")),
]


@pytest.mark.parametrize(("path", "body", "command"), POSTS, ids=[f"{path} {sorted(body)}" for path, body, _ in POSTS])
async def test_a_control_is_handed_to_the_actors(world: World, path: str, body: dict[str, Any], command: Any) -> None:
    async with world.client() as client:
        reply = await client.post(path, json=body)
    assert (reply.status_code, reply.json()["text"]) == (200, "So be it.")
    assert world.control.asked == [command]


@pytest.mark.parametrize("path", sorted({path for path, _, _ in POSTS}))
async def test_without_the_token_nobody_controls_anything(world: World, path: str) -> None:
    async with world.client(token=False) as client:
        reply = await client.post(path, json={})
    assert reply.status_code == 401
    assert world.control.asked == []


WRONG = [
    ("/tasks/SHOP-1/send-back", {}, "stage"),
    ("/tasks/SHOP-1/send-back", {"stage": "development"}, "Say why"),
    ("/tasks/SHOP-1/send-back", {"stage": "development", "reason": "  "}, "Say why"),
    ("/tasks/SHOP-1/send-back", {"stage": "done", "reason": "x"}, "stage"),
    ("/tasks/SHOP-1/send-back", {"stage": "deploy", "reason": "x"}, "stage"),
    ("/tasks/SHOP-1/send-back", {"stage": "review", "findings": [{"title": ""}]}, "findings.0.title"),
    ("/tasks/SHOP-1/send-back", {"stage": "review", "findings": [{"title": "x", "line": 3}]}, "findings.0.line"),
    ("/tasks/SHOP-1/send-back", {"stage": "review", "findings": [{"title": "x"}] * 101}, "findings"),
    ("/tasks/SHOP-1/send-back", {"stage": "review", "reason": "\x07"}, "reason"),
    ("/tasks/SHOP-1/adopt", {"project": "../shop"}, "project"),
    ("/tasks/SHOP-1/revert", {"reason": "why"}, "reason"),
    ("/serial-gate/freeze", {"project": 1}, "project"),
    ("/serial-gate/freeze", {"reason": "x" * 1001}, "reason"),
    ("/serial-gate/unfreeze", {"force": True}, "force"),
    ("/pause", {"project": "a b"}, "project"),
    ("/unpause", {"projects": []}, "projects"),
]


@pytest.mark.parametrize(("path", "body", "word"), WRONG)
async def test_wrong_input_is_a_422_that_names_it(world: World, path: str, body: dict[str, Any], word: str) -> None:
    async with world.client() as client:
        reply = await client.post(path, json=body)
    assert reply.status_code == 422
    assert word in reply.json()["detail"]
    assert world.control.asked == []


@pytest.mark.parametrize(("verb", "status"), [(Verb.NOTHING, 200), (Verb.REFUSED, 409), (Verb.UNKNOWN, 404)])
@pytest.mark.parametrize("path", sorted({path for path, _, _ in POSTS}))
async def test_an_answer_becomes_a_status(world: World, path: str, verb: Verb, status: int) -> None:
    world.control.answers = [Answer(verb=verb, text="because")]
    async with world.client() as client:
        reply = await client.post(path, json={"stage": "review", "reason": "x"} if "send-back" in path else {})
    assert reply.status_code == status


async def test_the_description_of_a_body_within_a_body_is_there(world: World) -> None:
    async with world.client() as client:
        schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    assert schemas["SendBackBody"]["properties"]["findings"]["items"] == {"$ref": "#/components/schemas/FindingBody"}
    assert "title" in schemas["FindingBody"]["properties"]


async def test_a_freeze_and_a_pause_are_shown_wherever_people_look(world: World, cli: Cli) -> None:
    freeze = Freeze(project=SHOP, cause=FreezeCause.PERSON, since=NOW, by="api:ann", detail="release day")
    await world.store.transact(lambda tx: tx.set_freeze(freeze))
    async with world.client() as client:
        queue = (await client.get("/queue")).json()["serial_gate"]
        [project] = (await client.get("/tasks")).json()["projects"]
    assert [shown["detail"] for shown in queue["freezes"]] == ["release day"]
    assert (project["freeze"]["by"], project["paused"], project["serial_gate"]) == ("api:ann", False, False)
    assert "shop is frozen (person, by api:ann): release day" in (await cli("status")).stdout


# ------------------------------------------------------------------------------------------------ the command line

BACK = SendTaskBack(task="SHOP-1", stage=Stage.REVIEW, by="api:ann", reason="Look again.")
WORDS: list[tuple[tuple[str, ...], Any]] = [
    (("freeze",), FreezeRepo(by="api:ann")),
    (("freeze", "shop", "--reason", "release day"), FreezeRepo(by="api:ann", project="shop", reason="release day")),
    (("unfreeze",), UnfreezeRepo(by="api:ann")),
    (("unfreeze", "shop"), UnfreezeRepo(by="api:ann", project="shop")),
    (("pause",), PauseRepos(by="api:ann")),
    (("pause", "shop"), PauseRepos(by="api:ann", project="shop")),
    (("unpause",), UnpauseRepos(by="api:ann")),
    (("unpause", "shop"), UnpauseRepos(by="api:ann", project="shop")),
    (("fix", "SHOP-1"), DecideTask(task="SHOP-1", decision=Decision.FIX, by="api:ann")),
    (("revert", "SHOP-3"), RevertTask(task="SHOP-3", by="api:ann")),
    (("adopt", "SHOP-3"), AdoptIssue(issue="SHOP-3", by="api:ann")),
    (("adopt", "0b5e", "--project", "shop"), AdoptIssue(issue="0b5e", by="api:ann", project="shop")),
    (("send-back", "SHOP-1", "review", "--reason", "Look again."), BACK),
]


@pytest.mark.parametrize(("words", "command"), WORDS, ids=[" ".join(words) for words, _ in WORDS])
async def test_a_command_says_what_became_of_it(world: World, cli: Cli, words: tuple[str, ...], command: Any) -> None:
    plain, as_json = await cli(*words), await cli(*words, "--json")
    assert (plain.exit_code, plain.stdout, plain.stderr) == (0, "So be it.\n", "")
    assert json.loads(as_json.stdout)["result"] == "done"
    assert world.control.asked == [command, command]


REFUSALS = [(Verb.REFUSED, 1), (Verb.UNKNOWN, 1), (Verb.INVALID, 2)]


@pytest.mark.parametrize(("verb", "code"), REFUSALS)
@pytest.mark.parametrize("words", [words for words, _ in WORDS], ids=" ".join)
async def test_a_refusal_is_one_line_and_an_exit_code(
    world: World, cli: Cli, words: tuple[str, ...], verb: Verb, code: int
) -> None:
    world.control.answers = [Answer(verb=verb, text="it cannot be")]
    result = await cli(*words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith("orch: it cannot be")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [words for words, _ in WORDS], ids=" ".join)
def test_without_a_daemon_one_line_says_how_to_start_one(words: tuple[str, ...]) -> None:
    result = Cli(nobody).run(*words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "orch: no daemon runs here: start one with 'orch serve'\n"


USAGE = [
    (("send-back", "SHOP-1", "review"), "--reason"),
    (("send-back", "SHOP-1", "done", "--reason", "x"), "'done' is no stage to go back to; there are: analysis"),
    (("send-back", "SHOP-1"), "STAGE"),
    (("fix",), "ID"),
    (("revert",), "ID"),
    (("revert", ".."), "is no id"),
    (("adopt",), "ISSUE"),
    (("adopt", ".."), "is no id"),
    (("freeze", "shop", "other"), "unexpected extra argument"),
]


@pytest.mark.parametrize(("words", "text"), USAGE, ids=[" ".join(words) for words, _ in USAGE])
def test_wrong_usage_exits_2_and_says_what_to_do(words: tuple[str, ...], text: str) -> None:
    result = Cli(nobody).run(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert text in result.stderr


@pytest.mark.parametrize("command", sorted({words[0] for words, _ in WORDS}))
def test_every_command_says_what_it_does(command: str) -> None:
    result = Cli(nobody).run(command, "--help")
    assert result.exit_code == 0
    body = [line for line in result.stdout.splitlines()[2:] if line.strip()]
    assert len(body[0].strip()) > 15
