"""Asking a project's Plane and Gitea what ``orch.core.doctor_services`` judges, without changing anything there.

Owns: the questions. Rule: whatever a service refuses is a fact and not an error; the right to push the default branch is tried
by a push that cannot succeed, from a copy in a folder of its own that is removed again.
"""

import tempfile
from pathlib import Path

from orch.adapters.git import Git, GitMirror
from orch.adapters.git.landing_right import check_landing_right
from orch.adapters.gitea import GiteaForge
from orch.adapters.gitea.webhook import EVENTS, list_webhooks
from orch.core.doctor_services import GiteaFacts, Hook, PlaneFacts
from orch.core.errors import ConfigError, ExternalError, PermanentError, StoreError
from orch.core.model import CiSource, Project
from orch.ports import Board

PLANE_HOOK, GITEA_HOOK = "/webhook/plane", "/webhook/gitea"


def hook_address(public_url: str, path: str) -> str:
    """Return where a service's events should go; without a public address only its end is known."""
    return f"{public_url}{path}" if public_url else f"…{path}"


async def look_at_plane(board: Board, public_url: str) -> PlaneFacts:
    try:
        states = await board.fetch_states()
        cards = await board.fetch_changed(None)
    except (ExternalError, StoreError) as error:
        return PlaneFacts(trouble=str(error))
    known = {state.id for state in states}
    standing = tuple((card.title, card.state_id) for card in cards if not card.archived and card.state_id in known)
    return PlaneFacts(states=tuple(states), standing=standing, hook=hook_address(public_url, PLANE_HOOK))


async def look_at_gitea(forge: GiteaForge, git: Git | None, project: Project, public_url: str) -> GiteaFacts:
    try:
        marking = await forge.check_manual_merge()
        await forge.fetch_branch_rights()
        refused = "" if git is None else await _try_landing(forge, git, project)
        hooks = await _find_hooks(forge, public_url)
        silent = await _silent_contexts(forge, project)
    except (ExternalError, StoreError, ConfigError) as error:
        return GiteaFacts(trouble=str(error))
    return GiteaFacts(
        marks=marking.allowed,
        marks_detail=marking.detail,
        detects=marking.autodetected,
        refused=refused,
        hooks=hooks,
        hook=hook_address(public_url, GITEA_HOOK),
        silent=silent,
    )


async def _try_landing(forge: GiteaForge, git: Git, project: Project) -> str:
    """Return why the default branch may not be pushed, nothing where it may."""
    with tempfile.TemporaryDirectory(prefix="orch-doctor-") as folder:
        path = Path(folder) / "mirror.git"
        mirror = GitMirror(path, forge.remote, project=project.name, default_branch=project.default_branch, git=git)
        right = await check_landing_right(mirror)
    return "" if right.allowed else right.detail or "the server gave no reason"


async def _find_hooks(forge: GiteaForge, public_url: str) -> tuple[Hook, ...] | None:
    """Return the repo's hooks that lead to the daemon, None where only an administrator may see them."""
    wanted = f"{public_url}{GITEA_HOOK}"
    try:
        found = await list_webhooks(forge.api)
    except PermanentError:
        return None
    return tuple(
        Hook(active=hook.active, missing=tuple(event for event in EVENTS if event not in hook.events))
        for hook in found
        if hook.url == wanted or (not public_url and hook.url.endswith(GITEA_HOOK))
    )


async def _silent_contexts(forge: GiteaForge, project: Project) -> tuple[str, ...]:
    if project.ci is not CiSource.FORGE or not project.ci_contexts:
        return ()
    tip = await forge.fetch_tip()
    spoken = set() if tip is None else {status.context for status in await forge.fetch_statuses(tip)}
    return tuple(context for context in project.ci_contexts if context not in spoken)
