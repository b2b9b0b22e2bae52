"""The paper's audio encoder: its size, causal, and the same in chunks through the stream."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.testing import assert_close

from mytalk.presets import PRESETS, SpeechPreset
from mytalk.speech.conformer import ConformerEncoder
from mytalk.speech.frontend import FeatureExtractor
from mytalk.speech.state_batching import select_state, stack_states
from mytalk.speech.stream import SpeechStream
from mytalk.speech.wav2vec import Wav2Vec2
from mytalk.speech.wav2vec_loader import load_wav2vec

SMALL = SpeechPreset(
    width=32, kernel=5, front="wav2vec2", features=64, hidden=48, layers=2, heads=4, ffn=96, lookback=12
)


@pytest.fixture(scope="module")
def encoder() -> ConformerEncoder:
    torch.manual_seed(2)
    return ConformerEncoder(SMALL).eval()


@pytest.fixture(scope="module")
def front(make_network: Callable[..., Path]) -> Wav2Vec2:
    return load_wav2vec(make_network(), lookback=12)


def run(encoder: ConformerEncoder, features: Tensor, tokens: int) -> Tensor:
    state = encoder.start(len(features))
    return torch.cat([encoder(part, state) for part in features.split(tokens, dim=1)], dim=1)


def test_sizes_are_those_of_table_9() -> None:
    with torch.device("meta"):
        encoder = ConformerEncoder(PRESETS["paper"].speech)
    downsample = sum(weight.numel() for weight in encoder.downsample.parameters())
    whole = sum(weight.numel() for weight in encoder.parameters())
    assert downsample == 3 * 512 * 512 + 512
    assert abs((whole - downsample) / 24.6e6 - 1) < 0.03


@pytest.mark.parametrize("tokens", [2, 6, 14])
def test_encoder_in_chunks_equals_whole_at_every_age(encoder: ConformerEncoder, tokens: int) -> None:
    features = torch.randn(2, 120, 64, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        assert_close(run(encoder, features, tokens), encoder(features), rtol=0, atol=1e-4)


@pytest.mark.parametrize("chunk", [1, 160, 640, 1001, 16_000])
def test_streamed_speech_equals_offline(
    encoder: ConformerEncoder, front: Wav2Vec2, babble: NDArray[np.float32], chunk: int
) -> None:
    samples = babble[: 3 * 16_000 + 17 if chunk > 1 else 3217]
    stream = SpeechStream(FeatureExtractor(encoder, front), 3)
    parts = [stream.push(samples[i : i + chunk]) for i in range(0, len(samples), chunk)]
    parts.append(stream.finish())
    with torch.no_grad():
        offline = encoder(front.offline(torch.from_numpy(samples)[None]))[0]
    assert len(offline) == len(samples) // 640
    assert_close(torch.from_numpy(np.concatenate([features for features, *_ in parts])), offline, rtol=0, atol=1e-4)
    assert sum(len(part.levels) for part in parts) == len(offline)


def test_packet_sizes_do_not_change_a_bit(
    encoder: ConformerEncoder, front: Wav2Vec2, babble: NDArray[np.float32]
) -> None:
    results = []
    for chunk in (160, 1001, 16_000):
        stream = SpeechStream(FeatureExtractor(encoder, front), 3)
        parts = [stream.push(babble[i : min(i + chunk, 16_000)])[0] for i in range(0, 16_000, chunk)]
        results.append(np.concatenate([*parts, stream.finish()[0]]))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_frames_see_their_own_tokens_and_a_bounded_past(encoder: ConformerEncoder) -> None:
    features = torch.randn(1, 160, 64, generator=torch.Generator().manual_seed(4))
    changed = features.clone()
    changed[:, 60:62] = 0
    with torch.no_grad():
        moved = (encoder(features) - encoder(changed))[0].abs().amax(-1)
    assert float(moved[:30].max()) < 1e-6
    assert float(moved[30]) > 1e-2
    reach = 30 + 2 * 12 + 5  # two layers of twelve motion frames, two kernels of five tokens, one frame of downsampling
    assert float(moved[reach + 1 :].max()) < 1e-6
    assert float(moved[31:40].min()) > 1e-6


def test_sessions_of_different_age_share_a_batch(encoder: ConformerEncoder) -> None:
    features = torch.randn(2, 26, 64)
    old, new = encoder.start(), encoder.start()
    with torch.no_grad():
        encoder(features[:1, :20], old)
        both = stack_states([old, new])
        together = encoder(features[:, 20:24], both)
        assert_close(together[:1], encoder(features[:1, 20:24], old), rtol=0, atol=1e-5)
        assert_close(together[1:], encoder(features[1:, 20:24], new), rtol=0, atol=1e-5)
        again = encoder(features[1:, 24:], select_state(both, 1))
        assert_close(again, encoder(features[1:, 24:], new), rtol=0, atol=1e-5)


def test_half_a_motion_frame_is_refused(encoder: ConformerEncoder) -> None:
    with pytest.raises(ValueError, match="come in pairs"):
        encoder(torch.zeros(1, 3, 64))
