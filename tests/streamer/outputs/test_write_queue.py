"""A write queue has a bound in items and in bytes."""

from __future__ import annotations

import numpy as np

from streamer.media.audio import CHUNK, SpeechChunk
from streamer.outputs.write_queue import WriteQueue
from streamer.webrtc.encoded import Encoded


def picture(size: int) -> Encoded:
    return Encoded(bytes(size), [], 0, 0, 0, key=False)


def test_items_beyond_the_count_are_refused() -> None:
    queue = WriteQueue(most_items=2)
    assert [queue.put(SpeechChunk(at, np.zeros((CHUNK, 2), np.int16))) for at in range(3)] == [True, True, False]
    assert len(queue) == 2


def test_items_beyond_the_bytes_are_refused_until_others_are_taken() -> None:
    queue = WriteQueue(most_bytes=1000)
    first = picture(600)
    assert queue.put(first)
    assert not queue.put(picture(401))
    assert queue.get() is first
    assert queue.put(picture(1000))


def test_what_waits_is_given_after_the_end_and_then_none() -> None:
    queue = WriteQueue()
    last = picture(1)
    queue.put(last)
    queue.close()
    assert queue.get() is last
    assert queue.get() is None
