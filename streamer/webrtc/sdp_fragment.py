"""Reads and writes ``application/trickle-ice-sdpfrag`` (RFC 8840): candidates after the offer, and ICE restarts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aiortc import RTCIceCandidate
from aiortc.sdp import candidate_from_sdp, candidate_to_sdp

from streamer.errors import RequestError
from streamer.webrtc.candidates import is_usable

MEDIA_TYPE = "application/trickle-ice-sdpfrag"

MAX_CANDIDATES = 64
"""ICE candidates that an offer, or the fragments after it, may hold: each makes the server send checks to an address
of the peer's choice."""

_WORD = re.compile(r"[A-Za-z0-9+/]+")  # ice-char, RFC 8839, 5.4


@dataclass(frozen=True, slots=True)
class Fragment:
    """Holds one fragment. ``username`` and ``password`` are None where it names none; ``complete``: it is the last."""

    candidates: tuple[RTCIceCandidate, ...] = ()
    username: str | None = None
    password: str | None = None
    complete: bool = False


def read_fragment(text: str) -> Fragment:
    """Parses a fragment. Raises ``RequestError``.

    Candidates that the server does not use (TCP, names, malformed ones, addresses that are no peer's) are left out, as
    RFC 9725, 4.3.2 wants.
    """
    candidates: list[RTCIceCandidate] = []
    username = password = mid = None
    complete, index, named = False, -1, 0
    for line in filter(None, (line.strip() for line in text.splitlines())):
        name, colon, value = line[2:].partition(":") if line.startswith("a=") else (line[:2], "", line[2:])
        if line.startswith("m="):
            mid, index = None, index + 1
        elif not line.startswith(("a=", "s=", "c=", "v=", "o=", "t=")):
            raise RequestError(f"the fragment holds {line[:20]!r} (need lines of SDP, RFC 8840)")
        elif name == "mid":
            mid = value
        elif name == "ice-ufrag":
            username = _word(name, value, 4)
        elif name == "ice-pwd":
            password = _word(name, value, 22)
        elif name == "end-of-candidates":
            complete = True
        elif name == "candidate" and colon:
            named += 1
            if named <= MAX_CANDIDATES and (candidate := _candidate(value)) is not None:
                candidate.sdpMid, candidate.sdpMLineIndex = mid, max(0, index)
                candidates.append(candidate)
    if (username is None) != (password is None):
        raise RequestError("the fragment has only one of ice-ufrag and ice-pwd (need both, or neither)")
    if named > MAX_CANDIDATES:
        raise RequestError(f"the fragment holds more than {MAX_CANDIDATES} candidates (send fewer)")
    if not named and username is None and not complete:
        raise RequestError(
            "the fragment says nothing (need a=candidate, a=end-of-candidates, or a=ice-ufrag and a=ice-pwd)"
        )
    return Fragment(tuple(candidates), username, password, complete)


def write_fragment(username: str, password: str, mid: str, candidates: list[RTCIceCandidate]) -> str:
    """Writes the server's side of an ICE restart."""
    lines = [f"a=ice-ufrag:{username}", f"a=ice-pwd:{password}", "m=audio 9 UDP/TLS/RTP/SAVPF 0", f"a=mid:{mid}"]
    lines += [f"a=candidate:{candidate_to_sdp(candidate)}" for candidate in candidates]
    return "\r\n".join([*lines, "a=end-of-candidates", ""])


def _word(name: str, value: str, least: int) -> str:
    if not least <= len(value) <= 256 or not _WORD.fullmatch(value):
        raise RequestError(f"the fragment's {name} is not one (need {least} to 256 letters, digits, + and /, RFC 8839)")
    return value


def _candidate(value: str) -> RTCIceCandidate | None:
    try:
        candidate = candidate_from_sdp(value)
    except (AssertionError, ValueError, IndexError):
        return None
    media = candidate.protocol.lower() == "udp" and candidate.component == 1
    return candidate if media and is_usable(candidate.ip, candidate.port) else None
