"""The first hour on a Plane and a Gitea: what `orch init` makes there, what it leaves alone, and how it goes on after a fault."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from orch.adapters.setup import Setup
from orch.cli.answers import Nobody
from orch.cli.first_hour import FirstHour, FirstHourDeps, Report
from orch.cli.options import InitOptions, ServeOptions
from orch.config import read_file
from orch.core.doctor import Examination
from orch.core.errors import ConfigError
from orch.core.first_hour import NEEDED, Extent, Outcome
from orch.core.render import render_step
from orch.core.statuses import DEFAULT_NAMES, Status
from orch.rehearsal.gitea import BOT, FakeGitea
from orch.rehearsal.gitea import Refused as GiteaRefused
from orch.rehearsal.gitea.state import Protection
from orch.rehearsal.plane import FakePlane
from orch.rehearsal.plane.access import forbidden, went_wrong
from orch.rehearsal.plane.state import FRESH
from tests.fakes.gitea_schema import Swagger
from tests.fakes.plane_schema import OpenApi

SCHEMAS = Path(os.environ.get("ORCH_TEST_SCHEMAS") or Path(__file__).resolve().parents[2].parent / "shared" / "schemas")
PUBLIC = "https://orch.example.org"
HOOK = f"{PUBLIC}/webhook/gitea"
EVENTS = ("push", "create", "delete", "pull_request", "status")
MAKEFILE = "test:\n\tsh check.sh\n"
SECRET = "a secret for the hooks of Gitea"


@dataclass
class Place:
    """Both services, a folder for the file, and an environment with every secret."""

    folder: Path
    plane: FakePlane
    gitea: FakeGitea
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.folder / "orch.toml"

    def options(self, **changed: Any) -> InitOptions:
        options = InitOptions(
            config=self.file,
            board="plane",
            forge="gitea",
            repo="team/shop",
            plane_url=self.plane.url,
            plane_workspace="acme",
            gitea_url=self.gitea.url,
            public_url=PUBLIC,
            columns=Extent.NEEDED,
            protect=True,
        )
        return replace(options, **changed)

    async def init(self, **changed: Any) -> Report:
        deps = FirstHourDeps(setup=Setup, doctor=_sound, environ=self.environ)
        return await FirstHour(self.options(**changed), Nobody(), deps).run()

    def columns(self) -> dict[str, str]:
        return {column.name: column.group for column in self.plane.project.columns.values()}

    def hooks(self) -> list[tuple[str, str, tuple[str, ...], bool]]:
        return [(hook.url, hook.secret, hook.events, hook.active) for hook in self.gitea.hooks.targets]

    def state(self) -> tuple[Any, ...]:
        """Return all that the first hour makes."""
        repo = self.gitea.repo
        marking = (repo.allow_manual_merge, repo.autodetect_manual_merge)
        entries = read_file(self.file)["projects"] if self.file.exists() else None
        return self.columns(), self.hooks(), repo.protections, marking, entries


def _sound(_: ServeOptions) -> Examination:
    return Examination(findings=())


def outcomes(report: Report) -> dict[str, str]:
    return {step.name: step.outcome.value for step in report.steps}


def said(report: Report, name: str) -> str:
    return " → ".join(" → ".join(render_step(step, "en")) for step in report.steps if step.name == name)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with FakePlane(columns=FRESH, rate=1_000_000) as plane, FakeGitea(tmp_path / "gitea") as gitea:
        gitea.repo.rights[BOT] = "admin"
        gitea.repo.allow_manual_merge = False
        gitea.person.push("main", {"Makefile": MAKEFILE, "check.sh": "true\n"})
        environ = {
            "ORCH_PLANE_TOKEN": plane.key,
            "ORCH_PLANE_WEBHOOK_SECRET": "plane_wh_" + "0f" * 16,
            "ORCH_PLANE_CALLS_PER_MIN": "60000",
            "ORCH_GITEA_TOKEN": gitea.token,
            "ORCH_GITEA_WEBHOOK_SECRET": SECRET,
        }
        yield Place(tmp_path, plane, gitea, environ)
        plane.faults.assert_used()
        gitea.faults.assert_used()


# ------------------------------------------------------------------------------------------------ all of it


async def test_from_nothing_to_a_project_that_can_be_served(place: Place) -> None:
    report = await place.init()
    assert report.well, [render_step(step, "en") for step in report.steps]
    [entry] = read_file(place.file)["projects"]
    assert entry == {
        "name": "shop",
        "prefix": "SHOP",
        "board": "plane",
        "board_project": place.plane.project.id,
        "forge": "gitea",
        "repo": "team/shop",
        "default_branch": "main",
        "test_command": ["make", "test"],
        "ci": "local",
    }
    needed = {DEFAULT_NAMES[status]: "completed" if status is Status.DONE else "started" for status in NEEDED}
    assert place.columns() == {**FRESH, **needed}
    assert place.hooks() == [(HOOK, SECRET, EVENTS, True)]
    assert place.gitea.repo.protections == {"main": Protection("main", enable_push=True, push_whitelist=(BOT,))}
    assert place.gitea.repo.allow_manual_merge
    assert f"{PUBLIC}/webhook/plane" in said(report, "plane_hook")


async def test_a_second_time_finds_everything_and_changes_nothing(place: Place) -> None:
    await place.init()
    before, text, log = place.state(), place.file.read_text(), list(place.plane.log)
    report = await place.init()
    assert report.well
    assert set(outcomes(report).values()) == {"already", "done"}
    assert [step.name for step in report.steps if step.outcome is Outcome.DONE] == ["doctor"]
    assert (place.state(), place.file.read_text(), place.plane.log) == (before, text, log)


async def test_no_secret_is_ever_written_or_said(place: Place) -> None:
    report = await place.init()
    told = place.file.read_text() + "".join(" ".join(render_step(step, "ru")) for step in report.steps)
    assert [name for name, value in place.environ.items() if name.endswith(("TOKEN", "SECRET")) and value in told] == []


async def test_a_column_for_every_step_is_made_where_that_is_asked_for(place: Place) -> None:
    await place.init(columns=Extent.ALL)
    names = list(place.columns())
    assert set(names) == {*FRESH, *DEFAULT_NAMES.values()}
    made = [name for name in names if name not in FRESH]
    assert made == [name for name in DEFAULT_NAMES.values() if name in made], "in the order of the line"


async def test_what_people_made_is_found_by_its_name_and_kept(place: Place) -> None:
    place.plane.state.add_column(place.plane.project, " in review ", "unstarted")
    await place.init()
    assert place.columns()[" in review "] == "unstarted"
    assert "In Review" not in place.columns()


@pytest.mark.skipif(not SCHEMAS.is_dir(), reason="no published descriptions of the APIs (ORCH_TEST_SCHEMAS)")
async def test_calls_and_answers_are_as_published(place: Place) -> None:
    await place.init()
    place.gitea.repo.protections["main"] = Protection("main")
    await place.init(columns=Extent.ALL)
    swagger, described = Swagger(SCHEMAS / "gitea-swagger-2025-10.json"), OpenApi(SCHEMAS / "plane-openapi-1.3.yaml")
    faults = {
        fault
        for each in place.gitea.exchanges
        if each.status < 300
        for fault in swagger.faults(
            each.method,
            each.route.removeprefix("/api/v1").replace("<path:path>", "{filepath}"),
            each.sent,
            each.status,
            each.answer,
        )
    }
    assert faults == set()
    assert {"GET", "POST", "PATCH"} == {each.method for each in place.gitea.exchanges if "branch_protections" in each.route}
    for sent in place.plane.exchanges:
        assert described.faults(sent.method, sent.route, sent.status, sent.answer, partial=sent.partial) == []


# ------------------------------------------------------------------------------------------------ cut off


PLANE_CALLS = ["projects.list", "users.me", "states.list", "states.post"]
GITEA_CALLS = [
    "repo.get",
    "contents.get",
    "user.get",
    "branches.delete",
    "comments.edit",
    "repo.edit",
    "protections.list",
    "protections.create",
    "hooks.list",
    "hooks.create",
]


CASES = [(call, lost) for call in (*PLANE_CALLS, *GITEA_CALLS) for lost in (False, True)]
CASES.remove(("comments.edit", True))  # it has no good answer to lose: there is no such comment


@pytest.mark.parametrize(("call", "lost"), CASES, ids=[f"{call} {'lost' if lost else 'refused'}" for call, lost in CASES])
async def test_a_fault_at_any_call_says_what_is_missing_and_the_next_time_completes_it(
    place: Place, tmp_path: Path, call: str, lost: bool
) -> None:
    faults = place.plane.faults if call in PLANE_CALLS else place.gitea.faults
    error = went_wrong() if call in PLANE_CALLS else GiteaRefused(500, {"message": "", "url": ""})
    if lost:
        faults.fail_after(call, error)
    else:
        faults.fail_next(call, error)
    first = await place.init()
    assert not first.well
    assert any(step.outcome is Outcome.FAILED for step in first.steps)
    assert "HTTP 500" in "".join(said(first, step.name) for step in first.steps)
    second = await place.init()
    assert second.well, [render_step(step, "en") for step in second.steps]
    interrupted = place.state()
    async with FakePlane(columns=FRESH, rate=1_000_000) as plane, FakeGitea(tmp_path / "other") as gitea:
        gitea.repo.rights[BOT] = "admin"
        gitea.person.push("main", {"Makefile": MAKEFILE})
        other = Place(tmp_path / "other", plane, gitea, place.environ | {"ORCH_GITEA_TOKEN": gitea.token})
        await other.init()
        assert interrupted == other.state(), "as if nothing had happened"


async def test_half_of_the_columns_are_named_and_the_rest_follows(place: Place) -> None:
    async with anyio.create_task_group() as group:
        gate = place.plane.faults.hold_next("states.post")

        async def let_one_through() -> None:
            await gate.reached.wait()
            place.plane.faults.fail_next("states.post", went_wrong())
            gate.open()

        group.start_soon(let_one_through)
        report = await place.init()
    assert "Created: Needs Input. Not created: In Review, Approved" in said(report, "columns")
    assert outcomes(report)["hook"] == "done", "the forge's steps do not wait for the board's"
    report = await place.init()
    assert "Created on the board: In Review, Approved" in said(report, "columns")


async def test_plane_away_leaves_no_entry_and_gitea_as_it_was(place: Place) -> None:
    await place.plane.go_down()
    report = await place.init()
    assert outcomes(report) == {"config": "failed"}
    assert not place.file.exists()
    assert place.hooks() == []
    await place.plane.come_back()
    assert (await place.init()).well


# ------------------------------------------------------------------------------------------------ rights


async def test_a_bot_that_does_not_administer_the_repository_leaves_its_settings_to_people(place: Place) -> None:
    place.gitea.repo.rights[BOT] = "write"
    before = place.state()[1:4]
    report = await place.init()
    assert report.well
    told = outcomes(report)
    assert (told["marking"], told["protection"], told["hook"]) == ("manual", "manual", "manual")
    assert HOOK in said(report, "hook")
    assert "application/json" in said(report, "hook")
    assert SECRET not in said(report, "hook")
    assert place.state()[1:4] == before


@pytest.mark.parametrize("missing", ["write:repository", "write:issue", "read:user"])
async def test_a_token_without_a_scope_is_told_which_one(place: Place, missing: str) -> None:
    scopes = {"write:repository", "write:issue", "read:user"} - {missing} | {"read:repository", "read:issue"}
    place.environ["ORCH_GITEA_TOKEN"] = place.gitea.make_token(BOT, tuple(scopes))
    before = place.state()[1:4]
    report = await place.init()
    assert outcomes(report)["token"] == "failed"
    assert missing in said(report, "token")
    assert place.state()[1:4] == before


async def test_a_user_who_is_no_member_of_the_project_is_told_what_it_sees(place: Place) -> None:
    report = await place.init(board_project="5151c2dc-01ed-4492-9741-0500b597661d")
    assert outcomes(report)["board"] == "failed"
    assert f"Shop ({place.plane.project.id})" in said(report, "board")
    assert place.columns() == FRESH


async def test_a_guest_on_plane_is_told_to_become_a_member(place: Place) -> None:
    place.plane.faults.fail_next("states.post", forbidden())
    report = await place.init()
    assert "role Member" in said(report, "columns")


@pytest.mark.parametrize("name", ["ORCH_PLANE_TOKEN", "ORCH_GITEA_WEBHOOK_SECRET"])
async def test_a_secret_that_is_not_there_is_named_and_everything_else_goes_on(place: Place, name: str) -> None:
    await place.init()
    del place.environ[name]
    report = await place.init()
    assert name in said(report, "secrets")
    assert outcomes(report)["marking"] == "already"


# ------------------------------------------------------------------------------------------------ protection and hook


async def test_a_hook_that_is_there_is_mended_and_not_doubled(place: Place) -> None:
    place.gitea.add_hook("https://other.example/hook", "theirs", ("push",))
    place.gitea.add_hook(HOOK, "an old secret", ("push",))
    place.gitea.hooks.targets[-1].active = False
    report = await place.init()
    assert outcomes(report)["hook"] == "already"
    assert place.hooks() == [("https://other.example/hook", "theirs", ("push",), True), (HOOK, SECRET, EVENTS, True)]


async def test_a_server_that_does_not_know_an_event_is_told_of(tmp_path: Path, place: Place) -> None:
    place.gitea.old = place.gitea.answers.old = True
    report = await place.init()
    assert report.well
    assert "status" in said(report, "hook")


async def test_a_protection_that_is_there_gets_the_bot_and_nothing_else(place: Place) -> None:
    rule = Protection("main", enable_push=True, push_whitelist=("anna",), merge_whitelist=("anna",))
    place.gitea.repo.protections["main"] = rule
    assert (await place.init()).well
    assert place.gitea.repo.protections == {
        "main": Protection("main", enable_push=True, push_whitelist=("anna", BOT), merge_whitelist=("anna", BOT))
    }


async def test_what_of_a_protection_refuses_landings_is_named_and_left_to_people(place: Place) -> None:
    rule = Protection("main", enable_push=True, protected_file_patterns="*.lock", require_signed_commits=True)
    place.gitea.repo.protections["main"] = replace(rule)
    report = await place.init()
    assert "*.lock" in said(report, "protection")
    assert "require_signed_commits" in said(report, "protection")
    assert place.gitea.repo.protections["main"] == rule


async def test_a_rule_for_several_branches_is_not_ours_to_change(place: Place) -> None:
    place.gitea.repo.protections["ma*"] = Protection("ma*", enable_push=True)
    await place.init()
    assert list(place.gitea.repo.protections) == ["ma*"]


async def test_no_protection_and_no_columns_where_that_was_said(place: Place) -> None:
    report = await place.init(protect=False, columns=Extent.NONE)
    assert (outcomes(report)["protection"], outcomes(report)["columns"]) == ("skipped", "skipped")
    assert (place.gitea.repo.protections, place.columns()) == ({}, FRESH)


# -------------------------------------------------------------------------------------------- the file, names from outside


async def test_an_entry_that_is_there_decides_and_is_never_changed(place: Place) -> None:
    text = f"""# ours
[[projects]]
name = "shop"            # as everybody calls it
prefix = "OLD"
board = "plane"
board_project = "{place.plane.project.id}"
forge = "gitea"
repo = "team/shop"
test_command = ["sh", "check.sh"]
statuses = {{ stop = "Halt" }}
"""
    place.file.write_text(text)
    report = await place.init(prefix="NEW", name="shop", test_command=("make",))
    added = ("plane_url", "plane_workspace", "gitea_url", "public_url", "")
    assert [line for line in place.file.read_text().splitlines() if line.split(" ")[0] not in added] == text.splitlines()
    assert "prefix" in said(report, "config")
    assert "test_command" in said(report, "config")
    assert "Halt" in place.columns()
    assert "STOP" not in place.columns()


async def test_another_projects_name_or_card_board_is_not_taken_twice(place: Place) -> None:
    await place.init()
    text = place.file.read_text()
    place.gitea.add_repo("team/till").rights[BOT] = "admin"
    with pytest.raises(ConfigError, match="already that of"):
        await place.init(repo="team/till", test_command=("true",))
    assert place.file.read_text() == text


async def test_hostile_names_are_data(place: Place) -> None:
    place.plane.project.name = "Shop\x1b[31m\n\u202e[red]{0}%s" + "x" * 500
    place.gitea.person.push("main", {"Makefile": "test:\n" + "\x00\x1b]0;pwned\x07" * 10, "package.json": '{"scripts": 1}'})
    report = await place.init()
    assert report.well
    shown = "".join(" ".join(render_step(step, "en")) for step in report.steps)
    assert "\x1b" not in shown
    assert "\u202e" not in shown


async def test_a_repository_without_a_test_command_is_entered_and_said_to_lack_one(place: Place) -> None:
    place.gitea.person.push("main", {"Makefile": "all:\n\ttrue\n"})
    report = await place.init()
    assert "no test_command" in said(report, "config")
    assert "test_command" not in read_file(place.file)["projects"][0]
    assert not report.well


async def test_where_nobody_is_asked_a_choice_among_several_projects_names_them(place: Place) -> None:
    place.plane.state.add_project("Till", "TILL", FRESH)
    with pytest.raises(ConfigError, match="--board-project") as told:
        await place.init()
    assert "Till" in str(told.value)


# ------------------------------------------------------------------------------------------------ on this machine


@pytest.mark.parametrize("bare", [False, True], ids=["work tree", "bare"])
async def test_a_repository_on_this_machine_is_looked_at_in_its_commits(place: Place, bare: bool) -> None:
    made = place.folder / "till"
    _repository(made, {"Makefile": MAKEFILE})
    (made / "Makefile").write_text("nothing: here\n")
    if bare:
        made = (made / ".git").rename(place.folder / "till.git")
    local = InitOptions(config=place.file, repo=str(made), forge="local", board="local")
    report = await FirstHour(local, Nobody(), FirstHourDeps(setup=Setup, doctor=_sound, environ={})).run()
    assert outcomes(report) == {"config": "done", "doctor": "done"}
    [entry] = read_file(place.file)["projects"]
    assert (entry["name"], entry["prefix"], entry["repo"]) == ("till", "TILL", str(made))
    assert (entry["default_branch"], entry["test_command"]) == ("trunk", ["make", "test"])


async def test_a_link_out_of_a_repository_is_not_followed(place: Place) -> None:
    (place.folder / "elsewhere").write_text(MAKEFILE)
    made = place.folder / "till"
    _repository(made, {"README": "x"}, links={"Makefile": "../elsewhere"})
    local = InitOptions(config=place.file, repo=str(made), forge="local", board="local")
    report = await FirstHour(local, Nobody(), FirstHourDeps(setup=Setup, doctor=_sound, environ={})).run()
    assert "no test_command" in said(report, "config")


def _repository(path: Path, files: dict[str, str], links: dict[str, str] | None = None) -> None:
    path.mkdir()
    for name, text in files.items():
        (path / name).write_text(text)
    for name, target in (links or {}).items():
        (path / name).symlink_to(target)
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "--quiet", "--initial-branch=trunk"], ["add", "--all"], [*identity, "commit", "--quiet", "-m", "a"]):
        subprocess.run(["git", *words], cwd=path, check=True)


# ------------------------------------------------------------------------------------------------ the command


async def run(place: Place, *words: str, stdin: str = "") -> tuple[int, str, str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(place.folder), **place.environ, "COLUMNS": "200"}
    command = [sys.executable, "-m", "orch", "init", "--config", str(place.file), *words]
    ran = await anyio.run_process(command, env=environment, input=stdin.encode(), check=False, stderr=subprocess.PIPE)
    return ran.returncode, ran.stdout.decode(), ran.stderr.decode()


async def test_the_command_ends_with_a_green_doctor_and_one_object(place: Place) -> None:
    words = ["--repo", "team/shop", "--forge", "gitea", "--gitea-url", place.gitea.url, "--plane-url", place.plane.url]
    words += ["--plane-workspace", "acme", "--public-url", PUBLIC, "--agent-command", "true"]
    code, out, err = await run(place, *words, "--yes", "--json")
    told = json.loads(out)
    assert (code, told["ok"], told["project"]) == (0, True, "shop"), (told, err)
    assert {finding["level"] for finding in told["findings"]} <= {"ok", "warning"}
    assert {step["step"] for step in told["steps"]} >= {"config", "board", "columns", "token", "hook", "plane_hook", "doctor"}
    assert (await run(place, "--json"))[0] == 2, "an answer that programs read has no questions in it"


async def test_a_person_is_asked_and_chooses_from_the_projects_of_the_workspace(place: Place) -> None:
    place.plane.state.add_project("Till", "TILL", FRESH)
    answers = [
        "gitea",
        "plane",
        place.plane.url,
        "acme",
        place.gitea.url,
        PUBLIC,
        "team/shop",
        "",
        "9",
        "1",
        "",
        "",
        "",
        "y",
        "n",
        "y",
    ]
    code, out, err = await run(place, "--agent-command", "true", stdin="\n".join(answers) + "\n")
    assert code == 0, (out, err)
    assert f"1  Shop (SHOP) {place.plane.project.id}" in err
    assert "Makefile suggests it" in err
    assert read_file(place.file)["projects"][0]["test_command"] == ["make", "test"]
    assert "orch serve --config" in out
