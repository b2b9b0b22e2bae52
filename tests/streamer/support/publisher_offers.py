"""Offers in the manner of programs that publish by WHIP, with what each does otherwise than browsers.

- ``gstreamer``: as ``webrtcbin`` of GStreamer 1.22 made it here (``gstreamer_publisher.py``), on which ``whipsink`` and
  ``whipclientsink`` stand: sections with mids of their own, the second ``bundle-only`` with port 0, ``OPUS`` in capital
  letters, TCP and link-local candidates, parameter sets in ``fmtp``, no ``a=msid-semantic``.
- ``ffmpeg``: FFmpeg's WHIP muxer (``libavformat/whip.c``): no candidates, a session name, ``a=setup:passive`` beside
  ``actpass`` of older versions, one format of H264. Its muxer itself publishes in ``test_third_parties.py``.
- ``pion``: Go's stack, of MediaMTX and LiveKit's tools: the fingerprint of the whole session alone, several formats of
  H264 with their retransmissions, ``a=msid-semantic:WMS*``, candidates with an end.
- ``mobile``: Google's stack on a phone, as of Larix Broadcaster: the phone's own encoder first (High, level 3.1), VP8
  and others after it, header extensions, and a data-less bundle. Made from the stack's documented defaults: no phone
  was at hand.
"""

from __future__ import annotations

_FINGERPRINT = ":".join(["5A"] * 32)
_ICE = ("a=ice-ufrag:k1EtxXE6trR1", "a=ice-pwd:GMG+d7CNGx+xBikc5gQ/GZkH")
_SECURE = (*_ICE, f"a=fingerprint:sha-256 {_FINGERPRINT}")


def _sdp(*lines: str) -> str:
    return "".join(f"{line}\r\n" for line in lines)


GSTREAMER = _sdp(
    "v=0",
    "o=- 7369116633374085154 0 IN IP4 0.0.0.0",
    "s=-",
    "t=0 0",
    "a=ice-options:trickle",
    "a=group:BUNDLE video0 audio1",
    "m=video 9 UDP/TLS/RTP/SAVPF 96",
    "c=IN IP4 0.0.0.0",
    "a=setup:actpass",
    *_SECURE,
    "a=rtcp-mux",
    "a=rtcp-rsize",
    "a=sendonly",
    "a=rtpmap:96 H264/90000",
    "a=rtcp-fb:96 nack pli",
    "a=rtcp-fb:96 ccm fir",
    "a=rtcp-fb:96 transport-cc",
    "a=framerate:25",
    "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0LAFdoFB+wFqDAwNSgAAAMACAAAAwGUeLF1,aM48gA==;"
    "profile-level-id=42c015;level-asymmetry-allowed=1",
    "a=ssrc:2459422882 msid:user2430460584@host-1 webrtctransceiver0",
    "a=ssrc:2459422882 cname:user2430460584@host-1",
    "a=mid:video0",
    "a=rtcp-mux-only",
    "a=candidate:1 1 UDP 2015363327 192.0.2.2 42217 typ host",
    "a=candidate:2 1 TCP 1015021823 192.0.2.2 9 typ host tcptype active",
    "a=candidate:7 1 UDP 2015363839 fe80::fc:ff:fe00:1 45081 typ host",
    "m=audio 0 UDP/TLS/RTP/SAVPF 97",
    "c=IN IP4 0.0.0.0",
    "a=setup:actpass",
    *_SECURE,
    "a=bundle-only",
    "a=rtcp-mux",
    "a=rtcp-rsize",
    "a=sendonly",
    "a=rtpmap:97 OPUS/48000/2",
    "a=rtcp-fb:97 transport-cc",
    "a=fmtp:97 sprop-stereo=0;sprop-maxcapturerate=48000",
    "a=ssrc:3959370018 msid:user2430460584@host-1 webrtctransceiver1",
    "a=ssrc:3959370018 cname:user2430460584@host-1",
    "a=mid:audio1",
    "a=rtcp-mux-only",
)

FFMPEG = _sdp(
    "v=0",
    "o=FFmpeg 4489045141692799359 2 IN IP4 127.0.0.1",
    "s=FFmpegPublishSession",
    "t=0 0",
    "a=group:BUNDLE 0 1",
    "a=extmap-allow-mixed",
    "a=msid-semantic: WMS",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "c=IN IP4 0.0.0.0",
    *_SECURE,
    "a=setup:passive",
    "a=mid:0",
    "a=sendonly",
    "a=msid:FFmpeg audio",
    "a=rtcp-mux",
    "a=rtpmap:111 opus/48000/2",
    "a=ssrc:4267647086 cname:FFmpeg",
    "m=video 9 UDP/TLS/RTP/SAVPF 106 105",
    "c=IN IP4 0.0.0.0",
    *_SECURE,
    "a=setup:passive",
    "a=mid:1",
    "a=sendonly",
    "a=msid:FFmpeg video",
    "a=rtcp-mux",
    "a=rtcp-rsize",
    "a=rtpmap:106 H264/90000",
    "a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    "a=rtcp-fb:106 nack",
    "a=rtpmap:105 rtx/90000",
    "a=fmtp:105 apt=106",
    "a=ssrc-group:FID 107169110 107169111",
    "a=ssrc:107169110 cname:FFmpeg",
    "a=ssrc:107169111 cname:FFmpeg",
)

_PION_H264 = ((102, 121, "42001f", 1), (127, 120, "42001f", 0), (125, 107, "42e01f", 1), (123, 118, "640032", 1))

PION = _sdp(
    "v=0",
    "o=- 3497579305778465917 1680270000 IN IP4 0.0.0.0",
    "s=-",
    "t=0 0",
    "a=msid-semantic:WMS*",
    f"a=fingerprint:sha-256 {_FINGERPRINT}",
    "a=extmap-allow-mixed",
    "a=group:BUNDLE 0 1",
    "m=video 9 UDP/TLS/RTP/SAVPF 102 121 127 120 125 107 123 118",
    "c=IN IP4 0.0.0.0",
    "a=setup:actpass",
    "a=mid:0",
    *_ICE,
    "a=rtcp-mux",
    "a=rtcp-rsize",
    *(
        line
        for number, again, profile, mode in _PION_H264
        for line in (
            f"a=rtpmap:{number} H264/90000",
            f"a=fmtp:{number} level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={profile}",
            *(f"a=rtcp-fb:{number} {feedback}" for feedback in ("goog-remb", "ccm fir", "nack", "nack pli")),
            f"a=rtpmap:{again} rtx/90000",
            f"a=fmtp:{again} apt={number}",
        )
    ),
    "a=ssrc:1823804162 cname:video",
    "a=msid:stream video",
    "a=sendonly",
    "a=candidate:233762139 1 udp 2130706431 192.0.2.7 52110 typ host ufrag k1EtxXE6trR1",
    "a=candidate:233762139 2 udp 2130706431 192.0.2.7 52110 typ host ufrag k1EtxXE6trR1",
    "a=end-of-candidates",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "c=IN IP4 0.0.0.0",
    "a=setup:actpass",
    "a=mid:1",
    *_ICE,
    "a=rtcp-mux",
    "a=rtcp-rsize",
    "a=rtpmap:111 opus/48000/2",
    "a=fmtp:111 minptime=10;useinbandfec=1",
    "a=ssrc:1823804163 cname:audio",
    "a=sendonly",
)

_EXTENSIONS = (
    "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
    "a=extmap:13 urn:3gpp:video-orientation",
)

MOBILE = _sdp(
    "v=0",
    "o=- 5136253479482373482 2 IN IP4 127.0.0.1",
    "s=-",
    "t=0 0",
    "a=group:BUNDLE 0 1",
    "a=extmap-allow-mixed",
    "a=msid-semantic: WMS stream",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 126",
    "c=IN IP4 0.0.0.0",
    "a=rtcp:9 IN IP4 0.0.0.0",
    *_SECURE,
    "a=ice-options:trickle renomination",
    "a=setup:actpass",
    "a=mid:0",
    *_EXTENSIONS[:3],
    "a=sendonly",
    "a=msid:stream audio",
    "a=rtcp-mux",
    "a=rtcp-rsize",
    "a=rtpmap:111 opus/48000/2",
    "a=rtcp-fb:111 transport-cc",
    "a=fmtp:111 minptime=10;useinbandfec=1",
    "a=rtpmap:63 red/48000/2",
    "a=fmtp:63 111/111",
    "a=rtpmap:9 G722/8000",
    "a=rtpmap:13 CN/8000",
    "a=rtpmap:126 telephone-event/8000",
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 100 101 35 125",
    "c=IN IP4 0.0.0.0",
    "a=rtcp:9 IN IP4 0.0.0.0",
    *_SECURE,
    "a=ice-options:trickle renomination",
    "a=setup:actpass",
    "a=mid:1",
    *_EXTENSIONS,
    "a=sendonly",
    "a=msid:stream video",
    "a=rtcp-mux",
    "a=rtcp-rsize",
    "a=rtpmap:96 H264/90000",
    "a=rtcp-fb:96 nack pli",
    "a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f",
    "a=rtpmap:97 rtx/90000",
    "a=fmtp:97 apt=96",
    "a=rtpmap:98 H264/90000",
    "a=rtcp-fb:98 nack pli",
    "a=fmtp:98 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    "a=rtpmap:99 rtx/90000",
    "a=fmtp:99 apt=98",
    "a=rtpmap:100 VP8/90000",
    "a=rtcp-fb:100 nack pli",
    "a=rtpmap:101 rtx/90000",
    "a=fmtp:101 apt=100",
    "a=rtpmap:35 AV1/90000",
    "a=rtpmap:125 flexfec-03/90000",
)

OFFERS = {"gstreamer": GSTREAMER, "ffmpeg": FFMPEG, "pion": PION, "mobile": MOBILE}
"""By who makes them."""
