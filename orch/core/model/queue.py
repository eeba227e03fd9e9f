"""Outbox and inbox rows: what is to be written to the world, what came from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import final

from orch.core.ids import (
    OutboxId,
    ProjectName,
    TaskRow,
)


class Target(StrEnum):
    """Where an outbox row goes. Rows of one task and target are delivered in order."""

    BOARD = "board"
    FORGE = "forge"
    CHAT = "chat"


class RowState(StrEnum):
    PENDING = "pending"
    DONE = "done"
    PARKED = "parked"
    VOID = "void"
    """Made obsolete before it was delivered (an older status write, a cancelled task's)."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NewOutbox:
    """A write to the world. *kind* names an effect class, *payload* its fields; *key* makes it idempotent."""

    project: ProjectName
    task: TaskRow | None
    target: Target
    kind: str
    payload: Mapping[str, object]
    key: str
    at: datetime


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    id: OutboxId
    project: ProjectName
    task: TaskRow | None
    target: Target
    kind: str
    payload: Mapping[str, object]
    key: str
    state: RowState
    tries: int
    due_at: datetime
    error: str
    created_at: datetime


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class InboxRow:
    """An accepted event. *body* is the raw bytes as they came."""

    id: int
    source: str
    body: bytes
    state: RowState
    error: str
    created_at: datetime
