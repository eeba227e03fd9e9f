"""Plane's HTML as plain text, and our Markdown as HTML for Plane.

Owns: ``read_html`` and ``write_html``. Plane keeps what is posted verbatim, scripts included, so that what it holds is hostile
text. Rule: reading is one pass without a parser that could be made to work for hours (the standard library's takes quadratic
time on broken tags, and builders of a tree on deep ones); whatever is hidden from a reader of the page is not read either.
"""

import html
import re
from typing import final

import nh3
from markdown_it import MarkdownIt

from orch.adapters.local_board import repair, unescape, without_comments

HTML_MAX = 1024 * 1024
WRITTEN_MAX = 100_000
TAGS = {
    "p",
    "br",
    "strong",
    "em",
    "s",
    "code",
    "pre",
    "blockquote",
    "ul",
    "ol",
    "li",
    "a",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
}
ATTRIBUTES = {"a": {"href"}, "ol": {"start"}, "code": {"class"}}

_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9-]{0,40})([^<>]{0,4000})>|<[!?][^<>]{0,400}>")
_HREF = re.compile(r"""\shref\s{0,4}=\s{0,4}["']?(https?://[^\s"'<>]{1,2000})""", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_BLANKS = re.compile(r"\n{3,}")
_HIDDEN = frozenset({"script", "style", "template", "title", "head", "iframe", "noscript", "svg", "object"})
_LINES = frozenset({"tr", "li", "dt", "dd", "summary", "figcaption", "option"})
_BLOCKS = frozenset(
    {
        "p",
        "div",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "ul",
        "ol",
        "dl",
        "pre",
        "hr",
        "table",
        "thead",
        "tbody",
        "blockquote",
        "figure",
    }
    | {"section", "article", "header", "footer", "aside", "details"}
)
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True}).disable(["image"])


def read_html(source: str) -> str:
    """Return the text of *source*: paragraphs, list items and code on lines of their own, links with their address."""
    reader = _Reader()
    text = without_comments(repair(source[:HTML_MAX]))
    at = 0
    for tag in _TAG.finditer(text):
        reader.take(text[at : tag.start()])
        at = tag.end()
        if tag[2]:
            reader.close(tag[2].lower()) if tag[1] else reader.open(tag[2].lower(), tag[3])
    reader.take(text[at:])
    return reader.text()


@final
class _Reader:
    def __init__(self) -> None:
        self._parts: list[str] = []
        self._hidden = ""
        self._pre = 0
        self._lists: list[int | None] = []
        self._link = ""
        self._breaks = 0
        """How many line breaks the text ends with."""
        self._at_start = True
        """Where more white space means nothing."""

    def take(self, raw: str) -> None:
        if self._hidden or not raw:
            return
        text = repair(unescape(raw))
        if not self._pre:
            text = _SPACE.sub(" ", text)
            text = text.lstrip() if self._at_start else text
        self._add(text)

    def open(self, name: str, attributes: str) -> None:
        if self._hidden:
            return
        if name in _HIDDEN and not attributes.endswith("/"):
            self._hidden = name
        elif name == "br":
            self._add("\n")
        elif name == "pre":
            self._block()
            self._pre += 1
            self._add("```\n")
        elif name in ("ul", "ol"):
            self._line() if self._lists else self._block()
            self._lists.append(0 if name == "ol" else None)
        elif name == "li":
            self._item()
        elif name in _BLOCKS:
            self._block()
        elif name in _LINES:
            self._line()
        elif name == "code" and not self._pre:
            self._add("`")
        elif name == "a" and (found := _HREF.search(attributes)) is not None:
            self._link = unescape(found[1])

    def close(self, name: str) -> None:
        if self._hidden:
            self._hidden = "" if name == self._hidden else self._hidden
        elif name == "pre" and self._pre:
            self._pre -= 1
            self._line()
            self._add("```")
            self._block()
        elif name in ("ul", "ol"):
            if self._lists:
                self._lists.pop()
            self._line() if self._lists else self._block()
        elif name in _BLOCKS:
            self._block()
        elif name in _LINES:
            self._line()
        elif name == "code" and not self._pre:
            self._add("`")
        elif name in ("td", "th"):
            self._add(" ")
        elif name == "a" and self._link:
            if self._parts and self._parts[-1].strip() != self._link:
                self._add(f" ({self._link})")
            self._link = ""

    def text(self) -> str:
        lines = "".join(self._parts).split("\n")
        return _BLANKS.sub("\n\n", "\n".join(line.rstrip() for line in lines)).strip()[:HTML_MAX]

    def _add(self, text: str) -> None:
        if not text:
            return
        self._parts.append(text)
        body = text.rstrip("\n")
        self._breaks = len(text) - len(body) + (0 if body else self._breaks)
        self._at_start = self._breaks > 0 or text.endswith(" ")

    def _line(self, breaks: int = 1) -> None:
        """End the line, unless it is empty already."""
        if self._parts and self._breaks < breaks:
            self._add("\n" * (breaks - self._breaks))
        self._at_start = True

    def _block(self) -> None:
        """End a paragraph; in a list item that is a line, and nothing at its beginning, so that ``- `` keeps its text."""
        if not self._lists:
            self._line(2)
        elif not self._fresh_item():
            self._line()

    def _fresh_item(self) -> bool:
        return bool(self._parts) and self._parts[-1].endswith((". ", "- ")) and self._parts[-1].lstrip(" -.0123456789") == ""

    def _item(self) -> None:
        self._line()
        depth = min(len(self._lists), 8)
        count = self._lists[-1] if self._lists else None
        if count is not None:
            self._lists[-1] = count + 1
        mark = "- " if count is None else f"{count + 1}. "
        self._add("  " * max(depth - 1, 0) + mark)


def write_html(markdown: str, *, voice: str = "") -> str:
    """Return our Markdown as HTML; *voice* is said first, as the name of who speaks."""
    text = repair(markdown)
    if len(text) > WRITTEN_MAX:
        text = text[: WRITTEN_MAX - 1] + "…"
    body = nh3.clean(_MARKDOWN.render(text), tags=TAGS, attributes=ATTRIBUTES, url_schemes={"http", "https"}).strip()
    said = f"<p><strong>{html.escape(voice)}</strong></p>" if voice else ""
    return said + (body or "<p></p>")
