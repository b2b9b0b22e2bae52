"""Keeps the controls that a client may change while a session is live."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mytalk.controls.values import CONTROL, MAX_STEPS
from streamer.errors import ProtocolError, RequestError
from streamer.protocol.messages import Scalar
from streamer.session.control_fields import LIVE, check_control, written_controls
from streamer.session.options import SessionOptions


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

    def change(self, changes: Mapping[str, Scalar], since: int | None = None) -> None:
        """Takes all ``changes``, which fade in from media time ``since`` on. Raises ``ProtocolError``, and takes none,
        where one of them cannot be made."""
        taken = {name: self._checked(name, value) for name, value in changes.items()}
        for name, value in taken.items():
            if (begun := CONTROL[name].begun) is not None:
                taken[name] = begun(value, getattr(self.now, name), since or 0)
        controls = replace(self.now, **taken, since=since)
        before, steps = self.now.steps, controls.steps
        if steps > before and self._refusal(steps, before) is not None:
            reason = f"steps is {steps}, and the engine has no time for more than {before} (wait for a session to end)"
            raise ProtocolError("bad_control", reason)
        self.now = controls

    def values(self) -> dict[str, Scalar]:
        """Returns the controls that hold now, by the names that the protocol gives them."""
        return written_controls(self.now)

    def _checked(self, name: str, value: Scalar) -> Any:
        """Reads one control's value. Raises ``ProtocolError`` where there is no such control or value."""
        if name not in LIVE:
            known = ", ".join(LIVE)
            raise ProtocolError("unknown_control", f"{name[:40]!r} cannot be changed live (what can: {known})")
        try:
            given = check_control(CONTROL[name], value)
            if name == "steps":
                SessionOptions(steps=given).check_steps(self._max_steps)
        except RequestError as error:
            raise ProtocolError("bad_control", str(error)) from error
        return self._preset_steps if name == "steps" and given is None else given
