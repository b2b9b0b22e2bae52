"""Makes whole pictures of interlaced ones, one of each, with FFmpeg's bwdif."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import av
from av.filter import Graph
from av.video.frame import VideoFrame


def deinterlaced(frames: Iterator[VideoFrame], begin: Callable[[], None]) -> Iterator[VideoFrame]:
    """Yields frames in order, with their own timestamps; interlaced ones are made whole.

    ``begin`` is called at the first interlaced frame. Frames before it, and whole ones among the others, come out as
    they are; from there on frames come one later than they are taken.
    """
    graph: _Bwdif | None = None
    for frame in frames:
        if graph is None and not frame.interlaced_frame:
            yield frame
            continue
        if graph is not None and not graph.takes(frame):
            yield from graph.rest()
            graph = None
        if graph is None:
            begin()
            graph = _Bwdif(frame)
        yield from graph.push(frame)
    if graph is not None:
        yield from graph.rest()


class _Bwdif:
    """Runs one filter over frames of one size and pixel format."""

    def __init__(self, frame: VideoFrame) -> None:
        self._kind = frame.width, frame.height, frame.format.name
        self._stamps: deque[tuple[int | None, int | None]] = deque()  # of the frames within: two at most
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        bwdif = self._graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        sink = self._graph.add("buffersink")
        source.link_to(bwdif)
        bwdif.link_to(sink)
        self._graph.configure()

    def takes(self, frame: VideoFrame) -> bool:
        return (frame.width, frame.height, frame.format.name) == self._kind

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        self._stamps.append((frame.pts, frame.dts))
        self._graph.vpush(frame)
        yield from self._pull()

    def rest(self) -> Iterator[VideoFrame]:
        self._graph.vpush(None)
        yield from self._pull()

    def _pull(self) -> Iterator[VideoFrame]:
        while True:
            try:
                made = self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):  # it needs another frame, or has given its last
                return
            made.pts, made.dts = self._stamps.popleft()
            yield made
