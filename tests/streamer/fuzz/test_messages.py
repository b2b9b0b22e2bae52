"""Damaged messages of ``mytalk.v1``: an error each, and the stream works on."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import ProtocolError
from streamer.protocol.codec import parse_client, parse_server, to_text
from streamer.protocol.packets import Packet
from tests.streamer.support.fuzzing import damaged_bytes, examples, nothing_went_wrong
from tests.streamer.support.http_client import Client, ask
from tests.support.limits import LIMIT_S

FIXTURES = Path(__file__).parents[3] / "clients" / "fixtures"


def fixture(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((FIXTURES / f"{name}.json").read_text())
    return rows


CLIENTS = [row["message"] for row in fixture("client_messages")]
TEXTS = [json.dumps(row["message"]) for row in fixture("client_messages") + fixture("server_messages")]
PACKETS = [bytes.fromhex(row["hex"]) for row in fixture("packets")]
ODD = ["[" * 100_000, '{"type":' * 50_000, "9" * 5_000, '{"type":"ack","received":' + "[" * 900 + "]" * 900 + "}"]
PIECES = [
    "null",
    "-1",
    "1e999",
    "[]",
    "{}",
    '"',
    "\\",
    "\ud800",
    "\x00",
    ",",
    ":",
    "true",
    "9" * 30,
    "speech",
    "\u00e9",
]


@st.composite
def damaged_texts(draw: st.DrawFn) -> str:
    """A valid message with up to five places cut, changed or doubled."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.sampled_from([0, 1, 2, 8, 1000])))
        text = text[:start] + draw(st.sampled_from([*PIECES, "", text[start:end] * 2])) + text[end:]
    return text


@st.composite
def speech_packets(draw: st.DrawFn) -> bytes:
    """Speech, of any time and length, also overlapping and far ahead, in a header that is right."""
    pts = draw(st.integers(0, 1 << 20) | st.integers(0, (1 << 64) - 1))
    kind, flags = draw(st.sampled_from([1, 2]) | st.integers(0, 255)), draw(st.sampled_from([0, 1, 2, 4, 8]))
    return struct.pack("<BBHIQ", kind, flags, 0, draw(st.integers(0, 2)), pts) + draw(st.binary(max_size=200))


anything = damaged_texts() | damaged_bytes(PACKETS) | speech_packets() | st.text(max_size=60) | st.binary(max_size=60)


def refusal(parse: Callable[[str | bytes], Any], data: str | bytes) -> ProtocolError | None:
    """The error over a message; None where it is read, and written as it was read."""
    try:
        message = parse(data)
    except ProtocolError as error:
        return error
    assert parse(message.to_bytes() if isinstance(message, Packet) else to_text(message)) == message
    return None


@examples(3000)
@given(anything)
def test_a_message_is_read_or_raises_nothing_but_a_protocol_error(data: str | bytes) -> None:
    for parse in (parse_client, parse_server):
        error = refusal(parse, data)
        assert error is None or len(str(error)) < 600  # it says what is wrong, and does not send it all back
        assert error is None or error.event_id is None or 0 < len(error.event_id) <= 64


@pytest.mark.parametrize("odd", ODD, ids=len)
def test_deep_and_long_messages_are_refused(odd: str) -> None:
    for parse in (parse_client, parse_server):
        error = refusal(parse, odd)
        assert error is None or len(str(error)) < 600


@dataclass
class Line:
    """A stream that is opened anew, of a new session, when a message has ended it in order."""

    client: Client
    session: dict[str, Any] | None = None
    socket: aiohttp.ClientWebSocketResponse | None = None
    pings: int = 0

    async def open(self) -> aiohttp.ClientWebSocketResponse:
        if self.socket is None or self.socket.closed:
            if self.session is not None:
                await ask(self.client, "DELETE", self.session["urls"]["session"], self.session["token"])
            self.session = await self.client.create(source="portrait", speech="stream")
            url = self.client.url + self.session["urls"]["stream"]
            protocols = ("mytalk.v1", f"mytalk.token.{self.session['token']}")
            self.socket = await self.client.http.ws_connect(url, protocols=protocols)
        return self.socket

    async def send(self, messages: list[str | bytes]) -> None:
        """Sends them and waits until the server has answered what came after them, or has ended the stream in order."""
        socket = await self.open()
        self.pings += 1
        with suppress(ConnectionError):  # a message ended it while others were still sent: its close code tells
            for data in messages:
                await (socket.send_str(data) if isinstance(data, str) else socket.send_bytes(data))
            await socket.send_json({"type": "ping", "data": str(self.pings)})
        while (message := await socket.receive(timeout=LIMIT_S)).type in (
            aiohttp.WSMsgType.TEXT,
            aiohttp.WSMsgType.BINARY,
        ):
            if message.type is aiohttp.WSMsgType.TEXT and message.json() == {"type": "pong", "data": str(self.pings)}:
                return
        assert socket.close_code in (1000, 1003, 1007, 1008, 1009), (socket.close_code, messages)


@pytest.fixture
async def line(client: Client) -> AsyncIterator[Line]:
    line = Line(client)
    yield line
    socket = await line.open()
    await socket.close()


@examples(150)
@given(messages=st.lists(anything | st.sampled_from([json.dumps(one) for one in CLIENTS]), max_size=40))
async def test_a_stream_answers_damaged_messages_and_works_on(
    line: Line, caplog: pytest.LogCaptureFixture, messages: list[str | bytes]
) -> None:
    sendable = [one if isinstance(one, bytes) else one.encode("utf-8", "replace").decode() for one in messages]
    with nothing_went_wrong(caplog):
        await line.send(sendable)


async def test_an_interruption_after_the_end_is_refused(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    with nothing_went_wrong(caplog):
        await line.send(['{"type": "session.end"}', *['{"type": "speech.clear"}'] * 20])
