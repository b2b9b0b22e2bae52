"""Speech at two rates."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.media.audio import CHUNK
from streamer.media.resample import Downsampler


def tone(hertz: float, rate: int, seconds: float = 1.0) -> NDArray[np.float64]:
    return np.asarray(0.4 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate))


def downsampled(mono: NDArray[np.float64], chunk: int = CHUNK) -> NDArray[np.float32]:
    stereo = np.repeat((mono * 32768).astype(np.int16)[:, None], 2, axis=1)
    downsample = Downsampler()
    return np.concatenate([downsample(stereo[i : i + chunk]) for i in range(0, len(stereo), chunk)])


@pytest.mark.parametrize("hertz", [50, 440, 1000, 4000, 5500])
def test_speech_keeps_its_shape_and_its_time(hertz: float) -> None:
    out, wanted = downsampled(tone(hertz, 48_000)), tone(hertz, 16_000)
    assert len(wanted) - len(out) == 16
    assert np.abs(out[50:] - wanted[50 : len(out)]).max() < 0.004


@pytest.mark.parametrize("hertz", [8700, 10_000, 15_900, 20_000])
def test_what_the_model_cannot_hear_does_not_fold_into_what_it_can(hertz: float) -> None:
    assert np.abs(downsampled(tone(hertz, 48_000))[50:]).max() < 0.004


def test_chunk_sizes_do_not_change_speech() -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 9600)
    whole = downsampled(noise, 9600)
    for chunk in (3, 96, 960):
        assert np.allclose(downsampled(noise, chunk), whole, atol=1e-6)


@pytest.mark.parametrize(("share", "heard"), [(1.0, 0.4), (0.9, 0.4), (0.0, 0.2), (-1.0, 0.4)])
def test_sides_that_cancel_are_heard(share: float, heard: float) -> None:
    """The right side is so much of the left one, turned over. What the mean keeps is heard as it is."""
    left = tone(440, 48_000) * 32768
    stereo = np.stack([left, -share * left], axis=1).astype(np.int16)
    downsample = Downsampler()
    out = np.concatenate([downsample(stereo[i : i + CHUNK]) for i in range(0, len(stereo), CHUNK)])
    assert np.abs(out[50:]).max() == pytest.approx(heard, abs=0.01)
