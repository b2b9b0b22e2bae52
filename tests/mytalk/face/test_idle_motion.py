"""A portrait stays alive: it blinks now and then, its head is never at rest, and presets nod, shake or stand still."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk import Picture, Pipeline, StreamOptions, VideoFrame
from mytalk.face import Face
from mytalk.face.head_turn import Turn
from mytalk.face.idle_motion import (
    BLINK_LENGTH,
    GESTURES,
    MAX_BLINK_RATE,
    SWAYS,
    PosePreset,
    blink,
    eyelids,
    head_motion,
)
from mytalk.media_time import FRAME_SAMPLES, MOTION_RATE

MINUTE = range(0, 60 * MOTION_RATE * FRAME_SAMPLES, FRAME_SAMPLES)


def blinks(lids: NDArray[np.float64]) -> NDArray[np.intp]:
    """Frames at which a blink begins."""
    return np.flatnonzero((lids > 0) & (np.roll(lids, 1) == 0))


def track(preset: PosePreset, seed: int = 3) -> NDArray[np.float64]:
    """Yaw, pitch, roll, across and down at each frame of a minute."""
    turns = [head_motion(seed, at, preset) for at in MINUTE]
    return np.array([[turn.yaw, turn.pitch, turn.roll, turn.across, turn.down] for turn in turns])


@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_a_face_blinks_some_times_a_minute_for_a_fifth_of_a_second_and_never_the_same_way_twice(seed: int) -> None:
    lids = np.array([eyelids(seed, at) for at in MINUTE])
    begins = blinks(lids)
    assert 8 <= len(begins) <= 28
    assert len(set(np.diff(begins).tolist())) > 4
    lengths = [int(np.argmin(lids[begin : begin + 20] > 0)) for begin in begins[:-1]]
    assert 4 <= min(lengths) <= max(lengths) <= 8
    assert all(lids[begin : begin + 8].max() > 0.8 for begin in begins[:-1])


@pytest.mark.parametrize("rate", [0.0, 6.0, MAX_BLINK_RATE])
def test_the_rate_is_that_of_blinks_in_a_minute(rate: float) -> None:
    minutes = [len(blinks(np.array([eyelids(seed, at, rate) for at in MINUTE]))) for seed in range(8)]
    assert abs(np.mean(minutes) - rate) <= 2


def test_one_blink_closes_the_lids_and_opens_them_again() -> None:
    lids = np.array([blink(since) for since in range(-FRAME_SAMPLES, BLINK_LENGTH + FRAME_SAMPLES)])
    assert lids[0] == lids[-1] == 0
    assert lids.max() == 1
    assert np.abs(np.diff(lids)).max() < 2 / FRAME_SAMPLES


def test_a_calm_head_moves_all_the_time_and_never_far_or_fast() -> None:
    most = SWAYS["calm"].most
    moved = np.abs(track("calm")) / [most.yaw, most.pitch, most.roll, most.across, most.down]
    assert moved.max() <= 1
    assert moved.std(axis=0).min() > 0.15
    assert np.abs(np.diff(moved, axis=0)).max() < 0.1


def test_presets_differ_as_their_names_say() -> None:
    tracks = {preset: track(preset) for preset in SWAYS}
    assert set(map(tuple, tracks["still"].tolist())) == {(0.0,) * 5}
    assert tracks["lively"][:, :3].std() > 2 * tracks["calm"][:, :3].std()
    nods, shakes = (np.abs(tracks[preset] - tracks["calm"]).max(axis=0) for preset in ("nod", "shake"))
    assert nods[1] > 0.6 * abs(GESTURES["nod"].pitch) > 0 == nods[0]
    assert shakes[0] > 0.5 * GESTURES["shake"].yaw > 0 == shakes[1]
    assert np.diff(tracks["nod"], axis=0).max() < 2


def test_another_seed_is_another_performance() -> None:
    assert not np.allclose(track("lively", 3), track("lively", 4))
    assert head_motion(3, 123_456, "nod") == head_motion(3, 123_456, "nod") != Turn()


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
