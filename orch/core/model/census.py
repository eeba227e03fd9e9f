"""How much there is of what, for the metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from orch.core.ids import ProjectName


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """Counts of one moment. *tasks* are the live ones by project, stage and whether parked; *runs* those that go on, by project
    and kind; *jobs* by state; *outbox* by target and state (not what was delivered); *inbox* what is not handled yet."""

    tasks: Mapping[tuple[ProjectName, str, bool], int] = field(default_factory=dict)
    runs: Mapping[tuple[ProjectName, str], int] = field(default_factory=dict)
    jobs: Mapping[str, int] = field(default_factory=dict)
    outbox: Mapping[tuple[str, str], int] = field(default_factory=dict)
    inbox: int = 0
