"""Finds the face on a portrait that a client sends, and reads the consent of the person on it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from mytalk.errors import NoFaceError
from mytalk.face.tracker import FaceTracker
from mytalk.media.face_source import StillSource
from mytalk.picture import Picture
from streamer.errors import ForbiddenError, RequestError
from streamer.validation import checked

_LONGEST = 200  # characters of each line of a consent


Line = Annotated[str, Meta(pattern=r"\S", max_length=_LONGEST, description=f"a text of at most {_LONGEST} characters")]


class Consent(Struct, frozen=True, forbid_unknown_fields=True):
    """The consent of the person shown: who agreed, when (ISO 8601), and to what. Kept with the session, shown to its
    owner, never logged."""

    who: Line
    when: Line
    purpose: Line

    @classmethod
    def from_json(cls, body: object) -> Consent:
        """Raises ``RequestError`` that names what is missing or wrong."""
        consent = checked(body, cls, "consent")
        try:
            datetime.fromisoformat(consent.when)
        except ValueError as error:
            raise RequestError("consent: when needs to be a date such as 2026-11-25 (ISO 8601)") from error
        return consent

    def to_json(self) -> dict[str, str]:
        """As it was given."""
        return {"who": self.who, "when": self.when, "purpose": self.purpose}


def check_consent(consent: Consent | None, *, required: bool) -> None:
    """Raises ``ForbiddenError`` where a server wants one and there is none."""
    if required and consent is None:
        raise ForbiddenError("this server takes portraits with the person's consent only (need who, when and purpose)")


def face_of(rgb: NDArray[np.uint8]) -> StillSource:
    """Returns a decoded picture as a face that can be animated. Takes about 200 ms: for a thread.

    Raises ``NoFaceError``.
    """
    picture = Picture.from_rgb(rgb)
    if FaceTracker()(picture) is None:
        raise NoFaceError("portrait: no face found (need one seen from the front, at least 48 pixels wide)")
    return StillSource(picture)
