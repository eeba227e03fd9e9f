"""The daemon as the command line sees it: a few calls that answer with a status and JSON.

Owns: the ``Api`` protocol (its HTTP implementation is an adapter), the commands' shared options, and how a refusal
becomes an exit code. Rule: the command line writes over HTTP only; the database has one writer.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Protocol
from urllib.parse import quote

import typer

from orch.cli.completion import task_ids
from orch.core.errors import ConfigError, DomainError


class Reply(Protocol):
    """An answer of the daemon; *body* is the JSON object, a problem's too."""

    @property
    def status(self) -> int: ...

    @property
    def body(self) -> Mapping[str, Any]: ...

    @property
    def text(self) -> str:
        """The answer as text, empty where it is JSON."""


class Api(Protocol):
    """One daemon. Calls raise TransientError when none answers."""

    @property
    def url(self) -> str: ...

    @property
    def token(self) -> str: ...

    def get(self, path: str) -> Reply: ...

    def post(self, path: str, body: Mapping[str, Any]) -> Reply: ...

    def delete(self, path: str, body: Mapping[str, Any]) -> Reply: ...


DataDir = Annotated[
    Path | None, typer.Option("--data-dir", envvar="ORCH_DATA_DIR", help="The daemon's data directory (default .orch).")
]
Url = Annotated[str | None, typer.Option("--url", help="The daemon's address, instead of the data directory's own.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TaskId = Annotated[
    str, typer.Argument(metavar="ID", help="A work item id or an issue's key, such as DEMO-1.", autocompletion=task_ids)
]


def segment(name: str) -> str:
    """Return *name* safe as one segment of a path."""
    if not name or name in (".", ".."):
        raise ConfigError(f"{name!r} is no id: give one such as DEMO-1")
    return quote(name.encode("utf-8", "replace").decode(), safe="")


def checked(reply: Reply) -> Mapping[str, Any]:
    """Return the body of a good reply; raises ConfigError for input that is wrong (exit 2), DomainError else (exit 1)."""
    if 200 <= reply.status < 300:
        return reply.body
    detail = str(reply.body.get("detail") or f"the daemon answered {reply.status}")
    if reply.status == 422:
        raise ConfigError(detail)
    raise DomainError(detail)


def print_json(body: Mapping[str, Any]) -> None:
    """Print *body*, ASCII only: a terminal never sees a control character out of it."""
    sys.stdout.write(json.dumps(body, indent=2) + "\n")
