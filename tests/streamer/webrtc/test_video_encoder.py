"""Pictures encoded once: they can be decoded, begin anew when asked, and arrive in RTP as FFmpeg and browsers want."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from aiortc.codecs.h264 import h264_depayload
from aiortc.codecs.vpx import vp8_depayload

from mytalk import Picture
from mytalk.media_time import to_samples
from mytalk.picture import Matte, VideoFrame
from streamer.webrtc.encoded import Encoded
from streamer.webrtc.video_encoder import ENCODERS, TRANSPARENT, VideoEncoder, encoder_of
from tests.streamer.support.pictures import number_of, numbered

DECODERS = {"h264": "h264", "vp8": "libvpx"}
DEPAYLOAD: dict[str, Any] = {"h264": h264_depayload, "vp8": vp8_depayload}


def frame(index: int, size: int = 256) -> VideoFrame:
    return VideoFrame(Picture.from_rgb(numbered(index, size)), index * 640, index, Fraction(1, 25))


def encode(encoder: VideoEncoder, index: int, size: int = 256, *, keyframe: bool = False) -> Encoded:
    encoded = encoder.encode(frame(index, size), ntp=index, keyframe=keyframe)
    assert encoded is not None
    return encoded


@pytest.fixture(params=sorted(ENCODERS))
def codec(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_transparent_picture_has_its_alpha_beside_it() -> None:
    alone = Picture.from_rgb(numbered(3))
    matte = Matte(np.full((256, 256), 200, np.uint8), alone, kept=True)
    whole = replace(alone, cutout=replace(alone, matte=matte))
    encoder, decoder = encoder_of(TRANSPARENT), av.CodecContext.create("libvpx", "r")
    encoded = encoder.encode(VideoFrame(whole, 0, 0, Fraction(1, 25)), ntp=0)
    assert encoded is not None
    packet = av.Packet(encoded.data)
    packet.set_sidedata(encoded.alpha)
    [picture] = decoder.decode(packet)  # type: ignore[attr-defined]
    rgba = picture.to_ndarray(format="rgba")
    assert number_of(rgba[..., :3]) == 3
    assert abs(int(rgba[128, 128, 3]) - 200) <= 2


def test_every_picture_comes_out_at_once_at_its_own_time(codec: str) -> None:
    encoder, decoder = ENCODERS[codec](), av.CodecContext.create(DECODERS[codec], "r")
    for index in range(10):
        encoded = encode(encoder, index)
        assert (encoded.timestamp, encoded.ntp) == (index * 3600, index)
        assert encoded.key == (index == 0)
        [picture] = decoder.decode(av.Packet(encoded.data))  # type: ignore[attr-defined]
        assert number_of(picture.to_ndarray(format="rgb24")) == index


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001), Fraction(60)])
def test_timestamps_keep_the_sources_intervals_to_the_unit(codec: str, rate: Fraction) -> None:
    encoder, moved = ENCODERS[codec](), 12_345  # samples, from the source's time to media time
    ats, stamps = [], []
    for index in range(40):
        at = to_samples(index, 1 / rate) + moved
        encoded = encoder.encode(VideoFrame(Picture.from_rgb(numbered(index, 96)), at, index, 1 / rate), ntp=0)
        assert encoded is not None
        ats.append(encoded.at - at)
        stamps.append(encoded.timestamp)
    assert not any(ats)
    assert [stamp - stamps[0] for stamp in stamps] == [round(index * 90_000 / rate) for index in range(40)]


def test_payloads_fit_a_packet_and_hold_the_same_picture(codec: str) -> None:
    encoder, decoder = ENCODERS[codec](), av.CodecContext.create(DECODERS[codec], "r")
    noise = np.random.default_rng(3).integers(0, 255, (256, 256, 3)).astype(np.uint8)
    encoded = encoder.encode(VideoFrame(Picture.from_rgb(noise), 0, 0, Fraction(1, 25)), 0)
    assert encoded is not None
    assert len(encoded.payloads) > 5
    assert max(map(len, encoded.payloads)) <= 1300
    joined = b"".join(DEPAYLOAD[codec](payload) for payload in encoded.payloads)
    assert len(decoder.decode(av.Packet(joined))) == 1  # type: ignore[attr-defined]


def test_a_viewer_can_begin_at_any_keyframe_that_was_asked_for(codec: str) -> None:
    encoder, late = ENCODERS[codec](), av.CodecContext.create(DECODERS[codec], "r")
    encoded = [encode(encoder, index, keyframe=index == 5) for index in range(8)]
    assert [one.key for one in encoded] == [index in (0, 5) for index in range(8)]
    seen = [late.decode(av.Packet(one.data)) for one in encoded[5:]]  # type: ignore[attr-defined]
    assert [number_of(pictures[0].to_ndarray(format="rgb24")) for pictures in seen] == [5, 6, 7]


def test_another_size_or_bitrate_begins_with_a_keyframe(codec: str) -> None:
    encoder = ENCODERS[codec]()
    encode(encoder, 0)
    assert encode(encoder, 1, size=320).key
    encoder.bitrate = encoder.bitrate * 105 // 100
    assert not encode(encoder, 2, size=320).key
    encoder.bitrate //= 2
    assert encode(encoder, 3, size=320).key


def test_a_lower_bitrate_sends_less(codec: str) -> None:
    rng, sizes = np.random.default_rng(5), []
    pictures = [Picture.from_rgb(rng.integers(0, 255, (256, 256, 3)).astype(np.uint8)) for _ in range(10)]
    for bitrate in (4_000_000, 400_000):
        encoder = ENCODERS[codec]()
        encoder.bitrate = bitrate
        size = 0
        for index in range(50):
            encoded = encoder.encode(VideoFrame(pictures[index % 10], index * 640, index, Fraction(1, 25)), 0)
            size += len(encoded.data) if encoded is not None else 0
        sizes.append(size * 8 / 2)
    assert sizes[1] < 0.5 * sizes[0]


def test_an_encoder_that_failed_begins_again(codec: str) -> None:
    encoder = ENCODERS[codec]()
    encode(encoder, 0)

    class Broken:
        width = height = 256
        bit_rate = encoder.bitrate

        def encode(self, picture: object) -> None:
            raise ValueError("broken")

    encoder._codec = Broken()
    with pytest.raises(ValueError, match="broken"):
        encode(encoder, 1)
    assert encode(encoder, 2).key
