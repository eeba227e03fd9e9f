"""A small world for tests of the web and the command line: a real store and a real socket, with fake actors behind.

The fake control records what it was asked and keeps the local board in the store; the fake feed says what a test tells it.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx  # noqa: TID251

from orch.adapters.store import InlineStore
from orch.core.ids import Attempt, IssueId, ProjectName, Sha, UserId
from orch.core.messages import Answer, CreateIssue, PersonCommand, Verb
from orch.core.model import (
    Awaiting,
    BoardComment,
    BoardIssue,
    Limits,
    NewTask,
    Outcome,
    Park,
    ParkReason,
    Project,
    Registry,
    RunKind,
    Task,
    Usage,
)
from orch.core.stages import Role, Stage
from orch.core.statuses import DEFAULT_NAMES, BoardState, Status
from orch.core.vitals import Vitals
from orch.ports import Tx
from orch.web.app import Web, create_app
from orch.web.deps import WebDeps
from orch.web.server import Listener, bind_socket, serve, url_of

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
TOKEN = "test-token-of-the-data-directory"
SHOP = ProjectName("shop")
SHOWN = Sha("a" * 40)
BEARER = {"Authorization": f"Bearer {TOKEN}"}
STATES = [BoardState(id=f"s-{status}", name=name) for status, name in DEFAULT_NAMES.items()]


class FixedClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.present = NOW

    def now(self) -> datetime:
        return self.present

    def monotonic(self) -> float:
        return self.present.timestamp()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("the web waits for nothing by this clock")

    def move(self, **spans: float) -> None:
        self.present += timedelta(**spans)


@dataclass
class FakeControl:
    """The actors' side: it records, answers what it was told to, and makes issues."""

    store: InlineStore
    asked: list[PersonCommand] = field(default_factory=list)
    answers: list[Answer | Exception] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    hints: int = 0
    state: Vitals = Vitals()

    async def ask(self, command: PersonCommand) -> Answer:
        self.asked.append(command)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        if isinstance(command, CreateIssue):
            made = await self.store.transact(lambda tx: add_issue(tx, command.title, command.body))
            return Answer(verb=Verb.DONE, text=f"{made.id} is on the board.", id=made.id)
        return Answer(verb=Verb.DONE, text="So be it.", id="SHOP-1")

    def ready(self) -> Mapping[str, str]:
        return self.missing

    def accepted(self) -> None:
        self.hints += 1

    def vitals(self) -> Vitals:
        return replace(self.state, not_ready=self.missing)


class FakeFeed:
    """Gives every viewer the snapshot, then whatever a test sends; counts the viewers."""

    def __init__(self) -> None:
        self.snapshot: dict[str, Any] = {"type": "snapshot", "seq": 1, "tasks": [], "issues": []}
        self.viewers: list[Any] = []
        self.came = anyio.Event()

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator["FakeSubscription"]:
        send, receive = anyio.create_memory_object_stream[Mapping[str, object]](1000)
        send.send_nowait(self.snapshot)
        self.viewers.append(send)
        self.came.set()
        try:
            with send, receive:
                yield FakeSubscription(receive)
        finally:
            self.viewers.remove(send)

    def say(self, message: Mapping[str, object]) -> None:
        for viewer in self.viewers:
            viewer.send_nowait(message)


class FakeSubscription:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def receive(self) -> Mapping[str, object]:
        message: Mapping[str, object] = await self._stream.receive()
        return message


def add_issue(tx: Tx, title: str, text: str, status: Status = Status.BACKLOG) -> BoardIssue:
    sequence = tx.next_issue_sequence(SHOP)
    issue = BoardIssue(
        id=IssueId(f"SHOP-{sequence}"),
        project=SHOP,
        sequence=sequence,
        title=title,
        text=text,
        slug="slug",
        state_id=f"s-{status}",
        created_at=NOW,
        updated_at=NOW,
    )
    tx.insert_issue(issue)
    return issue


def add_task(tx: Tx, issue: BoardIssue, **changes: Any) -> Task:
    new = NewTask(
        project=SHOP,
        issue=issue.id,
        prefix="SHOP",
        sequence=issue.sequence,
        title=issue.title,
        description=issue.text,
        slug=issue.slug,
        url="",
        at=NOW,
    )
    task = tx.insert_task(new)
    assert task is not None
    task = replace(task, **changes)
    tx.save_task(task)
    return task


def seed(tx: Tx, log: Path) -> None:
    """Three cards: SHOP-1 in review with one run and a log, SHOP-2 parked, SHOP-3 not in the line."""
    tx.save_states(SHOP, STATES)
    first = add_task(
        tx,
        add_issue(tx, "Add a basket", "Customers want to keep what they chose."),
        awaiting=Awaiting.APPROVAL,
        shown=SHOWN,
        attempt=Attempt(1),
    )
    run = tx.start_run(first, kind=RunKind.AGENT, job=None, role=Role.ANALYST, at=NOW)
    usage = Usage(input=1_000, output=500, cache_read=10_000, cache_creation=300)
    ended = replace(run, outcome=Outcome.SUCCEEDED, usage=usage, cost_usd=0.25, log_path=str(log), ended_at=NOW)
    assert tx.save_run(ended)
    second = add_issue(tx, "Fix the till", "It rounds down, which costs us money.")
    add_task(tx, second, stage=Stage.DEVELOPMENT, park=Park(reason=ParkReason.NO_CI, since=NOW, evidence="nothing came"))
    third = add_issue(tx, "Later <script>alert(1)</script>", "Some day, perhaps, we will want this.")
    remark = BoardComment(
        id="c1", issue=third.id, author=UserId("u1"), author_name="Ann", ours=False, role=None, text="Soon!", created_at=NOW
    )
    tx.insert_comment(remark, "")
    tx.add_dependency(SHOP, third.id, second.id, NOW)


@dataclass
class World:
    """A running web."""

    url: str
    app: Web
    sock: Listener
    control: FakeControl
    feed: FakeFeed
    clock: FixedClock
    store: InlineStore
    deps: WebDeps
    log: Path
    shutdown: anyio.Event
    served: anyio.Event

    def client(self, *, token: bool = True) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, headers=BEARER if token else {}, trust_env=False, timeout=20)


@asynccontextmanager
async def running(folder: Path, *, grace_s: float = 5.0, port: int = 0, **changes: Any) -> AsyncIterator[World]:
    """Serve a seeded store on a free port of loopback until the block ends."""
    clock = FixedClock()
    log = folder / "run-1.log"
    log.write_text("".join(f"line {number}\n" for number in range(1000)))
    sock = bind_socket("127.0.0.1", port)
    async with InlineStore(clock=clock) as store:
        await store.transact(lambda tx: seed(tx, log))
        control, feed = FakeControl(store), FakeFeed()
        registry = Registry(limits=Limits(), projects={SHOP: Project(name=SHOP, prefix="SHOP", repo="shop")})
        deps = WebDeps(
            store=store,
            control=control,
            feed=feed,
            clock=clock,
            token=TOKEN,
            registry=lambda: registry,
            public_url=url_of(sock),
            version="9.9.9",
        )
        deps = replace(deps, **changes)
        app, shutdown, served = create_app(deps), anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as group:

            async def run() -> None:
                await serve(app, sock, shutdown=shutdown, hub_close=app.hub_close, grace_s=grace_s)
                served.set()

            group.start_soon(run)
            try:
                yield World(url_of(sock), app, sock, control, feed, clock, store, deps, log, shutdown, served)
            finally:
                shutdown.set()
