"""Writes the three operations of MediaPipe's attention mesh in ONNX: a crop of a feature map around some landmarks.

Sources: ``landmarks_to_transform_matrix.cc``, ``transform_tensor_bilinear.cc`` and ``transform_landmarks.cc`` in
``mediapipe/util/tflite/operations``, version 2 of each. A matrix is ``(1, 4, 4)`` as there: its first two rows
map ``(x, y, 0, 1)`` of the crop to the feature map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mytalk.errors import DataError
from mytalk.training.face.onnx_writer import OnnxWriter


def crop_matrix(writer: OnnxWriter, landmarks: str, options: Mapping[str, Any]) -> str:
    """Adds the matrix of the box around some of ``landmarks`` ``(1, N, 3)``, turned as the line between two of them.

    Raises DataError where the box is to be turned further.
    """
    if options["target_rotation_radians"]:
        raise DataError("crops that are turned from the line between two landmarks are not converted")
    ends = _plane_points(writer, landmarks, [options["left_rotation_idx"], options["right_rotation_idx"]])
    line = writer.node("MatMul", np.array([[[-1, 1]]], np.float32), ends)  # (1, 1, 2)
    direction = writer.node("Div", line, writer.node("ReduceL2", line, axes=[2]))  # cos, sin
    spread = np.array([[1, 0, 0, 1], [0, -1, 1, 0]], np.float32)
    upright = writer.node(
        "Reshape", writer.node("MatMul", direction, spread), np.array([1, 2, 2])
    )  # row @ it: turned back
    turned = writer.node("Transpose", upright, perm=[0, 2, 1])
    subset = np.ravel(options["subset_idxs"]).tolist()
    points = writer.node("MatMul", _plane_points(writer, landmarks, subset), upright)
    high, low = (writer.node(kind, points, axes=[1]) for kind in ("ReduceMax", "ReduceMin"))
    middle = writer.node("MatMul", writer.node("Mul", writer.node("Add", high, low), [0.5]), turned)
    size = np.array([options["output_width"], options["output_height"]], np.float32)
    scales = np.array([options["scale_x"], options["scale_y"]], np.float32) / size
    scale = writer.node("Mul", writer.node("Sub", high, low), scales)  # (1, 1, 2)
    rows = writer.node("Mul", writer.node("Transpose", scale, perm=[0, 2, 1]), turned)  # crop's (x, y) @ rows
    shift = writer.node("Add", middle, writer.node("MatMul", (-size / 2).reshape(1, 1, 2), rows))
    plane = writer.node("Transpose", rows, perm=[0, 2, 1])  # (1, 2, 2)
    column = writer.node("Transpose", shift, perm=[0, 2, 1])  # (1, 2, 1)
    top = writer.node("Concat", plane, np.zeros((1, 2, 1), np.float32), column, axis=2)
    return writer.node("Concat", top, np.eye(4, dtype=np.float32)[None, 2:], axis=1)


def crop_of_features(
    writer: OnnxWriter, features: str, matrix: str, size: tuple[int, ...], crop_size: tuple[int, int]
) -> str:
    """Adds the crop ``(1, C, *crop_size)`` of ``features`` ``(1, C, *size)``, bilinear between pixel centres.

    A pixel whose place is outside the outermost centres is 0.
    """
    height, width = crop_size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    centres = np.stack([x, y], axis=-1).reshape(1, -1, 2) + np.float32(0.5)
    places = writer.node("Sub", points_of_crop(writer, centres, matrix), [0.5])
    span = np.array([size[1] - 1, size[0] - 1], np.float32) / 2
    grid = writer.node("Sub", writer.node("Div", places, span), [1.0])  # -1..1 between the outermost centres
    farthest = writer.node("ReduceMax", writer.node("Abs", grid), axes=[2], keepdims=0)
    inside = writer.node("Cast", writer.node("LessOrEqual", farthest, [1.0]), to=1)
    crop = writer.node(
        "GridSample",
        features,
        writer.node("Reshape", grid, np.array([1, height, width, 2])),
        align_corners=1,
        mode="bilinear",
        padding_mode="zeros",
    )
    return writer.node("Mul", crop, writer.node("Reshape", inside, np.array([1, 1, height, width])))


def points_of_crop(writer: OnnxWriter, points: Any, matrix: str) -> str:
    """Adds ``points`` ``(1, N, 2)`` of a crop, mapped by its ``matrix``."""
    top = writer.node("Slice", matrix, np.array([0]), np.array([2]), np.array([1]))  # (1, 2, 4)
    plane = writer.node("Slice", top, np.array([0]), np.array([2]), np.array([2]))
    column = writer.node("Slice", top, np.array([3]), np.array([4]), np.array([2]))
    rows, shift = (writer.node("Transpose", one, perm=[0, 2, 1]) for one in (plane, column))
    return writer.node("Add", writer.node("MatMul", points, rows), shift)


def _plane_points(writer: OnnxWriter, landmarks: str, numbers: list[int]) -> str:
    """Adds x and y of some landmarks: ``(1, len(numbers), 2)``."""
    chosen = writer.node("Gather", landmarks, np.array(numbers), axis=1)
    return writer.node("Slice", chosen, np.array([0]), np.array([2]), np.array([2]))
