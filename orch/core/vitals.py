"""What the daemon itself is like at present: not of any task, and not in the store.

Owns: the value that readiness, metrics and the why sentences are made from. Rule: a value; nothing here is ever state.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from orch.core.room import Shortage


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """*not_ready* names what keeps the daemon from its full work, *notices* what a person should see to.

    *crashes* counts actors' crashes by kind, *reloads* the readings of the configuration by result, since the start.
    *polls* is how the reconciler's last look at each project went.
    """

    not_ready: Mapping[str, str] = field(default_factory=dict)
    notices: Mapping[str, str] = field(default_factory=dict)
    shortages: tuple[Shortage, ...] = ()
    crashes: Mapping[str, int] = field(default_factory=dict)
    reloads: Mapping[str, int] = field(default_factory=dict)
    polls: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
