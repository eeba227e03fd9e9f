"""An alert's way into the chat.

Owns: what an outbox row of the chat becomes there, and what each outcome means for the row. Does not own: when an alert is
raised, how it looks (``orch.core.alerts``), the row's retries (the outbox).
Rule: a row is done when the message is there. Where the chat cannot be written to for a while, or not before somebody mends
its configuration, the row waits; one that the service would never take is parked.
"""

from typing import assert_never

from actors.world import Services, World
from orch.core.alerts import alert_buttons, alert_text, is_silent
from orch.core.effects import Alert
from orch.core.errors import PermanentError, TransientError
from orch.core.model import OutboxRow
from orch.core.retry import backoff
from orch.ports.chat import Barred, Chat, Declined, Sent, Throttled, Unanswered

SOON_S = 5.0
BARRED_S = 300.0
SERVICE = "telegram"


async def deliver_alert(world: World, services: Services, row: OutboxRow, alert: Alert) -> None:
    """Send the alert; raises TransientError or PermanentError where the message is not there."""
    if world.chat is None:
        await world.notifier.alert(row.project, alert)
    else:
        await _send(world, world.chat, services, row, alert)


async def _send(world: World, chat: Chat, services: Services, row: OutboxRow, alert: Alert) -> None:
    wait_s = chat.wait_s()
    if 0 < wait_s <= SOON_S:
        await world.clock.sleep(wait_s)
    number, language = row.task, services.project.language
    task = None if number is None else await world.store.read(lambda tx: tx.load_task(number))
    text = alert_text(alert, row.project, task, language)
    outcome = await chat.send(text, buttons=alert_buttons(alert, task), silent=is_silent(alert), language=language)
    match outcome:
        case Sent():
            return
        case Throttled():
            raise TransientError(SERVICE, "alert", "the chat's pace", retry_after=outcome.retry_s)
        case Unanswered():
            raise TransientError(SERVICE, "alert", outcome.detail, retry_after=max(outcome.retry_s, backoff(row.tries + 1)))
        case Barred():
            raise TransientError(SERVICE, "alert", outcome.detail, retry_after=BARRED_S)
        case Declined():
            raise PermanentError(SERVICE, "alert", outcome.detail)
        case _:
            assert_never(outcome)
