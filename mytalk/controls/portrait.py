"""Says how a portrait stands at a moment: a function of the seed, media time, the speech's rhythm and the controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mytalk.controls.emotion import upper_strengths
from mytalk.controls.values import Controls
from mytalk.face.brows import UpperFace
from mytalk.face.eyes import MAX_GAZE_PITCH, MAX_GAZE_YAW
from mytalk.face.head_turn import MAX_PITCH, MAX_ROLL, MAX_SHIFT, MAX_YAW, Turn
from mytalk.face.idle_motion import blink, eyelids, head_motion
from mytalk.face.portrait import PortraitState
from mytalk.face.speech_rhythm import QUIET, RhythmPose

PAST_RANGE = 1.25
"""Ranges of ``head_pose`` up to which a head's own motion may take it beyond: it slows down on the way there."""

EYES_STAY = 0.8
"""Share of the head's own turns that the eyes make up for, so that they stay on who is looked at."""

_NOSE_LOWERS = 0.3  # action unit 4 in a wrinkled nose, 9
_LIDS = np.array([0.6, 0.8, 0.4])  # how far lower lids rise with action units 6, 7 and 9

EYES_FREE = 1.5
"""Degrees of such turns up to which eyes go along: less is not seen."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Holds what a portrait does by itself depends on, beside the controls. Not ``alive``, it does nothing."""

    seed: int
    at: int  # media time
    rhythm: RhythmPose = QUIET
    alive: bool = True


def portrait_vector(controls: Controls, moment: Moment) -> NDArray[np.float64]:
    """Returns how the portrait stands, ``(13,)``, for `state_of`: numbers, so that `ControlTimeline.faded` can mix
    them."""
    moved, closed, lifted = np.zeros(5), 0.0, 0.0
    if moment.alive:
        moved = head_motion(moment.seed, moment.at, controls.pose_preset).numbers()
        moved += controls.pose_rhythm * moment.rhythm.turn.numbers()
        moved *= controls.motion_scale * controls.pose_weight
        closed = eyelids(moment.seed, moment.at, controls.blink.rate)
        lifted = controls.motion_scale * controls.expression_weight * controls.pose_rhythm * moment.rhythm.brows
    if controls.blink.at is not None:
        closed = max(closed, blink(moment.at - controls.blink.at))
    head = _eased(
        controls.head_pose, moved, PAST_RANGE * np.array([MAX_YAW, MAX_PITCH, MAX_ROLL, MAX_SHIFT, MAX_SHIFT])
    )
    follow = -EYES_STAY * np.sign(moved[:2]) * np.maximum(np.abs(moved[:2]) - EYES_FREE, 0)
    gaze = _eased(controls.gaze, follow, np.array([MAX_GAZE_YAW, MAX_GAZE_PITCH]))
    raised = controls.brows + lifted
    brows = np.array([max(raised, 0), max(raised, 0), max(-raised, 0), 0, 0])
    face = _expression(upper_strengths(controls)) + brows
    return np.array([*head, closed, *gaze, *np.clip(face, -1, 1)])


def state_of(vector: NDArray[np.float64]) -> PortraitState:
    """Returns what a `portrait_vector` says."""
    head, (closed, yaw, pitch), face = np.split(vector, (5, 8))
    return PortraitState(Turn(*head.tolist()), float(closed), float(yaw), float(pitch), UpperFace(*face.tolist()))


def _expression(strengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns what strengths of `UPPER_UNITS` make of an `UpperFace`, ``(5,)``: cheeks and a wrinkled nose lift the
    lower lids, and the nose draws the brows down."""
    inner, outer, lowered, upper, cheeks, tight, nose = strengths.tolist()
    return np.array([inner, outer, lowered + _NOSE_LOWERS * nose, upper, _LIDS @ (cheeks, tight, nose)])


def _eased(wanted: Sequence[float], added: NDArray[np.float64], limit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adds to what is wanted, less and less on the way to the limit, which is not passed."""
    held = np.asarray(wanted, np.float64)
    room = np.maximum(limit - np.sign(added) * held, 1e-9)
    return np.asarray(held + room * np.tanh(added / room))
