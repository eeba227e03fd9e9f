"""What the mirror keeps for a while only: archives and agents' refs of ended tasks, candidates, unreachable objects.

Owns: which refs go with a task, and when git packs and prunes. Rule: documents (``refs/orch/docs``) stay for ever; an object that
nothing reaches goes only when it is older than the archive is kept, because working copies borrow objects.
"""

import os
from collections.abc import Collection
from pathlib import Path

from orch.adapters.git.refs import list_refs
from orch.adapters.git.runner import Git, Options
from orch.core.ids import Sha, candidate_ref, report_ref
from orch.ports.retention import Retirable

_CANDIDATES = "refs/orch/candidates/"
_PACK_FROM = 2000
"""Git packs when there are about so many loose objects."""
_PACK_S = 3600.0


async def drop_refs(git: Git, mirror: Path, gone: Collection[Retirable], *, kept: Collection[Sha]) -> int:
    """Delete the refs of ended tasks and every candidate that is not one of *kept*; return how many."""
    of_tasks = [f"refs/orch/archive/{int(each.task)}/" for each in gone]
    of_runs = [f"refs/agents/{int(run)}/" for each in gone for run in each.runs]
    below, reports, keep = (*of_tasks, *of_runs), {report_ref(each.branch) for each in gone}, {candidate_ref(sha) for sha in kept}
    every = [f"refs/{name}" for name in list_refs(mirror, "refs")]
    doomed = [
        ref for ref in every if ref.startswith(below) or ref in reports or (ref.startswith(_CANDIDATES) and ref not in keep)
    ]
    if doomed:
        lines = "".join(f"delete {ref}\0\0" for ref in doomed)
        await git.run(mirror, "update-ref", "--stdin", "-z", options=Options(stdin=os.fsencode(lines)))
    return len(doomed)


async def pack(git: Git, mirror: Path, days: int) -> None:
    """Let git pack what is loose and drop unreachable objects older than *days*, where it finds that worth while."""
    settings = {"gc.auto": str(_PACK_FROM), "gc.autoDetach": "false"}
    env = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    options = Options(timeout_s=_PACK_S, env=env)
    await git.run(mirror, "gc", "--auto", "--quiet", f"--prune={max(1, days)}.days.ago", options=options)
