"""Keys: bytes of a terminal in, names out.

Owns: which bytes are which key. Rule: pure. What is no key of ours is dropped, whole escape sequences included, so that a pasted
text or a mouse can do no more than press single letters.
"""

import re
from enum import StrEnum


class Key(StrEnum):
    UP = "up"
    DOWN = "down"
    PAGE_UP = "page up"
    PAGE_DOWN = "page down"
    HOME = "home"
    END = "end"
    ENTER = "enter"
    TAB = "tab"
    BACK_TAB = "back tab"
    ESCAPE = "escape"
    LOG = "l"
    HELP = "?"
    QUIT = "q"


_SINGLE = {
    b"k": Key.UP,
    b"j": Key.DOWN,
    b"g": Key.HOME,
    b"G": Key.END,
    b"\r": Key.ENTER,
    b"\n": Key.ENTER,
    b"\t": Key.TAB,
    b"l": Key.LOG,
    b"?": Key.HELP,
    b"h": Key.HELP,
    b"q": Key.QUIT,
    b" ": Key.PAGE_DOWN,
}
_SEQUENCE = {
    b"A": Key.UP,
    b"B": Key.DOWN,
    b"H": Key.HOME,
    b"F": Key.END,
    b"Z": Key.BACK_TAB,
    b"1~": Key.HOME,
    b"4~": Key.END,
    b"5~": Key.PAGE_UP,
    b"6~": Key.PAGE_DOWN,
    b"7~": Key.HOME,
    b"8~": Key.END,
}
_ESCAPED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O[ -~])")
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|O)\Z")


def read_keys(data: bytes) -> tuple[list[Key], bytes]:
    """Return the keys in *data*, and what at its end may be the beginning of one. A lone escape byte is the key itself."""
    keys: list[Key] = []
    place = 0
    while place < len(data):
        if (match := _ESCAPED.match(data, place)) is not None:
            found = _SEQUENCE.get(match[0][2:])
            place = match.end()
        elif data[place : place + 1] == b"\x1b":
            if _UNFINISHED.match(data, place):
                return keys, data[place:]
            found, place = Key.ESCAPE, place + 1
        else:
            found, place = _SINGLE.get(data[place : place + 1]), place + 1
        if found is not None:
            keys.append(found)
    return keys, b""
