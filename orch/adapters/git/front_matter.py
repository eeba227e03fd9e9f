"""YAML front matter of hostile files: small, flat in its means, and never surprising.

Owns: the split of a text into front matter and body, and a bounded parse. Rule: anchors, aliases, tags, duplicate keys, deep
nesting and large documents are refused with a reason, not interpreted; dates stay text.
"""

from collections.abc import Mapping
from typing import Any

import yaml

FRONT_LIMIT = 64_000
_DEPTH = 20


class FrontMatterError(Exception):
    """The front matter cannot be used; the text says why, in one line."""


class _PlainLoader(yaml.SafeLoader):
    """SafeLoader without aliases, tags, timestamps, merges and duplicate keys."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise FrontMatterError("front matter uses YAML anchors or aliases: write the values out")
        if getattr(event, "tag", None) is not None:
            raise FrontMatterError("front matter uses YAML tags: use plain values")
        self.depth += 1
        if self.depth > _DEPTH:
            raise FrontMatterError(f"front matter is nested deeper than {_DEPTH} levels")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        del deep  # a bounded document is always built whole
        seen: set[str] = set()
        for key, _value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise FrontMatterError("front matter has a key that is not text")
            if key.value in seen:
                raise FrontMatterError(f"front matter names {key.value[:40]!r} twice")
            seen.add(key.value)
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:merge")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _construct_map(loader: _PlainLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    return loader.construct_mapping(node)


_PlainLoader.add_constructor("tag:yaml.org,2002:map", _construct_map)


def split_front_matter(text: str) -> tuple[str | None, str]:
    """Return (front matter, body); None where the text does not begin with ``---``. Raises FrontMatterError without an end."""
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    if not lines or lines[0].rstrip() != "---":
        return None, text
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() in ("---", "..."):
            return "".join(lines[1:number]), "".join(lines[number + 1 :])
    raise FrontMatterError("front matter begins with --- but has no closing ---")


def parse_front_matter(front: str) -> Mapping[str, object]:
    """Parse front matter into plain data; raise FrontMatterError with the reason otherwise."""
    if len(front.encode("utf-8", "replace")) > FRONT_LIMIT:
        raise FrontMatterError(f"front matter is larger than {FRONT_LIMIT} bytes")
    try:
        data = yaml.load(front, Loader=_PlainLoader)  # a SafeLoader with less in it
    except yaml.YAMLError as error:
        raise FrontMatterError(f"front matter is not YAML: {' '.join(str(error).split())[:300]}") from error
    except (ValueError, RecursionError, OverflowError) as error:
        raise FrontMatterError(f"front matter holds a value that cannot be read: {str(error)[:200]}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise FrontMatterError("front matter is not a list of 'key: value' lines")
    return data
