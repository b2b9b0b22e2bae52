"""Measures what the silence gate costs in correlation and gains in closure: stage 1 alone, each clip's own speech.

    python -m benchmarks.quality.pauses --data DATA... [--weights edge] [--profiles balanced offline] [--sounds WAV...]

DATA are folders of ``mytalk train prepare``: of people whom the gate may be chosen by. A clip's landmarks and speech
are streamed as a session streams them. Correlation of lip aperture with the filmed one is that of what leaves, and of
the same mouths ungated. Closed shares are of frames of settled silence, and of all that lie 320 ms within a pause.
``--sounds``: sounds without a voice; how far the mouth of the first clip opens to each is printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import mytalk
from mytalk.evaluation.sync import CLOSED, SILENT, correlation, loudness, silence
from mytalk.face.landmarks import LOWER_FACE, aperture
from mytalk.media import SpeechReader
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.batch import MotionBackend
from mytalk.motion.person import Person
from mytalk.motion.stream import MotionStream
from mytalk.presets import PROFILES, Profile
from mytalk.training.data.store import ClipStore

PAUSE = 8
"""Frames into any pause for the second closed share, which pauses within an utterance have their part in."""

Array = NDArray[np.float32]


class Ungated(MotionStream):
    """Keeps the aperture that each frame would have without the gate."""

    def __init__(self, *conditions: Any, **named: Any) -> None:
        super().__init__(*conditions, **named)
        self.apertures: list[float] = []

    def _shape(self, row: Array, share: float, person: Person) -> Array:
        assert person.lower is not None
        moved = person.lower + self._model.space.decode(row * np.float32(person.gain))
        self.apertures.append(max(0.0, float(aperture(moved))))
        return super()._shape(row, share, person)


@dataclass(slots=True)
class Tally:
    """Collects the figures of one profile's clips: correlations, and which frames of silence are closed."""

    gated: list[float] = field(default_factory=list)
    ungated: list[float] = field(default_factory=list)
    settled: list[tuple[bool, bool]] = field(default_factory=list)  # ours, filmed
    paused: list[tuple[bool, bool]] = field(default_factory=list)

    def add(self, ours: Array, ungated: Array, true: Array, sound: Array) -> None:
        """Adds one clip's apertures."""
        frames = len(true)
        self.gated.append(correlation(ours, true))
        self.ungated.append(correlation(ungated, true))
        closed = list(zip(ours < CLOSED, true < CLOSED, strict=True))
        for shares, among in ((self.settled, silence(sound)[:frames]), (self.paused, _paused(sound)[:frames])):
            shares += [pair for pair, counts in zip(closed, among, strict=True) if counts]

    def line(self, name: str) -> str:
        closed = "".join(
            f"   {np.mean([ours for ours, _ in one]):5.0%} of {len(one):4d} ({np.mean([true for _, true in one]):4.0%})"
            for one in (self.settled, self.paused)
            if one
        )
        return f"{name:10} {np.mean(self.gated):11.3f}  {np.mean(self.ungated):7.3f}{closed}"


def _paused(sound: Array) -> NDArray[np.bool_]:
    """Finds the frames with more than `PAUSE` quiet ones right before them."""
    level = loudness(sound)
    quiet = level < max(float(np.quantile(level, 0.9)) - SILENT, -70.0)
    return np.array([quiet[max(0, index - PAUSE) : index + 1].all() and index >= PAUSE for index in range(len(quiet))])


def stream(motion: MotionBackend, profile: Profile, faces: Iterable[Array], sound: Array) -> tuple[Array, Array]:
    """Streams speech to a face; returns apertures ``(T,)``, of what leaves and ungated."""
    one = Ungated(motion, profile, steps=1, seed=0)
    for index, points in enumerate(faces):
        one.push_face(index * FRAME_SAMPLES, np.asarray(points, np.float32))
    one.push_speech(sound)
    left = [aperture(frame.lower) for frame in (*one.advance(), *one.finish())]
    return np.array(left, np.float32), np.array(one.apertures, np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", type=Path, required=True, metavar="DATA", help="prepared folders")
    parser.add_argument("--weights", default="edge", help="preset or checkpoint folder (default: %(default)s)")
    parser.add_argument("--profiles", nargs="+", default=["balanced", "offline"], choices=sorted(PROFILES))
    parser.add_argument("--sounds", nargs="+", type=Path, default=[], metavar="WAV", help="sounds without a voice")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    motion = mytalk.load(arguments.weights, device="cpu").motion
    store = ClipStore(arguments.data)
    faces = [store.landmarks(index).canonical for index in range(len(store))]
    print(f"{len(faces)} clips of {len({entry.person for entry in store.entries})} people")
    print("profile    correlation  ungated   closed in settled silence (filmed)   320 ms in a pause (filmed)")
    for name in arguments.profiles:
        tally = Tally()
        for index, points in enumerate(faces):
            sound = store.sound(index)[: len(points) * FRAME_SAMPLES]
            ours, ungated = stream(motion, PROFILES[name], points, sound)
            true = aperture(points[: len(ours), list(LOWER_FACE)])
            tally.add(ours, ungated, np.asarray(true, np.float32), sound)
        print(tally.line(name), flush=True)
        for path in arguments.sounds:
            sound = np.concatenate(list(SpeechReader(path).samples()))
            still = np.repeat(faces[0][:1], len(sound) // FRAME_SAMPLES, axis=0)
            print(f"           {path.stem}: opens by {stream(motion, PROFILES[name], still, sound)[0].max():.3f}")


if __name__ == "__main__":
    main()
