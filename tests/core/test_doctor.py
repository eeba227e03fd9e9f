"""What `orch doctor` makes of facts: levels, and words in both languages."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from orch.core.doctor import (
    ChatFacts,
    Check,
    DataDir,
    Examination,
    Finding,
    Level,
    LocalRepository,
    judge_agents,
    judge_budgets,
    judge_chat,
    judge_commands,
    judge_configuration,
    judge_data_dir,
    judge_deploy,
    judge_landing,
    judge_prompts,
    judge_rebase,
    judge_repository,
    judge_room,
    judge_sandbox,
    judge_user,
    judge_versions,
    parse_version,
)
from orch.core.ids import ProjectName
from orch.core.model import DeploySettings, Limits, MonitorSettings, RoleSettings
from orch.core.render import render_diagnosis
from orch.core.render.catalogue import CATALOGUES
from orch.core.room import Free
from orch.core.stages import Role
from tests.builders import make_project

PROJECT = make_project()
UNMETERED = make_project(roles={Role.TESTER: RoleSettings(agent="command", command=("x",))})
PLACE = LocalRepository(path="/srv/shop", tip="a" * 40)
OK, WARNING, FAULT = Level.OK, Level.WARNING, Level.FAULT

Case = tuple[Callable[..., Sequence[Finding]], tuple[Any, ...], dict[str, Any], list[tuple[Level, str]]]
CASES: list[Case] = [
    (judge_configuration, ([ProjectName("a")], [], {}), {}, [(OK, "configuration")]),
    (
        judge_configuration,
        ([], ["odd"], {ProjectName("b"): "no test_command"}),
        {},
        [(OK, "configuration"), (WARNING, "configuration.warning"), (FAULT, "configuration.refused")],
    ),
    (judge_versions, ("3.11.7", "git version 2.39.0"), {}, [(OK, "versions")]),
    (judge_versions, ("3.11.7", "git version 2.37.9"), {}, [(FAULT, "versions.old_git")]),
    (judge_versions, ("3.11.7", None), {}, [(FAULT, "versions.no_git")]),
    (judge_user, (), {"is_root": True, "name": "root"}, [(WARNING, "user.root")]),
    (judge_user, (), {"is_root": False, "name": "orch"}, [(OK, "user")]),
    (judge_data_dir, (DataDir(path="d"),), {}, [(OK, "data")]),
    (judge_data_dir, (DataDir(path="d", exists=False),), {}, [(OK, "data.new")]),
    (judge_data_dir, (DataDir(path="d", holder="17"),), {}, [(OK, "data.held")]),
    (judge_data_dir, (DataDir(path="d", trouble="Permission denied"),), {}, [(FAULT, "data.trouble")]),
    (judge_data_dir, (DataDir(path="d", open_to_others=True),), {}, [(WARNING, "data.open")]),
    (judge_data_dir, (DataDir(path="d", token_open=True, holder="17"),), {}, [(FAULT, "data.token"), (OK, "data.held")]),
    (judge_room, (Free(disk_mb=500, memory_mb=900), Limits()), {}, [(OK, "room")]),
    (judge_room, (Free(), Limits()), {}, [(OK, "room")]),
    (judge_room, (Free(disk_mb=1, memory_mb=1), Limits()), {}, [(FAULT, "room.disk"), (FAULT, "room.memory")]),
    (judge_sandbox, ("auto", None, [], []), {}, [(OK, "sandbox")]),
    (judge_sandbox, ("require", None, [], []), {}, [(OK, "sandbox")]),
    (judge_sandbox, ("off", None, ["/x"], ["/y"]), {}, [(WARNING, "sandbox.off")]),
    (judge_sandbox, ("auto", "not installed", [], []), {}, [(WARNING, "sandbox.missing")]),
    (judge_sandbox, ("require", "not installed", [], []), {}, [(FAULT, "sandbox.required")]),
    (
        judge_sandbox,
        ("auto", None, ["/x"], ["/y"]),
        {},
        [(OK, "sandbox"), (WARNING, "sandbox.path"), (WARNING, "sandbox.absent")],
    ),
    (judge_chat, (ChatFacts(bot="@b", chat="c", users=1),), {}, [(OK, "chat")]),
    (judge_chat, (ChatFacts(bot="@b", chat="c", webhook="https://x"),), {}, [(OK, "chat"), (WARNING, "chat.nobody")]),
    (judge_chat, (ChatFacts(bot="@b", users=1, webhook="https://x"),), {}, [(OK, "chat"), (FAULT, "chat.webhook")]),
    (judge_chat, (ChatFacts(trouble="HTTP 401"),), {}, [(FAULT, "chat.trouble")]),
    (judge_chat, (ChatFacts(bot="@b", unseen="chat not found"),), {}, [(FAULT, "chat.unseen")]),
    (judge_prompts, (None,), {}, [(OK, "prompts")]),
    (judge_prompts, ("unknown variable",), {}, [(FAULT, "prompts.trouble")]),
    (judge_rebase, (), {"always": True}, []),
    (judge_rebase, (), {"always": False}, [(WARNING, "landing.no_rebase")]),
    (judge_agents, (PROJECT, {}), {}, [(OK, "agents")]),
    (judge_agents, (PROJECT, {Role.TESTER: "x", Role.ANALYST: "x"}), {}, [(FAULT, "agents.missing")]),
    (judge_agents, (PROJECT, {Role.TESTER: "x", Role.ANALYST: "y"}), {}, [(FAULT, "agents.missing")] * 2),
    (judge_budgets, (PROJECT,), {"budgeted": True}, []),
    (judge_budgets, (UNMETERED,), {"budgeted": True}, [(WARNING, "agents.unmetered")]),
    (judge_budgets, (UNMETERED,), {"budgeted": False}, []),
    (judge_commands, (PROJECT, {}), {}, [(OK, "commands")]),
    (judge_commands, (PROJECT, {"test_command": "mkae"}), {}, [(FAULT, "commands.missing")]),
    (judge_landing, (PROJECT,), {}, [(OK, "landing")]),
    (judge_landing, (make_project(merge_gate=False),), {}, [(WARNING, "landing.off")]),
    (judge_deploy, (PROJECT,), {}, [(OK, "deploy.none")]),
    (judge_deploy, (make_project(deploy=DeploySettings(command=("x",))),), {}, [(OK, "deploy")]),
    (judge_deploy, (make_project(deploy=DeploySettings(agent=True), monitor=MonitorSettings(url="u")),), {}, [(OK, "deploy")]),
    (judge_deploy, (make_project(monitor=MonitorSettings(url="u")),), {}, [(WARNING, "deploy.monitor")]),
    (judge_repository, (PROJECT, PLACE), {}, [(OK, "repository")]),
    (judge_repository, (PROJECT, LocalRepository(path="/x", checked_out=True)), {}, [(OK, "repository.checked_out")]),
    (judge_repository, (PROJECT, LocalRepository(path="/x", trouble="gone")), {}, [(FAULT, "repository.trouble")]),
    (
        judge_repository,
        (PROJECT, LocalRepository(path="/x", unwritable="denied", checked_out=True, dirty=True)),
        {},
        [(FAULT, "repository.unwritable"), (WARNING, "repository.dirty")],
    ),
]


def name_of(case: Case) -> str:
    return f"{case[0].__name__}: {', '.join(key for _, key in case[3]) or 'nothing'}"


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_facts_become_findings(case: Case) -> None:
    judge, facts, more, expected = case
    assert [(finding.level, finding.key) for finding in judge(*facts, **more)] == expected


@pytest.mark.parametrize("language", CATALOGUES)
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_every_finding_has_words_and_below_ok_a_remedy(case: Case, language: str) -> None:
    judge, facts, more, _ = case
    for finding in judge(*facts, **more):
        found, remedy = render_diagnosis(finding, language)
        assert found
        assert "{" not in found + remedy
        assert bool(remedy) == (finding.level is not OK)


def test_every_sentence_of_the_doctor_is_said_by_some_case() -> None:
    said = {finding.key for judge, facts, more, _ in CASES for finding in judge(*facts, **more)}
    known = {key.removeprefix("doctor.") for key in CATALOGUES["en"] if key.startswith("doctor.") and not key.endswith(".do")}
    of_services = {key for key in known if key.partition(".")[0] in ("board", "forge")}  # test_doctor_services
    assert known - of_services - said == {"sound", "unsound", *(f"level.{level}" for level in Level)}


def test_what_is_sound_has_no_fault() -> None:
    def found(*levels: Level) -> Examination:
        return Examination(findings=tuple(Finding(check=Check.ROOM, level=level, key="room") for level in levels))

    assert [found(*levels).sound for levels in ([], [OK, WARNING], [OK, FAULT, WARNING])] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("git version 2.39.5", (2, 39, 5)),
        ("git version 2.39.5 (Apple Git-154)", (2, 39, 5)),
        ("git version 2.50.1.windows.1", (2, 50, 1, 1)),
        ("git version 2.45.rc1", (2, 45)),
        ("nothing", ()),
    ],
)
def test_a_version_is_read_whatever_stands_around_it(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


def test_a_remedy_can_be_copied_out_and_holds_no_control_character() -> None:
    (_, finding) = judge_sandbox("auto", None, ["/home/me/.npm/@scope/bin", "/o\x1b[31mdd"], [])
    found, remedy = render_diagnosis(finding, "en")
    assert 'sandbox_read = ["/home/me/.npm/@scope/bin", ' in remedy
    assert "\x1b" not in found + remedy
