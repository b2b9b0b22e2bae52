"""Sends what is already encoded on an aiortc 1.16.0 sender: cut into RTP payloads once, for any number of viewers.

aiortc's own loop takes about 100 us a packet and keeps whole packets for retransmission; this one adds a header to
bytes that all viewers share. ``tests/streamer/webrtc/aiortc_internals/test_sender.py`` fails when another aiortc moves
the names that are replaced here, each on the one sender it is given.
"""

from __future__ import annotations

import asyncio
import random
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from aiortc import RTCRtpSender, RTCRtpTransceiver
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpHeaderExtensionParameters
from aiortc.rtp import RTCP_RTPFB_NACK, AnyRtcpPacket, RtcpRrPacket, RtcpRtpfbPacket, RtcpSrPacket

from streamer.webrtc.encoded import Encoded
from streamer.webrtc.retransmissions import Retransmissions

_PREFIX = "_RTCRtpSender__"
_WAITING_BOUND = 64  # frames. Full (the loop stands still): all are dropped, and a picture stream waits for a keyframe.
_BURST = 8  # packets after which others get their turn: a keyframe to 50 viewers is some thousand packets
_ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
_MID = "urn:ietf:params:rtp-hdrext:sdes:mid"


def negotiated_codec(transceiver: RTCRtpTransceiver) -> str | None:
    """Returns the codec that the answer chose, as in ``rtpmap`` in small letters; None where there is none."""
    return transceiver._codecs[0].name.lower() if transceiver._codecs else None


class EncodedSender:
    """Sends one RTP stream to one viewer. Make it when the answer is made and before media flows.

    ``ready`` is called when the viewer is connected and takes packets; ``report`` with the share of packets lost
    (0..1) of each receiver report, ``estimate`` with the bits a second that it says it can take (REMB), ``refresh``
    when it asks for a keyframe (PLI or FIR).
    """

    def __init__(self, sender: RTCRtpSender, mid: str, extensions: Sequence[RTCRtpHeaderExtensionParameters]) -> None:
        self.packets = 0
        self.bytes = 0
        self.retransmitted = 0
        self.ready: Callable[[], None] = _nothing
        self.refresh: Callable[[], None] = _nothing
        self.report: Callable[[float], None] = _nothing
        self.estimate: Callable[[int], None] = _nothing
        self._sender = sender
        self._waiting: deque[Encoded] = deque()
        self._filled = asyncio.Event()
        self._needs_key = True
        self._kept = Retransmissions()
        ids = {extension.uri: extension.id for extension in extensions if extension.id <= 14}
        self._mid = _element(ids[_MID], mid.encode()) if _MID in ids and 0 < len(mid) <= 16 else b""
        self._send_time_id = ids.get(_ABS_SEND_TIME, 0)
        self._handle_rtcp = sender._handle_rtcp_packet
        self._replace("_run_rtp", self._run)
        self._replace("_handle_rtcp_packet", self._on_rtcp)
        self._replace("_send_keyframe", lambda: self.refresh())  # ``refresh`` is set later
        self._set("encoder", _EstimateReader(self))

    @classmethod
    def of(cls, transceiver: RTCRtpTransceiver) -> EncodedSender:
        """Makes the sender of a negotiated transceiver."""
        return cls(transceiver.sender, transceiver.mid or "", transceiver._headerExtensions)

    def send(self, encoded: Encoded) -> None:
        """Queues a frame for the stream's own task. What cannot be decoded any more is left out."""
        if len(self._waiting) >= _WAITING_BOUND:
            self._waiting.clear()
            self._needs_key = True
            self.refresh()
        if self._needs_key and not encoded.key:
            return
        self._needs_key = False
        self._waiting.append(encoded)
        self._filled.set()

    def release(self) -> None:
        """Leaves a sender that has stopped, and whoever set callbacks; its counts stay."""
        self.ready = self.refresh = self.report = self.estimate = _nothing
        self._waiting.clear()
        self._kept = Retransmissions()

    async def _run(self, codec: RTCRtpCodecParameters) -> None:
        """Runs in the place of aiortc's loop; keeps the figures that its sender reports are made from."""
        self._private("rtp_started").set()
        number = random.randrange(1 << 15)  # the upper half could wrap within SRTP's first window
        origin = random.randrange(1 << 32)
        payload_type = codec.payloadType
        assert payload_type is not None
        self.ready()
        try:
            while True:
                while not self._waiting:
                    self._filled.clear()
                    await self._filled.wait()
                number = await self._send(payload_type, self._waiting.popleft(), number, origin)
        except ConnectionError:
            pass  # the viewer has gone
        finally:
            self._private("rtp_exited").set()

    async def _send(self, payload_type: int, encoded: Encoded, number: int, origin: int) -> int:
        timestamp = (origin + encoded.timestamp) & 0xFFFFFFFF
        extension = self._extension(encoded.ntp)
        first_byte = 0x90 if extension else 0x80
        ssrc, last = self._sender._ssrc, len(encoded.payloads) - 1
        for index, payload in enumerate(encoded.payloads):
            marked = payload_type | (0x80 if index == last else 0)
            header = struct.pack("!BBHLL", first_byte, marked, number, timestamp, ssrc) + extension
            self._kept.keep(number, header, payload)
            await self._sender.transport._send_rtp(header + payload)
            number = (number + 1) & 0xFFFF
            if index % _BURST == _BURST - 1:
                await asyncio.sleep(0)
        size = sum(map(len, encoded.payloads))
        self.packets += len(encoded.payloads)
        self.bytes += size
        self._set("ntp_timestamp", encoded.ntp)
        self._set("rtp_timestamp", timestamp)
        self._set("packet_count", self.packets)
        self._set("octet_count", self.bytes)
        return number

    def _extension(self, ntp: int) -> bytes:
        elements = self._mid
        if self._send_time_id:
            elements += _element(self._send_time_id, (ntp >> 14 & 0xFFFFFF).to_bytes(3, "big"))
        if not elements:
            return b""
        padded = elements + bytes(-len(elements) % 4)
        return struct.pack("!HH", 0xBEDE, len(padded) // 4) + padded  # RFC 8285, 4.2

    async def _on_rtcp(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            await self._send_again(packet.lost)
            return
        if isinstance(packet, (RtcpRrPacket, RtcpSrPacket)):
            for report in packet.reports:
                if report.ssrc == self._sender._ssrc:
                    self.report(report.fraction_lost / 256)
        await self._handle_rtcp(packet)

    async def _send_again(self, lost: list[int]) -> None:
        """Sends packets again: by RFC 4588 where the viewer knows it, and as they were where it does not."""
        rtx, round_trip = self._private("rtx_payload_type"), self._private("rtt")
        for index, (number, header, payload) in enumerate(self._kept.due(lost, time.monotonic(), round_trip)):
            if rtx is not None:
                again = self._private("rtx_sequence_number")
                self._set("rtx_sequence_number", (again + 1) & 0xFFFF)
                marked = rtx | header[1] & 0x80
                fixed = struct.pack("!BBH4sL", header[0], marked, again, header[4:8], self._sender._rtx_ssrc)
                header, payload = fixed + header[12:], struct.pack("!H", number) + payload
            self.retransmitted += 1
            await self._sender.transport._send_rtp(header + payload)
            if index % _BURST == _BURST - 1:
                await asyncio.sleep(0)

    def _private(self, name: str) -> Any:
        return getattr(self._sender, _PREFIX + name)

    def _set(self, name: str, value: object) -> None:
        self._replace(_PREFIX + name, value)

    def _replace(self, name: str, value: object) -> None:
        if not hasattr(self._sender, name):
            raise AttributeError(f"aiortc's sender has no {name} any more (need aiortc 1.16.0)")
        setattr(self._sender, name, value)


class _EstimateReader:
    """Stands where aiortc has its encoder: aiortc sets an encoder's target to what the viewer estimates."""

    def __init__(self, sender: EncodedSender) -> None:
        self._sender = sender

    @property
    def target_bitrate(self) -> int:
        """Zero, which nothing reads: aiortc asks only whether there is such a name."""
        return 0

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        self._sender.estimate(bitrate)


def _element(number: int, data: bytes) -> bytes:
    return bytes([number << 4 | len(data) - 1]) + data


def _nothing(*_: object) -> None:
    """Does nothing: the callback was not set."""
