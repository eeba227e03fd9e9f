"""The page of a task in a real browser, from the card to the commit on main: approving, reading a log, stopping, reconnecting."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.integration.browser.world import Daemon

IS_AT_END = "box => box.scrollHeight - box.scrollTop - box.clientHeight < 48"


@pytest.fixture
def own(browser: Browser, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon for one test alone, which may end it."""
    made = Daemon(tmp_path)
    made.start()
    yield made
    made.stop()


def act(page: Page, key: str) -> Locator:
    return page.locator(f"#acts [data-act={key}]")


def log_entry(page: Page, text: str) -> Locator:
    return page.locator("#log-lines .entry").filter(has_text=text)


def test_a_card_goes_to_done_and_the_plan_is_approved_by_its_sha(page: Page, orch: Daemon) -> None:
    key = orch.add("Greet politely", start=True)
    shown = orch.until(key, awaiting="approval")["shown"]
    page.goto(f"/tasks/{key}")
    expect(page.get_by_role("heading", name="Greet politely")).to_be_visible()
    expect(page.locator("#part-line .here")).to_contain_text("Analysis")
    act(page, "approve").click()
    expect(page.locator("#ask-sha code")).to_have_text(shown[:12])
    with page.expect_request(f"**/tasks/{key}/approve") as asked:
        page.get_by_role("button", name="Approve plan").click()
    assert json.loads(asked.value.post_data or "{}")["shown"] == shown
    expect(page.locator("#part-name .chip.good")).to_have_text("Done", timeout=40_000)
    expect(page.locator("#part-line .step.done").first).to_be_visible()
    landed = orch.task(key)["landed"]
    assert orch.shop.tip("main") == landed
    expect(page.locator("#part-facts")).to_contain_text(landed[:10])
    expect(page.locator("#part-changes")).to_contain_text(f"greeter/{key}.py")
    expect(page.locator("#part-history li").filter(has_text="Landed")).to_have_count(1)


def test_a_plan_that_changed_meanwhile_is_not_approved_unseen(page: Page, orch: Daemon) -> None:
    key = orch.add("Greet twice", start=True)
    first = orch.until(key, awaiting="approval")["shown"]
    page.goto(f"/tasks/{key}")
    act(page, "approve").click()
    expect(page.locator("#ask-sha code")).to_have_text(first[:12])
    orch.api.post(f"/tasks/{key}/reject", {"shown": first, "reason": "Say it twice."})
    orch.until(key, awaiting="approval")
    page.get_by_role("button", name="Approve plan").click()
    expect(page.locator(".toast.warn")).to_be_visible()
    assert orch.task(key)["stage"] == "analysis"


def test_a_log_is_read_live_until_its_run_ends(page: Page, orch: Daemon) -> None:
    key = orch.add("Talk to me", project="talk", start=True)
    orch.until(key, role="analyst")
    page.goto(f"/tasks/{key}")
    lines = page.locator("#log-lines")
    expect(log_entry(page, "begin red <img src=x onerror=window.pwned=1>")).to_have_count(1)
    expect(page.locator(".entry.said")).to_have_text("I look around first.")
    expect(page.locator(".entry.tool")).to_have_text("Bashls -l")
    expect(page.locator("#log-state")).to_contain_text("Live")
    expect(log_entry(page, "filler 400")).to_be_visible()
    assert lines.evaluate(IS_AT_END)

    lines.evaluate("box => { box.scrollTop = 0; }")
    orch.let(key, "more")
    orch.let(key, "rest")
    expect(log_entry(page, "ein grüß Gott")).to_have_count(1)
    expect(page.locator("#log-end")).to_be_visible()
    assert not lines.evaluate(IS_AT_END)
    page.locator("#log-end").click()
    expect(log_entry(page, "after the pause")).to_be_in_viewport()

    page.locator("#log-find").fill("filler 39")
    expect(page.locator("#log-lines .entry:visible")).to_have_count(11)
    page.locator("#log-find").fill("")
    page.locator("#log-raw").click()
    expect(log_entry(page, '"assistant"')).to_have_count(1)
    page.locator("#log-raw").click()

    orch.let(key, "bulk")
    expect(log_entry(page, "bulk 5000")).to_be_in_viewport()
    assert lines.locator(".entry").count() == 3000

    orch.let(key, "done")
    expect(page.locator("#log-state")).to_contain_text("Succeeded")
    expect(page.locator(".entry.end")).to_contain_text("All is said.")
    assert page.evaluate("window.pwned") is None


def test_a_task_is_stopped(page: Page, orch: Daemon) -> None:
    key = orch.add("Talk for ever", project="talk", start=True)
    orch.until(key, role="analyst")
    page.goto(f"/tasks/{key}")
    act(page, "stop").click()
    page.get_by_role("button", name="Stop it").click()
    expect(page.locator("#part-name .chip.off")).to_have_text("Cancelled")
    expect(page.locator("#log-state")).to_contain_text("Cancelled")
    assert orch.task(key)["stage"] == "cancelled"


def test_a_page_goes_on_after_the_daemon_was_started_again(opened: Callable[..., Page], own: Daemon) -> None:
    orch = own
    page = opened(orch)
    key = orch.add("Outlive it", start=True)
    orch.until(key, awaiting="approval")
    page.goto(f"/tasks/{key}")
    expect(page.locator(".pill.good")).to_contain_text("Live")
    orch.stop()
    expect(page.locator(".pill.warn")).to_contain_text("Reconnecting")
    orch.start()
    expect(page.locator(".pill.good")).to_contain_text("Live")
    act(page, "reject").click()
    page.get_by_label("What should change").fill("Be brief.")
    page.locator("#ask-yes").click()
    expect(page.locator("#part-history")).to_contain_text("Be brief.")


def test_what_agents_wrote_runs_nothing_and_loads_nothing(page: Page, orch: Daemon) -> None:
    title = "<img src=x onerror=window.pwned=1><script>window.pwned=1</script> {{ 7 * 7 }}"
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    key = orch.add(title, start=True, body="</script><script>window.pwned=1</script> It is about <b>hostile</b> words.")
    orch.until(key, awaiting="approval")
    page.goto(f"/tasks/{key}")
    expect(page.locator("h1")).to_have_text(title)
    paper = page.locator("#paper")
    expect(paper).to_contain_text("<script>window.pwned = 1</script>")
    expect(paper).to_contain_text("☐ it greets")
    expect(paper.locator(".picture")).to_have_text("🖼 a picture")
    expect(paper.get_by_role("link", name="outside")).to_have_attribute("rel", "noopener noreferrer nofollow")
    expect(paper.locator("a[href^=javascript]")).to_have_count(0)
    page.get_by_role("link", name="02-acceptance.md").click()
    expect(paper.get_by_role("heading", name="Acceptance")).to_be_visible()
    page.goto(f"/tasks/{key}/artefacts/01-brd.md")
    expect(page.get_by_role("heading", name="Ship a greeting")).to_be_visible()
    assert page.evaluate("window.pwned") is None
    assert [url for url in asked if not url.startswith(orch.url) and not url.startswith(("data:", "blob:"))] == []
