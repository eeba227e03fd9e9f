"""A task's artefacts, diff and page over HTTP, from a real repository; what hostile files and names become."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orch.adapters.git import Git, GitBranchReader, GitMirror
from orch.core.errors import StoreError
from orch.core.ids import Sha, WorkItemId
from orch.core.model import Task
from orch.ports import BranchDiff, FoundFile, Tx
from orch.web.markdown import TEXT_MAX, render_markdown
from tests.gitrepo import make_repo, remote_of
from tests.integration.web_world import SHOP, World, running

FOLDER = "docs/work-items/SHOP-1"
REVIEW = "---\nverdict: approved\nfindings: []\n---\n# Fine\n\n<script>alert(1)</script>\n"
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FILES: dict[str, str | bytes | None] = {
    f"{FOLDER}/01-brd.md": "# Plan\n\n- [ ] one\n",
    f"{FOLDER}/06-adr/ADR-001.md": "# ADR\n",
    f"{FOLDER}/07-review.md": REVIEW,
    f"{FOLDER}/notes.txt": "plain <b>text</b>\x1b[31m\n",
    f"{FOLDER}/picture.png": b"\x89PNG\xff\xfe",
    f"{FOLDER}/history/1/07-review.md": "old\n",
    "code.py": "1\n2\n",
}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """SHOP-1 waits for approval of what stands on its branch."""
    repo = make_repo(tmp_path / "remote")
    base = repo.tip("main")
    repo.switch("work", "main")
    head = repo.commit(FILES, "work")
    mirror = GitMirror(tmp_path / "mirror.git", remote_of(repo), project=SHOP, default_branch="main", git=Git())
    await mirror.fetch()
    async with running(tmp_path, branches={SHOP: GitBranchReader(mirror)}) as made:
        await change(made, base=base, head=head, shown=head)
        yield made


async def change(world: World, **changes: Any) -> None:
    def work(tx: Tx) -> None:
        task = tx.find_task("SHOP-1")
        assert isinstance(task, Task)
        tx.save_task(replace(task, **changes))

    await world.store.transact(work)


async def test_the_artefacts_are_listed_with_the_commit_that_a_decision_is_about(world: World) -> None:
    async with world.client() as client:
        told = (await client.get("/tasks/shop-1/artefacts")).json()
        assert told["sha"] == (await client.get("/tasks/SHOP-1")).json()["shown"]
        assert [file["name"] for file in told["artefacts"]] == [
            name.removeprefix(f"{FOLDER}/") for name in sorted(FILES) if name.startswith(FOLDER)
        ]
        for file in told["artefacts"]:
            assert (await client.get(file["url"])).json()["name"] == file["name"]


async def test_markdown_comes_rendered_and_harmless(world: World) -> None:
    async with world.client() as client:
        told = (await client.get("/tasks/SHOP-1/artefacts/07-review.md")).json()
    assert told["text"] == REVIEW
    assert "<pre><code>verdict: approved\nfindings: []\n</code></pre>" in told["html"]
    assert "<h3>Fine</h3>" in told["html"]
    assert "<script" not in told["html"]


async def test_other_files_are_text_or_say_why_not(world: World) -> None:
    async with world.client() as client:
        notes = (await client.get("/tasks/SHOP-1/artefacts/notes.txt")).json()
        picture = (await client.get("/tasks/SHOP-1/artefacts/picture.png")).json()
    assert (notes["html"], notes["text"]) == (None, "plain <b>text</b>\n")
    assert (picture["text"], picture["problem"]) == (None, "it is not UTF-8 text")


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("no-such.md", 404),
        ("06-adr", 404),
        ("%2e%2e%2f%2e%2e%2f%2e%2e%2fcode.py", 422),
        ("history%2F%2E%2E%2F01-brd.md", 422),
        ("a%00b", 422),
        ("a%0Ab", 404),
        ("a%5Cb", 422),
        ("x" * 400, 422),
    ],
)
async def test_a_name_is_one_below_the_folder_or_refused(world: World, name: str, status: int) -> None:
    async with world.client() as client:
        for headers in ({}, HTML):
            assert (await client.get(f"/tasks/SHOP-1/artefacts/{name}", headers=headers)).status_code == status


async def test_the_diff_is_told_in_lines(world: World) -> None:
    async with world.client() as client:
        told = (await client.get("/tasks/SHOP-1/diff")).json()
    assert {"path": "code.py", "added": 2, "deleted": 0} in told["files"]
    assert (told["count"], told["deleted"]) == (len(FILES), 0)


@pytest.mark.parametrize("part", ["artefacts", "artefacts/01-brd.md", "diff"])
async def test_a_task_that_there_is_not(world: World, part: str) -> None:
    async with world.client() as client:
        assert (await client.get(f"/tasks/SHOP-99/{part}")).status_code == 404


async def test_a_task_without_a_branch_has_nothing_yet(world: World) -> None:
    async with world.client() as client:
        assert (await client.get("/tasks/SHOP-2/artefacts")).json()["artefacts"] == []
        assert (await client.get("/tasks/SHOP-2/diff")).json()["count"] == 0
        assert "Nothing is written yet" in (await client.get("/tasks/SHOP-2", headers=HTML)).text


# ------------------------------------------------------------------------------------------------ pages


async def test_a_browser_gets_the_page_and_everybody_else_json(world: World) -> None:
    async with world.client() as client:
        page = await client.get("/tasks/SHOP-1", headers=HTML)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["vary"] == "Accept"
        for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
            assert (await client.get("/tasks/SHOP-1", headers=headers)).json()["id"] == "SHOP-1"
        assert (await client.get("/tasks/SHOP-99", headers=HTML)).status_code == 404


async def test_the_page_shows_the_plan_that_is_asked_about(world: World) -> None:
    async with world.client() as client:
        page = (await client.get("/tasks/SHOP-1", headers=HTML)).text
        body = (await client.get("/tasks/SHOP-1?part=body", headers=HTML)).text
    for text in (page, body):
        assert 'data-name="01-brd.md"' in text
        assert "<h3>Plan</h3>" in text
    assert "<html" in page
    assert "<html" not in body


async def test_what_a_task_says_is_text_on_its_page(world: World) -> None:
    hostile = "</script><script>alert(1)</script>\"'<img src=x onerror=alert(1)>"
    await change(world, title=hostile, description=hostile, note=hostile, url="javascript:alert(1)")
    async with world.client() as client:
        page = (await client.get("/tasks/SHOP-1", headers=HTML)).text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert 'href="javascript:' not in page


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://git.example/shop/pulls/7", 'href="https://git.example/shop/pulls/7"'),
        ("", '<span class="chip">PR #7</span>'),
        ("javascript:alert(7)", '<span class="chip">PR #7</span>'),
    ],
)
async def test_a_pull_request_is_linked_where_it_can_be_seen(tmp_path: Path, url: str, shown: str) -> None:
    async with running(tmp_path, pull_url=lambda name, number: url) as world, world.client() as client:
        await change(world, pr_number=7)
        assert shown in (await client.get("/tasks/SHOP-1", headers=HTML)).text


class Broken:
    """A repository that cannot be read."""

    async def list_artefacts(self, sha: Sha, work_item: WorkItemId) -> tuple[FoundFile, ...]:
        raise StoreError("git: the disk is gone")

    async def read_artefact(self, sha: Sha, work_item: WorkItemId, name: str) -> bytes | None:
        raise StoreError("git: the disk is gone")

    async def diff(self, base: Sha, tip: Sha) -> BranchDiff:
        raise StoreError("git: the disk is gone")


async def test_git_in_trouble_costs_its_parts_and_not_the_page(tmp_path: Path) -> None:
    async with running(tmp_path, branches={SHOP: Broken()}) as world, world.client() as client:
        await change(world, head=Sha("b" * 40), base=Sha("c" * 40))
        assert (await client.get("/tasks/SHOP-1/artefacts")).status_code == 503
        page = await client.get("/tasks/SHOP-1", headers=HTML)
        assert page.status_code == 200
        assert "The repository cannot be read now." in page.text


# ------------------------------------------------------------------------------------------------ markdown


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("![pic](https://outside.example/x.png)", '<p><span class="picture">🖼 pic</span></p>'),
        ("[a](https://b.example)", '<p><a href="https://b.example" rel="noopener noreferrer nofollow">a</a></p>'),
        ("[a](javascript:alert(1))", "<p>[a](javascript:alert(1))</p>"),
        ("[a](/tasks/SHOP-1/approve)", '<p><a rel="noopener noreferrer nofollow">a</a></p>'),
        ("[a](//outside.example)", '<p><a rel="noopener noreferrer nofollow">a</a></p>'),
        ("<img src=x onerror=alert(1)>", "<p>&lt;img src=x onerror=alert(1)&gt;</p>"),
        ("# A\n", "<h3>A</h3>"),
        ("###### F\n", "<h6>F</h6>"),
        ("```html\n<b>\n```", "<pre><code>&lt;b&gt;\n</code></pre>"),
        ("~~gone~~", "<p><s>gone</s></p>"),
    ],
)
def test_markdown_becomes_harmless_html(text: str, html: str) -> None:
    assert render_markdown(text).strip() == html


def test_boxes_of_a_list_are_shown() -> None:
    html = render_markdown("- [ ] open\n- [x] done\n- [ ](x) a link\n\n[ ] no list\n")
    assert html.count('<span class="box">☐</span>') == 1
    assert html.count('<span class="box">☑</span>') == 1


@pytest.mark.parametrize("piece", ["[", "![", "*a ", "`", "<", "> ", "- ", "|a", "&", "[a]: b\n", "_a__ "])
@pytest.mark.timeout(60)
def test_no_markup_costs_more_than_its_bound(piece: str) -> None:
    assert isinstance(render_markdown(piece * (2 * TEXT_MAX // len(piece))), str)
