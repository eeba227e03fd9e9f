"""The body of a hook: bytes to a JSON object, within bounds.

Owns: ``HookBody``, for every service. Does not own what an object means. Rule: reading is cheap or not begun. Python's own parser
holds the whole daemon still for as long as it takes, in a thread as much as outside, and what costs it is not the length but
the number of values it makes: a MiB of empty lists takes a hundred times as long as a MiB of prose. Of a body with many, only
those are made that the service has use for. What is refused altogether was a hint, and the next poll finds what it told of.
"""

import json
from collections.abc import Mapping
from typing import Any, final

from pydantic_core import SchemaValidator, core_schema

BODY_MAX = 1024 * 1024
VALUES_MAX = 100_000
MANY = 5_000
"""From how many values on the useful ones are picked out: a body of an ordinary size is read whole, in a few milliseconds."""

Shape = Mapping[str, "type[str | int | bool] | Shape"]
"""The names that a service has use for, each with its kind: a plain value, or an object of which these are of use."""
_KINDS: Mapping[type[str | int | bool], core_schema.CoreSchema] = {
    str: core_schema.str_schema(strict=True),
    int: core_schema.int_schema(strict=True),
    bool: core_schema.bool_schema(strict=True),
}


@final
class HookBody:
    """Reads bodies, of which those with many values as far as *shape* goes."""

    def __init__(self, shape: Shape) -> None:
        self._useful = SchemaValidator(_schema(shape))

    def load(self, body: bytes) -> dict[str, Any]:
        """Return the object that *body* is; raises ValueError or RecursionError that says why it is none."""
        if len(body) > BODY_MAX:
            raise ValueError(f"the body has {len(body):,} bytes; at most {BODY_MAX:,} are read")
        values = sum(body.count(mark) for mark in (b",", b"[", b"{"))
        if values > VALUES_MAX:
            raise ValueError(f"the body holds too many values; at most {VALUES_MAX:,} are read")
        data = json.loads(body, parse_constant=_nothing) if values < MANY else self._useful.validate_json(body)
        if not isinstance(data, dict):
            raise ValueError(f"a hook is an object, not {type(data).__name__}")
        return data


def _schema(shape: Shape) -> core_schema.CoreSchema:
    """Describe an object of which *shape* is kept; what is of another kind than it says is left out like what has no use."""
    fields = {}
    for name, kind in shape.items():
        value = _schema(kind) if isinstance(kind, Mapping) else _KINDS[kind]
        kept = core_schema.with_default_schema(value, on_error="omit")
        fields[name] = core_schema.typed_dict_field(kept, required=False)
    return core_schema.typed_dict_schema(fields, extra_behavior="ignore")


def _nothing(_: str) -> None:
    """Read NaN and the infinities, which are no JSON, as null."""
