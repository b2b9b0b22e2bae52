"""Tracks faces with MediaPipe itself, which our tracker is held to, and stores its landmarks of moved portraits.

python -m mytalk.training.face.reference -o tests/mytalk/face/reference_landmarks.npz

Needs the ``reference`` extra: ``pip install '.[reference]'``, on Python 3.11 or 3.12.
"""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.errors import DataError
from mytalk.face.landmarks import POINTS
from mytalk.media.face_source import open_face
from mytalk.picture import Picture

_SHIFTS = (0, 4, 10, 18, 24, 26)  # pixels to the right, one picture after the other
_STEPS = 64  # in which a pixel is stored
_STILLS: dict[str, tuple[float, float, float, float]] = {  # degrees, scale, brightness, pixels to the left
    "as it is": (0, 1, 1, 0),
    "leaning left": (18, 1, 1, 0),
    "leaning right": (-33, 1.1, 1, 0),
    "large": (0, 2.2, 1, 0),
    "small": (4, 0.7, 1, 0),
    "dark": (0, 1, 0.45, 0),
    "at the edge": (-5, 1.4, 1, 150),
}


class MediaPipeMesh:
    """Runs MediaPipe's face mesh with refined landmarks on whole pictures: one face, in order or each by itself.

    Raises DataError where MediaPipe is not installed.
    """

    def __init__(self, *, still: bool = False) -> None:
        try:
            from mediapipe.python.solutions.face_mesh import FaceMesh
        except ImportError as error:
            raise DataError("MediaPipe is not installed: pip install 'mytalk-streamer[reference]'") from error
        self._mesh: Any = FaceMesh(static_image_mode=still, max_num_faces=1, refine_landmarks=True)

    def __call__(self, picture: Picture) -> NDArray[np.float32] | None:
        """Returns the landmarks ``(478, 3)`` of one face in pixels, depth on x's scale; None where there is none."""
        rgb = picture.region_rgb((0, 0, picture.width, picture.height))
        found = self._mesh.process(rgb).multi_face_landmarks
        if not found:
            return None
        points = np.array([(p.x, p.y, p.z) for p in found[0].landmark], np.float32).reshape(POINTS, 3)
        return points * np.array([picture.width, picture.height, picture.width], np.float32)


def stills() -> dict[str, Picture]:
    """Returns the embedded portrait, turned, scaled and shifted around its face: 512 x 512 each."""
    rgb = _portrait().rgb()
    pictures = {}
    for name, (degrees, scale, brightness, left) in _STILLS.items():
        matrix = cv2.getRotationMatrix2D((222, 130), degrees, scale)
        matrix[0, 2] -= left
        turned = cv2.warpAffine(rgb, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE)
        pictures[name] = Picture.from_rgb(np.asarray(turned * brightness, np.uint8))
    return pictures


def moving() -> list[Picture]:
    """Returns the embedded portrait as it moves to the right, 512 x 512, faster and slower."""
    rgb = _portrait().rgb()
    return [Picture.from_rgb(np.roll(rgb, shift, axis=1)) for shift in _SHIFTS]


def read_reference(path: Path) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32]]:
    """Reads stored landmarks: of each of ``stills`` by name, and of ``moving``, ``(pictures, 478, 3)``."""
    with np.load(path) as stored:
        landmarks = {name: (values / _STEPS).astype(np.float32) for name, values in stored.items()}
    return landmarks, landmarks.pop("moving")


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    still, tracking = MediaPipeMesh(still=True), MediaPipeMesh()
    found = {name: still(picture) for name, picture in stills().items()}
    found["moving"] = np.array([tracking(picture) for picture in moving()])
    stored = {name: np.rint(points * _STEPS).astype(np.int16) for name, points in found.items() if points is not None}
    np.savez_compressed(arguments.output, allow_pickle=False, **stored)
    print(f"{arguments.output}: {len(stored)} of {len(found)}, {arguments.output.stat().st_size / 1e3:.0f} kB")


def _portrait() -> Picture:
    source = open_face(Path(str(files("mytalk") / "assets" / "astronaut.png")))
    return next(source.frames(endless=True)).picture


if __name__ == "__main__":
    main()
