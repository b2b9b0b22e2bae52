"""Defines the options of a session, checked where they are chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mytalk.errors import OptionError
from mytalk.face import Choice
from mytalk.presets import PROFILES


@dataclass(frozen=True, slots=True)
class StreamControls:
    """Holds what may change while a stream runs. A change replaces the whole value, between two windows.

    ``steps`` and ``seed`` are of the motion to come. ``mouth_opening`` multiplies the lips' aperture (1: as generated).
    ``face`` and ``on_silence`` mean what they do in :class:`StreamOptions`. ``refinement``: whether a network refines
    the warped mouths of a preset that has one.
    """

    steps: int
    seed: int = 0
    mouth_opening: float = 1.0
    on_silence: Literal["close", "passthrough"] = "close"
    face: Choice = "largest"
    refinement: bool = True


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """Holds the options of a session. ``steps`` None takes the preset's. ``face`` says which one speaks:
    ``largest``, or the one nearest to a point (shares of width and height). ``on_silence``: the mouth rests
    (``close``), or the picture is shown as it came (``passthrough``).

    ``still`` says that all pictures are one portrait; ``alive`` has it blink and move its head a little.
    ``learn`` False keeps no mouths but those of ``enrol``: measuring asks for it. ``live`` keeps half a second of
    pictures that have been made, because a barge-in has them made again, and renders frugally. ``generation``:
    barge-ins of the session before the stream began. ``own_speech``: the speech is that of the person who is seen, as
    filmed; the stream adapts to it while it runs.
    """

    seed: int = 0
    steps: int | None = None
    profile: str = "balanced"
    mouth_opening: float = 1.0
    still: bool = False
    alive: bool = False
    learn: bool = True
    live: bool = False
    face: Choice = "largest"
    on_silence: Literal["close", "passthrough"] = "close"
    generation: int = 0
    own_speech: bool = False

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise OptionError(f"profile {self.profile!r} is unknown (known: {', '.join(PROFILES)})")
        if not 0 <= self.mouth_opening <= 3:
            raise OptionError(f"mouth opening {self.mouth_opening}: need 0 (closed) to 3 (1 = as generated)")
        if self.steps is not None and not 1 <= self.steps <= 50:
            raise OptionError(f"steps {self.steps}: need 1 to 50")
        if not 0 <= self.seed < 2**64:
            raise OptionError(f"seed {self.seed}: need 0 to 2^64 - 1")
        if self.face != "largest" and not all(0 <= share <= 1 for share in self.face):
            raise OptionError(f"face {self.face}: need 'largest', or a point as two shares from 0 to 1")

    def controls(self, preset_steps: int) -> StreamControls:
        """Returns what a stream with these options begins with; ``preset_steps``: where ``steps`` is None."""
        return StreamControls(
            steps=self.steps or preset_steps,
            seed=self.seed,
            mouth_opening=self.mouth_opening,
            on_silence=self.on_silence,
            face=self.face,
        )
