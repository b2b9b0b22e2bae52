"""Converted operators calculate what TensorFlow Lite defines: its padding, its order of axes, its crops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

from mytalk.errors import DataError
from mytalk.training.face.onnx_writer import OnnxWriter
from mytalk.training.face.operators import Conversion
from mytalk.training.face.tflite_model import Operator, TfliteModel
from mytalk.training.face.towers import merge_towers

Array = NDArray[np.float32]
SAME, VALID = 0, 1
PLAIN = {"StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1, "FusedActivationFunction": 0}

random = np.random.default_rng(3)


def picture(height: int, width: int, channels: int) -> NDArray[np.uint8]:
    return random.integers(0, 8, (1, height, width, channels), np.uint8)


def run(given: NDArray[np.uint8], operators: list[Operator], tensors: dict[int, Any], result: int = 9) -> Array:
    """Converts a model of tensor 0, the picture, and runs it. ``tensors``: constants, and shapes of the others."""
    constants = {number: one for number, one in tensors.items() if isinstance(one, np.ndarray)}
    shapes = {number: one if isinstance(one, tuple) else one.shape for number, one in tensors.items()}
    model = TfliteModel((0,), (result,), tuple(operators), {0: given.shape, **shapes}, constants)
    writer = OnnxWriter()
    value = writer.node("Transpose", writer.node("Cast", "given", to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
    conversion = Conversion(model, writer, {0: value})
    conversion.run()
    output = conversion.values[result]
    if len(shapes[result]) == 4:
        output = writer.node("Transpose", output, perm=[0, 2, 3, 1])
    return run_graph(writer, given, {"found": (output, shapes[result])})[0]


def run_graph(writer: OnnxWriter, given: NDArray[np.uint8], outputs: dict[str, tuple[str, Any]]) -> list[Array]:
    model = writer.model({"given": given.shape}, outputs, {"source": "a test"})
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [np.asarray(one, np.float32) for one in session.run(list(outputs), {"given": given})]


def convolved(given: Array, kernel: Array, bias: Array, stride: int, padding: int) -> Array:
    """TensorFlow's definition, pixel by pixel; ``kernel`` ``(out, kh, kw, in)``."""
    _, height, width, _ = given.shape
    size = kernel.shape[1]
    rows, columns = (-(-n // stride) if padding == SAME else (n - size) // stride + 1 for n in (height, width))
    before = [max(0, (count - 1) * stride + size - n) // 2 for count, n in ((rows, height), (columns, width))]
    padded = np.pad(given[0], ((before[0], size), (before[1], size), (0, 0))) if padding == SAME else given[0]
    out = np.empty((1, rows, columns, len(kernel)), np.float32)
    for row, column in np.ndindex(rows, columns):
        part = padded[row * stride : row * stride + size, column * stride : column * stride + size]
        out[0, row, column] = np.einsum("hwc,ohwc->o", part, kernel) + bias
    return out


@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize(("stride", "height", "width"), [(1, 6, 5), (2, 6, 5), (2, 7, 8), (3, 9, 6)])
def test_convolution(padding: int, stride: int, height: int, width: int) -> None:
    given = picture(height, width, 3)
    kernel, bias = random.normal(size=(4, 3, 3, 3)).astype(np.float32), np.arange(4, dtype=np.float32)
    options = PLAIN | {"StrideH": stride, "StrideW": stride, "Padding": padding}
    wanted = convolved(given.astype(np.float32), kernel, bias, stride, padding)
    found = run(given, [Operator("CONV_2D", (0, 1, 2), (9,), options)], {1: kernel, 2: bias, 9: wanted.shape})
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_convolution(stride: int) -> None:
    given = picture(7, 6, 2)
    kernel, bias = random.normal(size=(1, 3, 3, 2)).astype(np.float32), np.ones(2, np.float32)
    options = PLAIN | {"StrideH": stride, "StrideW": stride, "Padding": SAME}
    apart = np.zeros((2, 3, 3, 2), np.float32)
    apart[[0, 1], :, :, [0, 1]] = kernel[0].transpose(2, 0, 1)
    wanted = convolved(given.astype(np.float32), apart, bias, stride, SAME)
    found = run(given, [Operator("DEPTHWISE_CONV_2D", (0, 1, 2), (9,), options)], {1: kernel, 2: bias, 9: wanted.shape})
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_prelu_of_any_slope_after_half_precision() -> None:
    given, slopes = picture(3, 4, 5), np.array([-4.0, 0.0, 0.25, 1.0, 6.0], np.float16).reshape(1, 1, 5)
    lower = np.full((5, 1, 1, 5), 0, np.float32)
    lower[range(5), 0, 0, range(5)] = 1
    operators = [
        Operator("DEQUANTIZE", (1,), (2,)),
        Operator("CONV_2D", (0, 3, 4), (5,), PLAIN | {"Padding": SAME}),
        Operator("PRELU", (5, 2), (9,)),
    ]
    tensors = {1: slopes, 2: (1, 1, 5), 3: lower, 4: np.full(5, -3.5, np.float32), 5: given.shape, 9: given.shape}
    value = given.astype(np.float32) - 3.5
    np.testing.assert_allclose(run(given, operators, tensors), np.where(value > 0, value, value * slopes), atol=1e-5)


def test_pooling_channel_padding_and_addition() -> None:
    given = picture(6, 4, 2)
    pool = {"StrideH": 2, "StrideW": 2, "FilterHeight": 2, "FilterWidth": 2, "Padding": SAME}
    widths = np.array([[0, 0], [0, 0], [0, 0], [0, 3]], np.int32)
    operators = [
        Operator("MAX_POOL_2D", (0,), (2,), pool),
        Operator("PAD", (2, 1), (3,)),
        Operator("RELU", (3,), (4,)),
        Operator("ADD", (3, 4), (9,), {"FusedActivationFunction": 0}),
    ]
    found = run(given, operators, {1: widths, 2: (1, 3, 2, 2), 3: (1, 3, 2, 5), 4: (1, 3, 2, 5), 9: (1, 3, 2, 5)})
    pooled = given.reshape(1, 3, 2, 2, 2, 2).max(axis=(2, 4))
    np.testing.assert_allclose(found, np.pad(2.0 * pooled, ((0, 0), (0, 0), (0, 0), (0, 3))))


def test_rows_are_in_the_order_of_the_picture_s_bytes() -> None:
    given = picture(2, 3, 4)
    halves = [Operator("RESHAPE", (0,), (number,)) for number in (2, 3)]
    join = Operator("CONCATENATION", (2, 3), (4,), {"Axis": 1, "FusedActivationFunction": 0})
    scale = Operator("MUL", (4, 1), (9,), {"FusedActivationFunction": 0})
    tensors = {1: np.array([0.5], np.float32), 2: (1, 12, 2), 3: (1, 12, 2), 4: (1, 24, 2), 9: (1, 24, 2)}
    rows = given.reshape(1, 12, 2) * 0.5
    np.testing.assert_allclose(run(given, [*halves, join, scale], tensors), np.concatenate([rows, rows], axis=1))


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (Operator("SOFTMAX", (0,), (9,)), "operator SOFTMAX is not converted"),
        (Operator("ADD", (0, 0), (9,), {"FusedActivationFunction": 1}), "an activation of its own"),
        (Operator("PAD", (0, 1), (9,)), "zero channels at the end"),
        (Operator("AVERAGE_POOL_2D", (0,), (9,)), "less than the whole picture"),
        (Operator("RESIZE_BILINEAR", (0,), (9,), {"AlignCorners": True, "HalfPixelCenters": False}), "their middles"),
        (Operator("Convolution2DTransposeBias", (0, 2, 3), (9,), {"StrideW": 2, "StrideH": 2}), "kernels overlap"),
        (Operator("STRIDED_SLICE", (0,), (9,)), "a slice that is not the whole"),
        (Operator("CONV_2D", (0, 2, 3), (9,), PLAIN | {"DilationWFactor": 2, "Padding": SAME}), "dilated"),
    ],
)
def test_what_is_not_converted_is_refused(operator: Operator, message: str) -> None:
    tensors = {1: np.ones((4, 2), np.int32), 2: np.ones((1, 1, 1, 2), np.float32), 3: np.ones(1, np.float32)}
    with pytest.raises(DataError, match=message):
        run(picture(4, 4, 2), [operator], {**tensors, 9: (1, 2, 2, 2)})


def matrix_of(landmarks: Array, options: dict[str, Any]) -> Array:
    """``LandmarksToTransformMatrixV2`` of MediaPipe, step by step."""
    left, right = landmarks[options["left_rotation_idx"]], landmarks[options["right_rotation_idx"]]
    angle = -math.atan2(right[1] - left[1], right[0] - left[0])

    def turn(by: float) -> Array:
        cos, sin = math.cos(by), math.sin(by)
        return np.array([[cos, -sin, 0, 0], [sin, cos, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], np.float32)

    points = landmarks[np.ravel(options["subset_idxs"]), :2] @ turn(angle)[:2, :2].T
    low, high = points.min(axis=0), points.max(axis=0)
    middle = turn(-angle)[:2, :2] @ ((low + high) / 2)
    size = np.array([options["output_width"], options["output_height"]])
    shift, scale, back = (np.eye(4, dtype=np.float32) for _ in range(3))
    shift[:2, 3] = middle
    scale[[0, 1], [0, 1]] = np.array([options["scale_x"], options["scale_y"]]) * (high - low) / size
    back[:2, 3] = -size / 2
    return np.asarray(shift @ turn(-angle) @ scale @ back, np.float32)


def cropped(features: Array, matrix: Array, height: int, width: int) -> Array:
    """``TransformTensorBilinearV2`` of MediaPipe, pixel by pixel."""
    out = np.zeros((height, width, features.shape[2]), np.float32)
    for row, column in np.ndindex(height, width):
        x, y = matrix[:2, :2] @ (column + 0.5, row + 0.5) + matrix[:2, 3] - 0.5
        if not (0 <= x <= features.shape[1] - 1 and 0 <= y <= features.shape[0] - 1):
            continue
        x0, y0 = int(x), int(y)
        x1, y1 = min(x0 + 1, features.shape[1] - 1), min(y0 + 1, features.shape[0] - 1)
        upper = features[y0, x0] * (1 - (x - x0)) + features[y0, x1] * (x - x0)
        lower = features[y1, x0] * (1 - (x - x0)) + features[y1, x1] * (x - x0)
        out[row, column] = upper * (1 - (y - y0)) + lower * (y - y0)
    return out


@pytest.mark.parametrize("shift", [0.0, 9.0])  # inside the feature map, and half outside it
def test_a_crop_around_landmarks_and_points_in_it(shift: float) -> None:
    given = picture(20, 24, 2)
    landmarks = np.column_stack([random.uniform(4, 14, (6, 2)) + shift, random.normal(size=6)]).astype(np.float32)
    options = {"left_rotation_idx": 4, "right_rotation_idx": 1, "target_rotation_radians": 0.0}
    options |= {"subset_idxs": [0, 3, 1, 5], "scale_x": 1.5, "scale_y": 1.25, "output_height": 5, "output_width": 7}
    matrix = matrix_of(landmarks, options)
    writer = OnnxWriter()
    value = writer.node("Transpose", writer.node("Cast", "given", to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
    placed = writer.constant(landmarks[None])
    inner = random.uniform(0, 7, (1, 3, 2)).astype(np.float32)
    model = TfliteModel(
        (0,),
        (9,),
        (
            Operator("Landmarks2TransformMatrix", (1,), (2,), options),
            Operator("TransformTensorBilinear", (0, 2), (3,), {"output_height": 5, "output_width": 7}),
            Operator("TransformLandmarks", (4, 2), (5,)),
        ),
        {0: given.shape, 1: (1, 6, 3), 3: (1, 5, 7, 2), 4: inner.shape, 5: inner.shape},
        {},
    )
    conversion = Conversion(model, writer, {0: value, 1: placed, 4: writer.constant(inner)})
    conversion.run()
    outputs = {
        "matrix": (conversion.values[2], (1, 4, 4)),
        "crop": (writer.node("Transpose", conversion.values[3], perm=[0, 2, 3, 1]), (1, 5, 7, 2)),
        "points": (conversion.values[5], inner.shape),
    }
    found = run_graph(writer, given, outputs)
    np.testing.assert_allclose(found[0][0], matrix, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found[1][0], cropped(given[0].astype(np.float32), matrix, 5, 7), atol=1e-3)
    np.testing.assert_allclose(found[2][0], inner[0] @ matrix[:2, :2].T + matrix[:2, 3], rtol=1e-4, atol=1e-4)


def towers() -> TfliteModel:
    """Two crops with a tower each, whose second one forks: heads of 16 channels, and of 3, which are never merged."""
    shapes: dict[int, tuple[int, ...]] = {0: (1, 8, 8, 16), 1: (1, 4, 4), 2: (1, 4, 4)}
    constants: dict[int, NDArray[Any]] = {}
    operators = []

    def constant(*shape: int) -> int:
        number = len(shapes)
        constants[number], shapes[number] = random.normal(size=shape).astype(np.float16), shape
        shapes[number + 1] = shape
        operators.append(Operator("DEQUANTIZE", (number,), (number + 1,)))
        return number + 1

    def add(name: str, inputs: tuple[int, ...], channels: int, size: int, **options: Any) -> int:
        number = len(shapes)
        shapes[number] = (1, size, size, channels)
        operators.append(Operator(name, inputs, (number,), options))
        return number

    def convolution(value: int, channels: int, size: int, *, depthwise: bool = False) -> int:
        stride = shapes[value][1] // size
        options = PLAIN | {"Padding": SAME, "StrideH": stride, "StrideW": stride}
        kernel = constant(1, 3, 3, 16) if depthwise else constant(channels, 1, 1, shapes[value][3])
        name = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        return add(name, (value, kernel, constant(channels)), channels, size, **options)

    widths = len(shapes)
    constants[widths], shapes[widths] = np.array([[0, 0], [0, 0], [0, 0], [0, 16]], np.int32), (4, 2)
    pool = {"StrideH": 2, "StrideW": 2, "FilterHeight": 2, "FilterWidth": 2, "Padding": SAME}
    ends = []
    for matrix, heads in ((1, 1), (2, 2)):
        crop = add("TransformTensorBilinear", (0, matrix), 16, 4, output_height=4, output_width=4)
        turned = convolution(crop, 16, 4, depthwise=True)
        summed = add("ADD", (crop, turned), 16, 4, FusedActivationFunction=0)
        bent = add("PRELU", (summed, constant(1, 1, 16)), 16, 4)
        padded = add("PAD", (add("MAX_POOL_2D", (bent,), 16, 2, **pool), widths), 32, 2)
        for _ in range(heads):
            head = add("ADD", (padded, convolution(bent, 32, 2)), 32, 2, FusedActivationFunction=0)
            ends.append(convolution(head, 3, 2))
    return TfliteModel((0, 1, 2), tuple(ends), tuple(operators), shapes, constants)


def test_merged_towers_calculate_the_same_with_fewer_operators() -> None:
    given = picture(8, 8, 16)
    matrix = np.eye(4, dtype=np.float32)[None]
    found, counts = [], []
    plain = towers()
    for model in (plain, merge_towers(plain)):
        writer = OnnxWriter()
        value = writer.node("Transpose", writer.node("Cast", "given", to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
        conversion = Conversion(model, writer, {0: value, 1: writer.constant(matrix), 2: writer.constant(0.5 * matrix)})
        conversion.run()
        outputs = {f"end{number}": (conversion.values[number], (1, 3, 2, 2)) for number in model.outputs}
        found.append(run_graph(writer, given, outputs))
        counts.append(sum(operator.name != "DEQUANTIZE" for operator in model.operators))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
        assert np.ptp(one) > 1
    assert counts[1] < counts[0]
