"""Sound as it might have been: other voices and rooms, noise, and phones that are not sure."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mytalk.speech.filters import MELS
from mytalk.speech.phone_posteriors import PHONES
from mytalk.training.data.augment import change_features, noisy_place


@pytest.fixture
def speech() -> torch.Tensor:
    """Two seconds of noise in syllables: like itself at no other moment."""
    syllables = torch.sin(torch.arange(32_000) * (2 * torch.pi * 4 / 16_000)).clamp(min=0)
    return 0.1 * syllables * torch.randn(32_000, generator=torch.Generator().manual_seed(5))


def test_a_poor_place_is_heard_over_speech_that_stays_in_its_time(speech: torch.Tensor) -> None:
    likeness = []
    for seed in range(20):
        heard = noisy_place(speech, np.random.default_rng(seed))
        assert heard.shape == speech.shape
        assert heard.abs().max() <= 1
        lags = range(-40, 41, 8)
        found = [float(torch.corrcoef(torch.stack([speech, heard.roll(-lag)]))[0, 1]) for lag in lags]
        assert lags[int(np.argmax(found))] == 0
        likeness.append(max(found))
    assert min(likeness) < 0.8
    assert max(likeness) > 0.9
    assert torch.equal(noisy_place(speech, np.random.default_rng(3)), noisy_place(speech, np.random.default_rng(3)))


def test_phones_are_sure_less_sure_or_not_heard(speech: torch.Tensor) -> None:
    heard = torch.cat([torch.randn(120, MELS), torch.rand(120, PHONES) * 2 - 1], dim=1)
    kinds = {"as they are": 0, "less sure": 0, "unheard": 0}
    for seed in range(60):
        changed = change_features(heard.clone(), np.random.default_rng(seed))
        assert changed.shape == heard.shape
        phones = changed[:, MELS:]
        assert phones.abs().max() <= 1
        same, unheard = torch.equal(phones, heard[:, MELS:]), not phones.any()
        kinds["as they are" if same else "unheard" if unheard else "less sure"] += 1
        assert not torch.equal(changed[:, :MELS], heard[:, :MELS])
    assert min(kinds.values()) > 0


def test_mel_without_phones_stays_so() -> None:
    assert change_features(torch.randn(120, MELS), np.random.default_rng(1)).shape == (120, MELS)
