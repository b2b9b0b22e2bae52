"""STUN and TURN servers that an operator names, in the three forms they are wanted in."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiortc import RTCIceServer

from mytalk.errors import OptionError

_SCHEMES = ("stun:", "stuns:", "turn:", "turns:")


@dataclass(frozen=True, slots=True)
class IceServer:
    """One server. ``credential`` is what a TURN server takes as its password.

    >>> IceServer.parse("turn:turn.example.net?transport=udp alice s3cret").link()
    '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="alice"; credential="s3cret"; \
credential-type="password"'
    """

    url: str
    username: str | None = None
    credential: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> IceServer:
        """Reads ``URL`` or ``URL USERNAME CREDENTIAL``. Raises ``OptionError``."""
        words = text.split()
        if len(words) not in (1, 3) or not words[0].startswith(_SCHEMES) or '"' in text or ">" in text:
            raise OptionError(
                f"ICE server {words[0] if words else text!r} (need 'stun:HOST' or 'turn:HOST USER SECRET')"
            )
        return cls(*words)

    def link(self) -> str:
        """As a Link header names it (RFC 9725, 4.6)."""
        link = f'<{self.url}>; rel="ice-server"'
        if self.username is not None:
            link += f'; username="{self.username}"; credential="{self.credential}"; credential-type="password"'
        return link

    def to_json(self) -> dict[str, str]:
        """As a browser's RTCPeerConnection takes it."""
        secret = {} if self.username is None else {"username": self.username, "credential": self.credential or ""}
        return {"urls": self.url, **secret}

    def to_rtc(self) -> RTCIceServer:
        """As the server's own connections take it."""
        return RTCIceServer(self.url, self.username, self.credential)
