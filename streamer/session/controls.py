"""What a client may change while a session is live."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from streamer.errors import ProtocolError, RequestError
from streamer.protocol.messages import Scalar
from streamer.session.options import SessionOptions

LIVE = ("face", "mouth_opening", "on_silence", "seed", "steps")
"""Fields of :class:`SessionOptions` that the engine takes from one window to the next. Here, which face speaks is a
text: ``largest``, or a point as two shares of the picture's sides, ``0.25,0.5``."""


def values(options: SessionOptions, preset_steps: int) -> dict[str, Scalar]:
    """What holds now."""
    face = options.face if isinstance(options.face, str) else ",".join(map(str, options.face))
    same = {"mouth_opening": options.mouth_opening, "on_silence": options.on_silence}
    return {"face": face, **same, "seed": options.seed, "steps": options.steps or preset_steps}


def changed(options: SessionOptions, changes: Mapping[str, Scalar]) -> SessionOptions:
    """``options`` with ``changes``. ``ProtocolError``: one of them cannot be done; then none is."""
    for name, value in changes.items():
        if name not in LIVE:
            known = ", ".join(LIVE)
            raise ProtocolError("unknown_control", f"{name[:40]!r} cannot be changed live (what can: {known})")
        try:
            given = _point(value) if name == "face" else value
            options = replace(options, **{name: getattr(SessionOptions.from_json({name: given}), name)})
        except RequestError as error:
            raise ProtocolError("bad_control", str(error)) from error
    return options


def _point(value: Scalar) -> object:
    """A point that was given as a text; anything else as it is."""
    try:
        return [float(share) for share in str(value).split(",")] if "," in str(value) else value
    except ValueError:
        return value
