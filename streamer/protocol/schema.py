"""Makes the JSON schema of ``mytalk.v1`` from the message set, for clients in other languages to be checked against.

``python -m streamer.protocol.schema`` writes it into the folder of fixtures. JSON Schema, draft 2020-12;
``ClientMessage`` and ``ServerMessage`` in ``$defs`` are what either side may send, told apart by ``type``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from msgspec.json import schema_components

from streamer.protocol.codec import SUBPROTOCOL
from streamer.protocol.messages import ClientMessage, ServerMessage

PATH = Path(__file__).parents[2] / "clients" / "fixtures" / f"{SUBPROTOCOL}.schema.json"


def schema() -> dict[str, Any]:
    """Returns the schema of every message, and of the parts that messages share.

    A client may leave out a field that has a default. A server leaves out only what is None: its other fields are
    required, and none is null.
    """
    sides: dict[str, Any] = {}
    parts: dict[str, Any] = {}
    for name, kind in (("ClientMessage", ClientMessage), ("ServerMessage", ServerMessage)):
        (sides[name],), found = schema_components([kind], ref_template="#/$defs/{name}")
        parts |= {part: _as_sent(body) if name == "ServerMessage" else body for part, body in found.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SUBPROTOCOL,
        "description": "The text messages; PROTOCOL.md says what they mean.",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in sides],
        "$defs": {**sides, **parts},
    }


def schema_text() -> str:
    """Returns the file's text."""
    return json.dumps(schema(), indent=2) + "\n"


def _as_sent(part: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema of a struct as the server writes it."""
    fields = {name: _without_null(field) for name, field in part["properties"].items()}
    required = [name for name, field in part["properties"].items() if field.get("default", "") is not None]
    return part | {"properties": fields, "required": required}


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema of a field that is left out where it is None."""
    if field.get("default", "") is not None:
        return field
    kind: dict[str, Any] = next(one for one in field["anyOf"] if one != {"type": "null"})
    return {name: value for name, value in field.items() if name not in ("anyOf", "default")} | kind


if __name__ == "__main__":
    PATH.write_text(schema_text(), "utf-8")
