"""Takes offers that send one picture in several sizes at once (simulcast, RFC 8853), and the best of these layers.

OBS goes live only where the answer takes every layer that it offers. All layers then come, and one is decoded.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from aiortc.rtp import RtpPacket

MOST_LAYERS = 4
"""Layers that an answer takes: OBS offers that many."""

STREAM_ID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
"""Header extension that names a packet's layer (RFC 8852). The layers differ in SSRC as well."""

FIRST_LOOK, LOOK = 0.3, 2.0
"""Seconds over which layers are compared: before the first packet is passed on, and from then on."""

BETTER = 1.5
"""Times as many bytes as the chosen layer that another must bring to be chosen in its place."""

HELD_BYTES = 4 << 20
"""Bytes that are held during the first look. Full: it ends."""


@dataclass(frozen=True, slots=True)
class Layers:
    """Holds what an offer says of its layers: their names, best first or last, and its extension of their names."""

    names: tuple[str, ...] = ()
    extension: str | None = None

    def answered(self) -> list[str]:
        """Returns the lines of the answer's video section that take all of them."""
        if not self.names:
            return []
        extension = [f"a=extmap:{self.extension} {STREAM_ID}"] if self.extension is not None else []
        named = [f"a=rid:{name} recv" for name in self.names]
        return [*extension, *named, f"a=simulcast:recv {';'.join(self.names)}"]


def layers_of(section: str) -> Layers:
    """Reads the layers that a video section offers to send. None where it offers one alone, without a name."""
    sent = re.search(r"(?m)^a=simulcast:.*?\bsend ([\w~,;-]+)", section)
    rids = set(re.findall(r"(?m)^a=rid:([\w-]{1,32}) send", section))
    if sent is None or not rids:
        return Layers()
    first = [alternatives.split(",")[0].lstrip("~") for alternatives in sent[1].split(";")]
    extension = re.search(rf"(?m)^a=extmap:(\d{{1,3}})(?:/\w+)? {re.escape(STREAM_ID)}", section)
    names = tuple(dict.fromkeys(name for name in first if name in rids))[:MOST_LAYERS]
    return Layers(names, extension[1] if extension else None)


def without_retransmissions(section: str) -> str:
    """Returns a media section without formats of retransmission: which layer theirs belongs to, aiortc cannot tell.

    Lost packets then come again in the layer itself.
    """
    types = re.findall(r"(?mi)^a=rtpmap:(\d{1,3}) rtx/", section)
    for one in types:
        section = re.sub(rf"(?m)^a=(?:rtpmap|fmtp|rtcp-fb):{one} .*\n", "", section)
        section = re.sub(rf"^(m=.*?) {one}(?= |$)", r"\1", section, flags=re.MULTILINE)
    return section


@dataclass(slots=True)
class BestLayer:
    """Passes on the packets of the layer that brings most bytes: the largest picture. Sans-IO.

    During the first look packets are held, so that the layer that is chosen loses none. ``switches`` counts the
    changes from one layer to another, after which a keyframe is needed.
    """

    chosen: int | None = None  # SSRC
    switches: int = 0
    _held: list[RtpPacket] = field(default_factory=list)
    _bytes: Counter[int] = field(default_factory=Counter)  # of this look, by SSRC
    _since: float | None = None  # seconds, when it began

    def add(self, packet: RtpPacket, now: float) -> list[RtpPacket]:
        """Takes the next packet, at ``now`` (s), and returns those to be passed on."""
        if self._since is None:
            self._since = now
        self._bytes[packet.ssrc] += len(packet.payload)
        if self.chosen is None:
            self._held.append(packet)
            if now - self._since < FIRST_LOOK and self._bytes.total() < HELD_BYTES:
                return []
            self.chosen = self._largest()
            passed, self._held = [one for one in self._held if one.ssrc == self.chosen], []
            self._begin(now)
            return passed
        if now - self._since >= LOOK:
            largest = self._largest()
            if self._bytes[largest] > BETTER * self._bytes[self.chosen]:
                self.chosen = largest
                self.switches += 1
            self._begin(now)
        return [packet] if packet.ssrc == self.chosen else []

    def _largest(self) -> int:
        return max(self._bytes, key=lambda ssrc: self._bytes[ssrc])

    def _begin(self, now: float) -> None:
        self._bytes.clear()
        self._since = now
