"""Blends the face that goes into the one that comes. Sans-IO."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from mytalk.media_time import SAMPLE_RATE
from mytalk.picture import Matte, Picture, VideoFrame
from mytalk.smoothstep import smoothstep

FADE = 2 * SAMPLE_RATE // 5
"""Media time (400 ms) of a crossfade."""


class Crossfade:
    """Takes finished pictures of both faces, each in order, and gives those that are to be seen, in order.

    Before the first picture of the one that comes, the other's leave as they are. Then each of the new one's is mixed
    with the newest of the old one's, until ``over``.
    """

    def __init__(self) -> None:
        self.over = False
        self._shown = -1  # media time of the last picture given
        self._old: Picture | None = None  # the newest
        self._since: int | None = None  # media time at which the fade began

    def going(self, frame: VideoFrame) -> VideoFrame | None:
        """Takes a picture of the face that goes. None: it is to be seen with one of the other's."""
        self._old = frame.picture
        if self._since is not None:
            return None
        self._shown = frame.at
        return frame

    def coming(self, frame: VideoFrame) -> VideoFrame | None:
        """Takes a picture of the face that comes. None: a picture of its time, or a later one, has been given."""
        if frame.at <= self._shown:
            return None
        if self._since is None:
            self._since = frame.at
        share = (frame.at - self._since) / FADE
        self._shown = frame.at
        self.over = share >= 1 or self._old is None
        return (
            frame if self._old is None or self.over else replace(frame, picture=_mixed(self._old, frame.picture, share))
        )


def _mixed(old: Picture, new: Picture, share: float) -> Picture:
    """Mixes two pictures of one size; takes 1 ms for 512 x 512, and 4 ms where both are cut out."""
    if (old.width, old.height) != (new.width, new.height):
        return new
    weight = smoothstep(share)
    y, u, v = (
        np.asarray(cv2.addWeighted(one, 1 - weight, other, weight, 0), np.uint8)
        for one, other in ((old.y, new.y), (old.u, new.u), (old.v, new.v))
    )
    cutout = None if old.cutout is None or new.cutout is None else _mixed_cutouts(old.cutout, new.cutout, weight)
    return replace(new, y=y, u=u, v=v, cutout=cutout)


def _mixed_cutouts(old: Picture, new: Picture, weight: float) -> Picture:
    """Mixes two people, whose colours count by how much of each pixel is theirs."""
    assert old.matte is not None
    assert new.matte is not None
    shares = [np.float32(part) * one.alpha for part, one in ((1 - weight, old.matte), (weight, new.matte))]
    coarse = [
        np.asarray(cv2.resize(one, old.u.shape[::-1], interpolation=cv2.INTER_AREA), np.float32) for one in shares
    ]
    y = cv2.blendLinear(old.y, new.y, *shares)
    u, v = (cv2.blendLinear(one, other, *coarse) for one, other in ((old.u, new.u), (old.v, new.v)))
    alpha = np.rint(shares[0] + shares[1]).astype(np.uint8)
    return replace(new, y=y, u=u, v=v, matte=Matte(alpha, new.matte.behind, kept=True))
