"""Dozens of tasks through a real daemon in a process of its own: real git, real agents' processes, the SQLite file.

Owns: what is looked at of the daemon's process and its data directory. Rule: figures are the kernel's and the disk's.
"""

from pathlib import Path

import anyio
import psutil

from tests.scenario.soak.samples import Bound, Sample
from tests.scenario.story import Person, Story

BATCH = 4
PATIENCE_S = 60.0
BOUNDS = (
    Bound(figure="files", per_task=0.0, floor=4),
    Bound(figure="sockets", per_task=0.0, floor=60),
    Bound(figure="threads", per_task=0.0, floor=4),
    Bound(figure="processes", per_task=0.0, floor=0),
    Bound(figure="working copies", per_task=0.0, floor=0),
    Bound(figure="memory, KiB", per_task=256.0, floor=8 * 1024),
)


def _sample(pid: int, data: Path, tasks: int) -> Sample:
    daemon = psutil.Process(pid)
    kinds = _descriptors(pid)
    return Sample(
        tasks=tasks,
        figures={
            "files": sum(not kind.startswith("socket:") for kind in kinds),
            "sockets": sum(kind.startswith("socket:") for kind in kinds),
            "threads": daemon.num_threads(),
            "processes": len(daemon.children(recursive=True)),
            "working copies": len(_copies(data)),
            "memory, KiB": daemon.memory_info().rss / 1024,
        },
    )


async def soak(folder: Path, tasks: int) -> list[Sample]:
    """Take *tasks* tasks through a real daemon, *BATCH* at a time; return a sample after each batch."""
    story, samples = Story(folder), []
    with story.process(environ={"ORCH_MAX_CONCURRENCY": "2"}) as process:
        person = await story.person_of(process)
        for first in range(0, tasks, BATCH):
            names = [await person.start(f"Task number {number}") for number in range(first, first + BATCH)]
            for name in names:
                await person.approve(name)
            for name in names:
                await person.until_stage(name, "done", within_s=300)
            await _rest(person)
            await _cleared(process.pid, story.data)
            samples.append(_sample(process.pid, story.data, first + BATCH))
    return samples


def _descriptors(pid: int) -> list[str]:
    """Return what each open descriptor is; a socket of a client that has just gone may linger, so those are counted apart."""
    kinds = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            kinds.append(str(link.readlink()))
        except FileNotFoundError:
            continue
    return kinds


def _copies(data: Path) -> list[Path]:
    return [path for folder in ("tasks", "projects/demo/mirror.git.checkouts") for path in (data / folder).glob("*")]


async def _rest(person: Person) -> None:
    """Wait until nothing is left to do: no run, no write to the world, no landing."""
    with anyio.fail_after(PATIENCE_S):
        while True:
            queue = await person.get("/queue")
            agents = queue["agents"]
            if not (queue["outbox"]["pending"] or agents["running"] or agents["commands"] or queue["merge"]["landing"]):
                return
            await anyio.sleep(0.05)


async def _cleared(pid: int, data: Path) -> None:
    """Give the clearing away that follows a task's end its time; what is still there then is left for the sample to tell."""
    daemon = psutil.Process(pid)
    with anyio.move_on_after(PATIENCE_S):
        while True:
            if not (_copies(data) or daemon.children(recursive=True)):
                return
            await anyio.sleep(0.05)
