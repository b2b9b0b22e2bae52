"""The client's reading and writing of ``mytalk.v1`` against the fixtures that the server is tested with."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lines import fixture
from mytalk_client.link import SentLog
from mytalk_client.messages import TYPES, Audio, Video, parse, speech, text

TIMED = fixture("timed")


@pytest.mark.parametrize("row", fixture("server_messages") + TIMED[3:], ids=lambda row: row["name"])
def test_what_a_server_tells_is_read_with_every_field_that_a_program_sees(row: dict[str, Any]) -> None:
    given_ = row["message"]
    message, counted = parse(json.dumps(given_ | {"a_field_of_tomorrow": 1}))
    assert message is not None
    assert counted == (given_["type"] not in ("session.created", "session.resumed", "ack", "pong"))
    if given_["type"] != "media":
        assert type(message) is TYPES[given_["type"]]
        for field in fields(message):
            assert getattr(message, field.name) == given_.get(field.name, field.default)


@pytest.mark.parametrize("row", fixture("packets") + TIMED[:2], ids=lambda row: row["name"])
def test_packets_are_read_and_written_as_the_fixtures_say(row: dict[str, Any]) -> None:
    data, payload = bytes.fromhex(row["hex"]), bytes.fromhex(row["payload_hex"])
    if row["from"] == "client":
        encoding = "pcm16" if row["kind"] == 1 else "opus"
        timed = row["flags"] == 4
        assert speech(encoding, row["generation"], row["pts"], payload, timed=timed) == data  # type: ignore[arg-type]
        return
    message, counted = parse(data)
    assert counted
    assert isinstance(message, Audio | Video)
    assert (message.generation, message.pts, message.data) == (row["generation"], row["pts"], payload)
    if isinstance(message, Video):
        assert (message.keyframe, message.init) == (bool(row["flags"] & 1), bool(row["flags"] & 2))


def test_media_as_json_and_as_binary_are_the_same() -> None:
    rows = [row["message"] for row in fixture("server_messages") if row["message"]["type"] == "media"]
    assert {type(parse(json.dumps(row))[0]) for row in rows} == {Audio, Video}


@pytest.mark.parametrize("row", fixture("client_messages"), ids=lambda row: row["name"])
def test_what_is_written_is_what_the_fixtures_show(row: dict[str, Any]) -> None:
    body = dict(row["message"])
    if any(value is None for value in body.get("controls", {}).values()):
        body["controls"] = {name: value for name, value in body["controls"].items() if value is not None}
    name = body.pop("type")
    assert json.loads(text(name, **body)) == {"type": name, **body}


def test_messages_of_tomorrow_are_passed_over_and_counted() -> None:
    assert parse('{"type":"weather.changed"}') == (None, True)
    assert parse(bytes([99, 0, 0, 0]) + bytes(13)) == (None, True)


@pytest.mark.parametrize("data", ["", "[]", "{}", '{"type":"ack"}', '{"type":"media","kind":"h264"}', b"", bytes(16)])
def test_what_is_no_message_is_a_value_error(data: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (its kinds say different things)
        parse(data)


@given(st.lists(st.tuples(st.sampled_from("asrc"), st.integers(0, 4)), max_size=60))
def test_through_any_cuts_the_server_gets_every_message_once_and_in_order(steps: list[tuple[str, int]]) -> None:
    log, given_, got = SentLog(), 0, []
    flying: list[str | bytes] = []
    for what, count in steps:
        if what == "a":
            log.add(str(given_), milliseconds=100)
            given_ += 1
        elif what == "s" and (data := log.next()) is not None:
            flying.append(data)
        elif what == "r":
            got += [flying.pop(0) for _ in range(min(count, len(flying)))]
            log.acknowledge(len(got), buffered_ms=50)
        elif what == "c":
            got += [flying.pop(0) for _ in range(min(count, len(flying)))]
            flying.clear()
            log.rewind(len(got))
    assert log.ahead_ms >= 100 * (given_ - len(got))
    log.rewind(len(got))
    while (data := log.next()) is not None:
        got.append(data)
    assert got == [str(number) for number in range(given_)]
