"""Connects the peer of a call, which sends camera and microphone and gets what a viewer gets."""

from __future__ import annotations

from streamer.webrtc.sdp_offer import Offer
from streamer.webrtc.viewer import Viewer


class Peer(Viewer):
    """Sends and receives on one connection. The dubbed media comes from the broadcast, in the codec that the peer's
    offer names first: the picture that the peer sends has the same one."""

    def expects_packets(self) -> bool:
        """Always: a peer sends its own media, or reports on what it receives."""
        return True

    def _add_media(self, offer: Offer) -> None:
        self._connection.addTransceiver("audio", direction="sendrecv")
        if offer.has_video:
            self._connection.addTransceiver("video", direction="sendrecv")
