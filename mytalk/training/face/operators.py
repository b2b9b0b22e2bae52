"""Converts the operators of a TensorFlow Lite model to ONNX nodes that ONNX Runtime is fast at.

Pictures are ``(1, H, W, C)`` there and ``(1, C, H, W)`` here. ONNX Runtime keeps channels in blocks of 16 between
convolutions, additions, poolings and ReLUs; any other node makes it unpack and pack them again. Written with these
alone, the face mesh takes half of the time: PReLU becomes a ReLU and two depthwise convolutions of 1 x 1, and zero
channels are appended by a convolution with an identity matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mytalk.errors import DataError
from mytalk.training.face.attention import crop_matrix, crop_of_features, points_of_crop
from mytalk.training.face.onnx_writer import OnnxWriter
from mytalk.training.face.tflite_model import Operator, TfliteModel
from mytalk.training.face.towers import GROUPED, SELECT

_SAME = 0  # tflite.Padding.SAME
_TO_CHANNELS_LAST = [0, 2, 3, 1]


class Conversion:
    """Converts one model's operators in order. ``values`` are the ONNX names of its tensors so far."""

    def __init__(self, model: TfliteModel, writer: OnnxWriter, inputs: dict[int, str]) -> None:
        self.model, self.writer = model, writer
        self.values: dict[int, str] = dict(inputs)
        self.constants: dict[int, NDArray[Any]] = dict(model.constants)

    def run(self) -> None:
        """Converts every operator. Raises DataError for one, or a use of one, that is not known here."""
        for operator in self.model.operators:
            if operator.name not in _CONVERTERS:
                raise DataError(f"operator {operator.name} is not converted (known: {', '.join(sorted(_CONVERTERS))})")
            if operator.options.get("FusedActivationFunction"):
                raise DataError(f"operator {operator.name} with an activation of its own is not converted")
            _CONVERTERS[operator.name](self, operator)

    def _dequantize(self, operator: Operator) -> None:
        self.constants[operator.outputs[0]] = self.constants[operator.inputs[0]].astype(np.float32)

    def _convolution(self, operator: Operator) -> None:
        picture, kernel, bias = operator.inputs
        weights = self.constants[kernel]  # (out, kh, kw, in), or (1, kh, kw, out) where each channel has its own
        depthwise = operator.name == "DEPTHWISE_CONV_2D"
        groups = len(self.constants[bias]) if depthwise else operator.options.get("Groups", 1)
        weights = weights.transpose(3, 0, 1, 2) if depthwise else weights.transpose(0, 3, 1, 2)
        if operator.options["DilationHFactor"] != 1 or operator.options["DilationWFactor"] != 1:
            raise DataError("dilated convolutions are not converted")
        self.values[operator.outputs[0]] = self.writer.node(
            "Conv",
            self.values[picture],
            weights,
            self.constants[bias],
            group=groups,
            kernel_shape=list(weights.shape[2:]),
            **self._strides_and_pads(operator, weights.shape[2:]),
        )

    def _max_pool(self, operator: Operator) -> None:
        kernel = operator.options["FilterHeight"], operator.options["FilterWidth"]
        self.values[operator.outputs[0]] = self.writer.node(
            "MaxPool",
            self.values[operator.inputs[0]],
            kernel_shape=list(kernel),
            **self._strides_and_pads(operator, kernel),
        )

    def _strides_and_pads(self, operator: Operator, kernel: tuple[int, ...]) -> dict[str, list[int]]:
        """TensorFlow's SAME gives the odd pixel of padding to the end."""
        strides = operator.options["StrideH"], operator.options["StrideW"]
        before, after = [0, 0], [0, 0]
        if operator.options["Padding"] == _SAME:
            for axis, (size, stride) in enumerate(
                zip(self.model.shapes[operator.inputs[0]][1:3], strides, strict=True)
            ):
                pad = max(0, (-(-size // stride) - 1) * stride + kernel[axis] - size)
                before[axis], after[axis] = pad // 2, pad - pad // 2
        return {"strides": list(strides), "pads": before + after}

    def _prelu(self, operator: Operator) -> None:
        """PReLU(x) = a x + (1 - a) ReLU(x)."""
        value, slopes = self.values[operator.inputs[0]], self.constants[operator.inputs[1]].reshape(-1, 1, 1, 1)
        each = {"group": len(slopes), "kernel_shape": [1, 1]}
        positive = self.writer.node("Conv", self.writer.node("Relu", value), 1 - slopes, **each)
        self.values[operator.outputs[0]] = self.writer.node(
            "Add", self.writer.node("Conv", value, slopes, **each), positive
        )

    def _relu(self, operator: Operator) -> None:
        self.values[operator.outputs[0]] = self.writer.node("Relu", self.values[operator.inputs[0]])

    def _add(self, operator: Operator) -> None:
        one, other = (self.values[number] for number in operator.inputs)
        self.values[operator.outputs[0]] = self.writer.node("Add", one, other)

    def _pad(self, operator: Operator) -> None:
        widths = self.constants[operator.inputs[1]].copy()  # (4, 2): before and after on each axis
        widths[3, 1] = 0
        if widths.any():
            raise DataError("padding other than zero channels at the end is not converted")
        groups = operator.options.get("Groups", 1)
        before, after = (self.model.shapes[one][3] // groups for one in (operator.inputs[0], operator.outputs[0]))
        identity = np.tile(np.eye(after, before, dtype=np.float32), (groups, 1))[:, :, None, None]
        self.values[operator.outputs[0]] = self.writer.node(
            "Conv", self.values[operator.inputs[0]], identity, group=groups, kernel_shape=[1, 1]
        )

    def _reshape(self, operator: Operator) -> None:
        """Reshapes a picture to rows; rows that become a picture again are one pixel."""
        value, shape = self.values[operator.inputs[0]], self.model.shapes[operator.outputs[0]]
        if len(self.model.shapes[operator.inputs[0]]) == 4:
            value = self.writer.node("Transpose", value, perm=_TO_CHANNELS_LAST)
        elif len(shape) == 4:
            if shape[1:3] != (1, 1):
                raise DataError(f"a reshape to a picture of {shape} is not converted")
            shape = (1, shape[3], 1, 1)
        self.values[operator.outputs[0]] = self.writer.node("Reshape", value, np.array(shape))

    def _multiply(self, operator: Operator) -> None:
        value, factor = operator.inputs
        by = self.constants[factor] if factor in self.constants else self.values[factor]
        self.values[operator.outputs[0]] = self.writer.node("Mul", self.values[value], by)

    def _logistic(self, operator: Operator) -> None:
        self.values[operator.outputs[0]] = self.writer.node("Sigmoid", self.values[operator.inputs[0]])

    def _hard_swish(self, operator: Operator) -> None:
        self.values[operator.outputs[0]] = self.writer.node("HardSwish", self.values[operator.inputs[0]])

    def _whole_average(self, operator: Operator) -> None:
        if self.model.shapes[operator.outputs[0]][1:3] != (1, 1):
            raise DataError("an average over less than the whole picture is not converted")
        self.values[operator.outputs[0]] = self.writer.node("GlobalAveragePool", self.values[operator.inputs[0]])

    def _resize(self, operator: Operator) -> None:
        if operator.options["AlignCorners"] or not operator.options["HalfPixelCenters"]:
            raise DataError("a resize whose pixels are not counted from their middles is not converted")
        (_, height, width, _), (_, high, wide, _) = (
            self.model.shapes[number] for number in (operator.inputs[0], operator.outputs[0])
        )
        self.values[operator.outputs[0]] = self.writer.node(
            "Resize", self.values[operator.inputs[0]], "", [1, 1, high / height, wide / width], mode="linear"
        )

    def _transposed(self, operator: Operator) -> None:
        picture, kernel, bias = operator.inputs
        weights = self.constants[kernel]  # (out, kh, kw, in)
        strides = [operator.options["StrideH"], operator.options["StrideW"]]
        if list(weights.shape[1:3]) != strides:
            raise DataError("a transposed convolution whose kernels overlap is not converted")
        self.values[operator.outputs[0]] = self.writer.node(
            "ConvTranspose",
            self.values[picture],
            weights.transpose(3, 0, 1, 2),
            self.constants[bias],
            kernel_shape=strides,
            strides=strides,
        )

    def _concatenate(self, operator: Operator) -> None:
        if len(self.model.shapes[operator.outputs[0]]) == 4:
            raise DataError("a concatenation of pictures is not converted")
        values = [self.values[number] for number in operator.inputs]
        self.values[operator.outputs[0]] = self.writer.node("Concat", *values, axis=operator.options["Axis"])

    def _select(self, operator: Operator) -> None:
        """Puts channels side by side: of each input as many as there are of all, counted from its place."""
        width = self.model.shapes[operator.outputs[0]][3] // len(operator.inputs)
        parts = []
        for number, place in zip(operator.inputs, operator.options["Places"], strict=True):
            ends = np.array([place * width]), np.array([(place + 1) * width])
            whole = self.model.shapes[number][3] == width
            parts.append(
                self.values[number] if whole else self.writer.node("Slice", self.values[number], *ends, np.array([1]))
            )
        self.values[operator.outputs[0]] = parts[0] if len(parts) == 1 else self.writer.node("Concat", *parts, axis=1)

    def _whole_slice(self, operator: Operator) -> None:
        if self.model.shapes[operator.inputs[0]] != self.model.shapes[operator.outputs[0]]:
            raise DataError("a slice that is not the whole is not converted")
        self.values[operator.outputs[0]] = self.values[operator.inputs[0]]

    def _crop_matrix(self, operator: Operator) -> None:
        self.values[operator.outputs[0]] = crop_matrix(self.writer, self.values[operator.inputs[0]], operator.options)

    def _crop(self, operator: Operator) -> None:
        picture, matrix = operator.inputs
        self.values[operator.outputs[0]] = crop_of_features(
            self.writer,
            self.values[picture],
            self.values[matrix],
            self.model.shapes[picture][1:3],
            (operator.options["output_height"], operator.options["output_width"]),
        )

    def _points(self, operator: Operator) -> None:
        points, matrix = (self.values[number] for number in operator.inputs)
        self.values[operator.outputs[0]] = points_of_crop(self.writer, points, matrix)


_CONVERTERS: dict[str, Callable[[Conversion, Operator], None]] = {
    "DEQUANTIZE": Conversion._dequantize,
    "CONV_2D": Conversion._convolution,
    "DEPTHWISE_CONV_2D": Conversion._convolution,
    GROUPED: Conversion._convolution,
    SELECT: Conversion._select,
    "MAX_POOL_2D": Conversion._max_pool,
    "PRELU": Conversion._prelu,
    "RELU": Conversion._relu,
    "AVERAGE_POOL_2D": Conversion._whole_average,
    "RESIZE_BILINEAR": Conversion._resize,
    "HARD_SWISH": Conversion._hard_swish,
    "LOGISTIC": Conversion._logistic,
    "Convolution2DTransposeBias": Conversion._transposed,
    "ADD": Conversion._add,
    "PAD": Conversion._pad,
    "RESHAPE": Conversion._reshape,
    "MUL": Conversion._multiply,
    "CONCATENATION": Conversion._concatenate,
    "STRIDED_SLICE": Conversion._whole_slice,
    "Landmarks2TransformMatrix": Conversion._crop_matrix,
    "TransformTensorBilinear": Conversion._crop,
    "TransformLandmarks": Conversion._points,
}
