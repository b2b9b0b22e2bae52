"""The client's messages against the protocol's JSON schema: types, fields, which may be missing, and their kinds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from jsonschema import Draft202012Validator
from lines import FIXTURES
from mytalk_client.formats import SpeechFormat
from mytalk_client.http import SessionInfo
from mytalk_client.link import Link
from mytalk_client.messages import TYPES, Audio, Video
from mytalk_client.session import Session

SCHEMA: dict[str, Any] = json.loads((FIXTURES / "mytalk.v1.schema.json").read_text())
DEFINITIONS = SCHEMA["$defs"]
MEDIA = "media"  # two types to a program: sound, and pictures
SENT = Draft202012Validator({"$ref": "#/$defs/ClientMessage", "$defs": DEFINITIONS})


def schema_of(name: str) -> dict[str, Any]:
    """The schema of a message of the server."""
    found: dict[str, Any] = DEFINITIONS[DEFINITIONS["ServerMessage"]["discriminator"]["mapping"][name].split("/")[-1]]
    return found


def kinds(annotation: Any) -> set[Any]:
    """The kinds of JSON value of an annotation; of a ``Literal`` its values."""
    if get_origin(annotation) in (Union, UnionType):
        return set().union(*(kinds(part) for part in get_args(annotation) if part is not NoneType))
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    if get_origin(annotation) is Mapping:
        return {"object"}
    return {{int: "integer", str: "string", bool: "boolean", bytes: "string"}[annotation]}


def kinds_of(schema: dict[str, Any]) -> set[Any]:
    if "$ref" in schema:
        return {"object"}
    return set(schema["enum"]) if "enum" in schema else {schema["type"]}


def test_the_client_knows_every_message_of_the_server_and_no_other() -> None:
    assert set(TYPES) | {MEDIA} == set(DEFINITIONS["ServerMessage"]["discriminator"]["mapping"])


@pytest.mark.parametrize("name", TYPES)
def test_a_message_has_the_fields_of_the_schema_as_optional_and_of_the_kind_that_they_are(name: str) -> None:
    kind, schema = TYPES[name], schema_of(name)
    properties = {field: body for field, body in schema["properties"].items() if field != "type"}
    assert [field.name for field in fields(kind)] == list(properties)
    needed = {field.name for field in fields(kind) if field.default is MISSING}
    assert needed == set(schema["required"]) - {"type"}
    hints = get_type_hints(kind)
    assert {field: kinds(hints[field]) for field in properties} == {
        field: kinds_of(body) for field, body in properties.items()
    }


def test_sound_and_pictures_have_the_fields_of_media() -> None:
    schema = schema_of(MEDIA)
    names = {field.name for field in fields(Video)}
    assert names - {"encoding"} == set(schema["properties"]) - {"type", "kind"}
    assert {field.name for field in fields(Audio)} <= names
    encodings = kinds(get_type_hints(Video)["encoding"])
    assert encodings | {"audio"} == set(schema["properties"]["kind"]["enum"])


async def test_what_the_client_sends_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(Link, "send", lambda link, data, milliseconds=0: sent.append(json.loads(data)))
    monkeypatch.setattr(Session, "_check_open", lambda session: None)

    async def run(link: Link) -> None:
        link.opened.set()

    monkeypatch.setattr(Link, "run", run)
    session = Session(SessionInfo("id", "token", {"stream": "http://localhost/"}), SpeechFormat(24_000, channels=2))
    await session.open(audio=True, video="fmp4", token_is_new=True)
    await session.commit()
    await session.commit(event_id="a")
    await session.interrupt(event_id="b")
    await session.update(event_id="c", mouth_opening=0.5, seed=7, on_silence="close")
    await session.close()
    assert [message["type"] for message in sent] == [
        "session.update",
        "speech.commit",
        "speech.commit",
        "speech.clear",
        "session.update",
    ]
    assert [[error.message for error in SENT.iter_errors(message)] for message in sent] == [[]] * len(sent)
