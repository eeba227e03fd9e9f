"""A rework begins with the default branch merged in, conflicts and all; what comes of it lands as one commit of two parents."""

from dataclasses import replace
from pathlib import Path

import pytest

from orch.core.ids import Sha
from orch.core.messages import RefusalKind
from orch.core.model import Candidate, LandStyle, RunMode
from orch.core.stages import Role
from orch.ports.git import CandidateMember, Prepared
from tests.gitrepo import Repo
from tests.integration.git_desk import Desk

PICTURE = bytes(range(256))
Files = dict[str, str | bytes | None]


class Rework(Desk):
    """A task whose first run is pushed; then main moves on, and a second run begins with that merged in."""

    async def begun(self, mine: Files, theirs: Files, *, first: Files | None = None) -> tuple[Prepared, Repo]:
        if first:
            self.person.commit(first, "before the task")
            self.person.git("push", "--quiet", "origin", "main")
        prepared, agent = await self.prepare()
        self.base = prepared.base
        agent.commit(mine, "the task's work")
        await self.workspace.archive(self.spec)
        head = (await self.collected(prepared)).facts.head
        self.main = self.person.commit(theirs, "landed meanwhile")
        self.person.git("push", "--quiet", "origin", "main")
        self.next_run(RunMode.NEW_ATTEMPT, base=self.base, head=head)
        self.spec = replace(self.spec, merge_main=True)
        return await self.prepare()

    async def ended(self, prepared: Prepared) -> Sha:
        await self.workspace.archive(self.spec)
        return (await self.collected(prepared)).facts.head

    async def landed(self, head: Sha, style: LandStyle = LandStyle.REBASE) -> Candidate:
        main = await self.mirror.fetch()
        member = CandidateMember(task=self.spec.task, head=head, message="SHOP-1: add")
        built = await self.mirror.build_candidate(main, [member], style)
        assert isinstance(built, Candidate), built
        return built

    def parents(self, ref: str) -> list[str]:
        return self.inside.git("rev-list", "--parents", "-1", ref).split()[1:]


@pytest.fixture
def desk(tmp_path: Path) -> Rework:
    return Rework(tmp_path)


async def test_a_clean_merge_is_a_commit_of_both_that_the_run_starts_from(desk: Rework) -> None:
    prepared, agent = await desk.begun({"mine.py": "m\n"}, {"theirs.py": "t\n"})
    assert prepared.merged is not None
    assert (prepared.merged.main, prepared.merged.marked, prepared.merged.notes) == (desk.main, (), ())
    assert {"mine.py", "theirs.py"} <= agent.tree().keys()
    assert agent.git("status", "--porcelain") == ""
    assert desk.parents(prepared.start_head) == [desk.spec.head, desk.main]
    agent.commit({"mine.py": "m, after theirs\n"}, "finish")
    head = await desk.ended(prepared)
    facts = await desk.mirror.read_artefacts(head, desk.spec.work_item, prepared.base)
    assert facts.code_head == head


async def test_a_conflict_stands_in_the_file_and_is_resolved_by_editing_and_committing_as_usual(desk: Rework) -> None:
    prepared, agent = await desk.begun({"app.py": "def add(a, b):\n    return b + a\n"}, {"app.py": "def add(a, b, c=0): ...\n"})
    assert prepared.merged is not None
    assert prepared.merged.marked == ("app.py",)
    text = (prepared.worktree / "app.py").read_text()
    assert (f"<<<<<<< {desk.spec.head}" in text, f">>>>>>> {desk.main}" in text) == (True, True)
    assert agent.git("status", "--porcelain") == ""
    agent.commit({"app.py": "def add(a, b, c=0):\n    return b + a + c\n"}, "Resolve")
    head = await desk.ended(prepared)
    for style in LandStyle:
        candidate = await desk.landed(head, style)
        tree = desk.inside.tree(candidate.sha)
        assert tree["app.py"].endswith("return b + a + c")
        own = desk.inside.git("rev-list", "--first-parent", f"{desk.main}..{candidate.sha}").split()
        assert own == [candidate.sha], "a branch that holds a merge lands as one commit"
        if style is not LandStyle.MERGE:
            assert desk.parents(candidate.sha) == [desk.main]


async def test_what_the_agent_leaves_uncommitted_keeps_both_parents(desk: Rework) -> None:
    prepared, agent = await desk.begun({"app.py": "mine\n"}, {"app.py": "theirs\n"})
    agent.write({"app.py": "both\n"})
    head = await desk.ended(prepared)
    assert desk.inside.git("merge-base", head, desk.main) == desk.main
    assert desk.inside.git("merge-base", head, str(desk.spec.head)) == desk.spec.head
    assert desk.inside.tree((await desk.landed(head)).sha)["app.py"] == "both"


@pytest.mark.parametrize("left", ["untouched", "half", "moved", "committed"])
async def test_markers_that_are_left_refuse_the_result_with_that_reason(desk: Rework, left: str) -> None:
    prepared, agent = await desk.begun({"app.py": "mine\n"}, {"app.py": "theirs\n"})
    match left:
        case "half":
            agent.commit({"app.py": f"mine\n>>>>>>> {desk.main}\n"}, "forgot one")
        case "moved":
            agent.git("mv", "app.py", "moved.py")
            agent.commit({}, "moved, not resolved")
        case "committed":
            agent.commit({"other.py": "x\n"}, "something else")
    await desk.workspace.archive(desk.spec)
    refusal = await desk.refused(prepared)
    assert refusal.kind is RefusalKind.MARKERS
    assert ("moved.py" if left == "moved" else "app.py") in refusal.reason
    assert desk.remote.tip(desk.spec.branch) == desk.spec.head, "nothing was pushed"


async def test_text_that_only_looks_like_a_marker_is_the_project_s_own(desk: Rework) -> None:
    page = "<<<<<<< HEAD\nours\n=======\ntheirs\n>>>>>>> topic\n"
    prepared, agent = await desk.begun({"conflicts.md": page}, {"theirs.py": "t\n"})
    assert prepared.merged is not None
    assert prepared.merged.marked == ()
    agent.commit({"mine.py": "m\n"}, "finish")
    await desk.ended(prepared)


async def test_binary_and_one_sided_conflicts_are_told_because_no_marker_shows_them(desk: Rework) -> None:
    prepared, agent = await desk.begun(
        {"picture.bin": PICTURE + b"mine", "gone.py": None, "kept.py": "changed by the task\n"},
        {"picture.bin": PICTURE + b"theirs", "gone.py": "changed on main\n", "kept.py": None},
        first={"picture.bin": PICTURE, "gone.py": "old\n", "kept.py": "old\n"},
    )
    assert prepared.merged is not None
    assert prepared.merged.marked == ()
    told = "\n".join(prepared.merged.notes)
    assert all(name in told for name in ("picture.bin", "gone.py", "kept.py"))
    assert ("the branch" in told, "the default branch" in told, desk.main in told) == (True, True, False)
    assert (prepared.worktree / "picture.bin").read_bytes() == PICTURE + b"mine"
    assert (prepared.worktree / "gone.py").read_text() == "changed on main\n"
    assert (prepared.worktree / "kept.py").read_text() == "changed by the task\n"
    agent.commit({"picture.bin": PICTURE + b"both", "gone.py": None}, "Decide")
    tree = desk.inside.tree((await desk.landed(await desk.ended(prepared))).sha)
    assert ("gone.py" in tree, tree["kept.py"]) == (False, "changed by the task")


async def test_no_driver_or_filter_of_the_repository_runs(desk: Rework) -> None:
    trap = desk.folder / "trap"
    hostile = f'[merge "evil"]\n\tdriver = touch {trap}\n[filter "evil"]\n\tsmudge = touch {trap}\n\tclean = touch {trap}\n'
    attributes = "app.py merge=evil filter=evil\n"
    prepared, agent = await desk.begun(
        {"app.py": "mine\n", ".gitattributes": attributes, ".gitconfig": hostile},
        {"app.py": "theirs\n", ".gitattributes": attributes},
    )
    assert prepared.merged is not None
    assert "app.py" in prepared.merged.marked
    with (prepared.worktree / ".git" / "config").open("a") as file:
        file.write(hostile)
    agent.write({"app.py": "both\n"})
    await desk.ended(prepared)
    assert not trap.exists()


async def test_a_branch_that_has_main_already_begins_as_it_is(desk: Rework) -> None:
    prepared, agent = await desk.begun({"mine.py": "m\n"}, {"theirs.py": "t\n"})
    agent.commit({"more.py": "x\n"}, "more")
    head = await desk.ended(prepared)
    desk.next_run(RunMode.NEW_ATTEMPT, head=head)
    again, _ = await desk.prepare()
    assert (again.merged, again.start_head) == (None, head)


async def test_a_continuation_goes_on_in_the_half_resolved_merge_and_its_markers_count(desk: Rework) -> None:
    prepared, agent = await desk.begun({"app.py": "mine\n", "b.py": "mine\n"}, {"app.py": "theirs\n", "b.py": "theirs\n"})
    agent.write({"app.py": "both\n"})
    await desk.workspace.archive(desk.spec)
    first = desk.spec.run
    desk.next_run(RunMode.CONTINUATION)
    desk.spec = replace(desk.spec, continues=first)
    again, agent = await desk.prepare()
    assert (again.worktree / "app.py").read_text() == "both\n"
    assert "<<<<<<<" in (again.worktree / "b.py").read_text()
    assert again.start_head == prepared.start_head
    await desk.workspace.archive(desk.spec)
    assert (await desk.refused(again)).kind is RefusalKind.MARKERS
    third = desk.spec.run
    desk.next_run(RunMode.CONTINUATION)
    desk.spec = replace(desk.spec, continues=third)
    last, agent = await desk.prepare()
    agent.write({"b.py": "both\n"})
    await desk.ended(last)


async def test_the_merge_is_the_daemon_s_change_and_not_the_agent_s(desk: Rework) -> None:
    """Were it an agent of a narrow role, what came from main would not count as changed by it."""
    prepared, agent = await desk.begun({"mine.py": "m\n"}, {"theirs.py": "t\n"})
    desk.spec = replace(desk.spec, role=Role.REVIEWER, allowed=("docs/work-items/SHOP-1/",))
    agent.commit({"docs/work-items/SHOP-1/07-review.md": "fine\n"}, "review")
    await desk.ended(prepared)
