"""Fragmented MP4: any player's parser understands it, and sound and picture stand where media time has them."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from mytalk.picture import Picture, VideoFrame
from streamer.client_stream.output import StreamOutput
from streamer.executors import Pool
from streamer.media.audio import SpeechChunk
from streamer.outputs.fmp4 import PRIMING, Fmp4
from streamer.protocol.messages import Output
from streamer.protocol.packets import Flags
from streamer.webrtc.broadcast import Broadcast
from tests.streamer.support.broadcasts import encoded_of

BEGIN = 32_000  # media time: the session is two seconds old


def encoder(size: int) -> Any:
    codec: Any = av.CodecContext.create("libx264", "w")
    codec.width = codec.height = size
    codec.pix_fmt, codec.time_base, codec.framerate, codec.gop_size = "yuv420p", Fraction(1, 16_000), Fraction(25), 50
    codec.options, codec.profile = {"preset": "superfast", "tune": "zerolatency"}, "Baseline"
    return codec


def film(mp4: Fmp4, codec: Any, ticks: range) -> list[tuple[bytes, Flags]]:
    """20 ms a tick: sound always, a picture every other; once a second a flash of one picture, and a tone with it."""
    segments = []
    for tick in ticks:
        at, flash = BEGIN + 320 * tick, tick // 2 % 25 == 10
        if tick % 2 == 0:
            rgb = np.full((codec.height, codec.width, 3), 255 if flash else 20, np.uint8)
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = at, Fraction(1, 16_000)
            for packet in codec.encode(frame):
                size = (codec.width, codec.height)
                segments += mp4.picture(bytes(packet), packet.pts * 90_000 // 16_000, *size, key=packet.is_keyframe)
        tone = (20_000 * np.sin(np.arange(960) * 0.1)).astype(np.int16) if flash else np.zeros(960, np.int16)
        segments += mp4.sound(SpeechChunk(at, np.repeat(tone[:, None], 2, axis=1)))
    return segments


def test_a_flash_and_its_tone_are_seen_and_heard_together_and_when_they_were_meant() -> None:
    segments = film(Fmp4(), encoder(128), range(300))
    assert [flags for _, flags in segments[:2]] == [Flags.INIT, Flags.KEYFRAME]
    data = b"".join(part for part, _ in segments)
    with av.open(io.BytesIO(data)) as shown:
        flashes = [
            float(frame.pts * frame.time_base)
            for frame in shown.decode(video=0)
            if frame.to_ndarray(format="gray").mean() > 128
        ]
    with av.open(io.BytesIO(data)) as heard:
        loud = [
            float(frame.pts * frame.time_base) + place / 48_000
            for frame in heard.decode(audio=0)
            for place in np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.2)
        ]
    tones = [moment for moment, before in zip(loud, [0.0, *loud], strict=False) if moment - before > 0.2]
    meant = BEGIN / 16_000 + 0.4 + PRIMING / 48_000 + np.arange(6)
    assert np.allclose(flashes, meant, atol=0.001)
    assert np.allclose(tones, meant, atol=0.003)


@pytest.mark.parametrize("video", ["fmp4", "h264"])
async def test_a_websockets_pictures_keep_the_cameras_intervals(video: Any, codecs: Pool) -> None:
    """In MP4 to the unit; beside H264 stands media time."""
    broadcast, given, sent = Broadcast(codecs), [n * 3003 for n in range(30)], []
    output = StreamOutput(lambda kind, flags, at, data: sent.append((at, data)), lambda: False, broadcast, codecs)
    output.choose(Output(video=video))
    output.picture(VideoFrame(Picture.from_rgb(np.zeros((96, 96, 3), np.uint8)), 0, 0, Fraction(1, 25)))  # its size
    ats = await encoded_of(broadcast, given)
    output.close()
    if video == "h264":
        assert [at for at, _ in sent] == ats
        return
    assert [at for at, _ in sent[1:]] == ats
    with av.open(io.BytesIO(b"".join(data for _, data in sent))) as shown:
        stamps = [frame.pts for frame in shown.decode(video=0)]
        assert shown.streams.video[0].time_base == Fraction(1, 90_000)
    assert [stamp - stamps[0] for stamp in stamps] == given


def test_another_size_begins_another_mp4() -> None:
    mp4 = Fmp4()
    first = film(mp4, encoder(128), range(20))
    second = film(mp4, encoder(64), range(20, 60))
    begin = next(place for place, (_, flags) in enumerate(second) if flags is Flags.INIT)
    for segments, size in ((first, 128), (second[begin:], 64)):
        with av.open(io.BytesIO(b"".join(part for part, _ in segments))) as shown:
            assert {frame.width for frame in shown.decode(video=0)} == {size}


def test_it_begins_with_a_keyframe_and_nothing_comes_before() -> None:
    mp4, codec = Fmp4(), encoder(128)
    assert mp4.sound(SpeechChunk(0, np.zeros((960, 2), np.int16))) == []
    frame = av.VideoFrame.from_ndarray(np.zeros((128, 128, 3), np.uint8), format="rgb24").reformat(format="yuv420p")
    frame.pts = 0
    [packet] = codec.encode(frame)
    frame.pts = 640
    [later] = codec.encode(frame)
    assert mp4.picture(bytes(later), 3600, 128, 128, key=False) == []
    assert [flags for _, flags in mp4.picture(bytes(packet), 0, 128, 128, key=True)] == [Flags.INIT, Flags.KEYFRAME]
