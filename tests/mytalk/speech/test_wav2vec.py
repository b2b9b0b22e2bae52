"""wav2vec 2.0 live: streamed equals offline, nothing ahead is seen, and it is the published network that hears."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from mytalk.media_time import FRAME_SAMPLES
from mytalk.speech.attention import block_mask
from mytalk.speech.state_batching import select_state, stack_states
from mytalk.speech.wav2vec import Wav2Vec2
from mytalk.speech.wav2vec_loader import load_wav2vec

NetworkMaker = Callable[..., Path]
KINDS = [("layer", True), ("layer", False), ("group", False)]
FRAMES = 110  # more than are taken at a time offline


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind[0]}-{'stable' if kind[1] else 'post'}")
def front(request: pytest.FixtureRequest, make_network: NetworkMaker) -> Wav2Vec2:
    norm, stable = request.param
    return load_wav2vec(make_network(norm, stable), lookback=20)


@pytest.fixture(scope="module")
def sound(babble: NDArray[np.float32]) -> Tensor:
    hiss = 0.01 * torch.randn(2, FRAMES * FRAME_SAMPLES, generator=torch.Generator().manual_seed(1))
    return torch.from_numpy(babble[: FRAMES * FRAME_SAMPLES]) * torch.tensor([[1.0], [0.2]]) + hiss


def streamed(front: Wav2Vec2, sound: Tensor, frames: int) -> Tensor:
    state = front.start(len(sound))
    return torch.cat([front.stream(part, state) for part in sound.split(frames * FRAME_SAMPLES, dim=1)], dim=1)


@pytest.mark.parametrize("frames", [1, 3, FRAMES])
def test_streamed_features_equal_offline(front: Wav2Vec2, sound: Tensor, frames: int) -> None:
    offline = front.offline(sound)
    assert offline.shape == (2, 2 * FRAMES, 64)
    assert_close(streamed(front, sound, frames), offline, rtol=0, atol=1e-4)


def test_features_never_look_ahead(front: Wav2Vec2, sound: Tensor) -> None:
    changed = sound.clone()
    changed[:, 50 * FRAME_SAMPLES :] = 0.3
    before, after = front.offline(sound), front.offline(changed)
    assert_close(before[:, :100], after[:, :100], rtol=0, atol=1e-5)
    assert float((before[:, 100:102] - after[:, 100:102]).abs().max()) > 1e-2


def test_sound_behind_the_bounded_past_is_forgotten(make_network: NetworkMaker, sound: Tensor) -> None:
    front = load_wav2vec(make_network(normalise=False), lookback=5)
    changed = sound.clone()
    changed[:, : 10 * FRAME_SAMPLES] = 0.3
    reach = 10 + 3 * 5 + 9  # three layers of five motion frames, and the two kinds of convolution
    before, after = front.offline(sound), front.offline(changed)
    assert torch.equal(before[:, 2 * reach :], after[:, 2 * reach :])
    assert not torch.allclose(before[:, 20:30], after[:, 20:30], atol=1e-3)


@pytest.mark.parametrize("stable", [True, False])
def test_ours_equals_the_published_network(make_network: NetworkMaker, sound: Tensor, stable: bool) -> None:
    front = load_wav2vec(make_network("layer", stable, normalise=False), lookback=20)
    sound = sound[:, : 30 * FRAME_SAMPLES]
    assert_close(front.offline(sound), reference(front.model, sound, lookback=40), rtol=0, atol=1e-4)


def reference(model: Any, sound: Tensor, lookback: int) -> Tensor:
    """transformers' own modules: the positional convolution on the past alone, an additive mask in each layer."""
    hidden, _ = model.feature_projection(model.feature_extractor(F.pad(sound, (80, 0))).transpose(1, 2))
    ends = range(2, hidden.shape[1] + 1, 2)
    encoder = model.encoder
    hidden = hidden + torch.cat([encoder.pos_conv_embed(hidden[:, :end])[:, -2:] for end in ends], dim=1)
    mask = torch.zeros(1, 1, hidden.shape[1], hidden.shape[1])
    mask = mask.masked_fill(~block_mask(hidden.shape[1], 2, lookback, hidden.device), -torch.inf)
    stable = model.config.do_stable_layer_norm
    hidden = hidden if stable else encoder.layer_norm(hidden)
    for layer in encoder.layers:
        hidden = layer(hidden, attention_mask=mask)
    made: Tensor = encoder.layer_norm(hidden) if stable else hidden
    return made.detach()


def test_one_motion_frame_is_heard_as_published(make_network: NetworkMaker, sound: Tensor) -> None:
    front = load_wav2vec(make_network(normalise=False), lookback=20)
    first = sound[:, :FRAME_SAMPLES]
    assert_close(front.offline(first), front.model(F.pad(first, (80, 0))).last_hidden_state, rtol=0, atol=1e-5)


def test_sessions_of_different_age_share_a_batch(front: Wav2Vec2, sound: Tensor) -> None:
    old, new = front.start(), front.start()
    front.stream(sound[:1, : 30 * FRAME_SAMPLES], old)
    both = stack_states([old, new])
    parts = torch.cat([sound[:1, 30 * FRAME_SAMPLES : 33 * FRAME_SAMPLES], sound[1:, : 3 * FRAME_SAMPLES]])
    together = front.stream(parts, both)
    assert_close(together[:1], front.stream(parts[:1], old), rtol=0, atol=1e-5)
    assert_close(together[1:], front.stream(parts[1:], new), rtol=0, atol=1e-5)
    following = sound[:1, 33 * FRAME_SAMPLES : 34 * FRAME_SAMPLES]
    assert_close(front.stream(following, select_state(both, 0)), front.stream(following, old), rtol=0, atol=1e-5)


def test_half_precision_stays_close(front: Wav2Vec2, make_network: NetworkMaker, sound: Tensor) -> None:
    half = load_wav2vec(make_network(*kind_of(front)), lookback=20).to(torch.bfloat16)
    made = half.offline(sound)
    assert made.dtype == torch.bfloat16
    whole = front.offline(sound)
    assert float((made.float() - whole).square().mean().sqrt()) < 0.05 * float(whole.std())


def test_a_trainers_mixed_precision_does_not_change_features(front: Wav2Vec2, sound: Tensor) -> None:
    whole = front.offline(sound[:, : 20 * FRAME_SAMPLES])
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(front.offline(sound[:, : 20 * FRAME_SAMPLES]), whole)


def kind_of(front: Wav2Vec2) -> tuple[str, bool]:
    config = front.model.config
    return config.feat_extract_norm, config.do_stable_layer_norm


def test_network_is_neither_trained_nor_stored_but_moves(make_network: NetworkMaker) -> None:
    front = load_wav2vec(make_network(), lookback=20)
    holder = torch.nn.ModuleList([front, torch.nn.Linear(2, 2)])
    assert set(holder.state_dict()) == {"1.weight", "1.bias"}
    assert not any(parameter.requires_grad for parameter in front.model.parameters())
    holder.train()
    assert not front.model.training
    holder.to(torch.bfloat16)
    assert {parameter.dtype for parameter in front.model.parameters()} == {torch.bfloat16}
    features = load_wav2vec(make_network(), lookback=20).offline(torch.randn(1, FRAME_SAMPLES))
    torch.nn.Linear(64, 1)(features).sum().backward()  # features may enter what is trained
