"""Finds and tracks a face: a detector where none is known, a mesh around where the last picture showed it."""

from __future__ import annotations

import math

import numpy as np

from mytalk.face.detector import detect_faces
from mytalk.face.face import Face as Face
from mytalk.face.mesh import REGION_MARGIN, fit_mesh, region_of
from mytalk.face.pose import fit_pose, template_distance
from mytalk.face.region import Region
from mytalk.picture import Picture

MIN_FACE_PIXELS = 48
"""Width in picture pixels that a face must have; a narrower one has too few mouth pixels to work on."""

_MARGIN = 2.2  # side of the region that is searched for a turned face, over that face's size
_UPSIDE_DOWN_RATIO = 1.15  # distance from the template, of the opposite face / as found, below which more turns decide
_MAX_FACES = 4  # faces that are searched for in one picture


class FaceTracker:
    """Tracks one face through the pictures of one session, at first the largest.

    The mesh looks at a square around the landmarks of the picture before, turned as the eyes were. Only where it finds
    no face there the whole picture is searched. One thread at a time calls.
    """

    def __init__(self) -> None:
        self._region: Region | None = None
        self._upright = False  # whether the face there is known to be
        self.too_small = False  # the face that was found last

    def __call__(self, picture: Picture, *, search: bool = True) -> Face | None:
        """Returns the face in the next picture, or None where there is none of at least 48 pixels' width.

        ``search``: where the tracked face is gone, the largest one is taken instead.
        """
        face = self._track(picture)
        if face is None:
            self._upright = False
            face = next(iter(self.faces(picture)), None) if search else None
        return self._keep(face, picture)

    def follow(self, face: Face, picture: Picture) -> Face | None:
        """Tracks this face, found in this picture, from here on; returns None where it is too small or upside down."""
        self.reset()
        return self._keep(face, picture)

    def _keep(self, face: Face | None, picture: Picture) -> Face | None:
        """Looks for this face in the next picture; returns None where it is too small, which it need not stay, or
        upside down."""
        self.too_small = face is not None and face.width < MIN_FACE_PIXELS
        if face is not None and not self.too_small and not self._upright:
            self._upright = not self._is_upside_down(face, picture)
            face = face if self._upright else None
        self._region = None if face is None else region_of(face)
        return None if self.too_small else face

    def faces(self, picture: Picture) -> list[Face]:
        """Finds every face in one picture, at most four, largest first. The tracked face stays the same."""
        whole = Region(picture.width / 2, picture.height / 2, max(picture.width, picture.height))
        return sorted(_faces_in(picture, whole), key=lambda face: -face.width)

    def reset(self) -> None:
        """Forgets where the face was: the next picture is of another shot."""
        self._region, self._upright = None, False

    def _is_upside_down(self, face: Face, picture: Picture) -> bool:
        """Says whether the mesh took a face for upright that stands on its head.

        The mesh puts an upright face on such a one, its mouth over an eye. In the picture turned by half a turn, and
        by a quarter to either side, it then finds faces of the opposite direction, nearer to a face's true shape.
        """
        x0, y0, x1, y1 = face.box
        middle_x, middle_y, side = (x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, y1 - y0) * _MARGIN
        down = fit_pose(face).rotation[:2, 1]
        agreeing, opposite = [template_distance(face)], [np.inf]
        for quarters in (2, 1, 3):
            for other in _faces_in(picture, Region(middle_x, middle_y, side, quarters * math.pi / 2)):
                opposed = down @ fit_pose(other).rotation[:2, 1] <= 0
                (opposite if opposed else agreeing).append(template_distance(other))
            if min(opposite) > _UPSIDE_DOWN_RATIO * agreeing[0]:
                return False  # the half turn, which is looked at first, clears nearly every upright face
        return min(opposite) < min(agreeing)

    def _track(self, picture: Picture) -> Face | None:
        region = self._region
        if region is None:
            return None
        least = min(MIN_FACE_PIXELS, region.side / REGION_MARGIN)
        for middle, length in ((region.x, picture.width), (region.y, picture.height)):
            if min(middle + region.side / 2, length) - max(middle - region.side / 2, 0) < least:
                return None
        return fit_mesh(picture, region)


def _faces_in(picture: Picture, region: Region) -> list[Face]:
    """Finds at most four faces in a region, surest first."""
    found = (fit_mesh(picture, one) for one in detect_faces(picture, region, _MAX_FACES))
    return [face for face in found if face is not None]
