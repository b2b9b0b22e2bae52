"""The motion stream: same landmarks whatever the packets, streamed equals offline, rest in silence, clear."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk import Pipeline
from mytalk.errors import EngineError
from mytalk.face import Face, fit_pose
from mytalk.face.landmarks import LOWER_FACE, aperture
from mytalk.media import SpeechReader
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.batch import MotionBackend, sample_together
from mytalk.motion.stream import MAX_REWIND, MotionFrame, MotionStream
from mytalk.presets import PROFILES

Samples = NDArray[np.float32]


@pytest.fixture(scope="module")
def model(pipeline: Pipeline) -> MotionBackend:
    return pipeline.motion


@pytest.fixture(scope="module")
def canonical(portrait_face: Face) -> NDArray[np.float32]:
    return fit_pose(portrait_face).to_canonical(portrait_face.points)


def speak(
    model: MotionBackend,
    face: NDArray[np.float32],
    speech: Samples,
    packet: int,
    profile: str = "balanced",
    seed: int = 1,
) -> list[MotionFrame]:
    """Speech in packets, a picture every 40 ms, pulled after every packet."""
    stream = MotionStream(model, PROFILES[profile], steps=2, seed=seed)
    out: list[MotionFrame] = []
    shown = 0
    for start in range(0, len(speech), packet):
        stream.push_speech(speech[start : start + packet])
        while shown * FRAME_SAMPLES <= start + packet:
            stream.push_face(shown * FRAME_SAMPLES, face)
            shown += 1
        out += stream.advance()
    return out + list(stream.finish())


def test_packets_do_not_change_what_is_learned_from_own_speech(
    model: MotionBackend, canonical: NDArray[np.float32]
) -> None:
    """A talking face: it moves as the stream itself asks for, and twice as wide at one lip corner."""
    sound = SpeechReader(Path(str(files("mytalk"))) / "assets" / "demo_speech.flac")
    speech = np.concatenate(list(sound.samples()))
    plain = speak(model, canonical, speech, 640)
    talking = [canonical.copy() for _ in plain]
    for face, frame in zip(talking, plain, strict=True):
        face[list(LOWER_FACE)] = frame.lower + 0.3 * (frame.lower - plain[0].lower)[:, [1, 0, 2]]
    made = []
    for packet in (640, 8000):
        stream = MotionStream(model, PROFILES["balanced"], steps=1, seed=1, own_speech=True)
        out: list[MotionFrame] = []
        shown = 0
        for start in range(0, len(speech), packet):
            stream.push_speech(speech[start : start + packet])
            while shown * FRAME_SAMPLES <= start + packet:
                stream.push_face(shown * FRAME_SAMPLES, talking[min(shown, len(talking) - 1)])
                shown += 1
            out += stream.advance()
        assert stream._corrections
        made.append(stack(out + list(stream.finish())))
    np.testing.assert_array_equal(made[0], made[1])


def stack(frames: list[MotionFrame]) -> NDArray[np.float32]:
    assert [frame.index for frame in frames] == list(range(len(frames)))
    return np.stack([frame.lower for frame in frames])


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_packet_size_does_not_change_landmarks(
    model: MotionBackend, canonical: NDArray[np.float32], babble: Samples, profile: str
) -> None:
    speech = babble[:40_000]
    whole = stack(speak(model, canonical, speech, len(speech), profile))
    for packet in (160, 1001, 6400):
        np.testing.assert_array_equal(stack(speak(model, canonical, speech, packet, profile)), whole)


def test_windows_of_several_sessions_in_one_batch_move_as_they_would_alone(
    model: MotionBackend, canonical: NDArray[np.float32], babble: Samples
) -> None:
    """Sessions of different age, seed and speech; the younger ones' windows are shorter."""
    alone, together, shapes = [], [], []
    for group in (alone, together):
        for seed, seconds in enumerate((1, 2, 4)):
            stream = MotionStream(model, PROFILES["balanced"], steps=2, seed=seed)
            for shown in range(26 * seconds):
                stream.push_face(shown * FRAME_SAMPLES, canonical)
            stream.push_speech(np.roll(babble, 4000 * seed)[: 16_000 * seconds - 2000])
            list(stream.advance())
            stream.push_speech(babble[:2000])
            group.append(stream)
    for stream in alone:
        request = stream.request()
        assert request is not None
        shapes.append([frame.lower for frame in stream.accept(request, sample_together(model, [request])[0])])
    requests = [stream.request() for stream in together]
    assert all(
        one is stream.request() for one, stream in zip(requests, together, strict=True)
    )  # asked twice, planned once
    whole = [request for request in requests if request is not None]
    assert len({request.window.rows for request in whole}) == 3
    for stream, request, motion, wanted in zip(together, whole, sample_together(model, whole), shapes, strict=True):
        got = [frame.lower for frame in stream.accept(request, motion)]
        np.testing.assert_allclose(got, wanted, atol=1e-4)


def test_motion_of_a_window_from_before_a_barge_in_is_not_shown(
    model: MotionBackend, canonical: NDArray[np.float32], babble: Samples
) -> None:
    stream = MotionStream(model, PROFILES["balanced"], steps=1, seed=1)
    for shown in range(50):
        stream.push_face(shown * FRAME_SAMPLES, canonical)
    stream.push_speech(babble[:16_000])
    request = stream.request()
    assert request is not None
    motion = sample_together(model, [request])[0]
    assert stream.emitted == 0
    assert stream.clear() == 0
    assert stream.accept(request, motion) == []
    stream.push_speech(babble[:16_000])
    assert [frame.index for frame in stream.advance()] == list(range(22))


def test_the_order_of_pictures_and_speech_does_not_matter(
    model: MotionBackend, canonical: NDArray[np.float32], babble: Samples
) -> None:
    stream = MotionStream(model, PROFILES["balanced"], steps=2, seed=1)
    for shown in range(63):
        stream.push_face(shown * FRAME_SAMPLES, canonical)
    stream.push_speech(babble[:40_000])
    np.testing.assert_array_equal(
        stack([*stream.advance(), *stream.finish()]), stack(speak(model, canonical, babble[:40_000], 640))
    )


def test_the_seed_matters_and_nothing_else(
    model: MotionBackend, canonical: NDArray[np.float32], babble: Samples
) -> None:
    first, again, other = (stack(speak(model, canonical, babble[:20_000], 640, seed=s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_another_seed_changes_what_comes_from_there_on_and_nothing_that_was(
    model: MotionBackend, canonical: NDArray[np.float32], babble: Samples
) -> None:
    kept, changed = (MotionStream(model, PROFILES["balanced"], steps=2, seed=1) for _ in range(2))
    for stream in (kept, changed):
        for shown in range(63):
            stream.push_face(shown * FRAME_SAMPLES, canonical)
        stream.push_speech(babble[:20_000])
    out = {stream: list(stream.advance()) for stream in (kept, changed)}
    before = changed.emitted
    changed.seed = 2
    for stream in (kept, changed):
        stream.push_speech(babble[20_000:40_000])
        out[stream] += [*stream.advance(), *stream.finish()]
    same, other = stack(out[kept]), stack(out[changed])
    assert before > 20
    np.testing.assert_array_equal(other[:before], same[:before])
    assert not np.array_equal(other[before:], same[before:])
    assert len(other) == len(same)
    moved, usual = (np.abs(np.diff(one, axis=0)).mean(axis=(1, 2)) for one in (other, same))
    assert moved[before - 1] <= usual.max()  # the mouth does not jump where it changes


def test_the_mouth_rests_in_silence(model: MotionBackend, canonical: NDArray[np.float32]) -> None:
    gaps = aperture(stack(speak(model, canonical, np.zeros(48_000, np.float32), 640)))
    assert gaps.max() < 0.01


def test_memory_is_bounded_by_the_window(model: MotionBackend, canonical: NDArray[np.float32], babble: Samples) -> None:
    stream = MotionStream(model, PROFILES["quality"], steps=1, seed=1)
    for second in range(16):
        stream.push_speech(babble[:16_000])
        for shown in range(25):
            stream.push_face((25 * second + shown) * FRAME_SAMPLES, canonical)
        asked = stream.request()
        assert asked is None or asked.window.rows <= model.preset.window
        assert len(list(stream.advance())) <= 30
    assert len(stream._features) <= model.preset.window + MAX_REWIND + 12
    assert len(stream._history) <= model.preset.window + MAX_REWIND
    assert len(stream._faces.waiting) <= 12


def test_speech_that_nobody_takes_is_refused(model: MotionBackend, babble: Samples) -> None:
    stream = MotionStream(model, PROFILES["balanced"], steps=1, seed=1)
    for _ in range(11):
        stream.push_speech(babble)
    with pytest.raises(EngineError, match="wait for their pictures"):
        stream.push_speech(babble)


def test_clear_forgets_what_is_not_spoken_and_starts_clean(
    model: MotionBackend, canonical: NDArray[np.float32], babble: Samples
) -> None:
    stream = MotionStream(model, PROFILES["balanced"], steps=1, seed=1)
    for shown in range(75):
        stream.push_face(shown * FRAME_SAMPLES, canonical)
    stream.push_speech(babble[:16_000])
    before = [frame.index for frame in stream.advance()]
    position = stream.clear()
    assert position == (before[-1] + 1) * FRAME_SAMPLES
    assert not list(stream.advance())
    stream.push_speech(np.zeros(32_000, np.float32))
    after = list(stream.advance())
    assert after[0].index == before[-1] + 1
    assert aperture(after[-1].lower) < 0.01


@pytest.mark.parametrize("seconds", [2, 13])
def test_clear_takes_back_motion_that_was_not_shown_and_closes_the_mouth_at_once(
    model: MotionBackend, canonical: NDArray[np.float32], babble: Samples, seconds: int
) -> None:
    stream = MotionStream(model, PROFILES["balanced"], steps=1, seed=1)
    for shown in range(25 * seconds + 100):
        stream.push_face(shown * FRAME_SAMPLES, canonical)
    stream.push_speech(np.resize(babble, 16_000 * seconds))
    spoken = [frame.index for frame in stream.advance()][-1] + 1
    assert stream.clear(spoken - 5) == (spoken - 5) * FRAME_SAMPLES
    stream.push_speech(np.zeros(32_000, np.float32))
    after = list(stream.advance())
    assert [frame.index for frame in after[:6]] == list(range(spoken - 5, spoken + 1))
    assert max(float(aperture(frame.lower)) for frame in after[4:]) < 0.01


def test_clear_takes_back_half_a_second_at_most(
    model: MotionBackend, canonical: NDArray[np.float32], babble: Samples
) -> None:
    stream = MotionStream(model, PROFILES["balanced"], steps=1, seed=1)
    for shown in range(75):
        stream.push_face(shown * FRAME_SAMPLES, canonical)
    stream.push_speech(babble[:32_000])
    spoken = [frame.index for frame in stream.advance()][-1] + 1
    assert stream.clear(0) == (spoken - MAX_REWIND) * FRAME_SAMPLES
    assert stream.clear(10_000) == (spoken - MAX_REWIND) * FRAME_SAMPLES


def test_speech_that_no_face_comes_for_is_not_kept(model: MotionBackend, babble: Samples) -> None:
    stream = MotionStream(model, PROFILES["balanced"], steps=1, seed=1)
    for second in range(1, 17):
        stream.push_speech(babble[:16_000])
        stream.push_face(second * 16_000, None)
        assert not list(stream.advance())
    assert len(stream._features) <= model.preset.window + MAX_REWIND + 12
