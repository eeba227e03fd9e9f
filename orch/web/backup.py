"""Backups over HTTP.

Owns: ``/backup``. Rule: a backup is the daemon's work, not the request's: it goes on when whoever asked has gone.
"""

from pathlib import Path
from typing import final

from quart import Response, jsonify

from orch.core.errors import DomainError
from orch.ports import BackupDesk
from orch.web.bodies import BackupBody, read_body
from orch.web.deps import WebDeps
from orch.web.problems import ProblemError
from orch.web.routes import Route, act, read

WAIT_S = 15.0
"""After this long the answer is 202: ask again with GET."""


@final
class BackupViews:
    """Handlers of the backup's address."""

    def __init__(self, deps: WebDeps) -> None:
        self._deps = deps

    def routes(self) -> list[Route]:
        return [
            read("/backup", self.state, "The newest backup: none, running, done or failed"),
            act("POST", "/backup", self.begin, "Write a backup to a new or empty folder of the daemon's machine", BackupBody),
        ]

    async def state(self) -> Response:
        return jsonify(self._desk().state())

    async def begin(self) -> Response:
        body, desk = await read_body(BackupBody), self._desk()
        try:
            await desk.begin(Path(body.dir))
        except DomainError as error:
            raise ProblemError(409, f"{error}.") from None
        await desk.wait(WAIT_S)
        state = desk.state()
        if state["state"] == "failed":
            raise ProblemError(503, f"The backup failed: {state['detail']}.")
        response = jsonify(state)
        response.status_code = 202 if state["state"] == "running" else 200
        return response

    def _desk(self) -> BackupDesk:
        if self._deps.backup is None:
            raise ProblemError(404, "This daemon takes no backups.")
        return self._deps.backup
