"""Puts a person who was cut out of a portrait before another background."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.matte import SPARE, cut_out, spread
from mytalk.errors import OptionError
from mytalk.media.face_source import FaceSource, StillSource, open_face
from mytalk.picture import Matte, Picture, yuv_of_rgb

Background = Literal["own", "green", "transparent", "image"]
"""Backgrounds of a portrait's person. ``own``: what the portrait shows. ``transparent``: nothing, where an output can
be transparent, and green elsewhere."""

GREEN = (0, 255, 0)
"""RGB that programs take for a green screen: the default of OBS's chroma key."""


def on_background(portrait: Picture, background: Background, image: NDArray[np.uint8] | None = None) -> Picture:
    """Returns a portrait that ``composed`` puts before ``background``; ``image``: RGB ``(h, w, 3)``, cut to its shape.

    Takes as long as ``cut_out``.
    """
    if background == "own":
        return portrait
    own, alpha = cut_out(portrait)
    behind = _plain(portrait) if image is None else _fitted(image, portrait)
    return replace(own, matte=Matte(alpha, behind, kept=background == "transparent"))


def source_on_background(
    source: FaceSource, background: Background, image: NDArray[np.uint8] | None = None
) -> FaceSource:
    """Returns a portrait's source that plays it before ``background``. Raises OptionError for a clip, which moves."""
    if background == "own":
        return source
    if not isinstance(source, StillSource):
        raise OptionError(f"{source.name}: a clip keeps its background (--background and background are for an image)")
    return StillSource(on_background(source.picture, background, image), source.name, source.warnings)


def source_before(source: FaceSource, background: str) -> FaceSource:
    """Returns a portrait's source before what a command line names: own, green, transparent, or the file of an image.

    Raises OptionError, and UnreadableError for the file."""
    plain: Background
    for plain in ("own", "green", "transparent"):
        if background == plain:
            return source_on_background(source, plain)
    image = open_face(Path(background))
    if not isinstance(image, StillSource):
        raise OptionError(f"{background}: a film cannot be the background (need own, green, transparent or an image)")
    return source_on_background(source, "image", image.picture.rgb())


def composed(picture: Picture) -> Picture:
    """Returns the picture as it is to be seen: the person before their background. Takes 2 ms for 512 x 512."""
    matte = picture.matte
    if matte is None:
        return picture
    alpha = matte.alpha
    coarse = cv2.resize(alpha, (alpha.shape[1] // 2, alpha.shape[0] // 2), interpolation=cv2.INTER_AREA)
    front, back = (picture.y, picture.u, picture.v), (matte.behind.y, matte.behind.u, matte.behind.v)
    y, u, v = (_over(*planes) for planes in zip(front, back, (alpha, coarse, coarse), strict=True))
    return replace(picture, y=y, u=u, v=v, matte=None, cutout=_alone(picture, matte) if matte.kept else None)


def _alone(picture: Picture, matte: Matte) -> Picture:
    """Returns a picture without what its matte leaves out: it would be there to see for who ignores the alpha."""
    away = spread(matte.alpha > 0, SPARE - 1) == 0
    planes = picture.y.copy(), picture.u.copy(), picture.v.copy()
    planes[0][away] = 0 if picture.full_range else 16
    for chroma in planes[1:]:
        chroma[away[::2, ::2]] = 128
    return replace(picture, y=planes[0], u=planes[1], v=planes[2])


def _over(front: NDArray[np.uint8], back: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    mixed = front.astype(np.uint16) * alpha
    mixed += back.astype(np.uint16) * (255 - alpha)
    mixed += 127
    return np.asarray(mixed // 255, np.uint8)


def _plain(portrait: Picture) -> Picture:
    """Returns a green picture like the portrait."""
    y, u, v = np.rint(yuv_of_rgb(portrait.matrix, portrait.full_range) @ [*GREEN, 1]).astype(np.uint8)
    planes = np.full_like(portrait.y, y), np.full_like(portrait.u, u), np.full_like(portrait.v, v)
    return Picture(*planes, portrait.matrix, portrait.full_range)


def _fitted(image: NDArray[np.uint8], portrait: Picture) -> Picture:
    """Returns the middle of ``image`` in the size and colours of the portrait."""
    scale = max(portrait.width / image.shape[1], portrait.height / image.shape[0])
    size = max(portrait.width, round(image.shape[1] * scale)), max(portrait.height, round(image.shape[0] * scale))
    whole = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = (size[0] - portrait.width) // 2, (size[1] - portrait.height) // 2
    cut = whole[top : top + portrait.height, left : left + portrait.width]
    box = (0, 0, portrait.width, portrait.height)
    return portrait.with_region(box, np.asarray(cut, np.uint8), np.ones(cut.shape[:2], np.float32))
