"""Tells clients, in the words of protocols, that what they receive is synthetic."""

from __future__ import annotations

from streamer.trust.manifest import SYNTHETIC

LINK = f'<{SYNTHETIC}>; rel="type"'
"""Link header (RFC 8288) of an answer that brings synthetic video; the relation is RFC 6903's."""

ATTRIBUTE = f"a=digital-source-type:{SYNTHETIC.rpartition('/')[2]}"
"""Line of an SDP answer, for the session as a whole. Who does not know it ignores it (RFC 8866, 5.13)."""


def declared(answer: str) -> str:
    """Returns an SDP answer that says so."""
    head, section, rest = answer.partition("m=")
    return f"{head}{ATTRIBUTE}\r\n{section}{rest}" if section else answer
