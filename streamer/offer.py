"""Reads an SDP offer (RFC 8866) and says whether a session can use it, before any socket is opened."""

from __future__ import annotations

from dataclasses import dataclass

from aiortc.sdp import MediaDescription, SessionDescription

from streamer.errors import NoUsableTrackError, RequestError

MAX_SECTIONS = 3
"""Media sections an offer may hold: one of audio, one of video, one of data."""

KINDS = {"audio", "video", "application"}

MAX_CANDIDATES = 64
"""ICE candidates an offer may hold; each one makes the server send checks to an address of the peer's choice."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that can be answered. The four flags are the peer's wishes."""

    sdp: str
    sends_audio: bool
    sends_video: bool
    takes_video: bool


def read_offer(sdp: str) -> Offer:
    """Parses an offer. ``RequestError`` (400): not an offer. ``NoUsableTrackError`` (406): no audio in it."""
    try:
        description = SessionDescription.parse(_without_mdns(sdp))
    except Exception as error:  # aiortc's parser raises whatever the text made it trip over
        raise RequestError(f"the offer is not SDP ({type(error).__name__}: need RFC 8866 with WebRTC media)") from error
    sections = description.media
    if not sections:
        raise RequestError("the offer holds no media section (need at least one of audio)")
    kinds = [section.kind for section in sections]
    if len(kinds) > MAX_SECTIONS or len(set(kinds)) < len(kinds) or not set(kinds) <= KINDS:
        raise RequestError(f"the offer holds {', '.join(kinds)} (need at most one each of audio, video and data)")
    if sum(len(section.ice_candidates) for section in sections) > MAX_CANDIDATES:
        raise RequestError(f"the offer holds more than {MAX_CANDIDATES} candidates (send fewer)")
    _check_security(sections)
    mids = [section.rtp.muxId for section in sections]
    bundled = [mid for group in description.group if group.semantic == "BUNDLE" for mid in group.items]
    if len(set(mids)) < len(mids) or not set(map(str, bundled)) <= set(mids):
        raise RequestError(
            "the offer's BUNDLE group names other sections than it holds (need each a=mid once, RFC 9143)"
        )
    audio = _section(sections, "audio")
    if audio is None:
        raise NoUsableTrackError("the offer has no audio (need an audio section, Opus)")
    video = _section(sections, "video")
    return Offer(
        _without_mdns(sdp),
        sends_audio=audio.direction in ("sendrecv", "sendonly"),
        sends_video=video is not None and video.direction in ("sendrecv", "sendonly"),
        takes_video=video is not None and video.direction in ("sendrecv", "recvonly"),
    )


def _section(sections: list[MediaDescription], kind: str) -> MediaDescription | None:
    return next((section for section in sections if section.kind == kind and section.port != 0), None)


def _check_security(sections: list[MediaDescription]) -> None:
    for section in sections:
        if section.ice is None or not section.ice.usernameFragment or not section.ice.password:
            raise RequestError(f"the offer's {section.kind} lacks ice-ufrag or ice-pwd (need both, RFC 8839)")
        if section.dtls is None or not section.dtls.fingerprints:
            raise RequestError(f"the offer's {section.kind} lacks a DTLS fingerprint (need a=fingerprint, RFC 8122)")


def _without_mdns(sdp: str) -> str:
    """Browsers hide their address behind ``.local`` names. Waiting for those to resolve helps nobody: the browser's
    own checks arrive first and show the address (peer-reflexive, RFC 8445, 7.3.1.3)."""
    lines = sdp.splitlines()
    kept = [line for line in lines if not (line.startswith("a=candidate:") and ".local " in line)]
    return "\r\n".join(kept) + "\r\n"
