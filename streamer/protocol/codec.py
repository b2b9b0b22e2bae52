"""The WebSocket protocol ``mytalk.v1``: messages to and from text and bytes. Sans-IO.

PROTOCOL.md is its page for people. Text is JSON, one object with a ``type`` (:mod:`streamer.protocol.messages`);
binary is :mod:`streamer.protocol.packets`.
Whatever arrives, parsing gives a message or raises :class:`ProtocolError`, and nothing else. What clients send is read
strictly (an unknown field was meant to do something); what servers send is read with unknown fields left out, so that
an older client understands a newer server.
"""

from __future__ import annotations

import json
from typing import Any

from streamer.protocol.messages import CLIENT, MESSAGE_BYTES, NAMES, SERVER, ClientMessage, Error, ServerMessage
from streamer.protocol.packets import SPEECH_KINDS, Packet, PacketError
from streamer.protocol.typed_json import MismatchError, read, write

SUBPROTOCOL = "mytalk.v1"

TOKEN_PREFIX = "mytalk.token."
"""A browser cannot set headers: it offers this and its token as a second subprotocol, which is never chosen."""


class ProtocolError(Exception):
    """A message that is none. ``code`` is for programs, the text for people; ``event_id`` names the message."""

    def __init__(self, code: str, message: str, event_id: str | None = None, fatal: bool = False) -> None:
        super().__init__(message)
        self.code, self.event_id, self.fatal = code, event_id, fatal

    def to_message(self) -> Error:
        """As the other side is told."""
        return Error(self.code, str(self), self.fatal, event_id=self.event_id)


def parse_client(data: str | bytes) -> ClientMessage | Packet:
    """What a client sent: text, or a binary message of speech. Raises ``ProtocolError``."""
    if isinstance(data, str):
        message: ClientMessage = _parse(data, CLIENT, strict=True)
        return message
    packet = _packet(data)
    if packet.kind not in SPEECH_KINDS:
        raise ProtocolError("bad_packet", f"kind {packet.kind:d} is the server's to send (need 1 or 2)")
    return packet


def parse_server(data: str | bytes) -> ServerMessage | Packet:
    """What a server sent. Raises ``ProtocolError``; of code ``unknown_type`` for a message to pass over."""
    if isinstance(data, str):
        message: ServerMessage = _parse(data, SERVER, strict=False)
        return message
    packet = _packet(data)
    if packet.kind in SPEECH_KINDS:
        raise ProtocolError("bad_packet", f"kind {packet.kind:d} is a client's to send (need 16 to 19)")
    return packet


def to_text(message: ClientMessage | ServerMessage) -> str:
    """As JSON without spaces; fields that say nothing (null) are left out."""
    return json.dumps({"type": NAMES[type(message)], **write(message)}, separators=(",", ":"), allow_nan=False)


def _packet(data: bytes) -> Packet:
    try:
        return Packet.from_bytes(data)
    except PacketError as error:
        raise ProtocolError("bad_packet", str(error)) from error


def _parse(text: str, types: dict[str, type], *, strict: bool) -> Any:
    if len(text) > MESSAGE_BYTES:
        raise ProtocolError("too_large", f"the message is over {MESSAGE_BYTES} bytes (send less at a time)")
    try:
        body = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("bad_json", f"the message is not JSON ({str(error)[:80]})") from error
    if not isinstance(body, dict):
        raise ProtocolError("bad_message", "the message is not a JSON object (need one with a type)")
    event_id = body.get("event_id")
    event_id = event_id if isinstance(event_id, str) and 0 < len(event_id) <= 64 else None
    name = body.pop("type", None)
    kind = types.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ProtocolError("unknown_type", f"type {str(name)[:40]!r} is unknown (known: {', '.join(types)})", event_id)
    try:
        return read(kind, body, strict=strict)
    except MismatchError as error:
        raise ProtocolError("bad_message", f"{name}: {error}", event_id) from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
