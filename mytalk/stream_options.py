"""Defines the options of a session, checked where they are chosen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mytalk.controls import Controls
from mytalk.errors import OptionError
from mytalk.marking.payload import Payload
from mytalk.presets import PROFILES

if TYPE_CHECKING:  # it is slow to import, and only those who render need it
    from mytalk.appearance.look import Look


@dataclass(frozen=True, slots=True)
class StreamControls(Controls):
    """Holds what may change while a stream runs. A change replaces the whole value, between two windows.

    ``steps`` is a number here, the preset's where none was asked for. ``refinement``: whether a network refines the
    warped mouths of a preset that has one. ``since``: media time from which a change fades in (None: now).
    ``references``: mouths that give the lips their look (`mytalk.references.read_references`); none: their own.
    """

    steps: int = 1
    refinement: bool = True
    references: Look = ()
    since: int | None = None

    def earlier_by(self, base: int) -> StreamControls:
        """Returns these controls for a stream whose media time 0 is ``base`` here: what names a moment comes sooner."""
        if base == 0:
            return self
        pins = tuple(replace(pin, at=pin.at - base) for pin in self.key_motions)
        return replace(self, key_motions=pins, since=None if self.since is None else max(0, self.since - base))


@dataclass(frozen=True, slots=True)
class StreamOptions(Controls):
    """Holds the options of a session: the controls that it begins with, and what does not change.

    ``still`` says that all pictures are one portrait; ``alive`` has it blink and move its head a little.
    ``learn`` False keeps no mouths but those of ``enrol``: measuring asks for it. ``live`` keeps half a second of
    pictures that have been made, because a barge-in has them made again, and renders frugally. ``generation``:
    barge-ins of the session before the stream began. ``own_speech``: the speech is that of the person who is seen, as
    filmed; the stream adapts to it while it runs. ``watermark`` is what pictures with a new mouth are marked with;
    None: they are not. ``references``: as in `StreamControls`.
    """

    profile: str = "balanced"
    still: bool = False
    alive: bool = False
    learn: bool = True
    live: bool = False
    generation: int = 0
    own_speech: bool = False
    watermark: Payload | None = None
    references: Look = ()

    def __post_init__(self) -> None:
        Controls.__post_init__(self)
        if self.profile not in PROFILES:
            raise OptionError(f"profile {self.profile!r} is unknown (known: {', '.join(PROFILES)})")

    def controls(self, preset_steps: int) -> StreamControls:
        """Returns what a stream with these options begins with; ``preset_steps``: where ``steps`` is None."""
        own = {**self.named(), "steps": self.steps or preset_steps}
        return StreamControls(**own, references=self.references)
