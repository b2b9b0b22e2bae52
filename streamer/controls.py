"""What a client may change while a session is live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from streamer.errors import RequestError
from streamer.messages import Scalar
from streamer.options import SessionOptions
from streamer.protocol import ProtocolError

LIVE = ("mouth_opening", "steps")
"""Fields of :class:`SessionOptions` that the engine takes from one window to the next."""


def values(options: SessionOptions, preset_steps: int) -> dict[str, Scalar]:
    """What holds now."""
    return {"mouth_opening": options.mouth_opening, "steps": options.steps or preset_steps}


def changed(options: SessionOptions, changes: Mapping[str, Scalar]) -> SessionOptions:
    """``options`` with ``changes``. ``ProtocolError``: one of them cannot be done; then none is."""
    for name, value in changes.items():
        if name not in LIVE:
            known = ", ".join(LIVE)
            raise ProtocolError("unknown_control", f"{name[:40]!r} cannot be changed live (what can: {known})")
        try:
            options = replace(options, **{name: getattr(SessionOptions.from_json({name: value}), name)})
        except RequestError as error:
            raise ProtocolError("bad_control", str(error)) from error
    return options
