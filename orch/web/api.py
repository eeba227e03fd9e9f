"""The tasks over HTTP: reading them, and people's decisions about them.

Owns: ``/tasks…``, ``/queue``, ``/deps``. Rule: reads come from the store as snapshots, acts are handed to the actors
and their answer is awaited; nothing is decided here.
"""

import os
import stat
from pathlib import Path
from typing import final

import anyio
from quart import Response, g, jsonify, request

from orch.core.ids import RunId
from orch.core.messages import AddDependency, DecideTask, Decision, RemoveDependency
from orch.core.model import Run
from orch.logs import redact
from orch.ports import Tx
from orch.snapshots import load_queue, load_snapshot, load_task, load_why
from orch.web.bodies import Body, DecisionBody, DependencyBody, read_body
from orch.web.deps import WebDeps
from orch.web.problems import ProblemError, answer_response
from orch.web.routes import Handler, Route, act, read

TAIL_DEFAULT = 64 * 1024
TAIL_MAX = 1024 * 1024
LIMIT_MAX = 1000


def by(body: Body) -> str:
    """Return who acts: the door that was used, and the name they gave; never a name that could be a board user's id."""
    door: str = g.door
    name = " ".join(body.by.split())
    return f"{door}:{name}" if name else door


def query_number(name: str, default: int, maximum: int) -> int:
    """Return the query's number *name*, at least 1 and at most *maximum*; raises ProblemError 422 for what is none."""
    text = request.args.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):
        raise ProblemError(422, f"{name} must be a positive number.")
    return min(int(text), maximum)


async def load_tasks(deps: WebDeps, limit: int = 200) -> dict[str, object]:
    """Load what the list of tasks shows."""
    now, limits, projects = deps.clock.now(), deps.limits, list(deps.projects)
    return await deps.store.read(
        lambda tx: load_snapshot(tx, now, limit=limit, projects=projects, limits=limits, present=deps.present)
    )


@final
class TaskViews:
    """Handlers of the tasks' addresses."""

    def __init__(self, deps: WebDeps) -> None:
        self._deps = deps

    def routes(self) -> list[Route]:
        decisions = [
            act("POST", f"/tasks/{{id}}/{decision.value}", self._decider(decision), summary, DecisionBody)
            for decision, summary in _DECISIONS.items()
        ]
        return [
            read("/queue", self.queue, "What is queued, running, waiting and why, block by block"),
            read("/tasks", self.tasks, "All tasks, and the local board's issues without one", query=("limit",)),
            read("/tasks/{id}", self.task, "One task with history, runs and dependencies"),
            read("/tasks/{id}/why", self.why, "What the task waits for, in a sentence", query=("language",)),
            read("/tasks/{id}/runs/{n}/log", self.log, "The end of a run's log", query=("tail",), content="text/plain"),
            *decisions,
            read("/deps", self.dependencies, "All dependencies between issues"),
            act("POST", "/deps", self.add_dependency, "Let an issue wait for another", DependencyBody),
            act("DELETE", "/deps", self.remove_dependency, "Take a dependency back", DependencyBody),
        ]

    async def queue(self) -> Response:
        now, limits = self._deps.clock.now(), self._deps.limits
        projects = list(self._deps.projects)
        return jsonify(
            await self._deps.store.read(lambda tx: load_queue(tx, now, limits, projects=projects, present=self._deps.present))
        )

    async def tasks(self) -> Response:
        return jsonify(await load_tasks(self._deps, query_number("limit", 200, LIMIT_MAX)))

    async def task(self, id: str) -> Response:  # noqa: A002
        now = self._deps.clock.now()
        found = await self._deps.store.read(
            lambda tx: load_task(tx, id, now, limits=self._deps.limits, present=self._deps.present)
        )
        if found is None:
            raise _no_task(id)
        return jsonify(found)

    async def why(self, id: str) -> Response:  # noqa: A002
        now, limits = self._deps.clock.now(), self._deps.limits
        language = "ru" if request.args.get("language") == "ru" else "en"
        found = await self._deps.store.read(lambda tx: load_why(tx, id, now, language, limits=limits, present=self._deps.present))
        if found is None:
            raise _no_task(id)
        return jsonify({"id": id, "why": found})

    async def log(self, id: str, n: int) -> Response:  # noqa: A002
        tail = query_number("tail", TAIL_DEFAULT, TAIL_MAX)
        run = await self._deps.store.read(lambda tx: _run_of(tx, id, n))
        if run is None:
            raise ProblemError(404, f"There is no run {n} of a task {id[:80]!r}.")
        if not run.log_path:
            raise ProblemError(404, f"Run {n} has no log.")
        try:
            text = await anyio.to_thread.run_sync(read_tail, Path(run.log_path), tail)
        except OSError:
            raise ProblemError(404, f"The log of run {n} is not kept any more.") from None
        return Response(redact(text), content_type="text/plain; charset=utf-8")

    def _decider(self, decision: Decision) -> Handler:
        async def decide(id: str) -> Response:  # noqa: A002
            body = await read_body(DecisionBody)
            command = DecideTask(task=id, decision=decision, by=by(body), shown=body.shown, reason=body.reason)
            return answer_response(await self._deps.control.ask(command))

        return decide

    async def dependencies(self) -> Response:
        return jsonify({"deps": await self._deps.store.read(_dependencies)})

    async def add_dependency(self) -> Response:
        body = await read_body(DependencyBody)
        return answer_response(await self._deps.control.ask(AddDependency(issue=body.issue, on=body.on, by=by(body))))

    async def remove_dependency(self) -> Response:
        body = await read_body(DependencyBody)
        return answer_response(await self._deps.control.ask(RemoveDependency(issue=body.issue, on=body.on, by=by(body))))


_DECISIONS = {
    Decision.APPROVE: "Approve the plan that was shown",
    Decision.REJECT: "Send the plan back, or decline the deploy",
    Decision.CONFIRM_DEPLOY: "Let the landed SHA that was shown be deployed",
    Decision.STOP: "Stop the task",
    Decision.RESUME: "Take a parked task on at its stage",
    Decision.FIX: "Exempt the task from freeze and serial gate and land it first",
}


def _no_task(name: str) -> ProblemError:
    return ProblemError(404, f"There is no task {name[:80]!r}.")


def _run_of(tx: Tx, name: str, number: int) -> Run | None:
    """Return the run, if it belongs to the newest task of that name."""
    task = tx.find_task(name)
    run = tx.load_run(RunId(number)) if task is not None and number < 2**63 else None
    return run if run is not None and task is not None and run.task == task.row else None


def _dependencies(tx: Tx) -> list[dict[str, object]]:
    """Return every declared dependency of the known issues, with whether it is still waited for."""
    issues = {(task.project, task.issue) for task in tx.list_tasks(newest_first=True)}
    issues |= {(issue.project, issue.id) for issue in tx.list_issues()}
    rows: list[dict[str, object]] = []
    for project, issue in sorted(issues):
        on = tx.dependencies(project, issue)
        still = set(tx.open_dependencies(project, issue)) if on else set()
        rows += [{"project": project, "issue": issue, "on": other, "open": other in still} for other in on]
    return rows


def read_tail(path: Path, limit: int) -> str:
    """Return at most the last *limit* bytes of a plain file as text, from a line's begin; raises OSError."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise OSError("not a plain file")
        start = max(0, info.st_size - limit)
        file.seek(start)
        data = file.read(limit)
    if start:
        data = data.partition(b"\n")[2] or data
    return data.decode("utf-8", "replace")
