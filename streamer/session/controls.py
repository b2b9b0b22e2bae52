"""Keeps the controls that a client may change while a session is live."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from streamer.errors import ProtocolError, RequestError
from streamer.protocol.messages import Scalar
from streamer.session.options import MAX_STEPS, SessionOptions

LIVE = ("face", "mouth_opening", "on_silence", "seed", "steps")
"""Fields of :class:`SessionOptions` that a client may change. On the wire, which face speaks is a text: ``largest``, or
a point as two shares of the picture's sides, ``0.25,0.5``."""


class LiveControls:
    """Owns one session's :class:`StreamControls`. The event loop replaces ``now``; any thread may read it.

    ``preset_steps``: sampling steps where the session asks for no number of them; ``max_steps``: the most that it may;
    ``refusal``: says why there is no time for so many steps in place of so many fewer, None where there is.
    """

    def __init__(
        self,
        options: SessionOptions,
        preset_steps: int,
        max_steps: int = MAX_STEPS,
        refusal: Callable[[int, int], str | None] = lambda steps, before: None,
    ) -> None:
        self.now = options.controls(preset_steps)
        self._preset_steps = preset_steps
        self._max_steps = max_steps
        self._refusal = refusal

    def change(self, changes: Mapping[str, Scalar]) -> None:
        """Takes all ``changes``. Raises ``ProtocolError``, and takes none, where one of them cannot be made."""
        controls = self.now
        for name, value in changes.items():
            controls = replace(controls, **{name: self._checked(name, value)})
        before, steps = self.now.steps, controls.steps
        if steps > before and self._refusal(steps, before) is not None:
            reason = f"steps is {steps}, and the engine has no time for more than {before} (wait for a session to end)"
            raise ProtocolError("bad_control", reason)
        self.now = controls

    def values(self) -> dict[str, Scalar]:
        """Returns the controls that hold now, by the names that the protocol gives them."""
        now = self.now
        face = now.face if isinstance(now.face, str) else ",".join(map(str, now.face))
        same = {"mouth_opening": now.mouth_opening, "on_silence": now.on_silence}
        return {"face": face, **same, "seed": now.seed, "steps": now.steps}

    def _checked(self, name: str, value: Scalar) -> Any:
        """Reads one control's value. Raises ``ProtocolError`` where there is no such control or value."""
        if name not in LIVE:
            known = ", ".join(LIVE)
            raise ProtocolError("unknown_control", f"{name[:40]!r} cannot be changed live (what can: {known})")
        try:
            options = SessionOptions.from_json({name: _point(value) if name == "face" else value})
            options.check_steps(self._max_steps)
        except RequestError as error:
            raise ProtocolError("bad_control", str(error)) from error
        return getattr(options.controls(self._preset_steps), name)


def _point(value: Scalar) -> object:
    """Reads a point that was given as a text; returns anything else as it is."""
    try:
        return [float(share) for share in str(value).split(",")] if "," in str(value) else value
    except ValueError:
        return value
