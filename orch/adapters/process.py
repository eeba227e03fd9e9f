"""Process trees: the one place that starts and kills.

Owns: start under the shim, draining of the output, the watchdogs, and the end of the tree, whatever brings it about.
Owns no meaning of output (a ``LineReader``), nor what a sandbox hides (``sandbox``).

Desired properties: on every end no descendant is left alive; a cancelled run is over within its grace and a second;
nobody waits for the end of a pipe that a survivor holds; no output, however much, stops the drain or fills the disk; no secret
that is known stands in what is logged or read, however it was printed.

Design: the shim (``shim.py``) is the tree's subreaper and ends last, so its exit *is* the end of the tree, and its one-line
report says what came of the program. The daemon watches it by pidfd. Pipes are drained in tasks shielded from the
cancellation that ends the tree, with a deadline, because an agent that cannot write its last words cannot end in
order. Should the shim itself be killed, the tree is found by its label in ``/proc/*/environ``.

Races we accept: a process that left the tree of a *killed* shim and shed its environment is not found. The kernel's
parent-death signal follows the thread that started the shim, so ``run`` belongs into the main thread's event loop.
"""

import hashlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path
from typing import final

import anyio

from orch.adapters import orphans, shim
from orch.adapters.output import MAX_LINE, Lines, RunLog, Tail, drain, pump
from orch.adapters.sandbox import Sandbox
from orch.core.errors import AgentError
from orch.core.model import Survivor
from orch.failpoints import hit
from orch.logs import StreamRedactor
from orch.ports import LineReader, ProcessEnd, ProcessEnding, ProcessSpec

AFTER_RESULT_S = 10.0
"""How long a process may live on after the last line that matters."""
_REPORT_S = 0.5
"""How long after the grace the shim may take for its sweep before it is helped."""
_FORCE_S = shim.KILL_S + 2.0
_DRAIN_S = 1.0
_STDERR_TAIL = 20_000
_SIGNALS = frozenset(int(number) for number in signal.valid_signals())
_UNNAMED = itertools.count(1)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """What the shim said at its end; *code* is None when it said nothing, *errno* is set when the program did not start.

    *inside* says whether bubblewrap has seen the program that it wraps start and end.
    """

    code: int | None = None
    errno: int | None = None
    inside: bool = False
    survivors: tuple[int, ...] = ()


def namespace_of(data_dir: Path) -> str:
    """Return the label prefix of the daemon that owns *data_dir*, so that daemons never take each other's trees for orphans."""
    return hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]


@final
@dataclass(slots=True)
class _Running:
    """One tree while it runs. Times are of the event loop's clock."""

    spec: ProcessSpec
    label: str
    reader: LineReader | None
    process: subprocess.Popen[bytes]
    pidfd: int
    report_fd: int
    log: RunLog
    after_result_s: float
    started: float
    last_output: float
    tool_since: float | None = None
    finished_at: float | None = None
    stderr: Tail = field(default_factory=lambda: Tail(_STDERR_TAIL))
    report: _Report = _Report()
    exited: anyio.Event = field(default_factory=anyio.Event)
    changed: anyio.Event = field(default_factory=anyio.Event)

    def saw_output(self, chunk: bytes) -> None:
        """Log a piece of output, note the silence broken, and wake the watchdog where its deadline may have come nearer."""
        self.log.write(chunk)
        self.last_output = now = anyio.current_time()
        if self.reader is None:
            return
        tool_open, finished = self.reader.tool_open, self.reader.finished
        if tool_open != (self.tool_since is not None) or finished != (self.finished_at is not None):
            self.tool_since = (self.tool_since or now) if tool_open else None
            self.finished_at = (self.finished_at or now) if finished else None
            self.changed.set()

    def limit(self) -> tuple[float, ProcessEnding]:
        """Return when the tree has to be ended as things stand, and as what."""
        spec = self.spec
        limits: list[tuple[float, ProcessEnding]] = [(self.started + spec.run_timeout_s, "timed_out")]
        if self.finished_at is not None:
            limits.append((self.finished_at + self.after_result_s, "hung_after_result"))
        elif self.tool_since is not None:
            if spec.tool_timeout_s is not None:
                limits.append((self.tool_since + spec.tool_timeout_s, "stalled"))
        elif spec.stall_timeout_s is not None:
            limits.append((self.last_output + spec.stall_timeout_s, "stalled"))
        return min(limits)


@final
class ProcessTree:
    """Starts and kills. *namespace* goes in front of every label (see ``namespace_of``).

    With a *sandbox* every process whose spec asks for it runs inside.
    """

    def __init__(
        self,
        *,
        namespace: str = "",
        sandbox: Sandbox | None = None,
        after_result_s: float = AFTER_RESULT_S,
        max_line: int = MAX_LINE,
    ) -> None:
        self._prefix = f"{namespace}/" if namespace else ""
        self._sandbox = sandbox
        self._after_result_s, self._max_line = after_result_s, max_line
        self._live: set[str] = set()
        self.survivors: dict[str, tuple[Survivor, ...]] = {}
        """By run label: what could not be killed. A cancelled run returns nothing, so they are told here too."""

    async def run(self, spec: ProcessSpec, reader: LineReader | None = None) -> ProcessEnd:
        """Run to the end. On every end, cancellation included, no descendant is left alive (a shielded, bounded sweep).

        Raises AgentError when the program cannot be started.
        """
        label = self._prefix + (spec.run_label or f"unnamed-{os.getpid()}-{next(_UNNAMED)}")
        with ExitStack() as stack:
            tree = self._start(spec, label, reader, stack)
            self._live.add(label)
            stack.callback(self._live.discard, label)
            ending = await self._follow(tree)
        report = tree.report
        if report.errno is not None:
            raise AgentError(_cannot_start(spec.argv[0], os.strerror(report.errno)))
        sandboxed = spec.sandbox is not None and self._sandbox is not None
        if sandboxed and report.code == 1 and not report.inside:
            raise AgentError(_cannot_start(spec.argv[0], f"in the sandbox: {tree.stderr.text().strip()[-500:]}"))
        code = -signal.SIGKILL if report.code is None else report.code
        return ProcessEnd(
            ending=ending,
            exit_code=_signal_of(code) if sandboxed else code,
            stderr_tail=tree.stderr.text(),
            seconds=anyio.current_time() - tree.started,
            survivors=_identify(report.survivors),
        )

    async def kill_orphans(self, labels: Iterable[str] | None = None, *, grace_s: float = 5.0) -> list[int]:
        """Kill process trees left by an earlier daemon (found by ``ORCH_RUN_ID``); return the pids that were ended.

        Without *labels*: every tree of this namespace that this daemon does not run itself, and no deploy, nor what one has left
        running. With them: exactly those.
        """
        if labels is None:
            killed = await orphans.kill(self._is_orphan, grace_s)
        else:
            wanted = {self._prefix + label for label in labels}
            killed = await orphans.kill(wanted.__contains__, grace_s)
        for pid, label in killed.left.items():
            name = label.removeprefix(self._prefix)
            self.survivors[name] = tuple(dict.fromkeys((*self.survivors.get(name, ()), *_identify([pid]))))
        return sorted(killed.ended)

    def _is_orphan(self, label: str) -> bool:
        spared = label in self._live or label.startswith(self._prefix + orphans.DETACHED)
        return label.startswith(self._prefix) and not spared

    def living(self, labels: Iterable[str], known: Iterable[Survivor] = ()) -> tuple[Survivor, ...]:
        """Return those that could not be ended and live yet: of the runs with *labels* as far as remembered, and of *known*."""
        remembered = [each for label in labels for each in self.survivors.get(label, ())]
        return tuple(dict.fromkeys(each for each in (*known, *remembered) if each in _identify([each.pid])))

    def _start(self, spec: ProcessSpec, label: str, reader: LineReader | None, stack: ExitStack) -> _Running:
        """Start the shim, which starts the program; everything opened here is closed by *stack*."""
        _check_program(spec)
        try:
            log = RunLog(spec.log_path, spec.log_cap)
        except OSError as error:
            raise AgentError(f"cannot write the log {spec.log_path}: {error.strerror}: check the data directory") from error
        stack.callback(log.close)
        report_fd, write_end = os.pipe()
        stack.callback(os.close, report_fd)
        try:
            process = _spawn(spec, label, write_end, self._sandbox)
        except (OSError, ValueError) as error:  # ValueError: a NUL byte in argv or environment
            raise AgentError(_cannot_start(spec.argv[0], str(error))) from error
        finally:
            os.close(write_end)
        stack.callback(_close, process)
        hit("process.spawned")
        assert process.stdout is not None
        assert process.stderr is not None
        for fd in (process.stdout.fileno(), process.stderr.fileno(), report_fd):
            os.set_blocking(fd, False)
        pidfd = os.pidfd_open(process.pid)
        stack.callback(os.close, pidfd)
        now = anyio.current_time()
        return _Running(
            spec=spec,
            label=label,
            reader=reader,
            process=process,
            pidfd=pidfd,
            report_fd=report_fd,
            log=log,
            after_result_s=self._after_result_s,
            started=now,
            last_output=now,
        )

    async def _follow(self, tree: _Running) -> ProcessEnding:
        """Drain the output and watch the clock until the tree has ended; end it where need be."""
        lines = None if tree.reader is None else Lines(tree.reader, self._max_line)
        said, complained = StreamRedactor(), StreamRedactor()

        def take_stdout(chunk: bytes) -> None:
            if lines is not None:
                lines.write(chunk)
            tree.saw_output(chunk)

        def take_stderr(chunk: bytes) -> None:
            tree.stderr.write(chunk)
            tree.saw_output(chunk)

        assert tree.process.stdout is not None
        assert tree.process.stderr is not None
        out, err = tree.process.stdout.fileno(), tree.process.stderr.fileno()
        bound = tree.started + tree.spec.run_timeout_s + tree.spec.grace_s + _REPORT_S + _FORCE_S + _DRAIN_S
        scopes = [anyio.CancelScope(shield=True, deadline=bound) for _ in range(3)]

        def hear(chunk: bytes) -> None:
            take_stdout(said.feed(chunk))

        def hear_complaint(chunk: bytes) -> None:
            take_stderr(complained.feed(chunk))

        async def hear_all(scope: anyio.CancelScope, *, stdout: bool) -> None:
            """Read one of both outputs; what was said before a complaint stands before it."""
            with scope:
                if stdout:
                    await pump(out, hear)
                else:
                    await pump(err, hear_complaint, before=partial(drain, out, hear))

        async def await_exit(scope: anyio.CancelScope) -> None:
            with scope:
                await anyio.wait_readable(tree.pidfd)
                tree.exited.set()
                tree.changed.set()

        async with anyio.create_task_group() as group:
            group.start_soon(partial(hear_all, scopes[0], stdout=True))
            group.start_soon(partial(hear_all, scopes[1], stdout=False))
            group.start_soon(await_exit, scopes[2])
            try:
                ending = await self._watch(tree)
            finally:
                await self._end(tree)
                until = anyio.current_time() + _DRAIN_S
                for scope in scopes:
                    scope.deadline = min(scope.deadline, until)
        take_stdout(said.close())
        take_stderr(complained.close())
        if lines is not None:
            lines.close()
        return ending

    async def _watch(self, tree: _Running) -> ProcessEnding:
        """Wait until the shim has exited or a limit is reached, and say which."""
        while True:
            at, ending = tree.limit()
            with anyio.move_on_at(at):
                await tree.changed.wait()
            if tree.exited.is_set():
                return "exited"
            if not tree.changed.is_set() and tree.limit()[0] <= anyio.current_time():
                return ending
            tree.changed = anyio.Event()

    async def _end(self, tree: _Running) -> None:
        """End the tree if it has not ended: the shim's orderly sweep first, then whatever it takes. Shielded and bounded."""
        if not tree.exited.is_set():
            _signal(tree.pidfd, signal.SIGTERM)
            with anyio.move_on_after(tree.spec.grace_s + _REPORT_S, shield=True):
                await tree.exited.wait()
        with anyio.move_on_after(_FORCE_S, shield=True):
            while not tree.exited.is_set():  # the shim is slow, or kept stopped by its tree: kill that, and let it reap
                _signal(tree.pidfd, signal.SIGCONT)
                orphans.strike(tree.label.__eq__, spare=tree.process.pid)
                with anyio.move_on_after(0.05):
                    await tree.exited.wait()
        if not tree.exited.is_set():
            _signal(tree.pidfd, signal.SIGKILL)
            with anyio.move_on_after(_REPORT_S, shield=True):
                await tree.exited.wait()
        tree.report = report = _read_report(tree.report_fd)
        if report.code is None and report.errno is None:  # the shim was killed: the tree has lost its keeper
            with anyio.move_on_after(_FORCE_S, shield=True):
                killed = await orphans.kill(tree.label.__eq__, 0.0)
                tree.report = report = _Report(survivors=tuple(sorted(killed.left)))
        if report.survivors:
            self.survivors[tree.spec.run_label] = _identify(report.survivors)


def _identify(pids: Iterable[int]) -> tuple[Survivor, ...]:
    """Return the living among *pids* with what tells each from a later process of its id."""
    entries = ((pid, shim.read_entry(pid)) for pid in pids)
    return tuple(Survivor(pid=pid, started=e[1], name=e[2]) for pid, e in entries if e is not None and e[3] != "Z")


def _check_program(spec: ProcessSpec) -> None:
    """Raise AgentError, in words that help, for what is going to fail anyway."""
    if not spec.argv:
        raise AgentError("no command is given: set one in the configuration")
    if not spec.cwd.is_dir():
        raise AgentError(f"cannot start {spec.argv[0]!r}: the directory {spec.cwd} does not exist")
    program = spec.argv[0]
    where = str(spec.cwd / program) if "/" in program else program
    if shutil.which(where, path=spec.env.get("PATH", os.defpath)) is None:
        raise AgentError(_cannot_start(program, "no such program, or it is not executable"))


def _signal_of(code: int) -> int:
    """Return a sandboxed program's exit code as our own children's come: bubblewrap tells a signal as the shell does."""
    return 128 - code if code - 128 in _SIGNALS else code


def _cannot_start(program: str, why: str) -> str:
    reason = " ".join(why.split())
    return f"cannot start {program!r}: {reason}: install it, put it on the PATH or correct the command in the configuration"


def _spawn(spec: ProcessSpec, label: str, report_fd: int, sandbox: Sandbox | None) -> subprocess.Popen[bytes]:
    """Start the shim. Popen itself returns only after the exec, so no cancellation can fall between fork and pid."""
    command, env, shared = list(spec.argv), spec.env, "0"
    if sandbox is not None and spec.sandbox is not None:
        command, env, shared = sandbox.wrap(spec, report_fd), sandbox.environment(env), "1"
    orders = [str(report_fd), str(spec.grace_s), str(os.getpid()), shared]
    shim_argv = [sys.executable, "-I", "-S", _shim_file(), *orders, *command]
    with ExitStack() as stack:
        stdin = subprocess.DEVNULL if spec.stdin_path is None else stack.enter_context(spec.stdin_path.open("rb"))
        return subprocess.Popen(
            shim_argv,
            cwd=spec.cwd,
            env={**env, shim.LABEL: label},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=(report_fd,),
            start_new_session=True,
        )


def _shim_file() -> str:
    """Return the shim as its import has left it compiled, where that is of this very source: it starts milliseconds sooner."""
    source = shim.__file__
    try:
        compiled, stat = cache_from_source(source), os.stat(source)
        with open(compiled, "rb") as file:
            made_of = file.read(16)
    except (OSError, NotImplementedError):
        return source
    times = (int(stat.st_mtime) & 0xFFFFFFFF).to_bytes(4, "little") + (stat.st_size & 0xFFFFFFFF).to_bytes(4, "little")
    return compiled if made_of == MAGIC_NUMBER + bytes(4) + times else source


def _signal(pidfd: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, number)


def _close(process: subprocess.Popen[bytes]) -> None:
    """Reap the shim, which has ended by now, and close the pipes."""
    if process.poll() is None:
        process.terminate()  # only an error on the way brings us here; the shim sweeps by itself
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _read_report(fd: int) -> _Report:
    """Read what the shim left in its pipe: nothing, when it was killed."""
    code, error, inside, survivors = None, None, False, ()
    try:
        raw = os.read(fd, 65_536)
    except BlockingIOError:
        raw = b""
    for line in raw.splitlines():
        fields = json.loads(line)
        code = fields.get("code", code)
        error = fields.get("error", error)
        inside = inside or "exit-code" in fields
        survivors = tuple(fields.get("survivors", survivors))
    return _Report(code=code, errno=error, inside=inside, survivors=survivors)
