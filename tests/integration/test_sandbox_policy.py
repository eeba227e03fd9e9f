"""What a program of the operator's needs beside itself, and which sandbox a daemon has."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from orch.adapters.git.layout import mirror_path
from orch.adapters.process import ProcessTree
from orch.adapters.sandbox import Sandbox
from orch.adapters.sandbox_policy import make_sandbox, sandbox_in_force
from orch.adapters.toolchain import hidden_on_path, toolchain_of
from orch.config import Settings
from orch.core.errors import ConfigError
from orch.core.model import Limits, Project, Registry
from orch.ports import ProcessSpec, SandboxSpec
from tests.builders import make_project
from tests.gitrepo import make_repo
from tests.sandboxes import need_sandbox

Tree = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Make files; ``-> target`` is a link, and what begins with ``#!`` or is empty is a program."""

    def make(files: Mapping[str, str]) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content.startswith("->"):
                path.symlink_to(content.removeprefix("->").strip().format(root=tmp_path))
                continue
            path.write_text(content.format(root=tmp_path))
            path.chmod(0o755)
        return tmp_path

    return make


def found(root: Path, program: str, path: str = "") -> set[str]:
    needed = toolchain_of(program.format(root=root), path=path.format(root=root))
    return {str(each.relative_to(root)) for each in needed if each.is_relative_to(root)}


def test_a_plain_program_needs_itself_and_its_folder(tree: Tree) -> None:
    root = tree({"tools/agent": "", "tools/other": ""})
    assert found(root, "{root}/tools/agent") == {"tools/agent", "tools"}
    assert found(root, "agent", "/no/such:{root}/tools") == {"tools/agent", "tools"}


def test_every_link_on_the_way_is_needed(tree: Tree) -> None:
    root = tree(
        {"bin/claude": "-> ../share/claude/current", "share/claude/current": "-> versions/2", "share/claude/versions/2": ""}
    )
    assert found(root, "claude", "{root}/bin") == {
        *("bin/claude", "bin", "share/claude/current", "share/claude", "share/claude/versions/2", "share/claude/versions")
    }


def test_a_virtual_environment_needs_the_python_that_it_was_made_from(tree: Tree) -> None:
    base = {"py/bin/python3.11": "", "py/lib/python3.11/os.py": "", "py/share/man": ""}
    linked = {"venv/bin/python": "-> {root}/py/bin/python3.11", "venv/lib/x.py": "", "venv/pyvenv.cfg": "home = {root}/py/bin\n"}
    wanted = {"py/bin", "py/lib", "venv/bin", "venv/lib", "venv/pyvenv.cfg"}
    root = tree({**base, **linked, "venv/bin/pytest": "#!{root}/venv/bin/python\n"})
    assert wanted <= found(root, "{root}/venv/bin/python")
    assert wanted <= found(root, "pytest", "{root}/venv/bin")
    assert "py/share" not in found(root, "pytest", "{root}/venv/bin")


def test_a_virtual_environment_of_copies_is_known_by_its_configuration(tree: Tree) -> None:
    root = tree({"py/bin/python": "", "py/lib/os.py": "", "venv/bin/python": "", "venv/pyvenv.cfg": "home = {root}/py/bin\n"})
    assert {"py/bin", "py/lib"} <= found(root, "{root}/venv/bin/python")


def test_a_scripts_interpreter_is_found_as_env_finds_it(tree: Tree) -> None:
    root = tree({"npm/bin/tool": "#!/usr/bin/env -S node --flag\n", "node/bin/node": "", "node/lib/x": ""})
    assert {"npm/bin", "node/bin", "node/lib"} <= found(root, "tool", "{root}/npm/bin:{root}/node/bin")


def test_a_version_managers_shim_needs_the_versions(tree: Tree) -> None:
    root = tree({"pyenv/shims/python3": "#!/bin/sh\n", "pyenv/versions/3/bin/python3": ""})
    assert "pyenv" in found(root, "python3", "{root}/pyenv/shims")


@pytest.mark.parametrize("program", ["./agent", "bin/agent", "no-such-program", "{root}/not-executable", "{root}/loop"])
def test_what_is_the_projects_own_or_no_program_needs_nothing(tree: Tree, program: str) -> None:
    root = tree({"bin/agent": "", "loop": "-> loop", "not-executable": ""})
    (root / "not-executable").chmod(0o644)
    assert found(root, program, "bin:.") == set()


def test_nothing_is_followed_into_or_out_of_what_an_agent_could_have_written(tree: Tree) -> None:
    root = tree({"worktree/run": "-> {root}/secret/key", "secret/key": "", "bin/tool": "-> {root}/worktree/run"})
    untrusted = [root / "worktree"]
    assert toolchain_of(str(root / "worktree/run"), path="", untrusted=untrusted) == ()
    assert root / "secret" not in toolchain_of(str(root / "bin/tool"), path="", untrusted=untrusted)


def test_a_folder_of_the_path_is_hidden_wherever_its_name_leads(tree: Tree) -> None:
    root = tree({"home/bin/x": "", "usr/bin/x": "", "usr/local": "-> {root}/home/bin"})
    path = f"{root}/home/bin:{root}/usr/bin:{root}/usr/local:relative:{root}/none"
    assert hidden_on_path(path, [root / "home"]) == (root / "home/bin", root / "usr/local")


# ------------------------------------------------------------------------------------------------ which sandbox


def policy(data: Path, *projects: Project, environ: Mapping[str, str] | None = None, **settings: object) -> Sandbox:
    registry = Registry(limits=Limits(), projects={project.name: project for project in projects})
    return make_sandbox(Settings(**settings), data, lambda: registry, environ or {})  # type: ignore[arg-type]


def spec_of(*argv: str, access: SandboxSpec | None = None, log: str = os.devnull) -> ProcessSpec:
    return ProcessSpec(
        argv=argv,
        cwd=Path("/"),
        env={"PATH": "/usr/bin:/bin"},
        log_path=Path(log),
        run_timeout_s=10,
        grace_s=0,
        sandbox=access or SandboxSpec(),
    )


def words(sandbox: Sandbox, project: Project | None) -> list[str]:
    return sandbox.wrap(spec_of("true", access=SandboxSpec(project=None if project is None else project.name)))


def test_a_project_is_shown_its_own_mirror_and_what_it_and_everybody_may_read(tmp_path: Path) -> None:
    data, tools, own = tmp_path / "data", tmp_path / "tools", tmp_path / "own"
    shop = make_project(name="shop", sandbox_read=(str(own),))
    bank = make_project(name="bank")
    objects = {project.name: mirror_path(data, project.name) / "objects" for project in (shop, bank)}
    for folder in (tools, own, *objects.values()):
        folder.mkdir(parents=True)
    sandbox = policy(data, shop, bank, sandbox_read=(str(tools),))
    assert {str(tools), str(own), str(objects[shop.name])} <= set(words(sandbox, shop))
    assert not {str(own), str(objects[shop.name])} & set(words(sandbox, bank))
    assert str(objects[bank.name]) in words(sandbox, bank)
    assert str(tools) in words(sandbox, None)


def test_the_files_of_secrets_and_what_the_operator_hides_are_hidden(tmp_path: Path) -> None:
    secret, folder = tmp_path / "plane", tmp_path / "folder"
    secret.write_text("x")
    folder.mkdir()
    environ = {"ORCH_PLANE_TOKEN_FILE": str(secret), "ORCH_LOG_LEVEL": "debug"}
    said = words(policy(tmp_path / "data", environ=environ, sandbox_hide=(str(folder),)), None)
    assert said[said.index(str(secret)) - 2 : said.index(str(secret))] == ["--ro-bind", os.devnull]
    assert said[said.index(str(folder)) - 1] == "--tmpfs"


async def test_what_asks_for_a_sandbox_is_wrapped_and_nothing_else_is(tmp_path: Path) -> None:
    program = tmp_path / "bwrap"
    program.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift; echo wrapped; exec "$@"\n')
    program.chmod(0o755)
    processes = ProcessTree(sandbox=Sandbox(tmp_path, program=str(program)))
    spec = spec_of("echo", "ran", log=str(tmp_path / "log"))
    await processes.run(spec)
    await processes.run(replace(spec, sandbox=None))
    assert (tmp_path / "log").read_text().split() == ["wrapped", "ran", "ran"]


def test_what_is_shown_around_the_data_directory_does_not_show_it(tmp_path: Path) -> None:
    data, own = tmp_path / "home/orch", tmp_path / "home/orch/tasks/1"
    own.mkdir(parents=True)
    sandbox = Sandbox(data, reads=lambda _: (tmp_path / "home", data))
    said = sandbox.wrap(spec_of("true", access=SandboxSpec(write=(own,))))
    laid = [said[index - 1] if said[index - 1].startswith("--") else said[index - 2] for index in places(said, data)]
    assert laid == ["--tmpfs", "--remount-ro"]
    assert places(said, tmp_path / "home")[0] < places(said, data)[0] < places(said, own)[0], "what lies deeper is laid later"


def places(said: list[str], path: Path) -> list[int]:
    return [index for index, word in enumerate(said) if word == str(path)]


def test_a_link_in_a_working_copy_shows_nothing(tree: Tree) -> None:
    root = tree({"worktree/check": "-> {root}/secret/key", "secret/key": ""})
    sandbox = Sandbox(root / "data")
    access = SandboxSpec(write=(root / "worktree",))
    assert str(root / "secret") in sandbox.wrap(spec_of(str(root / "secret/key"), access=access))
    assert not [word for word in sandbox.wrap(spec_of(str(root / "worktree/check"), access=access)) if "secret" in word]


@pytest.mark.parametrize("path", ["", "token", "tasks/1"])
def test_nothing_in_the_data_directory_may_be_shown(tmp_path: Path, path: str) -> None:
    with pytest.raises(ConfigError, match=r"sandbox_read: .* data directory"):
        policy(tmp_path, sandbox_read=(str(tmp_path / path),))
    with pytest.raises(ConfigError, match="project demo: sandbox_read"):
        policy(tmp_path, make_project(sandbox_read=(str(tmp_path / path),)))


def broken(folder: Path) -> Sandbox:
    """Return a sandbox on a machine whose kernel does not let bubblewrap work."""
    program = folder / "bwrap"
    program.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    program.chmod(0o755)
    return Sandbox(folder, program=str(program))


def test_a_sandbox_that_does_not_work_is_found_by_running_it(tmp_path: Path) -> None:
    assert broken(tmp_path).trouble() == "bwrap: setting up uid map: Permission denied"
    assert sandbox_in_force("auto", broken(tmp_path)) is None
    with pytest.raises(ConfigError, match=r"sandbox = require.*uid map.*set sandbox to auto"):
        sandbox_in_force("require", broken(tmp_path))


def test_bubblewrap_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    assert "not installed" in (Sandbox(tmp_path, program="no-such-bwrap").trouble() or "")


def test_a_daemon_that_requires_it_does_not_start_without(tmp_path: Path) -> None:
    make_repo(tmp_path / "shop")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("git", "true"):
        (tools / name).symlink_to(shutil.which(name) or "")
    argv = [
        "serve",
        "--repo",
        str(tmp_path / "shop"),
        "--test",
        "true",
        "--agent",
        "scripted",
        "--data-dir",
        str(tmp_path / "data"),
    ]
    environ = {"PATH": str(tools), "HOME": str(tmp_path), "ORCH_SANDBOX": "require", "ORCH_PORT": "0"}
    ended = subprocess.run(
        [sys.executable, "-m", "orch", *argv], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.strip().splitlines()[-1].startswith("orch: sandbox = require, but it does not work here: bwrap")
    assert not (tmp_path / "data/orch.db").exists()


def test_a_sandbox_that_works_is_used_unless_it_is_switched_off(tmp_path: Path) -> None:
    need_sandbox()
    sandbox = Sandbox(tmp_path)
    assert sandbox.trouble() is None
    assert [sandbox_in_force(mode, sandbox) for mode in ("auto", "require", "off")] == [sandbox, sandbox, None]
