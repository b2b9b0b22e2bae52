"""The messages of ``mytalk.v1``: what the fixtures promise to clients, and what comes of noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streamer.errors import ProtocolError
from streamer.protocol.codec import parse_client, parse_server, to_text
from streamer.protocol.messages import CLIENT, SERVER, Media, SpeechAppend
from streamer.protocol.packets import Flags, Kind, Packet

ROOT = Path(__file__).resolve().parents[3]


def fixture(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((ROOT / "clients" / "fixtures" / f"{name}.json").read_text())
    return rows


def named(rows: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("row", rows, ids=[row["name"] for row in rows])


def timed(sender: str, what: str) -> list[dict[str, Any]]:
    return [row for row in fixture("timed") if row["from"] == sender and what in row]


@named(fixture("client_messages") + timed("client", "message"))
def test_what_a_client_sends_is_read_and_written_unchanged(row: dict[str, Any]) -> None:
    message = parse_client(json.dumps(row["message"]))
    assert type(message) is CLIENT[row["message"]["type"]]
    assert json.loads(to_text(message)) == row["message"]  # type: ignore[arg-type]


@named(fixture("server_messages") + timed("server", "message"))
def test_what_a_server_sends_is_read_and_written_unchanged(row: dict[str, Any]) -> None:
    message = parse_server(json.dumps(row["message"]))
    assert type(message) is SERVER[row["message"]["type"]]
    assert json.loads(to_text(message)) == row["message"]  # type: ignore[arg-type]


@named(fixture("packets") + timed("client", "hex"))
def test_packets_are_read_and_written_unchanged(row: dict[str, Any]) -> None:
    data = bytes.fromhex(row["hex"])
    packet = (parse_client if row["from"] == "client" else parse_server)(data)
    assert isinstance(packet, Packet)
    assert (packet.kind, packet.flags, packet.generation, packet.pts) == tuple(
        row[name] for name in ("kind", "flags", "generation", "pts")
    )
    assert packet.payload.hex() == row["payload_hex"]
    assert packet.to_bytes() == data


@named(fixture("malformed"))
def test_what_is_malformed_is_refused_with_its_code(row: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError) as refused:
        parse_client(row["text"] if "text" in row else bytes.fromhex(row["hex"]))
    assert (refused.value.code, refused.value.event_id) == (row["code"], row["event_id"])
    assert not refused.value.fatal
    assert "(" in str(refused.value)  # what is needed


def test_the_fixtures_show_every_message_and_every_kind() -> None:
    assert {row["message"]["type"] for row in fixture("client_messages")} == set(CLIENT)
    rows = fixture("server_messages") + timed("server", "message")
    assert {row["message"]["type"] for row in rows} == set(SERVER)
    assert {row["kind"] for row in fixture("packets")} == set(Kind)


def test_the_page_names_every_message_and_every_field() -> None:
    page = (ROOT / "streamer" / "docs" / "PROTOCOL.md").read_text()
    for name, kind in (CLIENT | SERVER).items():
        assert f"| `{name}` |" in page
        fields = set(kind.__struct_fields__) - {"event_id", "at_ms", "count"}
        assert all(f"`{field}`" in page for field in fields), name


def test_a_newer_server_is_understood_as_far_as_it_goes() -> None:
    text = '{"type":"playback.finished","position":1,"interrupted":false,"generation":0,"mood":"calm"}'
    assert parse_server(text) == parse_server(text.replace(',"mood":"calm"', ""))
    with pytest.raises(ProtocolError) as refused:
        parse_server('{"type":"weather.changed"}')
    assert refused.value.code == "unknown_type"


def test_base64_and_binary_carry_the_same() -> None:
    payload = bytes(range(256))
    assert parse_client(to_text(SpeechAppend(payload))) == SpeechAppend(payload)
    media = Media("h264", 1, 640, payload, keyframe=True)
    assert parse_server(to_text(media)) == media
    packet = Packet(Kind.VIDEO_H264, 1, 640, payload, Flags.KEYFRAME)
    assert parse_server(packet.to_bytes()) == packet
