"""Process trees, tried with real processes: what comes out, what is bounded, and that nothing ever stays alive."""

import os
import py_compile
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from orch import logs
from orch.adapters import orphans, shim
from orch.adapters.process import ProcessTree, namespace_of
from orch.adapters.sandbox import Sandbox
from orch.core.errors import AgentError
from orch.ports import ProcessSpec, SandboxSpec
from tests.sandboxes import need_sandbox

SHIM = Path(shim.__file__).read_text()
IGNORING = "trap '' TERM; while :; do sleep 1; done"
TREES = {
    "leader ignores TERM": IGNORING,
    "setsid": f'setsid sh -c "{IGNORING}" & wait',
    "double fork": f'(setsid sh -c "{IGNORING}" &) ; (setsid sleep 60 &) ; {IGNORING}',
    "environment shed": f'(env -i PATH=$PATH setsid sh -c "{IGNORING}" &) ; {IGNORING}',
    "stopped": 'sh -c "kill -STOP \\$\\$" & sleep 60',
    "hundred": f'for i in $(seq 100); do (setsid sh -c "{IGNORING}" &) ; done; {IGNORING}',
}


class Reader:
    """Follows lines that say ``open``, ``close`` and ``result``."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.tool_open = self.finished = False

    def feed(self, line: bytes) -> None:
        self.lines.append(line)
        self.tool_open = line == b"open" or (self.tool_open and line != b"close")
        self.finished = self.finished or line == b"result"


@pytest.fixture(params=["asyncio", "trio", "sandboxed"])
def way(request: pytest.FixtureRequest) -> str:
    """How the suite is run: on either backend, and once with every program in the sandbox."""
    if request.param == "sandboxed":
        need_sandbox()
    return str(request.param)


@pytest.fixture
def anyio_backend(way: str) -> str:
    return "trio" if way == "trio" else "asyncio"


@pytest.fixture
def outside(way: str) -> None:
    """Skip the sandboxed way: for tests whose program reaches for its shim, which it cannot see from inside."""
    if way == "sandboxed":
        pytest.skip("the program does what cannot be done from inside")


@pytest.fixture
def namespace(tmp_path: Path) -> str:
    return namespace_of(tmp_path)


@pytest.fixture
def trees(way: str, namespace: str, tmp_path: Path) -> Callable[..., ProcessTree]:
    sandbox = Sandbox(tmp_path / "data") if way == "sandboxed" else None

    def make(**changes: Any) -> ProcessTree:
        return ProcessTree(namespace=namespace, sandbox=sandbox, **changes)

    return make


@pytest.fixture
def processes(trees: Callable[..., ProcessTree]) -> ProcessTree:
    return trees()


@pytest.fixture
def spec(tmp_path: Path) -> Callable[..., ProcessSpec]:
    base = ProcessSpec(
        argv=("true",),
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        log_path=tmp_path / "logs" / "run.log",
        run_timeout_s=30.0,
        grace_s=0.0,
        run_label="17",
        sandbox=SandboxSpec(write=(tmp_path,)),
    )

    def make(script: str, **changes: object) -> ProcessSpec:
        return replace(base, argv=("sh", "-c", script), **changes)  # type: ignore[arg-type]

    return make


def alive(namespace: str) -> set[int]:
    return set(orphans.find(lambda label: label.startswith(namespace)))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another program does."""
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110
            await anyio.sleep(0.01)


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", -9), ("kill -TERM $$", -15)])
async def test_the_exit_code_is_the_programs_own(
    processes: ProcessTree, spec: Callable[..., ProcessSpec], script: str, code: int
) -> None:
    end = await processes.run(spec(script))
    assert (end.ending, end.exit_code, end.survivors) == ("exited", code, ())


async def test_G13_the_environment_is_exactly_the_given_one(
    processes: ProcessTree, namespace: str, spec: Callable[..., ProcessSpec], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setenv("PLANE_TOKEN", "canary")
    reader = Reader()
    await processes.run(replace(spec(""), argv=("env",), env={"PATH": os.environ["PATH"], "ODD": "a=b\nc"}), reader)
    expected = [b"PATH=" + os.environb[b"PATH"], b"ODD=a=b", b"c", f"ORCH_RUN_ID={namespace}/17".encode()]
    said_by_bubblewrap = [line for line in reader.lines if way == "sandboxed" and line.startswith(b"PWD=")]
    assert sorted(set(reader.lines) - set(said_by_bubblewrap)) == sorted(expected)


async def test_the_program_reads_the_given_file_or_nothing_at_all(
    processes: ProcessTree, spec: Callable[..., ProcessSpec], tmp_path: Path
) -> None:
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("do it")
    with_prompt, without = Reader(), Reader()
    await processes.run(spec("cat", stdin_path=prompt), with_prompt)
    await processes.run(spec("cat; echo end"), without)
    assert (with_prompt.lines, without.lines) == ([b"do it"], [b"end"])


async def test_only_the_three_standard_descriptors_are_inherited(
    processes: ProcessTree, spec: Callable[..., ProcessSpec]
) -> None:
    reader = Reader()
    inherited, other = os.pipe()
    try:
        os.set_inheritable(inherited, True)
        await processes.run(spec("ls /proc/$$/fd"), reader)
    finally:
        os.close(inherited)
        os.close(other)
    assert [line for line in reader.lines if line in {b"0", b"1", b"2"}] == [b"0", b"1", b"2"]
    assert str(inherited).encode() not in reader.lines


async def test_both_outputs_are_logged_and_standard_error_is_returned(
    processes: ProcessTree, spec: Callable[..., ProcessSpec]
) -> None:
    wanted = spec("echo out; echo problem >&2; printf unended")
    reader = Reader()
    end = await processes.run(wanted, reader)
    assert end.stderr_tail == "problem\n"
    assert reader.lines == [b"out", b"unended"]
    log = wanted.log_path.read_text()
    assert all(text in log for text in ("out", "problem", "unended"))
    assert wanted.log_path.stat().st_mode & 0o077 == 0


async def test_G13_no_secret_is_logged_or_read_however_it_is_printed(
    processes: ProcessTree, spec: Callable[..., ProcessSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = "c4nary-of-a-run-7d1f"
    monkeypatch.setattr(logs, "_needles", ())
    logs.register_secret(canary)
    printed = f"printf 'say c4nary-of'; sleep 0.3; echo '-a-run-7d1f twice {canary}'; echo {canary} >&2; printf c4nary-of"
    reader, made = Reader(), spec(printed)
    end = await processes.run(made, reader)
    assert reader.lines == [b"say [redacted] twice [redacted]", b"c4nary-of"]
    assert end.stderr_tail == "[redacted]\n"
    assert canary not in made.log_path.read_text()
    assert made.log_path.read_text().endswith("c4nary-of")


async def test_a_line_without_end_is_cut_and_the_next_one_is_whole(
    trees: Callable[..., ProcessTree], spec: Callable[..., ProcessSpec]
) -> None:
    reader = Reader()
    script = "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo after"
    end = await trees(max_line=1_000_000).run(spec(script), reader)
    assert end.exit_code == 0
    assert [len(line) for line in reader.lines] == [1_000_000, 5]


async def test_a_log_is_capped_and_keeps_its_beginning_and_its_end(
    processes: ProcessTree, spec: Callable[..., ProcessSpec]
) -> None:
    wanted = spec("echo first; head -c 2000000 /dev/zero | tr '\\0' x; echo; echo last", log_cap=10_000)
    end = await processes.run(wanted)
    log = wanted.log_path.read_text()
    assert end.exit_code == 0
    assert len(log) <= 10_000
    assert log.startswith("first\n")
    assert log.endswith("\nlast\n")
    assert "bytes are left out here" in log


async def test_silence_is_a_stall_unless_a_tool_is_open(processes: ProcessTree, spec: Callable[..., ProcessSpec]) -> None:
    limits = {"stall_timeout_s": 0.4, "tool_timeout_s": 10.0}
    silent = await processes.run(spec("echo hi; exec sleep 60", **limits), Reader())
    working = await processes.run(spec("echo open; sleep 0.8; echo close", **limits), Reader())
    after = await processes.run(spec("echo open; sleep 0.5; echo close; exec sleep 60", **limits), Reader())
    assert (silent.ending, working.ending, after.ending) == ("stalled", "exited", "stalled")
    assert after.seconds < 5


async def test_an_open_tool_has_its_own_bound_however_it_chatters(
    processes: ProcessTree, spec: Callable[..., ProcessSpec]
) -> None:
    script = "echo open; while :; do echo beat; sleep 0.05; done"
    end = await processes.run(spec(script, stall_timeout_s=10.0, tool_timeout_s=0.5), Reader())
    assert end.ending == "stalled"
    assert 0.5 <= end.seconds < 5


async def test_the_whole_run_has_a_bound_however_it_chatters(processes: ProcessTree, spec: Callable[..., ProcessSpec]) -> None:
    end = await processes.run(spec("while :; do echo beat; done", run_timeout_s=0.4, stall_timeout_s=10.0, log_cap=1000))
    assert end.ending == "timed_out"
    assert end.seconds < 5


async def test_a_process_that_hangs_after_its_result_is_ended(
    trees: Callable[..., ProcessTree], spec: Callable[..., ProcessSpec]
) -> None:
    end = await trees(after_result_s=0.2).run(spec("echo result; exec sleep 60", stall_timeout_s=30.0, grace_s=1.0), Reader())
    assert (end.ending, end.exit_code) == ("hung_after_result", -15)


async def test_the_grace_lets_a_program_say_its_last_words(
    processes: ProcessTree, spec: Callable[..., ProcessSpec], way: str
) -> None:
    reader = Reader()
    script = (
        "trap 'head -c 300000 /dev/zero | tr \"\\0\" x; echo; echo bye; exit 143' TERM; echo up; while :; do sleep 0.05; done"
    )
    end = await processes.run(spec(script, run_timeout_s=0.5, grace_s=10.0), reader)
    assert (end.ending, end.exit_code) == ("timed_out", -15 if way == "sandboxed" else 143)
    assert reader.lines[-1] == b"bye"
    assert end.seconds < 5


@pytest.mark.parametrize("grace_s", [0.0, 0.3])
@pytest.mark.parametrize("tree", TREES)
async def test_G5_a_cancelled_tree_leaves_nothing_alive(
    namespace: str, processes: ProcessTree, spec: Callable[..., ProcessSpec], tree: str, grace_s: float
) -> None:
    wanted = spec(TREES[tree], grace_s=grace_s)
    expected = 100 if tree == "hundred" else 2
    started = 0.0
    async with anyio.create_task_group() as group:
        group.start_soon(processes.run, wanted)
        await until(lambda: len(alive(namespace)) > expected)
        members = alive(namespace)
        started = time.monotonic()
        group.cancel_scope.cancel()
    seconds = time.monotonic() - started
    assert alive(namespace) == set()
    assert {pid for pid in members if (entry := shim.read_entry(pid)) and entry[3] != "Z"} == set()
    assert seconds < grace_s + 1
    assert processes.survivors == {}


async def test_G5_a_program_that_forks_away_without_end_is_caught(
    namespace: str, processes: ProcessTree, spec: Callable[..., ProcessSpec], tmp_path: Path
) -> None:
    script = tmp_path / "runner.py"
    script.write_text(
        "import os, pathlib, signal\n"
        "if os.fork():\n"
        "    signal.pause()\n"
        "for n in range(100_000):\n"
        "    if os.fork():\n"
        "        os._exit(0)\n"
        "    if n == 100:\n"
        "        pathlib.Path('running').touch()\n"
    )
    started = 0.0
    async with anyio.create_task_group() as group:
        group.start_soon(processes.run, replace(spec(""), argv=(sys.executable, "-I", "-S", str(script))))
        await until((tmp_path / "running").exists)
        started = time.monotonic()
        group.cancel_scope.cancel()
    assert time.monotonic() - started < 3
    assert alive(namespace) == set()


async def test_what_a_program_leaves_behind_at_its_own_end_dies_too(
    namespace: str, processes: ProcessTree, spec: Callable[..., ProcessSpec]
) -> None:
    end = await processes.run(spec(f'(setsid sh -c "{IGNORING}" &) ; (setsid sleep 60 &) ; exit 0', grace_s=0.1))
    assert (end.ending, end.exit_code) == ("exited", 0)
    assert alive(namespace) == set()


async def test_cancellation_passes_through(processes: ProcessTree, spec: Callable[..., ProcessSpec]) -> None:
    with anyio.move_on_after(0.2) as scope:
        await processes.run(spec("exec sleep 60"))
    assert scope.cancelled_caught


async def test_a_shim_that_is_killed_still_loses_its_tree(
    namespace: str, processes: ProcessTree, spec: Callable[..., ProcessSpec]
) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(processes.run, spec(TREES["double fork"]))
        await until(lambda: len(alive(namespace)) > 3)
        for pid in alive(namespace):
            entry = shim.read_entry(pid)
            if entry is not None and entry[0] == os.getpid():
                os.kill(pid, signal.SIGKILL)
        group.cancel_scope.cancel()
    assert alive(namespace) == set()


@pytest.mark.usefixtures("outside")
async def test_G5_a_program_that_keeps_its_shim_stopped_dies_in_time(
    namespace: str, processes: ProcessTree, spec: Callable[..., ProcessSpec]
) -> None:
    started = 0.0
    async with anyio.create_task_group() as group:
        group.start_soon(processes.run, spec("shim=$PPID; while :; do kill -STOP $shim; done"))
        await until(lambda: len(alive(namespace)) > 1)
        started = time.monotonic()
        group.cancel_scope.cancel()
    assert time.monotonic() - started < 1
    assert alive(namespace) == set()


@pytest.mark.usefixtures("outside")
async def test_a_shim_that_is_killed_ends_the_run_as_killed(
    namespace: str, processes: ProcessTree, spec: Callable[..., ProcessSpec]
) -> None:
    end = await processes.run(spec(f'(setsid sh -c "{IGNORING}" &) ; kill -9 $PPID; {IGNORING}'))
    assert (end.ending, end.exit_code) == ("exited", -9)
    assert alive(namespace) == set()


DAEMON = """
import sys, anyio
from pathlib import Path
from orch.adapters.process import ProcessTree
from orch.adapters.sandbox import Sandbox
from orch.ports import ProcessSpec, SandboxSpec
here, way, namespace, path, script = Path(sys.argv[1]), *sys.argv[2:]
spec = ProcessSpec(argv=("sh", "-c", script), cwd=here, env={"PATH": path}, log_path=here / "log", run_timeout_s=60,
                   grace_s=0.2, run_label="18", sandbox=SandboxSpec(write=(here,)))
sandbox = Sandbox(here / "data") if way == "sandboxed" else None
anyio.run(ProcessTree(namespace=namespace, sandbox=sandbox).run, spec)
"""


async def test_G10_the_tree_dies_with_a_daemon_that_is_killed(namespace: str, tmp_path: Path, way: str) -> None:
    command = [sys.executable, "-c", DAEMON, str(tmp_path), way, namespace, os.environ["PATH"], TREES["double fork"]]
    daemon = subprocess.Popen(command)  # noqa: ASYNC220 (it has to be killed the hard way)
    try:
        await until(lambda: len(alive(namespace)) > 3)
    finally:
        daemon.kill()
        daemon.wait()
    await until(lambda: not alive(namespace))


async def test_G10_a_sandboxed_tree_dies_with_its_shim_though_nobody_is_left_to_help(
    namespace: str, tmp_path: Path, way: str
) -> None:
    if way != "sandboxed":
        pytest.skip("without a sandbox it takes the daemon, or the next one")
    command = [sys.executable, "-c", DAEMON, str(tmp_path), way, namespace, os.environ["PATH"], TREES["double fork"]]
    daemon = subprocess.Popen(command)  # noqa: ASYNC220 (it has to be stopped the hard way)
    try:
        await until(lambda: len(alive(namespace)) > 5)
        members = alive(namespace)
        daemon.send_signal(signal.SIGSTOP)
        for pid in members:
            if (entry := shim.read_entry(pid)) is not None and entry[0] == daemon.pid:
                os.kill(pid, signal.SIGKILL)
        await until(lambda: not {pid for pid in members if (entry := shim.read_entry(pid)) and entry[3] != "Z"})
    finally:
        daemon.kill()
        daemon.wait()


async def test_orphans_of_an_earlier_daemon_are_found_and_ended_and_nobody_elses(
    namespace: str, processes: ProcessTree, spec: Callable[..., ProcessSpec]
) -> None:
    other = namespace_of(Path("/somebody/else"))

    def orphan(label: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sh", "-c", IGNORING], env={"PATH": os.environ["PATH"], "ORCH_RUN_ID": label})

    mine, named, foreign = orphan(f"{namespace}/1"), orphan(f"{namespace}/2"), orphan(f"{other}/1")
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(processes.run, spec("exec sleep 60"))
            await until(lambda: {mine.pid, named.pid} < alive(namespace))
            assert named.pid in await processes.kill_orphans(["2"], grace_s=0.1)
            assert mine.poll() is None
            assert mine.pid in await processes.kill_orphans(grace_s=0.1)
            assert foreign.poll() is None
            assert alive(namespace), "the daemon's own tree is no orphan"
            group.cancel_scope.cancel()
    finally:
        for process in (mine, named, foreign):
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("no-such-program",), "install it"),
        (("./not-executable",), "install it"),
        (("./no-interpreter",), "cannot start './no-interpreter'"),
        (("./garbage",), "Exec format error"),
        (("true", "nul\0byte"), "cannot start 'true'"),
        ((), "no command is given"),
    ],
)
async def test_a_program_that_cannot_be_started_is_one_line_that_says_what_to_do(
    processes: ProcessTree, spec: Callable[..., ProcessSpec], tmp_path: Path, way: str, argv: tuple[str, ...], says: str
) -> None:
    if argv == ("./garbage",) and way == "sandboxed":
        pytest.skip("bubblewrap gives what is no program to the shell")
    (tmp_path / "not-executable").write_text("#!/bin/sh\n")
    for name, text in (("no-interpreter", "#!/no/such/interpreter\n"), ("garbage", "\x7fnothing")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    with pytest.raises(AgentError, match=says) as caught:
        await processes.run(replace(spec(""), argv=argv))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"cwd": Path("/no/such/place")}, "/no/such/place does not exist"),
        ({"log_path": Path("/proc/nothing/log")}, "cannot write the log"),
        ({"stdin_path": Path("/no/such/prompt")}, "/no/such/prompt"),
    ],
)
async def test_a_place_that_is_missing_is_named(
    processes: ProcessTree, spec: Callable[..., ProcessSpec], changes: dict[str, Path], says: str
) -> None:
    with pytest.raises(AgentError, match=says):
        await processes.run(spec("true", **changes))


async def test_the_shim_is_started_compiled_where_that_is_of_its_very_source(
    tmp_path: Path, spec: Callable[..., ProcessSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, tree = tmp_path / "shim.py", ProcessTree(namespace=namespace_of(tmp_path))
    monkeypatch.setattr(shim, "__file__", str(source))

    async def started() -> str:
        reader = Reader()
        end = await tree.run(replace(spec("tr '\\0' ' ' < /proc/$PPID/cmdline"), sandbox=None), reader)
        assert end.exit_code == 0
        return b"".join(reader.lines).decode().split(" ")[3]

    source.write_text(SHIM)
    assert await started() == str(source), "nothing is compiled yet"
    compiled = py_compile.compile(str(source), doraise=True)
    assert await started() == compiled
    source.write_text(SHIM + "# another one")
    assert await started() == str(source)
