"""A room without a server: participants in one process, with the framework's own tracks, streams and calls.

What LiveKit's server does for two participants is done here by hand; sources, tracks and the classes of the framework
that talk over the room are the real ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from livekit import rtc


class Hub:
    """Holds the participants of one room, by identity."""

    def __init__(self) -> None:
        self.rooms: dict[str, LocalRoom] = {}

    def room(self, identity: str, kind: int) -> LocalRoom:
        return LocalRoom(self, identity, kind)


@dataclass
class Publication:
    """Holds a published track and its options."""

    track: Any
    options: rtc.TrackPublishOptions

    @property
    def kind(self) -> int:
        return int(self.track.kind)

    async def wait_for_subscription(self) -> None:
        return


@dataclass
class Reader:
    """A byte stream on its way."""

    info: SimpleNamespace
    pieces: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await self.pieces.get()
        if piece is None:
            raise StopAsyncIteration
        return piece


class Writer:
    """The other end of a :class:`Reader`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def write(self, data: bytes) -> None:
        self._reader.pieces.put_nowait(data)

    async def aclose(self) -> None:
        self._reader.pieces.put_nowait(None)


class Participant:
    """A participant, as itself and as others see it."""

    def __init__(self, hub: Hub, identity: str, kind: int) -> None:
        self._hub = hub
        self.identity, self.kind = identity, kind
        self.state = rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE
        self.attributes: dict[str, str] = {}
        self.track_publications: dict[str, Publication] = {}
        self._rpc_handlers: dict[str, Callable[[rtc.RpcInvocationData], Any]] = {}

    async def publish_track(self, track: Any, options: rtc.TrackPublishOptions) -> Publication:
        publication = self.track_publications[track.name] = Publication(track, options)
        for identity, room in self._hub.rooms.items():
            if identity != self.identity:
                room.emit("track_published", publication, self)
        return publication

    def register_rpc_method(self, method: str, handler: Callable[[rtc.RpcInvocationData], Any]) -> None:
        self._rpc_handlers[method] = handler

    async def perform_rpc(self, *, destination_identity: str, method: str, payload: str) -> str:
        await asyncio.sleep(0)
        handler = self._hub.rooms[destination_identity].local_participant._rpc_handlers.get(method)
        if handler is None:
            raise rtc.RpcError._built_in(rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD)
        return str(handler(rtc.RpcInvocationData("1", self.identity, payload, 5.0)))

    async def stream_bytes(
        self, name: str, *, topic: str, destination_identities: list[str], attributes: dict[str, str]
    ) -> Writer:
        reader = Reader(SimpleNamespace(attributes=attributes, stream_id=name))
        [identity] = destination_identities
        self._hub.rooms[identity].handlers[topic](reader, self.identity)
        return Writer(reader)


class LocalRoom(rtc.EventEmitter[Any]):
    """Stands where ``rtc.Room`` stands, for one participant."""

    name = "a room"

    def __init__(self, hub: Hub, identity: str, kind: int) -> None:
        super().__init__()
        self._hub = hub
        self.local_participant = Participant(hub, identity, kind)
        self.handlers: dict[str, Callable[[Reader, str], None]] = {}

    def isconnected(self) -> bool:
        return self.local_participant.identity in self._hub.rooms

    @property
    def connection_state(self) -> int:
        return rtc.ConnectionState.CONN_CONNECTED if self.isconnected() else rtc.ConnectionState.CONN_DISCONNECTED

    @property
    def remote_participants(self) -> dict[str, Participant]:
        me = self.local_participant.identity
        return {identity: room.local_participant for identity, room in self._hub.rooms.items() if identity != me}

    async def connect(self, url: str, token: str, options: rtc.RoomOptions | None = None) -> None:
        others = list(self._hub.rooms.values())
        self._hub.rooms[self.local_participant.identity] = self
        self.emit("connection_state_changed", rtc.ConnectionState.CONN_CONNECTED)
        for room in others:
            room.emit("participant_connected", self.local_participant)
            room.emit("participant_active", self.local_participant)

    async def disconnect(self) -> None:
        if self._hub.rooms.pop(self.local_participant.identity, None) is None:
            return
        for room in list(self._hub.rooms.values()):
            room.emit("participant_disconnected", self.local_participant)

    def register_byte_stream_handler(self, topic: str, handler: Callable[[Reader, str], None]) -> None:
        self.handlers[topic] = handler
