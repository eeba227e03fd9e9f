"""The command line against a running daemon: what it prints, what it sends, and its exit codes."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from typer.testing import CliRunner, Result

from orch.adapters.http import HttpApi, connect_api
from orch.cli.api import Api
from orch.cli.app import build_cli
from orch.cli.options import CliDeps, DemoOptions, ServeOptions
from orch.config import Settings
from orch.core.doctor import Examination
from orch.core.errors import ConfigError, OrchError, TransientError
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
from orch.ports.setup import SetupDesk
from orch.web.server import write_daemon_file
from tests.integration.web_world import SHOWN, TOKEN, World, running


@dataclass
class Cli:
    """The command line with a composition root that records."""

    connect: Callable[[Path | None, str | None], Api]
    served: list[ServeOptions] = field(default_factory=list)
    demos: list[DemoOptions] = field(default_factory=list)
    fault: OrchError | None = None

    def run(self, *words: str) -> Result:
        """Run one command in this thread."""
        deps = CliDeps(
            serve=self._serve, demo=self._demo, doctor=self._doctor, connect=self.connect, version="9.9.9", setup=self._setup
        )
        return CliRunner().invoke(build_cli(deps), list(words), env={"COLUMNS": "200", "USER": "ann", "LOGNAME": "ann"})

    async def __call__(self, *words: str) -> Result:
        """Run one command beside the daemon of this test."""
        return await anyio.to_thread.run_sync(lambda: self.run(*words))

    def _serve(self, options: ServeOptions) -> int:
        self.served.append(options)
        if self.fault is not None:
            raise self.fault
        return 0

    def _doctor(self, options: ServeOptions) -> Examination:
        self.served.append(options)
        return Examination(findings=())

    def _setup(self, settings: Settings) -> SetupDesk:
        raise AssertionError("no service is asked here")

    def _demo(self, options: DemoOptions) -> int:
        self.demos.append(options)
        return 1 if options.keep else 0


def nobody(data_dir: Path | None, url: str | None) -> Api:
    raise TransientError("orch", "connect", "no daemon runs here: start one with 'orch serve'")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path) as made:
        write_daemon_file(tmp_path, made.url)
        (tmp_path / "token").write_text(TOKEN + "\n")
        yield made


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(lambda data_dir, url: connect_api(data_dir or tmp_path, url))


async def test_status_is_a_table_with_tokens_cost_and_what_is_waited_for(world: World, cli: Cli) -> None:
    result = await cli("status")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split()[:5] == ["ID", "Title", "Project", "Stage", "Status"]
    row = next(line for line in lines if line.startswith("SHOP-1"))
    for cell in ("Add a basket", "analysis", "in_review", "11.3k", "500", "$0.25"):
        assert cell in row
    assert "orch approve SHOP-1" in result.stdout
    assert "2 tasks; tokens 11.3k in (10.0k of them cached), 500 out; $0.25 in all" in result.stdout
    assert "Cards without a task" in result.stdout
    assert "\x1b" not in result.stdout


async def test_status_json_has_the_fields_that_scripts_use(world: World, cli: Cli) -> None:
    result = await cli("status", "--json")
    task = json.loads(result.stdout)["tasks"][0]
    fields = {"id", "title", "project", "stage", "status", "parked", "waiting", "runs", "cost_usd", "branch", "sha"}
    assert fields <= task.keys()


READS = [
    (("why", "SHOP-2"), "orch resume SHOP-2", "why"),
    (("board", "list"), "Fix the till", "issues"),
    (("board", "list", "--project", "shop"), "Fix the till", "issues"),
    (("board", "show", "shop-3"), "Ann, 2026-05-04T12:00:00+00:00:\nSoon!", "comments"),
    (("deps", "list"), "SHOP-3  SHOP-2     open", "deps"),
]


@pytest.mark.parametrize(("words", "text", "key"), READS, ids=[" ".join(words) for words, _, _ in READS])
async def test_reading_commands_print_for_people_and_as_json(
    world: World, cli: Cli, words: tuple[str, ...], text: str, key: str
) -> None:
    shown, as_json = await cli(*words), await cli(*words, "--json")
    assert (shown.exit_code, as_json.exit_code) == (0, 0)
    assert text in shown.stdout
    assert key in json.loads(as_json.stdout)


def decided(decision: Decision, **more: Any) -> DecideTask:
    return DecideTask(task="SHOP-1", decision=decision, by="api:ann", **more)


ACTS = [
    (("approve", "SHOP-1"), decided(Decision.APPROVE, shown=SHOWN)),
    (("approve", "SHOP-1", "--shown", "b" * 40), decided(Decision.APPROVE, shown="b" * 40)),
    (("reject", "SHOP-1", "--reason", "too big"), decided(Decision.REJECT, shown=SHOWN, reason="too big")),
    (("confirm-deploy", "SHOP-1"), decided(Decision.CONFIRM_DEPLOY, shown=SHOWN)),
    (("stop", "SHOP-1"), decided(Decision.STOP)),
    (("resume", "SHOP-1"), decided(Decision.RESUME)),
    (("board", "move", "SHOP-3", "to_analyse"), MoveIssue(issue="SHOP-3", status="to_analyse", by="api:ann")),
    (("board", "archive", "SHOP-3"), ArchiveIssue(issue="SHOP-3", by="api:ann")),
    (("board", "archive", "SHOP-3", "--restore"), ArchiveIssue(issue="SHOP-3", archived=False, by="api:ann")),
    (("board", "comment", "SHOP-3", "Soon?"), CommentIssue(issue="SHOP-3", text="Soon?", by="api:ann")),
    (("deps", "add", "SHOP-3", "--on", "SHOP-1"), AddDependency(issue="SHOP-3", on="SHOP-1", by="api:ann")),
    (("deps", "remove", "SHOP-3", "--on", "SHOP-2"), RemoveDependency(issue="SHOP-3", on="SHOP-2", by="api:ann")),
]


@pytest.mark.parametrize(("words", "command"), ACTS, ids=[" ".join(words) for words, _ in ACTS])
async def test_acting_commands_say_what_became_of_them(world: World, cli: Cli, words: tuple[str, ...], command: Any) -> None:
    result = await cli(*words)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "So be it.\n", "")
    assert world.control.asked == [command]


async def test_board_add_prints_the_issue_with_its_id(world: World, cli: Cli) -> None:
    plain = await cli("board", "add", "A new card", "--body", "What it is about")
    as_json = await cli("board", "add", "Another", "--status", "to_analyse", "--project", "shop", "--json")
    assert plain.stdout == "SHOP-4 is on the board.\n"
    assert json.loads(as_json.stdout)["id"] == "SHOP-5"
    assert world.control.asked == [
        CreateIssue(title="A new card", body="What it is about", by="api:ann"),
        CreateIssue(title="Another", body="", by="api:ann", project="shop", status="to_analyse"),
    ]


async def test_link_prints_a_link_that_opens_the_page(world: World, cli: Cli) -> None:
    url = (await cli("link")).stdout.strip()
    async with world.client(token=False) as client:
        assert (await client.get(url.removeprefix(world.url))).status_code == 200


REFUSALS = [
    (Answer(verb=Verb.REFUSED, text="SHOP-1 is not in review."), 1),
    (Answer(verb=Verb.UNKNOWN, text="no task is called 'SHOP-1'"), 1),
    (Answer(verb=Verb.INVALID, text="no such column"), 2),
    (TransientError("desk", "ask", "too slow"), 1),
]


@pytest.mark.parametrize(("answer", "code"), REFUSALS)
async def test_a_refusal_is_one_line_and_an_exit_code(world: World, cli: Cli, answer: Any, code: int) -> None:
    world.control.answers = [answer]
    result = await cli("stop", "SHOP-1")
    assert (result.exit_code, result.stdout) == (code, "")
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("orch: ")


async def test_a_task_that_does_not_exist_is_said(world: World, cli: Cli) -> None:
    for words in (("approve", "SHOP-99"), ("why", "SHOP-99"), ("why", "%2e%2e")):
        result = await cli(*words)
        assert result.exit_code == 1
        assert result.stderr.startswith("orch: There is no task ")
    assert world.control.asked == []


async def test_hostile_text_cannot_steer_the_terminal(world: World, cli: Cli) -> None:
    world.control.answers = [
        Answer(verb=Verb.REFUSED, text="\x1b]0;owned\x07\x1b[2Jgone\r\nforged"),
        Answer(verb=Verb.DONE, text="\x9b2J‮ok"),
    ]
    refused, done = await cli("stop", "SHOP-1"), await cli("stop", "SHOP-1")
    assert refused.stderr == "orch: gone forged\n"
    assert done.stdout == "2Jok\n"


NEEDS_DAEMON = [
    ("status",),
    ("status", "--json"),
    ("why", "X-1"),
    ("approve", "X-1"),
    ("reject", "X-1", "--reason", "r"),
    ("confirm-deploy", "X-1"),
    ("stop", "X-1"),
    ("resume", "X-1"),
    ("link",),
    ("watch",),
    ("watch", "--once"),
    ("board", "add", "t"),
    ("board", "move", "X-1", "done"),
    ("board", "comment", "X-1", "t"),
    ("board", "list"),
    ("board", "show", "X-1"),
    ("deps", "add", "X-1", "--on", "X-2"),
    ("deps", "remove", "X-1", "--on", "X-2"),
    ("deps", "list"),
]


@pytest.mark.parametrize("words", [words for words in NEEDS_DAEMON if words != ("watch",)], ids=" ".join)
def test_without_a_daemon_one_line_says_how_to_start_one(words: tuple[str, ...]) -> None:
    result = Cli(nobody).run(*words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "orch: no daemon runs here: start one with 'orch serve'\n"


@pytest.mark.parametrize("words", [*NEEDS_DAEMON, ("demo",), ("serve",), ("board",), ("deps",), ()], ids=" ".join)
def test_every_command_is_documented(words: tuple[str, ...]) -> None:
    path = [word for word in words[:2] if word.replace("-", "").islower()] if words[:1] in [("board",), ("deps",)] else words[:1]
    result = Cli(nobody).run(*path, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.stdout
    body = [line for line in result.stdout.splitlines()[2:] if line.strip()]
    assert len(body[0].strip()) > 15


def test_version() -> None:
    assert Cli(nobody).run("--version").stdout == "orch 9.9.9\n"


# ------------------------------------------------------------------------------------------------ finding the daemon


def test_a_data_directory_without_a_daemon_says_so(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match=r"no daemon runs with the data directory .*: start one with 'orch serve"):
        connect_api(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"url": 1}'])
def test_a_broken_daemon_file_counts_as_no_daemon(tmp_path: Path, content: str) -> None:
    (tmp_path / "daemon.json").write_text(content)
    with pytest.raises(TransientError, match="no daemon runs"):
        connect_api(tmp_path)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "127.0.0.1:80", "http://", "ftp://x"])
def test_an_address_that_is_none_is_a_usage_error(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="is no address of a daemon"):
        connect_api(tmp_path, url)


def test_a_daemon_that_is_gone_says_how_to_start_one(tmp_path: Path) -> None:
    write_daemon_file(tmp_path, "http://127.0.0.1:9")
    with pytest.raises(TransientError, match=r"no daemon answers at http://127\.0\.0\.1:9: start one"):
        connect_api(tmp_path).get("/tasks")


def test_the_configured_token_goes_only_to_an_address_that_a_person_named(tmp_path: Path) -> None:
    write_daemon_file(tmp_path, "http://127.0.0.1:9")
    (tmp_path / "token").write_text("of-the-directory")
    found = connect_api(tmp_path, admin_token="configured")
    named = connect_api(tmp_path, "http://h", admin_token="configured")
    assert (found.token, named.token) == ("of-the-directory", "configured")


async def test_a_wrong_token_is_said(world: World) -> None:
    cli = Cli(lambda data_dir, url: HttpApi(world.url, "wrong"))
    result = await cli("stop", "SHOP-1")
    assert result.exit_code == 1
    assert "A token is needed" in result.stderr


# ------------------------------------------------------------------------------------------------ serve and demo


def test_serve_hands_its_options_over_as_values() -> None:
    cli = Cli(nobody)
    words = "serve --repo R --setup true --agent command --name n --prefix P --port 0 --host h --data-dir d --default-branch m"
    result = cli.run(*words.split(), "--test", "make 'all tests'", "--agent-command", "my agent", "--land-style", "squash")
    assert result.exit_code == 0
    assert cli.served == [
        ServeOptions(
            repo=Path("R"),
            test_command=("make", "all tests"),
            setup_command=("true",),
            agent="command",
            agent_command=("my", "agent"),
            name="n",
            prefix="P",
            port=0,
            host="h",
            data_dir=Path("d"),
            default_branch="m",
            land_style="squash",
        )
    ]


USAGE = [
    (("serve", "--repo", "R", "--test", ""), "--test is empty; pass a command"),
    (("serve", "--repo", "R", "--test", "  "), "--test is empty; pass a command"),
    (("serve", "--repo", "R", "--test", "a 'b"), "close the quotation"),
    (("serve", "--repo", "R"), "--repo needs --test CMD"),
    (("serve", "--test", "make"), "--test needs --repo PATH"),
    (("serve", "--repo", "R", "--config", "F"), "exclude each other"),
    (("serve", "--repo", "R", "--test", "t", "--agent", "command"), "--agent command needs --agent-command CMD"),
    (("serve", "--repo", "R", "--test", "t", "--agent", "claude", "--agent-command", "x"), "leave one of them out"),
    (("serve", "--repo", "R", "--test", "t", "--agent", "nobody"), "--agent"),
    (("serve", "--port", "many"), "--port"),
    (("nonsense",), "nonsense"),
    (("reject", "X-1"), "--reason"),
]


@pytest.mark.parametrize(("words", "text"), USAGE, ids=[" ".join(words) for words, _ in USAGE])
def test_wrong_usage_exits_2_and_says_what_to_do(words: tuple[str, ...], text: str) -> None:
    cli = Cli(nobody)
    result = cli.run(*words)
    assert (result.exit_code, result.stdout, cli.served) == (2, "", [])
    assert text in result.stderr
    assert "Traceback" not in result.stderr


def test_a_configuration_error_is_one_line_and_exits_2() -> None:
    cli = Cli(nobody, fault=ConfigError("port 80 is taken by another program:\nchoose another"))
    result = cli.run("serve", "--config", "F")
    assert (result.exit_code, result.stderr) == (2, "orch: port 80 is taken by another program: choose another\n")


def test_demo_hands_its_options_over_and_its_exit_code_back() -> None:
    cli = Cli(nobody)
    results = [cli.run("demo", "--json", "--serve", "--port", "0"), cli.run("demo", "--keep", "K")]
    assert [result.exit_code for result in results] == [0, 1]
    assert cli.demos == [DemoOptions(json=True, serve=True, port=0), DemoOptions(keep=Path("K"))]
