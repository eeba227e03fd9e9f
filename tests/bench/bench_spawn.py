"""How long until an agent's program runs, and how long until a hostile tree is dead.

Baseline of the first: the same program started bare by anyio. Both are timed to the first byte of its output.
The second has no baseline: it is a figure with a goal (p99 at most 250 ms after a grace of 0, no survivor).
Run: ``python -m tests.bench.bench_spawn [ROUNDS]``.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import anyio

from orch.adapters import orphans
from orch.adapters.process import ProcessTree, namespace_of
from orch.ports import ProcessSpec
from tests.bench import harness

PROGRAM = ("/bin/echo", "x")
HOSTILE = (
    'for i in $(seq 99); do (setsid sh -c "trap \\"\\" TERM; sleep 600 & wait; sleep 600" &) ; done; trap "" TERM; sleep 600'
)


class FirstByte:
    """Notes when the first line came."""

    tool_open = finished = False

    def __init__(self) -> None:
        self.at = 0.0

    def feed(self, line: bytes) -> None:
        self.at = self.at or time.perf_counter()


async def bare(rounds: int) -> list[float]:
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        async with await anyio.open_process(PROGRAM) as process:
            assert process.stdout is not None
            await process.stdout.receive()
            seconds.append(time.perf_counter() - started)
            await process.wait()
    return seconds


async def through_the_shim(rounds: int, here: Path) -> list[float]:
    processes, seconds = ProcessTree(namespace=namespace_of(here)), []
    for _ in range(rounds):
        reader, started = FirstByte(), time.perf_counter()
        await processes.run(_spec(PROGRAM, here), reader)
        seconds.append(reader.at - started)
    return seconds


async def stop(rounds: int, here: Path) -> tuple[list[float], int]:
    """Cancel a tree of a hundred that hides and ignores TERM; return the times until it was dead, and how many survived."""
    namespace, seconds, survivors = namespace_of(here), [], 0

    def alive() -> int:
        return len(orphans.find(lambda label: label.startswith(namespace)))

    for _ in range(rounds):
        async with anyio.create_task_group() as group:
            group.start_soon(ProcessTree(namespace=namespace).run, _spec(("sh", "-c", HOSTILE), here))
            while alive() < 200:  # noqa: ASYNC110 (other programs start them)
                await anyio.sleep(0.05)
            started = time.perf_counter()
            group.cancel_scope.cancel()
        seconds.append(time.perf_counter() - started)
        survivors += alive()
    return seconds, survivors


def _spec(argv: tuple[str, ...], here: Path) -> ProcessSpec:
    environment = {"PATH": os.environ.get("PATH", os.defpath)}
    return ProcessSpec(
        argv=argv, cwd=here, env=environment, log_path=here / "log", run_timeout_s=60.0, grace_s=0.0, run_label="b"
    )


def quantile(seconds: list[float], share: float) -> float:
    """Return a quantile in milliseconds."""
    ordered = sorted(seconds)
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        await bare(5)
        await through_the_shim(5, here)
        plain, shimmed = await bare(rounds), await through_the_shim(rounds, here)
        stopped, survivors = await stop(max(5, rounds // 10), here)
    bench = harness.Bench("spawn")
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        base = quantile(plain, share)
        ours = quantile(shimmed, share)
        bench.add(f"first byte through the shim {name}", ours, "ms", baseline=base, lower_is_better=True)
        bench.add(f"shim's overhead {name}", ours - base, "ms")
        bench.add(f"STOP of a hostile tree of 200, grace 0, {name}", quantile(stopped, share), "ms")
    bench.add("STOP of a hostile tree of 200, survivors", survivors, "")
    bench.finish()


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 200)
