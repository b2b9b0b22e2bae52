"""Says how a still portrait moves by itself: it blinks, its head is never quite at rest, and it nods or shakes.

All are functions of the seed and of media time alone: streamed and offline, a portrait moves the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mytalk.face.head_turn import Turn
from mytalk.media_time import SAMPLE_RATE
from mytalk.smoothstep import smoothstep

PosePreset = Literal["still", "calm", "lively", "nod", "shake"]

BLINK_SLOT = 2 * SAMPLE_RATE
"""Media time, samples, in which a portrait blinks once at most."""

BLINK_RATE = 16.5
"""Blinks a minute: one in 3.6 s, as of people who listen."""

MAX_BLINK_RATE = 30.0
"""Blinks a minute that slots have room for."""

_CLOSING, _CLOSED, _OPENING = (SAMPLE_RATE * ms // 1000 for ms in (80, 40, 160))
BLINK_LENGTH = _CLOSING + _CLOSED + _OPENING
"""Media time, samples, of one blink."""

_SWAY_PERIODS = ((5.3, 3.1), (7.9, 4.3), (6.7, 9.1), (4.7, 8.3), (5.9, 3.7))
"""Seconds of the two sines that each part of the sway is the mean of: yaw, pitch, roll, across, down."""


@dataclass(frozen=True, slots=True)
class Sway:
    """Says how far a head sways to either side, and how much faster than a calm one."""

    most: Turn
    pace: float = 1.0


@dataclass(frozen=True, slots=True)
class Gesture:
    """Describes a gesture that comes once in each slot of time: so many strokes of ``yaw`` or ``pitch`` degrees."""

    yaw: float
    pitch: float
    strokes: int
    length: int  # samples
    slot: int  # samples


SWAYS: dict[PosePreset, Sway] = {
    "still": Sway(Turn()),
    "calm": Sway(Turn(1.2, 0.8, 0.6, 0.010, 0.007)),
    "lively": Sway(Turn(5.0, 2.5, 2.5, 0.016, 0.010), pace=1.5),
    "nod": Sway(Turn(1.2, 0.8, 0.6, 0.010, 0.007)),
    "shake": Sway(Turn(1.2, 0.8, 0.6, 0.010, 0.007)),
}
"""How far heads sway with each preset."""

GESTURES: dict[PosePreset, Gesture] = {
    "nod": Gesture(yaw=0.0, pitch=-7.0, strokes=2, length=SAMPLE_RATE * 12 // 10, slot=SAMPLE_RATE * 5 // 2),
    "shake": Gesture(yaw=8.0, pitch=0.0, strokes=2, length=SAMPLE_RATE * 14 // 10, slot=SAMPLE_RATE * 3),
}
"""Gestures of the presets that have one."""


def eyelids(seed: int, at: int, rate: float = BLINK_RATE) -> float:
    """Returns how far the lids are closed at media time ``at``, 0..1, at ``rate`` blinks a minute."""
    slot = at // BLINK_SLOT
    draw = np.random.Generator(np.random.Philox(key=seed, counter=slot)).random(2)
    if draw[0] >= rate / MAX_BLINK_RATE:
        return 0.0
    return blink(at - slot * BLINK_SLOT - int(draw[1] * (BLINK_SLOT - BLINK_LENGTH)))


def blink(since: int) -> float:
    """Returns how far lids are closed that began to blink ``since`` samples ago, 0..1."""
    if not 0 <= since < BLINK_LENGTH:
        return 0.0
    if since < _CLOSING:
        return smoothstep(since / _CLOSING)
    return smoothstep(1 - max(0, since - _CLOSING - _CLOSED) / _OPENING)


def head_motion(seed: int, at: int, preset: PosePreset = "calm") -> Turn:
    """Returns how the head is turned at media time ``at``."""
    sway, gesture = SWAYS[preset], GESTURES.get(preset)
    phases = np.random.Generator(np.random.Philox(key=seed, counter=1 << 40)).random((len(_SWAY_PERIODS), 2))
    seconds = at / SAMPLE_RATE * sway.pace
    yaw, pitch, roll, across, down = (
        sum(float(np.sin(2 * np.pi * (seconds / period + phase))) for period, phase in zip(*one, strict=True)) / 2
        for one in zip(_SWAY_PERIODS, phases.tolist(), strict=True)
    )
    most = sway.most
    stroke_yaw, stroke_pitch = (0.0, 0.0) if gesture is None else _stroke(gesture, seed, at)
    return Turn(
        most.yaw * yaw + stroke_yaw,
        most.pitch * pitch + stroke_pitch,
        most.roll * roll,
        most.across * across,
        most.down * down,
    )


def _stroke(gesture: Gesture, seed: int, at: int) -> tuple[float, float]:
    """Returns yaw and pitch of a gesture at media time ``at``, degrees: each stroke is smaller than the last."""
    slot = at // gesture.slot
    draw = np.random.Generator(np.random.Philox(key=seed, counter=(1 << 41) + slot)).random(2)
    since = at - slot * gesture.slot - int(draw[0] * (gesture.slot - gesture.length))
    share = since / gesture.length
    if not 0 <= share < 1:
        return 0.0, 0.0
    strength = (0.75 + 0.5 * draw[1]) * (1 - 0.5 * share)
    down = float(strength * np.sin(np.pi * gesture.strokes * share) ** 2)
    aside = float(strength * np.sin(2 * np.pi * gesture.strokes * share) * np.sin(np.pi * share))
    return gesture.yaw * aside, gesture.pitch * down
