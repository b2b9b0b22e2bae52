"""Who may do what: the one place where a request's right is checked, whichever route it came by."""

from __future__ import annotations

import secrets
from typing import Literal

from aiohttp import web

from streamer.errors import ForbiddenError, NotAuthorizedError
from streamer.protocol import TOKEN_PREFIX
from streamer.session import Session
from streamer.sessions import Sessions

Right = Literal["own", "publish", "view"]
"""``own``: see, change and end a session; ``publish``: send media into it; ``view``: watch it."""


class Access:
    """Checks bearer tokens (RFC 6750). A session's token gives every right to it, its view token that to watch it."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def session(self, request: web.Request, right: Right) -> Session:
        """The session that the request's path names. Raises ``UnknownSessionError``, ``NotAuthorizedError`` where there
        is no token, ``ForbiddenError`` where it does not give ``right``."""
        session = self._sessions.find(request.match_info["id"])
        token = _bearer(request)
        if not token:
            raise NotAuthorizedError("no token (need the header Authorization: Bearer TOKEN, from POST /v1/sessions)")
        good = (session.token, session.view_token) if right == "view" else (session.token,)
        given = token.encode()
        if not any([secrets.compare_digest(given, one.encode()) for one in good]):
            raise ForbiddenError("the token is not this session's (need the one that POST /v1/sessions returned)")
        return session


def _bearer(request: web.Request) -> str:
    """The token of a request: its header's, or for a WebSocket of a browser, which cannot set one, a subprotocol's."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    offered = [one.strip() for one in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    return next((one.removeprefix(TOKEN_PREFIX) for one in offered if one.startswith(TOKEN_PREFIX)), "")
