"""One WebRTC connection: what the peer sends comes in bounded and aligned, what the pacer releases goes out."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
from aiortc import MediaStreamTrack, RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCRtpSender
from aiortc import RTCSessionDescription as Description
from aiortc.exceptions import OperationError
from aiortc.mediastreams import MediaStreamError

from mytalk.picture import VideoFrame
from streamer import encoders
from streamer.errors import NoUsableTrackError, RequestError
from streamer.offer import Offer
from streamer.receive import Inbound
from streamer.speech import SpeechChunk
from streamer.timeline import timestamp

log = logging.getLogger(__name__)

VIDEO_RATE = 90_000
"""Units a second of a video track's timestamps (RFC 3551)."""

CLOSE_TIMEOUT = 3.0
"""Seconds that a connection may take to close before it is left to itself."""

_SOUND_BOUND = 50  # chunks: 1 s. Full (the sender is stuck): the oldest is dropped and counted.
_PICTURE_BOUND = 4  # pictures. Full (encoding takes longer than a frame): the oldest is dropped and counted.


class OutboundTrack(MediaStreamTrack):
    """What the pacer releases, as aiortc wants to be given it: one ``recv()`` a frame."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.dropped = 0
        self._bound = _SOUND_BOUND if kind == "audio" else _PICTURE_BOUND
        self._items: deque[SpeechChunk | VideoFrame] = deque()
        self._filled = asyncio.Event()

    def push(self, item: SpeechChunk | VideoFrame) -> None:
        """Sends ``item`` now; timestamps follow its media time."""
        self._items.append(item)
        if len(self._items) > self._bound:
            self._items.popleft()
            self.dropped += 1
        self._filled.set()

    def clear(self) -> None:
        """Barge-in: silence for the sounds that wait, and none of the pictures."""
        self._items = deque(item.silenced() for item in self._items if isinstance(item, SpeechChunk))

    async def recv(self) -> av.AudioFrame | av.VideoFrame | av.Packet[Any]:
        while not self._items:
            if self.readyState != "live":
                raise MediaStreamError
            self._filled.clear()
            await self._filled.wait()
        item = self._items.popleft()
        if isinstance(item, SpeechChunk):
            return item.to_av()
        frame = item.picture.to_av()
        frame.pts = timestamp(item, VIDEO_RATE)
        frame.time_base = Fraction(1, VIDEO_RATE)
        return frame

    def stop(self) -> None:
        super().stop()
        self._filled.set()


class Peer:
    """The server's end of one connection. ``connected`` and ``gone`` are set once each, whoever caused it."""

    def __init__(self, ice_servers: Sequence[str] = ()) -> None:
        self.connected = asyncio.Event()
        self.gone = asyncio.Event()
        self.sound_in: Inbound | None = None
        self.pictures_in: Inbound | None = None
        self.sound_out = OutboundTrack("audio")
        self.pictures_out = OutboundTrack("video")
        self._faults: list[encoders.Faults] = []
        # With no ICE server named, aiortc would ask a public one and wait 5 s where it does not answer.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[RTCIceServer(url) for url in ice_servers]))
        self._connection.on("connectionstatechange", self._on_state)
        self._connection.on("track", self._on_track)

    async def answer(self, offer: Offer) -> str:
        """Takes the peer's offer and returns the SDP answer, candidates included.

        Raises ``NoUsableTrackError`` where no codec is common, ``RequestError`` where aiortc refuses the offer.
        """
        connection = self._connection
        connection.addTrack(self.sound_out)
        if offer.takes_video or offer.sends_video:
            connection.addTrack(self.pictures_out)
        for transceiver in connection.getTransceivers():
            if transceiver.kind == "audio":
                known = RTCRtpSender.getCapabilities("audio").codecs
                transceiver.setCodecPreferences([codec for codec in known if codec.mimeType == "audio/opus"])
        try:
            await connection.setRemoteDescription(Description(sdp=offer.sdp, type="offer"))
            await connection.setLocalDescription(await connection.createAnswer())
        except OperationError as error:
            raise NoUsableTrackError("the offer has no codec in common (need Opus, and VP8 or H264)") from error
        except (
            Exception
        ) as error:  # aiortc trips over an offer in whatever way; the server's own faults are not in here
            raise RequestError(f"the offer cannot be answered: {str(error) or type(error).__name__}") from error
        for transceiver in connection.getTransceivers():
            if transceiver._codecs:
                faults = encoders.install(transceiver.sender, transceiver._codecs[0])
                self._faults += [faults] if faults is not None else []
        return connection.localDescription.sdp

    @property
    def encoder_faults(self) -> tuple[int, int]:
        """Frames that could not be encoded, and how many in a row of late."""
        return sum(one.count for one in self._faults), max((one.in_a_row for one in self._faults), default=0)

    def clear(self) -> None:
        """Barge-in: nothing that waits to be encoded leaves."""
        self.sound_out.clear()
        self.pictures_out.clear()

    async def datagrams(self) -> int:
        """Datagrams received so far on all transports."""
        report = await self._connection.getStats()
        return sum(stat.packetsReceived for stat in report.values() if stat.type == "transport")

    async def close(self) -> None:
        """Frees sockets, threads and tasks."""
        self.gone.set()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._connection.close()
        except TimeoutError:
            log.error("a connection did not close within %s s", CLOSE_TIMEOUT)
        except Exception:
            log.exception("a connection did not close")
        self.sound_out.stop()
        self.pictures_out.stop()

    def _on_state(self) -> None:
        state = self._connection.connectionState
        if state == "connected":
            self.connected.set()
        elif state in ("failed", "closed"):
            self.gone.set()

    def _on_track(self, track: MediaStreamTrack) -> None:
        receiver = next(t.receiver for t in self._connection.getTransceivers() if t.receiver.track is track)
        if track.kind == "audio":
            self.sound_in = Inbound(receiver)
        else:
            self.pictures_in = Inbound(receiver)
