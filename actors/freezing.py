"""A freeze in the shell: its row and its alert in one transaction, and who is told to look again afterwards.

Owns: what people's controls, the watch and the train have in common. Does not own: which cause may freeze and what lifts it
(``orch.core.decide_freeze``). Rule: the row is committed first; a hint that is lost only delays.
"""

from actors.persist import tell_world
from actors.world import Router
from orch.core import decide_freeze
from orch.core.decide_freeze import DAEMON
from orch.core.effects import Alert
from orch.core.ids import IssueId, ProjectName
from orch.core.messages import JobsWaiting, LandingHint, OutboxHint, RepoTouched
from orch.core.model import Freeze, FreezeCause
from orch.core.render import render_frozen
from orch.core.turn import Context
from orch.ports import Tx


def freeze_repo(tx: Tx, context: Context, cause: FreezeCause, *, by: str = DAEMON, detail: str = "") -> Freeze | None:
    """Inside the transaction: freeze the project and say so; None, and nothing written, where nothing changes."""
    project, now = context.project, context.now
    enabled = context.limits.serial_gate_freeze_enabled
    made = decide_freeze.freeze(tx.load_repo(project.name), cause, by=by, detail=detail, now=now, enabled=enabled)
    if made is not None:
        tx.set_freeze(made)
        alert = Alert(kind="freeze", text=render_frozen(made, project.language))
        tell_world(tx, alert, project=project.name, task=None, issue=IssueId(""), at=now)
    return made


def look_again(router: Router, project: ProjectName) -> None:
    """After a freeze or a thaw: wake whoever it concerns: entry, landing, and the deploys that have not been started."""
    router.outbox.tell(OutboxHint())
    router.slots.tell(JobsWaiting())
    router.repo(project).tell(LandingHint())
    router.publisher.tell(RepoTouched(project=project))
