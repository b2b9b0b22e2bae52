"""Tests the controls of portraits: what they do to a state, in a stream and while it runs, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk import Picture, Pipeline, StreamOptions, VideoFrame
from mytalk.controls import Controls
from mytalk.controls.blink import Blink
from mytalk.controls.portrait import PAST_RANGE, Moment, portrait_vector, state_of
from mytalk.controls.values import CONTROL, EMOTIONS
from mytalk.errors import OptionError
from mytalk.face import Face
from mytalk.face.brows import UpperFace
from mytalk.face.head_turn import MAX_SHIFT, MAX_YAW, Turn
from mytalk.face.idle_motion import BLINK_LENGTH, head_motion
from mytalk.face.portrait import PortraitState
from mytalk.face.speech_rhythm import RhythmPose
from mytalk.media_time import FRAME_SAMPLES, MOTION_RATE

FRAMES = 40


def state(controls: Controls, at: int = 12_345, rhythm: RhythmPose | None = None, alive: bool = True) -> PortraitState:
    return state_of(portrait_vector(controls, Moment(3, at, rhythm or RhythmPose(), alive)))


def played(
    pipeline: Pipeline,
    portrait: Picture,
    face: Face,
    speech: NDArray[np.float32],
    options: StreamOptions,
    packet: int,
    change: tuple[int, Controls] | None = None,
) -> list[Picture]:
    """Pictures of a portrait that speaks; ``change``: controls from a frame on."""
    stream = pipeline.stream(options)
    pictures: list[Picture] = []
    if change is not None:
        stream.controls = replace(stream.controls, **{**change[1].named(), "steps": 1}, since=change[0] * FRAME_SAMPLES)
    for n in range(FRAMES):
        stream.push_frame(VideoFrame(portrait, n * FRAME_SAMPLES, n, Fraction(1, MOTION_RATE)), face)
    for first in range(0, FRAMES * FRAME_SAMPLES, packet):
        stream.push_speech(speech[first : min(first + packet, FRAMES * FRAME_SAMPLES)])
        pictures += [frame.picture for frame in stream.pull()]
    stream.finish()
    pictures += [frame.picture for frame in stream.pull()]
    stream.close()
    return pictures


def test_a_still_preset_without_blinks_is_the_picture_as_it_is() -> None:
    rest = Controls(pose_preset="still", pose_rhythm=0, blink=Blink(0))
    assert {state(rest, at) for at in range(0, 100_000, 777)} == {PortraitState()}
    assert state(Controls(), alive=False) == PortraitState()


def test_the_head_s_own_motion_is_added_and_weighted() -> None:
    turn = head_motion(3, 12_345, "lively")
    np.testing.assert_allclose(state(Controls(pose_preset="lively")).head.numbers(), turn.numbers(), rtol=0.15)
    for still in (Controls(pose_weight=0), Controls(motion_scale=0)):
        assert state(replace(still, pose_preset="lively")).head == Turn()
    dipped = state(Controls(pose_rhythm=2.0), rhythm=RhythmPose(Turn(pitch=-1.0), brows=0.2))
    plain = state(Controls())
    assert dipped.head.pitch - plain.head.pitch == pytest.approx(-2, rel=0.15)
    assert (plain.face.inner, dipped.face.inner) == (0, pytest.approx(0.4))


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_own_motion_never_takes_the_head_past_what_the_picture_stands(weight: float) -> None:
    controls = Controls(head_pose=(MAX_YAW, 0, 0, MAX_SHIFT, 0), pose_preset="shake", pose_weight=weight)
    yaws = [state(controls, at).head.yaw for at in range(0, 200_000, 640)]
    assert max(yaws) <= PAST_RANGE * MAX_YAW
    assert np.std(yaws) > 1


def test_eyes_stay_where_they_look_while_the_head_moves_by_itself() -> None:
    shaking = [state(Controls(pose_preset="shake"), at) for at in range(0, 200_000, 640)]
    yaws, gazes = np.array([[one.head.yaw, one.gaze_yaw] for one in shaking]).T
    assert np.corrcoef(yaws, gazes)[0, 1] < -0.9
    assert state(Controls(pose_preset="still", gaze=(15, -5))).gaze_yaw == pytest.approx(15)


def test_brows_rise_and_fall() -> None:
    assert state(Controls(brows=0.5)).face.outer == pytest.approx(0.5)
    assert state(Controls(brows=-0.5)).face.lowered == pytest.approx(0.5)


def test_brows_and_lids_move_as_the_emotion_is_labelled() -> None:
    faces = {label: state(Controls(emotion=label)).face for label in EMOTIONS}
    assert faces["neutral"] == UpperFace()
    assert min(faces["surprised"].inner, faces["surprised"].outer, faces["surprised"].upper) > 0.5
    assert faces["sad"].inner > faces["sad"].outer
    assert faces["angry"].lowered > 0.5 > faces["angry"].inner
    assert faces["happy"].lower > 0.3
    assert faces["afraid"].inner > faces["afraid"].outer > 0
    assert faces["disgusted"].lowered > 0.5 < faces["disgusted"].lower
    half = state(Controls(emotion="surprised", intensity=0.5)).face
    assert half.outer == pytest.approx(0.5 * faces["surprised"].outer)


def test_a_blink_now_begins_when_it_is_asked_for_and_keeps_the_rate() -> None:
    control = CONTROL["blink"]
    begun = control.begun
    assert begun is not None
    held = begun(control.read("now"), Blink(0.0), 50_000)
    assert (held.rate, control.written(held)) == (0.0, "0")
    lids = np.array([state(Controls(blink=held), 50_000 + since).closed for since in range(-640, 2 * BLINK_LENGTH, 80)])
    assert lids.max() == 1
    assert lids[:8].max() == 0 == lids[-50:].max()
    assert begun(control.read("12"), held, 90_000) == Blink(12.0, at=50_000)


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("head_pose", "25", "yaw -20 to 20 degrees"),
        ("head_pose", "0,0,0,0.2", "across -0.1 to 0.1 face widths"),
        ("gaze", "0,11", "pitch -10 to 10 degrees"),
        ("blink", "31", "0 to 30 blinks a minute, or now"),
        ("pose_preset", "wild", "still, calm, lively, nod, shake"),
        ("brows", "1.5", "-1 to 1"),
    ],
)
def test_what_a_picture_does_not_stand_is_an_error_that_names_the_range(name: str, text: str, named: str) -> None:
    with pytest.raises(OptionError, match=named):
        CONTROL[name].read(text)


def test_several_numbers_are_read_as_far_as_they_are_given() -> None:
    assert CONTROL["head_pose"].read("10,-5") == (10, -5, 0, 0, 0)
    assert CONTROL["gaze"].written((10.5, 0.0)) == "10.5,0"


def test_streamed_equals_offline_and_another_seed_is_another_take(
    pipeline: Pipeline, portrait: Picture, portrait_face: Face, babble: NDArray[np.float32]
) -> None:
    controls = {"pose_preset": "lively", "pose_rhythm": 2.0, "brows": 0.3}
    options = StreamOptions(still=True, alive=True, seed=5, **controls)  # type: ignore[arg-type]
    whole, packets = (played(pipeline, portrait, portrait_face, babble, options, n) for n in (FRAMES * 640, 1000))
    assert len(whole) == len(packets) == FRAMES
    for one, other in zip(whole, packets, strict=True):
        np.testing.assert_array_equal(one.y, other.y)
    take = played(pipeline, portrait, portrait_face, babble, replace(options, seed=6), FRAMES * 640)
    assert not np.array_equal(take[30].y, whole[30].y)


def test_a_change_goes_over_in_120_ms(
    pipeline: Pipeline, portrait: Picture, portrait_face: Face, babble: NDArray[np.float32]
) -> None:
    still = Controls(pose_preset="still", pose_rhythm=0, blink=Blink(0))
    options = StreamOptions(still=True, alive=True, **still.named())
    turned = replace(still, head_pose=(12, 0, 0, 0, 0), gaze=(-10, 0))
    before, after = (
        played(pipeline, portrait, portrait_face, babble, options, 640, change) for change in (None, (20, turned))
    )
    hair = slice(40, 75), slice(190, 260)  # above the mouth: it moves by the controls alone
    moved = [float(np.abs(a.y[hair].astype(int) - b.y[hair]).mean()) for a, b in zip(after, before, strict=True)]
    assert max(moved[:21]) == 0
    assert 0 < moved[21] < moved[22] < moved[23]
    assert moved[23] == moved[30] == moved[-1]


def test_a_film_s_own_head_eyes_and_brows_are_never_touched(
    pipeline: Pipeline, portrait: Picture, portrait_face: Face, babble: NDArray[np.float32]
) -> None:
    options = StreamOptions(still=False, head_pose=(15, 0, 0, 0, 0), gaze=(15, 0), brows=1.0, pose_preset="nod")
    for picture in played(pipeline, portrait, portrait_face, babble, options, 640):
        np.testing.assert_array_equal(picture.y[:110], portrait.y[:110])
