"""Failpoints: named places at which a test lets the process die, as if by ``kill -9`` or a power cut.

Owns: the closed list of names, what is true at each, and the counting. Does not own: what must hold after the restart
(``tests/scenario/crash``). Rule: standard library only, and a place that is not armed costs one look at a global. With
``ORCH_FAILPOINT=name:n`` in the daemon's environment the n-th passing of that name kills the process at once: no handler
runs, nothing is flushed. A name stands at exactly one place in the code.
"""

import os
import signal
from collections.abc import Mapping
from difflib import get_close_matches

from orch.core.errors import ConfigError

VARIABLE = "ORCH_FAILPOINT"

NAMES: Mapping[str, str] = {
    # the store
    "store.begun": "A batch has begun; nothing of it is written.",
    "store.worked": "Every piece of the batch has run; its COMMIT has not.",
    "store.committed": "The batch is on disk; nobody has been answered.",
    # starting
    "start.locked": "The data directory is held; the database is not open.",
    "start.opened": "The database is open, checked and migrated; nothing is recovered.",
    "recovery.orphans": "No process tree of an earlier life is left; its runs still count as running.",
    "recovery.done": "What was cut off waits again; no actor has started.",
    "start.ready": "The actors run and the address is written.",
    # what people do on the local board
    "board.created": "A new issue is committed; whoever asked has no answer.",
    "board.moving": "The column has changed; the inbox row is not written, the transaction is open.",
    "inbox.written": "The inbox row is written; the transaction is open.",
    "board.moved": "Column, activity and inbox row are committed; whoever asked has no answer.",
    "board.commented": "A person's comment is committed; whoever asked has no answer.",
    "board.archived": "A card is put away, or brought back, and that is committed; whoever asked has no answer.",
    # from the inbox to a task
    "inbox.read": "An accepted event was read from the inbox; its repo has no hint yet.",
    "issue.read": "The issue was read from its board; nothing is decided.",
    "task.created": "The task's row is made; its job is not, the transaction is open.",
    "issue.handled": "What the issue's activity means is committed; no actor has been told.",
    "trigger.handled": "A person's move of a live task's card is decided and committed; nothing has been brought into line.",
    "decision.recorded": "A person's decision is committed; whoever asked has no answer.",
    # from a job to a run
    "job.claiming": "A job is claimed; the transaction is open.",
    "job.claimed": "The claim is committed; the task's actor does not know of it.",
    "job.handed": "The task's actor has the claimed run in its mailbox.",
    "run.begun": "The run is known to be current; its attempt has not begun.",
    # the working copy
    "workspace.wanted": "The attempt begins; its working copy is as the last run left it.",
    "mirror.made": "The mirror is fetched whole; it does not stand at its path yet.",
    "workspace.cut": "The start commit is made and kept in the mirror; the working copy is not laid out.",
    "workspace.laid-out": "The working copy is laid out; its ledger is not written.",
    "workspace.ready": "The working copy and its ledger are there; no agent runs.",
    # the agent
    "agent.starting": "The prompt is written; the agent's process is not started.",
    "process.spawned": "The shim runs and starts its program; nobody watches it yet.",
    "agent.ended": "The agent's tree has ended and its outcome is known; nothing is archived.",
    "archive.taken": "Everything is committed in the shadow repository; the mirror does not have it.",
    "archive.kept": "The archive stands in the mirror; the ledger still says open.",
    "run.archived": "The run is archived; its branch is not collected.",
    # from the working copy to the task's branch
    "collect.kept": "The result stands under refs/agents; it is not checked.",
    "collect.checked": "The result is checked; whether the attempt is still current has not been asked.",
    "branch.pushing": "The attempt is current; the task's branch is not pushed.",
    "branch.pushed": "The task's branch is pushed; nothing is recorded.",
    "run.collected": "The branch is pushed and read; the task's actor does not know of it.",
    "run.ended": "The run's end reached the task's actor; nothing of it is recorded.",
    "run.recording": "The run's row is ended; the task has not moved, the transaction is open.",
    "run.recorded": "The run's end and what follows from it are committed; what is wanted next is not started.",
    # the daemon's own commands
    "command.wanted": "The run of a command is committed; no slot has been asked for it.",
    "command.checked-out": "The command's checkout is there; the command is not started.",
    "command.ended": "The command has ended; its task does not know the result.",
    "command.recorded": "The command's result and what follows from it are committed.",
    # the outbox
    "outbox.due": "A row is about to be delivered.",
    "status.shown": "The board shows the status; the row is not marked.",
    "comment.posted": "The comment stands on the board; the row is not marked.",
    "pull.opened": "The forge has the pull request; its task does not know the number.",
    "pull.recorded": "The task knows its pull request; the row is not marked.",
    "pull.edited": "Title and text of the pull request are changed; the row is not marked.",
    "pull.commented": "The comment on the pull request is written; the row is not marked.",
    "ci-status.posted": "The forge has the commit's status; the row is not marked.",
    "pull.merged": "The pull request is marked as merged; its branch still stands.",
    "branch.deleted": "The task's branch is deleted on the forge; the row is not marked.",
    "outbox.written": "The write is made; the outbox does not know of it.",
    "outbox.done": "The row is marked as delivered.",
    # landing
    "landing.fetched": "Default branch and task branches are fetched; nothing of it is remembered, nothing is planned.",
    "candidate.kept": "A chain of candidates is built and kept in the mirror.",
    "landing.planned": "What the train does next is planned, and what it remembers is committed; nothing of the plan is done.",
    "check.begun": "A check's row and run are committed; no slot has been asked for it.",
    "landing.tested": "A check's command has ended; its verdict is not recorded.",
    "check.recorded": "A check's verdict is committed; nothing follows from it yet.",
    "landing.green": "A candidate passed its test, and that is recorded; nothing is intended.",
    "landing.ruled": "A task is sent back or set aside by the train, and that is committed; nobody has been told.",
    "landing.intending": "Every member is checked; the intent is not written, the transaction is open.",
    "landing.intended": "The intent is committed; nothing is pushed.",
    "main.pushing": "The candidate is about to be pushed, onto its base and nothing else; the push has not begun.",
    "main.pushed": "The push has ended; its result is not verified.",
    "main.verified": "The default branch is seen to be the candidate; nothing is recorded.",
    "landing.recording": "The intent is ended; no member is landed, the transaction is open.",
    "landing.member": "A member is landed; the members behind it are not, the transaction is open.",
    "landing.recorded": "The landing of every member is committed; nobody has been told.",
    "landing.ended": "The landing is over and everybody has been told; the next round is not held.",
    "intent.asked": "An intent that a crash left open was asked of git; the answer is not recorded.",
    "intent.resolved": "What became of the open intent is committed; nothing is planned.",
    # deploying
    "deploy.intending": "The deploy's run is made; its intent is not, the transaction is open.",
    "deploy.intended": "The intent to deploy is committed; nothing is started.",
    "deploy.checked-out": "The checkout to deploy from is laid out; the deploy is not started.",
    "deploy.launched": "The process that claims the try is started; its claim was not seen.",
    "deploy.claimed": "The try is claimed: whatever happens now, it is never started again.",
    "deploy.ended": "The result was read; nothing of it is recorded.",
    "deploy.recording": "The deploy's run is ended; the task has not moved, the transaction is open.",
    "deploy.recorded": "What the deploy came to is committed; nobody has been told.",
    # stopping
    "stop.asked": "The daemon was told to stop; it still listens.",
    "stop.listener": "The listener is closed; the actors still run.",
    "stop.actors": "The actors have ended; the database is open.",
    "stop.store": "The database is closed; the address is still written.",
    # backup
    "backup.database": "The copy of the database is written; no mirror is.",
    "backup.mirrors": "Database and mirrors are written; the manifest is not, so the backup does not count.",
}
"""Every failpoint, and what is true when it is passed."""

_armed = ""
_left = 0


def hit(name: str) -> None:
    """Die here if this passing of *name* is the one that the environment asked for."""
    if name == _armed:
        _pass()


def _pass() -> None:
    global _left
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def arm(environ: Mapping[str, str]) -> str:
    """Arm what *environ* asks for and return its name, empty for none; raises ConfigError for a name that does not exist."""
    global _armed, _left
    _armed, _left = "", 0
    text = environ.get(VARIABLE, "").strip()
    if not text:
        return ""
    name, _, number = text.partition(":")
    if name not in NAMES:
        nearest = get_close_matches(name, NAMES, n=1, cutoff=0.0)[0]
        raise ConfigError(f"{VARIABLE}: there is no failpoint {name[:80]!r}; the nearest is {nearest!r}; unset it, or name one")
    if not (number.isascii() and number.isdigit() and 0 < len(number) <= 9 and int(number) > 0):
        raise ConfigError(f"{VARIABLE}: write {name}:n with the number n of the passing that kills, such as {name}:1")
    _armed, _left = name, int(number)
    return name
