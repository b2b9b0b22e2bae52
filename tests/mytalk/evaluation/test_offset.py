from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk.errors import WeightsError
from mytalk.evaluation.offset import MARGIN, OffsetEstimator
from mytalk.face import Face, fit_pose
from mytalk.face.landmarks import LOWER_FACE
from mytalk.media import SpeechReader
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.motion.agreement import MAX_LAG, Offset

FRAMES = 100
LATER = 3.9  # seconds into the speech: further than any lag that is searched
Faces = NDArray[np.float32]
Sound = NDArray[np.float32]


@pytest.fixture(scope="module")
def estimator() -> OffsetEstimator:
    return OffsetEstimator()


@pytest.fixture(scope="module")
def spoken() -> Sound:
    """The demo's speech, 10.8 s: what is no voice would move the model's mouth for a moment alone."""
    path = Path(str(files("mytalk"))) / "assets" / "demo_speech.flac"
    return np.concatenate(list(SpeechReader(path).samples()))


def _part(spoken: Sound, start: float) -> Sound:
    """Speech from ``start`` seconds on, of a clip's length with a margin to choose from."""
    first, count = round(start * SAMPLE_RATE), FRAMES * FRAME_SAMPLES + 4 * MARGIN
    assert first + count <= len(spoken)
    return spoken[first : first + count]


def _talking(estimator: OffsetEstimator, face: Face, heard: Sound) -> Faces:
    """A face whose lips are as the model moves them to a sound, from twice the margin on."""
    shape = fit_pose(face).to_canonical(face.points)
    still = np.repeat(shape[None], FRAMES, axis=0)
    lower = estimator._expected(still, heard)
    start = 2 * MARGIN // FRAME_SAMPLES
    still[:, list(LOWER_FACE)] = lower[start : start + FRAMES]
    noise = np.random.default_rng(1).normal(0, 0.004, still.shape)
    return (still + noise).astype(np.float32)


def _moved(heard: Sound, samples: int) -> Sound:
    """The sound ``samples`` late, with the margin that the estimator wants."""
    first = MARGIN - samples
    return heard[first : first + FRAMES * FRAME_SAMPLES + 2 * MARGIN]


def test_a_folder_of_motion_weights_alone_will_do(
    estimator: OffsetEstimator, portrait_face: Face, spoken: Sound, tmp_path: Path
) -> None:
    for name in ("config.json", "identity.safetensors", "motion.safetensors", "readout.safetensors"):
        shutil.copy(str(files("mytalk") / "weights" / "edge" / name), tmp_path)
    heard = _part(spoken, 0)
    faces = _talking(estimator, portrait_face, heard)
    other = OffsetEstimator(str(tmp_path)).estimate([(faces, _moved(heard, 700))])
    assert other == estimator.estimate([(faces, _moved(heard, 700))])
    (tmp_path / "motion.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"motion\.safetensors"):
        OffsetEstimator(str(tmp_path))


@pytest.mark.parametrize("samples", [-8000, 0, 300, 5000])
def test_sound_that_is_late_by_so_much_is_measured_so(
    estimator: OffsetEstimator, portrait_face: Face, spoken: Sound, samples: int
) -> None:
    heard = _part(spoken, 0)
    faces = _talking(estimator, portrait_face, heard)
    found = estimator.estimate([(faces, _moved(heard, samples))])
    assert found.ms == pytest.approx(samples / 16, abs=12)
    assert found.confident
    assert found.to_remove_ms == (found.ms if abs(samples) > 640 else 0)
    assert found.problem(strict=True) is None


def test_clips_of_one_recording_are_sure_together(
    estimator: OffsetEstimator, portrait_face: Face, spoken: Sound
) -> None:
    parts = [_part(spoken, start) for start in (0, LATER)]
    clips = [(_talking(estimator, portrait_face, heard), heard) for heard in parts]
    alone = estimator.estimate([(clips[0][0], _moved(clips[0][1], 2000))])
    both = estimator.estimate([(faces, _moved(heard, 2000)) for faces, heard in clips])
    assert both.ms == pytest.approx(125, abs=12)
    assert both.seconds == 2 * alone.seconds == 8
    assert both.confidence > alone.confidence


def test_another_sound_is_not_believed(estimator: OffsetEstimator, portrait_face: Face, spoken: Sound) -> None:
    faces = _talking(estimator, portrait_face, _part(spoken, 0))
    found = estimator.estimate([(faces, _moved(_part(spoken, LATER), 0))])
    assert not found.confident
    assert found.to_remove_ms == 0


def test_a_face_that_does_not_move_says_nothing(estimator: OffsetEstimator, portrait_face: Face, spoken: Sound) -> None:
    heard = _part(spoken, 0)
    faces = _talking(estimator, portrait_face, heard)
    still = np.repeat(faces[:1], FRAMES, axis=0)
    found = estimator.estimate([(still, _moved(heard, 0))])
    assert not found.confident


@pytest.mark.parametrize(
    ("offset", "kept", "kept_strictly"),
    [
        (Offset(ms=80, correlation=0.5, confidence=1.0, seconds=5), True, True),
        (Offset(ms=80, correlation=0.2, confidence=0.1, seconds=5), True, False),  # too short to tell
        (Offset(ms=80, correlation=0.05, confidence=0.1, seconds=60), False, False),  # long, and nothing agrees
        (Offset(ms=80, correlation=0.2, confidence=0.3, seconds=60), True, False),  # agrees, at no one lag
        (Offset(ms=MAX_LAG * 40, correlation=0.5, confidence=1.0, seconds=5), False, False),  # beyond what is searched
    ],
)
def test_sure_offsets_are_kept(offset: Offset, kept: bool, kept_strictly: bool) -> None:
    assert (offset.problem(strict=False) is None) == kept
    assert (offset.problem(strict=True) is None) == kept_strictly
