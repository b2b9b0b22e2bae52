"""Tracks faces for another process: `mytalk.face.tracker_process` starts it and says what the messages are.

    python -m mytalk.face.tracker_worker

Requests come as pickles on standard input, answers go as pickles to standard output; it ends with its input.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import cv2
import numpy as np

from mytalk.face.speaker import SpeakerTracker
from mytalk.face.tracker import load_mesh
from mytalk.face.tracker_process import CloseRequest, TrackRequest, TrackResult
from mytalk.picture import Picture


class Worker:
    """Holds the trackers of one process, by their keys."""

    def __init__(self) -> None:
        self._trackers: dict[int, SpeakerTracker] = {}
        self._memory: SharedMemory | None = None

    def track(self, request: TrackRequest) -> TrackResult:
        """Finds the face in the picture by the tracker of this key, which is made when it is first used."""
        tracker = self._trackers.get(request.key)
        if tracker is None:
            tracker = self._trackers[request.key] = SpeakerTracker(request.choice)
        tracker.choice = request.choice
        face = tracker(self._picture(request))
        return TrackResult(face, tracker.too_small, time.process_time())

    def close(self, key: int) -> None:
        """Frees a tracker."""
        if (tracker := self._trackers.pop(key, None)) is not None:
            tracker.close()

    def _picture(self, request: TrackRequest) -> Picture:
        """Copies the picture: the memory is overwritten by the next request, and a tracker may keep its picture."""
        if self._memory is None or self._memory.name != request.memory:
            if self._memory is not None:
                self._memory.close()
            self._memory = SharedMemory(request.memory)
        planes, start, buffer = [], 0, self._memory.buf
        assert buffer is not None
        for height, width in request.shapes:
            plane = np.frombuffer(buffer, np.uint8, height * width, start).reshape(height, width).copy()
            planes.append(plane)
            start += height * width
        return Picture(planes[0], planes[1], planes[2], request.matrix, request.full_range)


def respond(worker: Worker, request: Any) -> TrackResult | str | None:
    """Answers a request: with a result, with a text where the tracker failed, with None where no answer is due."""
    if isinstance(request, CloseRequest):
        worker.close(request.key)
        return None
    try:
        return worker.track(request)
    except Exception as failure:
        return f"{type(failure).__name__}: {failure}"


def main() -> None:
    """Serves requests until the other process closes the pipe, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both; the other one closes the pipe
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
    # The memory belongs to the other process: this one's end must not free it.
    resource_tracker.register = lambda name, rtype: None
    cv2.setNumThreads(1)
    load_mesh()
    worker = Worker()
    while True:
        try:
            request = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        if (made := respond(worker, request)) is not None:
            pickle.dump(made, answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()


if __name__ == "__main__":
    main()
