"""Looking for secrets in everything that a daemon leaves behind, says, shows and starts.

Owns: the forms in which a secret could leave, what is collected while a daemon runs, and the search. Does not own the story.
Rule: the forms are worked out here a second time, not asked of ``orch.logs``, so that a form that was forgotten there is found.
"""

import base64
import re
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus, urlsplit

import anyio
import httpx  # noqa: TID251 - this is the other side
import psutil

LOOK_S = 0.02
OWN_PLACES = ("token", "gitea/token", "gitea/askpass")
"""Where a secret has its place in a data directory: nowhere else."""
HANDSHAKE = (
    "GET {address} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def forms_of(secret: str) -> dict[str, bytes]:
    """Return every form that is looked for: as it is, base64 behind any neighbour, encoded for URLs, hexadecimal."""
    raw = secret.encode()
    forms = {"raw": raw, "url": quote(secret, safe="").encode(), "form": quote_plus(secret).encode()}
    forms |= {"hex": raw.hex().encode(), "HEX": raw.hex().upper().encode(), "backwards": raw[::-1]}
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw)
        sure = whole[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]
        forms |= {f"base64 +{before}": sure, f"base64url +{before}": sure.replace(b"+", b"-").replace(b"/", b"_")}
    return forms


@dataclass
class Hunt:
    """What was collected, under the name of where it was, and what is looked for in it."""

    secrets: dict[str, str]
    found: dict[str, bytes] = field(default_factory=dict)

    def add(self, place: str, content: bytes | str) -> None:
        self.found[place] = self.found.get(place, b"") + (
            content if isinstance(content, bytes) else content.encode(errors="replace")
        )

    def leaks(self, *, but: Mapping[str, Iterable[str]] | None = None) -> list[tuple[str, str, str]]:
        """Return (place, secret, form); *but* names what a place whose name begins so may hold."""
        spared = {start: set(names) for start, names in (but or {}).items()}
        told: list[tuple[str, str, str]] = []
        for place, content in self.found.items():
            joined = re.sub(rb"[\r\n]", b"", content)  # a form that was wrapped is one all the same
            for name, secret in self.secrets.items():
                if any(place.startswith(start) and name in names for start, names in spared.items()):
                    continue
                told += [(place, name, form) for form, text in forms_of(secret).items() if text in content or text in joined]
        return told

    # ---------------------------------------------------------------------------------------- collecting

    def data_directory(self, data: Path) -> None:
        """Take every byte that the daemon wrote; what an agent wrote into its own folder is the agent's."""
        for path in sorted(data.rglob("*")):
            name = path.relative_to(data).as_posix()
            if path.is_file() and not path.is_symlink() and name not in OWN_PLACES and not name.startswith("tasks/"):
                self.add(f"file {name}", path.read_bytes())

    def database(self, file: Path) -> None:
        """Take every value of every table: in the bytes of the file a long one is in pieces."""
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                for row in connection.execute(f'SELECT * FROM "{table}"'):
                    self.add(f"table {table}", b"\n".join(v if isinstance(v, bytes) else str(v).encode() for v in row))

    def published(self, git_dir: Path, *patterns: str) -> None:
        """Take names, messages and contents of every commit that the refs of *patterns* reach."""

        def git(*args: str, text: bytes | None = None) -> bytes:
            return subprocess.run(["git", f"--git-dir={git_dir}", *args], input=text, capture_output=True, check=True).stdout

        refs = git("for-each-ref", "--format=%(objectname)", *patterns).split()
        listed = git("rev-list", "--objects", "--stdin", text=b"\n".join(refs) + b"\n")
        ids = b"\n".join(line.split(b" ")[0] for line in listed.splitlines())
        self.add(f"git {git_dir.name}", listed + git("cat-file", "--batch", text=ids + b"\n"))

    async def pages(self, url: str, paths: Iterable[str], headers: Mapping[str, str]) -> dict[str, int]:
        """Take every page and JSON answer, with its headers; return what each address answered."""
        seen: dict[str, int] = {}
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
            for path in paths:
                for accept in ("application/json", "text/html"):
                    reply = await client.get(path, headers={**headers, "Accept": accept})
                    self.add(f"page {path}", str(reply.headers) + reply.text)
                    seen[path] = reply.status_code
        return seen

    @asynccontextmanager
    async def watching(self, url: str, *addresses: str) -> AsyncIterator[None]:
        """Take every frame of WebSockets, and what anybody could see of this process's children, while the block runs."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._look_at_children)
            for address in addresses:
                group.start_soon(self._listen, url, address)
            try:
                yield
            finally:
                group.cancel_scope.cancel()

    async def _listen(self, url: str, address: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        while True:  # a run that does not exist yet is refused
            try:
                async with await anyio.connect_tcp(parts.hostname, parts.port) as stream:
                    await stream.send(HANDSHAKE.format(address=address, host=parts.netloc).encode())
                    while True:
                        self.add(f"socket {address}", await stream.receive())
            except (OSError, anyio.EndOfStream, anyio.BrokenResourceError):
                await anyio.sleep(10 * LOOK_S)

    async def _look_at_children(self) -> None:
        me = psutil.Process()
        while True:
            for child in me.children(recursive=True):
                try:
                    self.found.setdefault("command lines", b"")
                    line = "\n".join(child.cmdline()).encode()
                    name = f"environment of {Path(child.exe()).name}"
                    values = "\n".join(f"{key}={value}" for key, value in child.environ().items()).encode()
                except (psutil.Error, OSError):
                    continue
                for place, content in (("command lines", line), (name, values)):
                    if content not in self.found.get(place, b""):
                        self.add(place, content + b"\n")
            await anyio.sleep(LOOK_S)
