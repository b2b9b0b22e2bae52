"""Writes ONNX graphs node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_OPSET, _IR_VERSION = 17, 8  # of ONNX 1.12, which every ONNX Runtime since 1.13 reads
_SMALLEST = 8  # numbers from which a constant is stored in half precision


class OnnxWriter:
    """Collects the nodes and constants of one graph. A value is known by its name.

    Constants that lose nothing by it are stored in half precision.
    """

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, values: NDArray[Any] | Sequence[float]) -> str:
        """Adds a constant, float32 where it is not whole numbers, and returns its name."""
        array = np.ascontiguousarray(values)
        array = array.astype(np.int64 if array.dtype.kind in "iu" else np.float32)
        name = f"c{len(self._constants)}"
        half = array.astype(np.float16)
        if array.dtype == np.float32 and array.size >= _SMALLEST and np.array_equal(half.astype(np.float32), array):
            self._constants.append(numpy_helper.from_array(half, f"{name}_half"))
            self._nodes.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
        else:
            self._constants.append(numpy_helper.from_array(array, name))
        return name

    def node(self, kind: str, *inputs: str | NDArray[Any] | Sequence[float], **attributes: Any) -> str:
        """Adds a node and returns its only output's name. Arrays and sequences among ``inputs`` become constants."""
        names = [one if isinstance(one, str) else self.constant(one) for one in inputs]
        output = f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, names, [output], **attributes))
        return output

    def model(
        self,
        inputs: Mapping[str, tuple[int, ...]],
        outputs: Mapping[str, tuple[str, tuple[int, ...]]],
        properties: Mapping[str, str],
    ) -> onnx.ModelProto:
        """Makes the model: uint8 ``inputs`` by name with their shapes, float32 ``outputs`` by name with the value that
        they are and its shape. Raises ``onnx.checker.ValidationError``."""
        nodes = [*self._nodes]
        nodes += [helper.make_node("Identity", [value], [name]) for name, (value, _) in outputs.items()]
        graph = helper.make_graph(
            nodes,
            "face",
            [helper.make_tensor_value_info(name, TensorProto.UINT8, shape) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, (_, shape) in outputs.items()],
            self._constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
        helper.set_model_props(model, dict(properties))
        onnx.checker.check_model(model, full_check=True)
        return model
