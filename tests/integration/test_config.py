"""Configuration: what a file and an environment come to, and what is said about what is wrong in them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from orch.config import (
    Loaded,
    ProjectOptions,
    Settings,
    in_repos,
    load,
    load_settings,
    open_repository,
    parse_command,
    project_from_options,
)
from orch.config.repository import name_from, prefix_from
from orch.core.errors import ConfigError
from orch.core.ids import parse_prefix, parse_project_name
from orch.core.model import CiSource, Limits, MonitorSettings, RoleSettings
from orch.core.stages import TERMINAL, Role, Stage
from orch.core.statuses import Status
from tests.builders import make_project

Load = Callable[..., Loaded]

SHOP = """
[[projects]]
name = "shop"
prefix = "SHOP"
repo = "/srv/shop"
test_command = ["make", "test"]
"""
BANK = SHOP.replace("shop", "bank").replace("SHOP", "BANK")


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    def read(text: str, environ: Mapping[str, str] | None = None) -> Loaded:
        path = tmp_path / "orch.toml"
        path.write_text(text)
        return load(path, environ or {})

    return read


# ------------------------------------------------------------------------------------------------ where values come from


def test_paths_of_the_sandbox_are_a_list_in_the_file_and_divided_by_commas_in_the_environment(loaded: Load) -> None:
    found = loaded(f'sandbox = "require"\nsandbox_read = ["/opt/x", "~/y"]\n{SHOP}sandbox_read = ["/opt/z"]\n')
    assert (found.settings.sandbox, found.settings.sandbox_read) == ("require", ("/opt/x", "~/y"))
    assert found.projects[0].sandbox_read == ("/opt/z",)
    assert load(None, {"ORCH_SANDBOX_HIDE": "/a, /b"}).settings.sandbox_hide == ("/a", "/b")
    with pytest.raises(ConfigError, match=r"sandbox_read.*not an absolute path: 'here'"):
        loaded(f"{SHOP}sandbox_read = ['here']\n")


def test_without_file_and_environment_every_default_holds() -> None:
    settings = load(None, {}).settings
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 8780, Path(".orch"))
    assert (settings.merge_gate_repos, settings.serial_gate_repos) == ("*", "")
    assert settings.budget_task_usd is None
    assert settings.grace_s.keys() == set(Stage) - TERMINAL
    assert settings.limits() == replace(Limits(), grace_s=settings.grace_s)


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(loaded: Load) -> None:
    settings = loaded("port = 9000\nqg0_title_max = 80\n", {"ORCH_PORT": "9001"}).settings
    assert (settings.port, settings.qg0_title_max, settings.qg0_title_min) == (9001, 80, 5)
    assert settings.limits().qg0_title_max == 80


GATES: list[tuple[str, set[str]]] = [
    ("", {"own"}),
    ("*", {"own", "shop"}),
    ("shop", {"shop"}),
    ("shop, own", {"own", "shop"}),
    ("x", set()),
]


@pytest.mark.parametrize(("chosen", "gated"), GATES)
def test_the_serial_gate_is_on_for_the_projects_that_are_chosen(chosen: str, gated: set[str]) -> None:
    projects = [make_project(name="shop", prefix="SHOP"), make_project(name="own", prefix="OWN", self_hosting=True)]
    assert Settings(serial_gate_repos=chosen).limits(projects).serial_gate == gated
    assert Settings(serial_gate_repos=chosen, serial_gate_enabled=False).limits(projects).serial_gate == frozenset()


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("ORCH_RECONCILE_ENABLED", "false", False),
        ("ORCH_RECONCILE_ENABLED", "0", False),
        ("ORCH_STOP_GRACE_S", "0", 0.0),
        ("ORCH_BUDGET_DAY_USD", "12.5", 12.5),
        ("ORCH_BUDGET_DAY_USD", "off", None),
        ("ORCH_MERGE_GATE_REPOS", "", ""),
        ("ORCH_SANDBOX_READ", "/opt/node, /opt/jdk", ("/opt/node", "/opt/jdk")),
        ("ORCH_TELEGRAM_ALLOWED_USERS", "12,34", ("12", "34")),
        ("ORCH_TELEGRAM_CHAT_ID", "-100200", "-100200"),
        ("ORCH_PUBLIC_URL", "https://orch.example/", "https://orch.example"),
        ("ORCH_DATA_DIR", "/var/lib/orch", Path("/var/lib/orch")),
    ],
)
def test_a_variable_sets_its_setting(variable: str, value: str, expected: object) -> None:
    telegram = {"ORCH_TELEGRAM_TOKEN": "t0ken"} if "CHAT" in variable else {}
    chat = {"ORCH_TELEGRAM_CHAT_ID": "-100200"} if telegram else {}
    found = load(None, {variable: value} | telegram | chat)
    assert getattr(found.settings, variable.removeprefix("ORCH_").lower()) == expected
    assert found.warnings == ()


def test_the_grace_of_a_stage_can_be_set_alone(loaded: Load) -> None:
    from_file = loaded('grace_s = { development = 900, "deploy-staging" = 30 }').settings.grace_s
    assert (from_file[Stage.DEVELOPMENT], from_file[Stage.DEPLOY_STAGING], from_file[Stage.REVIEW]) == (900, 30, 120)
    assert loaded("", {"ORCH_GRACE_S": "development=900, deploy-staging=30"}).settings.grace_s == from_file


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ORCH_PORT", "many"),
        ("ORCH_PORT", "70000"),
        ("ORCH_PORT", ""),
        ("ORCH_RUN_TIMEOUT_S", "nan"),
        ("ORCH_RUN_TIMEOUT_S", "-1"),
        ("ORCH_SERIAL_GATE_ENABLED", "perhaps"),
        ("ORCH_GRACE_S", "done=3"),
        ("ORCH_GRACE_S", "development"),
        ("ORCH_PLANE_URL", "plane.example"),
        ("ORCH_PLANE_URL", "https://me:hunter2@plane.example"),
        ("ORCH_DEPS_ON_CANCELLED", "explode"),
    ],
)
def test_a_malformed_variable_is_a_warning_and_the_default_holds(variable: str, value: str) -> None:
    found = load(None, {variable: value})
    assert found.settings == Settings()
    (warning,) = found.warnings
    assert warning.startswith(f"{variable}: ")
    assert "the default holds" in warning
    assert "hunter2" not in warning


def test_an_unknown_variable_is_a_warning_that_names_the_nearest() -> None:
    (warning,) = load(None, {"ORCH_PROT": "1", "PATH": "/bin", "ORCH_RUN_ID": "7"}).warnings
    assert warning == "ORCH_PROT: no such setting, ignored; the nearest known one is ORCH_PORT"


@given(
    st.dictionaries(st.sampled_from([f"ORCH_{name.upper()}" for name in Settings.model_fields]), st.text(max_size=20), max_size=4)
)
def test_nothing_in_the_environment_stops_the_reading(environ: dict[str, str]) -> None:
    assert isinstance(load_settings(None, environ), Settings)


# ------------------------------------------------------------------------------------------------ secrets


def test_G13_a_secret_comes_from_a_variable_or_a_file_and_hides_itself(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("canary-1234\n")
    settings = load_settings(None, {"ORCH_ADMIN_TOKEN_FILE": str(secret), "ORCH_GITEA_TOKEN": "canary-5678"})
    assert settings.admin_token == SecretStr("canary-1234")
    assert set(settings.secrets()) == {"canary-1234", "canary-5678"}
    assert "canary" not in repr(settings)


@pytest.mark.parametrize("name", ["admin_token", "plane_token", "plane_token_reviewer", "gitea_webhook_secret", "telegram_token"])
def test_G13_a_secret_in_the_file_is_an_error_that_says_where_it_belongs(loaded: Load, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: a secret does not belong in the file; set ORCH_{name.upper()}") as caught:
        loaded(f'{name} = "canary"')
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"two\nlines", b"\xff\xfe", b"a\x00b"])
def test_an_unusable_secret_file_is_a_warning_without_its_content(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    found = load(None, {"ORCH_ADMIN_TOKEN_FILE": str(path)})
    assert found.settings.admin_token is None
    (warning,) = found.warnings
    assert "the secret counts as not set" in warning
    assert "lines" not in warning


def test_the_variable_wins_over_its_file(tmp_path: Path) -> None:
    found = load(None, {"ORCH_ADMIN_TOKEN": "direct", "ORCH_ADMIN_TOKEN_FILE": str(tmp_path / "none")})
    assert found.settings.admin_token == SecretStr("direct")
    assert "ignored, because ORCH_ADMIN_TOKEN is set too" in found.warnings[0]


# ------------------------------------------------------------------------------------------------ a wrong file


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "prot: unknown key; the nearest known one is 'port'"),
        ("[project]\nname = 'x'", "project: unknown key; the nearest known one is 'projects'"),
        (SHOP + "tset_command = ['x']", "projects[0].tset_command: unknown key; the nearest known one is 'test_command'"),
        (SHOP + BANK + "langauge = 'en'", "projects[1].langauge: unknown key; the nearest known one is 'language'"),
        (SHOP + "roles.tester = { modle = 'x' }", "roles.tester.modle: unknown key; the nearest known one is 'model'"),
        (SHOP + "roles.develper = {}", "projects[0].roles.develper: unknown key; the nearest known one is 'developer'"),
        (SHOP + "deploy = { comand = ['x'] }", "projects[0].deploy.comand: unknown key; the nearest known one is 'command'"),
        (SHOP + "statuses = { to_analyze = 'x' }", "statuses.to_analyze: unknown key; the nearest known one is 'to_analyse'"),
        ("grace_s = { devlopment = 1 }", "grace_s.devlopment: unknown key; the nearest known one is 'development'"),
        ("port = '8780'", "port: input should be a valid integer"),
        ("port = true", "port: input should be a valid integer"),
        ("reconcile_enabled = 'yes'", "reconcile_enabled: input should be a valid boolean"),
        ("port = ", "is not TOML: Invalid value (at end of document); correct that place"),
        ("x = [" + "[" * 5000, "is not TOML"),
        ("x = " + "9" * 5000, "is not TOML"),
        ("projects = 3", "projects: write each project as a table of its own under [[projects]]"),
        ("[[projects]]\nname = 'shop'", "projects[0].prefix: is missing; add it"),
        (SHOP.replace('"shop"', '"Shop"'), "projects[0].name: a project name is 1 to 40 of a-z"),
        (SHOP.replace('"SHOP"', '"shop"'), "projects[0].prefix: a prefix is 1 to 10 capital letters"),
        (SHOP + "default_branch = '--force'", "projects[0].default_branch: not a plain branch name: '--force'"),
        (SHOP + "default_branch = 'a..b'", "projects[0].default_branch: not a plain branch name"),
        (SHOP + "setup_command = ['']", "projects[0].setup_command: the first word of a command is the program"),
        (SHOP + "setup_command = 'npm ci'", "projects[0].setup_command: input should be a valid"),
        (SHOP + "roles.tester = { agent = 'command' }", 'projects[0].roles.tester: agent = "command" needs command'),
        (SHOP + "roles.tester = { command = ['x'] }", "projects[0].roles.tester: command is only for"),
        (SHOP + "roles.stream = {}", "projects[0].roles.stream is the daemon's own voice"),
        (SHOP + "self_hosting = true\ndeploy = { agent = true }", "projects[0].deploy.agent is not for self_hosting"),
        (SHOP + "monitor = { window_s = 9 }", "projects[0].monitor: exactly one of url and command"),
        (SHOP + "board = 'plane'", 'projects[0].board = "plane" needs board_project'),
        (SHOP + "forge = 'gitea'", 'projects[0].forge = "gitea" needs repo = "owner/name"'),
        (SHOP + "ci = 'forge'", 'projects[0].ci = "forge" needs a forge that reports statuses'),
        (SHOP + SHOP, "projects[1].name: 'shop' is already that of projects[0]"),
        (SHOP + SHOP.replace('"shop"', '"bank"'), "projects[1].prefix: 'SHOP' is already that of projects[0]"),
        (SHOP + BANK.replace("/srv/bank", "/srv/shop"), "projects[1].repo: '/srv/shop' is already that of projects[0]"),
        ("host = '0.0.0.0'", "host = '0.0.0.0' is not loopback: set ORCH_ADMIN_TOKEN"),
        ("plane_url = 'https://plane.example'", "something is missing: set ORCH_PLANE_WORKSPACE, ORCH_PLANE_TOKEN"),
        ("gitea_url = 'https://git.example'", "something is missing: set ORCH_GITEA_TOKEN, ORCH_GITEA_WEBHOOK"),
        ("telegram_chat_id = -5", "something is missing: set ORCH_TELEGRAM_TOKEN"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_line_that_names_the_place(loaded: Load, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read \(No such file or directory\); name a readable file"):
        load(tmp_path / "none.toml", {})
    (tmp_path / "latin.toml").write_bytes(b"host = '\xe9'")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load(tmp_path / "latin.toml", {})


def test_reading_settings_alone_does_not_judge_projects(loaded: Load, tmp_path: Path) -> None:
    path = tmp_path / "orch.toml"
    path.write_text("port = 9000\n[[projects]]\nbroken = true\n")
    assert load_settings(path, {}).port == 9000


# ------------------------------------------------------------------------------------------------ projects


def test_a_project_of_the_file_becomes_a_value_of_the_core(loaded: Load) -> None:
    found = loaded(
        SHOP
        + """
test_timeout_s = 60
ci = "off"
land_style = "squash"
statuses = { to_analyse = "Ready for Analysis" }
roles.developer = { agent = "claude", model = "large", run_timeout_s = 5400 }
roles.tester = { agent = "command", command = ["./scripts/tester"] }
deploy = { command = ["make", "deploy"], confirm = false }
monitor = { url = "https://shop.example/healthz", fail_after = 5 }
"""
    )
    (project,) = found.projects
    assert (project.name, project.prefix, project.repo, project.default_branch) == ("shop", "SHOP", "/srv/shop", "main")
    assert (project.test_command, project.test_timeout_s, project.ci) == (("make", "test"), 60, CiSource.OFF)
    assert project.statuses == {Status.TO_ANALYSE: "Ready for Analysis"}
    assert project.roles[Role.DEVELOPER] == RoleSettings(agent="claude", model="large", run_timeout_s=5400)
    assert project.roles[Role.TESTER].command == ("./scripts/tester",)
    assert project.roles[Role.ANALYST].agent == "claude"
    assert project.roles.keys() == set(Role) - {Role.STREAM}
    assert (project.deploy.command, project.deploy.confirm) == (("make", "deploy"), False)
    assert project.monitor == MonitorSettings(url="https://shop.example/healthz", fail_after=5)


def test_where_ci_comes_from_follows_the_forge(loaded: Load) -> None:
    environ = {"ORCH_GITEA_URL": "https://git.example", "ORCH_GITEA_TOKEN": "t0ken", "ORCH_GITEA_WEBHOOK_SECRET": "s3cret"}
    text = SHOP + BANK.replace("/srv/bank", "team/bank") + 'forge = "gitea"\n'
    assert [project.ci for project in loaded(text, environ).projects] == [CiSource.LOCAL, CiSource.FORGE]


def test_a_project_without_test_command_is_not_started_and_the_others_are(loaded: Load) -> None:
    found = loaded(SHOP.replace("test_command", "setup_command") + BANK)
    assert [project.name for project in found.projects] == ["bank"]
    (refused,) = found.refused
    assert refused.project.name == "shop"
    assert refused.reason.startswith("project 'shop' is not started: it has no test_command")
    assert "add test_command = " in refused.reason


@pytest.mark.parametrize(
    ("selection", "self_hosting", "expected"),
    [
        ("", False, False),
        ("", True, True),
        ("*", False, True),
        ("bank, shop", False, True),
        ("bank", True, False),
        (" , ", True, True),
    ],
)
def test_a_selection_of_repos(selection: str, self_hosting: bool, expected: bool) -> None:
    assert in_repos(selection, "shop", self_hosting=self_hosting) is expected


def test_the_merge_gate_is_settled_per_project(loaded: Load) -> None:
    found = loaded(SHOP + BANK, {"ORCH_MERGE_GATE_REPOS": "bank, bnak"})
    assert [project.merge_gate for project in found.projects] == [False, True]
    assert found.warnings == ("merge_gate_repos: there is no project 'bnak'",)
    assert not any(project.merge_gate for project in loaded("merge_gate_enabled = false\n" + SHOP).projects)


# ------------------------------------------------------------------------------------------------ a project from options


def repository(path: Path, *, branch: str = "main", commit: bool = True, bare: bool = False) -> Path:
    """Lay out what git lays out; the checks read these files and nothing else."""
    git = path if bare else path / ".git"
    (git / "objects").mkdir(parents=True)
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text(f"ref: refs/heads/{branch}\n")
    if commit:
        ref = git / "refs" / "heads" / branch
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text("a" * 40 + "\n")
    return path


def options(repo: Path, **given: Any) -> ProjectOptions:
    usual: dict[str, Any] = {"test_command": ("make", "test"), "role": RoleSettings()}
    return ProjectOptions(repo=repo, **(usual | given))


def test_a_repository_and_a_test_command_make_a_project(tmp_path: Path) -> None:
    path = repository(tmp_path / "My Shop_2", branch="trunk")
    project = project_from_options(options(path, role=RoleSettings(agent="scripted")))
    assert (project.name, project.prefix, project.default_branch) == ("my-shop-2", "MYSHOP2", "trunk")
    assert (project.repo, project.board, project.forge, project.ci) == (str(path), "local", "local", CiSource.LOCAL)
    assert {role.agent for role in project.roles.values()} == {"scripted"}


def test_bare_packed_and_linked_repositories_are_repositories(tmp_path: Path) -> None:
    assert open_repository(repository(tmp_path / "shop.git", bare=True)).branch == "main"
    packed = repository(tmp_path / "packed", commit=False)
    (packed / ".git" / "packed-refs").write_text("# pack-refs\n" + "a" * 40 + " refs/heads/main\n")
    assert open_repository(packed).branch == "main"
    linked = packed / ".git" / "worktrees" / "w"
    linked.mkdir(parents=True)
    (linked / "HEAD").write_text("ref: refs/heads/main\n")
    (linked / "commondir").write_text("../..\n")
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / ".git").write_text(f"gitdir: {linked}\n")
    assert open_repository(tmp_path / "w").git_dir == linked


def test_what_is_no_repository_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "file").write_text("")
    detached = repository(tmp_path / "detached")
    (detached / ".git" / "HEAD").write_text("a" * 40 + "\n")
    hostile = repository(tmp_path / "hostile")
    (hostile / ".git" / "HEAD").write_text("ref: refs/heads/--upload-pack=evil\n")
    (detached / "inner").mkdir()
    said = {
        tmp_path / "none": "does not exist; name the folder of a git repository with --repo",
        tmp_path / "file": "is not a folder",
        tmp_path / "plain": "is not a git repository; run 'git init' there first",
        repository(tmp_path / "empty", commit=False): "branch 'main' has no commit; make a first commit on it",
        detached: "HEAD is not on a branch; check out the branch to land on, or name it with --default-branch",
        detached / "inner": f"it lies inside {detached}: name that folder",
        hostile: "not a plain branch name: '--upload-pack=evil'",
    }
    for path, text in said.items():
        with pytest.raises(ConfigError) as caught:
            project_from_options(options(path))
        assert str(caught.value).startswith(f"{path}: ")
        assert text in str(caught.value)
    assert open_repository(detached, "main").branch == "main"


def test_options_that_lack_something_say_what(tmp_path: Path) -> None:
    path = repository(tmp_path / "shop")
    with pytest.raises(ConfigError, match="pass one with --test"):
        project_from_options(options(path, test_command=()))
    with pytest.raises(ConfigError, match="--agent command needs --agent-command"):
        project_from_options(options(path, role=RoleSettings(agent="command")))
    with pytest.raises(ConfigError, match="a prefix is 1 to 10 capital letters"):
        project_from_options(options(path, prefix="shop"))


@pytest.mark.parametrize(
    ("text", "argv"),
    [
        ("make test", ("make", "test")),
        ("python -m pytest 'a b'", ("python", "-m", "pytest", "a b")),
        ("make test && make lint", ("sh", "-c", "make test && make lint")),
        ("CI=1 make test", ("sh", "-c", "CI=1 make test")),
        ("echo $HOME", ("sh", "-c", "echo $HOME")),
    ],
)
def test_a_command_line_becomes_argv(text: str, argv: tuple[str, ...]) -> None:
    assert parse_command(text) == argv


@pytest.mark.parametrize(("text", "said"), [("  ", "--test is empty"), ("echo 'a", "no closing quotation")])
def test_a_command_line_that_is_none_is_said(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_command(text)


@given(st.text(max_size=60))
def test_any_folder_gives_a_valid_name_and_prefix(folder: str) -> None:
    assert parse_project_name(name_from(folder))
    assert parse_prefix(prefix_from(folder))


def test_a_folder_without_letters_gives_the_fallbacks() -> None:
    assert (name_from("___"), prefix_from("42")) == ("project", "TASK")
