"""Names of things: the id types, and the only builders of branch and ref names.

Owns: every identifier's type and the shape rules that make one safe inside a path or a ref.
Rule: a ref, path or branch is built here from validated parts, never by formatting text elsewhere.
"""

import re
from typing import NewType

ProjectName = NewType("ProjectName", str)
IssueId = NewType("IssueId", str)
"""A board's own id of an issue (a uuid on Plane, the key on the local board)."""
WorkItemId = NewType("WorkItemId", str)
"""What people call the task: ``SHOP-12``."""
TaskRow = NewType("TaskRow", int)
"""The store's row id of a task; refs, worktrees and homes are named after it and it is never used again."""
JobId = NewType("JobId", int)
RunId = NewType("RunId", int)
Attempt = NewType("Attempt", int)
"""A task's fence: grows by one with every launch and every STOP; a write that names an older one is refused."""
Epoch = NewType("Epoch", int)
"""A repo's fence for landing and deploying: grows by one with every lease taken."""
Branch = NewType("Branch", str)
Sha = NewType("Sha", str)
"""A full git object id, 40 (or 64) lower-case hex digits."""
ActivityId = NewType("ActivityId", str)
UserId = NewType("UserId", str)
InboxId = NewType("InboxId", int)
OutboxId = NewType("OutboxId", int)
IntentId = NewType("IntentId", int)
CheckId = NewType("CheckId", int)
"""One run of the test command on a candidate of the merge train."""
DeployId = NewType("DeployId", int)
"""One deploy; it grows with every one, so that it is the fence of its repo's deploy slot."""

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_WORK_ITEM = re.compile(r"[A-Z][A-Z0-9]{0,9}-[1-9][0-9]{0,8}")
_PREFIX = re.compile(r"[A-Z][A-Z0-9]{0,9}")
_PROJECT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
SLUG_MAX = 30


def parse_sha(text: str) -> Sha:
    """Return *text* as a full object id; raise ValueError otherwise."""
    if not _SHA.fullmatch(text):
        raise ValueError(f"not a full git object id: {text[:80]!r}")
    return Sha(text)


def parse_work_item_id(text: str) -> WorkItemId:
    """Return *text* as a work item id such as ``SHOP-12``; raise ValueError otherwise."""
    if not _WORK_ITEM.fullmatch(text):
        raise ValueError(f"not a work item id like SHOP-12: {text[:80]!r}")
    return WorkItemId(text)


def parse_prefix(text: str) -> str:
    """Return *text* as a project's prefix (``SHOP``); raise ValueError otherwise."""
    if not _PREFIX.fullmatch(text):
        raise ValueError(f"a prefix is 1 to 10 capital letters or digits, first a letter: {text[:80]!r}")
    return text


def parse_project_name(text: str) -> ProjectName:
    """Return *text* as a project name, safe as a folder; raise ValueError otherwise."""
    if not _PROJECT.fullmatch(text):
        raise ValueError(f"a project name is 1 to 40 of a-z, 0-9 and '-', not at either end: {text[:80]!r}")
    return ProjectName(text)


def make_work_item_id(prefix: str, number: int) -> WorkItemId:
    return parse_work_item_id(f"{parse_prefix(prefix)}-{number}")


def make_branch(work_item: WorkItemId, slug: str, take: int = 1) -> Branch:
    """Build a task's branch name; *take* > 1 makes another one for the same work item and slug.

    An unusable slug becomes ``untitled``; a long one is cut at SLUG_MAX.
    """
    cut = slug[:SLUG_MAX].rstrip("-")
    safe = cut if _SLUG.fullmatch(cut) else "untitled"
    suffix = "" if take == 1 else f"-{take}"
    return Branch(f"feature/{parse_work_item_id(work_item)}-{safe}{suffix}")


def branch_apart(branch: Branch, base: Sha) -> Branch:
    """Return another name for a task's branch whose own one is somebody else's on the forge: *base* makes it unique."""
    return Branch(f"{branch}-{parse_sha(base)[:7]}")


def agent_ref(run: RunId, fence: Attempt) -> str:
    """The mirror ref that a finished run's branch is fetched to before it is checked."""
    return f"refs/agents/{int(run)}/{int(fence)}"


def archive_ref(task: TaskRow, number: int) -> str:
    """The mirror ref that keeps a task's work at the end of a run, *number* being the run (or 0 for none)."""
    return f"refs/orch/archive/{int(task)}/{int(number)}"


def report_ref(branch: Branch) -> str:
    """The mirror ref of the last report that the daemon itself put onto a task branch, kept before it is pushed."""
    return f"refs/orch/reports/{branch}"


def docs_ref(task: TaskRow, number: int) -> str:
    """The mirror ref that keeps a task's artefact folder for ever."""
    return f"refs/orch/docs/{int(task)}/{int(number)}"


def candidate_ref(sha: Sha) -> str:
    """The mirror ref that keeps a candidate alive; named by the commit itself, because it exists before any intent."""
    return f"refs/orch/candidates/{parse_sha(sha)}"


def artefact_dir(work_item: WorkItemId) -> str:
    """The folder of a task's artefacts inside its branch, with no slash at the end."""
    return f"docs/work-items/{parse_work_item_id(work_item)}"
