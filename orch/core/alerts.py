"""Sounding messages: how an alert of the line looks in a chat.

Owns: which kinds sound, their headings, and the buttons that fit. Does not own: when an alert is raised (the decisions), its
delivery.
Rule: pure; the body was written for a board, the words of others quoted in it. Only what needs a person makes a sound.
Buttons are those of the task's present state, and none where that is no longer what the alert asked about.
"""

from orch.core.chat_markdown import read_markdown
from orch.core.chat_text import ChatText, Line, Piece, Style, fit, line
from orch.core.effects import Alert
from orch.core.ids import ProjectName, Sha
from orch.core.model import Awaiting, Task
from orch.core.presses import Keyboard, asked_about, buttons_for, day_buttons
from orch.core.render.catalogue import knows, say
from orch.core.render.figures import short_sha
from orch.core.tracker import title_line

SILENT = frozenset({"thaw", "account-paused"})
"""Kinds that tell people something and ask for nothing."""
ASKING = frozenset({"approval", "confirm-deploy", f"reminder-{Awaiting.APPROVAL}", f"reminder-{Awaiting.CONFIRM}"})
"""Kinds that ask for a decision about what is shown."""
DAY = "budget-day"
PARKS = frozenset({"parked", "budget"})


def is_silent(alert: Alert) -> bool:
    return alert.kind in SILENT


def alert_text(alert: Alert, project: ProjectName, task: Task | None, language: str) -> ChatText:
    """Return the message: what kind it is, whose task, what was said, and the SHA that it is about."""
    body = read_markdown(alert.text)
    shown: list[Line] = []
    if alert.kind in ASKING and alert.shown:
        shown = [(), line(say(language, "chat.shown"), " ", Piece(short_sha(Sha(alert.shown)), Style.CODE))]
    about = title_line(task) if task is not None else line(Piece(project, Style.BOLD))
    return fit([line(Piece(_heading(alert.kind, language), Style.BOLD)), about, (), *body, *shown])


def _heading(kind: str, language: str) -> str:
    for key in (kind, kind.partition("-")[0]):
        if knows(f"alert.{key}"):
            return say(language, f"alert.{key}")
    return say(language, "alert.other")


def alert_buttons(alert: Alert, task: Task | None) -> Keyboard:
    """Return the buttons that go with the alert now."""
    if alert.kind == DAY:
        return day_buttons(alert.shown) if alert.shown else ()
    asks = alert.kind in ASKING or alert.kind in PARKS
    return buttons_for(task) if task is not None and asks and alert.shown and alert.shown == asked_about(task) else ()
