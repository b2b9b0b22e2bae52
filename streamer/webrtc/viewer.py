"""A viewer of a session (WHEP): a connection that only sends, and sends what is encoded already."""

from __future__ import annotations

from collections.abc import Sequence

from aiortc import RTCRtpSender

from streamer.config.ice_servers import IceServer
from streamer.webrtc.aiortc_internals.sender import Encoded, EncodedSender
from streamer.webrtc.bitrate import ViewerBitrate
from streamer.webrtc.broadcast import Broadcast
from streamer.webrtc.connection import Connection
from streamer.webrtc.sdp_offer import Offer
from streamer.webrtc.video_encoder import ENCODERS


class Viewer(Connection):
    """Joins ``broadcast`` when it is connected and leaves it when it is closed."""

    def __init__(self, broadcast: Broadcast, ice_servers: Sequence[IceServer] = ()) -> None:
        super().__init__(ice_servers)
        self.codec: str | None = None
        self._broadcast = broadcast
        self._rate = ViewerBitrate()
        self._sounds: EncodedSender | None = None
        self._pictures: EncodedSender | None = None
        self._joined = False
        self._seen = 0  # packets, at the last look

    @property
    def rate(self) -> int:
        """Bits a second of video that it can take."""
        return self._rate.value

    @property
    def packets(self) -> int:
        """RTP packets sent so far."""
        return sum(forwarder.packets for forwarder in (self._sounds, self._pictures) if forwarder is not None)

    def owes(self) -> bool:
        """Who gets nothing has nothing to report on."""
        before, self._seen = self._seen, self.packets
        return self._seen > before

    def sound(self, encoded: Encoded) -> None:
        """Sends 20 ms of speech."""
        if self._sounds is not None and not self.gone.is_set():
            self._sounds.send(encoded)

    def picture(self, encoded: Encoded) -> None:
        """Sends a picture."""
        if self._pictures is not None and not self.gone.is_set():
            self._pictures.send(encoded)
            self._rate.sent(len(encoded.data), encoded.timestamp)

    async def close(self) -> None:
        self._broadcast.leave(self)
        await super().close()

    def _add_media(self, offer: Offer) -> None:
        """Of the codecs that the viewer knows, one that is being encoded already; else the one it likes best."""
        if offer.has_audio:
            self._connection.addTransceiver("audio", direction="sendonly")
        if offer.has_video:
            transceiver = self._connection.addTransceiver("video", direction="sendonly")
            ranking = [*self._broadcast.codecs, *offer.video_codecs]
            known = RTCRtpSender.getCapabilities("video").codecs
            usable = [codec for codec in known if codec.name.lower() in ranking]
            ranked = sorted(usable, key=lambda codec: ranking.index(codec.name.lower()))
            transceiver.setCodecPreferences([*ranked, *(codec for codec in known if codec.name.lower() == "rtx")])

    def _negotiated(self) -> None:
        for transceiver in self._connection.getTransceivers():
            if not transceiver._codecs:
                continue
            forwarder = EncodedSender(transceiver.sender, transceiver.mid or "", transceiver._headerExtensions)
            forwarder.ready = self._join
            if transceiver.kind == "audio":
                self._sounds = forwarder
                continue
            self._pictures = forwarder
            self.codec = transceiver._codecs[0].name.lower()
            assert self.codec in ENCODERS
            forwarder.refresh = lambda: self._broadcast.refresh(self)
            forwarder.report, forwarder.estimate = self._rate.report, self._rate.estimate

    def _join(self) -> None:
        """Called by each of the two streams."""
        if self._joined:
            self._broadcast.refresh(self)
        elif not self.gone.is_set():
            self._joined = True
            self._broadcast.join(self)
