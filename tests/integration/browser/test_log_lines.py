"""What the page makes of a log's lines: an agent's events readable, everything else as it is, nothing too much for it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

import orch.web.assets as assets

BODY_MAX = 12_000


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    made = browser.new_page()
    made.add_script_tag(path=Path(assets.STATIC) / "log_lines.js")
    yield made
    made.close()


def read(page: Page, line: object) -> list[dict[str, Any]]:
    """Return what *line* (an event where it is no text) is shown as."""
    entries: list[dict[str, Any]] = page.evaluate(
        "line => OrchLog.read(line)", line if isinstance(line, str) else json.dumps(line)
    )
    return entries


def said(*content: object, kind: str = "assistant") -> dict[str, object]:
    return {"type": kind, "message": {"content": list(content)}}


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        ({"type": "system", "subtype": "init", "model": "sonnet"}, ("note", "Session · sonnet", "")),
        (said({"type": "text", "text": "Hello"}), ("said", "", "Hello")),
        (said({"type": "thinking", "thinking": "Hm."}), ("thought", "", "Hm.")),
        (said({"type": "tool_use", "name": "Bash", "input": {"command": "ls", "description": "Look"}}), ("tool", "Look", "ls")),
        (said({"type": "tool_use", "name": "Read", "input": {"file_path": "a.py"}}), ("tool", "a.py", "")),
        (
            said({"type": "tool_use", "name": "Edit", "input": {"file_path": "a.py", "old_string": "1\n2", "new_string": "3"}}),
            ("tool", "a.py", "− 1\n− 2\n+ 3"),
        ),
        (said({"type": "tool_use", "name": "Odd", "input": {"x": [1]}}), ("tool", "", '{"x":[1]}')),
        (said({"type": "tool_result", "content": "out"}, kind="user"), ("result", "", "out")),
        (
            said({"type": "tool_result", "content": ["a", {"type": "image"}]}, kind="user"),
            ("result", "", "[?]\n[image]"),
        ),
        (said({"type": "tool_result", "content": "no", "is_error": True}, kind="user"), ("failed", "", "no")),
        (
            {"type": "result", "subtype": "success", "is_error": False, "num_turns": 7, "total_cost_usd": 0.5, "result": "Done."},
            ("end", "It is done · 7 turns · $0.50", "Done."),
        ),
        ({"type": "result", "subtype": "error_max_turns", "is_error": True}, ("failed", "error max turns", "")),
        ({"type": "something_new"}, ("note", "something new", "")),
    ],
)
def test_an_event_is_shown_as_what_was_said_and_done(page: Page, event: object, shown: tuple[str, str, str]) -> None:
    [entry] = read(page, event)
    assert (entry["kind"], entry["title"], entry["body"]) == shown


def test_a_message_of_several_blocks_is_several_entries(page: Page) -> None:
    entries = read(page, said({"type": "text", "text": "a"}, {"type": "text", "text": ""}, {"type": "text", "text": "b"}))
    assert [entry["body"] for entry in entries] == ["a", "b"]
    assert read(page, {"type": "stream_event", "event": {}}) == []


@pytest.mark.parametrize("line", ["words", "{not json", '{"no": "type"}', "[1, 2]", "null", '{"type": 7}', "<b>x</b>", ""])
def test_what_is_no_event_is_shown_as_it_is(page: Page, line: str) -> None:
    assert read(page, line) == [{"kind": "plain", "title": "", "body": line}]


@pytest.mark.parametrize(
    "event",
    [
        said(
            None,
            1,
            "x",
            [],
            {},
            {"type": None},
            {"type": "tool_use"},
            {"type": "tool_result"},
            {"type": "text", "text": {"a": 1}},
        ),
        {"type": "assistant", "message": None},
        {"type": "assistant", "message": {"content": {"type": "text"}}},
        {"type": "user", "message": {"content": "words alone"}},
        {"type": "result", "subtype": None, "num_turns": "x", "total_cost_usd": "1", "result": ["x"]},
        {"type": "system", "subtype": {"deep": []}},
        said({"type": "tool_use", "name": {"a": 1}, "input": [1]}, {"type": "tool_use", "name": "Bash", "input": {"command": 5}}),
    ],
)
def test_a_hostile_event_is_survived(page: Page, event: object) -> None:
    for entry in read(page, event):
        assert isinstance(entry["title"], str)
        assert isinstance(entry["body"], str)


def test_every_text_is_bounded_and_free_of_terminal_codes(page: Page) -> None:
    [entry] = read(page, said({"type": "text", "text": "\x1b[31m" + "x" * 100_000 + "\u202e"}))
    assert entry["body"].startswith("xxx")
    assert len(entry["body"]) < BODY_MAX + 50
    assert len(read(page, said(*[{"type": "text", "text": "x"}] * 5_000))) == 50
