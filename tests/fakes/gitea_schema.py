"""Comparison of what the fake says with what real servers publish and were seen to send.

Owns: ``Swagger``, a published description of the API, and ``unlike``, the comparison of a payload with one that was captured.
Rule: nothing of either is kept here; a test that finds none of them is skipped.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}
UNPUBLISHED = {"username"}
"""Sent by every server since its beginning, and in no description."""


class Swagger:
    """A Swagger 2.0 description."""

    def __init__(self, path: Path) -> None:
        self._table = json.loads(path.read_text(encoding="utf-8"))
        self._paths = {_shape(name): operations for name, operations in self._table["paths"].items()}

    def faults(self, method: str, route: str, sent: Any, status: int, answer: Any) -> list[str]:
        """Return how one call and its answer differ from the description; *route* is the fake's own, below its base."""
        operation = self._paths.get(_shape(route), {}).get(method.lower())
        if operation is None:
            return [f"{method} {route}: no such call"]
        faults = []
        described = operation["responses"].get(str(status))
        if described is None:
            faults.append(f"{method} {route}: no answer {status}")
        elif answer is not None:
            schema = self._resolve(described).get("schema")
            faults += [f"{method} {route}: answer{fault}" for fault in self._compare(schema, answer)] if schema else []
        body = next((each["schema"] for each in operation.get("parameters", []) if each["in"] == "body"), None)
        if sent is not None:
            faults += [f"{method} {route}: sent{fault}" for fault in self._compare(body, sent)] if body else ["a body too many"]
        return faults

    def _resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            found: Any = self._table
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            schema = found
        return schema

    def _compare(self, schema: Mapping[str, Any], value: Any) -> list[str]:
        schema = self._resolve(schema)
        if value is None:
            return []
        kind = schema.get("type", "object" if "properties" in schema else None)
        if kind is not None and (not isinstance(value, TYPES[kind]) or (kind != "boolean" and isinstance(value, bool))):
            return [f" is {type(value).__name__}, not {kind}"]
        if kind == "array":
            return [fault for item in value for fault in self._compare(schema["items"], item)]
        faults: list[str] = []
        known = schema.get("properties", {})
        for key, item in value.items() if known else ():
            if key in known:
                faults += [f".{key}{fault}" for fault in self._compare(known[key], item)]
            elif key not in UNPUBLISHED:
                faults.append(f".{key} is not known")
        return faults


def _shape(route: str) -> str:
    return re.sub(r"<[^>]+>|\{[^}]+\}", "*", route)


def unlike(ours: Any, seen: Any, place: str = "") -> list[str]:
    """Return where a payload of the fake has a key or a kind of value that the captured one has not; null is any kind."""
    if ours is None or seen is None:
        return []
    if isinstance(ours, dict) and isinstance(seen, dict):
        missing = [f"{place}.{key} was never seen" for key in ours if key not in seen]
        return missing + [fault for key in ours.keys() & seen.keys() for fault in unlike(ours[key], seen[key], f"{place}.{key}")]
    if isinstance(ours, list) and isinstance(seen, list):
        return [fault for item in ours for fault in unlike(item, seen[0], f"{place}[]")] if seen else []
    return [] if type(ours) is type(seen) else [f"{place} is {type(ours).__name__}, was {type(seen).__name__}"]
