"""Where others can reach it: no start without an admin token, no reading without a token; and the files given for services."""

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx  # noqa: TID251
import pytest

from orch.config import Settings
from orch.daemon import LINGER_S
from tests.gitrepo import make_repo
from tests.integration.daemon_process import daemon, write

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
ADMIN = "an-admin-token-of-twenty-and-more-characters"
HOSTS = ["0.0.0.0", "::", "127.0.0.2"]


def configuration(folder: Path, head: str) -> Path:
    make_repo(folder / "shop", files={"a": "b"})
    write(folder / "orch.toml", head=head)
    return folder / "orch.toml"


@pytest.mark.parametrize("host", HOSTS)
def test_another_bind_without_an_admin_token_refuses_to_start_with_one_line(tmp_path: Path, host: str) -> None:
    file = configuration(tmp_path, f'host = "{host}"')
    argv = [sys.executable, "-m", "orch", "serve", "--config", str(file), "--port", "0", "--data-dir", str(tmp_path / "data")]
    env = {key: value for key, value in os.environ.items() if not key.startswith("ORCH_")}
    done = subprocess.run(argv, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    told = f"orch: host = '{host}' is not loopback: set ORCH_ADMIN_TOKEN (or ORCH_ADMIN_TOKEN_FILE), or bind 127.0.0.1"
    assert (done.returncode, done.stderr.strip()) == (2, told)
    assert not (tmp_path / "data").exists(), "nothing was made"


def test_on_another_bind_reading_needs_a_token(tmp_path: Path) -> None:
    file, secret = configuration(tmp_path, 'host = "0.0.0.0"'), tmp_path / "admin"
    secret.write_text(ADMIN)
    data = tmp_path / "data"
    with daemon(file, tmp_path / "log", data=data, environ={"ORCH_ADMIN_TOKEN_FILE": str(secret)}) as (_, api):
        own = (data / "token").read_text().strip()
        given = [("", 401), ("wrong" * 5, 401), (ADMIN, 200), (own, 200)]
        with httpx.Client(base_url=api.url, trust_env=False) as client:
            for path in ("/tasks", "/queue", "/metrics", "/openapi.json", "/"):
                statuses = [(token, client.get(path, headers=_bearer(token)).status_code) for token, _ in given]
                assert statuses == given, path
            assert [client.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 200]
            assert client.post("/pause", json={}).status_code == 401
            assert client.post("/pause", json={}, headers=_bearer(ADMIN)).status_code == 200
    log = (tmp_path / "log").read_text()
    assert ADMIN not in log
    assert own not in log


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


# ------------------------------------------------------------------------------------------------ systemd, container


def unit() -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(strict=False, interpolation=None, comment_prefixes=("#",), delimiters=("=",))
    parsed.optionxform = str  # type: ignore[assignment, method-assign]
    parsed.read_string((DOCS / "systemd" / "orch.service").read_text())
    return parsed


def test_the_unit_gives_the_daemon_time_to_stop_and_spares_deploys() -> None:
    service = unit()["Service"]
    grace = Settings.model_fields["shutdown_grace_s"].default
    assert int(service["TimeoutStopSec"]) > grace + LINGER_S
    assert service["KillMode"] == "process", "a deploy outlives the daemon"
    assert re.fullmatch(r"\S+ -HUP \$MAINPID", service["ExecReload"])
    assert service["RestartPreventExitStatus"] == "2"
    assert service["User"] != "root"


def test_the_unit_is_hardened_and_leaves_the_sandbox_its_namespaces() -> None:
    service = unit()["Service"]
    assert (service["NoNewPrivileges"], service["CapabilityBoundingSet"], service["ProtectSystem"]) == ("yes", "", "strict")
    in_the_way = {"RestrictNamespaces", "ProtectKernelTunables", "ProtectKernelLogs", "ProtectProc", "ProcSubset", "PrivateUsers"}
    assert not in_the_way & set(service)


def test_the_container_file_copies_what_is_there_and_starts_what_there_is() -> None:
    text = (DOCS / "container" / "Containerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (.+)$", text, re.MULTILINE) for word in line.split()[:-1]]
    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert re.search(r"^USER orch$", text, re.MULTILINE), "not as root"
    assert "ORCH_HOST=0.0.0.0" in text
    assert not re.search(r"ORCH_\w*(TOKEN|SECRET)", text), "no secret in an image"
