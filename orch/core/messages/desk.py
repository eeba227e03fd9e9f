"""What the desk receives: people's commands."""

from dataclasses import dataclass
from typing import final

from orch.core.commands import PersonCommand
from orch.core.messages.ends import Answer, Reply


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A person's command with the place for its answer."""

    command: PersonCommand
    reply: Reply[Answer]


DeskMessage = Asked
