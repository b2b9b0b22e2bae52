"""The three tricks are the tricks that they claim to be, and the second stage's figures see through a soft mouth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk import Picture, Pipeline
from mytalk.evaluation.baselines import CopyRun, LoudnessRun, blurred, loud_aperture
from mytalk.evaluation.crop import face_crop, mouth_box
from mytalk.evaluation.fidelity import psnr, sharpness
from mytalk.evaluation.filmed import Filmed, track_film
from mytalk.evaluation.films import Sound
from mytalk.evaluation.first_stage import FirstStage, in_noise, request_motion, steady_noise
from mytalk.evaluation.moment import Pair
from mytalk.evaluation.true_landmarks import score_pixels
from mytalk.evaluation.viewed import EncodedFilm
from mytalk.face import Face, fit_pose
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.stream_options import StreamOptions
from tests.support.talking_films import swaying, write_talking

FRAMES = 50


@pytest.fixture(scope="module")
def speech(babble: Sound) -> Sound:
    """A second of silence, then one of babble."""
    return np.concatenate([np.zeros(SAMPLE_RATE, np.float32), babble[:SAMPLE_RATE]])


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory, portrait: Picture, speech: Sound) -> Filmed:
    rgb = portrait.rgb()[:300, 60:360]
    path = tmp_path_factory.mktemp("clip") / "talk.mkv"
    return track_film(write_talking(path, swaying(rgb, FRAMES), speech))


def test_a_clip_is_looked_through_once_for_all(filmed: Filmed) -> None:
    assert len(filmed.at) == len(filmed.faces) == FRAMES
    assert filmed.at[1] == FRAME_SAMPLES
    assert not np.isnan(filmed.shapes.aperture).any()
    assert filmed.shapes.lips.shape[0] == len(filmed.shapes.aperture)


def test_copying_leaves_the_film_as_it_is(filmed: Filmed, speech: Sound) -> None:
    run = CopyRun(filmed, speech, paired=True)
    pairs = list(run)
    assert len(pairs) == FRAMES
    assert all(pair.generated is pair.true for pair in pairs)
    assert [pair.scored for pair in pairs].index(True) == 38  # the first picture at or after 1.5 s
    assert np.array_equal(run.requested.curve(FRAMES), filmed.shapes.aperture[:FRAMES])


def test_following_loudness_opens_with_the_sound(pipeline: Pipeline, filmed: Filmed, speech: Sound) -> None:
    run = LoudnessRun(pipeline, filmed, speech, paired=False)
    pairs = list(run)
    curve = run.requested.curve(FRAMES)
    assert np.abs(curve[:24]).max() < 1e-5
    assert curve[26:].max() > 0.02
    loudest = int(curve.argmax())
    assert not np.array_equal(pairs[loudest].generated.picture.y, pairs[loudest].true.picture.y)


def test_loud_aperture_has_the_range_it_is_given(speech: Sound) -> None:
    curve = loud_aperture(speech, 0.05)
    assert curve.std() == pytest.approx(0.05, rel=1e-4)
    assert curve[:25].max() == 0


def test_blurring_is_soft_in_the_mouth_and_nowhere_else(portrait: Picture, portrait_face: Face) -> None:
    pose, soft = fit_pose(portrait_face), blurred(portrait, portrait_face)
    box = mouth_box(portrait_face, pose)
    assert sharpness(face_crop(soft.rgb(), pose)[box]) < 0.3 * sharpness(face_crop(portrait.rgb(), pose)[box])
    changed = np.argwhere(soft.y != portrait.y)
    low, high = portrait_face.points[:, :2].min(axis=0), portrait_face.points[:, :2].max(axis=0)
    assert len(changed)
    assert (changed[:, ::-1] > low).all()
    assert (changed[:, ::-1] < high).all()


def test_a_viewer_gets_every_picture_slightly_changed(tmp_path: Path, filmed: Filmed) -> None:
    with EncodedFilm(tmp_path / "out.mp4", filmed.film, filmed.film.path) as film:
        for frame, face in zip(filmed.film.frames(), filmed.faces, strict=True):
            film.add(Pair(frame, frame, face, scored=frame.at > 0))
        pairs = list(film.watch())
    assert [pair.generated.at for pair in pairs] == filmed.at
    assert [pair.scored for pair in pairs] == [False] + [True] * (FRAMES - 1)
    likeness = [psnr(p.generated.picture.y.astype(np.float32), p.true.picture.y.astype(np.float32)) for p in pairs]
    assert min(likeness) > 35
    assert max(likeness) < np.inf


def test_pixels_at_true_landmarks_see_through_blur_but_not_through_copying(filmed: Filmed) -> None:
    def scored(finish: object = None) -> dict[str, float]:
        frames = zip(filmed.film.frames(), filmed.faces, strict=True)
        score = score_pixels(frames, None, SAMPLE_RATE, finish=finish)  # type: ignore[arg-type]
        assert score is not None
        return {"psnr": score.psnr, "sharpness": score.sharpness, "frames": score.frames}

    ours = scored()
    soft = scored(lambda filmed, rendered, face: blurred(rendered, face))
    copied = scored(lambda filmed, rendered, face: filmed)
    assert ours["frames"] == FRAMES / 2
    assert ours["psnr"] > 35
    assert soft["sharpness"] < 0.5 * ours["sharpness"]
    assert (copied["psnr"], copied["sharpness"]) == (np.inf, pytest.approx(1))


def test_without_speech_the_first_stage_still_moves_a_mouth(pipeline: Pipeline, filmed: Filmed) -> None:
    tracked = list(zip(filmed.at, filmed.faces, strict=True))
    noise = steady_noise(FRAMES * 640 + SAMPLE_RATE)

    def curve(tracked: list[tuple[int, Face | None]], enrolment: int) -> NDArray[np.float32]:
        stage = FirstStage(pipeline.motion, pipeline.steps, StreamOptions())
        return request_motion(stage, tracked, noise, enrolment).curve(FRAMES)

    assert not np.isnan(curve(tracked, SAMPLE_RATE)).any()
    assert np.isnan(curve([(at, None) for at in filmed.at], 0)).all()


def test_a_portrait_is_looked_at_as_one_picture(tmp_path: Path, portrait: Picture) -> None:
    import cv2

    rgb: NDArray[np.uint8] = portrait.rgb()
    cv2.imwrite(str(tmp_path / "face.png"), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    still = track_film(tmp_path / "face.png")
    assert still.film.still
    assert len(still.faces) == 1
    assert still.sound is None
    assert [frame.at for frame, _ in zip(still.film.frames(), range(3), strict=False)] == [0, 640, 1280]


def test_noise_lies_as_far_below_the_speech_as_asked() -> None:
    speech = np.sin(np.arange(2 * SAMPLE_RATE) * 0.2).astype(np.float32)
    reference = in_noise(speech, 10)
    below = 20 * np.log10(np.std(speech) / np.std(reference - speech))
    assert below == pytest.approx(10, abs=0.1)
    assert np.isfinite(in_noise(np.zeros(800, np.float32), 10)).all()
