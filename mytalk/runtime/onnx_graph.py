"""Runs exported networks by ONNX Runtime on the CPU, with weights of a checkpoint.

For networks as small as these its kernels need about half of torch's time, and a graph is one call that gives Python's
lock away. `mytalk.runtime.onnx_export` writes the graphs; nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mytalk.errors import WeightsError
from mytalk.runtime.threads import threads

Array = NDArray[Any]

_ERRORS_ONLY = 3
_ROWS, FRAMES = FREE_AXES = ("rows", "frames")
_DTYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}


@dataclass(frozen=True, slots=True)
class ExportedGraph:
    """Holds a network as ONNX, without the weights that a checkpoint holds.

    ``arguments`` are the names of what a call takes, in order; the last of them are the state that one call of a stream
    leaves for the next, named in ``state`` with their first value for one session; None: zeros. ``weights`` are the
    shapes of the tensors that it needs, by the name ``PART/TENSOR``.
    """

    model: bytes
    arguments: tuple[str, ...]
    weights: Mapping[str, tuple[int, ...]]
    state: Mapping[str, list[float] | None] = field(default_factory=dict)


class Graph:
    """Runs an exported network. Any thread may call it. Memory: the weights, and what one call needs."""

    def __init__(self, exported: ExportedGraph, weights: Mapping[str, Array]) -> None:
        """``weights`` by ``PART/TENSOR``; there may be more than are needed.

        Raises WeightsError where one is missing or of another shape.
        """
        needed = {name: _weight(weights, name, shape) for name, shape in exported.weights.items()}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads()
        options.log_severity_level = _ERRORS_ONLY
        # A thread that spins keeps others waiting.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(one) for one in needed.values()]
        options.add_external_initializers(list(needed), values)
        self._session = onnxruntime.InferenceSession(exported.model, options, providers=["CPUExecutionProvider"])
        self._arguments = exported.arguments
        self._inputs = {one.name: one for one in self._session.get_inputs()}  # without those that are never looked at
        self._state = exported.state

    def __call__(self, *arguments: Array) -> list[Array]:
        """Returns the network's results, one or more."""
        given = zip(self._arguments, arguments, strict=True)
        feeds = {name: one for name, one in given if name in self._inputs}
        return self._session.run(None, feeds)  # type: ignore[no-any-return]

    def start(self, frames: int = 1) -> list[Array]:
        """Makes the state of one new session; ``frames`` is the length of its free second axes."""
        return [self._first(name, value, frames) for name, value in self._state.items()]

    def stream(self, *arguments: Array, state: list[Array]) -> list[Array]:
        """Returns the results without the state, which is replaced in place."""
        results = self(*arguments, *state)
        state[:] = results[len(results) - len(state) :]
        return results[: len(results) - len(state)]

    def _first(self, name: str, value: list[float] | None, frames: int) -> Array:
        one = self._inputs[name]
        free = {_ROWS: 1, FRAMES: frames}
        shape = [free[size] if isinstance(size, str) else size for size in one.shape]
        dtype = _DTYPES[one.type]
        return np.zeros(shape, dtype) if value is None else np.asarray(value, dtype).reshape(shape)


def _weight(weights: Mapping[str, Array], name: str, shape: tuple[int, ...]) -> Array:
    if name not in weights:
        raise WeightsError(f"tensor {name} is missing (are these weights of another preset?)")
    found = weights[name]
    if found.shape != tuple(shape):
        raise WeightsError(f"tensor {name} has shape {found.shape}, need {tuple(shape)} (weights of another preset?)")
    return np.ascontiguousarray(found, found.dtype if found.dtype != np.float16 else np.float32)
