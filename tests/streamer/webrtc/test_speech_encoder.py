"""Speech that the server encodes itself, among packets that are only passed on."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import pytest

from streamer.media.audio import CHUNK, CHUNK_TIME, SpeechChunk
from streamer.webrtc.speech_encoder import SPEECH_BITRATE, SpeechEncoder


def chunk(number: int, level: int = 0) -> SpeechChunk:
    moments = np.arange(number * CHUNK, (number + 1) * CHUNK) / 48_000
    tone = (level * np.sin(2 * np.pi * 300 * moments)).astype(np.int16)
    return SpeechChunk(number * CHUNK_TIME, np.repeat(tone[:, None], 2, axis=1))


def test_a_chunk_is_one_packet_of_its_20_ms_wherever_it_is_on_the_timeline() -> None:
    encoder, decoder = SpeechEncoder(), av.CodecContext.create("libopus", "r")
    for number in (50, 51, 100, 3, 4):  # packets that were passed on lie between
        packet = encoder.encode(chunk(number, 9_000))
        assert packet is not None
        [frame] = decoder.decode(av.Packet(packet))  # type: ignore[attr-defined]
        assert frame.samples == CHUNK
        level = float(np.abs(frame.to_ndarray()).max())
    assert level > 0.2


def test_speech_is_encoded_for_fidelity() -> None:
    rng, encoder = np.random.default_rng(1), SpeechEncoder()
    noise = [SpeechChunk(n * CHUNK_TIME, rng.integers(-9_000, 9_000, (CHUNK, 2)).astype(np.int16)) for n in range(100)]
    size = sum(len(encoder.encode(one) or b"") for one in noise)
    assert 0.8 * SPEECH_BITRATE < 8 * size / 2 < 1.2 * SPEECH_BITRATE


def test_an_encoder_that_failed_begins_again() -> None:
    encoder = SpeechEncoder()
    assert encoder.encode(chunk(0))
    wrong: Any = SpeechChunk(CHUNK_TIME, chunk(1).samples, packet=b"a packet that came in is no frame")
    with pytest.raises((TypeError, AttributeError)):
        encoder.encode(wrong)
    assert encoder.encode(chunk(2))
