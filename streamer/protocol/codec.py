"""Translates messages of the WebSocket protocol ``mytalk.v1`` to and from text and bytes. Sans-IO.

PROTOCOL.md is its page for people. Text is JSON, one object with a ``type`` (:mod:`streamer.protocol.messages`);
binary is :mod:`streamer.protocol.packets`. Whatever arrives, parsing gives a message or raises ``ProtocolError``, and
nothing else.
"""

from __future__ import annotations

from typing import Any

import msgspec

from streamer.errors import MismatchError, PacketError, ProtocolError
from streamer.protocol.messages import CLIENT, MESSAGE_BYTES, SERVER, ClientMessage, Error, ServerMessage
from streamer.protocol.packets import SPEECH_KINDS, Packet
from streamer.validation import checked

SUBPROTOCOL = "mytalk.v1"

TOKEN_PREFIX = "mytalk.token."
"""A browser cannot set headers: it offers this and its token as a second subprotocol, which is never chosen."""


def parse_client(data: str | bytes) -> ClientMessage | Packet:
    """Reads what a client sent: text, or a binary message of speech. Raises ``ProtocolError``."""
    if isinstance(data, str):
        message: ClientMessage = _parse(data, CLIENT)
        return message
    packet = Packet.from_bytes(data)
    if packet.kind not in SPEECH_KINDS:
        raise PacketError(f"kind {packet.kind:d} is the server's to send (need 1 or 2)")
    return packet


def parse_server(data: str | bytes) -> ServerMessage | Packet:
    """Reads what a server sent. Raises ``ProtocolError``; of code ``unknown_type`` for a message to pass over."""
    if isinstance(data, str):
        message: ServerMessage = _parse(data, SERVER)
        return message
    packet = Packet.from_bytes(data)
    if packet.kind in SPEECH_KINDS:
        raise PacketError(f"kind {packet.kind:d} is a client's to send (need 16 to 21)")
    return packet


def to_text(message: ClientMessage | ServerMessage) -> str:
    """Writes a message as JSON without spaces; fields that are None are left out."""
    return msgspec.json.encode(message.to_json()).decode()


def error_message(error: ProtocolError) -> Error:
    """Returns the message that tells the other side of an error."""
    return Error(error.code, str(error), error.fatal, event_id=error.event_id)


def _parse(text: str, types: dict[str, type]) -> Any:
    if len(text) > MESSAGE_BYTES:
        raise ProtocolError("too_large", f"the message is over {MESSAGE_BYTES} bytes (send less at a time)")
    try:
        body = msgspec.json.decode(text)
    except msgspec.ValidationError as error:
        raise ProtocolError("bad_message", "the message holds too large a number (need what a double holds)") from error
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise ProtocolError("bad_json", f"the message is not JSON ({str(error)[:80]})") from error
    if not isinstance(body, dict):
        raise ProtocolError("bad_message", "the message is not a JSON object (need one with a type)")
    event_id = body.get("event_id")
    event_id = event_id if isinstance(event_id, str) and 0 < len(event_id) <= 64 else None
    name = body.get("type")
    kind = types.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ProtocolError("unknown_type", f"type {str(name)[:40]!r} is unknown (known: {', '.join(types)})", event_id)
    try:
        return checked(body, kind)
    except MismatchError as error:
        raise ProtocolError("bad_message", f"{name}: {error}", event_id) from error
