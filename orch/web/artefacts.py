"""What a task's branch holds, for people: its artefacts, rendered, and what it changed, in figures.

Owns: ``/tasks/{id}/artefacts…`` and ``/tasks/{id}/diff``. Does not own: how git is read (``BranchReader``), what HTML may hold
(``markdown``). Rule: everything here was written by an agent or comes from a repository: it leaves as text, or through the
sanitiser.
"""

import re
from dataclasses import dataclass
from typing import TypeVar, final
from urllib.parse import quote

from anyio import to_thread
from quart import Response, jsonify

from orch.core.ids import Sha
from orch.core.model import Awaiting, Task
from orch.core.render.quote import clean
from orch.ports import BranchDiff, BranchReader, FoundFile
from orch.web.deps import WebDeps
from orch.web.markdown import TEXT_MAX, render_markdown
from orch.web.problems import ProblemError
from orch.web.routes import Route, read

NAME_MAX = 300
SHOWN_MAX = 200_000
KEPT_MAX = 100
_UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udfff\\\\]")
_FRONT = re.compile(r"---\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|$)(.*)", re.DOTALL)


def check_name(name: str) -> str:
    """Return an artefact's name as it is; raises ProblemError 422 for what cannot be one."""
    parts = name.split("/")
    if not name or len(name) > NAME_MAX or _UNFIT.search(name) or any(part in ("", ".", "..") for part in parts):
        raise ProblemError(422, "That is not the name of an artefact: a path below the task's folder, such as 06-adr/ADR-001.md.")
    return name


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a task's artefacts are: a commit, and the one to look at where a mirror no longer has it."""

    task: Task
    reader: BranchReader
    commits: tuple[Sha, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """The artefact folder at *sha*; None and empty where there is none (yet)."""

    sha: Sha | None = None
    files: tuple[FoundFile, ...] = ()


V = TypeVar("V", Folder, BranchDiff)


def shown_commits(task: Task) -> tuple[Sha, ...]:
    """Return the commits to look at, best first: what a person is asked about, the branch, what landed."""
    asked = task.shown if task.awaiting is Awaiting.APPROVAL else None
    return tuple(dict.fromkeys(sha for sha in (asked, task.head, task.landed) if sha is not None))


@final
class ArtefactViews:
    """Handlers of the addresses, and what the task's page is made from."""

    def __init__(self, deps: WebDeps) -> None:
        self._deps = deps
        self._kept: dict[tuple[str, ...], Folder | BranchDiff] = {}
        """What was read lately, by commit: what a commit holds never changes."""

    def routes(self) -> list[Route]:
        return [
            read("/tasks/{id}/artefacts", self.artefacts, "The files that the task's agents wrote for people"),
            read("/tasks/{id}/artefacts/{file}", self.artefact, "One of them, as text and (Markdown) as sanitised HTML"),
            read("/tasks/{id}/diff", self.diff, "What the task's branch changed, file by file, in lines"),
        ]

    async def artefacts(self, id: str) -> Response:  # noqa: A002
        source = await self.source(id)
        folder = await self.folder(source)
        files = [file_view(source.task, file) for file in folder.files]
        return jsonify({"id": source.task.work_item, "sha": folder.sha, "artefacts": files})

    async def artefact(self, id: str, file: str) -> Response:  # noqa: A002
        name = check_name(file)
        source = await self.source(id)
        sha, data = await self.read(source, name)
        return jsonify({"id": source.task.work_item, "sha": sha, "name": name, **await show(name, data)})

    async def diff(self, id: str) -> Response:  # noqa: A002
        source = await self.source(id)
        base, found = await self.changes(source)
        files = [{"path": clean(file.path), "added": file.added, "deleted": file.deleted} for file in found.files]
        totals = {"count": found.count, "added": found.added, "deleted": found.deleted}
        return jsonify({"id": source.task.work_item, "base": base, "tip": source.task.head, **totals, "files": files})

    async def source(self, name: str) -> Source:
        """Return where the artefacts of the newest task of that name are; raises ProblemError 404 where there is none."""
        task = await self._deps.store.read(lambda tx: tx.find_task(name))
        if task is None:
            raise ProblemError(404, f"There is no task {name[:80]!r}.")
        reader = self._deps.branches.get(task.project)
        if reader is None:
            raise ProblemError(404, f"The repository of project {task.project} is not configured here.")
        return Source(task=task, reader=reader, commits=shown_commits(task))

    async def folder(self, source: Source) -> Folder:
        """Return the folder at the first commit that has one."""
        for sha in source.commits:
            key = ("files", source.task.project, source.task.work_item, sha)
            kept = self._kept.get(key)
            if isinstance(kept, Folder):
                return kept
            if files := await source.reader.list_artefacts(sha, source.task.work_item):
                return self._keep(key, Folder(sha=sha, files=files))
        return Folder()

    async def read(self, source: Source, name: str) -> tuple[Sha, bytes]:
        """Return an artefact and the commit that it is from; raises ProblemError 404."""
        for sha in source.commits:
            if (data := await source.reader.read_artefact(sha, source.task.work_item, name)) is not None:
                return sha, data
        raise ProblemError(404, f"Task {source.task.work_item} has no artefact {name[:80]!r} that can be shown.")

    async def changes(self, source: Source) -> tuple[Sha | None, BranchDiff]:
        """Return where the branch was cut, and what it has changed since."""
        task = source.task
        if task.base is None or task.head is None:
            return task.base, BranchDiff()
        key = ("diff", task.project, task.base, task.head)
        kept = self._kept.get(key)
        if isinstance(kept, BranchDiff):
            return task.base, kept
        found = await source.reader.diff(task.base, task.head)
        return task.base, self._keep(key, found) if found.count else found

    def _keep(self, key: tuple[str, ...], value: V) -> V:
        while len(self._kept) >= KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = value
        return value


def file_view(task: Task, file: FoundFile) -> dict[str, object]:
    """Return one file of the folder, JSON-ready."""
    url = f"/tasks/{quote(task.work_item)}/artefacts/{quote(file.name)}"
    return {"name": clean(file.name), "size": file.size, "blob": file.blob, "problem": file.problem or None, "url": url}


async def show(name: str, data: bytes) -> dict[str, object]:
    """Return a file's content for people: its text, and HTML where it is Markdown. What is no text has a *problem*."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return {"size": len(data), "text": None, "html": None, "truncated": False, "problem": "it is not UTF-8 text"}
    html = await to_thread.run_sync(_html, text) if name.lower().endswith((".md", ".markdown")) else None
    limit = SHOWN_MAX if html is None else TEXT_MAX
    shown = clean(text[:SHOWN_MAX])
    return {"size": len(data), "text": shown, "html": html, "truncated": len(text) > limit, "problem": None}


def _html(text: str) -> str:
    """Render Markdown; front matter becomes a block of code before it."""
    found = _FRONT.fullmatch(clean(text))
    if found is None:
        return render_markdown(clean(text))
    fence = "~" * (max((len(run) for run in re.findall(r"~{3,}", found[1])), default=2) + 1)
    return render_markdown(f"{fence}\n{found[1]}\n{fence}\n\n{found[2]}")
