"""Serves WHIP (RFC 9725): ``POST /v1/sessions/{id}/whip`` publishes camera, microphone or both into a session.

OBS works with it as it is: its offer holds no candidates, it sends none later, and it wants 201 for the offer and 200
for its DELETE.
"""

from __future__ import annotations

from streamer.errors import NoUsableTrackError
from streamer.http.webrtc_signalling import WebRtcSignalling
from streamer.session.session import Session
from streamer.webrtc.connection import Connection
from streamer.webrtc.sdp_offer import Offer


class Whip(WebRtcSignalling):
    """Serves the routes of publishers. A session has one at a time; when it goes or falls silent, another may come."""

    name = "whip"
    right = "publish"

    def check(self, offer: Offer, session: Session) -> None:
        options = session.options
        if options.source == "live" and not offer.sends_video:
            raise NoUsableTrackError("the offer sends no video (this session's source is live: need a camera)")
        if options.speech == "live" and not offer.sends_audio:
            raise NoUsableTrackError("the offer sends no audio (this session's speech is live: need a microphone)")
        if not offer.sends_video and not offer.sends_audio:
            raise NoUsableTrackError("the offer sends nothing (need sendonly sections of audio, video or both)")

    async def open(self, offer: Offer, session: Session) -> tuple[Connection, str]:
        await session.take_over()
        publisher = Connection(self._config.ice_servers)
        try:
            answer = await publisher.answer(offer)
            session.publish(publisher)
        except BaseException:
            session.release()
            await publisher.close()
            raise
        return publisher, answer

    def find(self, session: Session, connection: str) -> Connection | None:
        publisher = session.connections.publisher
        return publisher if publisher is not None and publisher.id == connection else None
