"""A daemon in a process of its own on a configuration file, and waiting for what shall come."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from orch.adapters.http import HttpApi, connect_api
from orch.core.errors import OrchError
from orch.core.stages import Role

T = TypeVar("T")
WITHIN_S = 30.0


def write(path: Path, *, head: str = "", name: str = "shop", repo: str = "shop", more: str = "") -> None:
    path.write_text(
        f'{head}\n[[projects]]\nname = "{name}"\nprefix = "SHOP"\nrepo = "{path.parent / repo}"\n'
        f'test_command = ["make", "test"]\nroles.developer = {{ agent = "scripted" }}\n'
        + "".join(f'roles.{role} = {{ agent = "scripted" }}\n' for role in Role if role not in (Role.DEVELOPER, Role.STREAM))
        + more
    )


@contextmanager
def daemon(
    file: Path, log: Path, *, data: Path, port: int = 0, within_s: float = WITHIN_S, environ: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], HttpApi]]:
    """Run ``orch serve --config`` until the block ends; it answers when the block begins."""
    argv = [sys.executable, "-m", "orch", "serve", "--config", str(file), "--port", str(port), "--data-dir", str(data)]
    env = {key: value for key, value in os.environ.items() if not key.startswith("ORCH_")} | dict(environ or {})
    with log.open("wb") as out:
        process = subprocess.Popen(argv, env=env, stdout=out, stderr=out, cwd=Path(__file__).parents[2])
        try:
            yield process, until(lambda: _connected(data), log, within_s=within_s)
        finally:
            process.terminate()
            process.wait(20)


def _connected(data: Path) -> HttpApi | None:
    try:
        api = connect_api(data, None)
        api.get("/healthz")
    except OrchError:
        return None
    return api


def until(holds: Callable[[], T | None], log: Path, *, within_s: float = WITHIN_S) -> T:
    """Wait until *holds* returns something; fail with the end of the daemon's log."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.05)
    raise AssertionError(f"it did not come within {within_s:g} s: {log.read_text()[-2000:]}")
