"""Holds the tracker's two networks, loaded once for all trackers of the process.

Both are MediaPipe's (Apache-2.0), converted by `mytalk.training.face.networks`: a detector of near faces (BlazeFace,
Bazarevsky et al. 2019) and the attention mesh (Grishchenko et al. 2020).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

MESH_FILE, DETECTOR_FILE = "mesh.onnx", "detector.onnx"
MESH_SIDE, DETECTOR_SIDE = 192, 128  # pixels of the crops that they look at

_ERRORS_ONLY = 3
_FOLDER = Path(str(files("mytalk") / "weights" / "face"))
_loading = threading.Lock()


@dataclass(frozen=True, slots=True)
class FaceNetworks:
    """Runs the networks, each in the thread that calls, without Python's global lock. Any thread may call."""

    _mesh: onnxruntime.InferenceSession
    _detector: onnxruntime.InferenceSession

    def mesh(self, crop: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
        """Finds the landmarks ``(478, 3)`` of the face in RGB ``(192, 192, 3)``, and the score of there being one.

        Landmarks are in sides of the crop from its upper left corner, depth in sides alike; the score is 0 to 1.
        """
        points, score = self._mesh.run(("points", "score"), {"crop": crop})
        return points, float(score[0])

    def detect(self, crop: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Finds boxes ``(896, 8, 2)`` in RGB ``(128, 128, 3)``, and the score of a face in each, ``(896,)``.

        A box is its centre, its size, and six points: right eye, left eye, nose, mouth, ears. In sides of the crop.
        """
        boxes, scores = self._detector.run(("boxes", "scores"), {"crop": crop})
        return boxes, scores


def face_networks() -> FaceNetworks:
    """Returns the networks of this process; the first call loads them, which takes a tenth of a second."""
    with _loading:
        return _load()


@cache
def _load() -> FaceNetworks:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    mesh, detector = (
        onnxruntime.InferenceSession(str(_FOLDER / file), options, providers=["CPUExecutionProvider"])
        for file in (MESH_FILE, DETECTOR_FILE)
    )
    return FaceNetworks(mesh, detector)
