"""The screens that show everything at once: the board, the merge train, what waits, what was spent.

Owns: ``/``, ``/train``, ``/waits``, and the page at ``/spend``. Rule: a screen is an empty frame; what it shows comes as JSON,
from the same addresses and the same feed that everybody else reads.
"""

from typing import final

from quart import Response

from orch.web.deps import WebDeps
from orch.web.routes import Handler
from orch.web.shell import Shell


@final
class ScreenViews:
    """Handlers of the screens."""

    def __init__(self, deps: WebDeps, shell: Shell) -> None:
        self._deps = deps
        self._shell = shell

    def pages(self) -> dict[str, Handler]:
        return {"/": self.board, "/train": self.train, "/waits": self.waits, "/spend": self.spend}

    async def board(self) -> Response:
        return await self._shell.render("board.html", page="board")

    async def train(self) -> Response:
        return await self._shell.render("train.html", page="train")

    async def waits(self) -> Response:
        return await self._shell.render("waits.html", page="waits")

    async def spend(self) -> Response:
        return await self._shell.render("spend.html", page="spend")
