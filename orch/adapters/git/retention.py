"""What the mirror keeps for a while only: archives and agents' refs of ended tasks, candidates, unreachable objects.

Owns: which refs go with a task, and when git packs and prunes. Rule: documents (``refs/orch/docs``) stay for ever; an object that
nothing reaches goes only when it is older than the archive is kept, because working copies borrow objects.
"""

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from orch.adapters.git.refs import list_refs
from orch.adapters.git.runner import Git, Options
from orch.core.ids import Sha, candidate_ref, report_ref
from orch.ports.retention import Retirable

_CANDIDATES = "refs/orch/candidates"
_PACK_FROM = 2000
"""Git packs when there are about so many loose objects."""
_PACK_S = 3600.0


async def drop_refs(git: Git, mirror: Path, gone: Collection[Retirable], *, kept: Collection[Sha]) -> int:
    """Delete the refs of ended tasks and every candidate that is not one of *kept*; return how many."""
    doomed: list[str] = []
    for each in gone:
        doomed += _below(mirror, f"refs/orch/archive/{int(each.task)}")
        for run in each.runs:
            doomed += _below(mirror, f"refs/agents/{int(run)}")
        doomed += _existing(mirror, [report_ref(each.branch)])
    keep = {candidate_ref(sha) for sha in kept}
    doomed += [ref for ref in _below(mirror, _CANDIDATES) if ref not in keep]
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


def _below(mirror: Path, prefix: str) -> list[str]:
    return [f"{prefix}/{name}" for name in list_refs(mirror, prefix)]


def _existing(mirror: Path, refs: Iterable[str]) -> list[str]:
    found = []
    for ref in refs:
        folder, _, name = ref.rpartition("/")
        if name in list_refs(mirror, folder):
            found.append(ref)
    return found
