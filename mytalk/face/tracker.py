"""Finds and tracks a face: MediaPipe face mesh on a crop around its last position."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mytalk.face.face import Face as Face
from mytalk.face.landmarks import POINTS
from mytalk.face.native_log import without_native_log
from mytalk.face.pose import fit_pose, template_distance
from mytalk.picture import Box, Picture

MIN_FACE_PIXELS = 48
"""Width in picture pixels that a face must have; a narrower one has too few mouth pixels to work on."""

_SEARCH_SIDE = 960  # longer side of the picture that is searched for faces
_CROP_SIDE = 384  # longest side of the crop that is tracked; the mesh itself looks at 192 x 192
_MARGIN = 2.2  # crop side / face size
_SLACK = 0.22  # crop sides that the face may leave the crop's middle by before the crop follows
_MIN_SIZE_RATIO, _MAX_SIZE_RATIO = 0.7, 1.4  # wanted side / side of the crop between which it stays
_UPSIDE_DOWN_RATIO = 1.15  # distance from the template, of the opposite face / as found, below which more turns decide
_QUARTER = np.array([[0, 1], [-1, 0]], np.float32)  # a row vector of the picture turned counter-clockwise, turned back
_BLANK = np.zeros((64, 64, 3), np.uint8)
_MAX_FACES = 4  # faces that are searched for in one picture


class FaceTracker:
    """Tracks one face through the pictures of one session, at first the largest.

    The mesh runs on a square crop that stands still until the face moves off its middle: cheaper than the whole
    picture, finer for a small face, and a second face outside the crop cannot take over.
    """

    def __init__(self) -> None:
        self._search = _Mesh(static_image_mode=True, max_num_faces=_MAX_FACES)
        self._follow = _Mesh(static_image_mode=False, max_num_faces=1)
        self._crop: tuple[int, int, int] | None = None  # x0, y0, side
        self.too_small = False  # the face that was found last

    def __call__(self, picture: Picture, *, search: bool = True) -> Face | None:
        """Returns the face in the next picture, or None where there is none of at least 48 pixels' width.

        ``search``: where the tracked face is gone, the largest one is taken instead.
        """
        face = self._track(picture)
        if face is None and search:
            face = self._find(picture)
            if face is not None and self._is_upside_down(face, picture):
                face = None
        self.too_small = face is not None and face.width < MIN_FACE_PIXELS
        if face is None or self.too_small:
            self._crop = None
            return None
        self._centre(face, picture)
        return face

    def follow(self, face: Face, picture: Picture) -> Face | None:
        """Tracks this face, found in this picture, from here on; returns None where it is too small or upside down."""
        self.reset()
        self.too_small = face.width < MIN_FACE_PIXELS
        if self.too_small or self._is_upside_down(face, picture):
            return None
        self._centre(face, picture)
        return face

    def faces(self, picture: Picture) -> list[Face]:
        """Finds every face in one picture, at most four, largest first. The tracked face stays the same."""
        rgb = picture.rgb(_SEARCH_SIDE)
        found = _detect(self._search, rgb, (0.0, 0.0), picture.width / rgb.shape[1])
        return sorted(found, key=lambda face: -face.width)

    def reset(self) -> None:
        """Forgets where the face was: the next picture is of another shot."""
        self._crop = None
        self._follow.reset()

    def close(self) -> None:
        """Frees both meshes."""
        self._search.close()
        self._follow.close()

    def _find(self, picture: Picture) -> Face | None:
        self._crop = None
        return next(iter(self.faces(picture)), None)

    def _is_upside_down(self, face: Face, picture: Picture) -> bool:
        """Says whether the mesh took a face for upright that stands on its head.

        The mesh puts an upright face on such a one, its mouth over an eye. In the picture turned by half a turn, and
        by a quarter to either side, it then finds faces of the opposite direction, nearer to a face's true shape.
        """
        x0, y0, x1, y1 = face.box
        middle_x, middle_y, half = (x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, y1 - y0) * _MARGIN / 2
        corners = (int(middle_x - half), int(middle_y - half), int(middle_x + half), int(middle_y + half))
        rgb = _shrunk_region(picture, picture.even_box(corners))
        down = fit_pose(face).rotation[:2, 1]
        agreeing, opposite = [template_distance(face)], [np.inf]
        for quarters in (2, 1, 3):
            for other in _detect(self._search, np.rot90(rgb, quarters), (0.0, 0.0), 1.0):
                x, y = fit_pose(other).rotation[:2, 1] @ np.linalg.matrix_power(_QUARTER, quarters)
                (agreeing if down[0] * x + down[1] * y > 0 else opposite).append(template_distance(other))
            if min(opposite) > _UPSIDE_DOWN_RATIO * agreeing[0]:
                return False  # the half turn, which is looked at first, clears nearly every upright face
        return min(opposite) < min(agreeing)

    def _track(self, picture: Picture) -> Face | None:
        if self._crop is None:
            return None
        x0, y0, side = self._crop
        box = picture.even_box((x0, y0, x0 + side, y0 + side))
        if box[2] - box[0] < MIN_FACE_PIXELS or box[3] - box[1] < MIN_FACE_PIXELS:
            return None
        rgb = _shrunk_region(picture, box)
        faces = _detect(self._follow, rgb, (float(box[0]), float(box[1])), (box[2] - box[0]) / rgb.shape[1])
        return faces[0] if faces else None

    def _centre(self, face: Face, picture: Picture) -> None:
        """Moves the crop when the face has left its middle or outgrown it."""
        x0, y0, x1, y1 = face.box
        middle_x, middle_y, size = (x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, y1 - y0)
        if self._crop is not None:
            left, top, side = self._crop
            off = max(abs(middle_x - left - side / 2), abs(middle_y - top - side / 2)) / side
            if off < _SLACK and _MIN_SIZE_RATIO < size * _MARGIN / side < _MAX_SIZE_RATIO:
                return
        side = int(size * _MARGIN) & ~1
        self._crop = (int(middle_x - side / 2) & ~1, int(middle_y - side / 2) & ~1, side)
        self._follow.reset()


def load_mesh() -> Any:
    """Loads MediaPipe's face mesh; the first call takes a second."""
    os.environ.setdefault("GLOG_minloglevel", "2")  # read when MediaPipe's library is loaded
    from mediapipe.python.solutions.face_mesh import FaceMesh

    return FaceMesh


class _Mesh:
    """Runs one face mesh, whose libraries say nothing on standard error when its graph begins."""

    def __init__(self, **options: Any) -> None:
        with without_native_log():
            self._mesh = load_mesh()(refine_landmarks=True, **options)
            self._mesh.process(_BLANK)  # returns when every part of the graph has begun
        self._begun = False  # the graph has run to its end, with a face, since it began
        self._to_reset = False

    def find(self, rgb: NDArray[np.uint8]) -> list[Any]:
        """Returns the landmarks of each face in RGB ``(h, w, 3)``."""
        if self._begun:
            return self._mesh.process(rgb).multi_face_landmarks or []
        with without_native_log():
            if self._to_reset:
                self._mesh.reset()
                self._to_reset = False
            found = self._mesh.process(rgb).multi_face_landmarks or []
        self._begun = bool(found)
        return found

    def reset(self) -> None:
        """Forgets the face of the last picture, before the next one is looked at."""
        self._to_reset, self._begun = True, False

    def close(self) -> None:
        """Frees the mesh."""
        self._mesh.close()


def _shrunk_region(picture: Picture, box: Box) -> NDArray[np.uint8]:
    width, height = box[2] - box[0], box[3] - box[1]
    shrink = max(1.0, max(width, height) / _CROP_SIDE)
    return picture.region_rgb(box, (round(width / shrink), round(height / shrink)))


def _detect(mesh: _Mesh, rgb: NDArray[np.uint8], offset: tuple[float, float], scale: float) -> list[Face]:
    height, width = rgb.shape[:2]
    unit = np.array([width * scale, height * scale, width * scale], np.float32)
    shift = np.array([*offset, 0.0], np.float32)
    return [
        Face(np.array([(p.x, p.y, p.z) for p in one.landmark], np.float32).reshape(POINTS, 3) * unit + shift)
        for one in mesh.find(np.ascontiguousarray(rgb))
    ]
