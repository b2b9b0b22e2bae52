"""Answers an offer, takes candidates and ICE restarts, and bounds what the peer of a WebRTC connection sends."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender
from aiortc import RTCSessionDescription as Description
from aiortc.exceptions import InvalidAccessError, InvalidStateError, OperationError

from streamer.config.ice_servers import IceServer
from streamer.errors import NoUsableTrackError, QuotaError, RequestError, UnknownSessionError, UnprocessableError
from streamer.webrtc.aiortc_internals import ice_restart
from streamer.webrtc.aiortc_internals.datagrams import DatagramGuard
from streamer.webrtc.aiortc_internals.dtls import accept_rsa
from streamer.webrtc.aiortc_internals.ice import limit_gathering, remote_username
from streamer.webrtc.aiortc_internals.payloads import set_payload_types
from streamer.webrtc.aiortc_internals.receiver import InboundTrack
from streamer.webrtc.aiortc_internals.shutdown import abort, release
from streamer.webrtc.aiortc_internals.sources import SourceGuard
from streamer.webrtc.rate_limit import RateLimit
from streamer.webrtc.refusals import Refusals
from streamer.webrtc.sdp_fragment import MAX_CANDIDATES, Fragment, write_fragment
from streamer.webrtc.sdp_offer import Offer

log = logging.getLogger(__name__)

GATHER_TIMEOUT = 2
"""Seconds in which STUN and TURN servers have to answer. aioice waits 5, and everybody who joins waits with it."""

CLOSE_TIMEOUT = 3.0
"""Seconds that a connection may take to say goodbye and close before its sockets are closed without. Its decoders then
have as long to end the picture that they are at."""

RESTART_PAUSE, RESTARTS_AT_ONCE = 2, 3
"""Seconds between two ICE restarts of a connection, after the first three: each sends checks to new addresses."""

_REFUSALS = (
    InvalidAccessError,
    InvalidStateError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
"""Types that aiortc 1.16.0 raises over offers that its parser took."""


class Connection:
    """Holds the server's end of one connection. ``connected`` and ``gone`` are set once each, whoever caused it.

    This class receives (WHIP); subclasses add what they send. ``etag`` names the ICE session (RFC 9725, 4.3.1).
    """

    def __init__(self, ice_servers: Sequence[IceServer] = ()) -> None:
        self.id = secrets.token_urlsafe(16)
        self.etag = _new_etag()
        self.connected = asyncio.Event()
        self.gone = asyncio.Event()
        self.sound_in: InboundTrack | None = None
        self.pictures_in: InboundTrack | None = None
        self.carried = (0, 0)  # bytes received and sent, when datagrams were counted last
        self._received = 0  # datagrams, when they were counted last
        self._answering = self._released = False
        self._candidates = 0  # that the peer named so far
        self.refusals = Refusals()
        self._restart: asyncio.Task[bool] | None = None
        self._guards: list[DatagramGuard] = []
        self._source_guards: list[SourceGuard] = []
        self._restart_limit = RateLimit(1 / RESTART_PAUSE, RESTARTS_AT_ONCE)
        # With no ICE server named, aiortc would ask a public one and wait 5 s where it does not answer.
        servers = [server.to_rtc() for server in ice_servers]
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._connection.on("connectionstatechange", self._on_state)

    async def answer(self, offer: Offer) -> str:
        """Takes the peer's offer and returns the SDP answer, candidates included.

        Raises ``NoUsableTrackError`` where no codec is common, ``RequestError`` where aiortc refuses the offer, and
        ``UnknownSessionError`` where the session closed the connection meanwhile.
        """
        connection = self._connection
        self._answering = True
        self._add_media(offer)
        for transceiver in connection.getTransceivers():
            if transceiver.kind == "audio":
                known = RTCRtpSender.getCapabilities("audio").codecs
                transceiver.setCodecPreferences([codec for codec in known if codec.mimeType == "audio/opus"])
        with self._blaming_the_offer(offer):
            await connection.setRemoteDescription(Description(sdp=offer.sdp, type="offer"))
        for transceiver in connection.getTransceivers():
            set_payload_types(transceiver, offer.payload_types)
        self._bind_tracks(layered=bool(offer.layers.names))
        for transport in self._transports:
            limit_gathering(transport, GATHER_TIMEOUT)
            self._guards.append(DatagramGuard(transport, self.refusals))
        for dtls in {transceiver.receiver.transport for transceiver in connection.getTransceivers()}:
            accept_rsa(dtls)
            self._source_guards.append(SourceGuard(dtls, self.refusals))
        with self._blaming_the_offer(offer):
            await connection.setLocalDescription(await connection.createAnswer())
        self._candidates = offer.candidates
        self._answering = False
        self._negotiated()
        return offer.complete(connection.localDescription.sdp)

    async def trickle(self, fragment: Fragment) -> None:
        """Takes candidates that came after the offer. Raises ``RequestError`` for too many, ``UnprocessableError`` for
        those of another ICE session, ``UnknownSessionError`` where the connection has ended."""
        self._check_lasts()
        if fragment.username not in (None, self.remote_username):
            raise UnprocessableError("the fragment's ice-ufrag is not this ICE session's (to restart: If-Match: *)")
        self._candidates += len(fragment.candidates)
        if self._candidates > MAX_CANDIDATES:
            raise RequestError(f"the peer named more than {MAX_CANDIDATES} candidates (send fewer)")
        mids = [transceiver.mid for transceiver in self._connection.getTransceivers()]
        for candidate in fragment.candidates:
            if candidate.sdpMid not in mids or len(self._transports) == 1:
                candidate.sdpMid, candidate.sdpMLineIndex = mids[0], None  # of a bundle, the first names them all
            await self._connection.addIceCandidate(candidate)
        if fragment.complete:
            await self._connection.addIceCandidate(None)

    async def restart_ice(self, fragment: Fragment) -> str:
        """Takes new credentials and returns the answer's fragment. ``etag`` is another one from here on.

        Raises ``UnprocessableError`` for an offer that was not bundled, ``QuotaError`` for too many restarts, and
        ``UnknownSessionError`` where the connection has ended.
        """
        self._check_lasts()
        assert fragment.username is not None
        assert fragment.password is not None
        if len(self._transports) != 1:
            raise UnprocessableError("the media are not bundled: ICE cannot be restarted (make another connection)")
        if not self._restart_limit.take(1, time.monotonic()):
            raise QuotaError(f"ICE was restarted within {RESTART_PAUSE} s (wait as long)", RESTART_PAUSE)
        if self._restart is not None:
            self._restart.cancel()
        [transport] = self._transports
        ice_restart.renew(transport, fragment.username, fragment.password)
        self.etag = _new_etag()
        self._candidates = 0
        await self.trickle(fragment)
        self._restart = asyncio.create_task(ice_restart.agree(transport), name="ICE restart")
        local = transport.iceGatherer.getLocalParameters()
        mid = self._connection.getTransceivers()[0].mid or "0"
        candidates = transport.iceGatherer.getLocalCandidates()
        return write_fragment(local.usernameFragment, local.password, mid, candidates)

    @property
    def remote_username(self) -> str | None:
        """The peer's present ICE username fragment."""
        offered = self._connection.remoteDescription
        started = next((remote_username(transport) for transport in self._transports), None)
        return started or (_username_in(offered.sdp) if offered is not None else None)

    def expects_packets(self) -> bool:
        """Whether the peer has had something to send, or to report on, since the last call."""
        return True

    async def datagrams(self) -> int:
        """Counts the datagrams received so far on all transports, and the bytes in ``carried``; as before, where it has
        closed."""
        if self._released:
            return self._received
        report = await self._connection.getStats()
        transports = [stat for stat in report.values() if stat.type == "transport"]
        self.carried = (sum(one.bytesReceived for one in transports), sum(one.bytesSent for one in transports))
        self._received = sum(one.packetsReceived for one in transports)
        return self._received

    async def close(self) -> None:
        """Frees sockets, threads and tasks, whatever happens, within twice ``CLOSE_TIMEOUT``."""
        self.gone.set()
        closed = False
        if self._restart is not None:
            self._restart.cancel()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._stop_connecting()
                await self._connection.close()
            closed = True
        except TimeoutError:
            log.error("a connection did not close within %s s: its sockets are closed without a goodbye", CLOSE_TIMEOUT)
        except Exception:
            log.exception("a connection did not close: its sockets are closed without a goodbye")
        finally:
            if self._connection.connectionState != "closed":
                abort(self._connection)
        tracks = [track for track in (self.sound_in, self.pictures_in) if track is not None]
        if not all(await asyncio.gather(*(track.ended(CLOSE_TIMEOUT) for track in tracks))):
            log.error("a decoder did not end within %s s", CLOSE_TIMEOUT)
        if closed and not self._answering and not self._released:
            self._release()

    async def _stop_connecting(self) -> None:
        connecting = {task for guard in self._guards for task in guard.connecting}
        for task in connecting:
            task.cancel()
        if connecting:
            await asyncio.wait(connecting)

    def _release(self) -> None:
        """Frees what is left of a connection that has closed, without the collector of garbage."""
        self._released = True
        for guard in self._guards:
            guard.release()
        for source_guard in self._source_guards:
            source_guard.release()
        release(self._connection)

    def _add_media(self, offer: Offer) -> None:
        """Adds what this end sends and receives, before the offer is taken."""
        if offer.has_audio:
            self._connection.addTransceiver("audio", direction="recvonly")
        if offer.has_video:
            self._connection.addTransceiver("video", direction="recvonly")

    def _negotiated(self) -> None:
        """Prepares what this end sends, after the answer is made and before media flows."""

    @property
    def _transports(self) -> set[Any]:
        """The ICE transports: one, where the media are bundled."""
        return {transceiver.receiver.transport.transport for transceiver in self._connection.getTransceivers()}

    def _on_state(self) -> None:
        state = self._connection.connectionState
        if state == "connected":
            self.connected.set()
        elif state in ("failed", "closed"):
            self.gone.set()

    @contextmanager
    def _blaming_the_offer(self, offer: Offer) -> Iterator[None]:
        """Turns what aiortc raises over an offer into the client's error. Nothing of ours may run inside."""
        try:
            yield
        except (OperationError, *_REFUSALS) as error:
            self._check_open(error)
            if isinstance(error, OperationError):
                needed = "Opus, and VP8 or 8-bit H264 of Baseline, Main or High profile: in OBS, choose x264 as encoder"
                raise NoUsableTrackError(
                    f"no codec in common: the offer has {offer.formats} (need {needed})"
                ) from error
            raise RequestError(f"the offer cannot be answered: {str(error) or type(error).__name__}") from error
        self._check_open()

    def _check_open(self, cause: Exception | None = None) -> None:
        if self.gone.is_set():
            abort(self._connection)  # sockets that were opened after it was closed
            raise UnknownSessionError("the session ended while the offer was answered (make another)") from cause

    def _check_lasts(self) -> None:
        if self.gone.is_set():
            raise UnknownSessionError("the connection has ended (make another)")

    def _bind_tracks(self, *, layered: bool) -> None:
        """Bounds the tracks that the offer sends, before their first packet."""
        for transceiver in self._connection.getTransceivers():
            if transceiver.receiver.track is None:
                continue
            if transceiver.kind == "audio":
                self.sound_in = InboundTrack(transceiver.receiver)
            else:
                self.pictures_in = InboundTrack(transceiver.receiver, layered=layered)


def _new_etag() -> str:
    return f'"{secrets.token_hex(6)}"'


def _username_in(sdp: str) -> str | None:
    found = re.search(r"^a=ice-ufrag:(\S+)", sdp, re.MULTILINE)
    return found[1] if found else None
