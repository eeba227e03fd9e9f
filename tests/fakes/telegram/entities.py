"""HTML as the Bot API parses it: what a text becomes, or why it cannot be parsed.

Owns: ``parse_html``. Rule: the words of the errors are the real server's; only four named entities and numeric ones are known.
"""

import re

TAGS = frozenset("b strong i em u ins s strike del code pre a blockquote tg-spoiler span tg-emoji tg-time".split())  # noqa: SIM905
NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_ENTITY = re.compile(r"&(?:(lt|gt|amp|quot)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));?")
_TAG = re.compile(r"<(/?)([^\s>/]*)([^>]*)>")
_HREF = re.compile(r'\s+href="([^"]*)"\s*')


class Unparsed(Exception):
    """The text cannot be parsed; the message is the server's."""


def parse_html(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the text without its markup, and the entities as (tag or link's address, text inside)."""
    raw, out = text, ""
    entities: list[tuple[str, str]] = []
    open_tags: list[tuple[str, int, str]] = []
    at = 0
    while at < len(raw):
        if raw[at] == "&" and (entity := _ENTITY.match(raw, at)):
            out += _char(entity)
            at = entity.end()
        elif raw[at] == "<":
            at, out = _tag(raw, at, out, open_tags, entities)
        else:
            out += raw[at]
            at += 1
    if open_tags:
        raise Unparsed(f'Can\'t find end tag corresponding to start tag "{open_tags[-1][0]}"')
    return out, entities


def _char(entity: "re.Match[str]") -> str:
    if entity[1]:
        return NAMED[entity[1]]
    number = int(entity[2]) if entity[2] else int(entity[3], 16)
    return chr(number) if 0 < number < 0x110000 and not 0xD800 <= number < 0xE000 else entity[0]


def _tag(raw: str, at: int, out: str, open_tags: list[tuple[str, int, str]], entities: list[tuple[str, str]]) -> tuple[int, str]:
    offset = len(raw[:at].encode())
    found = _TAG.match(raw, at)
    if found is None:
        raise Unparsed(f"Unclosed start tag at byte offset {offset}")
    closing, name, rest = found[1], found[2].lower(), found[3]
    if closing:
        if not open_tags:
            raise Unparsed(f"Unexpected end tag at byte offset {offset}")
        opened, start, what = open_tags.pop()
        if name and name != opened:
            raise Unparsed(f'Unmatched end tag at byte offset {offset}, expected "</{opened}>", found "</{name}>"')
        if out[start:]:
            entities.append((what, out[start:]))
        return found.end(), out
    if name not in TAGS:
        raise Unparsed(f'Unsupported start tag "{name}" at byte offset {offset}')
    href = _HREF.fullmatch(rest)
    open_tags.append((name, len(out), _unescaped(href[1]) if href and name == "a" else name))
    return found.end(), out


def _unescaped(text: str) -> str:
    return _ENTITY.sub(_char, text)
