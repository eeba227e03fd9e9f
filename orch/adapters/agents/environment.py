"""The environment of an agent or a command: made from an allow list, never inherited.

Owns: what passes from the daemon's environment, and the variables that tell a run what it is.
Rule: what is not named here does not pass; the one credential an agent gets is its own model's (``claude.CREDENTIALS``).
Proxies and certificate authorities pass, for without them nothing can be reached on many networks.
"""

from collections.abc import Mapping
from pathlib import Path

from orch.ports import AgentRequest, SandboxSpec

CERTIFICATES = (
    *("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"),
)
"""Variables that name a file or folder of certificate authorities."""
INHERITED = (
    *("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *CERTIFICATES,
)
DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"


def clean_environment(source: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return what passes from *source*, with *home* as the home directory."""
    passed = {name: source[name] for name in INHERITED if source.get(name)}
    return {"PATH": DEFAULT_PATH, "LANG": "C.UTF-8", **passed, "HOME": str(home)}


def agent_environment(request: AgentRequest, source: Mapping[str, str]) -> dict[str, str]:
    """Return a run's environment without any credential: who it is, what it works on, under which name it commits."""
    name, email = f"Orch {request.role}", f"{request.role}@orch.invalid"
    environment = {
        **clean_environment(source, request.home),
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": email,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": email,
        "GIT_TERMINAL_PROMPT": "0",
        "ORCH_RUN_ROLE": str(request.role),
        "ORCH_RUN_TASK": str(request.work_item),
        "ORCH_RUN_STAGE": str(request.stage),
        "ORCH_RUN_ARTIFACT_DIR": request.artefact_dir,
        "ORCH_RUN_PROMPT_FILE": str(request.prompt_path),
    }
    if request.session is not None:
        environment["ORCH_RUN_SESSION"] = request.session
    return environment


def agent_sandbox(request: AgentRequest, *more: Path) -> SandboxSpec:
    """Return what a run may reach: its working copy and home, its prompt, and *more* to read."""
    return SandboxSpec(project=request.project, write=(request.worktree, request.home), read=(request.prompt_path, *more))
