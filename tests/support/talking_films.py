"""Films of the portrait with speech-like sound, for what reads videos."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from mytalk.media_time import SAMPLE_RATE
from mytalk.picture import Picture
from tests.support.films import write_film, write_sound

Planes = NDArray[np.uint8]


def planes_of(rgb: NDArray[np.uint8]) -> Planes:
    """RGB ``(H, W, 3)`` as yuv420p ``(1.5 H, W)``."""
    return np.asarray(Picture.from_rgb(rgb).to_av().to_ndarray(), np.uint8)


def swaying(rgb: NDArray[np.uint8], frames: int) -> list[Planes]:
    """The picture, moved a little to and fro."""
    steps = [planes_of(np.roll(rgb, shift, axis=1)) for shift in range(0, 12, 2)]
    order = [*range(6), *range(4, 0, -1)]
    return [steps[order[index % len(order)]] for index in range(frames)]


def write_talking(
    path: Path,
    pictures: Sequence[Planes],
    sound: NDArray[np.float32],
    *,
    rate: Fraction = Fraction(25),
    stamps: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    sound_start: Fraction = Fraction(0),
    gop: int = 12,
) -> Path:
    """A Matroska film: ``pictures`` and 16 kHz ``sound`` ``(n,)``, which starts ``sound_start`` seconds late."""
    folder = path.parent
    silent = write_film(
        folder / f".{path.stem}.pictures.mkv",
        pictures,
        rate=rate,
        stamps=stamps,
        time_base=time_base,
        gop=gop,
        options={"bf": "0"},  # Matroska stores no decoding times, which what follows sorts by
    )
    voice = write_sound(folder / f".{path.stem}.sound.mkv", sound[None], SAMPLE_RATE, layout="mono")
    with av.open(str(silent)) as first, av.open(str(voice)) as second, av.open(str(path), "w") as out:
        streams = [out.add_stream_from_template(one.streams[0]) for one in (first, second)]
        packets = []
        for number, container in enumerate((first, second)):
            for packet in container.demux():
                if packet.dts is None or packet.pts is None or packet.time_base is None:
                    continue
                if number == 1:
                    packet.pts += round(sound_start / packet.time_base)
                    packet.dts = packet.pts
                packets.append((packet.dts * packet.time_base, number, packet))
        for _, number, packet in sorted(packets, key=lambda one: one[:2]):
            packet.stream = streams[number]
            out.mux(packet)
    silent.unlink()
    voice.unlink()
    return path
