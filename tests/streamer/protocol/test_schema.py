"""The JSON schema of ``mytalk.v1``: made from the message set, and true of every fixture."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from streamer.protocol.messages import CLIENT, SERVER
from streamer.protocol.schema import PATH, schema_text

SCHEMA: dict[str, Any] = json.loads(PATH.read_text())
UNSEEN_BY_A_SCHEMA = ("audio that is not base64", "a rate with a fraction", "a number too large for a float")
"""JSON Schema takes 16000.0 for an integer, and Python's reader 1e999 for a number."""


def rows(*names: str) -> list[dict[str, Any]]:
    return [row for name in names for row in json.loads((PATH.parent / f"{name}.json").read_text())]


def validator(side: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/$defs/{side}", "$defs": SCHEMA["$defs"]})


def test_the_committed_schema_is_that_of_the_message_set() -> None:
    assert PATH.read_text() == schema_text(), "stale: run python -m streamer.protocol.schema"
    Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_names_every_message() -> None:
    for side, types in (("ClientMessage", CLIENT), ("ServerMessage", SERVER)):
        names = SCHEMA["$defs"][side]["discriminator"]["mapping"]
        assert names == {name: f"#/$defs/{kind.__name__}" for name, kind in types.items()}


@pytest.mark.parametrize(
    "row",
    [row for row in rows("client_messages", "server_messages", "timed") if "message" in row],
    ids=lambda r: r["name"],
)
def test_every_fixture_is_valid(row: dict[str, Any]) -> None:
    sender = row.get("from") or ("client" if row in rows("client_messages") else "server")
    errors = validator("ClientMessage" if sender == "client" else "ServerMessage").iter_errors(row["message"])
    assert [error.message for error in errors] == []


@pytest.mark.parametrize(
    "row",
    [
        row
        for row in rows("malformed")
        if row["code"] in ("bad_message", "unknown_type") and row["name"] not in UNSEEN_BY_A_SCHEMA
    ],
    ids=lambda row: row["name"],
)
def test_what_a_server_refuses_is_not_valid(row: dict[str, Any]) -> None:
    body = json.loads(row["text"])
    assert not validator("ClientMessage").is_valid(body)
