"""Speech features: streamed equals offline, and nothing ahead is seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.testing import assert_close

from mytalk.media_time import FRAME_SAMPLES
from mytalk.presets import PRESETS, SpeechPreset
from mytalk.speech.encoder import EncoderState, SpeechEncoder
from mytalk.speech.factory import build_front
from mytalk.speech.frontend import FeatureExtractor
from mytalk.speech.interfaces import Front
from mytalk.speech.stream import SpeechStream

Samples = NDArray[np.float32]


PRESET = PRESETS["edge"].speech


@pytest.fixture(scope="module", params=["mel", "mel_phones"])
def preset(request: pytest.FixtureRequest) -> SpeechPreset:
    return replace(PRESET, front=request.param)


@pytest.fixture(scope="module")
def encoder(preset: SpeechPreset) -> SpeechEncoder:
    torch.manual_seed(3)
    return SpeechEncoder(preset).eval()


@pytest.fixture(scope="module")
def front(preset: SpeechPreset) -> Front[Any]:
    return build_front(preset)


def offline(encoder: SpeechEncoder, front: Front[Any], samples: Samples) -> torch.Tensor:
    with torch.inference_mode():
        return encoder(front.offline(torch.from_numpy(samples)[None]))[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize("chunk", [1, 160, 640, 1001, 16_000])
def test_streamed_features_equal_offline(
    encoder: SpeechEncoder, front: Front[Any], babble: Samples, chunk: int
) -> None:
    samples = babble[: 2 * 16_000 if chunk > 1 else 3200]
    stream = SpeechStream(FeatureExtractor(encoder, front))
    parts = [stream.push(samples[i : i + chunk])[0] for i in range(0, len(samples), chunk)]
    assert_close(torch.from_numpy(np.concatenate(parts)), offline(encoder, front, samples), rtol=0, atol=2e-3)


def test_packet_sizes_do_not_change_a_bit(encoder: SpeechEncoder, front: Front[Any], babble: Samples) -> None:
    results = []
    for chunk in (160, 1001, 16_000):
        stream = SpeechStream(FeatureExtractor(encoder, front))
        results.append(np.concatenate([stream.push(babble[i : i + chunk])[0] for i in range(0, 32_000, chunk)])[:50])
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@pytest.mark.parametrize("frames", [1, 3, 10])
def test_encoder_in_chunks_equals_whole(encoder: SpeechEncoder, front: Front[Any], frames: int) -> None:
    features = torch.randn(2, 4 * 30, front.width)
    state = EncoderState()
    with torch.inference_mode():
        parts = [encoder(features[:, i : i + 4 * frames], state) for i in range(0, 120, 4 * frames)]
        assert_close(torch.cat(parts, dim=1), encoder(features), rtol=1e-4, atol=1e-5)


def test_features_never_look_ahead(encoder: SpeechEncoder, front: Front[Any], babble: Samples) -> None:
    changed = babble[:32_000].copy()
    changed[20 * FRAME_SAMPLES :] = 0
    before, after = offline(encoder, front, babble[:32_000]), offline(encoder, front, changed)
    assert torch.equal(before[:20], after[:20])
    assert not torch.equal(before[20:], after[20:])


def test_mel_frames_that_are_not_whole_motion_frames_are_refused(encoder: SpeechEncoder) -> None:
    with pytest.raises(ValueError, match="come in fours"):
        encoder(torch.zeros(1, 6, 80))
