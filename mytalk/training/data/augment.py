"""Changes speech and motion in ways that a mouth does not depend on: speed, voice, room, microphone, noise, mirror."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mytalk.face.landmarks import LOWER_MIRROR, UPPER_MIRROR
from mytalk.media_time import SAMPLE_RATE
from mytalk.motion.space_module import MotionSpaceModule
from mytalk.speech.filters import MELS
from mytalk.speech.mel import FLOOR

SPEEDS = (0.85, 1.18)

_IN_A_ROOM, _ON_A_TELEPHONE, _INTERRUPTED = 0.3, 0.15, 0.25  # shares of what is heard
_NO_PHONES, _VAGUE_PHONES = 0.15, 0.4
_ECHO = 32  # 10 ms steps of it that are heard
_QUIETEST = float(np.log(FLOOR))


def draw_speed(rng: np.random.Generator) -> float:
    """Draws a factor of speed."""
    return float(rng.uniform(*SPEEDS)) if rng.random() < 0.7 else 1.0


def stretch(rows: Tensor, length: int) -> Tensor:
    """Resamples ``(N, C)`` to ``(length, C)``, linearly."""
    if len(rows) == length:
        return rows.clone()
    stretched: Tensor = F.interpolate(rows.T[None], size=length, mode="linear", align_corners=True)[0].T
    return stretched


class Mirror:
    """Exchanges left and right of a face."""

    def __init__(self, space: MotionSpaceModule) -> None:
        basis = space.basis.unflatten(-1, (-1, 3))
        mirrored = (basis[:, list(LOWER_MIRROR)] * torch.tensor([-1.0, 1.0, 1.0])).flatten(1)
        self._motion: Tensor = (mirrored * space.scale[:, None]) @ space.basis.T / space.scale  # (K, K)

    def motion(self, rows: Tensor) -> Tensor:
        """Mirrors coefficients ``(T, K)``."""
        return rows @ self._motion

    def upper(self, rows: Tensor) -> Tensor:
        """Mirrors upper-face displacements ``(T, 38, 2)``."""
        return rows[:, list(UPPER_MIRROR)] * torch.tensor([-1.0, 1.0])


def change_features(features: Tensor, rng: np.random.Generator) -> Tensor:
    """Changes log-mel ``(N, 80)`` as `change_mel` does it; phone posteriors beside it, ``(N, 122)`` in all, stay, or
    become less sure, or uniform."""
    mel, phones = features.split([MELS, features.shape[1] - MELS], dim=1)
    chance = rng.random()
    if chance < _NO_PHONES:
        phones = torch.zeros_like(phones)
    elif chance < _NO_PHONES + _VAGUE_PHONES:
        grain = torch.from_numpy(rng.standard_normal(tuple(phones.shape), np.float32))
        phones = (rng.uniform(0.4, 1) * phones + rng.uniform(0, 0.3) * grain).clamp(-1, 1)
    return torch.cat([change_mel(mel, rng), phones], dim=1)


def change_mel(mel: Tensor, rng: np.random.Generator) -> Tensor:
    """Changes log-mel ``(N, 80)``: vocal-tract length, room, equaliser, level, noise, telephone band, and a masked
    band or moment, on log power."""
    power = (mel - 1) * 4
    bands = np.arange(MELS, dtype=np.float32)
    if rng.random() < 0.8:
        source = np.clip((bands - 20) * rng.uniform(0.88, 1.14) + 20 + rng.uniform(-3, 3), 0, MELS - 1)
        low = np.floor(source).astype(np.int64)
        share = torch.from_numpy((source - low).astype(np.float32))
        power = power[:, low] * (1 - share) + power[:, np.minimum(low + 1, MELS - 1)] * share
    if rng.random() < _IN_A_ROOM:
        power = _room(power, rng)
    curve = np.interp(bands, np.linspace(0, MELS - 1, 6), rng.normal(0, 0.7, 6))
    power = power + torch.from_numpy(curve.astype(np.float32)) + float(rng.normal(0, 1.2))
    if rng.random() < 0.6:
        shape = np.interp(bands, np.linspace(0, MELS - 1, 5), rng.normal(0, 1.5, 5))
        level = float(np.quantile(power.numpy(), 0.9)) - rng.uniform(1.5, 10)
        grain = torch.from_numpy(rng.standard_normal(tuple(power.shape), np.float32))
        power = torch.logaddexp(power, torch.from_numpy((shape + level).astype(np.float32)) + 0.6 * grain)
    if rng.random() < _ON_A_TELEPHONE:
        power[:, int(rng.integers(50, 76)) :] = _QUIETEST
    power = torch.logaddexp(power, torch.tensor(_QUIETEST, dtype=torch.float32))
    mel = power / 4 + 1
    if rng.random() < _INTERRUPTED:
        start = int(rng.integers(len(mel)))
        mel[start : start + int(rng.integers(4, 13))] = float(mel.mean())
    if rng.random() < 0.4:
        band = int(rng.integers(MELS - 12))
        mel[:, band : band + int(rng.integers(3, 12))] = float(mel.mean())
    return mel


def _room(power: Tensor, rng: np.random.Generator) -> Tensor:
    """Adds to log power ``(N, 80)`` an echo that falls by 60 dB in 0.2 to 0.7 s, 3 to 15 dB below the voice at
    first."""
    decay = 10 ** (-6 / (100 * rng.uniform(0.2, 0.7)))  # of power, in 10 ms
    tail = 10 ** (-rng.uniform(3, 15) / 10) * torch.from_numpy((decay ** np.arange(1, _ECHO)).astype(np.float32))
    kernel = torch.cat([tail.flip(0), torch.ones(1)])
    echoed = F.conv1d(F.pad(power.exp().T[:, None], (_ECHO - 1, 0)), kernel[None, None])[:, 0].T  # (N, 80)
    return torch.log(echoed + FLOOR)


def noisy_place(samples: Tensor, rng: np.random.Generator) -> Tensor:
    """Changes samples ``(S,)`` as a microphone in a poor place does: an echo now and then, equaliser, level, and
    noise 3 to 30 dB below the speech. The features of a front in noise cannot be drawn from those without."""
    if rng.random() < _IN_A_ROOM:
        count = int(SAMPLE_RATE * rng.uniform(0.2, 0.6))
        tail = rng.standard_normal(count, np.float32) * np.exp(-6.9 * np.arange(count) / count).astype(np.float32)
        echo = torch.from_numpy(tail / np.linalg.norm(tail) * float(rng.uniform(0.2, 1)))
        echo[0] = 1
        size = len(samples) + count
        samples = torch.fft.irfft(torch.fft.rfft(samples, size) * torch.fft.rfft(echo, size), size)[: len(samples)]
    return _recorded(samples, rng, (3, 30), 1.0)


def change_samples(samples: Tensor, rng: np.random.Generator) -> Tensor:
    """Changes samples ``(S,)``: equaliser, level and coloured noise. Voice changes with speed, which stretches pitch
    along."""
    return _recorded(samples, rng, (6, 40), 0.6)


def _recorded(samples: Tensor, rng: np.random.Generator, below: tuple[float, float], noisy: float) -> Tensor:
    """Equalises, changes the level, and with a chance of ``noisy`` adds noise so many dB ``below`` the speech."""
    count = len(samples)
    frequency = torch.fft.rfftfreq(count, 1 / SAMPLE_RATE).numpy()
    points = np.array([0, 125, 500, 1500, 4000, 8000])
    spectrum = torch.fft.rfft(samples) * _curve(frequency, points, rng.normal(0, 3, len(points)))
    changed = torch.fft.irfft(spectrum, count) * float(10 ** (rng.normal(0, 5) / 20))
    if rng.random() < noisy:
        white = torch.from_numpy(rng.standard_normal(count, np.float32))
        hiss = torch.fft.irfft(torch.fft.rfft(white) * _curve(frequency, points, rng.normal(0, 6, len(points))), count)
        wanted = float(changed.square().mean().sqrt()) * 10 ** (-rng.uniform(*below) / 20)
        changed = changed + hiss * (wanted / max(float(hiss.square().mean().sqrt()), 1e-9))
    clipped: Tensor = changed.clamp(-1, 1)
    return clipped


def _curve(
    frequency: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    points: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    decibels: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> Tensor:
    return torch.from_numpy((10 ** (np.interp(frequency, points, decibels) / 20)).astype(np.float32))
