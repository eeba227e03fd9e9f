"""Running the git program: one place, always the same hardened way.

Owns: environment, switches, bounds and the translation of git's failures into the taxonomy. Does not own: what any
command means. Rule: no configuration but what stands here and in a git directory made by ``layout.lay_out`` is ever read,
every call names its git directory, and no credential is in an argument or in an error's text.
"""

import os
import re
import shutil
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import final

import anyio
from anyio.abc import ByteReceiveStream, Process

from orch.adapters.git.pre_push import VARIABLE
from orch.adapters.shim import LABEL
from orch.core.errors import ConfigError, ExternalError, PermanentError, StoreError, TransientError
from orch.logs import redact

_SWITCHES: tuple[str, ...] = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.pager=cat",
    "core.quotePath=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.allow=never",
    "protocol.file.allow=always",
    "protocol.git.allow=always",
    "protocol.http.allow=always",
    "protocol.https.allow=always",
    "protocol.ssh.allow=always",
    "protocol.ext.allow=never",
    "commit.gpgSign=false",
    "push.gpgSign=false",
    "push.followTags=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "advice.detachedHead=false",
    "advice.addEmbeddedRepo=false",
)
_INHERITED = ("PATH", "HOME", "USER", "TMPDIR", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR")
_INHERITED_ANY_CASE = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})
_HARMLESS = ("GIT_INDEX_FILE", "GIT_AUTHOR_", "GIT_COMMITTER_", VARIABLE)
_TERM_GRACE_S = 2.0
_ERR_CAP = 65_536
_OUT_CAP = 128_000_000

_TRANSIENT = re.compile(
    r"could not resolve|failed to connect|connection (?:refused|reset|timed out|closed)|couldn't connect|timed out"
    r"|network is unreachable|no route to host|unexpected disconnect|early eof|hung up unexpectedly|could not read from remote"
    r"|does not appear to be a git repository|unable to access|RPC failed|HTTP (?:408|425|429|5\d\d)"
    r"|returned error: (?:408|425|429|5\d\d)"
    r"|cannot lock ref|unable to create '[^']*\.lock'|another git process|unable to lock|resource temporarily unavailable",
    re.IGNORECASE,
)
_PERMANENT = re.compile(
    r"authentication failed|could not read (?:username|password)|permission denied"
    r"|(?:returned error:|HTTP) (?:3\d\d|4(?!08|25|29)\d\d)"
    r"|repository not found|host key verification failed|transport '[^']*' not allowed|push to create is not enabled",
    re.IGNORECASE,
)
_STORE = re.compile(
    r"not a git repository|no space left|read-only file system|disk quota|object file .* is empty|loose object .* is corrupt"
    r"|bad object|missing (?:blob|tree|commit)|invalid object|unable to (?:write|read)"
    r"|index file (?:corrupt|smaller)|unrecognized input",
    re.IGNORECASE,
)
_URL_CREDENTIAL = re.compile(r"(?<=://)[^/\s@]+@")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose name stands on the daemon's own commits."""

    name: str = "Orch"
    email: str = "orch@localhost"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How one call differs from the plain one. *ok* are exit codes that are answers, not failures.

    *hooks* is a folder of the daemon's own hooks, which are off otherwise.
    *env* may hold credentials: its values never reach an error's text.
    """

    work_tree: Path | None = None
    stdin: bytes | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    ok: frozenset[int] = frozenset({0})
    timeout_s: float | None = None
    any_code: bool = False
    hooks: Path | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A command that ran to its end: exit code, standard output, and its complaint with credentials removed."""

    code: int
    out: bytes
    err: str

    def lines(self) -> list[str]:
        return self.out.decode("utf-8", "surrogateescape").splitlines()

    def word(self) -> str:
        """Return the single word that the command printed."""
        return self.out.decode("ascii", "replace").strip()

    def fields(self) -> list[bytes]:
        """Split NUL-terminated output."""
        return self.out.split(b"\0")[:-1] if self.out.endswith(b"\0") else self.out.split(b"\0")


PLAIN = Options()
YES_OR_NO = Options(ok=frozenset({0, 1}))


def signature_env(identity: Identity, at: datetime | None = None) -> dict[str, str]:
    """Return the variables that make *identity* author and committer, at *at* where given."""
    env = {
        "GIT_AUTHOR_NAME": identity.name,
        "GIT_AUTHOR_EMAIL": identity.email,
        "GIT_COMMITTER_NAME": identity.name,
        "GIT_COMMITTER_EMAIL": identity.email,
    }
    if at is not None:
        stamp = f"{int(at.timestamp())} +0000"
        env |= {"GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp}
    return env


def clean_environment(source: Mapping[str, str]) -> dict[str, str]:
    """Return what git may see of *source*: a short allow list, and the switches that no config may undo."""
    env = {key: value for key, value in source.items() if key in _INHERITED or key.lower() in _INHERITED_ANY_CASE}
    return env | {
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_DEFAULT_REF_FORMAT": "files",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
    }


def classify(operation: str, detail: str) -> ExternalError | StoreError:
    """Turn git's complaint into the error that says whether another try makes sense."""
    line = _last_line(detail)
    if _PERMANENT.search(detail):
        return PermanentError("git", operation, line)
    if _TRANSIENT.search(detail):
        return TransientError("git", operation, line)
    if _STORE.search(detail):
        return StoreError(f"git: {operation}: {line}")
    return PermanentError("git", operation, line)


def _last_line(detail: str) -> str:
    lines = [line.strip() for line in detail.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("fatal:", "error:", "remote:"))] or lines
    return " / ".join(told[:4])[:600] or "no reason given"


@final
class Git:
    """The git program. One object serves every repo; calls may run side by side.

    *label* is in the environment of every git process (``ORCH_RUN_ID``): by it a later daemon finds, and ends before it looks
    at any ref, a git that outlived the daemon that started it, such as a push in mid-air.
    """

    def __init__(
        self,
        *,
        executable: str | None = None,
        identity: Identity | None = None,
        timeout_s: float = 300.0,
        environ: Mapping[str, str] | None = None,
        label: str = "",
    ) -> None:
        found = executable or shutil.which("git")
        if not found:
            raise ConfigError("git was not found on PATH: install git 2.39 or newer")
        self._program = str(Path(found).absolute())
        self.identity = identity or Identity()
        self._timeout_s = timeout_s
        self._env = clean_environment(os.environ if environ is None else environ) | signature_env(self.identity)
        self._env |= {LABEL: label} if label else {}

    async def run(self, git_dir: Path | None, *args: str, options: Options = PLAIN) -> Ran:
        """Run ``git <args>`` on *git_dir* (None: on no repository, for ``ls-remote``) and return what it said.

        Raises TransientError, PermanentError or StoreError when the exit code is not one of ``options.ok``.
        Cancellation ends the whole process group, with a grace in which git removes its lock files.
        """
        operation = args[0]
        argv = [self._program]
        for switch in _SWITCHES:
            argv += ["-c", switch]
        if options.hooks is not None:
            argv += ["-c", f"core.hooksPath={options.hooks}"]
        if git_dir is not None:
            argv.append(f"--git-dir={git_dir}")
        if options.work_tree is not None:
            argv.append(f"--work-tree={options.work_tree}")
        argv += args
        cwd = options.work_tree or git_dir
        timeout_s = options.timeout_s or self._timeout_s
        try:
            process = await anyio.open_process(
                argv,
                stdin=DEVNULL if options.stdin is None else PIPE,
                stdout=PIPE,
                stderr=PIPE,
                cwd=cwd or "/",
                env={**self._env, **options.env},
                start_new_session=True,
            )
        except (FileNotFoundError, NotADirectoryError) as error:
            raise StoreError(f"git: {operation}: {error.strerror}: {error.filename}") from error
        except OSError as error:
            raise TransientError("git", operation, f"cannot start a process: {error.strerror}") from error
        ran = await _to_its_end(process, options.stdin, timeout_s)
        if ran is None:
            raise TransientError("git", operation, f"no answer within {timeout_s:g} s, or more output than {_OUT_CAP} bytes")
        ran = Ran(code=ran.code, out=ran.out, err=_without_secrets(ran.err, options.env))
        if options.any_code or ran.code in options.ok:
            return ran
        if ran.code < 0:
            raise TransientError("git", operation, f"was ended by signal {-ran.code}")
        raise classify(operation, ran.err)


def _without_secrets(text: str, env: Mapping[str, str]) -> str:
    secrets = [value for key, value in env.items() if not key.startswith(_HARMLESS)]
    for value in secrets:
        for part in {value, *value.split()}:
            if len(part) >= 8:
                text = text.replace(part, "***")
    return _URL_CREDENTIAL.sub("***@", redact(text))


async def _to_its_end(process: Process, stdin: bytes | None, timeout_s: float) -> Ran | None:
    """Feed and drain *process*; None when it was ended for its time or for its output."""
    out, err = bytearray(), bytearray()
    finished = False
    try:
        with anyio.move_on_after(timeout_s):
            async with anyio.create_task_group() as group:
                group.start_soon(_feed, process, stdin)
                group.start_soon(_drain, process.stderr, err, _ERR_CAP, None)
                await _drain(process.stdout, out, _OUT_CAP, lambda: _signal_group(process, signal.SIGKILL))
            code = await process.wait()
            finished = len(out) <= _OUT_CAP
    finally:
        await _end(process)
    if not finished:
        return None
    return Ran(code=code, out=bytes(out), err=err.decode("utf-8", "replace"))


async def _feed(process: Process, data: bytes | None) -> None:
    if process.stdin is None:
        return
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # git ended early: its exit code tells
        if data:
            await process.stdin.send(data)
        await process.stdin.aclose()


async def _drain(stream: ByteReceiveStream | None, into: bytearray, cap: int, over: Callable[[], None] | None) -> None:
    assert stream is not None
    with suppress(anyio.BrokenResourceError):
        async for chunk in stream:
            if len(into) <= cap:
                into += chunk
                if len(into) > cap and over is not None:
                    over()


def _signal_group(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


async def _end(process: Process) -> None:
    """Leave no process of the group behind; the normal case costs nothing."""
    with anyio.move_on_after(_TERM_GRACE_S + 3, shield=True):
        if process.returncode is None:
            _signal_group(process, signal.SIGTERM)
            with anyio.move_on_after(_TERM_GRACE_S):
                await process.wait()
            _signal_group(process, signal.SIGKILL)  # its children too, whatever they do about SIGTERM
        await process.aclose()
