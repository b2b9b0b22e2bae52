"""Reads the STUN and TURN servers that an operator names, and writes the three forms in which clients want them."""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass, field

from aiortc import RTCIceServer

from mytalk.errors import OptionError
from streamer.clock import SECOND_NS, unix_now

LOGIN_SECONDS = 24 * 3600
"""Seconds for which a login of a shared secret opens the relay: a session may restart ICE as long as it lives."""

_SCHEMES = ("stun:", "stuns:", "turn:", "turns:")
_SHARED = "secret="


@dataclass(frozen=True, slots=True)
class IceServer:
    """Names one server. ``credential`` is what a TURN server takes as its password.

    ``secret``: one that the TURN server shares with this server alone (coturn's ``use-auth-secret``). Every client
    then gets a login of its own, which expires (draft-uberti-behave-turn-rest).

    >>> IceServer.parse("turn:turn.example.net?transport=udp alice s3cret").link()
    '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="alice"; credential="s3cret"; \
credential-type="password"'
    """

    url: str
    username: str | None = None
    credential: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> IceServer:
        """Reads ``URL``, ``URL USERNAME CREDENTIAL`` or ``URL secret=SECRET``. Raises ``OptionError``."""
        words = text.split()
        shared = len(words) == 2 and words[1].startswith(_SHARED) and words[1] != _SHARED
        if not (shared or len(words) in (1, 3)) or not words[0].startswith(_SCHEMES) or '"' in text or ">" in text:
            forms = "'stun:HOST', 'turn:HOST secret=SHARED' or 'turn:HOST USER PASSWORD'"
            raise OptionError(f"ICE server {words[0] if words else text!r} (need {forms})")
        return cls(words[0], secret=words[1].removeprefix(_SHARED)) if shared else cls(*words)

    def login(self) -> tuple[str | None, str | None]:
        """Returns a user name and password; of a shared secret, new ones."""
        if self.secret is None:
            return self.username, self.credential
        username = f"{unix_now() // SECOND_NS + LOGIN_SECONDS}:{secrets.token_hex(4)}"
        password = base64.b64encode(hmac.digest(self.secret.encode(), username.encode(), "sha1"))
        return username, password.decode()

    def link(self) -> str:
        """Returns the server as a Link header names it (RFC 9725, 4.6)."""
        link = f'<{self.url}>; rel="ice-server"'
        username, credential = self.login()
        if username is not None:
            link += f'; username="{username}"; credential="{credential}"; credential-type="password"'
        return link

    def to_json(self) -> dict[str, str]:
        """Returns the server as a browser's RTCPeerConnection takes it."""
        username, credential = self.login()
        return {"urls": self.url} | ({} if username is None else {"username": username, "credential": credential or ""})

    def to_rtc(self) -> RTCIceServer:
        """Returns the server as this server's own connections take it."""
        return RTCIceServer(self.url, *self.login())

    def masked(self) -> str:
        """Returns the server as an operator wrote it, its secrets masked."""
        shown = {self.username: f" {self.username} ***", self.secret: f" {_SHARED}***"}
        return self.url + "".join(text for secret, text in shown.items() if secret is not None)
