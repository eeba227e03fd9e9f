"""What the outbox and the intake receive."""

from dataclasses import dataclass
from typing import final

from orch.core.ids import OutboxId


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxHint:
    """Rows may be due."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryEnded:
    """One row's delivery is over."""

    row: OutboxId
    error: str = ""
    retry_s: float | None = None


OutboxMessage = OutboxHint | DeliveryEnded


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class InboxHint:
    """Rows of the inbox may be unhandled. *again*: somebody who was told of some has lost what it was told."""

    again: bool = False


IntakeMessage = InboxHint
