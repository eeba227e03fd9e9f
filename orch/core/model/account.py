"""Accounts: what agents run under, and the pause that holds all runs of one.

An account is an agent's adapter with the credential it uses; it is named after the adapter.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import final

from orch.core.ids import RunId
from orch.core.model.run import Outcome


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPause:
    """No run of the account begins before *until*; then *trial* is let through alone, and its end decides."""

    cause: Outcome
    since: datetime
    until: datetime
    renewals: int = 0
    """How often a try ended by the same cause."""
    trial: RunId | None = None
    detail: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    name: str
    pause: AccountPause | None = None
