"""Loads speech with its motion, as motion training sees it: real clips of a store, and synthetic speech of a folder."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mytalk.errors import DataError
from mytalk.face.landmarks import LOWER_FACE, UPPER_COUNT, UPPER_FACE
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.motion.space import GAIN
from mytalk.motion.space_module import MotionSpaceModule
from mytalk.speech.interfaces import Front
from mytalk.training.data.augment import noisy_place
from mytalk.training.data.people import Frames, Rest, clips_by_person, sample_frames
from mytalk.training.data.store import ClipStore
from mytalk.training.voices.visemes import controls_of

_CONTROL_FRAMES = 600


@dataclass(frozen=True, slots=True)
class Sequence:
    """Holds one stretch of speech with its motion: T frames."""

    key: str
    features: Tensor  # (4 T, W) features of the front, or (640 T,) samples for one that runs in the training step
    motion: Tensor  # (T, K)
    upper: Tensor  # (T, 38, 2), displacement from the person's mean; zeros where there is no face
    rest: Rest
    noisy: Tensor | None = None  # like ``features``, in a noisy place; None where the front runs in the training step
    phones: Tensor | None = None  # (T, 4) uint8: ``voices.phones.CLASSES`` of each 10 ms, where known

    @property
    def nbytes(self) -> int:
        kept = (self.features, self.motion, self.upper, self.noisy)
        return sum(tensor.nbytes for tensor in kept if tensor is not None)


class ClipSequences:
    """Loads the clips of a store as sequences, when asked for; the last used ones are kept, ``cache_bytes`` at most.
    ``front`` extracts their features; None leaves their samples as they are.

    A person's rest shape is found when their first clip is asked for, and kept: 2.5 kB a person. ``evenness`` brings
    people who open more or less than most to the usual range (``RestShape.openness``): 0 not at all, 1 all the way,
    which is what ``MotionStream`` undoes. ``offsets`` are milliseconds by which a person's sound is late: it is moved,
    and what it leaves is silent.
    """

    def __init__(
        self,
        store: ClipStore,
        space: MotionSpaceModule,
        *,
        front: Front[Any] | None,
        evenness: float = 0.0,
        offsets: Mapping[str, float] | None = None,
        cache_bytes: int = 512 * 2**20,
    ) -> None:
        self._store, self._space, self._evenness = store, space, evenness
        self._offsets = dict(offsets or {})
        self._front = front
        self._clips = clips_by_person(store)
        self._people: dict[str, tuple[Rest, float]] = {}
        self._cache: OrderedDict[int, Sequence] = OrderedDict()
        self._cached, self._cache_bytes = 0, cache_bytes

    def __len__(self) -> int:
        return len(self._store)

    def __getitem__(self, index: int) -> Sequence:
        """Loads one sequence. Raises DataError where the clip is damaged."""
        if index in self._cache:
            self._cache.move_to_end(index)
            return self._cache[index]
        sequence = self._make(index)
        self._cache[index] = sequence
        self._cached += sequence.nbytes
        while self._cached > self._cache_bytes and len(self._cache) > 1:
            self._cached -= self._cache.popitem(last=False)[1].nbytes
        return sequence

    def __getstate__(self) -> dict[str, Any]:
        """Copies to another process with an empty cache."""
        return {**self.__dict__, "_cache": OrderedDict(), "_cached": 0}

    def person(self, name: str) -> tuple[Rest, float]:
        """Returns the rest shape, and what this person's motion is multiplied by."""
        if name not in self._people:
            frames = sample_frames(self._store, self._clips[name])
            openness = float(np.clip(frames.openness(self._space), *GAIN))
            self._people[name] = frames.rest(self._space), openness**-self._evenness
        return self._people[name]

    def _make(self, index: int) -> Sequence:
        entry = self._store.entries[index]
        canonical = self._store.landmarks(index).canonical
        rest, gain = self.person(entry.person)
        motion = gain * self._space.encode(torch.from_numpy(canonical[:, list(LOWER_FACE)] - rest.lower))
        upper = torch.from_numpy(np.ascontiguousarray((canonical[:, list(UPPER_FACE)] - rest.upper)[..., :2]))
        late = round(self._offsets.get(entry.person, 0.0) * SAMPLE_RATE / 1000)
        features, noisy = _features(_earlier(self._store.sound(index), late), self._front, index)
        return Sequence(entry.key, features, motion, upper, rest, noisy)


def spoken_sequences(
    folder: Path, people: Rows[Frames], space: MotionSpaceModule, seed: int, *, front: Front[Any] | None
) -> list[Sequence]:
    """Loads synthetic speech of ``mytalk.training.voices.corpus``, all in memory (0.2 GB an hour), each sentence
    spoken by one of ``people``: viseme controls through a linear map to coefficients that the people's own mouths
    teach.

    Raises DataError where the folder holds none.
    """
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise DataError(f"{folder}: no synthetic speech in it (make it with python -m mytalk.training.voices.corpus)")
    rests = [frames.rest(space) for frames in people]
    to_motion = _control_map(people, rests, space)
    rng = np.random.default_rng(seed)
    sequences: list[Sequence] = []
    for path in paths:
        with np.load(path) as stored:
            sound, controls, lengths = stored["sound"], stored["controls"], stored["lengths"]
            phones = torch.from_numpy(stored["phones"]) if "phones" in stored else None
        for stop, length in zip(np.cumsum(lengths), lengths, strict=True):
            part = slice(stop - length, stop)
            samples = sound[part.start * FRAME_SAMPLES : part.stop * FRAME_SAMPLES]
            features, noisy = _features(samples, front, len(sequences))
            motion = torch.from_numpy((controls[part] @ to_motion).astype(np.float32))
            rest = rests[int(rng.integers(len(rests)))]
            key = f"{path.stem}@{part.start}"
            upper = torch.zeros(int(length), UPPER_COUNT, 2)
            sentence = None if phones is None else phones[part]
            sequences.append(Sequence(key, features, motion, upper, rest, noisy, sentence))
    return sequences


def _control_map(people: Rows[Frames], rests: Rows[Rest], space: MotionSpaceModule) -> NDArray[np.float32]:
    """Fits least squares from viseme controls to motion coefficients ``(4, K)``."""
    controls, motions = [], []
    for number, (frames, rest) in enumerate(zip(people, rests, strict=True)):
        picked = frames.lower[np.random.default_rng(number).choice(len(frames.lower), _CONTROL_FRAMES)]
        controls.append(controls_of(picked, rest.lower))
        motions.append(space.encode(torch.from_numpy(picked - rest.lower)).numpy())
    found, *_ = np.linalg.lstsq(np.concatenate(controls), np.concatenate(motions), rcond=1e-3)
    return np.asarray(found, np.float32)


def _earlier(sound: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
    """Moves sound earlier by ``samples``, at the same length; below 0 later."""
    moved = np.zeros_like(sound)
    kept = max(len(sound) - abs(samples), 0)
    moved[max(-samples, 0) :][:kept] = sound[max(samples, 0) :][:kept]
    return moved


@torch.inference_mode()
def _features(sound: NDArray[np.float32], front: Front[Any] | None, number: int) -> tuple[Tensor, Tensor | None]:
    """Extracts a front's features, and those in a noisy place, drawn by the sequence's number."""
    samples = torch.from_numpy(np.array(sound, np.float32))
    if front is None:
        return samples, None
    noisy = noisy_place(samples, np.random.default_rng(number))
    return front.offline(samples[None])[0].clone(), front.offline(noisy[None])[0].clone()
