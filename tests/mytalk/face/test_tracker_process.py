"""Faces tracked in another process are those tracked in this one, and a process that ends takes nothing with it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import mytalk
from mytalk.errors import EngineError
from mytalk.face import Face, SpeakerTracker, tracker_process
from mytalk.face.tracker_process import PooledTracker, TrackerPool
from mytalk.picture import Picture
from tests.support.limits import LIMIT_S


def shifted(picture: Picture, by: int) -> Picture:
    planes = [(picture.y, by), (picture.u, by // 2), (picture.v, by // 2)]
    return Picture(*(np.roll(plane, n, 1) for plane, n in planes))


def points(face: Face | None) -> np.ndarray:
    assert face is not None
    return face.points


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def shared_memory() -> set[Path]:
    """All blocks of this machine, where it shows them."""
    folder = Path("/dev/shm")
    return set(folder.iterdir()) if folder.exists() else set()


@pytest.fixture(scope="module")
def trackers() -> Iterator[TrackerPool]:
    made = TrackerPool(1)
    yield made
    made.close()


def test_faces_are_the_same_as_in_this_process(trackers: TrackerPool, portrait: Picture) -> None:
    here, distances = SpeakerTracker(), trackers.new("largest")
    for by in (0, 2, 4, 6):
        picture = shifted(portrait, by)
        np.testing.assert_array_equal(points(distances(picture)), points(here(picture)))
    here.close()
    distances.close()


def test_sessions_of_one_process_keep_apart_and_pictures_may_grow(trackers: TrackerPool, portrait: Picture) -> None:
    one, other = trackers.new("largest"), trackers.new("largest")
    wide = Picture(*(np.repeat(np.repeat(plane, 2, 0), 2, 1) for plane in (portrait.y, portrait.u, portrait.v)))
    for by in (0, 8):
        small, large = points(one(shifted(portrait, by))), points(other(shifted(wide, 2 * by)))
        assert np.abs(2 * small - large).max() < 12
    one.close()
    assert points(other(wide)).shape == (478, 3)
    other.close()


def test_a_picture_without_a_face_and_one_whose_face_is_too_small(trackers: TrackerPool, portrait: Picture) -> None:
    tracker = trackers.new("largest")
    assert tracker(Picture.from_rgb(np.full((128, 128, 3), 90, np.uint8))) is None
    assert not tracker.too_small
    assert tracker(portrait) is not None
    assert tracker(Picture.from_rgb(portrait.rgb(256))) is None  # 46 pixels
    assert tracker.too_small
    tracker.close()


def test_a_tracker_s_error_is_reported_and_the_next_picture_is_tracked(
    trackers: TrackerPool, portrait: Picture
) -> None:
    tracker = trackers.new("largest")
    flat = Picture(np.zeros((0, 0), np.uint8), portrait.u, portrait.v)
    with pytest.raises(EngineError, match="face tracking failed: "):
        tracker(flat)
    assert tracker(portrait) is not None
    tracker.close()


def test_the_sessions_of_a_process_that_died_go_on_in_another(
    portrait: Picture, caplog: pytest.LogCaptureFixture
) -> None:
    trackers = TrackerPool(1)
    one, other = trackers.new("largest"), trackers.new("largest")
    assert isinstance(one, PooledTracker)
    before = points(one(portrait))
    assert other(portrait) is not None
    assert trackers.cpu_seconds > 0
    died = one.process.pid
    os.kill(died, signal.SIGKILL)
    np.testing.assert_array_equal(points(one(portrait)), before)
    assert "the process that tracks faces has ended (status -9)" in caplog.text
    assert other(portrait) is not None
    assert one.process.pid != died
    one.close()
    trackers.close()
    with pytest.raises(EngineError, match="the models were closed"):
        other(portrait)


def test_a_process_that_hangs_is_ended_and_its_sessions_go_on_in_another(
    portrait: Picture, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trackers = TrackerPool(1)
    one, other = trackers.new("largest"), trackers.new("largest")
    assert isinstance(one, PooledTracker)
    before = points(one(portrait))
    hung = one.process.pid
    monkeypatch.setattr(tracker_process, "ANSWER_TIMEOUT", 0.3)
    os.kill(hung, signal.SIGSTOP)
    np.testing.assert_array_equal(points(one(portrait)), before)
    assert "the process that tracks faces does not answer: it is ended" in caplog.text
    assert not running(hung)
    monkeypatch.undo()
    assert other(portrait) is not None
    trackers.close()


def test_freeing_a_tracker_never_waits_for_a_process_that_hangs(portrait: Picture) -> None:
    trackers = TrackerPool(1)
    one, other = trackers.new("largest"), trackers.new("largest")
    assert isinstance(one, PooledTracker)
    assert one(portrait) is not None
    os.kill(one.process.pid, signal.SIGSTOP)
    asking = threading.Thread(target=one, args=(portrait,))
    asking.start()
    while not one.process._lock.locked():
        time.sleep(0.01)
    other.close()
    assert asking.is_alive()  # still waits for its answer
    os.kill(one.process.pid, signal.SIGCONT)
    asking.join(LIMIT_S)
    assert not asking.is_alive()
    trackers.close()


def test_processes_that_end_at_once_find_no_face_and_are_started_less_and_less_often(
    portrait: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    trackers = TrackerPool(1)
    tracker = trackers.new("largest")
    assert isinstance(tracker, PooledTracker)
    assert tracker(portrait) is not None
    works, pids = tracker_process._COMMAND, {tracker.process.pid}
    monkeypatch.setattr(tracker_process, "_COMMAND", (sys.executable, "-c", ""))
    os.kill(tracker.process.pid, signal.SIGKILL)
    until = time.monotonic() + 1
    while time.monotonic() < until:
        assert tracker(portrait) is None
        pids.add(tracker.process.pid)
        time.sleep(0.01)
    assert 2 <= len(pids) <= 5
    monkeypatch.setattr(tracker_process, "_COMMAND", works)
    until = time.monotonic() + LIMIT_S
    while tracker(portrait) is None and time.monotonic() < until:
        time.sleep(0.05)
    assert tracker(portrait) is not None
    trackers.close()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system does not say")
def test_full_shared_memory_is_reported(monkeypatch: pytest.MonkeyPatch, portrait: Picture) -> None:
    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    before = shared_memory()
    trackers = TrackerPool(1)
    tracker = trackers.new("largest")
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(EngineError, match=r"no shared memory for a picture of 0\.4 MB: .*--shm-size"):
        tracker(portrait)
    assert shared_memory() <= before
    monkeypatch.undo()
    assert tracker(portrait) is not None
    trackers.close()


def test_processes_end_with_the_pipeline_and_leave_no_shared_memory(portrait: Picture) -> None:
    before = shared_memory()
    pipeline = mytalk.load(device="cpu", trackers=2)
    streams = [pipeline.stream() for _ in range(2)]
    found = [stream.track(portrait) for stream in streams]
    np.testing.assert_array_equal(points(found[0]), points(found[1]))
    pids = [process.pid for process in pipeline.trackers._processes]
    assert len(set(pids)) == 2
    assert all(map(running, pids))
    for stream in streams:
        stream.close()
    del streams, stream, pipeline
    until = time.monotonic() + LIMIT_S
    while any(map(running, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(running, pids))
    assert shared_memory() <= before
