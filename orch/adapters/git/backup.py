"""A mirror's copy, and what a daemon makes of the forge after its data was put back.

Owns: the copy of every ref of a mirror with all that belongs to it, and the taking over of what the lost daemon had pushed since.
Rule: a copy is a mirror like the one it was made from. What stands on a task's branch on the forge counts as ours only when
every new commit on it was committed under one of our own names; anything else is a person's, and is left to ask about.
"""

from pathlib import Path

import anyio.to_thread

from orch.adapters.git.layout import lay_out, remove_tree
from orch.adapters.git.mirror import GitMirror
from orch.core.ids import Sha, parse_sha

RESTORED = "refs/agents/restored"
TASK_BRANCHES = "refs/remotes/origin/feature"
AGENT_DOMAIN = "@orch.invalid"
"""The committer of an agent's commit; see ``agents.environment``."""
_COPY = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules")


async def back_up_mirror(mirror: GitMirror, target: Path) -> int:
    """Copy *mirror* to *target*, which must not exist, while work goes on; return the number of refs.

    A mirror that was never made has nothing to copy: 0, and nothing is written. Raises StoreError or TransientError.
    """
    if not mirror.path.exists():
        return 0
    half = target.with_name(target.name + ".half-made")
    await anyio.to_thread.run_sync(remove_tree, half)
    await anyio.to_thread.run_sync(lambda: lay_out(half, bare=True, head="ref: refs/heads/none", sha256=mirror.sha256))
    await mirror.git.run(half, *_COPY, "--", str(mirror.path), "+refs/*:refs/*")
    refs = len((await mirror.git.run(half, "for-each-ref", "--format=%(refname)")).lines())
    await anyio.to_thread.run_sync(half.rename, target)
    return refs


async def take_over_pushed(mirror: GitMirror) -> list[str]:
    """Fetch the forge's branches, and keep those of tasks that a lost daemon moved as results of ours; return their names.

    A result that was pushed and never recorded is known by its ref under ``refs/agents``; the lost mirror took those refs
    with it.
    """
    before = await _tips(mirror) if mirror.path.exists() else {}
    await mirror.fetch()
    taken: list[str] = []
    for ref, sha in (await _tips(mirror)).items():
        if before.get(ref) != sha and await _is_all_ours(mirror, sha, before.get(ref)):
            name = ref.removeprefix("refs/remotes/origin/")
            await mirror.set_ref(f"{RESTORED}/{name}", sha)
            taken.append(name)
    return taken


async def _tips(mirror: GitMirror) -> dict[str, Sha]:
    """Return the task branches as last fetched."""
    ran = await mirror.git.run(mirror.path, "for-each-ref", "--format=%(objectname) %(refname)", f"{TASK_BRANCHES}/")
    return {ref: parse_sha(sha) for sha, _, ref in (line.partition(" ") for line in ran.lines())}


async def _is_all_ours(mirror: GitMirror, tip: Sha, known: Sha | None) -> bool:
    """Say whether we made every commit of *tip* that is neither on the default branch nor in what was *known* before."""
    start = mirror.tracked(mirror.default_branch)
    outside = [f"^{sha}" for sha in (start, known) if sha is not None]
    ran = await mirror.git.run(mirror.path, "log", "--format=%ce", tip, *outside, "--")
    ours = mirror.git.identity.email
    return all(email == ours or email.endswith(AGENT_DOMAIN) for email in ran.lines())
