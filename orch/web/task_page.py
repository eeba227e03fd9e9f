"""The page of one task: what it waits for, the line with what each stage cost, artefacts, logs, changes and history.

Owns: the pages at ``/tasks/{id}`` and ``/tasks/{id}/artefacts/{file}``, how figures and moments look there. Does not own: what
is shown (``snapshots``, ``artefacts``), nor acting (the scripts post like everybody else).
Rule: made whole on the server from the same values that JSON readers get; the script only puts newer parts in the place of older
ones. Git in trouble costs the parts that come from it, never the page.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, final

from quart import Response, render_template, request

from orch.core.accounting import short_model
from orch.core.errors import OrchError
from orch.core.ids import ProjectName, Sha, artefact_dir
from orch.core.model import Awaiting
from orch.core.render import render_cost, render_duration, render_tokens
from orch.core.stages import ORDER, Stage, is_terminal
from orch.ports import BranchDiff
from orch.snapshots import load_task
from orch.web.artefacts import ArtefactViews, check_name, file_view, show
from orch.web.deps import WebDeps
from orch.web.problems import ProblemError
from orch.web.routes import Handler
from orch.web.shell import HTML_UTF8, Shell

TITLES: Mapping[str, str] = {
    Stage.ANALYSIS: "Analysis",
    Stage.ARCHITECTURE: "Architecture",
    Stage.DEVELOPMENT: "Development",
    Stage.REVIEW: "Review",
    Stage.TESTING: "Testing",
    Stage.DEPLOY_STAGING: "Staging & landing",
    Stage.DEPLOY: "Deploy",
    Stage.DONE: "Done",
    Stage.CANCELLED: "Cancelled",
}
PLAN = ("01-brd.md", "02-acceptance.md", "questions.md")
"""What a person is asked about at the end of the analysis, in the order in which it is read."""
RESULTS = ("08-test-report.md", "07-review.md", "10-deploy.md", "09-staging.md")
DIFF_FILES = 60


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FromGit:
    """What the page shows of the branch. *trouble* says why it shows less."""

    sha: Sha | None = None
    files: Sequence[Mapping[str, object]] = ()
    opened: Mapping[str, object] = field(default_factory=dict)
    base: Sha | None = None
    diff: BranchDiff = BranchDiff()
    trouble: str = ""


@final
class TaskPages:
    """Handlers of the two pages."""

    def __init__(self, deps: WebDeps, shell: Shell, artefacts: ArtefactViews) -> None:
        self._deps = deps
        self._shell = shell
        self._artefacts = artefacts

    def pages(self) -> dict[str, Handler]:
        return {"/tasks/{id}": self.task, "/tasks/{id}/artefacts/{file}": self.artefact}

    async def task(self, id: str) -> Response:  # noqa: A002
        """Render the page; with ``?part=body`` only what changes, without the frame."""
        detail = await self._load(id)
        if detail is None:
            response = await self._shell.render("missing.html", page="task", name=id[:80])
            response.status_code = 404
            return response
        values = {**FILTERS, **task_values(detail), "git": await self._from_git(detail), "pr_url": self._pull(detail)}
        if request.args.get("part") == "body":
            return Response(await render_template("task_body.html", **values), content_type=HTML_UTF8)
        return await self._shell.render("task.html", page="task", **values)

    async def artefact(self, id: str, file: str) -> Response:  # noqa: A002
        """Render one artefact as a page of its own."""
        name, source = check_name(file), await self._artefacts.source(id)
        sha, data = await self._artefacts.read(source, name)
        content = await show(name, data)
        return await self._shell.render(
            "artefact.html", page="task", task=source.task.work_item, name=name, sha=sha, content=content
        )

    def _pull(self, detail: Mapping[str, Any]) -> str:
        number, url_of = detail["pr"], self._deps.pull_url
        return url_of(ProjectName(detail["project"]), number) if number is not None and url_of is not None else ""

    async def _load(self, name: str) -> dict[str, Any] | None:
        now = self._deps.clock.now()
        return await self._deps.store.read(
            lambda tx: load_task(tx, name, now, limits=self._deps.limits, present=self._deps.present)
        )

    async def _from_git(self, detail: Mapping[str, Any]) -> FromGit:
        try:
            source = await self._artefacts.source(str(detail["id"]))
            folder = await self._artefacts.folder(source)
            base, diff = await self._artefacts.changes(source)
            files = [file_view(source.task, file) for file in folder.files]
            opened = await self._open(source, first_shown([str(file["name"]) for file in files], str(detail["awaiting"])))
        except ProblemError as error:
            return FromGit(trouble=error.detail)
        except OrchError:
            return FromGit(trouble="The repository cannot be read now.")
        code_first = sorted(diff.files, key=lambda file: file.path.startswith(f"{artefact_dir(source.task.work_item)}/"))
        return FromGit(sha=folder.sha, files=files, opened=opened, base=base, diff=replace(diff, files=tuple(code_first)))

    async def _open(self, source: Any, name: str) -> Mapping[str, object]:
        if not name:
            return {}
        _, data = await self._artefacts.read(source, name)
        return {"name": name, **await show(name, data)}


def first_shown(names: Sequence[str], awaiting: str) -> str:
    """Return the artefact to show first: the plan while that is asked about, else the newest result; empty for none."""
    wanted = {Awaiting.APPROVAL: PLAN, Awaiting.INPUT: ("questions.md", *PLAN)}.get(Awaiting(awaiting), (*RESULTS, *PLAN))
    shown = [name for name in names if not name.startswith("history/")]
    return next((name for name in wanted if name in shown), shown[0] if shown else "")


def task_values(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the template needs beside git's part."""
    runs = [{**run, "short_model": short_model(run["model"])} for run in reversed(detail["runs"])]
    running = next((run for run in runs if run["outcome"] is None), None)
    return {
        "task": detail,
        "stages": stage_rows(detail),
        "totals": detail.get("totals") or {},
        "budget": detail.get("budget") or {},
        "runs": runs,
        "running": running,
        "log_run": running or next((run for run in runs if run["kind"] == "agent"), runs[0] if runs else None),
        "history": list(reversed(detail["history"])),
        "over": is_terminal(Stage(detail["stage"])),
        "tone": tone_of(detail),
    }


def tone_of(detail: Mapping[str, Any]) -> str:
    """Return how the state is coloured: does a person have to act, does an agent work, is it over."""
    if detail["stage"] == Stage.DONE:
        return "good"
    if detail["stage"] == Stage.CANCELLED:
        return "off"
    if detail["parked"]:
        return "bad"
    if detail["awaiting"] in (Awaiting.APPROVAL, Awaiting.INPUT, Awaiting.CONFIRM, Awaiting.MERGE):
        return "warn"
    return "run" if any(run["outcome"] is None for run in detail["runs"]) else "calm"


def stage_rows(detail: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the line, a row a stage, with its title and whether the task is there now."""
    known: Iterable[Mapping[str, Any]] = detail.get("stages") or ()
    rows = {row["stage"]: row for row in known}
    line = [stage for stage in ORDER if not is_terminal(stage)]
    return [{"title": TITLES[stage], "here": stage == detail["stage"], "stage": stage, **rows.get(stage, {})} for stage in line]


def _duration(seconds: object) -> str:
    return render_duration(float(seconds)) if isinstance(seconds, int | float) else "–"


def _money(usd: object) -> str:
    return render_cost(float(usd)) if isinstance(usd, int | float) else "–"


def _tokens(count: object) -> str:
    return render_tokens(count) if isinstance(count, int) else "–"


def _moment(iso: object) -> str:
    if not isinstance(iso, str):
        return "–"
    return datetime.fromisoformat(iso).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _clock(iso: object) -> str:
    return datetime.fromisoformat(iso).astimezone(UTC).strftime("%b %-d, %H:%M") if isinstance(iso, str) else "–"


def _word(key: object) -> str:
    text = str(key or "")
    told = TITLES.get(text) or text.replace("-", " ").replace("_", " ").capitalize()
    return {"Ci": "CI", "Land": "Landing check"}.get(told, told)


FILTERS = {
    "duration": _duration, "money": _money, "tokens": _tokens, "moment": _moment, "clock": _clock, "word": _word,
    "titles": TITLES, "diff_files": DIFF_FILES,
}  # fmt: skip
