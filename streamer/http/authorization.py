"""Checks the right of every request, whichever route it takes.

A caller shows a bearer (RFC 6750): an API key, where the server has keys, or a session's token. A browser's WebSocket,
which cannot set headers, shows it as a subprotocol ``mytalk.token.<bearer>``. It is never read from a URL.
"""

from __future__ import annotations

from typing import Literal

from aiohttp import web

from streamer.auth.api_keys import Key, KeyRing, looks_like_key
from streamer.auth.quota import RequestBudget, SecondsUsed
from streamer.auth.tokens import INCLUDED, Right, TokenMint
from streamer.auth.usage_file import Hours, UsageFile, usage_path
from streamer.clock import SECOND_NS, Clock, unix_now
from streamer.config.server_config import ServerConfig
from streamer.errors import ForbiddenError, NotAuthorizedError, QuotaError
from streamer.executors import Pool
from streamer.protocol.codec import TOKEN_PREFIX
from streamer.session.registry import SessionRegistry
from streamer.session.session import Session

_DAY_WAIT = 3600
"""Seconds after which a key that has used its seconds may ask again: they are counted by the hour."""

_SESSION_WAIT = 10
"""Seconds after which a key that has all its sessions may ask again."""


class Authorization:
    """Checks the callers of one server."""

    def __init__(
        self, sessions: SessionRegistry, config: ServerConfig, keys: KeyRing | None, clock: Clock, blocking: Pool
    ) -> None:
        self._sessions = sessions
        self._config = config
        self._keys = keys
        self._clock = clock
        self._blocking = blocking
        self._mint = TokenMint(clock, config.token_seconds)
        self._budget = RequestBudget()
        path = config.usage or (usage_path(config.keys) if config.keys is not None else None)
        self._file = UsageFile(path) if path is not None and keys is not None else None
        self._used = SecondsUsed(self._file.read(unix_now()) if self._file is not None else None)
        self._saves = 0
        self._saved: Hours = {}
        sessions.on_end = self._count_seconds

    # --- for every request

    def admit(self, request: web.Request) -> None:
        """Counts a request against its key, or else its address. Raises ``QuotaError``."""
        key = self._key(request)
        caller = f"key {key.id}" if key is not None else request.remote or "unknown"
        a_minute = key.requests if key is not None else self._config.requests_per_minute
        wait = self._budget.wait(caller, a_minute, self._clock.now())
        if wait:
            raise QuotaError(f"more than {a_minute} requests a minute (send fewer)", wait)

    def key_id(self, request: web.Request) -> str | None:
        """Returns the id of the API key that a request shows, None where it shows none that is known."""
        key = self._key(request)
        return key.id if key is not None else None

    # --- for routes

    def key_for_new_session(self, request: web.Request) -> Key | None:
        """Returns the key that a new session will belong to, None where the server has no keys.

        The caller reserves the session's place before it awaits anything: a reserved place counts as a session.

        Raises ``NotAuthorizedError``, ``ForbiddenError``, or ``QuotaError`` where the key has used what it may.
        """
        key = self._needed(request, "publish")
        if key is None:
            return None
        if key.sessions and self._sessions.count_of(key.id) >= key.sessions:
            raise QuotaError(f"the key has its {key.sessions} sessions (end one first)", _SESSION_WAIT)
        if key.seconds and self._seconds(key) >= key.seconds:
            raise QuotaError(f"the key has used its {key.seconds} s of sessions within a day", _DAY_WAIT)
        return key

    def session(self, request: web.Request, right: Right) -> Session:
        """Returns the session that the request's path names.

        Raises ``UnknownSessionError``, ``NotAuthorizedError`` where there is no bearer or an unknown one, and
        ``ForbiddenError`` where it does not give ``right``.
        """
        session = self._sessions.find(request.match_info["id"])
        bearer = _bearer(request)
        if not bearer:
            raise NotAuthorizedError("no token (need the header Authorization: Bearer TOKEN, from POST /v1/sessions)")
        if self._keys is not None and looks_like_key(bearer):
            key = self._key(request)
            if key is None:
                raise NotAuthorizedError("the key is not known (it may have been revoked)")
            owner = key.may("admin") or (key.may("publish") and key.id == session.key_id)
            if not owner and not (right == "view" and key.may("view")):
                raise ForbiddenError(f"the key may not {right} this session (need its own, or one with more scopes)")
        elif right not in INCLUDED[self._mint.right(bearer, session.id)]:
            raise ForbiddenError(f"the token does not give the right to {right} (need one that does)")
        return session

    def session_for_token(self, request: web.Request) -> tuple[Session, frozenset[Right]]:
        """Returns the session that the request's path names, and the rights of which the caller may have a token.

        A token gives another like itself, for as long as the session lives, and never more than that. A key gives
        tokens of its own sessions. Raises as ``session`` does.
        """
        bearer = _bearer(request)
        if not bearer or looks_like_key(bearer):
            return self.session(request, "own"), INCLUDED["own"]
        session = self._sessions.find(request.match_info["id"])
        return session, INCLUDED[self._mint.right(bearer, session.id)]

    def listed_sessions(self, request: web.Request) -> list[Session]:
        """Returns the sessions of a key, of an ``admin``'s all. Raises ``NotAuthorizedError`` or ``ForbiddenError``."""
        key = self._needed(request, "publish")
        if key is None:
            raise ForbiddenError("sessions are listed to API keys alone (start the server with --keys)")
        return [session for session in self._sessions.all() if key.may("admin") or session.key_id == key.id]

    def check_portrait(self, request: web.Request) -> None:
        """Checks that the caller may see the server's portrait. Raises ``NotAuthorizedError`` or ``ForbiddenError``."""
        self._needed(request, "publish")

    def check_metrics(self, request: web.Request) -> None:
        """Checks that the caller may read `/metrics`. Raises ``NotAuthorizedError`` or ``ForbiddenError``."""
        self._needed(request, "metrics")

    def token(self, session: Session, right: Right) -> str:
        """Returns a token of that session."""
        return self._mint.token(session.id, right)

    # --- for the server

    def overdue(self, session: Session) -> str | None:
        """Returns why a session has to end now, or None."""
        age, longest = session.figures.age / SECOND_NS, self._config.session_seconds
        if longest and age >= longest:
            return "it reached its longest time"
        if session.key_id is None or self._keys is None:
            return None
        key = self._keys.get(session.key_id)
        if key is None:
            return "its key was revoked"
        return "its key has used its seconds" if key.seconds and self._seconds(key) >= key.seconds else None

    async def save(self) -> None:
        """Writes what keys have used, sessions that run included, into the file, where that has changed."""
        if self._file is None:
            return
        used = SecondsUsed(self._used.hours(unix_now()))
        for session in self._sessions.all():
            if session.key_id is not None:
                used.add(session.key_id, session.figures.age / SECOND_NS, unix_now())
        hours = used.hours(unix_now())
        if hours != self._saved:
            self._saves += 1
            if await self._blocking.run(self._file.write, hours, self._saves):
                self._saved = hours

    def _needed(self, request: web.Request, scope: Literal["publish", "metrics"]) -> Key | None:
        if self._keys is None:
            return None
        key = self._key(request)
        if key is None:
            raise NotAuthorizedError("no API key, or an unknown one (need the header Authorization: Bearer KEY)")
        if not key.may(scope):
            raise ForbiddenError(f"the key lacks the scope {scope!r} (it has {', '.join(key.scopes)})")
        return key

    def _key(self, request: web.Request) -> Key | None:
        return self._keys.find(_bearer(request)) if self._keys is not None else None

    def _seconds(self, key: Key) -> float:
        running = sum(session.figures.age for session in self._sessions.all() if session.key_id == key.id)
        return self._used.used_by(key.id, unix_now()) + running / SECOND_NS

    def _count_seconds(self, session: Session) -> None:
        if session.key_id is not None:
            self._used.add(session.key_id, session.figures.age / SECOND_NS, unix_now())


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    offered = [one.strip() for one in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    return next((one.removeprefix(TOKEN_PREFIX) for one in offered if one.startswith(TOKEN_PREFIX)), "")
