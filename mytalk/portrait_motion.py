"""Moves one session's portrait: by its controls, and by the rhythm of its speech."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mytalk.controls.portrait import Moment, portrait_vector, state_of
from mytalk.controls.timeline import ControlTimeline
from mytalk.controls.values import Controls
from mytalk.face.face import Face
from mytalk.face.head_turn import YawRoom
from mytalk.face.portrait import PortraitWarp
from mytalk.face.speech_rhythm import SpeechRhythm
from mytalk.picture import Picture, VideoFrame


class PortraitMotion:
    """Turns head, eyes and brows of the portrait that a stream shows. A film's pictures leave as they came.

    ``alive``: it moves by itself; ``live``: a turn further than the picture stands ends where it does, and is not an
    error.
    """

    def __init__(self, seed: int, *, alive: bool, live: bool) -> None:
        self._seed, self._alive, self._live = seed, alive, live
        self._rhythm = SpeechRhythm(seed)
        self._warp: tuple[int, PortraitWarp, YawRoom] | None = None  # and the person that it is of

    def hear(self, levels: NDArray[np.float32]) -> None:
        """Takes the levels of the next motion frames of speech, dB."""
        self._rhythm.push(levels)

    def forget_from(self, at: int) -> None:
        """Forgets speech from media time ``at`` on."""
        self._rhythm.forget_from(at)

    def animated(self, frame: VideoFrame, portrait: Picture, face: Face, controls: ControlTimeline) -> VideoFrame:
        """Returns the frame, made from ``portrait`` with its ``face``, as it is at its media time. Raises OptionError,
        which names the range, for a head turned further than this picture stands."""
        if self._warp is None or self._warp[0] != face.person:
            self._warp = face.person, PortraitWarp(portrait, face), YawRoom.of(face)
        _, warp, room = self._warp
        if warp.portrait is not portrait:  # a clip moves by itself
            return frame
        moment = Moment(self._seed, frame.at, self._rhythm.at(frame.at), self._alive)

        def vector(one: Controls) -> NDArray[np.float64]:
            if not self._live:
                room.check(one.head_pose[0])
            return portrait_vector(one, moment)

        state = state_of(controls.faded(frame.at, vector))
        return replace(frame, picture=warp(frame.picture, replace(state, head=room.held(state.head))))
