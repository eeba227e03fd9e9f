"""How long a landing takes beside the test command, on a repository of ten thousand files.

Everything is real: store, mirror, pushes to a bare repository, a working copy per test; the test command alone answers green at
once. A figure is from the moment in which a task stands in the queue to the moment in which its landing is recorded, without what
its working copy took (told apart: it is the test's, and a project with a large tree pays for it whatever lands). The next task
enters when the landing before it has come to rest: its branch is deleted, the train has looked again.
Baseline: a bare ``git push`` of one commit to the same repository. The goal is 100 ms beyond the test command.
Run: ``python -m tests.bench.bench_landing [ROUNDS]``.
"""

import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from actors.supervisor import Supervisor
from actors.world import World
from orch import logs
from orch.adapters.clock import SystemClock
from orch.adapters.git import Git, GitMirror
from orch.adapters.git.push import push_ref
from orch.adapters.store import SqliteStore
from orch.cli.options import ServeOptions
from orch.core.ids import ProjectName, Sha, TaskRow
from orch.core.messages import CommandReport, CommandVerdict, LandingHint
from orch.core.model import Awaiting, LandStyle, RowState
from orch.daemon import make_adapters, make_configuration, make_plan
from orch.ports import CandidateMember, ChainSpec, Mirror
from orch.wiring import Connections, Ground, build_world
from tests.bench import harness
from tests.bench.bench_spawn import quantile
from tests.gitrepo import Repo, make_bare, make_repo, remote_of
from tests.scenario.queued import Wanted, place

FILES = 10_000
REST_S = 0.3
CHAIN = 16
DEMO = ProjectName("demo")


class Green:
    """Every command is green at once."""

    def __init__(self) -> None:
        self.runs = 0

    def toolchain(self, *commands: Sequence[str]) -> str:
        return ""

    async def run(self, argv: Sequence[str], **_: Any) -> CommandReport:
        self.runs += 1
        return CommandReport(verdict=CommandVerdict.GREEN, exit_code=0)


class TimedMirror:
    """A mirror whose working copies are timed."""

    def __init__(self, inner: Mirror) -> None:
        self._inner = inner
        self.copies = harness.Stopwatch()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @asynccontextmanager
    async def checkout(self, sha: Sha, label: str) -> AsyncIterator[Path]:
        began = time.perf_counter()
        async with self._inner.checkout(sha, label) as folder:
            self.copies.seconds += time.perf_counter() - began
            yield folder
            began = time.perf_counter()
        self.copies.seconds += time.perf_counter() - began


def make_repository(here: Path) -> tuple[Repo, Repo]:
    """Return a bare repository of ten thousand files and a person's clone of it."""
    files = {f"d{n % 100}/e{n % 10}/f{n}.txt": f"{n}\n" * 5 for n in range(FILES)}
    person = make_repo(here / "person", files=files)
    bare = make_bare(here / "bare.git", person)
    person.git("fetch", "--quiet", "origin")
    return bare, person


async def bare_pushes(bare: Repo, person: Repo, rounds: int) -> list[float]:
    """Push one commit after another to a branch of its own, as plainly as git can."""
    git, seconds = Git(), []
    person.switch("plain", "origin/main")
    for number in range(rounds):
        sha = person.commit({f"plain/{number}": "x\n"}, f"plain {number}")
        began = time.perf_counter()
        await push_ref(git, person.path / ".git", remote_of(bare), f"{sha}:refs/heads/plain")
        seconds.append(time.perf_counter() - began)
    return seconds


async def landings(here: Path, bare: Repo, person: Repo, rounds: int) -> tuple[list[float], list[float]]:
    """Land one task after the other; return what each took beside its working copy, and what that took."""
    options = ServeOptions(repo=bare.path, test_command=("true",), name="demo", prefix="DEMO", port=0, data_dir=here / "data")
    plan = make_plan(replace(options, agent="scripted"), {})
    overhead, copies = [], []
    plan.data_dir.mkdir()
    names = [Wanted(title=f"Task {n}", commits=({f"d{n % 100}/new{n}": "x\n"},)) for n in range(rounds)]
    await place(plan.data_dir, person, names)
    clock = SystemClock()
    async with await SqliteStore.open(plan.data_dir / "orch.db", clock=clock) as store:
        tasks = await store.transact(lambda tx: tx.landing_queue(DEMO))
        for task in tasks:
            await store.transact(lambda tx, task=task: tx.save_task(replace(task, awaiting=Awaiting.NOTHING, train_seq=None)))  # type: ignore[misc]
        configuration = make_configuration(plan, None, make_adapters())
        ground = Ground(
            settings=plan.settings,
            projects=plan.projects,
            data_dir=plan.data_dir,
            registry=configuration.registry,
            store=store,
            clock=clock,
            adapters=make_adapters(),
            sandbox=None,
        )
        world = build_world(ground, Connections(plan.settings, plan.projects, plan.data_dir))
        mirror = world.services[DEMO].mirror
        assert isinstance(mirror, GitMirror)
        timed = TimedMirror(mirror)
        world = replace(world, commands=Green(), services={DEMO: replace(world.services[DEMO], mirror=timed)})
        supervisor = Supervisor(world)
        async with anyio.create_task_group() as group:
            await group.start(supervisor.run)
            for task in tasks:
                before, began = timed.copies.seconds, time.perf_counter()
                await _land(world, supervisor, task.row)
                took, copied = time.perf_counter() - began, timed.copies.seconds - before
                overhead.append(took - copied)
                copies.append(copied)
                await _rest(world)
            group.cancel_scope.cancel()
    return overhead, copies


async def _land(world: World, supervisor: Supervisor, row: TaskRow) -> None:
    """Put the task into the queue and wait until its landing is recorded."""

    def enter(tx: Any) -> None:
        task = tx.load_task(row)
        tx.save_task(replace(task, awaiting=Awaiting.LANDING, train_seq=tx.next_train_seq(DEMO)))

    await world.store.transact(enter)
    supervisor.repo(DEMO).tell(LandingHint())
    while (await world.store.read(lambda tx: tx.load_task(row).landed)) is None:  # type: ignore[union-attr] # noqa: ASYNC110
        await anyio.sleep(0.005)


async def _rest(world: World) -> None:
    """Wait until everything that follows a landing is done."""
    while await world.store.read(lambda tx: tx.list_outbox(state=RowState.PENDING)):  # noqa: ASYNC110
        await anyio.sleep(0.01)
    await anyio.sleep(REST_S)


async def chains(here: Path, bare: Repo, person: Repo) -> dict[LandStyle, float]:
    """Return what building a chain takes per member, by style, with nothing remembered."""
    mirror = GitMirror(here / "chain.git", remote_of(bare), project=DEMO, default_branch="main", git=Git())
    person.git("fetch", "--quiet", "origin")
    heads = []
    for number in range(CHAIN):
        person.switch(f"feature/c{number}", "origin/main")
        heads.append(person.commit({f"d{number}/chained": "x\n"}, f"chained {number}"))
    person.git("push", "--quiet", "origin", *(f"feature/c{number}" for number in range(CHAIN)))
    person.switch("moved", "origin/main")
    person.commit({"moved": "x\n"}, "main moved")
    person.git("push", "--quiet", "origin", "moved:main")
    base = await mirror.fetch()
    members = tuple(CandidateMember(task=TaskRow(n), head=head, message="m") for n, head in enumerate(heads, 1))
    took = {}
    for style in LandStyle:
        began = time.perf_counter()
        await mirror.build_chain(ChainSpec(base=base, members=members, style=style))
        took[style] = (time.perf_counter() - began) / CHAIN
    return took


async def main(rounds: int) -> None:
    logs.configure(level="error")
    bench = harness.Bench("landing")
    with harness.disk_dir() as here:
        bare, person = await anyio.to_thread.run_sync(partial(make_repository, here))
        plain = await bare_pushes(bare, person, rounds)
        overhead, copies = await landings(here, bare, person, rounds)
        built = await chains(here, bare, person)
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        base = quantile(plain, share)
        bench.add(f"landing beyond the test command {name}", quantile(overhead, share), "ms", baseline=base, lower_is_better=True)
        bench.add(f"its working copy of {FILES} files {name}", quantile(copies, share), "ms")
    for style, seconds in built.items():
        bench.add(f"chain of {CHAIN}, {style}, per member", 1000 * seconds, "ms")
    bench.finish()


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 10)
