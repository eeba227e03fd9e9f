"""Texts for a chat, in pieces: cut first, then escaped and wrapped, so that nothing is ever cut inside a tag or an entity.

Owns: ``ChatText``, how one is cut to what a message may hold, and its two forms: HTML as the Bot API reads it, and plain
text.
Does not own: what is said (``tracker``, ``alerts``), who sends it.
Rule: total. Whatever stands in a piece, the HTML can be parsed and keeps both limits: ``UNITS_MAX`` of text after parsing,
counted in UTF-16 units (never fewer than code points), and ``BYTES_MAX`` as it is sent.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from typing import final

from orch.core.render.quote import ELLIPSIS

UNITS_MAX = 4096
BYTES_MAX = 32_768
URL_MAX = 1000
_URL = re.compile(r"https?://[!-;=?-~]+", re.IGNORECASE)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")


class Style(StrEnum):
    """How a piece looks: the HTML element that it becomes."""

    PLAIN = ""
    BOLD = "b"
    ITALIC = "i"
    CODE = "code"
    BLOCK = "pre"
    QUOTE = "blockquote"


@final
@dataclass(frozen=True, slots=True)
class Piece:
    """Some text in one style; *url* makes it a link where it is a plain http address, *user* a mention of that user (by id)."""

    text: str
    style: Style = Style.PLAIN
    url: str = ""
    user: str = ""


Line = tuple[Piece, ...]


@final
@dataclass(frozen=True, slots=True)
class ChatText:
    """Lines of pieces. Only blocks and quotes hold line ends of their own."""

    lines: tuple[Line, ...]

    def html(self) -> str:
        return "\n".join("".join(_html(piece) for piece in line) for line in self.lines)

    def plain(self) -> str:
        return "\n".join("".join(piece.text for piece in line) for line in self.lines)

    def digest(self, *also: str) -> str:
        """Name the text (and what else belongs to it): the same name, the same message."""
        return sha256("\0".join((self.html(), *also)).encode("utf-8", "replace")).hexdigest()[:32]


def line(*pieces: Piece | str) -> Line:
    """Return a line; texts are plain pieces, empty ones are left out."""
    made = (piece if isinstance(piece, Piece) else Piece(piece) for piece in pieces)
    return tuple(piece for piece in made if piece.text)


def units(text: str) -> int:
    """Return the length of *text* in UTF-16 units."""
    return len(text) + sum(char > "\uffff" for char in text)


def fit(lines: Iterable[Line], limit: int = UNITS_MAX) -> ChatText:
    """Return the beginning of *lines* that a message can hold, with the mark of the cut where it was cut."""
    given = [tuple(replace(piece, text=_sound(piece.text)) for piece in each) for each in lines]
    room = limit
    while True:
        text = ChatText(tuple(_cut(given, room)))
        if len(text.html().encode()) <= BYTES_MAX:
            return text
        room = room * 3 // 4


def _sound(text: str) -> str:
    """Return *text* as something that can be sent at all: no lone surrogate, no control character but tab and line end."""
    return _CONTROL.sub("", text.encode("utf-8", "replace").decode("utf-8"))


def _cut(lines: list[Line], room: int) -> list[Line]:
    kept: list[Line] = []
    for number, each in enumerate(lines):
        left = room - (1 if number else 0)
        mark = 0 if number == len(lines) - 1 else 2  # a line end and the mark of the cut, for whatever follows
        wanted = sum(units(piece.text) for piece in each)
        if wanted + mark > left:
            return [*kept, _cut_line(each, left - 1)]
        kept.append(each)
        room = left - wanted
    return kept


def _cut_line(pieces: Line, room: int) -> Line:
    kept: list[Piece] = []
    for piece in pieces:
        part = _head(piece.text, room)
        room -= units(part)
        if part:
            kept.append(replace(piece, text=part))
        if part != piece.text:
            break
    return (*kept, Piece(ELLIPSIS))


def _head(text: str, room: int) -> str:
    """Return as much of *text* as *room* units hold; a character is never cut in half."""
    part = text[: max(room, 0)]
    while units(part) > room:
        part = part[: len(part) - max((units(part) - room) // 2, 1)]
    return part


def escape(text: str, *, quotes: bool = False) -> str:
    """Escape what the Bot API's HTML would read; *quotes* too inside an attribute."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return safe.replace('"', "&quot;") if quotes else safe


def _html(piece: Piece) -> str:
    inner = escape(piece.text)
    if not inner.strip():
        return inner
    if piece.style is not Style.PLAIN:
        inner = f"<{piece.style.value}>{inner}</{piece.style.value}>"
    if piece.user.isascii() and piece.user.isdigit():
        return f'<a href="tg://user?id={piece.user}">{inner}</a>'
    if len(piece.url) <= URL_MAX and _URL.fullmatch(piece.url) and piece.style not in (Style.CODE, Style.BLOCK):
        inner = f'<a href="{escape(piece.url, quotes=True)}">{inner}</a>'
    return inner
