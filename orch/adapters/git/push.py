"""Pushing one ref and reading what the server said of it.

Owns: the porcelain lines of ``git push`` and their meaning. Rule: one explicit refspec per push, never ``--mirror``,
``--all`` or ``+``; a lease only where the caller names it, and the caller names it for task branches only.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import assert_never, final

from orch.adapters.git.pre_push import REFUSAL, VARIABLE, Onto
from orch.adapters.git.runner import Git, Options, Ran, classify
from orch.core.errors import StoreError, TransientError
from orch.core.ids import Sha, parse_sha
from orch.ports.git import Pushed, PushResult
from orch.ports.services import GitRemote


class Answer(StrEnum):
    """What the server (or the client's own test) made of the one ref."""

    TAKEN = "taken"
    BEHIND = "behind"
    """The remote ref is not what it was thought to be."""
    LOCKED = "locked"
    """It changed in mid-air, or a lock stands there: only the ref itself can tell."""
    DIRTY = "dirty"
    REFUSED = "refused"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PushAnswer:
    answer: Answer
    detail: str = ""


_NEVER = "orch-probe"
_BEHIND = re.compile(r"fetch first|non-fast-forward|stale info|needs force|already exists|remote ref updated since checkout")
_LOCKED = re.compile(r"failed to update ref|cannot lock ref|failed to lock|atomic|remote failed to report|incorrect old value")
_DIRTY = re.compile(
    r"working directory has|working directory not|could not update working tree|up-to-date check failed|staged changes",
    re.IGNORECASE,
)
_PASSING = re.compile(r"unpacker error|unpack failed|index-pack abnormal exit|no space left", re.IGNORECASE)
_SERVER_SICK = re.compile(r"Internal Server (?:Connection )?Error|unable to contact gitea", re.IGNORECASE)
"""Said by the server's own hook when it could not ask the server."""
_NOISE = re.compile(r"^remote:\s*$")


async def push_ref(
    git: Git, git_dir: Path, remote: GitRemote, refspec: str, *, lease: str | None = None, onto: Onto | None = None
) -> PushAnswer:
    """Push *refspec*; *lease* is the whole value of ``--force-with-lease``, *onto* holds a push without force to an old value.

    Raises TransientError when the remote was not reached or failed half-way, PermanentError when it does not know us.
    """
    options = [] if lease is None else [f"--force-with-lease={lease}"]
    return await _push(git, git_dir, remote, options, [refspec], onto)


async def try_push(git: Git, git_dir: Path, remote: GitRemote, sha: Sha, ref: str) -> PushAnswer:
    """Ask the server whether it would take *sha*, a descendant, for *ref*, and change nothing.

    Another ref below *ref* is pushed in the same transaction: it cannot stand beside it, so the transaction fails, but only
    after the server's own rules were asked. LOCKED is therefore yes, REFUSED is no; a dry run would ask no rule at all.
    """
    refspecs = [f"{parse_sha(sha)}:{ref}", f"{parse_sha(sha)}:{ref}/{_NEVER}"]
    return await _push(git, git_dir, remote, ["--atomic"], refspecs)


async def _push(
    git: Git, git_dir: Path, remote: GitRemote, options: list[str], refspecs: list[str], onto: Onto | None = None
) -> PushAnswer:
    """Push and return the answer about the first of *refspecs*."""
    args = ["push", "--porcelain", "--no-follow-tags", "--no-recurse-submodules", "--no-signed", *options]
    args.append("--no-verify" if onto is None else "--verify")
    if remote.receive_pack:
        args.append(f"--receive-pack={remote.receive_pack}")
    env = dict(remote.env) if onto is None else {**remote.env, VARIABLE: onto.base}
    how = Options(env=env, any_code=True, hooks=None if onto is None else onto.hooks)
    ran = await git.run(git_dir, *args, "--", remote.url, *refspecs, options=how)
    return _read_answer(ran, refspecs[0].rpartition(":")[2])


def _read_answer(ran: Ran, target: str) -> PushAnswer:
    for line in ran.out.decode("utf-8", "replace").splitlines():
        fields = line.split("\t")
        if len(fields) < 3 or len(fields[0]) != 1 or fields[1].rpartition(":")[2] != target:
            continue
        if fields[0] != "!":
            return PushAnswer(answer=Answer.TAKEN, detail=fields[2])
        reason = "\t".join(fields[2:])
        return _refusal(reason, ran.err)
    if ran.code == 0:
        return PushAnswer(answer=Answer.TAKEN)
    if ours := [line for line in ran.err.splitlines() if line.startswith(REFUSAL)]:
        return PushAnswer(answer=Answer.BEHIND, detail=ours[0])
    error = classify("push", ran.err)
    if isinstance(error, StoreError) and "not a git repository" in ran.err:  # said by the other side
        raise TransientError("git", "push", str(error))
    raise error


def _refusal(reason: str, err: str) -> PushAnswer:
    told = " / ".join(line.removeprefix("remote:").strip() for line in err.splitlines() if _tells(line))
    detail = f"{reason} {told}".strip()[:600]
    if _DIRTY.search(reason):
        return PushAnswer(answer=Answer.DIRTY, detail=detail)
    if _BEHIND.search(reason):
        return PushAnswer(answer=Answer.BEHIND, detail=detail)
    if _LOCKED.search(reason):
        return PushAnswer(answer=Answer.LOCKED, detail=detail)
    if (_PASSING.search(reason) and "fsck" not in err) or _SERVER_SICK.search(told):
        raise TransientError("git", "push", detail)
    return PushAnswer(answer=Answer.REFUSED, detail=detail)


def name_refusal(answer: PushAnswer, tip: Sha | None) -> Pushed:
    """Name a push that was not taken although the remote ref still is what was expected."""
    match answer.answer:
        case Answer.DIRTY:
            return Pushed(result=PushResult.DIRTY, detail=answer.detail)
        case Answer.REFUSED:
            return Pushed(result=PushResult.REFUSED, detail=answer.detail)
        case Answer.TAKEN | Answer.BEHIND | Answer.LOCKED:
            raise TransientError("git", "push", f"{answer.detail}; the remote is at {tip or 'nothing'} again")
        case _:
            assert_never(answer.answer)


def _tells(line: str) -> bool:
    return line.startswith("remote:") and not _NOISE.match(line)


async def ask_tip(git: Git, git_dir: Path | None, remote: GitRemote, ref: str) -> Sha | None:
    """Return what the remote itself says *ref* holds."""
    return (await _ask(git, git_dir, remote, ref)).get(ref)


async def ask_heads(git: Git, remote: GitRemote) -> dict[str, Sha]:
    """Return every branch of the remote, by its name behind ``refs/heads/``."""
    top = "refs/heads/"
    return {name.removeprefix(top): sha for name, sha in (await _ask(git, None, remote, f"{top}*")).items()}


async def _ask(git: Git, git_dir: Path | None, remote: GitRemote, pattern: str) -> dict[str, Sha]:
    try:
        ran = await git.run(git_dir, "ls-remote", "--", remote.url, pattern, options=Options(env=remote.env))
    except StoreError as error:  # a path that is no repository: the remote's fault, not the mirror's
        raise TransientError("git", "ls-remote", str(error)) from error
    rows = (line.partition("\t") for line in ran.lines())
    return {name: parse_sha(sha) for sha, _, name in rows if name}
