"""Candidates of real git: every land style against clean, conflicting, merge-holding and already contained branches."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from orch.adapters.git import Git, GitMirror
from orch.core.ids import ProjectName, Sha, TaskRow
from orch.core.model import Candidate, LandStyle
from orch.ports.git import BuiltChain, CandidateMember, ChainSpec, LeftOut
from tests.gitrepo import Repo, make_repo, remote_of

STYLES = list(LandStyle)


class Bench:
    """One repository in which a person makes branches, and a mirror of it."""

    def __init__(self, folder: Path) -> None:
        self.repo = make_repo(folder / "repo", branch="trunk", files={"a.txt": "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "b.txt": "b\n"})
        self.root = self.repo.tip()
        self.mirror = GitMirror(
            folder / "m.git", remote_of(self.repo), project=ProjectName("shop"), default_branch="trunk", git=Git()
        )

    def branch(self, name: str, *changes: dict[str, str | bytes | None], start: str | None = None) -> Sha:
        self.repo.switch(name, start or "trunk")
        for number, change in enumerate(changes, 1):
            self.repo.commit(change, f"{name} {number}", author=f"Author of {name}")
        sha = self.repo.tip()
        self.repo.switch("trunk")
        return sha

    async def build(self, style: LandStyle, *heads: Sha) -> Candidate | LeftOut:
        base = await self.mirror.fetch()
        members = [CandidateMember(task=TaskRow(n), head=head, message=f"Task {n}\n\nBody") for n, head in enumerate(heads, 1)]
        return await self.mirror.build_candidate(base, members, style)

    async def built(self, style: LandStyle, *heads: Sha) -> Candidate:
        made = await self.build(style, *heads)
        assert isinstance(made, Candidate), made
        return made

    @property
    def inside(self) -> Repo:
        """The mirror, to look into."""
        return Repo(self.mirror.path)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_rebase_replays_each_commit_with_its_author_and_date(bench: Bench) -> None:
    head = bench.branch("feature/x", {"x": "1"}, {"x": "2"})
    bench.repo.commit({"main": "1"}, "main moved")
    made = await bench.built(LandStyle.REBASE, head)
    log = bench.inside.git("log", "-2", "--format=%s|%an|%at|%cn|%ct|%P", made.sha).splitlines()
    first = bench.inside.git("rev-parse", f"{made.sha}~1")
    assert log == [
        f"feature/x 2|Author of feature/x|1700000000|Orch|1700000000|{first}",
        f"feature/x 1|Author of feature/x|1700000000|Orch|1700000000|{made.base}",
    ]
    assert bench.inside.tree(made.sha) == {"a.txt": "1\n2\n3\n4\n5\n6\n7\n8\n9", "b.txt": "b", "main": "1", "x": "2"}


async def test_rebase_merges_lines_as_a_cherry_pick_would(bench: Bench) -> None:
    head = bench.branch("feature/x", {"a.txt": "one\n2\n3\n4\n5\n6\n7\n8\n9\n"}, {"a.txt": "uno\n2\n3\n4\n5\n6\n7\n8\n9\n"})
    bench.repo.commit({"a.txt": "1\n2\n3\n4\n5\n6\n7\n8\nnine\n"}, "main moved")
    made = await bench.built(LandStyle.REBASE, head)
    assert bench.inside.tree(made.sha)["a.txt"] == "uno\n2\n3\n4\n5\n6\n7\n8\nnine"
    assert bench.inside.tree(f"{made.sha}~1")["a.txt"] == "one\n2\n3\n4\n5\n6\n7\n8\nnine"


async def test_rebase_of_a_branch_on_the_tip_keeps_its_commits(bench: Bench) -> None:
    head = bench.branch("feature/x", {"x": "1"}, {"x": "2"})
    made = await bench.built(LandStyle.REBASE, head)
    assert made.sha == head


async def test_squash_makes_one_commit_with_the_pull_requests_message(bench: Bench) -> None:
    head = bench.branch("feature/x", {"x": "1"}, {"x": "2"})
    bench.repo.commit({"main": "1"}, "main moved")
    made = await bench.built(LandStyle.SQUASH, head)
    assert (
        bench.inside.git("log", "-1", "--format=%P|%an|%ae|%B", made.sha).strip()
        == f"{made.base}|Orch|orch@localhost|Task 1\n\nBody"
    )
    assert bench.inside.tree(made.sha)["x"] == "2"


async def test_merge_makes_a_merge_commit_per_member(bench: Bench) -> None:
    one, two = bench.branch("feature/x", {"x": "1"}), bench.branch("feature/y", {"y": "1"})
    made = await bench.built(LandStyle.MERGE, one, two)
    assert bench.inside.git("log", "-1", "--format=%P", made.sha) == f"{made.landed[TaskRow(1)]} {two}"
    assert bench.inside.git("log", "-1", "--format=%P", made.landed[TaskRow(1)]) == f"{made.base} {one}"


@pytest.mark.parametrize("style", STYLES)
async def test_members_are_chained(bench: Bench, style: LandStyle) -> None:
    heads = [bench.branch(f"feature/{name}", {name: name}) for name in "xyz"]
    made = await bench.built(style, *heads)
    assert {"x", "y", "z"} <= set(bench.inside.tree(made.sha))
    assert made.sha == made.landed[TaskRow(3)]
    assert "z" not in bench.inside.tree(made.landed[TaskRow(2)])
    assert bench.inside.git("rev-parse", f"{made.sha}^{{tree}}") == made.tree


@pytest.mark.parametrize("style", STYLES)
async def test_the_same_input_gives_the_same_candidate(bench: Bench, style: LandStyle) -> None:
    head = bench.branch("feature/x", {"x": "1"})
    bench.repo.commit({"main": "1"}, "main moved")
    assert await bench.built(style, head) == await bench.built(style, head)


@pytest.mark.parametrize("style", STYLES)
async def test_no_branch_is_rewritten_and_the_candidate_is_kept(bench: Bench, style: LandStyle) -> None:
    head = bench.branch("feature/x", {"x": "1"})
    bench.repo.commit({"main": "1"}, "main moved")
    before = bench.repo.git("for-each-ref")
    made = await bench.built(style, head)
    assert bench.repo.git("for-each-ref") == before
    assert bench.inside.git("for-each-ref", "--format=%(refname)", f"--points-at={made.sha}").startswith("refs/orch/candidates/")


@pytest.mark.parametrize("style", STYLES)
async def test_a_conflict_names_the_member_and_its_files(bench: Bench, style: LandStyle) -> None:
    good = bench.branch("feature/good", {"good": "1"})
    bad = bench.branch("feature/bad", {"b.txt": "bad\n", "-odd\nname é": "1"})
    bench.repo.commit({"b.txt": "main\n", "-odd\nname é": "2"}, "main moved")
    found = await bench.build(style, good, bad)
    assert isinstance(found, LeftOut)
    assert found.task == TaskRow(2)
    assert set(found.files) == {"b.txt", "-odd\nname é"}
    assert "b.txt" in found.detail


async def test_pairwise_conflicts_that_are_not_there_are_not_found(bench: Bench) -> None:
    """The second task stands on the first: against main alone it would clash, chained it does not."""
    one = bench.branch("feature/one", {"b.txt": "one\n"})
    two = bench.branch("feature/two", {"b.txt": "two\n"}, start="feature/one")
    bench.repo.commit({"main": "1"}, "main moved")
    made = await bench.built(LandStyle.REBASE, one, two)
    assert bench.inside.tree(made.sha)["b.txt"] == "two"


@pytest.mark.parametrize("style", STYLES)
async def test_a_member_that_main_holds_already_adds_nothing(bench: Bench, style: LandStyle) -> None:
    head = bench.branch("feature/x", {"x": "1"})
    bench.repo.commit({"x": "1", "main": "1"}, "somebody landed the same")
    made = await bench.built(style, head)
    assert (made.sha, made.landed) == (made.base, {TaskRow(1): made.base})


@pytest.mark.parametrize("style", STYLES)
async def test_a_member_that_was_merged_adds_nothing(bench: Bench, style: LandStyle) -> None:
    head = bench.branch("feature/x", {"x": "1"})
    bench.repo.git("merge", "--quiet", "--no-ff", "-m", "merged by a person", "feature/x")
    made = await bench.built(style, head)
    assert made.sha == made.base


async def test_contained_and_empty_commits_are_dropped_one_by_one(bench: Bench) -> None:
    head = bench.branch("feature/x", {"x": "1"}, {}, {"y": "1"})
    bench.repo.commit({"x": "1"}, "picked by a person")
    made = await bench.built(LandStyle.REBASE, head)
    assert bench.inside.subjects(f"{made.base}..{made.sha}") == ["feature/x 3"]


async def test_a_branch_that_holds_a_merge_lands_as_one_commit(bench: Bench) -> None:
    """The developer merged main to solve a conflict; replaying commit by commit would meet it again."""
    bench.branch("feature/x", {"b.txt": "mine\n"})
    bench.repo.commit({"b.txt": "theirs\n"}, "main moved")
    bench.repo.switch("feature/x")
    bench.repo.git("merge", "--quiet", "trunk", check=False)
    head = bench.repo.commit({"b.txt": "both\n"}, "merge main")
    bench.repo.switch("trunk")
    bench.repo.commit({"later": "1"}, "main moved again")
    made = await bench.built(LandStyle.REBASE, head)
    assert bench.inside.subjects(f"{made.base}..{made.sha}") == ["Task 1"]
    assert bench.inside.tree(made.sha).items() >= {"b.txt": "both", "later": "1"}.items()


async def test_a_branch_of_another_history_is_a_conflict(bench: Bench) -> None:
    bench.repo.git("checkout", "--quiet", "--orphan", "feature/orphan")
    head = bench.repo.commit({"o": "1"}, "root")
    bench.repo.switch("trunk")
    found = await bench.build(LandStyle.REBASE, head)
    assert isinstance(found, LeftOut)
    assert "no history" in found.detail


async def test_the_repositorys_own_merge_driver_never_runs(bench: Bench, tmp_path: Path) -> None:
    canary = tmp_path / "ran"
    bench.repo.git("config", "merge.evil.driver", f"touch {canary}")
    bench.repo.commit({".gitattributes": "* merge=evil filter=evil\n"}, "attributes")
    bench.repo.git("config", "filter.evil.smudge", f"touch {canary}; cat")
    head = bench.branch("feature/x", {"a.txt": "one\n2\n3\n4\n5\n6\n7\n8\n9\n"})
    canary.unlink(missing_ok=True)
    bench.repo.git("config", "--unset", "filter.evil.smudge")
    bench.repo.commit({"a.txt": "1\n2\n3\n4\n5\n6\n7\n8\nnine\n"}, "main moved")
    made = await bench.built(LandStyle.REBASE, head)
    async with bench.mirror.checkout(made.sha, "look") as folder:
        assert (folder / "a.txt").read_text() == "one\n2\n3\n4\n5\n6\n7\n8\nnine\n"
    assert not canary.exists()


async def test_a_malformed_author_does_not_stop_the_train(bench: Bench) -> None:
    good = bench.branch("feature/x", {"x": "1"})
    raw = bench.repo.git("cat-file", "commit", good).replace("Author of feature/x <ada@example.org>", "<<nobody>")
    (bench.repo.path / ".git" / "raw").write_text(raw + "\n")
    bad = Sha(bench.repo.git("hash-object", "-t", "commit", "--literally", "-w", ".git/raw"))
    bench.repo.git("update-ref", "refs/heads/feature/bad", bad)
    bench.repo.commit({"main": "1"}, "main moved")
    made = await bench.built(LandStyle.REBASE, bad)
    assert bench.inside.git("log", "-1", "--format=%an <%ae>", made.sha) == "Orch <orch@localhost>"


# ------------------------------------------------------------------------------------------------ chains


def members_of(*heads: Sha) -> list[CandidateMember]:
    return [CandidateMember(task=TaskRow(n), head=head, message=f"Task {n}") for n, head in enumerate(heads, 1)]


@pytest.mark.parametrize("style", STYLES)
async def test_every_style_gives_the_same_trees(bench: Bench, style: LandStyle) -> None:
    heads = [bench.branch(f"feature/{name}", {name: "1"}, {name: "2", "b.txt": f"b\n{name}\n"}) for name in "x"]
    heads.append(bench.branch("feature/y", {"y": "1"}, {"a.txt": "one\n2\n3\n4\n5\n6\n7\n8\n9\n"}))
    base = bench.repo.commit({"main": "1"}, "main moved")
    await bench.mirror.fetch()
    built = (await bench.mirror.build_chain(ChainSpec(base=base, members=members_of(*heads), style=style))).chain
    squashed = (await bench.mirror.build_chain(ChainSpec(base=base, members=members_of(*heads), style=LandStyle.SQUASH))).chain
    assert [link.tree for link in built.links] == [link.tree for link in squashed.links]


@pytest.mark.parametrize("style", STYLES)
async def test_another_mirror_at_another_time_builds_the_same_commits(bench: Bench, style: LandStyle, tmp_path: Path) -> None:
    heads = [bench.branch(f"feature/{name}", {name: "1"}, {name: "2"}) for name in "xyz"]
    base = bench.repo.commit({"main": "1"}, "main moved")
    other = GitMirror(tmp_path / "n.git", remote_of(bench.repo), project=ProjectName("shop"), default_branch="trunk", git=Git())
    spec = ChainSpec(base=base, members=members_of(*heads), style=style)
    for mirror in (bench.mirror, other):
        await mirror.fetch()
    assert await bench.mirror.build_chain(spec) == await other.build_chain(spec)
    prefix = ChainSpec(base=base, members=spec.members[:2], style=style)
    assert (await other.build_chain(prefix)).chain.links == (await bench.mirror.build_chain(spec)).chain.links[:2]


async def test_no_commit_is_dated_before_its_parent(bench: Bench) -> None:
    """The branch is older than main's tip: its commits take main's date rather than today's."""
    head = bench.branch("feature/x", {"x": "1"})
    bench.repo.write({"main": "1"})
    bench.repo.git("add", "--all")
    bench.repo.git("commit", "--quiet", "-m", "later", env={"GIT_COMMITTER_DATE": "1800000000 +0000"})
    made = await bench.built(LandStyle.REBASE, head)
    assert bench.inside.git("log", "-1", "--format=%at %ct", made.sha) == "1700000000 1800000000"


async def test_a_conflict_that_the_branch_resolves_later_is_none(bench: Bench) -> None:
    head = bench.branch("feature/x", {"b.txt": "mine\n", "x": "1"}, {"b.txt": "b\n", "y": "1"})
    bench.repo.commit({"b.txt": "main's\n"}, "main moved")
    made = await bench.built(LandStyle.REBASE, head)
    assert bench.inside.tree(made.sha).items() >= {"b.txt": "main's", "x": "1", "y": "1"}.items()
    assert bench.inside.subjects(f"{made.base}..{made.sha}") == ["feature/x 2"]


async def test_whom_a_member_conflicts_with_is_found_among_many(bench: Bench) -> None:
    heads = [bench.branch(f"feature/{n}", {f"f{n}": f"{n}\n"}) for n in range(7)]
    clash = bench.branch("feature/clash", {"f4": "other\n"})
    with_main = bench.branch("feature/old", {"b.txt": "old\n"})
    last = bench.branch("feature/last", {"last": "1"})
    base = bench.repo.commit({"b.txt": "new\n"}, "main moved")
    await bench.mirror.fetch()
    members = members_of(*heads, clash, with_main, last)
    built = await bench.mirror.build_chain(ChainSpec(base=base, members=members, style=LandStyle.SQUASH))
    assert [(left.task, left.after, left.files) for left in built.left_out] == [
        (TaskRow(8), TaskRow(5), ("f4",)),
        (TaskRow(9), None, ("b.txt",)),
    ]
    assert built.chain.links[-1].member.task == TaskRow(10)


async def test_a_head_that_the_mirror_does_not_have_holds_up_nobody(bench: Bench) -> None:
    good = bench.branch("feature/x", {"x": "1"})
    base = await bench.mirror.fetch()
    for style in STYLES:
        built = await bench.mirror.build_chain(ChainSpec(base=base, members=members_of(Sha("1" * 40), good), style=style))
        assert [(left.task, left.broken) for left in built.left_out] == [(TaskRow(1), True)]
        assert [link.member.task for link in built.chain.links] == [TaskRow(2)]


async def test_a_chain_is_as_long_as_was_asked_for(bench: Bench) -> None:
    heads = [bench.branch(f"feature/{n}", {f"f{n}": "1"}) for n in range(4)]
    base = await bench.mirror.fetch()
    built = await bench.mirror.build_chain(ChainSpec(base=base, members=members_of(*heads), style=LandStyle.REBASE, most=2))
    assert [link.member.task for link in built.chain.links] == [TaskRow(1), TaskRow(2)]


@pytest.mark.parametrize("style", STYLES)
async def test_a_branch_on_the_tip_is_taken_as_it_is_where_that_is_asked_for(bench: Bench, style: LandStyle) -> None:
    base = bench.repo.commit({"main": "1"}, "main moved")
    on_tip = bench.branch("feature/x", {"x": "1"}, {"x": "2"})
    behind = bench.branch("feature/y", {"y": "1"}, start=bench.root)
    await bench.mirror.fetch()
    spec = ChainSpec(base=base, members=members_of(on_tip, behind), style=style, as_is=True)
    first, second = (await bench.mirror.build_chain(spec)).chain.links
    assert (first.sha, second.sha == behind) == (on_tip, False)


async def test_what_was_built_and_removed_since_is_built_again(bench: Bench) -> None:
    """A clean-up of the mirror takes candidates that nobody needs any more."""
    head = bench.branch("feature/x", {"x": "1"})
    bench.repo.commit({"main": "1"}, "main moved")
    made = await bench.built(LandStyle.SQUASH, head)
    other = await bench.built(LandStyle.SQUASH, bench.branch("feature/y", {"y": "1"}))
    assert other.sha != made.sha
    bench.inside.git("update-ref", "-d", f"refs/orch/candidates/{made.sha}")
    bench.inside.git("prune", "--expire=now")
    assert not bench.inside.has(f"{made.sha}^{{commit}}")
    assert await bench.built(LandStyle.SQUASH, head) == made
    assert bench.inside.has(f"{made.sha}^{{commit}}")


async def test_a_head_that_comes_later_is_no_broken_one_any_more(bench: Bench) -> None:
    """The chain is built ahead of the fetch that may bring the head."""
    base = await bench.mirror.fetch()
    head = bench.branch("feature/x", {"x": "1"})
    missing = await bench.mirror.build_candidate(base, members_of(head), LandStyle.REBASE)
    assert isinstance(missing, LeftOut)
    assert missing.broken
    assert isinstance(await bench.built(LandStyle.REBASE, head), Candidate)


async def test_a_chain_that_is_asked_for_twice_at_once_is_built_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    head = bench.branch("feature/x", {"x": "1"})
    bench.repo.commit({"main": "1"}, "main moved")
    spec = ChainSpec(base=await bench.mirror.fetch(), members=members_of(head), style=LandStyle.REBASE)
    started: list[object] = []
    run = Git.run

    async def counted(self: Git, *args: Any, **named: Any) -> Any:
        started.append(args[1])
        return await run(self, *args, **named)

    monkeypatch.setattr(Git, "run", counted)
    built: list[BuiltChain] = []

    async def build() -> None:
        built.append(await bench.mirror.build_chain(spec))

    async with anyio.create_task_group() as group:
        group.start_soon(build)
        group.start_soon(build)
    assert built[0] == built[1]
    assert started.count("merge-tree") == 1
    assert "update-ref" not in started
