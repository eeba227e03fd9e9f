"""R9: what a hostile agent, or hostile code under test, can reach from inside a real sandbox: its own, and nothing else.

Everything is tried twice: as an agent's process, and as a project's command. The scene lies where no mask would hide it by
accident, so that each thing is hidden for its own sake.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from orch.adapters import orphans
from orch.adapters.agents.command import CommandAdapter
from orch.adapters.commands import ProjectCommands
from orch.adapters.git.layout import lay_out, mirror_path, write_ref
from orch.adapters.process import ProcessTree, namespace_of
from orch.adapters.sandbox import Sandbox
from orch.core.ids import ProjectName, RunId, TaskRow, WorkItemId
from orch.core.messages import CommandVerdict
from orch.core.model import Limits, RoleSettings, RunMode
from orch.core.stages import Role, Stage
from orch.ports import AgentRequest, ProcessSpec, SandboxSpec
from tests.gitrepo import Repo, make_bare, make_repo
from tests.sandboxes import need_sandbox

CANARY = "canary-3b1f"
SHOP, BANK = ProjectName("shop"), ProjectName("bank")
Try = Callable[[str], Awaitable[tuple[int | None, str]]]


class Scene:
    """A data directory with everything that a daemon keeps in it, an operator's home, and the forge's repository."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.data, self.operator = root, root / "data", root / "operator"
        self.own, self.other = self.data / "tasks/1", self.data / "tasks/2"
        self.secret_file = root / "etc" / "plane.token"
        self.toolchain = root / "operator" / "toolchain"
        self.forge = make_bare(root / "forge.git", make_repo(root / "person"))
        for path in (
            *(self.data / name for name in ("token", "orch.db", "home/bank/.netrc", "runs/9/prompt.md")),
            *(self.other / "worktree/code", self.other / "home/.session", self.operator / ".ssh/id", self.secret_file),
            mirror_path(self.data, BANK) / "objects/pack/pack-1",
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(CANARY)
        self.toolchain.mkdir()
        (self.toolchain / "compiler").write_text("#!/bin/sh\necho compiled\n")
        (self.toolchain / "compiler").chmod(0o755)
        monkeypatch.setenv("HOME", str(self.operator))
        self.mirror = mirror_path(self.data, SHOP)
        self.mirror.parent.mkdir(parents=True)
        shutil.copytree(self.forge.path, self.mirror)
        self._lay_out_worktree()
        self.sandbox = Sandbox(self.data, hide=(self.secret_file,), reads=self.reads)
        self.processes = ProcessTree(namespace=namespace_of(root), sandbox=self.sandbox)

    def _lay_out_worktree(self) -> None:
        self.worktree, self.home = self.own / "worktree", self.own / "home"
        self.home.mkdir(parents=True)
        git_dir = self.worktree / ".git"
        lay_out(git_dir, bare=False, head="ref: refs/heads/feature/x", alternates=[self.mirror / "objects"])
        write_ref(git_dir, "refs/heads/feature/x", self.forge.tip("main"))
        Repo(self.worktree).git("reset", "--quiet", "--hard")

    def reads(self, project: ProjectName | None) -> tuple[Path, ...]:
        return () if project is None else (mirror_path(self.data, project) / "objects", self.toolchain)

    def request(self, script: str) -> AgentRequest:
        prompt = self.data / "runs/1/prompt.md"
        prompt.parent.mkdir(parents=True, exist_ok=True)
        prompt.write_text("Work.\n")
        return AgentRequest(
            run=RunId(1),
            task=TaskRow(1),
            work_item=WorkItemId("SHOP-1"),
            role=Role.DEVELOPER,
            stage=Stage.DEVELOPMENT,
            mode=RunMode.NEW_ATTEMPT,
            prompt_path=prompt,
            worktree=self.worktree,
            home=self.home,
            log_path=self.data / "runs/1/output.log",
            artefact_dir="docs/work-items/SHOP-1",
            session=None,
            settings=RoleSettings(agent="command", command=("sh", "-c", script)),
            limits=Limits(run_timeout_s=30.0, stop_grace_s=0.0),
            project=SHOP,
        )

    async def as_agent(self, script: str) -> tuple[int | None, str]:
        request = self.request(script)
        request.log_path.unlink(missing_ok=True)
        adapter = CommandAdapter(source={"PATH": os.environ["PATH"]})
        end = await self.processes.run(adapter.command(request), adapter.reader(request))
        return end.exit_code, request.log_path.read_text(errors="replace")

    async def as_tests(self, script: str) -> tuple[int | None, str]:
        commands = ProjectCommands(
            self.processes,
            home=self.data / "home",
            cache=self.data / "cache",
            source={"PATH": os.environ["PATH"]},
            grace=lambda: 0.0,
        )
        report = await commands.run(
            ("sh", "-c", script), cwd=self.worktree, timeout_s=30, label="ci", log_path=self.root / "ci.log", project=SHOP
        )
        return report.exit_code, report.tail


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    need_sandbox()
    root = Path(tempfile.mkdtemp(prefix="orch-scene-", dir="/var/tmp"))  # not below any mask
    try:
        yield Scene(root, monkeypatch)
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(params=["agent", "tests"])
def attempt(request: pytest.FixtureRequest, scene: Scene) -> Try:
    return scene.as_agent if request.param == "agent" else scene.as_tests


# ------------------------------------------------------------------------------------------------ reading

SECRETS = [
    "data/token",
    "data/orch.db",
    "data/home/bank/.netrc",
    "data/runs/9/prompt.md",
    "data/tasks/2/worktree/code",
    "data/tasks/2/home/.session",
    "data/projects/bank/mirror.git/objects/pack/pack-1",
    "operator/.ssh/id",
    "etc/plane.token",
]


@pytest.mark.parametrize("path", SECRETS)
async def test_G13_no_file_with_a_secret_is_readable(scene: Scene, attempt: Try, path: str) -> None:
    assert (scene.root / path).read_text() == CANARY
    code, said = await attempt(f'cat "{scene.root / path}"')
    assert code != 0
    assert CANARY not in said


async def test_G13_no_secret_is_found_by_looking_everywhere(scene: Scene, attempt: Try) -> None:
    code, said = await attempt(f'grep -rs "{CANARY}" "{scene.root}" /tmp /run /home /root; ls -A /tmp /home /root; echo looked')
    assert "looked" in said
    assert CANARY not in said.replace(f'"{CANARY}"', "")
    assert (code, [line for line in said.splitlines() if "id_" in line or ".ssh" in line]) == (0, [])


async def test_G13_the_environment_of_the_daemon_is_out_of_sight(scene: Scene, attempt: Try) -> None:
    daemon = subprocess.Popen(["sleep", "60"], env={"ORCH_PLANE_TOKEN": CANARY, "PATH": os.environ["PATH"]})  # noqa: ASYNC220
    through = "/proc/*/root"
    try:
        _, said = await attempt(
            f"cat /proc/{daemon.pid}/environ /proc/*/environ {through}/proc/{daemon.pid}/environ | tr '\\0' ' '; "
            f"kill -0 {daemon.pid} && echo SEEN; kill -9 {daemon.pid} && echo KILLED; true"
        )
        assert CANARY not in said
        assert not {"SEEN", "KILLED"} & set(said.split())
        assert daemon.poll() is None
    finally:
        daemon.kill()
        daemon.wait()


async def test_no_process_outside_can_be_seen_or_traced(scene: Scene, attempt: Try) -> None:
    _, said = await attempt("ls -d /proc/[0-9]*")
    numbers = [int(line.rpartition("/")[2]) for line in said.splitlines() if line.startswith("/proc/")]
    assert 1 in numbers
    assert max(numbers) < 50, "only what was started inside"
    assert os.getpid() not in numbers or os.getpid() < 50


async def test_sockets_below_run_are_not_there(scene: Scene, attempt: Try) -> None:
    if not os.access("/run", os.W_OK):
        pytest.skip("nobody but root can put a socket below /run")
    path = Path(f"/run/orch-test-{os.getpid()}.sock")
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(path))
        try:
            listener.listen()
            code, said = await attempt(f"test -S {path} && echo THERE; find /run /var/run -type s; true")
        finally:
            path.unlink()  # noqa: ASYNC240
    assert code == 0
    assert "THERE" not in said
    assert str(path) not in said


# ------------------------------------------------------------------------------------------------ writing


async def test_nothing_is_writable_but_its_own(scene: Scene, attempt: Try) -> None:
    name = f"orch-test-{os.getpid()}"
    folders: list[str | Path] = [
        "/",
        "/etc",
        "/usr",
        "/var/tmp",
        "/home",
        "/root",
        "/run",
        scene.root,
        scene.data,
        scene.own,
        scene.other,
    ]
    folders += [scene.operator, scene.toolchain, scene.mirror, scene.mirror / "objects", scene.forge.path, scene.data / "runs/1"]
    tried = "; ".join(f'touch "{folder}/{name}" 2>/dev/null && echo "WROTE {folder}"' for folder in folders)
    own = f'touch "$HOME/{name}" "./{name}" /tmp/{name} /dev/shm/{name} && echo "wrote its own"'
    _, said = await attempt(f"{tried}; {own}")
    assert "WROTE" not in said
    assert "wrote its own" in said
    assert (scene.worktree / name).exists()
    assert not any(Path(folder, name).exists() for folder in [*folders, "/tmp", "/dev/shm"])  # noqa: ASYNC240


async def test_a_file_of_the_kernel_that_root_owns_does_not_open_for_writing(scene: Scene, attempt: Try) -> None:
    opened = "; ".join(
        f"(exec 3>>{path}) 2>/dev/null && echo OPENED {path}"
        for path in (
            "/proc/sys/kernel/core_pattern",
            "/proc/sys/vm/drop_caches",
            "/proc/sysrq-trigger",
            "/proc/irq/default_smp_affinity",
        )
    )
    _, said = await attempt(f"{opened}; echo tried")
    assert said.split() == ["tried"]


async def test_the_mounts_cannot_be_changed_and_no_capability_is_left(scene: Scene, attempt: Try) -> None:
    _, said = await attempt(
        f"mount -o remount,rw / 2>/dev/null && echo CHANGED; umount -l {scene.data} 2>/dev/null && echo CHANGED; "
        "umount -l /root 2>/dev/null && echo CHANGED; mount -t tmpfs none /mnt 2>/dev/null && echo CHANGED; "
        f"touch /var/tmp/x-{os.getpid()} 2>/dev/null && echo CHANGED; grep -E 'Cap(Prm|Eff|Amb)' /proc/self/status"
    )
    words = said.split()
    assert "CHANGED" not in words
    assert [word for word in words if not word.startswith("Cap")] == ["0" * 16] * 3


async def test_no_ref_is_moved_but_its_own(scene: Scene, attempt: Try) -> None:
    refs = [repo.git("for-each-ref") for repo in (scene.forge, Repo(scene.mirror))]
    _, said = await attempt(
        "git config user.name x; git config user.email x@x; echo new > new; git add new; git commit -qm new && echo committed; "
        f"git push {scene.mirror} HEAD:refs/heads/evil && echo PUSHED; "
        f"git push {scene.forge.path} HEAD:refs/heads/main && echo PUSHED; "
        f"git --git-dir={scene.mirror} update-ref refs/heads/main HEAD && echo MOVED; git fsck --no-progress && echo sound"
    )
    assert {"committed", "sound"} <= set(said.split()), said
    assert not {"PUSHED", "MOVED"} & set(said.split())
    assert [repo.git("for-each-ref") for repo in (scene.forge, Repo(scene.mirror))] == refs


# ------------------------------------------------------------------------------------------------ what has to work


async def test_what_a_project_may_read_is_there_by_its_own_path(scene: Scene, attempt: Try) -> None:
    code, said = await attempt(f"{scene.toolchain}/compiler && git log --oneline | wc -l && cat /etc/resolv.conf > /dev/null")
    assert (code, said.split()) == (0, ["compiled", "1"])


async def test_an_agent_finds_its_prompt_and_temporary_files_of_its_own(scene: Scene) -> None:
    spec = CommandAdapter(source={"PATH": os.environ["PATH"], "TMPDIR": "/var/tmp"}).command(
        scene.request('cat "$ORCH_RUN_PROMPT_FILE" && mktemp')
    )
    end = await scene.processes.run(spec)
    said = spec.log_path.read_text().split()
    assert (end.exit_code, said[0]) == (0, "Work.")
    assert said[1].startswith("/tmp/")
    assert not os.path.lexists(said[1])  # noqa: ASYNC240


async def test_a_projects_commands_share_a_home_and_a_cache_that_no_other_project_sees(scene: Scene) -> None:
    code, _ = await scene.as_tests('echo kept > "$HOME/kept" && echo cached > "$ORCH_CACHE_DIR/cached"')
    assert code == 0
    assert await scene.as_tests('cat "$HOME/kept" "$ORCH_CACHE_DIR/cached"') == (0, "kept\ncached\n")
    assert (scene.data / "home/shop/kept").exists()


async def test_an_operators_own_command_is_not_sandboxed(scene: Scene) -> None:
    commands = ProjectCommands(scene.processes, source={"PATH": os.environ["PATH"]})
    argv = ("cat", str(scene.data / "token"))
    report = await commands.run(argv, cwd=scene.root, timeout_s=10, label="deploy", log_path=scene.root / "deploy.log")
    assert (report.verdict, report.tail) == (CommandVerdict.GREEN, CANARY)


@pytest.mark.parametrize(("script", "verdict"), [("exit 3", "red"), ("kill -9 $$", "infra"), ("kill -SEGV $$", "red")])
async def test_a_verdict_is_the_same_as_without(scene: Scene, script: str, verdict: str) -> None:
    commands = ProjectCommands(scene.processes, source={"PATH": os.environ["PATH"]}, grace=lambda: 0.0)
    argv, log = ("sh", "-c", script), scene.root / "ci.log"
    inside = await commands.run(argv, cwd=scene.worktree, timeout_s=10, label="ci", log_path=log, project=SHOP)
    outside = await commands.run(argv, cwd=scene.worktree, timeout_s=10, label="ci", log_path=log)
    assert (inside.verdict, inside.exit_code) == (outside.verdict, outside.exit_code)
    assert inside.verdict is CommandVerdict(verdict)


async def test_a_program_that_is_missing_inside_is_nobodys_red(scene: Scene) -> None:
    hidden = scene.own / "hidden.sh"
    hidden.write_text("#!/bin/sh\n")
    hidden.chmod(0o755)
    (scene.worktree / "check").symlink_to(hidden)
    commands = ProjectCommands(scene.processes, source={"PATH": os.environ["PATH"]})
    report = await commands.run(
        ("./check",), cwd=scene.worktree, timeout_s=10, label="ci", log_path=scene.root / "ci.log", project=SHOP
    )
    assert report.verdict is CommandVerdict.INFRA
    assert "in the sandbox" in report.tail


async def test_G5_a_tree_of_many_kinds_dies_at_the_end_of_its_leader(scene: Scene, attempt: Try) -> None:
    stubborn = "trap '' TERM HUP INT; while :; do sleep 1; done"
    code, _ = await attempt(f'(setsid sh -c "{stubborn}" &) ; (env -i PATH=$PATH setsid sh -c "{stubborn}" &) ; exit 0')
    assert code == 0
    assert orphans.find(lambda label: label.startswith(namespace_of(scene.root))) == {}


# ------------------------------------------------------------------------------------------------ what is shown to whom


def spec_of(scene: Scene, *argv: str, sandbox: SandboxSpec | None = None, **env: str) -> ProcessSpec:
    return ProcessSpec(
        argv=argv,
        cwd=scene.worktree,
        env={"PATH": os.environ["PATH"], **env},
        log_path=scene.root / "log",
        run_timeout_s=10,
        grace_s=0,
        sandbox=sandbox or SandboxSpec(write=(scene.worktree, scene.home)),
    )


def shown(sandbox: Sandbox, spec: ProcessSpec) -> set[str]:
    """Return the places that are laid over the masks."""
    words = sandbox.wrap(spec)
    return {words[index + 2] for index, word in enumerate(words) if word in ("--bind", "--ro-bind", "--ro-bind-try")}


def test_the_environment_is_never_in_the_arguments(scene: Scene) -> None:
    assert not any(CANARY in word for word in scene.sandbox.wrap(spec_of(scene, "true", ANTHROPIC_API_KEY=CANARY)))


@pytest.mark.parametrize("argv", [("./check",), ("{worktree}/check",), ("{worktree}/script",)])
def test_a_link_of_the_repository_shows_nothing(scene: Scene, argv: tuple[str, ...]) -> None:
    (scene.worktree / "check").symlink_to(scene.operator / ".ssh/id")
    (scene.operator / ".ssh/id").chmod(0o755)
    (scene.worktree / "script").write_text(f"#!{scene.operator}/.ssh/id\n")
    (scene.worktree / "script").chmod(0o755)
    spec = spec_of(scene, *(word.format(worktree=scene.worktree) for word in argv))
    assert [path for path in shown(scene.sandbox, spec) if str(scene.operator) in path] == []


async def test_what_is_shown_around_the_data_directory_does_not_show_it(scene: Scene) -> None:
    data = scene.operator / "orch"
    data.mkdir()
    (data / "token").write_text(CANARY)
    wide = Sandbox(data, hide=(scene.operator / ".ssh",), reads=lambda _: (scene.operator, data))
    spec = spec_of(scene, "sh", "-c", f'ls "{scene.operator}"; grep -rs {CANARY} "{scene.operator}/.ssh"; ls -A "{data}"')
    await ProcessTree(sandbox=wide).run(spec)
    assert spec.log_path.read_text().split() == ["orch", "toolchain"]


async def test_a_program_of_a_home_is_shown_with_its_folder_and_libraries_and_nothing_else(scene: Scene) -> None:
    for name in ("bin", "lib", "share"):
        (scene.operator / ".local" / name).mkdir(parents=True)
    tool = scene.operator / ".local/bin/tool"
    tool.write_text('#!/bin/sh\ncat "$(dirname "$0")/../lib/part"; ls "$(dirname "$0")/.."\n')
    tool.chmod(0o755)
    (scene.operator / ".local/lib/part").write_text("part\n")
    spec = spec_of(scene, "tool", PATH=f"{tool.parent}:{os.environ['PATH']}")
    end = await scene.processes.run(spec)
    assert (end.exit_code, spec.log_path.read_text().split()) == (0, ["part", "bin", "lib"])


def test_a_program_that_lies_in_the_home_itself_is_shown_alone(scene: Scene) -> None:
    tool = scene.operator / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    assert [path for path in shown(scene.sandbox, spec_of(scene, str(tool))) if str(scene.operator) in path] == [str(tool)]


async def test_a_data_directory_behind_a_link_works(scene: Scene) -> None:
    """Its name lies in a home, where no link can be followed from inside."""
    link = scene.operator / "orch-data"
    link.symlink_to(scene.data)
    sandbox = Sandbox(link)
    place = link / "tasks/1"
    spec = replace(
        spec_of(scene, "sh", "-c", f"touch {place}/worktree/made; cat {link}/token {scene.data}/token"),
        cwd=place / "worktree",
        sandbox=SandboxSpec(write=(place / "worktree", place / "home")),
    )
    end = await ProcessTree(sandbox=sandbox).run(spec)
    assert end.exit_code != 0
    assert (scene.worktree / "made").exists()
    assert CANARY not in spec.log_path.read_text()


def test_a_folder_of_the_path_that_is_hidden_is_named(scene: Scene) -> None:
    path = f"{scene.toolchain}:{scene.operator / '.ssh'}:/usr/bin:/no/such/folder"
    sandbox = Sandbox(scene.data, reads=lambda _: (scene.toolchain,))
    assert sandbox.hidden_on_path(path) == (scene.operator / ".ssh",)
