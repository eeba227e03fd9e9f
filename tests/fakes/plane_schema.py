"""Comparison of what the fake says with what the real server publishes.

Owns: ``OpenApi``, a published description of the API in its third version. Rule: nothing of it is kept here; a test that finds
none is skipped. Payloads that were captured are compared by ``tests.fakes.gitea_schema.unlike``.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}
UNPUBLISHED = [("avatar_url", None)]
"""What a real server was seen to send, and the description denies."""


class OpenApi:
    """An OpenAPI 3.0 description."""

    def __init__(self, path: Path) -> None:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._table: Mapping[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
        self._paths = {_shape(name): operations for name, operations in self._table["paths"].items()}

    def faults(self, method: str, route: str, status: int, answer: Any, *, partial: bool) -> list[str]:
        """Return how an answer differs from the description; *partial* where the call asked for some fields only."""
        operation = self._paths.get(_shape(route), {}).get(method.lower())
        if operation is None:
            return [f"{method} {route}: no such call"]
        described = operation["responses"].get(str(status))
        if described is None:
            return [f"{method} {route}: no answer {status}"]
        schema = described.get("content", {}).get("application/json", {}).get("schema")
        if schema is None or answer is None:
            return []
        return [f"{method} {route}: answer{fault}" for fault in self._compare(schema, answer, partial=partial)]

    def _resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema or "allOf" in schema:
            if "allOf" in schema:
                [schema] = schema["allOf"]
                continue
            found: Any = self._table
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            schema = found
        return schema

    def _compare(self, schema: Mapping[str, Any], value: Any, *, partial: bool) -> list[str]:
        if value is None:
            return [] if schema.get("nullable") or self._resolve(schema).get("nullable") else [" is null"]
        schema = self._resolve(schema)
        kind = schema.get("type")
        if partial and kind == "string" and isinstance(value, dict):
            return []  # an object in the place of its id, as was asked for
        if kind is not None and (not isinstance(value, TYPES[kind]) or (kind != "boolean" and isinstance(value, bool))):
            return [f" is {type(value).__name__}, not {kind}"]
        if isinstance(value, str):
            return self._compare_text(schema, value)
        if isinstance(value, list):
            items = schema.get("items", {})
            return [fault for item in value for fault in self._compare(items, item, partial=partial)]
        if not isinstance(value, dict):
            return []
        known = {name: each for name, each in schema.get("properties", {}).items() if (name, value.get(name)) not in UNPUBLISHED}
        faults = [] if partial else [f".{name} is missing" for name in schema.get("required", ()) if name not in value]
        return faults + [
            f".{name}{fault}"
            for name in value
            if name in known
            for fault in self._compare(known[name], value[name], partial=partial)
        ]

    def _compare_text(self, schema: Mapping[str, Any], value: str) -> list[str]:
        faults = []
        if "enum" in schema and value not in schema["enum"]:
            faults.append(f" is {value!r}, none of {schema['enum']}")
        if len(value) > schema.get("maxLength", len(value)):
            faults.append(f" has {len(value)} characters")
        readers: Mapping[str, Callable[[str], object]] = {
            "uuid": UUID,
            "date-time": datetime.fromisoformat,
            "date": datetime.fromisoformat,
        }
        reader = readers.get(schema.get("format", ""))
        if reader is not None:
            try:
                reader(value)
            except ValueError:
                faults.append(f" is {value!r}, no {schema['format']}")
        return faults


def _shape(route: str) -> str:
    return re.sub(r"<[^>]+>|\{[^}]+\}", "*", route).replace("*-*", "*")
