from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk.appearance.crop_frame import FACE
from mytalk.appearance.network_inputs import to_crop
from mytalk.appearance.placement import placement_of
from mytalk.face import Face, FaceTracker, HeadPose, fit_pose
from mytalk.face.landmarks import LIPS
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.picture import Picture
from mytalk.training.data.clip_members import read_pictures
from mytalk.training.data.recording import Recorded, Recorder, Tracked

GREY = Picture.from_rgb(np.full((64, 64, 3), 90, np.uint8))
POSE = HeadPose(20.0, np.eye(3, dtype=np.float32), np.array([32, 32, 0], np.float32))


def _record(times: list[int], shape: NDArray[np.float32]) -> list[Recorded]:
    """Records one run; each picture's grey and the place of its face tell its time."""
    recorder, out = Recorder(64), []
    for at in times:
        moved = POSE.to_frame(shape + np.float32(at / SAMPLE_RATE))
        picture = Picture.from_rgb(np.full((64, 64, 3), (40 + at // 400) % 256, np.uint8))
        out += list(recorder.push(Tracked(at, picture, Face(moved), POSE)))
    last = recorder.finish()
    return out if last is None else [*out, last]


@pytest.fixture
def shape(portrait_face: Face) -> NDArray[np.float32]:
    return fit_pose(portrait_face).to_canonical(portrait_face.points)


@pytest.mark.parametrize("rate", [12.5, 24, 25, 30000 / 1001, 50, 60])
def test_any_rate_becomes_25_pictures_a_second(shape: NDArray[np.float32], rate: float) -> None:
    times = [round(index * SAMPLE_RATE / rate) + 1000 for index in range(round(3 * rate))]
    (clip,) = _record(times, shape)
    grid = 1000 + np.arange(clip.frames) * FRAME_SAMPLES
    assert clip.at == 1000
    assert 0 <= times[-1] - grid[-1] < FRAME_SAMPLES
    # Landmarks are those of the frame's own time...
    np.testing.assert_allclose(clip.landmarks.canonical[:, 0, 0] - shape[0, 0], grid / SAMPLE_RATE, atol=2e-3)
    # ...and the picture is the nearest one, with its own landmarks in it.
    nearest = np.array([min(times, key=lambda at, want=want: (abs(at - want), -at)) for want in grid])
    shown = read_pictures(clip.pictures, range(clip.frames))[:, 32, 32, 0]
    np.testing.assert_allclose(shown, 40 + nearest // 400, atol=3)
    step = clip.landmarks.crop[:, 0, 0] - clip.landmarks.crop[0, 0, 0]
    np.testing.assert_allclose(step, (nearest - nearest[0]) / SAMPLE_RATE * 64 / 3.2, atol=1e-2)


def test_uneven_timestamps_do_not_move_the_frames(shape: NDArray[np.float32]) -> None:
    jitter = np.random.default_rng(1).integers(-250, 250, 100)
    times = [int(index * 640 + jitter[index]) if index else 0 for index in range(100)]
    (clip,) = _record(times, shape)
    grid = np.arange(clip.frames) * FRAME_SAMPLES
    np.testing.assert_allclose(clip.landmarks.canonical[:, 5, 1] - shape[5, 1], grid / SAMPLE_RATE, atol=2e-3)


@pytest.mark.parametrize(
    ("frames", "clips"),
    [(49, []), (50, [50]), (499, [499]), (500, [500]), (501, [450, 51]), (1003, [450, 450, 103])],
)
def test_no_clip_of_a_run_is_too_short_or_too_long(shape: NDArray[np.float32], frames: int, clips: list[int]) -> None:
    made = _record([index * FRAME_SAMPLES for index in range(frames)], shape)
    assert [clip.frames for clip in made] == clips
    assert [clip.at for clip in made] == [sum(clips[:i]) * FRAME_SAMPLES for i in range(len(clips))]
    assert all(len(read_pictures(clip.pictures, [clip.frames - 1])) == 1 for clip in made)


def test_landmarks_lie_on_the_face_that_is_recorded(portrait: Picture, portrait_face: Face) -> None:
    pose = fit_pose(portrait_face)
    recorder = Recorder(256)
    for index in range(50):
        assert not list(recorder.push(Tracked(index * FRAME_SAMPLES, portrait, portrait_face, pose)))
    clip = recorder.finish()
    assert clip is not None
    face = read_pictures(clip.pictures, [20])[0]
    tracker = FaceTracker()
    again = tracker(Picture.from_rgb(face))
    assert again is not None
    lips = list(LIPS)
    away = np.linalg.norm(again.points[lips, :2] - clip.landmarks.crop[20, lips], axis=1)
    assert float(away.mean()) < 2.5
    # The mouth crop of the renderer is rows 128 to 256, columns 64 to 192.
    place = placement_of(portrait, pose.crop_matrix())
    assert place is not None
    mouth = to_crop(portrait.region_rgb(place.box), place.to_pixels, 128)
    assert FACE.mouth(128) == (slice(128, 256), slice(64, 192))
    assert float(np.abs(mouth.astype(int) - face[128:256, 64:192]).mean()) < 2
