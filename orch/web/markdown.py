"""Markdown of untrusted files to HTML that a page may hold.

Owns: ``render_markdown``. Rule: what comes out loads nothing, runs nothing and names nothing on the page (no id, no style, no
form): HTML in the text is text, a picture is its description, a link leads outside and says nothing of where it was.
Two doors in a row: the renderer makes no HTML of the text's own, and the sanitiser lets through a short list whatever came.
"""

from collections.abc import Sequence
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

TEXT_MAX = 60_000
"""Of a longer text only the beginning is rendered: some markup costs the square of its length."""
HEADINGS_BELOW = 2
SCHEMES = {"http", "https", "mailto"}
TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s", "span",
    "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
CLASSES = {"span": {"picture", "box"}}
BOXES = {"[ ] ": "☐", "[x] ": "☑", "[X] ": "☑"}


def render_markdown(text: str) -> str:
    """Return *text* as sanitised HTML; of one longer than TEXT_MAX the beginning. Takes seconds at worst: call it in a thread."""
    return nh3.clean(
        _PARSER.render(text[:TEXT_MAX]),
        tags=TAGS,
        attributes=ATTRIBUTES,
        attribute_filter=_admit,
        allowed_classes=CLASSES,
        url_schemes=SCHEMES,
        link_rel="noopener noreferrer nofollow",
    )


def _admit(_tag: str, name: str, value: str) -> str | None:
    """Let through only links that leave this page for another address, not ones relative to ours."""
    if name != "href":
        return value
    return value if value.partition(":")[0].lower() in SCHEMES and ":" in value else None


def _picture(_renderer: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    """Say what a picture shows; it is not loaded."""
    return f'<span class="picture">🖼 {nh3.clean_text(tokens[index].content or "picture")}</span>'


def _boxes(state: Any) -> None:
    """Turn ``[ ]`` and ``[x]`` at the beginning of a list's item into boxes."""
    for before, token in zip(state.tokens[1:], state.tokens[2:], strict=False):
        if token.type == "inline" and token.children and before.type == "paragraph_open" and token.level >= 2:
            first = token.children[0]
            if first.type == "text" and (box := BOXES.get(first.content[:4])) is not None:
                first.content = first.content[4:]
                token.children.insert(0, Token("html_inline", "", 0, content=f'<span class="box">{box}</span> '))


def _headings(state: Any) -> None:
    """Put the text's headings below the page's own."""
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + HEADINGS_BELOW)}"


def _make_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.core.ruler.push("boxes", _boxes)
    parser.core.ruler.push("headings", _headings)
    parser.add_render_rule("image", _picture)
    return parser


_PARSER = _make_parser()
