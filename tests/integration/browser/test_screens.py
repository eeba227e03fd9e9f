"""The board and the other screens in a real browser: moving cards, hostile titles, a phone's width."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.integration.browser.world import Daemon

SCREENS = ["/", "/train", "/waits", "/spend"]
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def test_a_card_is_dragged_into_the_line(page: Page, orch: Daemon) -> None:
    key = orch.add("Drag me")
    page.goto("/")
    card = page.locator(f"[data-card$='{key}']")
    expect(card).to_be_visible()
    card.drag_to(page.locator("[data-column=queued]"))
    orch.until(key, awaiting="approval")
    expect(page.locator("[data-column=plan] [data-card]").filter(has_text=key)).to_be_visible()


def test_a_card_is_moved_by_its_menu(page: Page, orch: Daemon) -> None:
    key = orch.add("Choose me")
    page.goto("/")
    card = page.locator("[data-card]").filter(has_text=key)
    card.get_by_role("button", name=f"Actions of {key}").click()
    page.get_by_role("menuitem", name="Start").click()
    orch.until(key, awaiting="approval")
    expect(page.locator("[data-column=plan] [data-card]").filter(has_text=key)).to_be_visible()


def test_a_hostile_title_is_text_on_every_screen(page: Page, orch: Daemon) -> None:
    title = "<img src=x onerror=window.pwned=1> </script><script>window.pwned=1</script>"
    orch.add(title)
    for screen in SCREENS:
        page.goto(screen)
        expect(page.locator("main")).to_be_visible()
        if screen == "/":
            expect(page.locator("[data-card]").filter(has_text="onerror").last).to_be_visible()
        assert page.evaluate("window.pwned") is None


def test_nothing_is_wider_than_a_phone(opened: Callable[..., Page], orch: Daemon) -> None:
    key = orch.add("A title so long that it has to be broken somewhere: " + "x" * 120, start=True)
    orch.until(key, awaiting="approval")
    page = opened(orch, width=360, height=740, has_touch=True, is_mobile=True)
    for screen in [*SCREENS, f"/tasks/{key}", f"/tasks/{key}/artefacts/01-brd.md"]:
        page.goto(screen)
        expect(page.locator(".pill.good")).to_contain_text("Live")
        assert (screen, page.evaluate(OVERFLOW)) == (screen, 0)
