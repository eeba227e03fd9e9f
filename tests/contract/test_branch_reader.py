"""The contract of ``BranchReader``: what people are shown of a task branch, hostile names and sizes included."""

from pathlib import Path

import pytest

from orch.adapters.git import Git, GitBranchReader, GitMirror
from orch.adapters.git.artefacts import MAX_BYTES
from orch.adapters.git.showing import FILES_MAX
from orch.core.ids import ProjectName, Sha, WorkItemId
from orch.ports import BranchReader, ChangedFile
from tests.gitrepo import Repo, make_repo, remote_of

ITEM = WorkItemId("SHOP-1")
FOLDER = f"docs/work-items/{ITEM}"
ABSENT = Sha("0" * 39 + "1")


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return make_repo(tmp_path / "remote")


@pytest.fixture
async def mirror(tmp_path: Path, repo: Repo) -> GitMirror:
    return GitMirror(tmp_path / "mirror.git", remote_of(repo), project=ProjectName("shop"), default_branch="main", git=Git())


@pytest.fixture
def reader(mirror: GitMirror) -> BranchReader:
    return GitBranchReader(mirror)


async def pushed(repo: Repo, mirror: GitMirror, files: dict[str, str | bytes | None]) -> tuple[Sha, Sha]:
    """Commit *files* on a branch of the remote and fetch it; return base and head."""
    base = repo.tip("main")
    repo.switch("work", "main")
    head = repo.commit(files, "work")
    await mirror.fetch()
    return base, head


async def test_the_folder_is_listed_with_its_history(repo: Repo, mirror: GitMirror, reader: BranchReader) -> None:
    names = ["01-brd.md", "06-adr/ADR-001.md", "history/1/07-review.md", "naïve name.md"]
    _, head = await pushed(repo, mirror, {**{f"{FOLDER}/{name}": name for name in names}, "other.md": "not an artefact"})
    found = await reader.list_artefacts(head, ITEM)
    assert [(file.name, file.size, file.problem) for file in found] == [(name, len(name.encode()), "") for name in names]
    for name in names:
        assert await reader.read_artefact(head, ITEM, name) == name.encode()


@pytest.mark.parametrize(
    "name", ["", "..", "../../../README.md", "/etc/passwd", "01-brd.md/", "./01-brd.md", "01-BRD.md", "*", ":/"]
)
async def test_a_name_that_is_not_in_the_folder_gives_nothing(
    repo: Repo, mirror: GitMirror, reader: BranchReader, name: str
) -> None:
    _, head = await pushed(repo, mirror, {f"{FOLDER}/01-brd.md": "plan"})
    assert await reader.read_artefact(head, ITEM, name) is None


async def test_a_link_and_a_giant_are_told_of_and_not_read(repo: Repo, mirror: GitMirror, reader: BranchReader) -> None:
    (repo.path / FOLDER).mkdir(parents=True)
    (repo.path / FOLDER / "link.md").symlink_to("/etc/passwd")
    _, head = await pushed(repo, mirror, {f"{FOLDER}/giant.md": "x" * (MAX_BYTES + 1)})
    problems = {file.name: file.problem for file in await reader.list_artefacts(head, ITEM)}
    assert problems == {"giant.md": f"it is larger than {MAX_BYTES} bytes", "link.md": "it is not a regular file"}
    assert [await reader.read_artefact(head, ITEM, name) for name in problems] == [None, None]


async def test_a_diff_is_told_in_lines_since_the_branch_was_cut(repo: Repo, mirror: GitMirror, reader: BranchReader) -> None:
    repo.commit({"old.py": "1\n2\n3\n", "gone.py": "1\n"}, "before")
    base, head = await pushed(repo, mirror, {"old.py": "1\n2\n4\n5\n", "gone.py": None, "new é.py": "1\n", "pic.png": b"\0\1\2"})
    repo.switch("main")
    repo.commit({"later.py": "not of the branch"}, "others go on")
    newer = await mirror.fetch()
    for cut in (base, newer):
        diff = await reader.diff(cut, head)
        assert (diff.count, diff.added, diff.deleted) == (4, 3, 2)
        assert {file.path: file for file in diff.files} == {
            "old.py": ChangedFile(path="old.py", added=2, deleted=1),
            "gone.py": ChangedFile(path="gone.py", added=0, deleted=1),
            "new é.py": ChangedFile(path="new é.py", added=1, deleted=0),
            "pic.png": ChangedFile(path="pic.png", added=None, deleted=None),
        }


async def test_of_a_giant_diff_the_first_files_and_all_sums_are_told(repo: Repo, mirror: GitMirror, reader: BranchReader) -> None:
    base, head = await pushed(repo, mirror, {f"f/{n}.txt": "1\n" for n in range(FILES_MAX + 20)})
    diff = await reader.diff(base, head)
    assert (len(diff.files), diff.count, diff.added) == (FILES_MAX, FILES_MAX + 20, FILES_MAX + 20)


async def test_what_is_not_there_gives_nothing(repo: Repo, mirror: GitMirror, reader: BranchReader) -> None:
    head = repo.tip("main")
    assert await reader.list_artefacts(head, ITEM) == ()  # no mirror yet
    assert (await reader.diff(head, head)).count == 0
    await mirror.fetch()
    assert await reader.list_artefacts(head, ITEM) == ()
    for commit in (ABSENT, await mirror.tree_of(head)):
        assert await reader.list_artefacts(commit, ITEM) == ()
        assert await reader.read_artefact(commit, ITEM, "01-brd.md") is None
        assert (await reader.diff(head, commit)).count == 0
