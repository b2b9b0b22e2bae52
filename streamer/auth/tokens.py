"""Makes and checks session tokens: short-lived, each for one session and one right, signed, and nowhere stored.

A token is ``<right><end>.<signature>`` in letters that a header, a URL and a WebSocket subprotocol all carry. The
signature (HMAC-SHA256, RFC 2104) covers the session's id, so a token says nothing about another session. The secret is
the process's own: its sessions end with it.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Literal

from streamer.clock import SECOND_NS, Clock
from streamer.errors import ExpiredError, ForbiddenError

Right = Literal["own", "publish", "view"]
"""``own``: see, change and end a session, and the others; ``publish``: send media into it; ``view``: watch it."""

INCLUDED: dict[Right, frozenset[Right]] = {
    "own": frozenset({"own", "publish", "view"}),
    "publish": frozenset({"publish"}),
    "view": frozenset({"view"}),
}
"""Routes that a token of each right opens."""

TOKEN_PATTERN = r"[opv][0-9a-f]{1,12}\.[A-Za-z0-9_-]{43}"

KEY_PATTERN = r"mytalk_[0-9a-f]{8}_[A-Za-z0-9_-]{43}"
"""Of API keys (:mod:`streamer.auth.api_keys`): an id, which may be shown, and a secret of 256 bits."""

_RIGHTS: dict[str, Right] = {"o": "own", "p": "publish", "v": "view"}
_FORM = re.compile(r"([opv])([0-9a-f]{1,12})\.[A-Za-z0-9_-]{43}", re.ASCII)


class TokenMint:
    """Makes and checks the tokens of one process. ``life``: seconds that one is good for.

    >>> from streamer.clock import FakeClock
    >>> mint = TokenMint(FakeClock(), life=60)
    >>> mint.right(mint.token("a session", "view"), "a session")
    'view'
    """

    def __init__(self, clock: Clock, life: int) -> None:
        self.life = life
        self._clock = clock
        self._secret = secrets.token_bytes(32)

    def token(self, session_id: str, right: Right) -> str:
        """Returns a token that gives ``right`` to that session, from now on."""
        claims = f"{right[0]}{self._clock.now() // SECOND_NS + self.life:x}"
        return f"{claims}.{self._signature(claims, session_id)}"

    def right(self, token: str, session_id: str) -> Right:
        """Returns the right that a token gives. Raises ``ForbiddenError`` (another session's) or ``ExpiredError``."""
        found = _FORM.fullmatch(token)
        claims, _, signature = token.partition(".")
        if found is None or not hmac.compare_digest(signature.encode(), self._signature(claims, session_id).encode()):
            raise ForbiddenError("the token is not this session's (need the one that POST /v1/sessions returned)")
        if self._clock.now() // SECOND_NS >= int(found[2], 16):
            raise ExpiredError(
                f"the token has expired: it was good for {self.life} s (POST /v1/sessions/ID/tokens gives another)"
            )
        return _RIGHTS[found[1]]

    def _signature(self, claims: str, session_id: str) -> str:
        digest = hmac.digest(self._secret, f"{claims}.{session_id}".encode(), sha256)
        return urlsafe_b64encode(digest).rstrip(b"=").decode()
