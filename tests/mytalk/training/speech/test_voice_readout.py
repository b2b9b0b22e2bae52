"""A voice readout tells voices from noise: what is learned from speech whose pauses are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mytalk.checkpoint import read_preset, save_preset
from mytalk.errors import DataError, WeightsError
from mytalk.preset_folders import EMBEDDED
from mytalk.torch_backend import load_motion
from mytalk.training.speech.voice_readout import add_voice, fit_voice, noisy_sentences
from mytalk.training.voices.phones import CLASSES

SPEAK, PAUSE = 20, 10  # motion frames


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two voices of vowels: harmonics of a gliding pitch."""
    folder = tmp_path_factory.mktemp("tts")
    for seed, pitch in enumerate((110, 190)):
        rng = np.random.default_rng(seed)
        sounds, phones = [], []
        for _ in range(6):
            glide = np.cumsum(pitch * (1 + 0.2 * np.sin(np.arange(SPEAK * 640) / 3000 + rng.uniform(0, 6)))) / 16_000
            vowel = sum(np.sin(2 * np.pi * k * glide) / k for k in range(1, 12))
            sounds.append(np.concatenate([0.1 * vowel, np.zeros(PAUSE * 640)]).astype(np.float32))
            phones.append(
                np.repeat([[CLASSES.index("bilabial")] * 4, [CLASSES.index("silence")] * 4], (SPEAK, PAUSE), 0)
            )
        np.savez(
            folder / f"voice{seed}.npz",
            sound=np.concatenate(sounds),
            phones=np.concatenate(phones).astype(np.uint8),
            lengths=np.full(6, SPEAK + PAUSE),
        )
    return folder


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    for path in (EMBEDDED / "edge").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_places_are_sentences_with_pauses_between_them_and_say_where_somebody_speaks(corpus: Path) -> None:
    found = list(noisy_sentences(corpus / "voice0.npz", np.random.default_rng(0)))
    assert [int((targets[:, 0] > 0).sum()) for _, targets in found] == [5 * SPEAK, SPEAK]
    for samples, targets in found:
        spoken, closed = targets.unbind(1)
        assert len(samples) == 640 * len(spoken)
        assert set(spoken.tolist()) == {-1.0, 1.0}
        assert spoken[0] == 1
        assert spoken[-1] == -1
        assert torch.equal(closed, (spoken + 1) / 2)  # all that is spoken here counts as p, b or m


def test_a_preset_learns_to_tell_them_from_noise_and_moves_as_before(corpus: Path, preset: Path) -> None:
    before = load_motion(preset).readout
    right = add_voice(preset, [corpus], ["voice1"])
    assert right is not None
    assert min(right) > 0.8
    after = load_motion(preset).readout
    assert before is not None
    assert after is not None
    assert torch.equal(before.weight, after.weight)
    samples, targets = next(noisy_sentences(corpus / "voice1.npz", np.random.default_rng(5)))
    spoken = targets[:, 0]
    noise = 0.02 * torch.randn(samples.shape, generator=torch.Generator().manual_seed(3))
    for heard in (samples, samples + noise):
        told = after(heard[None], after.start(len(spoken)))
        assert ((told.voice[0] > 0) == (spoken > 0)).float().mean() > 0.85
        assert ((told.closure[0] > 0.5) == (targets[:, 1] > 0.5)).float().mean() > 0.85


def test_without_speech_or_a_readout_it_says_what_is_missing(tmp_path: Path, preset: Path, corpus: Path) -> None:
    with pytest.raises(DataError, match="no synthetic speech"):
        add_voice(preset, [tmp_path / "none"])
    with pytest.raises(DataError, match="no voice nobody"):
        add_voice(preset, [corpus], ["nobody"])
    readout = load_motion(preset).readout
    assert readout is not None
    with pytest.raises(DataError, match="no synthetic speech"):
        fit_voice(readout, [])

    sizes = read_preset(preset)
    save_preset(preset, replace(sizes, motion=replace(sizes.motion, readout=0.0)))
    with pytest.raises(WeightsError, match="no readout"):
        add_voice(preset, [corpus])
