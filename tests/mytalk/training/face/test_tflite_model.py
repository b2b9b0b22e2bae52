"""A TensorFlow Lite file is read as it was written; what is none is refused."""

from __future__ import annotations

import flatbuffers
import numpy as np
import pytest
import tflite
from flatbuffers import flexbuffers

from mytalk.errors import DataError
from mytalk.training.face.tflite_model import Operator, read_model

SLOPES = np.array([0.25, -2.0], np.float16)


def vector(builder: flatbuffers.Builder, tables: list[int]) -> int:
    builder.StartVector(4, len(tables), 4)
    for table in reversed(tables):
        builder.PrependUOffsetTRelative(table)
    return int(builder.EndVector())


def tensor(builder: flatbuffers.Builder, shape: tuple[int, ...], kind: int, buffer: int) -> int:
    sizes = builder.CreateNumpyVector(np.array(shape, np.int32))
    tflite.TensorStart(builder)
    tflite.TensorAddShape(builder, sizes)
    tflite.TensorAddType(builder, kind)
    tflite.TensorAddBuffer(builder, buffer)
    return int(tflite.TensorEnd(builder))


def operator(
    builder: flatbuffers.Builder, code: int, inputs: list[int], outputs: list[int], custom: bytes = b""
) -> int:
    ends = [builder.CreateNumpyVector(np.array(numbers, np.int32)) for numbers in (inputs, outputs)]
    options = builder.CreateByteVector(custom) if custom else None
    tflite.OperatorStart(builder)
    tflite.OperatorAddOpcodeIndex(builder, code)
    tflite.OperatorAddInputs(builder, ends[0])
    tflite.OperatorAddOutputs(builder, ends[1])
    if options is not None:
        tflite.OperatorAddCustomOptions(builder, options)
    return int(tflite.OperatorEnd(builder))


def written() -> bytes:
    """A model: DEQUANTIZE of two slopes, and a custom operator ``Bend`` with options."""
    builder = flatbuffers.Builder(0)
    data = builder.CreateByteVector(SLOPES.tobytes())
    buffers = []
    for content in (None, data):
        tflite.BufferStart(builder)
        if content is not None:
            tflite.BufferAddData(builder, content)
        buffers.append(int(tflite.BufferEnd(builder)))
    name = builder.CreateString("Bend")
    codes = []
    for builtin in (tflite.BuiltinOperator.DEQUANTIZE, tflite.BuiltinOperator.CUSTOM):
        tflite.OperatorCodeStart(builder)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(builder, builtin)
        tflite.OperatorCodeAddBuiltinCode(builder, builtin)
        if builtin == tflite.BuiltinOperator.CUSTOM:
            tflite.OperatorCodeAddCustomCode(builder, name)
        codes.append(int(tflite.OperatorCodeEnd(builder)))
    halves, floats = tflite.TensorType.FLOAT16, tflite.TensorType.FLOAT32
    tensors = [tensor(builder, (2,), kind, buffer) for kind, buffer in ((floats, 0), (halves, 1), (floats, 0))]
    operators = [
        operator(builder, 0, [1], [2]),
        operator(builder, 1, [0, 2], [0], bytes(flexbuffers.Dumps({"side": 16, "by": 0.5}))),
    ]
    lists = [vector(builder, tables) for tables in (tensors, operators)]
    ends = builder.CreateNumpyVector(np.array([0], np.int32))
    tflite.SubGraphStart(builder)
    tflite.SubGraphAddTensors(builder, lists[0])
    tflite.SubGraphAddOperators(builder, lists[1])
    tflite.SubGraphAddInputs(builder, ends)
    tflite.SubGraphAddOutputs(builder, ends)
    whole = [vector(builder, tables) for tables in ([int(tflite.SubGraphEnd(builder))], codes, buffers)]
    tflite.ModelStart(builder)
    tflite.ModelAddSubgraphs(builder, whole[0])
    tflite.ModelAddOperatorCodes(builder, whole[1])
    tflite.ModelAddBuffers(builder, whole[2])
    builder.Finish(tflite.ModelEnd(builder), b"TFL3")
    return bytes(builder.Output())


def test_operators_shapes_and_constants_are_read() -> None:
    model = read_model(written())
    assert model.inputs == model.outputs == (0,)
    assert model.operators == (
        Operator("DEQUANTIZE", (1,), (2,)),
        Operator("Bend", (0, 2), (0,), {"side": 16, "by": 0.5}),
    )
    assert dict(model.shapes) == {0: (2,), 1: (2,), 2: (2,)}
    assert list(model.constants) == [1]
    np.testing.assert_array_equal(model.constants[1], SLOPES)


def test_another_file_is_refused() -> None:
    with pytest.raises(DataError, match="not a TensorFlow Lite model"):
        read_model(b"RIFF" * 8)
