"""Films of more than 8-bit 4:2:0, with tracks of all kinds beside the picture, for tests."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from mytalk.media.stored import planar

Planes = list[NDArray[np.uint16] | NDArray[np.uint8]]


def noise_frame(pixels: str, width: int, height: int, seed: int) -> av.VideoFrame:
    """A frame of any planar format, each sample drawn anew over the format's depth."""
    generator = np.random.default_rng(seed)
    frame = av.VideoFrame(width, height, pixels)
    for part in frame.format.components:
        samples = samples_of(frame, part.plane, part.bits)
        samples[:] = generator.integers(1 << part.bits, size=samples.shape, dtype=np.uint32)
    return frame


def samples_of(frame: av.VideoFrame, plane: int, bits: int) -> NDArray[np.uint16] | NDArray[np.uint8]:
    held = frame.planes[plane]
    rows = np.frombuffer(memoryview(held), np.uint8).reshape(held.height, held.line_size)
    samples: NDArray[np.uint16] | NDArray[np.uint8] = rows.view(np.uint16) if bits > 8 else rows
    return samples[:, : held.width]


def write_noise(
    path: Path,
    pixels: str,
    *,
    codec: str = "ffv1",
    frames: int = 3,
    size: tuple[int, int] = (64, 48),
    tags: tuple[int, int, int, int] = (1, 9, 9, 16),
    turned: float | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """``tags``: range, matrix, primaries, transfer."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        if turned is not None:
            stream.set_display_rotation(turned)
        context = stream.codec_context
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = tags
        for index in range(frames):
            frame = noise_frame(planar(pixels) or pixels, *size, seed=index)
            frame = frame.reformat(format=pixels, src_color_range=1, dst_color_range=1)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            frame.color_range, frame.colorspace = tags[:2]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read_planes(path: Path) -> list[Planes]:
    """The samples of every frame, as they are stored, one array a component."""
    with av.open(str(path)) as container:
        return [_planes(frame) for frame in container.decode(video=0)]


def _planes(frame: av.VideoFrame) -> Planes:
    name = planar(frame.format.name)
    assert name is not None
    apart = frame.reformat(format=name, src_color_range=1, dst_color_range=1)
    return [samples_of(apart, part.plane, part.bits).copy() for part in apart.format.components]
