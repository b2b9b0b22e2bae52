"""Reads an SDP offer (RFC 8866) and says whether a session can use it, before any socket is opened."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from aiortc.sdp import MediaDescription, SessionDescription

from streamer.errors import RequestError
from streamer.webrtc.candidates import is_usable
from streamer.webrtc.h264_formats import as_offered, formats_of, with_listed_formats
from streamer.webrtc.payload_types import with_kept_types
from streamer.webrtc.sdp_fragment import MAX_CANDIDATES
from streamer.webrtc.simulcast import Layers, layers_of, without_retransmissions

MAX_SECTIONS = 3
"""Media sections an offer may hold: one of audio, one of video, one of data, which is refused."""

KINDS = {"audio", "video", "application"}

_PARSER_ERRORS = (AssertionError, AttributeError, IndexError, KeyError, StopIteration, TypeError, ValueError)
"""Raised by aiortc's parser, according to what a text lacks; it has no error of its own."""


@dataclass(frozen=True, slots=True)
class DataSection:
    """Names an offer's data section: ``index`` among all, its ``m=`` line's protocol and format, and its ``mid``."""

    index: int
    protocol: str
    format: str
    mid: str


@dataclass(frozen=True, slots=True)
class Offer:
    """Holds an offer that can be answered, and what the peer wishes to send and to take.

    ``sdp``: without its data section, and with H264 as aiortc lists it; ``complete`` answers what the peer offered.
    ``video_codecs``: names as in ``rtpmap``, small letters, best first. ``candidates``: how many it names.
    ``formats``: all codecs that it names, for people to read. ``h264``: payload types whose parameters ``sdp`` names
    otherwise, and what the answer says of them. ``layers``: those of its video, where it sends several.
    ``payload_types``: those of ``sdp`` that are others in the offer, and which.
    """

    sdp: str
    data: DataSection | None
    has_audio: bool
    has_video: bool
    sends_audio: bool
    sends_video: bool
    takes_audio: bool
    takes_video: bool
    video_codecs: tuple[str, ...]
    candidates: int
    formats: str
    h264: Mapping[int, str | None]
    layers: Layers
    payload_types: Mapping[int, int]

    def complete(self, answer: str) -> str:
        """Makes of an answer to ``sdp`` one to what the peer offered: its own formats of H264, and its data section,
        refused by port 0 (RFC 3264, 6) outside the bundle (RFC 9143, 7.3.3). Audio and video connect without it.
        """
        answer = _with_lines(as_offered(answer, self.h264), self.layers.answered())
        if self.data is None:
            return answer
        head, *sections = re.split(r"(?m)^(?=m=)", answer)
        first = f"m=application 0 {self.data.protocol} {self.data.format}"
        sections.insert(self.data.index, "\r\n".join([first, "c=IN IP4 0.0.0.0", f"a=mid:{self.data.mid}", ""]))
        return "".join([head, *sections])


def read_offer(sdp: str) -> Offer:
    """Parses an offer. Raises ``RequestError`` where the text is not an offer that can be answered."""
    cleaned = _cleaned(sdp)
    try:
        description = SessionDescription.parse(cleaned)
    except _PARSER_ERRORS as error:
        raise RequestError(f"the offer is not SDP ({type(error).__name__}: need RFC 8866 with WebRTC media)") from error
    sections = description.media
    kinds = [section.kind for section in sections]
    if not set(kinds) - {"application"}:
        raise RequestError("the offer holds no media section (need at least one of audio or video)")
    if len(kinds) > MAX_SECTIONS or len(set(kinds)) < len(kinds) or not set(kinds) <= KINDS:
        raise RequestError(f"the offer holds {', '.join(kinds)} (need at most one each of audio, video and data)")
    candidates = sum(line.startswith("a=candidate:") for line in sdp.splitlines())
    if candidates > MAX_CANDIDATES:
        raise RequestError(f"the offer holds more than {MAX_CANDIDATES} candidates (send fewer)")
    _check_security(sections)
    mids = [section.rtp.muxId for section in sections]
    bundled = [mid for group in description.group if group.semantic == "BUNDLE" for mid in group.items]
    if len(set(mids)) < len(mids) or not set(map(str, bundled)) <= set(mids):
        raise RequestError(
            "the offer's BUNDLE group names other sections than it holds (need each a=mid once, RFC 9143)"
        )
    data = _data_section(sections)
    audio, video = _section(sections, "audio"), _section(sections, "video")
    bare = cleaned if data is None else _without_data(cleaned, data)
    layers = next((layers_of(one) for one in _sections(bare)[1:] if one.startswith("m=video")), Layers())
    if layers.names:
        bare = "".join(without_retransmissions(one) for one in _sections(bare)).replace("\n", "\r\n")
    parts, offered = with_kept_types(_sections(bare))
    bare = "".join(parts).replace("\n", "\r\n")
    readable, h264 = _with_readable_h264(bare, receiving=video is not None and video.direction == "sendonly")
    return Offer(
        readable,
        data,
        has_audio=audio is not None,
        has_video=video is not None,
        sends_audio=audio is not None and audio.direction in _SENDS,
        sends_video=video is not None and video.direction in _SENDS,
        takes_audio=audio is not None and audio.direction in _TAKES,
        takes_video=video is not None and video.direction in _TAKES,
        video_codecs=tuple(dict.fromkeys(codec.name.lower() for codec in video.rtp.codecs)) if video else (),
        candidates=candidates,
        formats=_formats(cleaned),
        h264={offered.get(number, number): parameters for number, parameters in h264.items()},
        layers=layers,
        payload_types=offered,
    )


_SENDS, _TAKES = ("sendrecv", "sendonly"), ("sendrecv", "recvonly")


def _section(sections: list[MediaDescription], kind: str) -> MediaDescription | None:
    return next((section for section in sections if section.kind == kind and section.port != 0), None)


def _data_section(sections: list[MediaDescription]) -> DataSection | None:
    for index, section in enumerate(sections):
        if section.kind == "application":
            return DataSection(index, section.profile, " ".join(map(str, section.fmt)), section.rtp.muxId)
    return None


def _without_data(sdp: str, data: DataSection) -> str:
    """Leaves the data section out, and its name out of the bundle."""
    head, *sections = re.split(r"(?m)^(?=m=)", sdp)
    del sections[data.index]
    lines = [
        " ".join(word for word in line.split(" ") if word != data.mid) if line.startswith("a=group:BUNDLE") else line
        for line in head.splitlines()
    ]
    return "".join(["\r\n".join([*lines, ""]), *sections])


def _sections(sdp: str) -> list[str]:
    """Parts a text into what stands before the first media section, and the sections; lines end in ``\\n``."""
    return re.split(r"(?m)^(?=m=)", sdp.replace("\r\n", "\n"))


def _with_lines(answer: str, lines: list[str]) -> str:
    """Appends lines to an answer's video section."""
    sections = _sections(answer)
    appended = [one + "".join(f"{line}\n" for line in lines) if one.startswith("m=video") else one for one in sections]
    return "".join(appended).replace("\n", "\r\n")


def _with_readable_h264(sdp: str, receiving: bool) -> tuple[str, dict[int, str | None]]:
    """Returns the offer with formats of H264 that aiortc lists, and the parameters that the answer has for them."""
    head, *sections = _sections(sdp)
    answered: dict[int, str | None] = {}
    for index, section in enumerate(sections):
        if section.startswith("m=video"):
            sections[index], renamed = with_listed_formats(section, receiving)
            answered |= {one.payload_type: one.answered for one in renamed}
    return "".join([head, *sections]).replace("\n", "\r\n"), answered


_NAMED = 12
"""Codecs that a refusal names."""


def _formats(sdp: str) -> str:
    """Names the codecs of an offer, and the profiles and modes of H264; not those that only repeat what was lost."""
    names: list[str] = []
    for section in _sections(sdp)[1:]:
        h264 = {one.payload_type: str(one) for one in formats_of(section)}
        for payload_type, name in re.findall(r"(?m)^a=rtpmap:(\d{1,3}) ([\w.-]{1,20})/", section):
            if name.lower() not in _AUXILIARY:
                names.append(h264.get(int(payload_type), name))
    unique = list(dict.fromkeys(names))
    return ", ".join(unique[:_NAMED] + (["..."] if len(unique) > _NAMED else [])) or "none by name"


_AUXILIARY = {"rtx", "red", "ulpfec", "flexfec-03", "telephone-event", "cn"}


def _check_security(sections: list[MediaDescription]) -> None:
    for section in sections:
        if section.ice is None or not section.ice.usernameFragment or not section.ice.password:
            raise RequestError(f"the offer's {section.kind} lacks ice-ufrag or ice-pwd (need both, RFC 8839)")
        if section.dtls is None or not section.dtls.fingerprints:
            raise RequestError(f"the offer's {section.kind} lacks a DTLS fingerprint (need a=fingerprint, RFC 8122)")


def _cleaned(sdp: str) -> str:
    """Returns the offer in a form that aiortc reads rightly.

    Candidates that are not to be used are left out. And port 0 does not refuse a section that is ``bundle-only``
    (RFC 9143, 6).
    """
    sections = re.split(r"(?m)^(?=m=)", "\n".join(sdp.splitlines()))
    bundled = [re.sub(r"^(m=\S+) 0 ", r"\1 9 ", one) if "\na=bundle-only" in one else one for one in sections]
    lines = "".join(bundled).splitlines()
    kept = [line for line in lines if not line.startswith("a=candidate:") or _is_used(line)]
    return "\r\n".join(kept) + "\r\n"


def _is_used(line: str) -> bool:
    """Reads a candidate's address and port as aiortc does: fields end at any white space (RFC 8839, 5.1)."""
    fields = line.split()
    return len(fields) > 5 and fields[5].isdecimal() and is_usable(fields[4], int(fields[5]))
