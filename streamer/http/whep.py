"""Serves WHEP (draft-ietf-wish-whep): ``POST /v1/sessions/{id}/whep`` watches a session. Viewers share one encode
(:mod:`streamer.webrtc.broadcast`)."""

from __future__ import annotations

from aiohttp import web

from streamer.errors import NoUsableTrackError
from streamer.http.webrtc_signalling import WebRtcSignalling
from streamer.session.session import Session
from streamer.trust.disclosure import LINK, declared
from streamer.webrtc.connection import Connection
from streamer.webrtc.sdp_offer import Offer
from streamer.webrtc.viewer import Viewer


class Whep(WebRtcSignalling):
    """Serves the routes of viewers."""

    name = "whep"
    right = "view"

    def check(self, offer: Offer, session: Session) -> None:
        if not offer.takes_audio and not offer.takes_video:
            raise NoUsableTrackError("the offer takes nothing (need recvonly sections of audio, video or both)")

    async def open(self, offer: Offer, session: Session) -> tuple[Connection, str]:
        session.admit_viewer()
        viewer = Viewer(session.broadcast, self._config.ice_servers)
        session.watch(viewer)  # has a place from here on: others ask while it is answered
        try:
            answer = await viewer.answer(offer)
        except BaseException:
            await session.drop(viewer)
            raise
        return viewer, declared(answer)

    def _link(self, response: web.Response) -> None:
        super()._link(response)
        response.headers.add("Link", LINK)

    def find(self, session: Session, connection: str) -> Connection | None:
        return session.connections.viewers.get(connection)
