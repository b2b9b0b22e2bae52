"""Teaching the recogniser's layers to tell live what they tell of a whole recording."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from mytalk.errors import DataError
from mytalk.media_time import SAMPLE_RATE
from mytalk.speech.frozen_weights import RECOGNISER_LIVE_FILE, apply_low_rank
from mytalk.speech.moonshine import Moonshine
from mytalk.speech.readout import Readout
from mytalk.torch_backend import load_motion
from mytalk.training.run.loop import WEIGHTS, fit
from mytalk.training.speech.recogniser_live import LiveOptions, LiveTask, Stretches, voices_of

OPTIONS = LiveOptions(
    steps=14, batch=2, rank=8, frames=60, positions=4, learning_rate=3e-3, ema=0.0, noisy=0.0, validation_rows=2
)


@pytest.fixture(scope="module")
def readout() -> Readout:
    found = load_motion("edge").readout
    assert found is not None
    return found


def vowels(seconds: int, seed: int) -> NDArray[np.float32]:
    """A buzz whose two formants wander: the ear has something to expect."""
    rng = np.random.default_rng(seed)
    count = seconds * SAMPLE_RATE
    knots = np.arange(0, seconds, 0.15)
    sound = np.zeros(count)
    at = np.arange(count) / SAMPLE_RATE
    for low, high in ((300, 900), (900, 2600)):
        pitch = np.interp(at, knots, rng.uniform(low, high, len(knots)))
        sound += np.sin(2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE) * np.interp(
            at, knots, rng.uniform(0, 1, len(knots))
        )
    return (0.1 * sound).astype(np.float32)


def test_an_untaught_pupil_is_the_published_network_and_a_taught_one_is_nearer(
    readout: Readout, tmp_path: Path
) -> None:
    task = LiveTask(readout, OPTIONS, [[vowels(12, 1)]])
    rows = [task.examples.draw(1000, row) for row in range(4)]

    def error() -> float:
        with torch.no_grad():
            return float(task.layers(task.examples.collate(rows))["mouth"])

    before = error()
    outcome = fit(task, OPTIONS, tmp_path / "run", device="cpu")
    assert outcome.finished
    assert error() < 0.95 * before

    stored = load_file(tmp_path / "run" / WEIGHTS / RECOGNISER_LIVE_FILE)
    published = Moonshine(live=False)
    base = {f"layers.{i}.{n}": w for i, layer in enumerate(published.layers) for n, w in layer.items()}
    heard = apply_low_rank(base, {name: tensor.float() for name, tensor in stored.items()})
    assert heard.keys() == base.keys()  # every weight of every layer


def test_rows_depend_on_their_numbers_alone(readout: Readout) -> None:
    voices = [[vowels(10, 2), vowels(20, 3)], [vowels(10, 4)]]
    one, again = (Stretches(voices, OPTIONS).draw(5, 7) for _ in range(2))
    assert one["key"] == again["key"]
    assert torch.equal(one["clean"], again["clean"])


def test_each_folder_is_heard_as_often() -> None:
    stretches = Stretches([[vowels(10, number) for number in range(5)], [vowels(10, 9)]], OPTIONS)
    keys = [stretches.draw(step, 0)["key"] for step in range(200)]
    assert 70 < sum(key.startswith("voice 5 ") for key in keys) < 130


def test_voices_are_files_folders_and_synthetic_speech(tmp_path: Path) -> None:
    (tmp_path / "jane").mkdir()
    for name in ("jane/a.wav", "jane/b.wav", "joe.wav"):
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
            file.writeframes((vowels(1, 1) * 32767).astype(np.int16).tobytes())
    np.savez(tmp_path / "voice.npz", sound=vowels(3, 1))
    assert [len(voice) // SAMPLE_RATE for voice in voices_of(tmp_path)] == [2, 1, 3]


def test_voices_that_are_too_short_are_counted() -> None:
    assert Stretches([[vowels(10, 1), vowels(1, 2)], [vowels(10, 3)]], OPTIONS).left_out == 1


def test_too_little_speech_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="need one in each"):
        Stretches([], OPTIONS)
    with pytest.raises(DataError, match="need one in each"):
        Stretches([[vowels(10, 1)], [vowels(2, 1)]], OPTIONS)
    with pytest.raises(DataError, match="nothing in it"):
        voices_of(tmp_path)
