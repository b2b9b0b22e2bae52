"""Speech of any usual type, in formats that there are: others are refused before anything is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from fractions import Fraction

import av
import numpy as np
import pytest
from mytalk_client import Audio, ClientError, Error, FormatError, PlaybackFinished, SpeechFormat, connect, connect_sync
from mytalk_client.opus import opus_samples

from tests.streamer.support.sounds import babble
from tests.streamer.support.stream_client import found_in
from tests.streamer.support.waiting import LIMIT_S

PCM48 = SpeechFormat(48_000)


def packets(speech: np.ndarray, frame_ms: float) -> list[bytes]:
    """Opus packets of that length, by libopus."""
    encoder: av.AudioCodecContext = av.CodecContext.create("libopus", "w")
    encoder.format, encoder.layout, encoder.sample_rate = "s16", "mono", 48_000
    encoder.options = {"frame_duration": f"{frame_ms:g}", "application": "lowdelay" if frame_ms < 10 else "audio"}
    frame = av.AudioFrame.from_ndarray(speech[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
    encoder.open()
    size, coded = encoder.frame_size, []
    for start in range(0, len(speech) - size + 1, size):
        piece = av.AudioFrame.from_ndarray(speech[None, start : start + size], format="s16", layout="mono")
        piece.sample_rate, piece.pts, piece.time_base = 48_000, start, Fraction(1, 48_000)
        coded += [bytes(packet) for packet in encoder.encode(piece)]
    return coded


@pytest.mark.parametrize("frame_ms", [2.5, 5, 10, 20, 40, 60, 80, 100, 120])
def test_a_packets_length_is_read_from_its_first_bytes(frame_ms: float) -> None:
    coded = packets(babble(1), frame_ms)
    assert {opus_samples(one) for one in coded} == {round(48 * frame_ms)}
    opus = SpeechFormat(48_000, encoding="opus")
    assert opus.samples(coded[0]) == round(48 * frame_ms)
    assert opus.milliseconds(coded[0]) == -(-round(2 * frame_ms) // 2)


@pytest.mark.parametrize("packet", [b"", b"\x03", b"\x03\x00", bytes([3, 63])])
def test_what_is_no_packet_is_refused(packet: bytes) -> None:
    with pytest.raises(FormatError, match="Opus packet"):
        opus_samples(packet)


@pytest.mark.parametrize("frame_ms", [2.5, 60, 120])
async def test_opus_packets_of_every_length_are_said(url: str, frame_ms: float) -> None:
    coded = packets(babble(1.2), frame_ms)

    async def pieces() -> AsyncIterator[bytes]:
        for one in coded:
            yield one

    async with connect(url, speech=SpeechFormat(48_000, encoding="opus")) as session, asyncio.timeout(LIMIT_S):
        await session.say(pieces())
        async for event in session:
            assert not isinstance(event, Error), event
            if isinstance(event, PlaybackFinished):
                break
    assert event.position == pytest.approx(len(coded) * frame_ms * 16, abs=320)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: SpeechFormat(22_000), "22000.*22050, 24000"),
        (lambda: SpeechFormat(24_000, channels=6), "6 channels .need 1 or 2"),
        (lambda: SpeechFormat(24_000, encoding="opus"), "need 48000"),
        (lambda: SpeechFormat(24_000, encoding="mp3"), "pcm16, opus"),  # type: ignore[arg-type]
    ],
)
def test_a_format_that_there_is_not_is_refused(wrong: Callable[[], object], words: str) -> None:
    with pytest.raises(FormatError, match=words) as refused:
        wrong()
    assert isinstance(refused.value, ClientError)
    assert isinstance(refused.value, ValueError)


async def test_pictures_that_there_are_not_are_refused_before_a_session_is_made() -> None:
    with pytest.raises(FormatError, match="none, h264, jpeg, fmp4"):
        async with connect("http://127.0.0.1:9", video="h265"):  # type: ignore[arg-type]
            pass


@pytest.mark.parametrize(
    "given",
    [
        lambda pcm: pcm,
        lambda pcm: pcm[:, None],
        lambda pcm: (pcm / 32_767).astype(np.float32),
        lambda pcm: pcm / 32_767,
        lambda pcm: bytearray(pcm.tobytes()),
        lambda pcm: memoryview(pcm),
        lambda pcm: np.repeat(pcm, 2)[::2],  # not contiguous
    ],
)
def test_samples_become_the_same_bytes(given: Callable[[np.ndarray], object]) -> None:
    pcm = babble(0.1)
    assert PCM48.payload(given(pcm)) == pcm.tobytes()


def test_samples_of_two_channels_are_interleaved() -> None:
    pcm = np.arange(20, dtype=np.int16).reshape(10, 2)
    assert SpeechFormat(48_000, channels=2).payload(pcm) == pcm.tobytes()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros((2, 100), np.int16), r"shape \(2, 100\) .need \(N,\) or \(N, 1\)"),
        (np.zeros(100, np.int64), "kind 'l'"),
        (np.zeros(100, ">i2"), "kind '>h'"),
        (np.full(100, 20_000, np.float32), "up to 20000 .need -1 to 1"),
        (np.full(100, np.nan, np.float32), "up to nan"),
        (np.zeros(3, "datetime64[s]"), "ndarray"),
        ([0.1, 0.2], "list"),
        ("speech.wav", "str"),
    ],
)
async def test_what_is_no_speech_is_refused_with_its_type(given: object, words: str, url: str) -> None:
    with pytest.raises(FormatError, match=words):
        PCM48.payload(given)
    async with connect(url, speech=PCM48) as session:
        with pytest.raises(FormatError):
            await session.say(given)
    with pytest.raises(FormatError, match="need bytes: one packet"):
        SpeechFormat(48_000, encoding="opus").payload(np.zeros(960, np.int16))


async def test_an_array_is_heard_as_its_bytes_are(url: str) -> None:
    speech = babble(0.5, seed=3)

    def script() -> np.ndarray:
        sounds = []
        with connect_sync(url, speech=PCM48, audio=True) as session:
            session.say((speech / 32_767).astype(np.float32))
            with pytest.raises(FormatError, match="int"):
                session.say(5)
            for event in session:
                if isinstance(event, Audio):
                    sounds.append(np.frombuffer(event.data, "<i2")[::2])
                if isinstance(event, PlaybackFinished):
                    break
            sounds += [
                np.frombuffer(event.data, "<i2")[::2] for _ in range(20) if isinstance(event := session.next(30), Audio)
            ]
        return np.concatenate(sounds)

    assert found_in(speech, await asyncio.wait_for(asyncio.to_thread(script), LIMIT_S)) >= 0


async def test_whole_samples_alone_belong_to_a_picture(url: str) -> None:
    async with connect(url, speech=PCM48) as session:
        with pytest.raises(FormatError, match="multiple of 2"):
            await session.dub(b"\0\0\0", 16_000)
