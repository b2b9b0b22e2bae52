"""Pictures and sound of a recorded film, measured."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import av

from tests.streamer.support.fake_models import MARK
from tests.streamer.support.pictures import number_of


def look_at(target: Any) -> tuple[list[int], int, int, float]:
    """Of a film: the pictures' numbers, the brightest mouth, the loudest sample, how far apart its tracks end."""
    numbers, bright, loudest, ends = [], 0, 0, {"video": 0.0, "audio": 0.0}
    x0, y0, x1, y1 = MARK
    with target if not isinstance(target, Path) else av.open(target) as film, suppress(OSError):  # RTMP's end is one
        for frame in film.decode(film.streams.video[0], film.streams.audio[0]):
            if isinstance(frame, av.VideoFrame):
                rgb = frame.to_ndarray(format="rgb24")
                numbers.append(number_of(rgb))
                bright = max(bright, int(rgb[y0 + 8 : y1 - 8, x0 + 8 : x1 - 8].mean()))
                ends["video"] = frame.time
            else:
                loudest = max(loudest, int(32768 * abs(frame.to_ndarray()).max()))
                ends["audio"] = frame.time
    return numbers, bright, loudest, abs(ends["video"] - ends["audio"])
