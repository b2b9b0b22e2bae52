"""Bounds the RTP sources and the RTCP of one DTLS transport of aiortc 1.16.0.

aiortc keeps state for every SSRC that it has seen, and reports on all of them in one packet: 256 of them end the task
that reports, and its ``close`` waits for that task without end. It also parses as much RTCP as it is sent.
"""

from __future__ import annotations

import time
from typing import Any

from aiortc.rtcdtlstransport import RTCDtlsTransport, RtpReceiver
from aiortc.rtp import RtpPacket

from streamer.webrtc.rate_limit import RateLimit
from streamer.webrtc.refusals import Refusals

MOST_SOURCES = 16
"""SSRCs of one transport, retransmissions included; a report holds 31 (RFC 3550, 6.4.2). Full: the one that was silent
longest is forgotten after ``SOURCE_SILENCE``; before that, the new one is not taken."""

SOURCE_SILENCE = 2.0
"""Seconds."""

RTCP_RATE, RTCP_BURST = 32 * 1024, 64 * 1024
"""Bytes a second of RTCP that are read, a hundredth of a busy core; a viewer that loses much sends 5 kB."""

_TABLES = ("active_ssrc", "remote_streams", "lsr", "lsr_time")


class SourceGuard:
    """Guards one transport. Make it before the first packet comes."""

    def __init__(self, transport: RTCDtlsTransport, refusals: Refusals) -> None:
        replaced: Any = transport
        self._transport = replaced
        self._router = replaced._rtp_router
        self._refusals = refusals
        self._rtcp = RateLimit(RTCP_RATE, RTCP_BURST)
        self._seen: dict[int, float] = {}  # SSRC -> when its last packet came (s), the longest silent first
        self._route, self._handle_rtcp = self._router.route_rtp, replaced._handle_rtcp_data
        self._router.route_rtp = self._on_rtp
        replaced._handle_rtcp_data = self._on_rtcp

    def release(self) -> None:
        """Leaves a transport that has closed, so that nothing refers to it in circles."""
        vars(self._router).pop("route_rtp", None)
        vars(self._transport).pop("_handle_rtcp_data", None)

    def _on_rtp(self, packet: RtpPacket) -> RtpReceiver | None:
        now = time.monotonic()
        if self._seen.pop(packet.ssrc, None) is None and len(self._seen) >= MOST_SOURCES:
            silent = next(iter(self._seen))
            if now - self._seen[silent] < SOURCE_SILENCE:
                self._refusals.add("source")
                return None
            self._forget(silent)
        self._seen[packet.ssrc] = now
        receiver: RtpReceiver | None = self._route(packet)
        return receiver

    async def _on_rtcp(self, data: bytes) -> None:
        if self._rtcp.take(len(data), time.monotonic()):
            await self._handle_rtcp(data)
        else:
            self._refusals.add("rtcp")

    def _forget(self, ssrc: int) -> None:
        del self._seen[ssrc]
        self._router.ssrc_table.pop(ssrc, None)
        for receiver in self._router.receivers:
            for table in _TABLES:
                getattr(receiver, f"_RTCRtpReceiver__{table}").pop(ssrc, None)
            estimator = receiver._RTCRtpReceiver__remote_bitrate_estimator
            if estimator is not None:
                estimator.ssrcs.pop(ssrc, None)
