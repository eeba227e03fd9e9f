"""What all pages of a browser have in common: the frame around them, and what they begin with.

Owns: ``Shell``. Rule: pages carry no script and no style of their own text (strict CSP), only data; everything that came from a
board, an agent or a repository is escaped, by the template here and as text in the scripts.
"""

from typing import final

from quart import Response, render_template, request

from orch.web.api import load_tasks
from orch.web.auth import Gate
from orch.web.deps import WebDeps

HTML_UTF8 = "text/html; charset=utf-8"
NAV = (("board", "/", "Board"), ("train", "/train", "Train"), ("waits", "/waits", "Waits"), ("spend", "/spend", "Spend"))


@final
class Shell:
    """Renders pages inside the frame."""

    def __init__(self, deps: WebDeps, gate: Gate) -> None:
        self._deps = deps
        self._gate = gate

    async def render(self, template: str, *, page: str, **values: object) -> Response:
        """Render *template* as the page called *page*, with the state of all tasks for its first sight."""
        may_act = self._gate.by_cookie(request)
        begin = {"snapshot": await load_tasks(self._deps), "may_act": may_act, "version": self._deps.version, "page": page}
        text = await render_template(template, page=page, nav=NAV, begin=begin, version=self._deps.version, **values)
        return Response(text, content_type=HTML_UTF8)
