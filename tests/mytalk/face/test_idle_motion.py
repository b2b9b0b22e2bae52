"""A portrait stays alive: it blinks now and then, sways a little, and the picture around it stands."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk import Picture, Pipeline, StreamOptions, VideoFrame
from mytalk.face import Face, FaceTracker
from mytalk.face.idle_motion import SWAY, IdlePortrait, eyelids, head_motion
from mytalk.media_time import FRAME_SAMPLES, MOTION_RATE

MINUTE = range(0, 60 * MOTION_RATE * FRAME_SAMPLES, FRAME_SAMPLES)


def openness(face: Face) -> float:
    """Height of both eyes over their length."""
    points = face.points[:, :2]
    ratios = [
        np.linalg.norm(points[up] - points[low]) / np.linalg.norm(points[left] - points[right])
        for up, low, left, right in ((159, 145, 33, 133), (386, 374, 362, 263))
    ]
    return float(np.mean(ratios))


@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_a_face_blinks_some_times_a_minute_for_a_fifth_of_a_second_and_never_the_same_way_twice(seed: int) -> None:
    lids = np.array([eyelids(seed, at) for at in MINUTE])
    begins = np.flatnonzero((lids > 0) & (np.roll(lids, 1) == 0))
    assert 8 <= len(begins) <= 28
    assert len(set(np.diff(begins).tolist())) > 4
    lengths = [int(np.argmin(lids[begin : begin + 20] > 0)) for begin in begins[:-1]]
    assert 4 <= min(lengths) <= max(lengths) <= 8
    assert all(lids[begin : begin + 8].max() > 0.8 for begin in begins[:-1])


def test_its_head_moves_all_the_time_and_never_far_or_fast() -> None:
    track = np.array([head_motion(3, at) for at in MINUTE])
    assert np.abs(track[:, :2]).max() <= SWAY
    assert track.std(axis=0).min() > 0.2 * SWAY
    assert np.abs(np.diff(track, axis=0)).max() < 0.1 * SWAY


def test_the_lids_close_and_the_background_stands_to_the_bit(portrait: Picture, portrait_face: Face) -> None:
    idle = IdlePortrait(portrait, portrait_face, seed=0)
    lids = [eyelids(0, at) for at in MINUTE]
    shut, wide = MINUTE[int(np.argmax(lids))], MINUTE[int(np.argmin(lids))]
    tracker = FaceTracker()
    found = [tracker(idle(portrait, at)) for at in (wide, shut)]
    assert found[0] is not None
    assert found[1] is not None
    assert openness(found[1]) < 0.75 * openness(found[0])  # the tracker believes in open eyes
    for at in MINUTE[:250:25]:
        moved = idle(portrait, at)
        np.testing.assert_array_equal(moved.y[300:], portrait.y[300:])
        np.testing.assert_array_equal(moved.u[:, :40], portrait.u[:, :40])
        assert not np.array_equal(moved.y, portrait.y)
        mouth = (slice(125, 145), slice(205, 245))
        assert np.abs(moved.y[mouth].astype(int) - portrait.y[mouth]).mean() < 25


def test_lashes_come_down_with_the_lid_and_are_not_stretched(
    portrait_face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    face = Face(portrait_face.points * np.float32(4))
    lid = face.points[[246, 161, 160, 159, 158, 157, 173], :2]  # the right eye's upper one
    flat = np.full((1024, 1536, 3), 200, np.uint8)
    cv2.polylines(flat, [(lid - [0, 5]).round().astype(np.int32)], isClosed=False, color=(20, 20, 20), thickness=3)
    idle = IdlePortrait(Picture.from_rgb(flat), face, seed=0)
    column, (top, bottom) = int(face.points[159, 0]), face.points[[159, 145], 1]
    thickness, along_lid = [], []
    for closed in (0.0, 1.0):
        monkeypatch.setattr("mytalk.face.idle_motion.eyelids", lambda seed, at, closed=closed: closed)
        dark = np.flatnonzero(idle(idle.portrait, 0).y[:, column] < 110)
        thickness.append(len(dark))
        along_lid.append(dark.mean())
    assert along_lid[1] - along_lid[0] > 0.8 * (bottom - top)
    assert abs(thickness[1] - thickness[0]) <= 1


@pytest.mark.parametrize(("turned", "blinks"), [(0.0, True), (0.7, False)])
def test_a_face_that_looks_aside_does_not_blink(
    portrait: Picture, portrait_face: Face, turned: float, blinks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = cv2.Rodrigues(np.array([0, turned, 0]))[0]
    middle = portrait_face.points.mean(axis=0)
    face = Face(((portrait_face.points - middle) @ turn.T + middle).astype(np.float32))
    idle = IdlePortrait(portrait, face, seed=0)
    shown = []
    for closed in (0.0, 1.0):
        monkeypatch.setattr("mytalk.face.idle_motion.eyelids", lambda seed, at, closed=closed: closed)
        shown.append(idle(portrait, 0).y)
    assert np.array_equal(*shown) != blinks


def test_a_portrait_that_is_cut_off_at_the_picture_s_edge_bends_without_a_seam(portrait: Picture) -> None:
    cut = Picture.from_rgb(portrait.rgb()[60:220, 150:300])
    tracker = FaceTracker()
    face = tracker(cut)
    assert face is not None
    moved = IdlePortrait(cut, face, seed=0)(cut, 12_345)
    assert moved.y.shape == cut.y.shape
    rows: NDArray[np.int_] = np.abs(np.diff(moved.y.astype(int), axis=0)).max(axis=0)
    assert rows.max() <= 1.2 * np.abs(np.diff(cut.y.astype(int), axis=0)).max()


def test_a_session_s_portrait_is_alive_in_silence_and_only_where_it_is_asked_to(
    pipeline: Pipeline, portrait: Picture, portrait_face: Face
) -> None:
    for alive in (True, False):
        stream = pipeline.stream(StreamOptions(still=True, alive=alive))
        for n in range(100):
            stream.push_frame(VideoFrame(portrait, n * FRAME_SAMPLES, n, Fraction(1, MOTION_RATE)), portrait_face)
        stream.push_speech(np.zeros(100 * FRAME_SAMPLES, np.float32))
        brows = [frame.picture.y[80:110, 200:240].astype(int) for frame in stream.pull()]
        stream.close()
        moved = max(np.abs(one - brows[0]).mean() for one in brows)
        assert (moved > 1) == alive
