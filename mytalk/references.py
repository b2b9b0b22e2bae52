"""Reads the pictures whose mouths give the lips another look."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, takewhile
from pathlib import Path

import numpy as np

from mytalk.appearance.bank import CAPACITY, distances
from mytalk.appearance.look import Look, SeenMouth
from mytalk.errors import NoFaceError, OptionError
from mytalk.face.tracker import MIN_FACE_PIXELS, FaceTracker
from mytalk.media.face_source import FaceSource, open_face
from mytalk.media_time import SAMPLE_RATE
from mytalk.picture import Picture

MAX_FILES = 8
"""Files, images or clips, that a look may be read from."""

CLIP_SAMPLES = 10 * SAMPLE_RATE
"""Media time of a clip that is read: by then it has shown what the mouth looks like."""

MIN_APART = 0.5
"""Mean crop pixels that a clip's mouth must differ from those before it to be kept, as in a bank."""


def read_references(paths: Iterable[Path]) -> Look:
    """Reads one to eight images or clips, and returns the mouths in them.

    Raises OptionError for another number of files, UnreadableError, and NoFaceError for one without a face.
    """
    files = list(paths)
    if not 1 <= len(files) <= MAX_FILES:
        raise OptionError(f"references are {len(files)} files (need 1 to {MAX_FILES} images or clips)")
    sources = [open_face(path) for path in files]
    room = CAPACITY // len(sources)
    return tuple(mouth for source in sources for mouth in mouths_of(source, room))


def mouths_of(source: FaceSource, most: int = CAPACITY) -> Look:
    """Returns at most ``most`` mouths of an image, or of a clip's beginning that differ in shape. Raises
    NoFaceError."""
    tracker, kept = FaceTracker(), list[SeenMouth]()
    for picture in _pictures(source):
        face = tracker(picture)
        mouth = None if face is None else SeenMouth.of(picture, face)
        if mouth is None:
            continue
        shape = mouth.in_crop()
        if not kept or distances(np.stack([one.in_crop() for one in kept]), shape).min() >= MIN_APART:
            kept.append(mouth)
        if len(kept) == most:
            break
    if not kept:
        raise NoFaceError(f"{source.name}: no face found for a reference (need one at least {MIN_FACE_PIXELS} px wide)")
    return tuple(kept)


def _pictures(source: FaceSource) -> Iterator[Picture]:
    frames = source.frames(endless=False)
    if source.still:
        return (frame.picture for frame in islice(frames, 1))
    return (frame.picture for frame in takewhile(lambda frame: frame.at < CLIP_SAMPLES, frames))
