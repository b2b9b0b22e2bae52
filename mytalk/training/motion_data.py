"""Motion training data: sequences of log-mel and motion coefficients, and their augmentation.

Three kinds of source: ``people`` (one clip each), ``corpus`` (many clips of one person, a folder a person) and ``tts``
(synthetic speech with viseme controls, mapped to landmarks by the people's own mouths).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mytalk.face.landmarks import LOWER_FACE, LOWER_MIRROR, UPPER_FACE, UPPER_MIRROR, aperture
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.space import MotionSpace, RestShape
from mytalk.speech.mel import MEL_PER_MOTION, MELS, LogMel
from mytalk.training.clips import load_clip
from mytalk.training.visemes import controls_of

MIN_FRAMES = 40


@dataclass(frozen=True, slots=True)
class Face:
    """One clip's canonical landmarks at 25 Hz and its sound, before there is a motion space."""

    lower: NDArray[np.float32]  # (T, 169, 3)
    upper: NDArray[np.float32]  # (T, 38, 3)
    sound: NDArray[np.float32]  # (640 T,)
    person: int


@dataclass(frozen=True, slots=True)
class Sequence:
    """One stretch of speech with its motion."""

    mel: Tensor  # (4 T, 80)
    motion: Tensor  # (T, K)
    upper: Tensor  # (T, 38, 2), displacement from the person's mean; zeros where there is no face
    lower_rest: Tensor  # (169, 3)
    upper_rest: Tensor  # (38, 3)
    person: int


def load_faces(people: list[Path], corpora: list[Path], limit: int | None = None) -> list[Face]:
    """Faces of single clips (a person each) and of folders of clips (a person a folder)."""
    groups = [[path] for path in people] + [sorted(folder.glob("*.npz"))[:limit] for folder in corpora]
    faces: list[Face] = []
    for person, paths in enumerate(groups):
        for path in paths:
            clip = load_clip(path)
            shape = clip.canonical()
            for start, stop in _runs(~np.isnan(shape).any(axis=(1, 2))):
                sound = clip.sound[start * FRAME_SAMPLES : stop * FRAME_SAMPLES]
                part = shape[start:stop]
                faces.append(Face(part[:, list(LOWER_FACE)], part[:, list(UPPER_FACE)], sound, person))
    return faces


def _runs(good: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= MIN_FRAMES]


def fit_space(faces: list[Face], coefficients: int) -> MotionSpace:
    """The mouth basis: principal components of displacement from rest, every person weighing the same, and mirrored."""
    space = MotionSpace(coefficients)
    for _ in range(2):  # the first pass finds the opening direction, which the rest shapes of the second one need
        rows, gaps = [], []
        for person in sorted({face.person for face in faces}):
            lower = np.concatenate([face.lower for face in faces if face.person == person])
            rest = rest_of(lower, space)
            picked = np.random.default_rng(person).choice(len(lower), 600)
            rows.append(lower[picked] - rest)
            gaps.append(aperture(lower[picked]) - aperture(rest))
        moved = np.concatenate(rows).astype(np.float64)
        gap = np.concatenate(gaps).astype(np.float64)
        mirrored = moved[:, list(LOWER_MIRROR)] * np.array([-1.0, 1.0, 1.0])
        both = np.concatenate([moved, mirrored]).reshape(2 * len(moved), -1)
        gap = np.concatenate([gap, gap])
        opening = gap @ both / (gap @ gap)
        space.opening.copy_(torch.from_numpy(opening))
    spread, basis = np.linalg.eigh(both.T @ both / len(both))
    order = np.argsort(-spread)[:coefficients]
    space.basis.copy_(torch.from_numpy(basis.T[order]))
    space.scale.copy_(torch.from_numpy(np.sqrt(spread[order])))
    return space


def rest_of(lower: NDArray[np.float32], space: MotionSpace) -> NDArray[np.float32]:
    rest = RestShape(space, capacity=100_000)
    for shape in lower:
        rest.observe(shape)
    return rest.estimate()


def face_sequences(faces: list[Face], space: MotionSpace, mel: LogMel) -> list[Sequence]:
    sequences = []
    for person in sorted({face.person for face in faces}):
        own = [face for face in faces if face.person == person]
        rest = rest_of(np.concatenate([face.lower for face in own]), space)
        upper_rest = np.concatenate([face.upper for face in own]).mean(axis=0)
        for face in own:
            motion = space.encode(torch.from_numpy(face.lower - rest))
            upper = torch.from_numpy((face.upper - upper_rest)[..., :2])
            spectrum = mel.offline(torch.from_numpy(face.sound)[None])[0]
            rests = torch.from_numpy(rest), torch.from_numpy(upper_rest)
            sequences.append(Sequence(spectrum, motion, upper, *rests, person))
    return sequences


def tts_sequences(folder: Path, faces: list[Face], space: MotionSpace, mel: LogMel, seed: int) -> list[Sequence]:
    """Synthetic speech: viseme controls through a linear map to coefficients that the real faces teach."""
    controls, motions, rests = [], [], []
    for person in sorted({face.person for face in faces}):
        lower = np.concatenate([face.lower for face in faces if face.person == person])
        upper = np.concatenate([face.upper for face in faces if face.person == person]).mean(axis=0)
        rest = rest_of(lower, space)
        rests.append((torch.from_numpy(rest), torch.from_numpy(upper)))
        picked = np.random.default_rng(person).choice(len(lower), 600)
        controls.append(controls_of(lower[picked], rest))
        motions.append(space.encode(torch.from_numpy(lower[picked] - rest)).numpy())
    to_motion, *_ = np.linalg.lstsq(np.concatenate(controls), np.concatenate(motions), rcond=1e-3)
    rng = np.random.default_rng(seed)
    sequences = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as stored:
            sound, spoken, lengths = stored["sound"], stored["controls"], stored["lengths"]
        for stop, length in zip(np.cumsum(lengths), lengths, strict=True):
            part = slice(stop - length, stop)
            spectrum = mel.offline(
                torch.from_numpy(sound[part.start * FRAME_SAMPLES : part.stop * FRAME_SAMPLES])[None]
            )[0]
            motion = torch.from_numpy((spoken[part] @ to_motion).astype(np.float32))
            person = int(rng.integers(len(rests)))
            sequences.append(
                Sequence(spectrum, motion, torch.zeros(length, len(UPPER_FACE), 2), *rests[person], person)
            )
    return sequences


@dataclass(frozen=True, slots=True)
class Batch:
    mel: Tensor  # (B, 4 T, 80)
    motion: Tensor  # (B, T, K)
    upper: Tensor  # (B, T, 38, 2)
    lower_rest: Tensor  # (B, 169, 3)
    upper_rest: Tensor  # (B, 38, 3)
    valid: Tensor  # (B, T) bool


class Augmenter:
    """Draws crops and changes them: speed, vocal-tract length, equaliser, level, noise, masks, mirror."""

    def __init__(self, space: MotionSpace, rng: np.random.Generator) -> None:
        basis = space.basis.unflatten(-1, (-1, 3))
        mirrored = (basis[:, list(LOWER_MIRROR)] * torch.tensor([-1.0, 1.0, 1.0])).flatten(1)
        self._mirror = (mirrored * space.scale[:, None]) @ space.basis.T / space.scale  # (K, K)
        self._rng = rng

    def batch(self, sequences: list[Sequence], frames: int) -> Batch:
        parts = [self._one(sequence, frames) for sequence in sequences]
        longest = max(len(motion) for _, motion, _ in parts)
        valid = torch.stack([torch.arange(longest) < len(motion) for _, motion, _ in parts])

        def pad(rows: Tensor, length: int) -> Tensor:
            return torch.cat([rows, rows[-1:].expand(length - len(rows), *rows.shape[1:])])

        return Batch(
            torch.stack([pad(mel, longest * MEL_PER_MOTION) for mel, _, _ in parts]),
            torch.stack([pad(motion, longest) for _, motion, _ in parts]),
            torch.stack([pad(upper, longest) for _, _, upper in parts]),
            torch.stack([sequence.lower_rest for sequence in sequences]),
            torch.stack([sequence.upper_rest for sequence in sequences]),
            valid,
        )

    def _one(self, sequence: Sequence, frames: int) -> tuple[Tensor, Tensor, Tensor]:
        rng = self._rng
        speed = float(rng.uniform(0.85, 1.18)) if rng.random() < 0.7 else 1.0
        wanted = min(len(sequence.motion), round(frames * speed))
        start = int(rng.integers(len(sequence.motion) - wanted + 1))
        rows = slice(start, start + wanted)
        mel = sequence.mel[start * MEL_PER_MOTION : (start + wanted) * MEL_PER_MOTION]
        length = max(8, min(frames, round(wanted / speed)))
        mel = self._sound(_stretch(mel, length * MEL_PER_MOTION))
        motion, upper = _stretch(sequence.motion[rows], length), _stretch(sequence.upper[rows].flatten(1), length)
        upper = upper.unflatten(1, (-1, 2))
        if rng.random() < 0.5:
            motion = motion @ self._mirror
            upper = upper[:, list(UPPER_MIRROR)] * torch.tensor([-1.0, 1.0])
        return mel, motion, upper

    def _sound(self, mel: Tensor) -> Tensor:
        """All on log power: warp the frequency axis, tilt, level, add noise, mask."""
        rng = self._rng
        power = (mel - 1) * 4
        bands = np.arange(MELS, dtype=np.float32)
        if rng.random() < 0.8:
            source = np.clip((bands - 20) * rng.uniform(0.88, 1.14) + 20 + rng.uniform(-3, 3), 0, MELS - 1)
            low = np.floor(source).astype(np.int64)
            share = torch.from_numpy((source - low).astype(np.float32))
            power = power[:, low] * (1 - share) + power[:, np.minimum(low + 1, MELS - 1)] * share
        curve = np.interp(bands, np.linspace(0, MELS - 1, 6), rng.normal(0, 0.7, 6))
        power = power + torch.from_numpy(curve.astype(np.float32)) + float(rng.normal(0, 1.2))
        if rng.random() < 0.6:
            shape = np.interp(bands, np.linspace(0, MELS - 1, 5), rng.normal(0, 1.5, 5))
            level = float(power.quantile(0.9)) - rng.uniform(1.5, 10)
            hiss = torch.from_numpy(shape.astype(np.float32)) + level + 0.6 * torch.randn(power.shape)
            power = torch.logaddexp(power, hiss)
        power = torch.logaddexp(power, torch.tensor(np.log(1e-5), dtype=torch.float32))
        mel = power / 4 + 1
        if rng.random() < 0.4:
            band = int(rng.integers(MELS - 12))
            mel[:, band : band + int(rng.integers(3, 12))] = float(mel.mean())
        return mel


def _stretch(rows: Tensor, length: int) -> Tensor:
    """``(N, C)`` to ``(length, C)``, linearly."""
    if len(rows) == length:
        return rows.clone()
    return F.interpolate(rows.T[None], size=length, mode="linear", align_corners=True)[0].T
