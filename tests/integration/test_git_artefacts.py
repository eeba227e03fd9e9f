"""Artefacts and code heads of real branches, and front matter that means harm."""

import os
from pathlib import Path

import pytest

from orch.adapters.git import Git, GitMirror
from orch.adapters.git.front_matter import FRONT_LIMIT, FrontMatterError, parse_front_matter, split_front_matter
from orch.core.gates import BranchFacts
from orch.core.ids import ProjectName, Sha, WorkItemId
from tests.gitrepo import make_repo, remote_of

FOLDER = "docs/work-items/SHOP-1"


class Branch:
    """A task branch that is grown commit by commit and read through a mirror."""

    def __init__(self, folder: Path) -> None:
        self.repo = make_repo(folder / "repo")
        self.base = self.repo.tip()
        self.repo.switch("feature/SHOP-1-x", "main")
        self.mirror = GitMirror(
            folder / "m.git", remote_of(self.repo), project=ProjectName("shop"), default_branch="main", git=Git()
        )

    def commit(self, name: str, content: str | bytes = "x", *, inside: bool = True) -> Sha:
        return self.repo.commit({f"{FOLDER}/{name}" if inside else name: content})

    async def facts(self) -> BranchFacts:
        await self.mirror.fetch()
        return await self.mirror.read_artefacts(self.repo.tip("feature/SHOP-1-x"), WorkItemId("SHOP-1"), self.base)


@pytest.fixture
def branch(tmp_path: Path) -> Branch:
    return Branch(tmp_path)


async def test_a_branch_without_a_folder_has_no_artefacts(branch: Branch) -> None:
    facts = await branch.facts()
    assert (facts.artefacts, facts.code_head) == ({}, None)


async def test_the_code_head_is_the_newest_commit_outside_the_folder(branch: Branch) -> None:
    branch.commit("01-brd.md")
    assert (await branch.facts()).code_head is None
    code = branch.commit("src.py", inside=False)
    branch.commit("07-review.md")
    assert (await branch.facts()).code_head == code


async def test_a_neighbours_folder_is_code(branch: Branch) -> None:
    code = branch.commit("docs/work-items/SHOP-12/01-brd.md", inside=False)
    branch.commit("01-brd.md")
    assert (await branch.facts()).code_head == code


async def test_a_merge_of_main_is_new_code(branch: Branch) -> None:
    branch.commit("src.py", inside=False)
    branch.repo.switch("main")
    branch.repo.commit({"main.py": "1"})
    branch.repo.switch("feature/SHOP-1-x")
    branch.repo.git("merge", "--quiet", "-m", "merge main", "main")
    merge = branch.repo.tip()
    branch.commit("07-review.md")
    assert (await branch.facts()).code_head == merge


async def test_code_that_was_taken_back_still_counts(branch: Branch) -> None:
    branch.commit("app.py", "changed", inside=False)
    branch.repo.git("revert", "--no-edit", "HEAD")
    assert (await branch.facts()).code_head == branch.repo.tip()


async def test_names_are_relative_and_odd_ones_survive(branch: Branch) -> None:
    names = ["06-adr/ADR-001-x.md", "-rf", "new\nline.md", "ünï☃.md"]
    for name in names:
        branch.commit(name)
    facts = await branch.facts()
    assert set(facts.artefacts) == set(names)
    assert all(facts.artefacts[name].text == "x" for name in names)


async def test_the_blob_is_gits_own_id(branch: Branch) -> None:
    branch.commit("01-brd.md", "---\na: 1\n---\nText")
    facts = await branch.facts()
    assert facts.artefacts["01-brd.md"].blob == branch.repo.git("rev-parse", f"HEAD:{FOLDER}/01-brd.md")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\xff\xfe broken", "UTF-8"),
        (b"---\nverdict: approved\n", "no closing"),
        (b"---\nverdict: [\n---\n", "not YAML"),
        (b"x" * 1_000_001, "larger than"),
        (b"---\na: &x [1]\nb: *x\n---\n", "anchors"),
    ],
    ids=["bytes", "open end", "syntax", "size", "alias"],
)
async def test_a_file_that_cannot_be_read_is_there_with_its_problem(branch: Branch, content: bytes, problem: str) -> None:
    branch.commit("07-review.md", content)
    artefact = (await branch.facts()).artefacts["07-review.md"]
    assert problem in artefact.problem
    assert artefact.front is None


async def test_a_link_is_no_artefact(branch: Branch) -> None:
    branch.commit("01-brd.md")
    os.symlink("/etc/passwd", branch.repo.path / FOLDER / "07-review.md")
    branch.repo.commit({})
    artefact = (await branch.facts()).artefacts["07-review.md"]
    assert (artefact.text, artefact.problem) == ("", "it is not a regular file")


async def test_a_folder_that_is_a_file_or_a_link_has_no_artefacts(branch: Branch) -> None:
    (branch.repo.path / "docs/work-items").mkdir(parents=True)
    os.symlink("../..", branch.repo.path / FOLDER)
    branch.repo.commit({})
    assert (await branch.facts()).artefacts == {}


async def test_a_flood_of_files_is_bounded(branch: Branch) -> None:
    branch.repo.commit({f"{FOLDER}/{n:04}.md": "x" for n in range(500)})
    assert len((await branch.facts()).artefacts) == 200


# ---------------------------------------------------------------------------------------------- front matter


@pytest.mark.parametrize(
    ("text", "front", "body"),
    [
        ("plain", None, "plain"),
        ("---\na: 1\n---\nbody\n", "a: 1\n", "body\n"),
        ("\ufeff---\r\na: 1\r\n---\r\nbody", "a: 1\r\n", "body"),
        ("---\na: 1\n...\nbody", "a: 1\n", "body"),
        ("---\n---\n", "", ""),
        ("----\na: 1\n---\n", None, "----\na: 1\n---\n"),
        ("", None, ""),
    ],
)
def test_front_matter_is_split_off(text: str, front: str | None, body: str) -> None:
    assert split_front_matter(text) == (front, body)


def test_front_matter_is_plain_data_and_dates_stay_text() -> None:
    parsed = parse_front_matter(
        "verdict: approved\non: 2026-01-02\nfindings:\n  - title: A\n    severity: major\n  - {title: B}\n"
    )
    assert parsed == {
        "verdict": "approved",
        "on": "2026-01-02",
        "findings": [{"title": "A", "severity": "major"}, {"title": "B"}],
    }


def test_empty_front_matter_is_no_data() -> None:
    assert parse_front_matter("") == {}


_BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("front", "why"),
    [
        (_BOMB, "anchors"),
        ("a: &x 1", "anchors"),
        ("a: *x", "anchors"),
        ("verdict: !!python/object/apply:os.system ['true']", "tags"),
        ("verdict: !evil x", "tags"),
        ("verdict: fail\nverdict: approved", "twice"),
        ("a: {b: 1, b: 2}", "twice"),
        ("? [a]\n: 1", "not text"),
        ("- a\n- b", "key: value"),
        ("just text", "key: value"),
        ("a: " + "[" * 30_000, "nested"),
        ("a: " + "{x: " * 50 + "1" + "}" * 50, "nested"),
        ("a: " + "9" * 10_000, "cannot be read"),
        ("a: " + "x" * FRONT_LIMIT, "larger"),
        ("a: 1\n---\nb: 2", "not YAML"),
        ("a: \x07", "not YAML"),
        ("<<: {verdict: approved}\nb: 1\n<<: {c: 1}", "twice"),
    ],
)
def test_front_matter_that_means_harm_is_refused(front: str, why: str) -> None:
    with pytest.raises(FrontMatterError, match=why):
        parse_front_matter(front)


def test_a_merge_key_is_just_a_key() -> None:
    assert parse_front_matter("<<: {verdict: approved}") == {"<<": {"verdict": "approved"}}
