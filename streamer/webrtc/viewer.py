"""Sends a session to a viewer (WHEP): a connection that only sends, and sends what is encoded already."""

from __future__ import annotations

from collections.abc import Sequence

from aiortc import RTCRtpSender

from streamer.config.ice_servers import IceServer
from streamer.webrtc.aiortc_internals.receiver import receive_nothing
from streamer.webrtc.aiortc_internals.sender import EncodedSender, negotiated_codec
from streamer.webrtc.bitrate import ViewerBitrate
from streamer.webrtc.broadcast import Broadcast
from streamer.webrtc.connection import Connection
from streamer.webrtc.encoded import Encoded
from streamer.webrtc.sdp_offer import Offer
from streamer.webrtc.video_encoder import ENCODERS


class Viewer(Connection):
    """Joins ``broadcast`` when it is connected and leaves it when it is closed."""

    def __init__(self, broadcast: Broadcast, ice_servers: Sequence[IceServer] = ()) -> None:
        super().__init__(ice_servers)
        self.codec: str | None = None
        self._broadcast = broadcast
        self._bitrate = ViewerBitrate()
        self._sound_sender: EncodedSender | None = None
        self._picture_sender: EncodedSender | None = None
        self._joined = False
        self._packets_before = 0  # sent, when ``expects_packets`` was called last

    @property
    def rate(self) -> int:
        """Bits a second of video that this viewer can take."""
        return self._bitrate.value

    @property
    def packets(self) -> int:
        """RTP packets sent so far."""
        return sum(sender.packets for sender in (self._sound_sender, self._picture_sender) if sender is not None)

    def expects_packets(self) -> bool:
        """Whether packets were sent since the last call: a viewer that receives none sends no receiver reports."""
        before, self._packets_before = self._packets_before, self.packets
        return self._packets_before > before

    def sound(self, encoded: Encoded) -> None:
        """Sends 20 ms of speech."""
        if self._sound_sender is not None and not self.gone.is_set():
            self._sound_sender.send(encoded)

    def picture(self, encoded: Encoded) -> None:
        """Sends a picture."""
        if self._picture_sender is not None and not self.gone.is_set():
            self._picture_sender.send(encoded)
            self._bitrate.sent(len(encoded.data), encoded.timestamp)

    async def close(self) -> None:
        """Leaves the broadcast and frees sockets, threads and tasks."""
        self._broadcast.leave(self)
        await super().close()

    def _release(self) -> None:
        super()._release()
        for sender in (self._sound_sender, self._picture_sender):
            if sender is not None:
                sender.release()

    def _add_media(self, offer: Offer) -> None:
        """Chooses, of the codecs that the viewer knows, one that is being encoded already; else its first."""
        if offer.has_audio:
            self._connection.addTransceiver("audio", direction="sendonly")
        if offer.has_video:
            transceiver = self._connection.addTransceiver("video", direction="sendonly")
            receive_nothing(transceiver.receiver)
            ranking = [*self._broadcast.codecs, *offer.video_codecs]
            known = RTCRtpSender.getCapabilities("video").codecs
            usable = [codec for codec in known if codec.name.lower() in ranking]
            ranked = sorted(usable, key=lambda codec: ranking.index(codec.name.lower()))
            transceiver.setCodecPreferences([*ranked, *(codec for codec in known if codec.name.lower() == "rtx")])

    def _negotiated(self) -> None:
        for transceiver in self._connection.getTransceivers():
            codec = negotiated_codec(transceiver)
            if codec is None:
                continue
            sender = EncodedSender.of(transceiver)
            sender.ready = self._join
            if transceiver.kind == "audio":
                self._sound_sender = sender
                continue
            self._picture_sender = sender
            assert codec in ENCODERS
            self.codec = codec
            sender.refresh = lambda: self._broadcast.refresh(self)
            sender.report, sender.estimate = self._bitrate.report, self._bitrate.estimate

    def _join(self) -> None:
        """Joins the broadcast with the first of the two streams that is ready; the second asks for a keyframe."""
        if self._joined:
            self._broadcast.refresh(self)
        elif not self.gone.is_set():
            self._joined = True
            self._broadcast.join(self)
