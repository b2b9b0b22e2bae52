"""CUDA graphs of a function on tensors: what is called again and again with the same shapes is launched at once.

A live session's networks are small beside a GPU: launching their hundreds of kernels one by one takes several times as
long as running them. On a CPU, and in training, a call is just a call.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

log = logging.getLogger(__name__)

GRAPHS = 8
"""Of a function at most, each for one set of shapes; the one used longest ago goes. Each holds its memory."""

_SEEN = 3  # calls with the same shapes before they are worth a graph
_WARM_UP = 2  # calls on the side before recording, as CUDA asks
_SHAPES = 512  # sets of shapes that are counted

Shapes = tuple[tuple[torch.Size, torch.dtype] | None, ...]


@dataclass(frozen=True, slots=True)
class _Recorded:
    graph: torch.cuda.CUDAGraph
    inputs: tuple[Tensor | None, ...]
    output: Tensor


class CudaGraphs:
    """Wraps a function of tensors (or None) to one tensor, which may depend on nothing else but weights that stay
    where they are; used in inference mode, as sessions are. For one thread.

    >>> CudaGraphs(torch.add)(torch.ones(2), torch.ones(2))
    tensor([2., 2.])
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self._function = function
        self._calls: OrderedDict[Shapes, int] = OrderedDict()
        self._recorded: OrderedDict[Shapes, _Recorded] = OrderedDict()
        self._usable = True

    def __call__(self, *inputs: Tensor | None) -> Tensor:
        device = next((one.device for one in inputs if one is not None), None)
        if device is None or device.type != "cuda" or not self._usable or not torch.is_inference_mode_enabled():
            return self._function(*inputs)
        shapes = tuple(None if one is None else (one.shape, one.dtype) for one in inputs)
        recorded = self._recorded.get(shapes)
        if recorded is None:
            if not self._is_worth_it(shapes):
                return self._function(*inputs)
            recorded = self._record(inputs)
            if recorded is None:
                return self._function(*inputs)
            self._recorded[shapes] = recorded
            if len(self._recorded) > GRAPHS:
                self._recorded.popitem(last=False)
        self._recorded.move_to_end(shapes)
        for held, one in zip(recorded.inputs, inputs, strict=True):
            if held is not None and one is not None:
                held.copy_(one)
        recorded.graph.replay()
        return recorded.output.clone()

    def _is_worth_it(self, shapes: Shapes) -> bool:
        calls = self._calls.pop(shapes, 0) + 1
        self._calls[shapes] = calls
        if len(self._calls) > _SHAPES:
            self._calls.popitem(last=False)
        return calls >= _SEEN

    def _record(self, inputs: tuple[Tensor | None, ...]) -> _Recorded | None:
        """None where the device cannot, or not any more: from then on calls are just calls."""
        held = tuple(None if one is None else one.clone() for one in inputs)
        try:
            torch.cuda.synchronize()
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(_WARM_UP):
                    self._function(*held)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                output = self._function(*held)
        except (RuntimeError, torch.cuda.OutOfMemoryError) as error:
            log.warning("no CUDA graphs of %s: %s", getattr(self._function, "__qualname__", "a function"), error)
            self._usable = False
            self._recorded.clear()
            return None
        return _Recorded(graph, held, output)
