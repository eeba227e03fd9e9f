"""An agent that writes whatever it likes into its working copy. Nothing of it may run, and nothing may lead elsewhere."""

import base64
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from orch import logs
from orch.adapters.git.checks import leads_out
from orch.adapters.git.layout import read_head, read_inside, read_ref, remove_tree
from orch.core.ids import Sha
from orch.core.messages import RefusalKind
from orch.core.model import RunMode
from tests.gitrepo import Repo
from tests.integration.git_desk import BRANCH, Desk

Plant = Callable[[Repo, str], None]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def _config(repo: Repo, *pairs: str) -> None:
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        repo.git("config", key, value)


def _hooks(repo: Repo, command: str) -> None:
    names = (
        "pre-commit", "post-commit", "commit-msg", "prepare-commit-msg", "post-checkout", "post-index-change", "pre-push",
        "reference-transaction", "post-rewrite", "pre-receive", "update", "post-receive", "fsmonitor-watchman",
        "proc-receive", "push-to-checkout", "post-merge",
    )  # fmt: skip
    for folder in (repo.path / ".git/hooks", repo.path / "hooks", repo.path / ".githooks"):
        folder.mkdir(exist_ok=True)
        for name in names:
            (folder / name).write_text(f"#!/bin/sh\n{command}\n")
            (folder / name).chmod(0o755)
    _config(repo, "core.hooksPath", str(repo.path / "hooks"))


def _fsmonitor(repo: Repo, command: str) -> None:
    _config(repo, "core.fsmonitor", command, "core.untrackedCache", "true")


def _filters(repo: Repo, command: str) -> None:
    _config(repo, "filter.evil.clean", f"{command}; cat", "filter.evil.smudge", f"{command}; cat", "filter.evil.required", "true")
    _config(repo, "filter.long.process", command)
    (repo.path / ".gitattributes").write_text("*.py filter=evil\n*.md filter=long\n")
    (repo.path / ".git/info").mkdir(exist_ok=True)
    (repo.path / ".git/info/attributes").write_text("* filter=evil\n")


def _diff(repo: Repo, command: str) -> None:
    _config(repo, "diff.external", command, "diff.evil.textconv", command, "diff.evil.command", command)
    (repo.path / ".gitattributes").write_text("* diff=evil\n")


def _merge_driver(repo: Repo, command: str) -> None:
    _config(repo, "merge.evil.driver", command, "merge.default", "evil")
    (repo.path / ".gitattributes").write_text("* merge=evil\n")


def _programs(repo: Repo, command: str) -> None:
    _config(
        repo, "core.sshCommand", command, "core.editor", command, "core.pager", command, "core.askPass", command,
        "gpg.program", command, "commit.gpgSign", "true", "sequence.editor", command, "credential.helper", f"!{command}",
        "core.gitProxy", command, "core.alternateRefsCommand", command, "uploadpack.packObjectsHook", command,
        "remote.origin.uploadpack", command, "remote.origin.url", f"ext::{command}", "gc.auto", "1", "log.showSignature", "true",
        "trailer.x.command", command, "interactive.diffFilter", command,
    )  # fmt: skip


def _alias_and_include(repo: Repo, command: str) -> None:
    for name in ("add", "status", "fetch", "commit-tree", "read-tree", "write-tree", "log"):
        _config(repo, f"alias.{name}", f"!{command}")
    (repo.path / "more").write_text(f"[core]\n\tfsmonitor = {command}\n")
    _config(repo, "include.path", str(repo.path / "more"))
    (repo.path / ".gitconfig").write_text(f"[core]\n\tfsmonitor = {command}\n")


def _nested(repo: Repo, command: str) -> None:
    """A repository in the repository, committed as a submodule: git asks such a one for its status under its own config."""
    inner = Repo(repo.path / "inner")
    inner.path.mkdir()
    inner.git("init", "--quiet")
    inner.commit({"file": "1"})
    repo.git("-c", "advice.addEmbeddedRepo=false", "add", "inner")
    repo.git("commit", "--quiet", "-m", "a submodule")
    _config(inner, "core.fsmonitor", command, "filter.evil.clean", f"{command}; cat")
    inner.write({"file": "22", ".gitattributes": "* filter=evil\n"})


def _command(folder: Path, canary: Path) -> str:
    """Make a program that leaves a trace when it runs."""
    path = folder / "evil"
    path.write_text(f"#!/bin/sh\ntouch {canary}\n")
    path.chmod(0o755)
    return str(path)


ROUTES: list[Plant] = [_hooks, _fsmonitor, _filters, _diff, _merge_driver, _programs, _alias_and_include, _nested]


@pytest.mark.parametrize("plant", ROUTES, ids=lambda plant: plant.__name__.strip("_"))
async def test_no_planted_command_runs(desk: Desk, tmp_path: Path, plant: Plant) -> None:
    canary = tmp_path / "ran"
    command = _command(tmp_path, canary)
    prepared, agent = await desk.prepare()
    agent.commit({"x.py": "1", "README.md": "# changed\n"})
    plant(agent, command)
    agent.write({"app.py": "dirty", "y.py": "new"})
    canary.unlink(missing_ok=True)  # the agent's own git may have run it: that is the agent's business

    assert await desk.workspace.archive(desk.spec) is not None
    await desk.workspace.collect(desk.spec, prepared)
    desk.next_run(RunMode.CONTINUATION, base=prepared.base)
    again, _ = await desk.prepare()
    await desk.workspace.archive(desk.spec)
    await desk.workspace.collect(desk.spec, again)
    await desk.workspace.remove(desk.spec.task)
    assert not canary.exists()


@pytest.mark.parametrize("plant", [_fsmonitor, _filters, _nested], ids=lambda plant: plant.__name__.strip("_"))
async def test_the_planted_commands_are_live(desk: Desk, tmp_path: Path, plant: Plant) -> None:
    """The canary's own proof: an ordinary ``git status`` or ``add`` in the same working copy does run it."""
    canary = tmp_path / "ran"
    command = _command(tmp_path, canary)
    _, agent = await desk.prepare()
    plant(agent, command)
    canary.unlink(missing_ok=True)
    agent.write({"app.py": "dirty"})
    agent.git("add", "--all", check=False)
    assert canary.exists()


async def test_what_an_agent_configured_does_not_outlive_its_run(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    _config(agent, "core.fsmonitor", "/evil", "user.name", "Mallory")
    agent.write({".git/hooks/pre-commit": "evil", ".git/info/exclude": "*\n"})
    await desk.workspace.archive(desk.spec)
    desk.next_run(RunMode.CONTINUATION, base=prepared.base)
    again, agent = await desk.prepare()
    assert "evil" not in agent.git("config", "--list", "--local")
    assert not (again.worktree / ".git/hooks").exists()


async def test_attributes_that_would_make_git_fail_do_not_stop_the_archive(desk: Desk) -> None:
    _, agent = await desk.prepare()
    agent.write({".gitattributes": "* working-tree-encoding=no-such-thing filter=none text eol=crlf\n", "x": b"\xff\xfe\r\n"})
    archive = await desk.workspace.archive(desk.spec)
    kept = Repo(desk.mirror.path).tree(str(archive))
    assert kept["x"].encode("utf-8", "surrogateescape") == b"\xff\xfe\r"  # its newline is cut by the reader


async def test_odd_things_among_the_files_do_not_stop_the_archive(desk: Desk, tmp_path: Path) -> None:
    prepared, agent = await desk.prepare()
    os.mkfifo(prepared.worktree / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    here = os.open(prepared.worktree, os.O_RDONLY)
    try:
        listener.bind(f"/proc/self/fd/{here}/socket")
    finally:
        os.close(here)
        listener.close()
    (prepared.worktree / "loop").symlink_to("loop")
    (prepared.worktree / "out").symlink_to(tmp_path)
    agent.write({"-rf": "1", "--all": "2", "new\nline": "3", "ünïcode ☃": "4", ":(top)magic": "5", ".GIT/config": "evil"})
    (prepared.worktree / os.fsdecode(b"bytes-\xff")).write_text("6")
    archive = await desk.workspace.archive(desk.spec)
    kept = Repo(desk.mirror.path).tree(str(archive))
    assert {"-rf", "--all", "new\nline", "ünïcode ☃", ":(top)magic", os.fsdecode(b"bytes-\xff"), "loop"} <= set(kept)
    assert kept["out"] == str(tmp_path)  # the link itself, nothing behind it
    assert ".GIT/config" not in kept
    desk.next_run(RunMode.CONTINUATION, base=prepared.base)
    again, _ = await desk.prepare()
    assert (again.worktree / "--all").read_text() == "2"


@pytest.mark.parametrize("kind", ["file", "link", "link to another repository", "pipe"])
async def test_a_git_directory_that_became_something_else_is_not_followed(desk: Desk, tmp_path: Path, kind: str) -> None:
    prepared, agent = await desk.prepare()
    secret = Repo(tmp_path / "secret")
    secret.path.mkdir()
    secret.git("init", "--quiet", f"--initial-branch={BRANCH}")
    secret.commit({"secret": "of another project"})
    stolen = tmp_path / "moved"
    (prepared.worktree / ".git").rename(stolen)
    match kind:
        case "file":
            (prepared.worktree / ".git").write_text(f"gitdir: {secret.path}/.git\n")
        case "link":
            (prepared.worktree / ".git").symlink_to(stolen)
        case "link to another repository":
            (prepared.worktree / ".git").symlink_to(secret.path / ".git")
        case "pipe":
            os.mkfifo(prepared.worktree / ".git")
    agent.write({"x": "1"})
    archive = await desk.workspace.archive(desk.spec)
    kept = Repo(desk.mirror.path)
    assert kept.tree(str(archive))["x"] == "1"
    assert "secret" not in kept.git("log", "--all", "--name-only", "--format=")
    assert (await desk.refused(prepared)).kind is RefusalKind.HISTORY


@pytest.mark.parametrize("route", ["alternates", "object link", "pack link", "folder link"])
async def test_G13_objects_of_another_repository_cannot_be_borrowed(desk: Desk, tmp_path: Path, route: str) -> None:
    secret = Repo(tmp_path / "secret")
    secret.path.mkdir()
    secret.git("init", "--quiet")
    theirs = secret.commit({"secret": "of another project"})
    prepared, agent = await desk.prepare()
    objects, foreign = prepared.worktree / ".git/objects", secret.path / ".git/objects"
    match route:
        case "alternates":
            (objects / "info/alternates").write_text(f"{desk.mirror.objects}\n{foreign}\n")
        case "object link":
            for path in foreign.glob("??/*"):
                (objects / path.parent.name).mkdir(exist_ok=True)
                (objects / path.parent.name / path.name).symlink_to(path)
        case "pack link":
            secret.git("repack", "-adq")
            for path in (foreign / "pack").iterdir():
                (objects / "pack" / path.name).symlink_to(path)
        case "folder link":
            for path in foreign.glob("??"):
                (objects / path.name).symlink_to(path)
    agent.git("update-ref", f"refs/heads/{BRANCH}", theirs)
    await desk.workspace.archive(desk.spec)
    assert (await desk.refused(prepared)).kind is RefusalKind.HISTORY
    assert Repo(desk.mirror.path).git("cat-file", "-t", theirs, check=False) == ""
    assert not desk.remote.has(f"refs/heads/{BRANCH}")


@pytest.mark.parametrize("folder", ["worktree", "home"])
async def test_a_folder_replaced_by_a_link_is_made_anew(desk: Desk, tmp_path: Path, folder: str) -> None:
    prepared, _ = await desk.prepare()
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("keep")
    path = prepared.worktree.parent / folder
    shutil.rmtree(path)
    path.symlink_to(precious)
    await desk.workspace.archive(desk.spec)
    desk.next_run(RunMode.NEW_ATTEMPT, base=prepared.base)
    await desk.prepare()
    assert not path.is_symlink()
    assert (precious / "file").read_text() == "keep"
    await desk.workspace.remove(desk.spec.task)
    assert (precious / "file").read_text() == "keep"


def _link(target: str) -> Callable[[Repo], None]:
    def plant(repo: Repo) -> None:
        (repo.path / "sub").mkdir(exist_ok=True)
        (repo.path / "sub" / "link").symlink_to(target)

    return plant


def _gitlink(repo: Repo) -> None:
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    repo.git("commit", "--quiet", "-m", "a submodule")


def _gitmodules(repo: Repo) -> None:
    repo.write({".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = -evil\n'})


def _nested_folder(repo: Repo) -> None:
    repo.write({"inner/file": "1"})
    Repo(repo.path / "inner").git("init", "--quiet")


def _dot_git_tree(repo: Repo) -> None:
    """A tree that names ``.git``: git refuses to add one, so it is made object by object."""
    blob = repo.git("hash-object", "-w", "app.py")
    listing = repo.path / ".git" / "listing"
    listing.write_bytes(b"100644 .git\0" + bytes.fromhex(blob))
    tree = repo.git("hash-object", "-t", "tree", "--literally", "-w", ".git/listing")
    commit = repo.git("commit-tree", tree, "-p", "HEAD", "-m", "evil")
    repo.git("update-ref", "HEAD", commit)


@pytest.mark.parametrize(
    ("plant", "named"),
    [
        (_link("/etc/passwd"), "sub/link"),
        (_link("../../outside"), "sub/link"),
        (_link("../sub/../../outside"), "sub/link"),
        (_link("../.git/config"), "sub/link"),
        (_gitlink, "module"),
        (_gitmodules, ".gitmodules"),
        (_nested_folder, "inner"),
    ],
    ids=["absolute link", "climbing link", "link through a folder", "link into .git", "gitlink", "gitmodules", "nested"],
)
async def test_what_leads_elsewhere_is_not_pushed(desk: Desk, plant: Callable[[Repo], None], named: str) -> None:
    prepared, agent = await desk.prepare()
    agent.commit({"x.py": "1"})
    plant(agent)
    refused = await desk.refused(prepared)
    assert (refused.kind, named in refused.reason) == (RefusalKind.PATHS, True), refused
    assert not desk.remote.has(f"refs/heads/{BRANCH}")


CANARY = "plane_api_of_the_daemon_41c2"


def _secret_in_a_file(repo: Repo) -> None:
    repo.commit({"notes.md": f"found it: {CANARY}\n"})


def _secret_encoded(repo: Repo) -> None:
    repo.commit({"notes.md": base64.b64encode(f"a:{CANARY}".encode()).decode()})


def _secret_that_was_taken_out_again(repo: Repo) -> None:
    repo.commit({"notes.md": CANARY})
    repo.commit({"notes.md": "nothing"})


def _secret_in_a_message(repo: Repo) -> None:
    repo.write({"x.py": "2"})
    repo.git("commit", "--quiet", "--all", "-m", f"It is\n\n{CANARY}")


def _secret_as_a_name(repo: Repo) -> None:
    repo.commit({f"docs/{CANARY}.md": "x"})


@pytest.mark.parametrize(
    "plant",
    [_secret_in_a_file, _secret_encoded, _secret_that_was_taken_out_again, _secret_in_a_message, _secret_as_a_name],
    ids=lambda plant: plant.__name__.strip("_"),
)
async def test_G13_a_branch_that_holds_a_secret_is_not_pushed(
    desk: Desk, plant: Callable[[Repo], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_needles", ())
    logs.register_secret(CANARY)
    prepared, agent = await desk.prepare()
    agent.commit({"x.py": "1"})
    plant(agent)
    refused = await desk.refused(prepared)
    assert (refused.kind, "secret" in refused.reason) == (RefusalKind.PATHS, True), refused
    assert CANARY not in refused.reason
    assert not desk.remote.has(f"refs/heads/{BRANCH}")


async def test_a_commit_that_names_the_git_directory_is_not_pushed(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    agent.write({"x.py": "1"})
    _dot_git_tree(agent)
    archive = await desk.workspace.archive(desk.spec)
    assert Repo(desk.mirror.path).tree(str(archive))["x.py"] == "1"
    refused = await desk.refused(prepared)
    assert (refused.kind, ".git" in refused.reason) == (RefusalKind.HISTORY, True)


async def test_links_inside_the_repository_are_accepted(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    agent.write({"sub/deep/file": "1"})
    (agent.path / "sub/deep/link").symlink_to("../../app.py")
    (agent.path / "plain").symlink_to("sub/deep")
    assert (await desk.collected(prepared)).facts.head == desk.remote.tip(BRANCH)


async def test_an_ignored_nested_repository_is_nobodys_business(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    agent.write({".gitignore": "vendor/\n", "vendor/lib/file": "1"})
    Repo(agent.path / "vendor/lib").git("init", "--quiet")
    facts = (await desk.collected(prepared)).facts
    assert "vendor/lib/file" not in desk.remote.tree(facts.head)


async def test_a_file_that_git_cannot_take_is_a_refusal(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    agent.write({"x.py": "1", ".GIT/config": "evil"})
    refused = await desk.refused(prepared)
    assert (refused.kind, ".GIT/config" in refused.reason) == (RefusalKind.PATHS, True)


async def test_a_hostile_branch_name_in_head_names_nothing(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    agent.write({".git/HEAD": "ref: refs/../../../../etc/passwd\n"})
    assert (await desk.workspace.archive(desk.spec)) is not None
    assert read_head(prepared.worktree / ".git") == (None, None)


# ---------------------------------------------------------------------------------------------- reading by hand


def test_files_are_opened_without_following_anything(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "secret").write_text("1" * 40)
    (tmp_path / "root/link").symlink_to(tmp_path / "secret")
    (tmp_path / "root/folder").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "root/pipe")
    (tmp_path / "root/plain").write_text("x" * 10_000)
    assert read_inside(tmp_path / "root", "link") is None
    assert read_inside(tmp_path / "root", "folder/secret") is None
    assert read_inside(tmp_path / "root", "pipe") is None
    assert read_inside(tmp_path / "root", "absent/file") is None
    assert read_inside(tmp_path / "root", "plain", limit=100) == b"x" * 100


def test_refs_are_read_loose_or_packed_and_only_as_object_ids(tmp_path: Path) -> None:
    (tmp_path / "refs/heads").mkdir(parents=True)
    (tmp_path / "refs/heads/a").write_text("a" * 40 + "\n")
    (tmp_path / "refs/heads/bad").write_text("--upload-pack=evil\n")
    (tmp_path / "packed-refs").write_text(
        f"# pack-refs with: peeled\n{'b' * 40} refs/heads/b\n^{'c' * 40}\n{'d' * 40} refs/heads/a\n"
    )
    (tmp_path / "HEAD").write_text("ref: refs/heads/a\n")
    assert read_ref(tmp_path, "refs/heads/a") == Sha("a" * 40)
    assert read_ref(tmp_path, "refs/heads/b") == Sha("b" * 40)
    assert read_ref(tmp_path, "refs/heads/bad") is None
    assert read_head(tmp_path) == ("refs/heads/a", Sha("a" * 40))


@pytest.mark.parametrize(
    ("path", "target", "out"),
    [
        (b"link", b"file", False),
        (b"a/b/link", b"../../file", False),
        (b"a/b/link", b"./../x/./y", False),
        (b"link", b"..", True),
        (b"a/link", b"../..", True),
        (b"a/link", b"../../a/file", True),
        (b"a/link", b"b/../../..", True),
        (b"link", b"/", True),
        (b"link", b"", True),
        (b"link", None, True),
        (b"link", b".GIT/hooks", True),
        (b"link", b"..file", False),
    ],
)
def test_where_a_link_leads(path: bytes, target: bytes | None, out: bool) -> None:
    assert leads_out(path, target) is out


def test_a_tree_is_removed_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "keep").mkdir()
    (tmp_path / "keep/file").write_text("keep")
    (tmp_path / "tree/locked").mkdir(parents=True)
    (tmp_path / "tree/locked/file").write_text("x")
    (tmp_path / "tree/link").symlink_to(tmp_path / "keep")
    (tmp_path / "tree/locked").chmod(0o000)
    remove_tree(tmp_path / "tree")
    (tmp_path / "alias").symlink_to(tmp_path / "keep")
    remove_tree(tmp_path / "alias")
    remove_tree(tmp_path / "absent")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keep"]
    assert (tmp_path / "keep/file").read_text() == "keep"
