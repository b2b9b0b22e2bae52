"""The networks are loaded once for all trackers, which leave nothing when they go."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import onnxruntime

from mytalk.face import FaceTracker, SpeakerTracker
from mytalk.face.networks import face_networks
from mytalk.picture import Picture


def sessions() -> int:
    gc.collect()
    return sum(type(one) is onnxruntime.InferenceSession for one in gc.get_objects())


def test_threads_that_ask_at_once_get_the_same_networks() -> None:
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: face_networks(), range(16)))
    assert all(one is found[0] for one in found)


def test_trackers_share_the_networks_and_leave_nothing(portrait: Picture) -> None:
    face_networks()
    before = sessions()
    gone = []
    for kind in (FaceTracker, SpeakerTracker) * 5:
        tracker = kind()
        assert tracker(portrait) is not None
        gone.append(weakref.ref(tracker))
    del tracker
    assert sessions() == before
    assert not any(one() for one in gone)
