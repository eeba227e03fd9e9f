"""Reload: the configuration in force, and its replacement when a SIGHUP asks for it.

Owns: the one value that limits and projects are read from, and the rule of the last good one. It belongs to the composition
root. Rule: a reading that is wrong in any place changes nothing and is shown until a good one comes; a good one is put in
place whole, between two decisions. Runs that go on keep what they began with.
"""

from collections.abc import Callable, Mapping
from typing import final

import anyio.to_thread

from actors.health import Health
from orch import logs
from orch.config import Settings
from orch.config.reloading import changed_settings, merge_projects
from orch.core.errors import ConfigError
from orch.core.ids import ProjectName
from orch.core.model import Project, Registry

COMPONENT = "configuration"
Reading = tuple[Settings, tuple[Project, ...], tuple[str, ...]]
"""Settings, projects and warnings of one good reading."""


@final
class Configuration:
    """See the module's docstring. *reread* reads everything again, or is None where there is no file to read."""

    def __init__(
        self,
        settings: Settings,
        projects: tuple[Project, ...],
        *,
        reread: Callable[[], Reading] | None = None,
        accepted: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._registry = Registry(limits=settings.limits(projects), projects=_by_name(projects))
        self._reread = reread
        self.accepted = accepted
        """Called after a new registry is in place, so that whoever waits looks again."""

    def registry(self) -> Registry:
        return self._registry

    async def reload(self, health: Health) -> None:
        """Read again; keep the last good configuration where the new one is wrong, and say so."""
        log = logs.get_logger("reload")
        if self._reread is None:
            log.warning("there is no file to reload", detail="the daemon was started with --repo: restart it with other options")
            health.reloaded("nothing")
            return
        try:
            settings, projects, warnings = await anyio.to_thread.run_sync(self._reread)
        except ConfigError as error:
            health.reloaded("refused")
            health.notice(COMPONENT, f"the last good configuration is in force: {error}")
            log.error("refused, the last good configuration stays", error=str(error))
            return
        logs.register_secrets(settings.secrets())
        logs.configure(settings.log_level, json_lines=settings.log_format == "json")
        fixed = self._put(settings, projects)
        health.reloaded("accepted")
        health.notice(COMPONENT, f"needs a restart: {', '.join(fixed)}" if fixed else "")
        for warning in warnings:
            log.warning("configuration", detail=warning)
        log.info("reloaded", projects=", ".join(self._registry.projects), needs_restart=", ".join(fixed))
        self.accepted()

    def _put(self, settings: Settings, projects: tuple[Project, ...]) -> tuple[str, ...]:
        merged, lines = merge_projects(self._registry.projects, projects)
        self._registry = Registry(limits=settings.limits(merged.values()), projects=merged)
        return (*changed_settings(self._settings, settings), *lines)


def _by_name(projects: tuple[Project, ...]) -> Mapping[ProjectName, Project]:
    return {project.name: project for project in projects}
