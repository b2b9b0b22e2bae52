from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mytalk.errors import OptionError
from mytalk.media import SpeechReader
from mytalk.studio.dressed_speech import DressedSpeech, measure_loudness
from tests.support.films import speech_like, write_sound


def _sound(path: Path, seconds: float, level: float = 1.0, rate: int = 16000, channels: int = 1) -> SpeechReader:
    samples = np.float32(level) * speech_like(seconds, rate, channels)
    layout = {1: "mono", 2: "stereo"}[channels]
    return SpeechReader(write_sound(path, samples, rate, layout=layout))


def _whole(sound: SpeechReader) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.concatenate(list(sound.blocks()), axis=1)


@pytest.mark.parametrize("target", [-30.0, -23.0])
def test_a_speech_is_brought_to_a_loudness_by_one_gain(tmp_path: Path, target: float) -> None:
    speech = _sound(tmp_path / "a.wav", 3)
    dressed = DressedSpeech(speech, loudness=target)
    found, _ = measure_loudness(dressed.blocks(), dressed.rate, dressed.layout)
    assert found == pytest.approx(target, abs=0.1)
    before, after = _whole(speech), _whole(dressed)
    loud = np.abs(before) > 0.05
    assert np.ptp(after[loud] / before[loud]) < 1e-4
    assert np.array_equal(np.concatenate(list(dressed.samples())), np.concatenate(list(speech.samples())))


def test_peaks_are_kept_below_full_scale_and_told(tmp_path: Path) -> None:
    dressed = DressedSpeech(_sound(tmp_path / "a.wav", 3), loudness=-6)
    assert np.abs(_whole(dressed)).max() == pytest.approx(10 ** (-1 / 20), abs=1e-3)
    assert any("LUFS in place of -6" in warning for warning in dressed.warnings)


def test_silence_keeps_its_loudness(tmp_path: Path) -> None:
    dressed = DressedSpeech(_sound(tmp_path / "a.wav", 1, level=0), loudness=-23)
    assert not _whole(dressed).any()
    assert any("too quiet to be measured" in warning for warning in dressed.warnings)


def test_the_films_own_sound_is_heard_below_the_speech_and_after_it(tmp_path: Path) -> None:
    speech, film = _sound(tmp_path / "a.wav", 1), _sound(tmp_path / "film.wav", 2, rate=48000, channels=2)
    dressed = DressedSpeech(speech, film, keep_db=-20)
    mixed, alone, under = _whole(dressed)[0], _whole(speech)[0], _whole(film).mean(axis=0)[::3]
    assert abs(len(mixed) - 32000) < 64
    below = 0.1 * under[: len(mixed)]
    rest = mixed[: len(below)] - below
    assert np.abs(rest[1000:15000] - alone[1000:15000]).max() < 0.01
    assert np.abs(rest[17000:31000]).max() < 0.01


@pytest.mark.parametrize(
    ("levels", "words"),
    [({"keep_db": 3.0}, "ambience 3 dB: need -60 to 0"), ({"loudness": 0.0}, "loudness 0 LUFS: need -70 to -5")],
)
def test_levels_out_of_range_are_refused(tmp_path: Path, levels: dict[str, float], words: str) -> None:
    speech = _sound(tmp_path / "a.wav", 0.2)
    with pytest.raises(OptionError, match=words):
        DressedSpeech(speech, speech, **levels)
