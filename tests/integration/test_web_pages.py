"""The pages over a real socket: policy and files, hostile titles stay text, JSON and page share an address, who may act."""

import json
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from orch.web.assets import ASSET_TYPES, STATIC, load_assets
from tests.integration.web_world import TOKEN, World, add_issue, add_task, running

PAGES = ["/", "/train", "/waits", "/spend"]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
HOSTILE = """</script><img src=x onerror=alert(1)>"'{{7*7}}<!--<script>"""
TEMPLATES = STATIC.with_name("templates")
OURS = sorted([path for path in STATIC.iterdir() if path.is_file()] + list(TEMPLATES.iterdir()))
SCRIPTS = sorted(STATIC.glob("*.js"))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path) as made:
        yield made


class Reader(HTMLParser):
    """What a browser would load, run or show of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.begin = ""
        self._inside: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = dict(attrs).get("id") if tag == "script" else None

    def handle_data(self, data: str) -> None:
        if self._inside == "begin":
            self.begin += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = None


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


async def fetch(world: World, path: str, **headers: str) -> Any:
    async with world.client(token=False) as client:
        return await client.get(path, headers={**BROWSER, **headers})


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_comes_under_the_strict_policy(world: World, path: str) -> None:
    reply = await fetch(world, path)
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert reply.headers["Content-Security-Policy"] == POLICY
    assert (reply.headers["X-Content-Type-Options"], reply.headers["Cache-Control"]) == ("nosniff", "no-store")


@pytest.mark.parametrize("path", PAGES)
async def test_everything_a_page_loads_is_ours_and_exists(world: World, path: str) -> None:
    page = read((await fetch(world, path)).text)
    loaded = [given.get("src") or given.get("href") for tag, given in page.tags if tag in ("script", "link", "img")]
    names = [name for name in loaded if name is not None]
    assert "/static/live.js" in names
    assert [name for name in names if not name.startswith("/static/")] == []
    async with world.client(token=False) as client:
        replies = {name: await client.get(name) for name in names}
    assert {name: reply.status_code for name, reply in replies.items() if reply.status_code != 200} == {}
    kinds = {name: reply.headers["Content-Type"] for name, reply in replies.items()}
    assert kinds == {name: ASSET_TYPES[Path(name).suffix] for name in names}


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_has_no_inline_script_and_no_inline_style(world: World, path: str) -> None:
    page = read((await fetch(world, path)).text)
    inline = [
        given for tag, given in page.tags if tag == "script" and "src" not in given and given.get("type") != "application/json"
    ]
    attributes = {name for _, given in page.tags for name in given}
    assert inline == []
    assert not {name for name in attributes if name == "style" or name.startswith("on")}
    assert not [tag for tag, _ in page.tags if tag == "style"]


async def test_hostile_titles_are_text_on_every_page(world: World) -> None:
    def plant(tx: Any) -> None:
        add_issue(tx, HOSTILE, HOSTILE)
        add_task(tx, add_issue(tx, HOSTILE, "A card that means harm, and is in the line."))

    await world.store.transact(plant)
    for path in PAGES:
        page = read((await fetch(world, path)).text)
        begin = json.loads(page.begin)["snapshot"]
        assert HOSTILE in [task["title"] for task in begin["tasks"]]
        assert HOSTILE in [issue["title"] for issue in begin["issues"]]
        assert [given for tag, given in page.tags if "onerror" in given or given.get("src") == "x"] == []


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_no_file_of_ours_names_another_host(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"(?:https?:|wss?:)?//[a-z0-9-]+\.[a-z]{2,}", text) == []
    assert "@import" not in text


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.name)
def test_no_script_of_ours_makes_markup_or_code_of_text(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    found = re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|x-html", text)
    assert [each for each in found if file.name not in TRUSTED_MARKUP] == []


TRUSTED_MARKUP = frozenset({"task.js"})
"""Puts HTML in place that the server made and escaped; its own tests look at that."""


@pytest.mark.parametrize("file", sorted(TEMPLATES.iterdir()), ids=lambda file: file.name)
def test_no_template_of_ours_switches_escaping_off(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert re.findall(r"autoescape false|x-html", text) == []
    assert re.findall(r"\{\{[^}]*\|\s*safe", text) == [] or file.name.startswith(("task", "artefact"))


STYLES = {file.name: file.read_text(encoding="utf-8") for file in STATIC.glob("*.css")}


@pytest.mark.parametrize("style", STYLES)
async def test_every_file_that_a_style_names_exists(world: World, style: str) -> None:
    names = re.findall(r"url\(\"?([^\")]+)\"?\)", STYLES[style])
    async with world.client(token=False) as client:
        assert [name for name in names if (await client.get(name)).status_code != 200] == []


def test_every_vendored_file_has_its_licence_beside_it() -> None:
    bare = {
        path.name.split(".")[0] for folder in ("vendor", "fonts") for path in (STATIC / folder).iterdir() if path.suffix != ".txt"
    }
    licences = [path.name for folder in ("vendor", "fonts") for path in (STATIC / folder).glob("*.LICENSE.txt")]
    assert [name for name in bare if not any(name.startswith(licence.split(".")[0]) for licence in licences)] == []


async def test_a_file_that_did_not_change_is_not_sent_again(world: World) -> None:
    first = await fetch(world, "/static/orch.css")
    again = await fetch(world, "/static/orch.css", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/static/none.js", "/static/vendor/none.js", "/static/fonts/..%2forch.css", "/static/..%2fapp.py", "/boards"]
)
async def test_what_is_not_there_is_a_404(world: World, path: str) -> None:
    reply = await fetch(world, path)
    assert (reply.status_code, reply.headers["Content-Type"]) == (404, "application/problem+json")


async def test_an_address_of_both_gives_a_browser_the_page_and_others_json(world: World) -> None:
    page, plain = await fetch(world, "/tasks/SHOP-1"), await fetch(world, "/tasks/SHOP-1", Accept="application/json")
    anything = await fetch(world, "/tasks/SHOP-1", Accept="*/*")
    assert page.headers["Content-Type"].startswith("text/html")
    assert plain.json()["id"] == anything.json()["id"] == "SHOP-1"
    assert {page.headers["Vary"], plain.headers["Vary"]} == {"Accept"}


async def test_a_browser_is_told_whether_it_may_act(world: World) -> None:
    before = await fetch(world, "/session")
    begin = json.loads(read((await fetch(world, "/")).text).begin)
    code = world.deps.links.issue(world.clock.now())
    async with world.client(token=False) as client:
        await client.get(f"/login?code={code}")
        after = await client.get("/session")
        inside = json.loads(read((await client.get("/", headers=BROWSER)).text).begin)
    bearer = await fetch(world, "/session", Authorization=f"Bearer {TOKEN}")
    assert before.json() == {"may_act": False, "version": "9.9.9"}
    assert (begin["may_act"], after.json()["may_act"], inside["may_act"], bearer.json()["may_act"]) == (False, True, True, True)


async def test_no_page_holds_the_token(world: World) -> None:
    code = world.deps.links.issue(world.clock.now())
    async with world.client(token=False) as client:
        await client.get(f"/login?code={code}")
        texts = [(await client.get(path, headers=BROWSER)).text for path in PAGES]
    assert not any(TOKEN in text for text in texts)


async def test_a_page_begins_with_what_a_card_needs(world: World) -> None:
    begin = json.loads(read((await fetch(world, "/")).text).begin)["snapshot"]
    task = next(task for task in begin["tasks"] if task["id"] == "SHOP-1")
    needed = {
        "row",
        "id",
        "title",
        "project",
        "issue",
        "stage",
        "status",
        "parked",
        "waiting",
        "awaiting",
        "running",
        "exempt",
        "stopping",
        "shown",
        "landed",
    }
    assert needed <= task.keys()
    assert begin["projects"][0]["board"] == "local"


def test_only_known_kinds_of_files_are_served() -> None:
    assert {Path(name).suffix for name in load_assets()} <= set(ASSET_TYPES)
