"""Films that hold no face: what is signed and verified does not need one."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np


def noise_film(path: Path) -> Path:
    """A second of noise, without a face."""
    random = np.random.default_rng(1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(25):
            picture = random.integers(0, 255, (64, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode(None))
    return path
