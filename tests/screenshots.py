"""``make screenshots``: the pictures in docs/images, taken of the real pages over a world of made-up rows.

Owns: which pages are shown how. The world is ``tests/fakes/showroom.py``. Rule: no daemon and no agent runs; the same call gives
the same pictures, as far as the browser draws alike.
"""

import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import anyio
from playwright.async_api import Browser, Page, async_playwright

from orch.adapters.git import Git, GitBranchReader, GitMirror
from orch.adapters.store import InlineStore
from orch.core.ids import ProjectName, Sha
from orch.core.model import Limits, Registry
from orch.ports.services import GitRemote
from orch.snapshots import Present, load_snapshot
from orch.web.app import create_app
from orch.web.deps import WebDeps
from orch.web.server import bind_socket, serve, url_of
from tests.fakes.showroom import NOW, PROJECTS, Showroom
from tests.fakes.showroom_text import CODE, OLD, PAPERS, PLAN
from tests.gitrepo import make_repo
from tests.integration.browser.world import find_chromium
from tests.integration.web_world import FakeControl, FakeFeed, FixedClock

IMAGES = Path(__file__).parents[1] / "docs" / "images"
WIDTH = 1440
BYTES_MAX = 300_000
LIMITS = Limits(max_concurrency=8, max_concurrency_per_repo=4, test_slots=4, serial_gate=frozenset({ProjectName("wiki")}))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture: the page at *path*, when *ready* is to be seen there."""

    name: str
    path: str
    ready: str
    dark: bool = False
    phone: bool = False
    height: int = 900


PICTURES = (
    Picture(name="board", path="/", ready=".card", height=760),
    Picture(name="dark", path="/", ready=".card", dark=True, height=760),
    Picture(name="task", path="/tasks/SHOP-39", ready=".entry.said", height=1180),
    Picture(name="train", path="/train", ready="main h1"),
    Picture(name="spend", path="/spend", ready="main h1"),
    Picture(name="phone", path="/tasks/SHOP-41", ready="#acts button", phone=True, dark=True),
)


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[str, WebDeps]]:
    """Serve the showroom on a free port; give its address."""
    clock = FixedClock()
    clock.present = NOW
    heads, mirror = await make_mirror(folder)
    registry = Registry(limits=LIMITS, projects=PROJECTS)
    async with InlineStore(clock=clock) as store:
        await store.transact(lambda tx: Showroom(tx, folder, heads).fill())
        feed = FakeFeed()
        present = Present(projects=PROJECTS)
        shown = await store.read(lambda tx: load_snapshot(tx, NOW, projects=PROJECTS, limits=LIMITS, present=present))
        feed.snapshot = {"type": "snapshot", "seq": 1, **shown}
        sock = bind_socket("127.0.0.1", 0)
        deps = WebDeps(
            store=store,
            control=FakeControl(store),
            feed=feed,
            clock=clock,
            token="a token of the showroom",
            registry=lambda: registry,
            public_url=url_of(sock),
            version="0.1.0",
            branches=dict.fromkeys(PROJECTS, GitBranchReader(mirror)),
        )
        app, shutdown = create_app(deps), anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: serve(app, sock, shutdown=shutdown, hub_close=app.hub_close, grace_s=3.0))
            yield deps.public_url, deps
            shutdown.set()


async def make_mirror(folder: Path) -> tuple[dict[str, Sha], GitMirror]:
    """Make the sample repository with the branches of two tasks, and its mirror."""
    repo = make_repo(folder / "shop")
    base = repo.commit(OLD, "The search as it was")
    heads = {"base": base}
    for key in ("SHOP-39", "SHOP-41"):
        repo.switch(key, "main")
        papers = PLAN if key == "SHOP-41" else {name: text for name, text in PAPERS.items() if name != "request"}
        files: dict[str, str | bytes | None] = {f"docs/work-items/{key}/{name}": text for name, text in papers.items()}
        heads[key] = repo.commit(files | (CODE if key == "SHOP-39" else {}), f"Work on {key}")
        repo.switch("main")
    remote = GitRemote(url=str(repo.path))
    mirror = GitMirror(folder / "mirror.git", remote, project=ProjectName("shop"), default_branch="main", git=Git())
    await mirror.fetch()
    return heads, mirror


async def take(browser: Browser, url: str, link: str, picture: Picture) -> Path:
    """Take one picture; return where it is."""
    look: dict[str, Any] = {"viewport": {"width": WIDTH, "height": picture.height}}
    if picture.phone:
        look = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
    look |= {"color_scheme": "dark" if picture.dark else "light", "reduced_motion": "reduce", "timezone_id": "UTC"}
    context = await browser.new_context(base_url=url, locale="en-GB", **look)
    page: Page = await context.new_page()
    await page.goto(link)
    await page.wait_for_url("**/")
    await page.goto(picture.path)
    await page.locator(picture.ready).first.wait_for()
    await page.locator(".pill.good").wait_for()
    await page.wait_for_function("document.fonts.status === 'loaded'")
    await page.wait_for_load_state("networkidle")
    path = IMAGES / f"{picture.name}.png"
    await page.screenshot(path=path, animations="disabled", caret="hide")
    await context.close()
    return path


async def main(names: list[str]) -> int:
    chromium = find_chromium()
    if chromium is None:
        sys.stderr.write("no chromium was found: install it (on Debian: apt install chromium) or set ORCH_TEST_CHROMIUM\n")
        return 1
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with served(Path(folder)) as (url, deps), async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            for picture in PICTURES:
                if names and picture.name not in names:
                    continue
                link = f"{url}/login?code={deps.links.issue(NOW)}"
                path = await take(browser, url, link, picture)
                size = path.stat().st_size
                sys.stdout.write(f"{path} {size // 1000} kB{'' if size < BYTES_MAX else ': too large'}\n")
            await browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(anyio.run(main, sys.argv[1:]))
