"""What the shell completes beyond the commands' own words: tasks' ids, from the daemon.

Owns: ``task_ids``. Rule: it answers within a moment or with nothing, and is never an error: a shell that waits or prints a
traceback in the middle of a line is worse than one that completes nothing.
"""

import threading
from typing import Any

import typer

from orch.core.errors import OrchError

ANSWER_S = 0.4
SHOWN_MAX = 50


def task_ids(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the ids that begin with *incomplete*, each with its title; live tasks first."""
    found: list[tuple[str, str]] = []

    def ask() -> None:
        try:
            api = ctx.obj.connect(ctx.params.get("data_dir"), ctx.params.get("url"))
            found.extend(_ids(api.get("/tasks").body))
        except (OrchError, OSError, AttributeError):
            return

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(ANSWER_S)
    wanted = incomplete.casefold()
    return [each for each in list(found) if each[0].casefold().startswith(wanted)][:SHOWN_MAX]


def _ids(body: Any) -> list[tuple[str, str]]:
    rows = [*(body.get("tasks") or []), *(row for row in body.get("issues") or [] if not row.get("task"))]
    return [(_word(row.get("id")), _title(row.get("title"))) for row in rows if _word(row.get("id"))]


def _word(value: object) -> str:
    """Return an id where it is one word of harmless characters: it goes into somebody's command line."""
    text = str(value or "")
    return text if text.isascii() and text.replace("-", "").replace("_", "").replace(".", "").isalnum() else ""


def _title(value: object) -> str:
    return "".join(char for char in str(value or "") if char.isprintable())[:60]
