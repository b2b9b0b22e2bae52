"""Lets peers with RSA certificates connect: aiortc 1.16.0 offers cipher suites of ECDSA certificates alone.

GStreamer up to 1.22 (``whipsink``, ``whipclientsink``) makes itself an RSA certificate, as WebRTC allows.
"""

from __future__ import annotations

import weakref
from typing import Any

from aiortc.rtcdtlstransport import RTCDtlsTransport

_KINDS = ("ECDSA", "RSA")
_SUITES = ("AES128-GCM-SHA256", "CHACHA20-POLY1305", "AES128-SHA", "AES256-SHA")
CIPHERS = ":".join(f"ECDHE-{kind}-{suite}" for kind in _KINDS for suite in _SUITES).encode()
"""Suites that aiortc has, for both kinds of certificates. All have forward secrecy."""


def accept_rsa(transport: RTCDtlsTransport) -> None:
    """Takes RSA certificates of this transport's peer. Call it before the handshake begins."""
    name = "_RTCDtlsTransport__local_certificate"
    if not hasattr(transport, name):
        raise AttributeError(f"aiortc's {type(transport).__name__} has no {name} any more (need aiortc 1.16.0)")
    certificate: Any = getattr(transport, name)
    reference, make = weakref.ref(certificate), type(certificate)._create_ssl_context

    def context(srtp_profiles: Any) -> Any:
        made = make(reference(), srtp_profiles=srtp_profiles)
        made.set_cipher_list(CIPHERS)
        return made

    certificate._create_ssl_context = context
