"""Reads TensorFlow Lite models: a list of operators on numbered tensors."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tflite
from flatbuffers import flexbuffers
from numpy.typing import NDArray

from mytalk.errors import DataError

_TYPES: dict[int, type] = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}
_NAMES = {value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)}
_CONVOLUTION = ("Padding", "StrideW", "StrideH", "DilationWFactor", "DilationHFactor", "FusedActivationFunction")
_OPTIONS: dict[str, tuple[type, tuple[str, ...]]] = {
    "CONV_2D": (tflite.Conv2DOptions, _CONVOLUTION),
    "DEPTHWISE_CONV_2D": (tflite.DepthwiseConv2DOptions, (*_CONVOLUTION, "DepthMultiplier")),
    "MAX_POOL_2D": (
        tflite.Pool2DOptions,
        ("Padding", "StrideW", "StrideH", "FilterWidth", "FilterHeight", "FusedActivationFunction"),
    ),
    "AVERAGE_POOL_2D": (tflite.Pool2DOptions, ("FilterWidth", "FilterHeight", "FusedActivationFunction")),
    "RESIZE_BILINEAR": (tflite.ResizeBilinearOptions, ("AlignCorners", "HalfPixelCenters")),
    "ADD": (tflite.AddOptions, ("FusedActivationFunction",)),
    "MUL": (tflite.MulOptions, ("FusedActivationFunction",)),
    "CONCATENATION": (tflite.ConcatenationOptions, ("Axis", "FusedActivationFunction")),
}

_TRANSPOSED = "Convolution2DTransposeBias"  # MediaPipe's own: its options are a struct of padding and two strides


@dataclass(frozen=True, slots=True)
class Operator:
    """Holds one operator: its name, the numbers of its tensors, and what is set of it."""

    name: str  # a custom one's own name
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TfliteModel:
    """Holds a model's operators in order, its tensors' shapes, and the values of those that are constant."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[Operator, ...]
    shapes: Mapping[int, tuple[int, ...]]
    constants: Mapping[int, NDArray[Any]]


def read_model(content: bytes) -> TfliteModel:
    """Reads the first graph of a ``.tflite`` file. Raises DataError where it is none."""
    if not tflite.Model.ModelBufferHasIdentifier(content, 0):
        raise DataError("not a TensorFlow Lite model: its identifier is missing")
    model = tflite.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    shapes, constants = {}, {}
    for number in range(graph.TensorsLength()):
        tensor = graph.Tensors(number)
        shapes[number] = _numbers(tensor.ShapeAsNumpy())
        stored = model.Buffers(tensor.Buffer())
        if stored.DataLength():
            values: NDArray[Any] = np.frombuffer(stored.DataAsNumpy().tobytes(), _TYPES[tensor.Type()])
            constants[number] = values.reshape(shapes[number])
    operators = [_operator(model, graph.Operators(number)) for number in range(graph.OperatorsLength())]
    ends = _numbers(graph.InputsAsNumpy()), _numbers(graph.OutputsAsNumpy())
    return TfliteModel(*ends, tuple(operators), shapes, constants)


def _operator(model: Any, operator: Any) -> Operator:
    code = model.OperatorCodes(operator.OpcodeIndex())
    name = _NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
    options: dict[str, Any] = {}
    if name == "CUSTOM":
        name = code.CustomCode().decode()
        if name == _TRANSPOSED:
            _, width, height = struct.unpack("<iii", operator.CustomOptionsAsNumpy().tobytes())
            options = {"StrideW": width, "StrideH": height}
        elif operator.CustomOptionsLength():
            options = dict(flexbuffers.Loads(operator.CustomOptionsAsNumpy().tobytes()))
    elif name in _OPTIONS:
        kind, names = _OPTIONS[name]
        table, place = kind(), operator.BuiltinOptions()
        table.Init(place.Bytes, place.Pos)
        options = {option: getattr(table, option)() for option in names}
    return Operator(name, _numbers(operator.InputsAsNumpy()), _numbers(operator.OutputsAsNumpy()), options)


def _numbers(values: Any) -> tuple[int, ...]:
    """Returns the numbers of a vector; one that is left out is read as 0."""
    return tuple(int(value) for value in values) if isinstance(values, np.ndarray) else ()
