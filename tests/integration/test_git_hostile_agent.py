"""R9: a hostile agent as a process, against the git state that it shares with the daemon: in no sandbox, in one, in a wide one.

``test_git_hostile`` plants each route by itself. Here a program plants all of them at once from where an agent runs, and then
goes for what is not its own: the mirror that it borrows from. Without a sandbox the mirror is in an agent's reach
(``docs/security.md``), so that part is tried inside alone, with nothing shown and with all around shown by ``sandbox_read``.
"""

import os
import stat
from pathlib import Path

import pytest

from orch.adapters.process import ProcessTree, namespace_of
from orch.adapters.sandbox import Sandbox
from orch.core.ids import ProjectName
from orch.core.model import RunMode
from orch.ports import ProcessSpec, SandboxSpec
from tests.integration.git_desk import BRANCH, Desk
from tests.sandboxes import need_sandbox

HOOKS = (
    "pre-commit post-commit post-checkout pre-push reference-transaction post-index-change update post-receive fsmonitor-watchman"
)
PLANT = f"""
set -u
git config user.name x; git config user.email x@x
echo 1 > x.py; git add x.py; git commit -qm one && echo COMMITTED
for folder in .git/hooks hooks .githooks; do
  mkdir -p $folder
  for name in {HOOKS}; do printf '#!/bin/sh\\n%s\\n' "$EVIL" > $folder/$name; chmod 755 $folder/$name; done
done
mkdir inner && (cd inner && git init -q && git config user.name x && git config user.email x@x && echo 1 > f && git add f &&
  git commit -qm i && git config core.fsmonitor "$EVIL")
echo '* filter=evil diff=evil merge=evil' > .gitattributes
mkdir -p .git/info; cp .gitattributes .git/info/attributes
printf '[core]\\n\\tfsmonitor = %s\\n' "$EVIL" > more
for pair in core.hooksPath=hooks core.fsmonitor="$EVIL" filter.evil.clean="$EVIL" filter.evil.smudge="$EVIL" \\
  filter.evil.required=true diff.external="$EVIL" diff.evil.textconv="$EVIL" merge.evil.driver="$EVIL" merge.default=evil \\
  core.sshCommand="$EVIL" core.editor="$EVIL" core.pager="$EVIL" core.askPass="$EVIL" gpg.program="$EVIL" \\
  commit.gpgSign=true credential.helper="!$EVIL" alias.add="!$EVIL" alias.fetch="!$EVIL" alias.status="!$EVIL" \\
  include.path="$PWD/more" remote.origin.url="ext::$EVIL" uploadpack.packObjectsHook="$EVIL" \\
  core.alternateRefsCommand="$EVIL" extensions.worktreeConfig=true; do
  git config "${{pair%%=*}}" "${{pair#*=}}"
done
echo PLANTED
"""
REACH = """
for file in config packed-refs HEAD hooks/post-update hooks/reference-transaction refs/heads/main refs/heads/evil \\
  objects/info/alternates info/attributes objects/pack/evil.pack shallow; do
  (mkdir -p "$MIRROR/$(dirname $file)" && printf '%s\\n' "$EVIL" >> "$MIRROR/$file") 2>/dev/null && echo "WROTE $file"
done
git --git-dir="$MIRROR" update-ref refs/heads/main HEAD 2>/dev/null && echo MOVED
git -c protocol.allow=always push "$MIRROR" HEAD:refs/heads/main 2>/dev/null && echo PUSHED
git -c protocol.allow=always push "$REMOTE" HEAD:refs/heads/main 2>/dev/null && echo PUSHED
rm -rf "$MIRROR/refs" "$MIRROR/objects" 2>/dev/null && echo REMOVED
for at in objects/??; do test -e "$MIRROR/$at" && chmod 777 "$MIRROR/$at" 2>/dev/null && echo OPENED; done
ln -f "$MIRROR/HEAD" ./linked 2>/dev/null && echo LINKED
echo REACHED
"""
WAYS = ("no sandbox", "sandbox", "wide sandbox")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def trees_of(desk: Desk, way: str) -> ProcessTree:
    """Return how an agent is started: *wide* shows the whole folder with mirror, forge and data directory."""
    if way == "no sandbox":
        return ProcessTree(namespace=namespace_of(desk.folder))
    need_sandbox()
    shown = (desk.folder,) if way == "wide sandbox" else (desk.mirror.objects,)
    return ProcessTree(namespace=namespace_of(desk.folder), sandbox=Sandbox(desk.folder / "data", reads=lambda _: shown))


async def run_agent(desk: Desk, way: str, script: str, worktree: Path, evil: str) -> str:
    """Run *script* as an agent's process and return what it said."""
    home, log = worktree.parent / "home", desk.folder / "agent.log"
    home.mkdir(exist_ok=True)
    log.unlink(missing_ok=True)
    spec = ProcessSpec(
        argv=("sh", "-c", script),
        cwd=worktree,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "EVIL": evil,
            "MIRROR": str(desk.mirror.path),
            "REMOTE": str(desk.remote.path),
        },
        log_path=log,
        run_timeout_s=60.0,
        grace_s=0.0,
        sandbox=SandboxSpec(project=ProjectName("shop"), write=(worktree, home)),
    )
    await trees_of(desk, way).run(spec)
    return log.read_text(errors="replace")


def evil_in(folder: Path) -> tuple[str, Path]:
    """Make a program that leaves a trace when the daemon runs it."""
    program, canary = folder / "evil", folder / "ran"
    program.write_text(f"#!/bin/sh\ntouch {canary}\ncat\n")
    program.chmod(0o755)
    return str(program), canary


def seen(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of every file of a repository, its objects but for their names."""
    found: dict[str, tuple[int, bytes]] = {}
    for path in sorted(folder.rglob("*")):
        name, state = path.relative_to(folder).as_posix(), path.lstat()
        content = path.read_bytes() if stat.S_ISREG(state.st_mode) and not name.startswith("objects/") else b""
        found[name] = (state.st_mode, content)
    return found


@pytest.mark.parametrize("way", WAYS)
async def test_R9_nothing_that_an_agent_planted_runs_as_the_daemon(desk: Desk, tmp_path: Path, way: str) -> None:
    evil, canary = evil_in(tmp_path)
    prepared, _ = await desk.prepare()
    said = await run_agent(desk, way, PLANT, prepared.worktree, evil)
    assert {"COMMITTED", "PLANTED"} <= set(said.split()), said
    canary.unlink(missing_ok=True)  # the agent's own git may have run it: that is the agent's business

    assert await desk.workspace.archive(desk.spec) is not None
    await desk.workspace.collect(desk.spec, prepared)
    desk.next_run(RunMode.CONTINUATION, base=prepared.base)
    again, _ = await desk.prepare()
    await desk.workspace.archive(desk.spec)
    await desk.workspace.collect(desk.spec, again)
    await desk.workspace.remove(desk.spec.task)
    assert not canary.exists()


@pytest.mark.parametrize("way", WAYS[1:])
async def test_R9_no_ref_and_no_file_of_the_mirror_is_changed_from_inside(desk: Desk, tmp_path: Path, way: str) -> None:
    evil, _ = evil_in(tmp_path)
    prepared, _ = await desk.prepare()
    before = [seen(desk.mirror.path), seen(desk.remote.path)]
    said = await run_agent(desk, way, PLANT + REACH, prepared.worktree, evil)
    assert "REACHED" in said.split(), said
    if way == "wide sandbox":  # where the mirror is hidden, something of its name in an empty folder of one's own is nothing
        assert not {"WROTE", "MOVED", "PUSHED", "REMOVED", "OPENED", "LINKED"} & set(said.split()), said
    assert [seen(desk.mirror.path), seen(desk.remote.path)] == before


FORGE: dict[str, tuple[str, ...]] = {
    "main as its own branch": ("update-ref", "refs/heads/main", "HEAD"),
    "another task's branch": ("update-ref", "refs/heads/feature/SHOP-2-x", "HEAD"),
    "a tag": ("tag", "v9"),
    "refs of the daemon's": ("update-ref", "refs/orch/candidates/1", "HEAD"),
    "head elsewhere": ("symbolic-ref", "HEAD", "refs/heads/main"),
}


@pytest.mark.parametrize("name", FORGE)
async def test_R9_only_the_tasks_own_branch_is_pushed_whatever_refs_an_agent_made(desk: Desk, name: str) -> None:
    """These need no sandbox: what an agent calls its refs is never asked."""
    prepared, agent = await desk.prepare()
    refs = set(desk.remote.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines())
    agent.commit({"x.py": "1"})
    agent.git(*FORGE[name])
    await desk.workspace.collect(desk.spec, prepared)
    now = set(desk.remote.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines())
    assert refs <= now
    assert {line.split(" ")[0] for line in now - refs} <= {f"refs/heads/{BRANCH}"}
