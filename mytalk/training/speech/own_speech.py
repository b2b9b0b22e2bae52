"""Scores how adapting to a person's own speech pays, with people as folds: learned on one half, scored on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mytalk.adaptation import speech_stream
from mytalk.evaluation.sync import correlation
from mytalk.face.landmarks import LOWER_FACE, aperture
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.model import MotionModel
from mytalk.motion.own_speech import HeardFrame, Learned, OwnSpeech, heard_frames
from mytalk.motion.torch_backend import TorchMotion
from mytalk.presets import PROFILES
from mytalk.speech.readout import DELAYS, Readout
from mytalk.torch_backend import load_motion
from mytalk.training.data.sequences import ClipSequences
from mytalk.training.data.store import ClipStore
from mytalk.training.speech.left_out import open_left_out
from mytalk.training.speech.readout import Sums, principal_directions, solve_one, standardise, sums_of_people

Penalties = tuple[float, float]


@dataclass(frozen=True, slots=True)
class OwnSpeechRow:
    """Holds one person: aperture correlation on both halves (their mean), each adapted to the other half."""

    person: str
    seconds: float  # of speech in a half, mean
    before: float  # by everybody else's readout
    after: dict[Penalties, float]
    adapted: float  # share of the halves that were accepted
    others_adapted: float  # share of the halves that were accepted with somebody else's sound: 0 is right
    offsets: tuple[tuple[float, float, float], ...]  # of each half: ms, confidence, height; then of the other sounds


@dataclass(frozen=True, slots=True)
class _Half:
    """Holds consecutive frames of one person."""

    heard: list[HeardFrame]
    lower: NDArray[np.float32]  # (T, 169, 3) canonical


def cross_validate_own_speech(
    preset: Path,
    data: list[Path],
    score: list[Path],
    penalties: Sequence[Penalties],
    offsets: Path | None = None,
    profile: str = "balanced",
    tick: Callable[[int, int], None] | None = None,
) -> Iterator[OwnSpeechRow]:
    """Fits the readout without each person of the folders ``score`` (part of ``data``), and adapts it to them.

    Raises DataError where fewer than two people are there, and what reading the data or the table raises.
    """
    model = load_motion(preset)
    clips = open_left_out(model.space, data, score, offsets)
    sequences, people = clips.sequences, clips.people
    readout = Readout(model.denoiser.coefficients).eval()
    standardise(readout, sequences)
    known = model.readout
    if known is not None:
        for name in ("voice_weight", "voice_bias", "closure_weight", "closure_bias"):
            getattr(readout, name).copy_(getattr(known, name))
    model.readout = readout
    yield from adapt_each(
        model,
        sequences,
        clips.store,
        sums_of_people(readout, sequences, people, tick),
        clips.left_out,
        penalties,
        profile,
    )


def adapt_each(
    model: MotionModel,
    sequences: ClipSequences,
    store: ClipStore,
    sums: Mapping[str, Sums],
    left_out: Sequence[str],
    penalties: Sequence[Penalties],
    profile: str = "balanced",
) -> Iterator[OwnSpeechRow]:
    """Adapts everybody else's readout, of their ``sums``, to each person. The model's readout is overwritten."""
    halves = {}
    for person in left_out:
        _leave_out(model, sums, person, profile)
        halves[person] = _halves(model, sequences, store, person, profile)
    for number, person in enumerate(left_out):
        stranger = halves[left_out[(number + 1) % len(left_out)]]
        yield _adapt(model, person, halves[person], stranger, penalties, profile)


def _leave_out(model: MotionModel, sums: Mapping[str, Sums], person: str, profile: str) -> None:
    """Fits the readout to all others, as far as the profile uses it."""
    readout, window = model.readout, PROFILES[profile]
    assert readout is not None
    others = [own for name, own in sums.items() if name != person]
    readout.directions[:] = principal_directions(others)
    for delay in {min(window.lookahead + late, DELAYS - 1) for late in range(window.hop)}:
        readout.weight[delay], readout.bias[delay] = solve_one(others, delay)


def _halves(
    model: MotionModel, sequences: ClipSequences, store: ClipStore, person: str, profile: str
) -> tuple[list[_Half], list[_Half]]:
    """Hears a person's clips, and divides each in two."""
    first: list[_Half] = []
    second: list[_Half] = []
    for index, entry in enumerate(store.entries):
        if entry.person != person:
            continue
        lower = store.landmarks(index).canonical[:, list(LOWER_FACE)]
        samples = sequences[index].features[: len(lower) * FRAME_SAMPLES].numpy()
        heard = list(
            heard_frames(speech_stream(TorchMotion(model), profile).push(samples).estimates, PROFILES[profile])
        )
        middle = len(heard) // 2
        for part, into in ((heard[:middle], first), (heard[middle:], second)):
            into.append(_Half(part, lower[part[0].index : part[-1].index + 1]))
    return first, second


def _adapt(
    model: MotionModel,
    person: str,
    halves: tuple[list[_Half], list[_Half]],
    stranger: tuple[list[_Half], list[_Half]],
    penalties: Sequence[Penalties],
    profile: str,
) -> OwnSpeechRow:
    space = model.space.arrays()
    opening = aperture(space.decode(np.eye(len(space.scale), dtype=np.float32)))
    before, after, own, other = [], [], [], []
    for learned_from, scored, strange in ((halves[0], halves[1], stranger[0]), (halves[1], halves[0], stranger[1])):
        speech = _listen(model, learned_from, learned_from, profile)
        own.append(_of_one(speech))
        other.append(_of_one(_listen(model, learned_from, strange, profile)))
        before.append(_score(scored, None, opening))
        after.append({one: _score(scored, _of_one(speech, one), opening) for one in penalties})
    figures = tuple(_offset_of(one) for one in (*own, *other))
    return OwnSpeechRow(
        person,
        float(np.mean([one.seconds for one in own])),
        float(np.mean(before)),
        {one: float(np.mean([half[one] for half in after])) for one in penalties},
        float(np.mean([one.correction is not None for one in own])),
        float(np.mean([one.correction is not None for one in other])),
        figures,
    )


def _listen(model: MotionModel, seen: list[_Half], heard: list[_Half], profile: str) -> OwnSpeech:
    """Learns from stretches of faces with stretches of sound, as long as the shorter of each two."""
    own = OwnSpeech(model.space.arrays(), PROFILES[profile])
    start = 0
    for faces, sound in zip(seen, heard, strict=False):
        frames = min(len(faces.lower), len(sound.heard))
        for index in range(frames):
            own.see((start + index) * FRAME_SAMPLES, faces.lower[index], 0)
        own.see((start + frames) * FRAME_SAMPLES, None, 0)
        own.take(
            HeardFrame(start + index, row.motion, row.context, row.voice)
            for index, row in enumerate(sound.heard[:frames])
        )
        own.advance(start + frames + 1)
        start += frames + 2
    own.finish()
    return own


def _of_one(own: OwnSpeech, penalties: Penalties | None = None) -> Learned:
    """Returns what was learned of the one person there."""
    learned = own.learned() if penalties is None else own.learned(penalties)
    return learned.get(0, Learned(None, 0.0, None, "too short"))


def _offset_of(one: Learned) -> tuple[float, float, float]:
    if one.offset is None:
        return 0.0, 0.0, 0.0
    return one.offset.ms, one.offset.confidence, one.offset.correlation * one.offset.seconds**0.5


def _score(halves: list[_Half], learned: Learned | None, opening: NDArray[np.float32]) -> float:
    """Computes aperture correlation, clips weighing as their lengths."""
    found = []
    for half in halves:
        motion = np.stack([row.motion for row in half.heard])
        if learned is not None and learned.correction is not None:
            motion = learned.correction(motion, np.stack([row.context for row in half.heard]))
        found.append(correlation(motion @ opening, aperture(half.lower)))
    return float(np.average(found, weights=[len(half.heard) for half in halves]))
