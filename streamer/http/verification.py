"""Serves ``POST /v1/verify``: says whether a film that a client sends is marked as synthetic."""

from __future__ import annotations

from aiohttp import web

from streamer.http.authorization import Authorization
from streamer.http.body import read_body
from streamer.trust.verifier import MOST_BYTES, Verifier

TIMEOUT = 60.0
"""Seconds that a film may take to arrive."""


class VerificationRoute:
    """Takes a film as the request's body, of any type, from whoever may make sessions."""

    def __init__(self, access: Authorization, verifier: Verifier) -> None:
        self._access, self._verifier = access, verifier

    async def serve(self, request: web.Request) -> web.Response:
        """Answers with the report. 503 while another film is verified."""
        self._access.key_for_new_session(request)
        self._verifier.check()
        film = await read_body(request, MOST_BYTES, TIMEOUT)
        report = await self._verifier.verify(film)
        return web.Response(body=report, content_type="application/json", headers={"Cache-Control": "no-store"})
