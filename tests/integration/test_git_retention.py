"""Retention in a real mirror: archives of ended tasks go; documents, all of a live task and young objects stay."""

from dataclasses import replace
from pathlib import Path

import anyio

from orch.adapters.git import Git, GitMirror
from orch.adapters.git.refs import list_refs
from orch.adapters.shelves import DiskShelves
from orch.core.ids import (
    Attempt,
    Branch,
    DeployId,
    ProjectName,
    RunId,
    Sha,
    TaskRow,
    agent_ref,
    archive_ref,
    docs_ref,
    report_ref,
)
from orch.core.model import LandStyle
from orch.ports import CandidateMember, ChainSpec, Retirable
from tests.gitrepo import Repo, make_bare, make_repo, remote_of

BRANCH = Branch("feature/SHOP-1-x")
GONE = Retirable(task=TaskRow(1), project=ProjectName("shop"), branch=BRANCH, runs=(RunId(1), RunId(2)))


async def scene(tmp_path: Path) -> tuple[GitMirror, Sha]:
    person = make_repo(tmp_path / "person")
    remote = make_bare(tmp_path / "remote.git", person)
    mirror = GitMirror(tmp_path / "mirror.git", remote_of(remote), project=ProjectName("shop"), default_branch="main", git=Git())
    return mirror, await mirror.fetch()


def refs(mirror: GitMirror) -> set[str]:
    return {f"refs/{name}" for name in list_refs(mirror.path, "refs") if not name.startswith("remotes/")}


async def test_G7_an_ended_tasks_archive_goes_and_its_documents_stay(tmp_path: Path) -> None:
    mirror, sha = await scene(tmp_path)
    doomed = [archive_ref(TaskRow(1), 1), archive_ref(TaskRow(1), 2), agent_ref(RunId(1), Attempt(1)), report_ref(BRANCH)]
    kept = [docs_ref(TaskRow(1), 1), archive_ref(TaskRow(11), 1), agent_ref(RunId(12), Attempt(1))]
    for ref in (*doomed, *kept):
        await mirror.set_ref(ref, sha)
    assert await mirror.retire([GONE], kept=[], days=30) == len(doomed)
    assert refs(mirror) == set(kept)
    assert await mirror.retire([GONE], kept=[], days=30) == 0


async def test_packed_refs_go_as_well(tmp_path: Path) -> None:
    mirror, sha = await scene(tmp_path)
    await mirror.set_ref(archive_ref(TaskRow(1), 1), sha)
    Repo(mirror.path).git("pack-refs", "--all")
    assert await mirror.retire([GONE], kept=[], days=30) == 1
    assert refs(mirror) == set()


async def test_candidates_go_but_for_those_that_are_tested_or_about_to_land(tmp_path: Path) -> None:
    mirror, base = await scene(tmp_path)
    person = Repo(tmp_path / "person")
    made = []
    for number in range(3):
        person.switch(f"feature/SHOP-{number}-x", "main")
        head = person.commit({f"f{number}": "x\n"}, f"work {number}")
        person.git("push", "--quiet", "origin", f"feature/SHOP-{number}-x")
        await mirror.fetch()
        member = CandidateMember(task=TaskRow(number), head=head, message="m")
        chain = (await mirror.build_chain(ChainSpec(base=base, members=(member,), style=LandStyle.SQUASH))).chain
        made.append(chain.sha(1))
    assert await mirror.retire([], kept=[made[0]], days=30) == 1
    assert {name.rpartition("/")[2] for name in refs(mirror)} == {made[0], made[2]}


async def test_packing_drops_no_object_that_is_young(tmp_path: Path) -> None:
    """Two thousand loose objects make git pack; what nothing reaches may be borrowed by a working copy."""
    mirror, _ = await scene(tmp_path)
    repo = Repo(mirror.path)
    lines = "".join(f"blob\ndata {len(str(n))}\n{n}\n" for n in range(9000))
    stream = f"{lines}commit refs/x\ncommitter a <a@b> 1 +0000\ndata 0\n\n"
    argv = ["git", "-c", "fastimport.unpackLimit=100000", "fast-import", "--quiet"]
    await anyio.run_process(argv, input=stream.encode(), cwd=mirror.path)
    lost = repo.git("rev-parse", "refs/x").strip()
    repo.git("update-ref", "-d", "refs/x")
    before = int(repo.git("count-objects").split()[0])
    await mirror.retire([], kept=[], days=30)
    assert before > 2000
    assert repo.git("cat-file", "-t", lost).strip() == "commit"
    assert repo.git("fsck", "--connectivity-only") is not None


async def test_a_mirror_that_is_not_there_is_not_made_for_this(tmp_path: Path) -> None:
    mirror, _ = await scene(tmp_path)
    other = GitMirror(tmp_path / "none.git", mirror.remote(), project=ProjectName("x"), default_branch="main", git=Git())
    assert await other.retire([replace(GONE, project=ProjectName("x"))], kept=[], days=30) == 0
    assert not (tmp_path / "none.git").exists()


async def test_folders_of_runs_and_deploys_go_and_their_neighbours_stay(tmp_path: Path) -> None:
    for name in ("runs/1", "runs/11", "deploys/1-1", "deploys/1-2", "deploys/11-1"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "output.log").write_text("x")
    await DiskShelves(tmp_path).remove([RunId(1), RunId(7)], [DeployId(1)])
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*"))  # noqa: ASYNC240
    assert left == ["deploys/11-1", "runs/11"]
