"""Renames payload types of an offer that aiortc would answer with others.

aiortc 1.16.0 answers with the offered payload type where it is 96 or more, and otherwise with one of its own, which the
offer may have given to another format. A browser that offers many formats goes on with 35 to 63 (RFC 8843, 10.1.2; RFC
5761, 4). Here aiortc reads other numbers of 96 and more, and gets the offered ones back before it answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

KEPT = range(96, 128)
"""Payload types that aiortc answers with."""

_LOW = range(64)
"""Payload types that are renamed. Those from 64 to 95 look like RTCP on the port of media (RFC 5761, 4)."""

_TAKEN = ("opus", "vp8", "h264")
_NUMBERED = re.compile(r"a=(?:rtpmap|fmtp|rtcp-fb):(\d{1,3}) ")
_NAMED = re.compile(r"(?m)^a=rtpmap:(\d{1,3}) ([\w.-]+)/")
_RETRANSMITS = re.compile(r"(?m)^a=fmtp:(\d{1,3}) (?:.*;\s*)?apt=(\d{1,3})\b")


def with_kept_types(sections: list[str]) -> tuple[list[str], dict[int, int]]:
    """Returns an offer's parts, and for each payload type that is another there, the one that was offered.

    ``sections``: what stands before the first media section, and the media sections, with lines that end in ``\\n``.
    Where types are renamed, formats that no session takes are left out: there may be no other number free.
    """
    taken = [_taken(section) for section in sections]
    low = [number for one in taken for number in one if number in _LOW]
    if not low:
        return sections, {}
    used = {number for one in taken for number in one}
    free = (number for number in KEPT if number not in used)
    renamed = dict(zip(dict.fromkeys(low), free, strict=False))
    kept = [{number: renamed.get(number, number) for number in one if _is_kept(number, renamed)} for one in taken]
    rewritten = [
        _rewritten(section, types) if types else section for section, types in zip(sections, kept, strict=True)
    ]
    return rewritten, {ours: offered for offered, ours in renamed.items()}


def _is_kept(number: int, renamed: Mapping[int, int]) -> bool:
    return number in KEPT or number in renamed


def _taken(section: str) -> list[int]:
    """Lists the formats that a session may take, and their retransmissions, in the order of the ``m=`` line."""
    names = {int(number): name.lower() for number, name in _NAMED.findall(section)}
    repeats = {int(number): int(of) for number, of in _RETRANSMITS.findall(section)}
    media = {number for number, name in names.items() if name in _TAKEN}
    again = {number for number, name in names.items() if name == "rtx" and repeats.get(number) in media}
    return [number for number in _listed(section) if number in media | again]


def _listed(section: str) -> Iterator[int]:
    words = section.partition("\n")[0].split()[3:] if section.startswith("m=") else []
    return (int(word) for word in words if word.isdecimal())


def _rewritten(section: str, types: Mapping[int, int]) -> str:
    """Writes a section with the formats of ``types`` alone, by their new numbers."""
    first, *lines = section.splitlines()
    fields = [*first.split()[:3], *(str(types[number]) for number in _listed(section) if number in types)]
    written = [" ".join(fields)]
    for line in lines:
        found = _NUMBERED.match(line)
        if found is None:
            written.append(line)
        elif (number := types.get(int(found[1]))) is not None:
            rest = re.sub(r"(?<=\bapt=)\d+", lambda apt: str(types.get(int(apt[0]), apt[0])), line[found.end(1) :])
            written.append(f"{line[: found.start(1)]}{number}{rest}")
    return "".join(f"{line}\n" for line in written)
