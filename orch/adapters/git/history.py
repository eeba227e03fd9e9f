"""What a mirror's history says: what is reachable from what, and what a branch changed.

Owns: questions to commits that are there. Does not own: refs, remotes, or what follows from an answer. Rule: read-only; a commit
that the mirror lacks is reachable from none that it has.
"""

from collections.abc import Collection
from pathlib import Path

from orch.adapters.git.objects import check_objects
from orch.adapters.git.runner import Git, Options, classify
from orch.core.errors import PermanentError, StoreError
from orch.core.ids import Sha, parse_sha

_DIFF_STAT_CUT = 4_000
_FILES_MAX = 2_000
_PLAIN = ("--no-ext-diff", "--no-textconv")


async def contains(git: Git, git_dir: Path, ancestor: Sha, tip: Sha) -> bool:
    """Say whether *ancestor* is *tip* or reachable from it."""
    options = Options(any_code=True)
    ran = await git.run(git_dir, "merge-base", "--is-ancestor", parse_sha(ancestor), parse_sha(tip), options=options)
    if ran.code > 1 and (ancestor == tip or ancestor not in ran.err):
        raise classify("merge-base", ran.err)
    return ran.code == 0


async def contained(git: Git, git_dir: Path, commits: Collection[Sha], tip: Sha) -> set[Sha]:
    """Return those of *commits* that are *tip* or reachable from it."""
    asked = {parse_sha(sha) for sha in commits}
    if not asked:
        return set()
    try:
        return asked - await _outside(git, git_dir, asked, tip)
    except (StoreError, PermanentError):  # the mirror lacks some of them
        names = sorted(asked)
        found = await check_objects(git, git_dir, names)
        known = {sha for sha, there in zip(names, found, strict=True) if there is not None}
        return known - await _outside(git, git_dir, known, tip) if known else set()


async def _outside(git: Git, git_dir: Path, commits: Collection[Sha], tip: Sha) -> set[str]:
    """Return what is reachable from *commits* and not from *tip*."""
    lines = "".join(f"{sha}\n" for sha in commits) + f"^{parse_sha(tip)}\n"
    ran = await git.run(git_dir, "rev-list", "--stdin", options=Options(stdin=lines.encode("ascii")))
    return set(ran.lines())


async def changed_files(git: Git, git_dir: Path, base: Sha, tip: Sha) -> tuple[str, ...]:
    """Return the files that *tip* changed since it left *base*'s line, at most 2,000."""
    what = f"{parse_sha(base)}...{parse_sha(tip)}"
    ran = await git.run(git_dir, "diff", "--name-only", "--no-renames", "-z", *_PLAIN, what, "--")
    return tuple(name.decode("utf-8", "replace") for name in ran.fields()[:_FILES_MAX] if name)


async def diff_stat(git: Git, git_dir: Path, base: Sha, tip: Sha) -> str:
    """Return ``git diff --stat`` of base...tip, cut."""
    what = f"{parse_sha(base)}...{parse_sha(tip)}"
    ran = await git.run(git_dir, "diff", "--stat=100", "--no-color", *_PLAIN, what, "--")
    return ran.out.decode("utf-8", "replace")[:_DIFF_STAT_CUT]
