"""A task's working copy, told as runs: prepared, worked in, collected, removed."""

from dataclasses import replace
from pathlib import Path

import pytest

from orch.core.errors import LeaseLost, PermanentError, TransientError
from orch.core.ids import Branch, RunId, TaskRow, WorkItemId
from orch.core.messages import CommandReport, CommandVerdict, RefusalKind
from orch.core.model import RunMode
from orch.core.stages import Role
from tests.gitrepo import Repo
from tests.integration.git_desk import BRANCH, FOLDER, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# ---------------------------------------------------------------------------------------------- prepare


async def test_the_first_run_cuts_the_branch_from_the_fresh_default_branch(desk: Desk) -> None:
    await desk.mirror.fetch()
    tip = desk.person.commit({"late.py": "landed while the task waited"})
    desk.person.git("push", "--quiet", "origin", "main")
    prepared, agent = await desk.prepare()
    assert prepared.base == tip
    assert agent.git("symbolic-ref", "HEAD") == f"refs/heads/{BRANCH}"
    assert agent.git("rev-parse", "HEAD^") == tip
    assert agent.git("status", "--porcelain") == ""
    assert agent.tree()[f"{FOLDER}/00-request.md"] == "# Add\nPlease add."
    assert agent.git("log", "-1", "--format=%an <%ae>") == "Orch <orch@localhost>"
    assert not desk.remote.has(f"refs/heads/{BRANCH}")  # nothing is pushed yet


async def test_the_working_copy_is_a_repository_of_its_own_without_a_remote(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    assert (prepared.worktree / ".git").is_dir()
    assert agent.git("remote") == ""
    assert (prepared.worktree / ".git/objects/info/alternates").read_text() == f"{desk.mirror.objects}\n"
    assert agent.tip("origin/main") == prepared.base
    assert prepared.home.stat().st_mode & 0o777 == 0o700
    assert prepared.worktree == desk.folder / "data/tasks/7/worktree"
    assert prepared.home == desk.folder / "data/tasks/7/home"


async def test_a_default_branch_of_another_name(tmp_path: Path) -> None:
    desk = Desk(tmp_path, branch="trunk")
    prepared, agent = await desk.prepare()
    agent.commit({"x": "1"})
    assert (await desk.collected(prepared)).facts.code_head == agent.tip()


async def test_a_new_attempt_starts_from_the_pinned_head_with_old_artefacts_retired(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    head = agent.commit(
        {f"{FOLDER}/07-review.md": "old verdict", f"{FOLDER}/06-adr/ADR-001-x.md": "adr", f"{FOLDER}/01-brd.md": "brd"}
    )
    await desk.collected(prepared)
    agent.commit({"junk": "of a run that failed"})
    agent.write({"untracked": "junk"})
    desk.next_run(RunMode.NEW_ATTEMPT, base=prepared.base, head=head, retire=("07-review.md", "06-adr/ADR-*.md"))
    prepared, agent = await desk.prepare()
    assert agent.git("rev-parse", "HEAD^") == head
    assert prepared.start_head == agent.tip()
    assert set(agent.tree()) == {
        "README.md", "app.py", f"{FOLDER}/00-request.md", f"{FOLDER}/01-brd.md",
        f"{FOLDER}/history/2-07-review.md", f"{FOLDER}/history/2-06-adr-ADR-001-x.md",
    }  # fmt: skip
    assert agent.git("status", "--porcelain") == ""
    facts = (await desk.collected(prepared)).facts
    assert set(facts.artefacts) == {"00-request.md", "01-brd.md"}


async def test_nothing_to_retire_makes_no_commit(desk: Desk) -> None:
    prepared, _ = await desk.prepare()
    head = (await desk.collected(prepared)).facts.head
    desk.next_run(RunMode.NEW_ATTEMPT, base=prepared.base, head=head, retire=("07-review.md",))
    prepared, _ = await desk.prepare()
    assert prepared.start_head == head


async def test_a_request_behind_a_link_of_the_repository_stays_inside(desk: Desk, tmp_path: Path) -> None:
    (desk.person.path / "docs").symlink_to(tmp_path)
    desk.person.commit({}, "docs lead out")
    desk.person.git("push", "--quiet", "origin", "main")
    prepared, _ = await desk.prepare()
    assert (prepared.worktree / FOLDER / "00-request.md").read_text().startswith("# Add")
    assert not (prepared.worktree / "docs").is_symlink()
    assert not (tmp_path / "work-items").exists()


async def test_setup_runs_in_the_working_copy_as_the_projects_code(desk: Desk) -> None:
    desk.spec = replace(desk.spec, setup_command=("npm", "ci"))
    prepared, _ = await desk.prepare()
    assert desk.commands.calls == [(("npm", "ci"), prepared.worktree, "shop")]


@pytest.mark.parametrize(
    ("verdict", "error"),
    [
        (CommandVerdict.RED, PermanentError),
        (CommandVerdict.TIMEOUT, TransientError),
        (CommandVerdict.INTERRUPTED, TransientError),
        (CommandVerdict.INFRA, TransientError),
    ],
)
async def test_a_setup_that_fails_tells_whose_fault_it_is(desk: Desk, verdict: CommandVerdict, error: type[Exception]) -> None:
    desk.spec = replace(desk.spec, setup_command=("npm", "ci"))
    desk.commands.report = CommandReport(verdict=verdict, exit_code=1, tail="npm ERR! lock file")
    with pytest.raises(error, match="npm ERR! lock file"):
        await desk.prepare()
    assert await desk.workspace.archive(desk.spec) is None


# ---------------------------------------------------------------------------------------------- collect


async def test_a_succeeded_run_is_committed_fetched_and_pushed(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    agent.commit({"x.py": "1"})
    agent.write({f"{FOLDER}/01-brd.md": "---\nkind: brd\n---\nText\n"})
    await desk.workspace.archive(desk.spec)
    facts = (await desk.collected(prepared)).facts
    assert facts.head == desk.remote.tip(BRANCH) == desk.inside.tip("refs/agents/1/1")
    assert facts.code_head == agent.tip()
    assert facts.artefacts["01-brd.md"].front == {"kind": "brd"}
    assert desk.remote.git("log", "-1", "--format=%an|%s", BRANCH) == "Orch|Keep uncommitted work of the developer (run 1)"


async def test_G10_collecting_again_after_a_crash_changes_nothing(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    agent.commit({"x.py": "1"})
    agent.write({"left.py": "1"})
    first = await desk.collected(prepared)
    desk.workspace = desk.another_daemon()
    assert await desk.collected(prepared) == first


async def test_G10_a_push_that_was_not_recorded_is_taken_for_ours(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    agent.write({"x.py": "1"})
    await desk.collected(prepared)  # and the daemon dies before the head is recorded
    desk.next_run(RunMode.CONTINUATION)
    prepared, agent = await desk.prepare()
    agent.write({"y.py": "1"})
    facts = (await desk.collected(prepared)).facts
    assert facts.head == desk.remote.tip(BRANCH)
    assert {"x.py", "y.py"} <= set(desk.remote.tree(BRANCH))


async def test_G4_a_branch_that_somebody_moved_is_not_overwritten(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    head = (await desk.collected(prepared)).facts.head
    desk.next_run(RunMode.NEW_ATTEMPT, base=prepared.base, head=head)
    prepared, agent = await desk.prepare()
    agent.commit({"x.py": "1"})
    desk.person.switch(BRANCH, "main")
    theirs = desk.person.commit({"person.py": "1"})
    desk.person.git("push", "--quiet", "--force", "origin", BRANCH)
    refused = await desk.refused(prepared)
    assert refused.kind is RefusalKind.REMOTE_MOVED
    assert desk.remote.tip(BRANCH) == theirs
    assert desk.inside.tip("refs/agents/2/2") == agent.tip()  # the run's result is kept


async def test_G4_a_branch_rewound_to_an_older_head_of_ours_is_not_overwritten(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    first = (await desk.collected(prepared)).facts.head
    desk.next_run(RunMode.NEW_ATTEMPT, base=prepared.base, head=first)
    prepared, agent = await desk.prepare()
    second = agent.commit({"x.py": "1"})
    await desk.collected(prepared)
    desk.next_run(RunMode.NEW_ATTEMPT, head=second)
    prepared, agent = await desk.prepare()
    agent.commit({"y.py": "1"})
    desk.remote.git("update-ref", f"refs/heads/{BRANCH}", first)
    assert (await desk.refused(prepared)).kind is RefusalKind.REMOTE_MOVED
    assert desk.remote.tip(BRANCH) == first


async def test_a_branch_deleted_on_the_remote_is_pushed_again(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    head = (await desk.collected(prepared)).facts.head
    desk.next_run(RunMode.NEW_ATTEMPT, base=prepared.base, head=head)
    prepared, agent = await desk.prepare()
    agent.commit({"x.py": "1"})
    desk.remote.git("update-ref", "-d", f"refs/heads/{BRANCH}")
    facts = (await desk.collected(prepared)).facts
    assert desk.remote.tip(BRANCH) == facts.head


async def test_G5_a_stale_run_pushes_nothing(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    agent.commit({"x.py": "1"})
    desk.allowed_to_push = False
    with pytest.raises(LeaseLost):
        await desk.workspace.collect(desk.spec, prepared)
    assert not desk.remote.has(f"refs/heads/{BRANCH}")


async def test_rewritten_history_is_refused(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    agent.git("reset", "--quiet", "--hard", "HEAD~1")
    agent.commit({"x.py": "1"})
    refused = await desk.refused(prepared)
    assert (refused.kind, prepared.start_head[:10] in refused.reason) == (RefusalKind.HISTORY, True)
    assert not desk.remote.has(f"refs/heads/{BRANCH}")


async def test_a_role_that_leaves_its_folder_is_refused_by_name(desk: Desk) -> None:
    desk.spec = replace(desk.spec, role=Role.ANALYST, allowed=(FOLDER,))
    prepared, agent = await desk.prepare()
    agent.write({f"{FOLDER}/01-brd.md": "fine"} | {f"src/{n:02}.py": "not mine" for n in range(12)})
    agent.commit({f"{FOLDER}x/trick": "a neighbour with the same beginning", "новый\nфайл": "odd name"})
    refused = await desk.refused(prepared)
    assert refused.kind is RefusalKind.PATHS
    assert "src/07.py" in refused.reason
    assert "and 4 more" in refused.reason
    assert "\n" not in refused.reason


async def test_a_role_inside_its_folder_is_accepted(desk: Desk) -> None:
    desk.spec = replace(desk.spec, role=Role.ANALYST, allowed=(FOLDER,))
    prepared, agent = await desk.prepare()
    agent.write({f"{FOLDER}/01-brd.md": "fine"})
    facts = (await desk.collected(prepared)).facts
    assert facts.code_head is None


async def test_a_branch_that_somebody_else_has_pushed_is_left_alone_and_ours_gets_another_name(desk: Desk) -> None:
    theirs = desk.person.commit({"theirs.py": "pass"})
    desk.person.git("push", "--quiet", str(desk.remote.path), f"{theirs}:refs/heads/{BRANCH}")
    prepared, agent = await desk.prepare()
    assert prepared.branch == f"{BRANCH}-{prepared.base[:7]}"
    agent.commit({"ours.py": "pass"})
    desk.spec = replace(desk.spec, branch=prepared.branch)
    facts = (await desk.collected(prepared)).facts
    assert (desk.remote.tip(f"refs/heads/{BRANCH}"), desk.remote.tip(f"refs/heads/{prepared.branch}")) == (theirs, facts.head)


async def test_what_a_run_leaves_beside_its_folder_uncommitted_is_archived_and_not_published(desk: Desk) -> None:
    desk.spec = replace(desk.spec, role=Role.TESTER, allowed=(f"{FOLDER}/",))
    prepared, agent = await desk.prepare()
    agent.write({f"{FOLDER}/08-test-report.md": "fine", "report.xml": "a by-product", "__pycache__/app.pyc": "cache"})
    facts = (await desk.collected(prepared)).facts
    assert desk.inside.git("ls-tree", "-r", "--name-only", facts.head, "--", "report.xml", "__pycache__", FOLDER).split() == [
        f"{FOLDER}/00-request.md",
        f"{FOLDER}/08-test-report.md",
    ]
    assert "report.xml" in desk.inside.git("ls-tree", "--name-only", "refs/orch/archive/7/1")


async def test_a_tracked_file_changed_beside_the_folder_is_refused_committed_or_not(desk: Desk) -> None:
    desk.spec = replace(desk.spec, role=Role.TESTER, allowed=(FOLDER,))
    prepared, agent = await desk.prepare()
    known = agent.git("ls-files", "--", ":!docs").split()[0]
    agent.write({f"{FOLDER}/08-test-report.md": "fine", known: "changed"})
    assert known in (await desk.refused(prepared)).reason


async def test_caches_are_not_published_by_a_developer_without_a_gitignore(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    agent.write({"src/new.py": "pass", "src/__pycache__/new.cpython-311.pyc": "cache"})
    agent.git("add", "-A")
    head = (await desk.collected(prepared)).facts.head
    assert desk.inside.git("ls-tree", "-r", "--name-only", head, "--", "src").split() == ["src/new.py"]


async def test_changes_of_an_interrupted_run_are_judged_in_its_continuation(desk: Desk) -> None:
    desk.spec = replace(desk.spec, role=Role.ANALYST, allowed=(FOLDER,))
    prepared, agent = await desk.prepare()
    agent.commit({"app.py": "not mine"})
    await desk.workspace.archive(desk.spec)
    desk.next_run(RunMode.CONTINUATION, base=prepared.base)
    prepared, _ = await desk.prepare()
    assert (await desk.refused(prepared)).kind is RefusalKind.PATHS


async def test_an_oversized_file_is_refused_even_when_it_was_removed_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orch.adapters.git.checks.MAX_BLOB", 1000)
    prepared, agent = await desk.prepare()
    agent.commit({"big.bin": b"\0" * 1001})
    agent.commit({"big.bin": None})
    refused = await desk.refused(prepared)
    assert (refused.kind, "big.bin" in refused.reason) == (RefusalKind.OVERSIZED, True)


async def test_merging_the_default_branch_brings_its_own_files_in(desk: Desk) -> None:
    """What main holds already is main's business: its links and sizes are not judged again."""
    prepared, agent = await desk.prepare()
    (desk.person.path / "absolute").symlink_to("/etc/hostname")
    desk.person.commit({"main.py": "1"})
    desk.person.git("push", "--quiet", "origin", "main")
    await desk.mirror.fetch()
    agent.commit({"x.py": "1"})
    agent.git("merge", "--quiet", "-m", "merge main", str(desk.mirror.tracked("main")))
    facts = (await desk.collected(prepared)).facts
    assert facts.code_head == agent.tip()


# ---------------------------------------------------------------------------------------------- remove


async def test_G7_removing_keeps_the_last_state_and_the_documents(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    agent.write({"x.py": "1", f"{FOLDER}/01-brd.md": "brd"})
    (prepared.home / "session").write_text("private")
    await desk.workspace.remove(desk.spec.task)
    assert not (desk.folder / "data/tasks/7").exists()
    assert desk.inside.tree("refs/orch/archive/7/1")["x.py"] == "1"
    assert desk.inside.tree("refs/orch/docs/7/1") == {"00-request.md": "# Add\nPlease add.", "01-brd.md": "brd"}
    await desk.workspace.remove(desk.spec.task)  # again, after a crash


async def test_two_tasks_share_nothing(desk: Desk) -> None:
    one, agent = await desk.prepare()
    agent.commit({"x.py": "1"})
    other = replace(desk.spec, task=TaskRow(8), run=RunId(2), work_item=WorkItemId("SHOP-2"), branch=Branch("feature/SHOP-2-b"))
    two = await desk.workspace.prepare(other)
    assert one.worktree != two.worktree
    assert set(Repo(two.worktree).tree()) == {"README.md", "app.py", "docs/work-items/SHOP-2/00-request.md"}
    await desk.workspace.remove(TaskRow(8))
    assert agent.tip()
