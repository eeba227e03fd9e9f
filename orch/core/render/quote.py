"""Text that others wrote, made safe to stand inside text that we write.

Owns: the ways in which a board's, an agent's or a command's words may appear in a comment: ``plain`` (no markup at all),
``inline`` (one line of Markdown), ``code`` (a code span), ``quoted`` (a block quote of prose), ``fenced`` (a block of output),
``link``. Rule: whatever comes in, what comes out is bounded, cannot open or close any structure around it, holds no
terminal codes or invisible direction marks, and mentions nobody: outside code an ``@`` or ``#1`` is broken by a
zero-width space, inside code no forge reads one (so that code stays exact).
"""

import re

ELLIPSIS = "…"
FENCE_RUN_MAX = 16
"""Longer runs of backticks are shortened, so that a fence never has to be longer than this plus one."""

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_LINE_END = re.compile(r"\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")
_MARKUP = re.compile(r"([\\`*_\[\]<>~|&$])")
_LEADING = re.compile(r"^([#+=:-]|\d{1,9}(?=[.)]))")
_MENTION = re.compile(r"@(?=[\w-])")
_REFERENCE = re.compile(r"([#!])(?=\d)")
_RUN = re.compile(r"`+")
_SAFE_URL = re.compile(r"https?://[^\s<>\\\x00-\x1f\x7f]+", re.IGNORECASE)
_BREAK = "\u200b"


def _rough(text: str, limit: int) -> str:
    """Cut what is far too long before any work is done on it; both ends survive."""
    room = 4 * limit + 1_000
    return text if len(text) <= 2 * room else f"{text[:room]}\n{ELLIPSIS}\n{text[-room:]}"


def clean(text: str) -> str:
    """Return *text* with plain line ends and without terminal codes, control, invisible and unencodable characters."""
    seen = _ANSI.sub("", text.encode("utf-8", "replace").decode("utf-8"))
    return _UNSEEN.sub("", _LINE_END.sub("\n", seen))


def cut(text: str, limit: int) -> str:
    """Return the beginning of *text*, at most *limit* characters with the mark of the cut."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + ELLIPSIS


def cut_middle(text: str, limit: int) -> str:
    """Return beginning and end of *text*, the end getting three quarters of *limit*; for logs, whose end says what happened."""
    if len(text) <= limit:
        return text
    tail = limit * 3 // 4
    return f"{text[: limit - tail - 3].rstrip()}\n{ELLIPSIS}\n{text[len(text) - tail :]}"


def plain(text: str, limit: int = 200) -> str:
    """Return *text* as one line without markup for places that read none (titles, the why sentence)."""
    return cut(_unmentioned(_line(text, limit)), limit)


def inline(text: str, limit: int = 200) -> str:
    """Return *text* as one line of Markdown that means nothing but itself."""
    return _escaped(cut(_line(text, limit), limit))


def code(text: str, limit: int = 200) -> str:
    """Return *text* as a code span; a dash when it is empty."""
    line = cut(_line(text, limit).replace("`", "'"), limit)
    return f"`{line}`" if line else "–"


def quoted(text: str, limit: int = 4000) -> str:
    """Return prose as a block quote, line by line, its beginning kept."""
    lines = cut(clean(_rough(text, limit)).strip(), limit).split("\n")
    return "\n".join(f"> {_escaped(line.strip())}  " if line.strip() else ">" for line in lines)


def fenced(text: str, limit: int = 4000, *, log: bool = False) -> str:
    """Return output or data as a fenced block that its content cannot close; a *log* keeps its end when it is cut."""
    shown = clean(_rough(text, limit)).strip("\n")
    shown = cut_middle(shown, limit) if log else cut(shown, limit)
    shown = _RUN.sub(lambda run: run.group()[:FENCE_RUN_MAX], shown)
    longest = max((len(run) for run in _RUN.findall(shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{shown}\n{fence}"


def link(name: str, url: str) -> str:
    """Return a link for people; the name alone where *url* is empty or not plain http."""
    return f"[{inline(name)}](<{url}>)" if len(url) <= 2000 and _SAFE_URL.fullmatch(url) else inline(name)


def _line(text: str, limit: int) -> str:
    return " ".join(clean(_rough(text, limit)).split())


def _unmentioned(line: str) -> str:
    return _REFERENCE.sub(rf"\1{_BREAK}", _MENTION.sub(f"@{_BREAK}", line))


def _escaped(line: str) -> str:
    """Escape what Markdown would read in one line; a list number loses its meaning by its escaped dot."""
    marked = _MARKUP.sub(r"\\\1", _unmentioned(line))
    lead = _LEADING.match(marked)
    if lead is None:
        return marked
    return f"{lead.group()}\\{marked[lead.end() :]}" if lead.group().isdigit() else f"\\{marked}"
