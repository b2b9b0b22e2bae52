"""Pictures with two people: the embedded portrait, and somebody darker who looks the other way."""

from __future__ import annotations

import cv2
import numpy as np

from mytalk.picture import Picture


def two_people(portrait: Picture, places: tuple[int | None, int | None], ground: int = 110) -> Picture:
    """Both heads with their left edges at ``places`` of a picture 640 x 320; None: not in it."""
    pixels = portrait.rgb()[10:190, 140:310].astype(np.float32)
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    far = np.hypot(x / pixels.shape[1] * 2 - 1, y / pixels.shape[0] * 2 - 1)
    cover = np.clip((1 - far) * 6, 0, 1).astype(np.float32)[..., None]
    dark = np.clip(pixels[:, ::-1] * np.array([0.6, 0.5, 0.42], np.float32) + 10, 0, 255)
    image = np.full((320, 640, 3), ground, np.float32)
    for left, head in zip(places, (pixels, dark), strict=True):
        if left is not None:
            part = image[60 : 60 + len(head), left : left + head.shape[1]]
            part += cover * (head - part)
    return Picture.from_rgb(cv2.convertScaleAbs(image))
