"""Process trees that have no shim any more, found by the label in their environment.

Owns: finding by ``ORCH_RUN_ID`` and killing what was found. Rule: identity is pid and start time; dead means seen to be gone.
The label is looked for in ``/proc/*/environ``; what a labelled process has started counts as well, label or not.
"""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

import anyio

from orch.adapters import shim

Wanted = Callable[[str], bool]
DETACHED = "deploy-"
"""What the labels of deploys begin with: they outlive the daemon, and so does what they have left running."""


@final
@dataclass(frozen=True, slots=True)
class Killed:
    """What came of it: *ended* are gone, *left* (pid to label) would not go."""

    ended: set[int] = field(default_factory=set)
    left: dict[int, str] = field(default_factory=dict)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    start: int
    name: str
    label: str


def find(wanted: Wanted, *, spare: int = 0) -> dict[int, _Member]:
    """Return the living processes with a wanted label and those below them; never this process, its ancestors or *spare*."""
    table = shim.read_table()
    spared, pid = {spare}, os.getpid()
    while pid in table and pid not in spared:
        spared.add(pid)
        pid = table[pid][0]
    labels = {pid: label for pid in table if pid not in spared and (label := shim.read_label(pid)) and wanted(label)}
    found: dict[int, _Member] = {}
    for pid in (labels.keys() | shim.descendants(table, *labels)) - spared:
        _, start, name, state = table[pid]
        if state == "Z":
            continue
        above = pid
        while above not in labels:
            above = table[above][0]
        found[pid] = _Member(start=start, name=name, label=labels[above])
    return found


def strike(wanted: Wanted, *, spare: int = 0) -> None:
    """KILL everything that is wanted, once."""
    for pid, member in find(wanted, spare=spare).items():
        shim.send(pid, member.start, signal.SIGKILL)


async def kill(wanted: Wanted, grace_s: float) -> Killed:
    """TERM, the grace, KILL until nothing wanted is left or the time for that is over."""
    seen = find(wanted)
    if grace_s > 0:
        for pid, member in seen.items():
            if member.name != "bwrap":  # see the shim
                shim.send(pid, member.start, signal.SIGTERM)
        with anyio.move_on_after(grace_s):
            while _living(seen):  # noqa: ASYNC110 (these are not our children: nobody tells us of their end)
                await anyio.sleep(0.02)
    with anyio.move_on_after(shim.KILL_S):
        while True:
            seen.update(find(wanted))
            living = _living(seen)
            if not living:
                break
            for pid in living:
                shim.send(pid, seen[pid].start, signal.SIGKILL)
            await anyio.sleep(0.01)
    living = _living(seen)
    return Killed(ended=set(seen) - living, left={pid: seen[pid].label for pid in living})


def _living(seen: dict[int, _Member]) -> set[int]:
    """Return those that still live, by identity: a process that is dying, or that hides, shows no label."""
    entries = {pid: shim.read_entry(pid) for pid in seen}
    return {pid for pid, entry in entries.items() if entry is not None and entry[1] == seen[pid].start and entry[3] != "Z"}
