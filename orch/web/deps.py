"""What the composition root hands to the web: ports, settings as values, and the one-time links.

Owns: ``WebDeps``. Does not own: any of what it carries. Rule: nothing here is a library's type.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from orch.core.ids import ProjectName, RunId
from orch.core.model import Limits, Project, Registry
from orch.ports import BackupDesk, BranchReader, Clock, Control, Feed, HookDoor, Store
from orch.snapshots import Present
from orch.web.links import LoginLinks


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WebDeps:
    """*token* is the data directory's own, *admin_token* the configured one (either opens the acting routes).

    *public_url* is where a browser finds the daemon, with no slash at the end; *require_token_for_reading* belongs to
    every bind that is not loopback.
    """

    store: Store
    control: Control
    feed: Feed
    clock: Clock
    token: str
    registry: Callable[[], Registry]
    public_url: str
    version: str
    admin_token: str = ""
    require_token_for_reading: bool = False
    links: LoginLinks = field(default_factory=LoginLinks)
    heartbeat_s: float = 15.0
    viewer_send_s: float = 10.0
    viewers_max: int = 200

    @property
    def limits(self) -> Limits:
        return self.registry().limits

    @property
    def present(self) -> Present:
        """What views need and the store does not hold."""
        vitals = self.control.vitals()
        return Present(projects=self.projects, shortages=vitals.shortages, polls=vitals.polls)

    @property
    def projects(self) -> Mapping[ProjectName, Project]:
        return self.registry().projects

    backup: BackupDesk | None = None
    doors: Mapping[str, HookDoor] = field(default_factory=dict)
    """The services whose webhooks are taken, by name."""
    branches: Mapping[ProjectName, BranchReader] = field(default_factory=dict)
    pull_url: Callable[[ProjectName, int], str] | None = None
    """Where a browser finds a project's pull request; empty where there is nothing to be seen."""
    run_log: Callable[[RunId], Path] | None = None
    """Where a run's log is while the run does not say so yet (a command's does when it has ended)."""
    log_look_s: float = 0.25
    """How often a log that is followed is looked at."""
