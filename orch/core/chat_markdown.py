"""The Markdown that we write for boards, read back as pieces for a chat.

Owns: ``read_markdown``, for the few forms that ``orch.core.render`` makes: code spans, bold, links, escapes, block quotes,
lists, fenced blocks. Rule: total; what it does not know stays as it is, and whatever others wrote was escaped there and is
plain text here.
"""

import re

from orch.core.chat_text import Line, Piece, Style, line

_FENCE = re.compile(r"(`{3,})\w*\s*")
_INLINE = re.compile(
    r"\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|`(?P<code>[^`\n]+)`"
    r"|\*\*(?P<bold>(?:\\.|[^*\\\n])+)\*\*"
    r"|\[(?P<name>(?:\\.|[^\]\\\n])+)\]\(<(?P<url>[^<>\s]+)>\)"
)
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


def read_markdown(text: str) -> list[Line]:
    """Return the lines of *text*; never two empty ones in a row."""
    lines: list[Line] = []
    rows = text.strip("\n").split("\n")
    at = 0
    while at < len(rows):
        row = rows[at].rstrip()
        if fence := _FENCE.fullmatch(row):
            block, at = _until_fence(rows, at + 1, fence[1])
            lines.append(line(Piece(block, Style.BLOCK)))
            continue
        if row.startswith(">"):
            quoted, at = _while_quoted(rows, at)
            lines.append(line(Piece(quoted, Style.QUOTE)))
            continue
        if row or (lines and lines[-1]):
            lines.append(_inline(row))
        at += 1
    return lines


def _until_fence(rows: list[str], at: int, fence: str) -> tuple[str, int]:
    end = next((number for number in range(at, len(rows)) if rows[number].rstrip() == fence), len(rows))
    return "\n".join(rows[at:end]), end + 1


def _while_quoted(rows: list[str], at: int) -> tuple[str, int]:
    end = next((number for number in range(at, len(rows)) if not rows[number].startswith(">")), len(rows))
    return "\n".join(_ESCAPE.sub(r"\1", row[1:].strip()) for row in rows[at:end]), end


def _inline(row: str) -> Line:
    if row.startswith("- "):
        row = f"• {row[2:]}"
    pieces: list[Piece] = []
    plain = ""
    at = 0
    for match in _INLINE.finditer(row):
        plain += row[at : match.start()]
        at = match.end()
        if match["escaped"] is not None:
            plain += match["escaped"]
            continue
        pieces.append(Piece(plain))
        plain = ""
        if match["code"] is not None:
            pieces.append(Piece(match["code"], Style.CODE))
        elif match["bold"] is not None:
            pieces.append(Piece(_ESCAPE.sub(r"\1", match["bold"]), Style.BOLD))
        else:
            pieces.append(Piece(_ESCAPE.sub(r"\1", match["name"]), url=match["url"]))
    return line(*pieces, plain + row[at:])
