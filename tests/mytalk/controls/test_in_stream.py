"""Tests controls in whole streams: a change is a function of media time, and a film's upper face stays untouched."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk import Picture, Pipeline, StreamOptions, VideoFrame
from mytalk.controls import Controls
from mytalk.controls.pins import decode_pins
from mytalk.face import Face
from mytalk.media_time import FRAME_SAMPLES

Samples = NDArray[np.float32]

ALL: dict[str, Any] = {
    "motion_scale": 1.2,
    "articulation": 0.8,
    "emotion": "happy",
    "intensity": 0.8,
    "key_motions": decode_pins("0.3:round:0.08"),
}


def film(picture: Picture, count: int) -> list[VideoFrame]:
    return [VideoFrame(picture, FRAME_SAMPLES * number, number, Fraction(1, 25)) for number in range(count)]


def dubbed(
    pipeline: Pipeline,
    frames: list[VideoFrame],
    face: Face,
    speech: Samples,
    packet: int,
    options: StreamOptions,
    change: dict[str, Any] | None = None,
    since: int | None = None,
) -> list[VideoFrame]:
    """Dubs in packets; ``change`` is made at once, to hold from ``since`` on."""
    stream, waiting, out = pipeline.stream(options), list(frames), []
    if change is not None:
        stream.controls = replace(stream.controls, **change, since=since)
    for start in range(0, len(speech), packet):
        stream.push_speech(speech[start : start + packet])
        while waiting and waiting[0].at <= start + packet:
            stream.push_frame(waiting.pop(0), face)
        out += stream.pull()
    for frame in waiting:
        stream.push_frame(frame, face)
    stream.finish()
    out += stream.pull()
    stream.close()
    return out


def same(one: list[VideoFrame], other: list[VideoFrame]) -> list[bool]:
    return [np.array_equal(a.picture.y, b.picture.y) for a, b in zip(one, other, strict=True)]


@pytest.mark.parametrize("still", [False, True])
def test_with_controls_packet_sizes_do_not_change_a_pixel(
    pipeline: Pipeline, portrait: Picture, portrait_face: Face, babble: Samples, still: bool
) -> None:
    options = StreamOptions(**ALL, still=still, alive=still)
    one, other = (
        dubbed(pipeline, film(portrait, 20), portrait_face, babble[:12_800], packet, options) for packet in (160, 5000)
    )
    assert all(same(one, other))


def test_a_change_holds_from_its_media_time_on_and_goes_over_in_three_pictures(
    pipeline: Pipeline, portrait: Picture, portrait_face: Face, babble: Samples
) -> None:
    given = film(portrait, 24), portrait_face, babble[: 24 * FRAME_SAMPLES]
    plain, wide = StreamOptions(learn=False), StreamOptions(learn=False, **ALL)
    before, after = (dubbed(pipeline, *given, 640, options) for options in (plain, wide))
    for packet in (640, 5000):
        changed = dubbed(pipeline, *given, packet, plain, ALL, 8 * FRAME_SAMPLES)
        assert same(before, changed)[:9] == [True] * 9  # the fade begins at the ninth
        assert not any(same(before, changed)[9:11])
        assert same(after, changed)[11:] == [True] * 13


def test_above_the_bridge_of_the_nose_a_film_is_left_to_the_bit(
    pipeline: Pipeline, portrait: Picture, portrait_face: Face, babble: Samples
) -> None:
    frames = film(portrait, 15)
    options = StreamOptions(**ALL, pose_weight=3.0)
    out = dubbed(pipeline, frames, portrait_face, babble[:9600], 640, options)
    nose = int(portrait_face.points[195, 1])  # its bridge, below the eyes
    assert any(not same([one], [given])[0] for one, given in zip(out, frames, strict=True))
    for one, given in zip(out, frames, strict=True):
        np.testing.assert_array_equal(one.picture.y[:nose], given.picture.y[:nose])


def test_controls_of_a_call_take_the_place_of_those_in_options(
    pipeline: Pipeline, portrait: Picture, babble: Samples
) -> None:
    frames, speech = film(portrait, 8), babble[: 8 * FRAME_SAMPLES]
    options = StreamOptions(profile="low", emotion="sad")
    one = list(pipeline.dub(frames, speech, options, controls=Controls(emotion="happy")))
    other = list(pipeline.dub(frames, speech, replace(options, emotion="happy")))
    assert all(same(one, other))
    assert not all(same(one, list(pipeline.dub(frames, speech, options))))
