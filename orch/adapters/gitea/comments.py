"""The one comment with a marker: found, edited in place, or made.

Owns: ``keep_comment``. Rule: only a comment of our own user that begins with the marker is ours, whatever others write; where
two were made (a lost answer, a second daemon), the oldest stays.
"""

import re

from orch.adapters.gitea.api import GiteaApi
from orch.adapters.gitea.wire import SERVICE, Note, read_note
from orch.core.errors import PermanentError

_MARKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._/]*")


async def keep_comment(api: GiteaApi, number: int, *, marker: str, text: str) -> None:
    """Make the comment with *marker* say *text*. The caller lets only one run at a time."""
    body = f"{_hidden(marker)}\n{text}"
    notes = await _find(api, number, marker)
    if not notes:
        await _add(api, number, body)
        notes = await _find(api, number, marker)
    for note in notes[1:]:
        await api.client.delete(f"{api.path}/issues/comments/{note.id}", expect={404})
    if notes and notes[0].body.strip() != body.strip():
        await _edit(api, number, notes[0], body)


def _hidden(marker: str) -> str:
    if not _MARKER.fullmatch(marker):
        raise PermanentError(SERVICE, "keep comment", f"not a marker: {marker[:80]!r}")
    return f"<!-- {marker} -->"


async def _find(api: GiteaApi, number: int, marker: str) -> list[Note]:
    """Return our comments with *marker*, oldest first."""
    me, begins = await api.me(), _hidden(marker)
    found: list[Note] = []
    async for item in api.items(f"{api.path}/issues/{number}/comments"):
        note = read_note(item)
        if note is not None and note.author == me and note.body.lstrip().startswith(begins):
            found.append(note)
    return sorted(found, key=lambda note: note.id)


async def _add(api: GiteaApi, number: int, body: str) -> None:
    reply = await api.client.post(f"{api.path}/issues/{number}/comments", {"body": body}, expect={404})
    if reply.status == 404:
        await api.require_pull(number, "comment")
        raise PermanentError(SERVICE, "comment", f"#{number} of {api.repo} takes no comments")


async def _edit(api: GiteaApi, number: int, note: Note, body: str) -> None:
    reply = await api.client.patch(f"{api.path}/issues/comments/{note.id}", {"body": body}, expect={404})
    if reply.status == 404:  # deleted since we looked
        await _add(api, number, body)
