"""Measures identity (IDsim): cosine similarity of ArcFace embeddings, filmed against generated.

The user brings the network as ONNX (any of InsightFace's recognition models: one input ``(N, 3, 112, 112)``, RGB
``(x - 127.5) / 127.5``, normalised outside the graph). Faces are aligned to the standard five points by a similarity
(Deng et al. 2019, section 3): eye centres and mouth corners from the face mesh's corners, and its nose tip, where
InsightFace takes RetinaFace's five points; these agree to a few pixels of 112.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mytalk.errors import UnreadableError, WeightsError
from mytalk.evaluation.crop import Rgb
from mytalk.evaluation.moment import Measure, Moment
from mytalk.face import Face

SIDE = 112
FIVE_POINTS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
"""Positions of the eyes, the nose tip and the mouth corners in an aligned face, the picture's left first."""

_MESH = ((33, 133), (362, 263), (1,), (61,), (291,))  # points whose mean is each of the five


class ArcFace:
    """Runs the user's network. Raises UnreadableError where there is no such file, WeightsError where it is no such
    network.

    Raises UnreadableError where there is no such file, WeightsError where it is no such network.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise UnreadableError(f"{path}: no such file (need an ArcFace network, .onnx)")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its own exception classes derive from nothing narrower
            raise WeightsError(f"{path}: not an ONNX network that can be run") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or list(inputs[0].shape[1:]) != [3, SIDE, SIDE]:
            shapes = ", ".join(str(one.shape) for one in inputs)
            raise WeightsError(f"{path}: its input is {shapes} (need one of N x 3 x {SIDE} x {SIDE})")
        self._input = inputs[0].name

    def __call__(self, face: Rgb) -> NDArray[np.float32]:
        """Embeds an aligned face ``(112, 112, 3)`` as a unit vector."""
        tensor = (face.astype(np.float32) - 127.5) / 127.5
        out = np.asarray(self._session.run(None, {self._input: tensor.transpose(2, 0, 1)[None]})[0]).ravel()
        return np.asarray(out / max(float(np.linalg.norm(out)), 1e-12), np.float32)


def five_points(face: Face) -> NDArray[np.float32]:
    """Returns the five points of a face, ``(5, 2)`` picture pixels."""
    return np.stack([face.points[list(group), :2].mean(axis=0) for group in _MESH])


def alignment(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fits the least-squares similarity ``(2, 3)`` from five points in the picture to the standard ones.

    Points as complex numbers: ``target = a * point + b``.
    """
    z, w = (p[:, 0] + 1j * p[:, 1] for p in (points.astype(np.float64), FIVE_POINTS.astype(np.float64)))
    centred = z - z.mean()
    a = (np.conj(centred) * (w - w.mean())).sum() / max(float((np.abs(centred) ** 2).sum()), 1e-12)
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]], np.float32)


def aligned(rgb: Rgb, face: Face) -> Rgb:
    """Aligns the face as the network wants it, ``(112, 112, 3)``."""
    return np.asarray(cv2.warpAffine(rgb, alignment(five_points(face)), (SIDE, SIDE)), np.uint8)


class IdentitySimilarity(Measure):
    """Averages cosine similarity over a clip, each face aligned by its own points."""

    def __init__(self, network: ArcFace) -> None:
        self._network = network
        self._similarity: list[float] = []

    def push(self, moment: Moment) -> None:
        if moment.face is None or moment.generated_face is None or not moment.pair.scored:
            return
        one = self._network(aligned(moment.true_rgb, moment.face))
        other = self._network(aligned(moment.generated_rgb, moment.generated_face))
        self._similarity.append(float(one @ other))

    def scores(self) -> dict[str, float]:
        return {"id_similarity": float(np.mean(self._similarity))} if self._similarity else {}
