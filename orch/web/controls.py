"""People's controls over HTTP: freeze and thaw, pause and drain, send-back, adoption.

Owns: ``/serial-gate/…``, ``/pause``, ``/unpause``, ``/accounts/…``, and the acts on a task that take more than a decision does.
Rule: each is handed to the actors and their answer is awaited; nothing is decided here.
"""

from typing import final

from quart import Response

from orch.core.messages import AdoptIssue, FreezeRepo, LiftPause, PauseRepos, RevertTask, SendTaskBack, UnfreezeRepo, UnpauseRepos
from orch.core.model import Finding
from orch.core.stages import Stage
from orch.web.api import by
from orch.web.bodies import AdoptBody, FreezeBody, NoBody, PauseBody, SendBackBody, read_body
from orch.web.deps import WebDeps
from orch.web.problems import answer_response
from orch.web.routes import Route, act


@final
class ControlViews:
    """Handlers of the controls' addresses."""

    def __init__(self, deps: WebDeps) -> None:
        self._deps = deps

    def routes(self) -> list[Route]:
        return [
            act("POST", "/tasks/{id}/send-back", self.send_back, "Send a task back to a stage, with findings", SendBackBody),
            act("POST", "/tasks/{id}/adopt", self.adopt, "Start the line for an issue, whatever its column says", AdoptBody),
            act("POST", "/tasks/{id}/revert", self.revert, "Take back what a landed task brought, by a task of its own", NoBody),
            act("POST", "/serial-gate/freeze", self.freeze, "Stop entry, landing and deploy of a project", FreezeBody),
            act("POST", "/serial-gate/unfreeze", self.unfreeze, "Lift a project's freeze", FreezeBody),
            act("POST", "/pause", self.pause, "Start nothing new; what runs finishes", PauseBody),
            act("POST", "/unpause", self.unpause, "Start new work again", PauseBody),
            act("POST", "/accounts/{name}/lift", self.lift, "End the pause of an account that agents run under", NoBody),
        ]

    async def send_back(self, id: str) -> Response:  # noqa: A002
        body = await read_body(SendBackBody)
        findings = tuple(
            Finding(title=each.title, severity=each.severity, path=each.path, detail=each.detail) for each in body.findings
        )
        command = SendTaskBack(task=id, stage=Stage(body.stage), by=by(body), reason=body.reason, findings=findings)
        return answer_response(await self._deps.control.ask(command))

    async def adopt(self, id: str) -> Response:  # noqa: A002
        body = await read_body(AdoptBody)
        return answer_response(await self._deps.control.ask(AdoptIssue(issue=id, by=by(body), project=body.project)))

    async def revert(self, id: str) -> Response:  # noqa: A002
        body = await read_body(NoBody)
        return answer_response(await self._deps.control.ask(RevertTask(task=id, by=by(body))))

    async def freeze(self) -> Response:
        body = await read_body(FreezeBody)
        return answer_response(await self._deps.control.ask(FreezeRepo(by=by(body), project=body.project, reason=body.reason)))

    async def unfreeze(self) -> Response:
        body = await read_body(FreezeBody)
        return answer_response(await self._deps.control.ask(UnfreezeRepo(by=by(body), project=body.project, reason=body.reason)))

    async def pause(self) -> Response:
        body = await read_body(PauseBody)
        return answer_response(await self._deps.control.ask(PauseRepos(by=by(body), project=body.project)))

    async def unpause(self) -> Response:
        body = await read_body(PauseBody)
        return answer_response(await self._deps.control.ask(UnpauseRepos(by=by(body), project=body.project)))

    async def lift(self, name: str) -> Response:
        body = await read_body(NoBody)
        return answer_response(await self._deps.control.ask(LiftPause(account=name[:100], by=by(body))))
