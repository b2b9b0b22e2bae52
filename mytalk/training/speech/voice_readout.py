"""Fits what a readout tells of voices and closures: whether somebody speaks, and where lips meet for p, b and m. See
`mytalk.speech.readout`.

Fitted to synthetic speech, whose phones are known to 10 ms: its sentences with silence between them, half of them as
they are and half as a microphone in a noisy place hears them. Targets are 1 for speech and -1 for none, and the share
of a frame that is p, b or m.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mytalk.errors import DataError, WeightsError
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.silence_gate import NO_VOICE
from mytalk.speech.readout import Readout, stack_context
from mytalk.speech.timing import AHEAD, BACK
from mytalk.torch_backend import load_motion
from mytalk.training.data.augment import noisy_place
from mytalk.training.speech.readout import Sums, add_clip, save_readout, solve
from mytalk.training.voices.phones import CLASSES

SEED = 1
_SILENCE, _BILABIAL = CLASSES.index("silence"), CLASSES.index("bilabial")
_SENTENCES = 5  # sentences in one place
_PAUSE = (10, 50)  # motion frames between two of them
_MIN_SPEECH_STEPS = 2  # of a frame's four 10 ms that are speech, from which it is


def fit_voice(readout: Readout, voices: list[Path], tick: Callable[[int, int], None] | None = None) -> None:
    """Fits voice and closures of a readout whose features are standardised: the rest of it stays. ``voices``: files of
    `mytalk.training.voices.corpus`. Raises DataError where there are none."""
    if not voices:
        raise DataError("no synthetic speech to learn pauses from (need files of mytalk.training.voices.corpus)")
    people = []
    for index, path in enumerate(voices):
        sums = Sums.empty(readout.voice_weight.shape[1], 2)
        for samples, targets in noisy_sentences(path, np.random.default_rng([SEED, *path.stem.encode()])):
            add_clip(readout, samples, targets, sums)
        people.append(sums)
        if tick is not None:
            tick(index + 1, len(voices))
    weight, bias = solve(people)
    readout.voice_weight[:], readout.voice_bias[:] = weight[..., 0], bias[..., 0]
    readout.closure_weight[:], readout.closure_bias[:] = weight[..., 1], bias[..., 1]


def noisy_sentences(path: Path, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields a voice's sentences, some at a time: samples ``(640 T,)`` and targets ``(T, 2)`` of each motion frame:
    1 or -1 for voice, and the share of p, b and m."""
    with np.load(path) as file:
        sound, phones, lengths = file["sound"], file["phones"], file["lengths"]
    ends = np.cumsum(lengths)
    parts: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
    for number, (end, length) in enumerate(zip(ends.tolist(), lengths.tolist(), strict=True), 1):
        frames = slice(end - length, end)
        said = (phones[frames] != _SILENCE).sum(axis=1) >= _MIN_SPEECH_STEPS
        closed = (phones[frames] == _BILABIAL).mean(axis=1)
        pause = int(rng.integers(*_PAUSE))
        samples = sound[frames.start * FRAME_SAMPLES : frames.stop * FRAME_SAMPLES]
        parts.append((samples, np.stack([np.where(said, 1, -1), closed], axis=1).astype(np.float32)))
        nothing = np.tile(np.array([-1, 0], np.float32), (pause, 1))
        parts.append((np.zeros(pause * FRAME_SAMPLES, np.float32), nothing))
        if number % _SENTENCES == 0 or number == len(lengths):
            joined, targets = (torch.from_numpy(np.concatenate(one)) for one in zip(*parts, strict=True))
            parts.clear()
            yield (noisy_place(joined, rng) if rng.random() < 0.5 else joined), targets


def voice_accuracy(readout: Readout, voices: list[Path]) -> tuple[float, float]:
    """Returns, of voices that it was not fitted to, the share of speech not taken for silence, and of silence taken
    for it: where the gate of `mytalk.motion.silence_gate` is sure, 3 frames later."""
    right: dict[bool, list[Tensor]] = {True: [], False: []}
    for path in voices:
        for samples, targets in noisy_sentences(path, np.random.default_rng([SEED, *path.stem.encode()])):
            for newest, features in readout.recogniser.growing(samples, BACK + 1 + AHEAD):
                seen = stack_context(readout.standardise(features))[newest >= AHEAD, 0]
                predicted = seen @ readout.voice_weight[AHEAD] + readout.voice_bias[AHEAD]
                truly = targets[newest[newest >= AHEAD] - AHEAD, 0] > 0
                right[True].append(predicted[truly] > NO_VOICE)
                right[False].append(predicted[~truly] <= NO_VOICE)
    speech, silence = (float(torch.cat(right[kind]).float().mean()) for kind in (True, False))
    return speech, silence


def add_voice(
    folder: Path,
    spoken: list[Path],
    held_out: Sequence[str] = (),
    tick: Callable[[int, int], None] | None = None,
) -> tuple[float, float] | None:
    """Fits voice and closures of a preset folder's readout and writes them there. Motion is read as before.

    ``spoken``: folders of `mytalk.training.voices.corpus`. ``held_out``: names of voices in them that it is not fitted
    to, for which what `voice_accuracy` gives is returned. Raises DataError where these hold nothing, WeightsError
    where the preset has no readout.
    """
    readout = load_motion(folder).readout
    if readout is None:
        raise WeightsError(f"{folder}: has no readout to tell voices by (mytalk train readout)")
    voices = sorted(path for one in spoken for path in one.glob("*.npz"))
    others = [path for path in voices if path.stem in held_out]
    if unknown := sorted(set(held_out) - {path.stem for path in others}):
        raise DataError(f"no voice {unknown[0]} to hold out")
    fit_voice(readout, [path for path in voices if path not in others], tick)
    save_readout(folder, readout)
    return voice_accuracy(readout, others) if others else None
