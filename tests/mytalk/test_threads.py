"""Sessions in several threads share the models and nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from threading import Barrier

import numpy as np
from numpy.typing import NDArray

from mytalk import Picture, Pipeline, StreamOptions, VideoFrame
from mytalk.face import Face, FaceTracker
from mytalk.media_time import FRAME_SAMPLES
from tests.support.limits import LIMIT_S

FRAMES = 30
THREADS = 4


def test_a_session_among_others_gets_the_pictures_that_it_gets_alone(
    pipeline: Pipeline, portrait: Picture, portrait_face: Face, babble: NDArray[np.float32]
) -> None:
    together = Barrier(THREADS)

    def pictures(seed: int) -> list[Picture]:
        """Of one session; each has a speech and a noise of its own."""
        stream = pipeline.stream(StreamOptions(seed=seed, live=True))
        speech = np.roll(babble, seed * 5000)
        made = []
        for n in range(FRAMES):
            at = n * FRAME_SAMPLES
            stream.push_speech(speech[at : at + FRAME_SAMPLES])
            stream.push_frame(VideoFrame(portrait, at, n, Fraction(1, 25)), portrait_face)
            if (request := stream.request()) is not None:
                stream.accept(request, pipeline.sample([request])[0])
            made += [frame.picture for frame in stream.pull()]
        stream.close()
        return made

    def beside_others(seed: int) -> list[Picture]:
        together.wait(LIMIT_S)
        return pictures(seed)

    alone = [pictures(seed) for seed in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as threads:
        beside = list(threads.map(beside_others, range(THREADS)))
    assert len(alone[0]) > FRAMES // 2
    assert any((one.y != other.y).any() for one, other in zip(alone[0], alone[1], strict=True))
    for mine, among in zip(alone, beside, strict=True):
        for one, same in zip(mine, among, strict=True):
            np.testing.assert_array_equal(one.y, same.y)
            np.testing.assert_array_equal(one.u, same.u)
            np.testing.assert_array_equal(one.v, same.v)


def test_faces_are_tracked_in_several_threads_as_in_one(portrait: Picture) -> None:
    together = Barrier(THREADS)
    shifted = [[(portrait.y, n), (portrait.u, n // 2), (portrait.v, n // 2)] for n in (0, 2, 4, 6)]
    moving = [Picture(*(np.roll(plane, n, 1) for plane, n in planes)) for planes in shifted]

    def track() -> list[Face | None]:
        tracker = FaceTracker()
        found = [tracker(picture) for picture in moving]
        return found

    def beside_others(_: int) -> list[Face | None]:
        together.wait(LIMIT_S)
        return track()

    alone = track()
    with ThreadPoolExecutor(THREADS) as threads:
        for found in threads.map(beside_others, range(THREADS)):
            for one, same in zip(alone, found, strict=True):
                assert one is not None
                assert same is not None
                np.testing.assert_array_equal(one.points, same.points)
