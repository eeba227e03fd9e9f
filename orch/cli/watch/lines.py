"""A run's log for people.

Owns: how a line of an agent's stream (one JSON object) becomes lines to read. Rule: pure and total; what is no such object is
returned as it is, and nothing here judges a run.
"""

import json
from collections.abc import Mapping
from typing import Any

from orch.cli.tables import plain, prose

TEXT_MAX = 4000
INPUT_MAX = 160
INPUT_KEYS = ("command", "file_path", "path", "pattern", "query", "url", "description", "prompt")
"""What a tool is told that says most of what it does."""


def readable(text: str) -> list[str]:
    """Return what a line of a log says, as lines without terminal codes; nothing for what only machines need."""
    if text.startswith("{"):
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            event = None
        if isinstance(event, dict) and isinstance(event.get("type"), str):
            return _event(event)
    return prose(text).splitlines() or [""]


def _event(event: Mapping[str, Any]) -> list[str]:
    match event["type"]:
        case "assistant" | "user":
            message = event.get("message")
            content = message.get("content") if isinstance(message, Mapping) else None
            blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
            return [line for block in blocks if isinstance(block, Mapping) for line in _block(block)]
        case "result":
            return [f"= {line}" for line in _text(event.get("result") or event.get("subtype"))]
        case _:
            return []


def _block(block: Mapping[str, Any]) -> list[str]:
    match block.get("type"):
        case "text":
            return _text(block.get("text"))
        case "tool_use":
            given = block.get("input")
            told = given if isinstance(given, Mapping) else {}
            what = next((plain(told[key], INPUT_MAX) for key in INPUT_KEYS if told.get(key)), "")
            return [f"→ {plain(block.get('name'), 60)} {what}".rstrip()]
        case "tool_result":
            lines = _text(_result(block.get("content")))
            mark = "✗" if block.get("is_error") else "←"
            return [f"{mark} {lines[0]}{f' … ({len(lines)} lines)' if len(lines) > 1 else ''}"] if lines else []
        case _:
            return []


def _result(content: object) -> object:
    if isinstance(content, list):
        return "\n".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
    return content


def _text(value: object) -> list[str]:
    return [line for line in prose(value)[:TEXT_MAX].splitlines() if line.strip()] if isinstance(value, str) else []
