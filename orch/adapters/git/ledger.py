"""What the daemon remembers of a task's working copy between two calls, in a file beside it.

Owns: the ledger's shape and its file. Rule: written whole or not at all; one that cannot be read is as good as none, because
everything that must survive is in the mirror's archive refs.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import final

from orch.core.ids import Sha, parse_sha


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """An archived state: *head* is the agent's commit, *tree* its files, *at* seconds since the epoch.

    *branch_tip* is where the task's branch stood, which differs from *head* when the agent worked elsewhere.
    """

    commit: Sha
    head: Sha
    head_tree: Sha
    tree: Sha
    branch_tip: Sha | None
    at: int
    nested: tuple[str, ...] = ()
    """Repositories inside the working copy that no ignore rule leaves out; their files are in no tree."""
    problem: str = ""
    """Why the agent's own commits could not be taken, where they could not; *head* is then the run's start."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The run that a working copy was prepared for. *pinned* is the head that the attempt began on, before our own commit.

    *open* says that the run has not been archived yet.
    """

    run: int
    work_item: str
    branch: str
    base: Sha
    pinned: Sha
    start: Sha
    merged: Sha | None = None
    """The default branch's commit that was merged in before the run's start."""
    open: bool = True
    snapshot: Snapshot | None = None

    def closed(self, snapshot: Snapshot) -> "Ledger":
        return replace(self, open=False, snapshot=snapshot)


def load_ledger(path: Path) -> Ledger | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        kept = data["snapshot"]
        return Ledger(
            run=int(data["run"]),
            work_item=str(data["work_item"]),
            branch=str(data["branch"]),
            base=parse_sha(data["base"]),
            pinned=parse_sha(data["pinned"]),
            start=parse_sha(data["start"]),
            merged=parse_sha(data["merged"]) if data.get("merged") else None,
            open=bool(data["open"]),
            snapshot=_snapshot(kept) if kept is not None else None,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _snapshot(data: Mapping[str, object]) -> Snapshot:
    tip, nested = data["branch_tip"], data["nested"]
    if not isinstance(nested, list):
        raise TypeError("nested is not a list")
    return Snapshot(
        commit=parse_sha(str(data["commit"])),
        head=parse_sha(str(data["head"])),
        head_tree=parse_sha(str(data["head_tree"])),
        tree=parse_sha(str(data["tree"])),
        branch_tip=None if tip is None else parse_sha(str(tip)),
        at=int(str(data["at"])),
        nested=tuple(str(one) for one in nested),
        problem=str(data["problem"]),
    )


def save_ledger(path: Path, ledger: Ledger) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(asdict(ledger), file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
