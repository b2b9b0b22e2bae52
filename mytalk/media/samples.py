"""Packs samples as PyAV's frames."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

# Default layouts of sound that does not say which channel is which (av_channel_layout_default).
LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


def to_frame(block: NDArray[np.float32], rate: int, layout: str, pts: int) -> AudioFrame:
    """Packs a block ``(channels, n)`` as a float frame whose time base is ``1 / rate``."""
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(block.T).reshape(1, -1), "flt", layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, pts, Fraction(1, rate)
    return frame
