"""One session from pictures and speech to pictures: what a user would notice."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk import Picture, Pipeline, StreamOptions, VideoFrame
from mytalk.errors import EngineError, OptionError
from mytalk.face import Face, FaceTracker, fit_pose
from mytalk.face.landmarks import LOWER_FACE, aperture
from mytalk.lipsync_stream import FADE_FRAMES, MAX_PENDING, MAX_YAW, LipSyncStream
from mytalk.media_time import to_samples

Samples = NDArray[np.float32]


def film(picture: Picture, count: int, rate: Fraction = Fraction(25)) -> list[VideoFrame]:
    base = 1 / rate
    return [VideoFrame(picture, to_samples(n, base), n, base) for n in range(count)]


def run(
    stream: LipSyncStream, frames: list[tuple[VideoFrame, Face | None]], speech: Samples, packet: int
) -> list[VideoFrame]:
    """Pictures and speech side by side in packets, pulled after each."""
    out: list[VideoFrame] = []
    waiting = list(frames)
    for start in range(0, len(speech), packet):
        stream.push_speech(speech[start : start + packet])
        while waiting and waiting[0][0].at <= start + packet:
            stream.push_frame(*waiting.pop(0))
        out += stream.pull()
    for frame, face in waiting:
        stream.push_frame(frame, face)
    stream.finish()
    out += stream.pull()
    stream.close()
    return out


def gap(tracker: FaceTracker, frame: VideoFrame) -> float:
    face = tracker(frame.picture)
    assert face is not None
    return float(aperture(fit_pose(face).to_canonical(face.points)[list(LOWER_FACE)]))


def test_speech_encoded_elsewhere_gives_the_same_pixels(
    pipeline: Pipeline, portrait: Picture, portrait_face: Face, babble: Samples
) -> None:
    frames = [(frame, portrait_face) for frame in film(portrait, 25)]
    at_once = run(pipeline.stream(), frames, babble[:16_000], 5000)
    stream = pipeline.stream()
    for start in range(0, 16_000, 1000):
        stream.push_encoded(stream.encode_speech(babble[start : start + 1000]))
    assert stream.speech_samples == 16_000
    apart = run(stream, frames, babble[:0], 5000)
    for one, other in zip(at_once, apart, strict=True):
        np.testing.assert_array_equal(one.picture.y, other.picture.y)


def test_a_stream_without_refinement_asks_no_network(
    pipeline: Pipeline, portrait: Picture, portrait_face: Face, babble: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*given: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(pipeline.appearance, "refine", asked)
    stream = pipeline.stream()
    stream.controls = replace(stream.controls, refinement=False)
    frames = [(frame, portrait_face) for frame in film(portrait, 20)]
    out = run(stream, frames, babble[:12_800], 640)
    assert any(frame.picture is not given.picture for frame, (given, _) in zip(out, frames, strict=True))
    mends = pipeline.stream()
    with pytest.raises(AssertionError, match="the network was asked"):
        run(mends, frames, babble[:12_800], 640)
    mends.close()


@pytest.mark.parametrize("rate", [24, 25, Fraction(30000, 1001), 30, 50, 60, "variable"], ids=str)
def test_every_frame_comes_back_at_its_own_time(
    pipeline: Pipeline, portrait: Picture, portrait_face: Face, babble: Samples, rate: Any
) -> None:
    if rate == "variable":
        stamps = np.cumsum(np.random.default_rng(2).integers(900, 12_000, 20)).tolist()
        frames = [VideoFrame(portrait, to_samples(n, Fraction(1, 90_000)), n, Fraction(1, 90_000)) for n in stamps]
    else:
        frames = film(portrait, int(1.2 * rate), Fraction(rate))
    out = run(pipeline.stream(), [(frame, portrait_face) for frame in frames], babble[:24_000], 640)
    assert [(f.at, f.pts, f.time_base) for f in out] == [(f.at, f.pts, f.time_base) for f in frames]


def test_packet_sizes_do_not_change_a_pixel(
    pipeline: Pipeline, portrait: Picture, portrait_face: Face, babble: Samples
) -> None:
    frames = [(frame, portrait_face) for frame in film(portrait, 25)]
    one, other = (run(pipeline.stream(), frames, babble[:16_000], packet) for packet in (160, 5000))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.picture.y, b.picture.y)


def test_frames_leave_after_the_stated_latency(
    pipeline: Pipeline, portrait: Picture, portrait_face: Face, babble: Samples
) -> None:
    for name, frames in (("low", 4), ("balanced", 5), ("quality", 12)):
        stream = pipeline.stream(StreamOptions(profile=name))
        assert stream.latency == frames * 640
        for frame in film(portrait, frames):
            stream.push_frame(frame, portrait_face)
        stream.push_speech(babble[: stream.latency - 1])
        assert not list(stream.pull())
        stream.push_speech(babble[stream.latency - 1 : stream.latency])
        assert [frame.pts for frame in stream.pull()][:1] == [0]


def test_each_person_has_their_own_mouth(
    pipeline: Pipeline, portrait: Picture, portrait_face: Face, babble: Samples
) -> None:
    """A film cuts from one person to another: neither gets the other's rest shape, lips or skin."""
    dark = Picture.from_rgb((portrait.rgb()[:, ::-1] * np.array([0.55, 0.45, 0.4])).astype(np.uint8))
    tracker = FaceTracker()
    found = tracker(dark)
    assert found is not None
    first = [(frame, portrait_face) for frame in film(portrait, 50)]
    second = [(frame, replace(found, person=1)) for frame in film(dark, 50)]
    unknown = [(frame, found) for frame in film(dark, 50)]
    whole = babble[:32_000]
    one, other, cut, confused = (
        run(pipeline.stream(), frames, whole, 640)
        for frames in (first, second, first[:26] + second[26:], first[:26] + unknown[26:])
    )
    for a, b in zip(cut[:26], one, strict=False):
        np.testing.assert_array_equal(a.picture.y, b.picture.y)
    x0, y0, x1, y1 = (int(side) for side in replace(found, points=found.points[list(LOWER_FACE)]).box)

    def apart(frames: list[VideoFrame]) -> float:
        pairs = [(a.picture.rgb(), b.picture.rgb()) for a, b in zip(frames[35:], other[35:], strict=True)]
        return float(np.mean([np.abs(a[y0:y1, x0:x1].astype(int) - b[y0:y1, x0:x1]).mean() for a, b in pairs]))

    assert apart(cut) < 0.5 * apart(confused)


def test_pictures_without_a_face_are_the_same_objects(pipeline: Pipeline, portrait: Picture, babble: Samples) -> None:
    frames = film(portrait, 25)
    out = run(pipeline.stream(), [(frame, None) for frame in frames], babble[:16_000], 640)
    assert all(a.picture is b.picture for a, b in zip(out, frames, strict=True))


def test_a_stream_says_why_there_is_no_face_to_work_on(pipeline: Pipeline, portrait: Picture) -> None:
    stream = pipeline.stream()
    assert stream.face_status == "unknown"
    rgb = portrait.rgb()
    small = Picture.from_rgb(cv2.resize(rgb, (180, 180), interpolation=cv2.INTER_AREA))  # a face of 32 pixels
    grey = Picture.from_rgb(np.full_like(rgb, 120))
    seen = []
    for n, picture in enumerate([portrait, grey, small, portrait]):
        stream.push_frame(VideoFrame(picture, 640 * n, n, Fraction(1, 25)), stream.track(picture))
        seen.append(stream.face_status)
    assert seen == ["seen", "none", "small", "seen"]
    face = stream.track(portrait)
    assert face is not None
    turn = np.array([[np.cos(1.2), 0, np.sin(1.2)], [0, 1, 0], [-np.sin(1.2), 0, np.cos(1.2)]], np.float32)
    middle = face.points.mean(axis=0)
    aside = Face((face.points - middle) @ turn.T + middle)
    assert abs(fit_pose(aside).yaw) > MAX_YAW
    stream.push_frame(VideoFrame(portrait, 640 * 4, 4, Fraction(1, 25)), aside)
    assert stream.face_status == "turned"
    stream.push_speech(np.zeros(32_000, np.float32))
    stream.finish()
    assert len(list(stream.pull())) == 5
    assert stream.stats["no_face"] == 3
    stream.close()


def test_a_lost_face_fades_out_and_back_in(
    pipeline: Pipeline, portrait: Picture, portrait_face: Face, babble: Samples
) -> None:
    frames = film(portrait, 60)
    faces = [None if 25 <= n < 35 else portrait_face for n in range(60)]
    stream = pipeline.stream(StreamOptions(mouth_opening=0.0))
    out = run(stream, list(zip(frames, faces, strict=True)), babble[:40_000], 640)
    change = [float(np.abs(f.picture.y.astype(int) - portrait.y).sum()) for f in out]
    assert max(change[25:35]) == 0
    steady = np.median(change[10:20])
    assert change[24] < 0.6 * steady
    assert change[24] < change[23] < change[22] * 1.05
    assert change[35] < 0.6 * steady
    assert change[35 + FADE_FRAMES] > 0.7 * steady


def test_in_silence_the_picture_is_untouched_where_that_is_asked_for(
    pipeline: Pipeline, portrait: Picture, portrait_face: Face, babble: Samples
) -> None:
    frames = film(portrait, 100)
    speech = np.concatenate([np.zeros(16_000, np.float32), babble[:16_000], np.zeros(32_000, np.float32)])
    stream = pipeline.stream(StreamOptions(on_silence="passthrough"))
    out = run(stream, [(frame, portrait_face) for frame in frames], speech, 640)
    touched = [frame.picture is not portrait for frame in out]
    assert not any(touched[:22])
    assert all(touched[25:50])
    assert not any(touched[72:])
    assert np.abs(np.diff(touched)).sum() == 2  # it comes once, and goes once
    whole = run(pipeline.stream(), [(frame, portrait_face) for frame in frames], speech, 640)
    np.testing.assert_array_equal(out[40].picture.y, whole[40].picture.y)


def test_the_mouth_closes_on_request(
    pipeline: Pipeline, portrait: Picture, portrait_face: Face, babble: Samples
) -> None:
    frames = [(frame, portrait_face) for frame in film(portrait, 30)]
    tracker = FaceTracker()
    closed, open_wide = (
        np.mean(
            [
                gap(tracker, f)
                for f in run(pipeline.stream(StreamOptions(mouth_opening=m)), frames, babble[:19_200], 640)
            ]
        )
        for m in (0.0, 2.0)
    )
    assert closed < open_wide


def test_a_barge_in_makes_the_pictures_that_have_not_left_again_with_the_mouth_at_rest(
    pipeline: Pipeline, portrait: Picture, portrait_face: Face, babble: Samples
) -> None:
    stream = pipeline.stream(StreamOptions(live=True))
    for frame in film(portrait, 60):
        stream.push_frame(frame, portrait_face)
    stream.push_speech(babble[:24_000])
    before = list(stream.pull())
    left = before[-4]
    assert stream.clear(left.at + 1) == left.at  # half-way between two motion frames: from the first of them on
    stream.push_speech(np.zeros(24_000, np.float32))
    after = list(stream.pull())
    assert [frame.pts for frame in after] == list(range(left.pts + 1, left.pts + 1 + len(after)))
    at_rest = after[-1].picture.y.astype(int)
    spoken = np.abs(before[-1].picture.y - at_rest).sum()
    assert np.abs(after[before[-1].pts - left.pts + 1].picture.y - at_rest).sum() < 0.1 * spoken
    stream.close()


def test_where_the_motion_model_gives_nan_pictures_pass_through_and_it_is_counted(
    pipeline: Pipeline, portrait: Picture, portrait_face: Face, babble: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = pipeline.motion.sample
    calls = iter(range(1000))
    broken = {3, 4}  # hops: frames 6 to 9

    def sometimes(*given: Any) -> Any:
        scale = np.float32("nan" if next(calls) in broken else 1.0)
        return [one._replace(motion=one.motion * scale) for one in sample(*given)]

    monkeypatch.setattr(pipeline.motion, "sample", sometimes)
    stream = pipeline.stream()
    frames = film(portrait, 30)
    out = run(stream, [(frame, portrait_face) for frame in frames], babble[:19_200], 640)
    untouched = [frame.pts for frame, given in zip(out, frames, strict=True) if frame.picture is given.picture]
    assert untouched == list(range(6, 10))
    assert stream.stats["not_finite"] == 4


def test_a_nan_from_the_appearance_model_lets_the_picture_through_and_is_counted(
    pipeline: Pipeline, portrait: Picture, portrait_face: Face, babble: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = pipeline.preset.appearance.window
    nan = np.full((size, size, 3), np.nan, np.float32)
    monkeypatch.setattr(pipeline.appearance, "refine", lambda *_: nan)
    stream = pipeline.stream()
    frames = film(portrait, 20)
    out = run(stream, [(frame, portrait_face) for frame in frames], babble[:12_800], 640)
    assert all(frame.picture is given.picture for frame, given in zip(out, frames, strict=True))
    assert stream.stats["not_finite"] == 20


def test_pictures_must_come_in_order_and_may_not_pile_up(pipeline: Pipeline, portrait: Picture) -> None:
    stream = pipeline.stream()
    late, early = film(portrait, 2)[::-1]
    stream.push_frame(late, None)
    with pytest.raises(EngineError, match="in order"):
        stream.push_frame(early, None)
    for frame in film(portrait, MAX_PENDING + 1)[2:]:
        stream.push_frame(frame, None)
    with pytest.raises(EngineError, match="push speech"):
        stream.push_frame(film(portrait, MAX_PENDING + 2)[-1], None)


@pytest.mark.parametrize(
    "options",
    [{"profile": "fast"}, {"mouth_opening": -1.0}, {"mouth_opening": float("nan")}, {"steps": 0}, {"seed": -1}],
)
def test_options_out_of_range_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        StreamOptions(**options)  # type: ignore[arg-type]


def test_the_offline_call_gives_as_many_frames_as_it_took(
    pipeline: Pipeline, portrait: Picture, babble: Samples
) -> None:
    frames = film(portrait, 20)
    out = list(pipeline.dub(frames, babble[:8000]))
    assert [frame.pts for frame in out] == [frame.pts for frame in frames]
