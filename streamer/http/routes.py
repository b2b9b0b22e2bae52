"""Serves the HTTP routes: JSON in, JSON or SDP out, every failure as a status and a reason."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from aiohttp import web

from streamer.auth.tokens import INCLUDED
from streamer.client_stream.stream import DISCLOSURE
from streamer.clock import MILLISECOND_NS
from streamer.config.server_config import ServerConfig
from streamer.engine.engine import Engine
from streamer.errors import BusyError, ForbiddenError, MediaTypeError, NoUsableTrackError, RequestError
from streamer.http.authorization import Authorization
from streamer.http.body import read_json, read_text
from streamer.http.listener import ConnectionLimit
from streamer.http.metrics_collector import MetricsCollector
from streamer.http.middleware import Handler, Middleware
from streamer.http.origins import Origins, preflight_of
from streamer.http.upload import UploadLimit, read_upload
from streamer.http.verification import VerificationRoute
from streamer.http.webrtc_signalling import SDP, redirected
from streamer.http.websocket import StreamRoute
from streamer.http.whep import Whep
from streamer.http.whip import Whip
from streamer.session.control_fields import table
from streamer.session.options import FaceChoice, SessionOptions
from streamer.session.registry import SessionRegistry
from streamer.session.session import Session
from streamer.telemetry import metrics
from streamer.telemetry.loop_watchdog import LoopWatchdog
from streamer.trust.disclosure import LINK, declared
from streamer.trust.verifier import Verifier
from streamer.validation import checked
from streamer.webrtc.peer import Peer
from streamer.webrtc.sdp_offer import Offer, read_offer

ROUTES = ("webrtc", "whip", "whep", "stream", "clear", "face", "tokens")
"""Parts of the URLs of a session."""

PAGE = Path(str(files("streamer"))) / "page"


class Routes:
    """Serves the routes of one server."""

    def __init__(
        self,
        sessions: SessionRegistry,
        engine: Engine,
        config: ServerConfig,
        access: Authorization,
        connections: ConnectionLimit,
        watchdog: LoopWatchdog,
    ) -> None:
        self._sessions = sessions
        self._config = config
        self._access = access
        self._connections = connections
        self._uploads = UploadLimit()
        self._origins = Origins(config)
        self._middleware = Middleware(access, self._origins, config, sessions.clock)
        collector = MetricsCollector(engine, sessions, self._middleware.served, connections, watchdog)
        self._registry = metrics.registry_of(collector)

    def app(self) -> web.Application:
        """Returns the aiohttp application."""
        before = (self._connections.middleware, self._origins.middleware)
        app = web.Application(middlewares=[*before, *self._middleware.all()])
        app.router.add_post("/v1/sessions", self._create)
        app.router.add_get("/v1/sessions", self._list)
        app.router.add_get("/v1/sessions/{id}", self._state)
        app.router.add_delete("/v1/sessions/{id}", self._delete)
        app.router.add_post("/v1/sessions/{id}/webrtc", self._connect)
        app.router.add_post("/v1/sessions/{id}/clear", self._clear)
        app.router.add_post("/v1/sessions/{id}/face", self._face)
        app.router.add_post("/v1/sessions/{id}/tokens", self._tokens)
        app.router.add_route("OPTIONS", "/v1/sessions", preflight_of("GET", "POST"))
        app.router.add_route("OPTIONS", "/v1/sessions/{id}", preflight_of("GET", "DELETE"))
        for name in ("webrtc", "clear", "face", "tokens"):
            app.router.add_route("OPTIONS", f"/v1/sessions/{{id}}/{name}", preflight_of("POST"))
        app.router.add_get("/v1/sessions/{id}/stream", StreamRoute(self._access, self._sessions.clock).serve)
        for protocol in (Whip, Whep):
            protocol(self._sessions, self._access, self._config).add_routes(app.router)
        app.router.add_post("/v1/verify", VerificationRoute(self._access, Verifier()).serve)
        app.router.add_get("/v1/controls", self._controls)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/", _file(PAGE / "index.html"))
        for path in (*PAGE.glob("*.*"), *(PAGE / "built").iterdir()):
            app.router.add_get(f"/{path.name}", _file(path))
        for path in (PAGE / "controls").iterdir():
            app.router.add_get(f"/controls/{path.name}", _file(path))
        app.router.add_get("/portrait", self._portrait)
        return app

    # --- sessions

    async def _create(self, request: web.Request) -> web.Response:
        key = self._access.key_for_new_session(request)
        key_id = key.id if key is not None else None
        try:
            with self._sessions.reserved(key_id):
                session = await self._made(request, key_id)
        except BusyError:
            if self._config.redirect is None:
                raise
            return redirected(self._config.redirect, request)
        base = f"/v1/sessions/{session.id}"
        body = {
            "id": session.id,
            "state": session.state,
            "token": self._access.token(session, "own"),
            "view_token": self._access.token(session, "view"),
            "expires_in": self._config.token_seconds,
            "urls": {"session": base} | {name: f"{base}/{name}" for name in ROUTES},
            "ice_servers": [server.to_json() for server in self._config.ice_servers],
            "disclosure": DISCLOSURE,
        }
        headers = {"Location": base, "Cache-Control": "no-store", "Link": LINK}
        return web.json_response(body, status=201, headers=headers)

    async def _made(self, request: web.Request, key_id: str | None) -> Session:
        """Makes the session that the body asks for."""
        if request.content_type != "multipart/form-data":
            options = SessionOptions.from_json(await read_json(request))
            return await self._sessions.create(options, key_id=key_id)
        with self._uploads.place():
            upload = await read_upload(request)
            options = SessionOptions.from_json(upload.options)
            face = await self._sessions.read_face(
                options, upload.consent, picture=upload.portrait, background=upload.background
            )
        return await self._sessions.create(options, face, upload.consent, key_id)

    async def _face(self, request: web.Request) -> web.Response:
        """Shows another face in a running session: an uploaded one, or the server's by its name."""
        session = self._access.session(request, "own")
        if request.content_type == "multipart/form-data":
            with self._uploads.place():
                upload = await read_upload(request)
                if upload.portrait is None or upload.background is not None or set(upload.options) != {"source"}:
                    raise RequestError("another face is a portrait and its consent alone (need no options with it)")
                await self._sessions.change_face(session, None, upload.consent, upload.portrait)
        else:
            choice = checked(await read_json(request), FaceChoice)
            await self._sessions.change_face(session, choice.portrait, None, None)
        return web.json_response({"id": session.id, "state": session.state}, status=202)

    async def _tokens(self, request: web.Request) -> web.Response:
        """Answers with a fresh token: any for the session's owner, for others one like their own."""
        session, rights = self._access.session_for_token(request)
        body = await read_json(request)
        right = body.get("right", "own") if isinstance(body, dict) else None
        if not isinstance(right, str) or right not in INCLUDED or set(body) - {"right"}:
            raise RequestError('the body asks for no right (need {"right": "own", "publish" or "view"})')
        if right not in rights:
            raise ForbiddenError(f"the token does not give the right to {right} (need one that does)")
        answer = {"token": self._access.token(session, right), "right": right, "expires_in": self._config.token_seconds}
        return web.json_response(answer, status=201, headers={"Cache-Control": "no-store"})

    async def _list(self, request: web.Request) -> web.Response:
        """Lists sessions, with enough to find one and to end it."""
        sessions = [
            {
                "id": session.id,
                "state": session.state,
                "key": session.key_id,
                "age_ms": session.figures.age // MILLISECOND_NS,
                "source": session.options.source,
                "speech": session.options.speech,
                "viewers": len(session.connections.viewers),
                "rung": session.figures.rung.name.lower(),
            }
            for session in self._access.listed_sessions(request)
        ]
        return web.json_response({"sessions": sessions}, headers={"Cache-Control": "no-store"})

    async def _state(self, request: web.Request) -> web.Response:
        session = self._access.session(request, "own")
        failure = str(session.figures.failure) if session.figures.failure else None
        body = {
            "id": session.id,
            "state": session.state,
            "untouched_because": failure,
            "consent": session.consent.to_json() if session.consent is not None else None,
            "stats": session.figures.stats(),
            "events": session.events.to_json(),
        }
        return web.json_response(body, headers={"Cache-Control": "no-store"})

    async def _delete(self, request: web.Request) -> web.Response:
        session = self._access.session(request, "own")
        await session.end("deleted by its client")
        return web.json_response({"id": session.id, "state": session.state})

    async def _clear(self, request: web.Request) -> web.Response:
        return web.json_response(self._access.session(request, "own").clear().to_json())

    async def _connect(self, request: web.Request) -> web.Response:
        session = self._access.session(request, "own")
        as_json, sdp = await _offer_text(request)
        offer = read_offer(sdp)
        _check_tracks(offer, session.options)
        session.claim()
        try:
            answer = await self._answer(session, offer)
        except BaseException:
            session.release()
            raise
        headers = {"Location": f"/v1/sessions/{session.id}", "Link": LINK}
        if as_json:
            return web.json_response({"type": "answer", "sdp": answer}, status=201, headers=headers)
        return web.Response(text=answer, status=201, content_type=SDP, headers=headers)

    async def _answer(self, session: Session, offer: Offer) -> str:
        peer = Peer(session.broadcast, self._config.ice_servers)
        try:
            answer = await peer.answer(offer)
            session.attach(peer)
        except BaseException:
            await peer.close()
            raise
        return declared(answer)

    async def _portrait(self, request: web.Request) -> web.StreamResponse:
        """Shows the server's portrait: the embedded one to anybody, an operator's own to those who may use it."""
        if self._config.portrait is not None:
            self._access.check_portrait(request)
        return web.FileResponse(self._config.portrait_path)

    async def _controls(self, request: web.Request) -> web.Response:
        """Answers with the table of controls, which pages make their sliders from."""
        return web.json_response({"controls": table()})

    # --- operations

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _readyz(self, request: web.Request) -> web.Response:
        condition = self._sessions.condition
        return web.json_response({"status": condition}, status=200 if condition == "ready" else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        self._access.check_metrics(request)
        body = metrics.exposition(self._registry)
        return web.Response(body=body, headers={"Content-Type": metrics.CONTENT_TYPE})


def _check_tracks(offer: Offer, options: SessionOptions) -> None:
    if not offer.has_audio:
        raise NoUsableTrackError("the offer has no audio (need an audio section, Opus)")
    if options.speech == "live" and not offer.sends_audio:
        raise NoUsableTrackError("the offer sends no audio (this session's speech is live: need sendrecv or sendonly)")
    if options.source == "live" and not offer.sends_video:
        raise NoUsableTrackError("the offer sends no video (this session's source is live: need a camera track)")
    if options.source == "portrait" and not offer.takes_video:
        raise NoUsableTrackError("the offer takes no video (need a video section that is sendrecv or recvonly)")


async def _offer_text(request: web.Request) -> tuple[bool, str]:
    """Returns whether the answer is to be JSON, and the offer's SDP."""
    if request.content_type == SDP:
        return False, await read_text(request, SDP)
    if request.content_type != "application/json":
        raise MediaTypeError(f"content type {request.content_type} (need {SDP} or application/json)")
    body = await read_json(request)
    if not isinstance(body, dict) or body.get("type") != "offer" or not isinstance(body.get("sdp"), str):
        raise RequestError('the body is not an offer (need {"type": "offer", "sdp": "v=0..."})')
    return True, body["sdp"]


def _file(path: Path) -> Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(path)

    return serve
