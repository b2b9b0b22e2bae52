"""Runs a module's arithmetic as one ONNX graph, by ONNX Runtime on the CPU.

For networks as small as these its kernels need about half of torch's time. And a graph is one call: torch releases
Python's global lock at every layer, and to get it back may wait for what another thread does in Python.
"""

from __future__ import annotations

import io
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import onnxruntime
import torch
from torch import Tensor, nn

MAX_PARAMETERS = 20_000_000
"""Parameters of a module up to which a graph pays. A larger one spends its time in large matrices, at which torch is
as fast, and a graph keeps weights of its own."""

_OPSET = 17
_ERRORS_ONLY = 3
_FREE_AXES = ("rows", "frames")


class Graph:
    """Runs a function of float32 tensors, with its module's weights as they are now. Any thread may call it.

    Equal to the module to rounding; without gradients. Memory of its own: the weights, and what one call needs.
    """

    def __init__(
        self,
        module: nn.Module,
        function: Callable[..., tuple[Tensor, ...]],
        example: Mapping[str, Tensor],
        free_axes: Mapping[str, int],
    ) -> None:
        """Exports ``function``; ``example`` holds its arguments by name, in order.

        ``free_axes``: how many of an argument's first axes may have another length in a call, 2 at most; 0 where it is
        not named.
        """
        traced = _Function(module, function).eval()
        exported = io.BytesIO()
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that shapes become constants, of which the free ones do not
            torch.onnx.export(
                traced,
                tuple(example.values()),
                exported,  # type: ignore[arg-type]  # it writes to any file
                dynamo=False,
                opset_version=_OPSET,
                input_names=list(example),
                dynamic_axes={name: dict(enumerate(_FREE_AXES[:count])) for name, count in free_axes.items()},
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = _ERRORS_ONLY
        # A thread that spins keeps others waiting.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(exported.getvalue(), options, providers=["CPUExecutionProvider"])
        self._names = list(example)
        self._input_names = {
            one.name for one in self._session.get_inputs()
        }  # without those that the function never looks at

    def __call__(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """Returns the function's results, one or more."""
        inputs = dict(zip(self._names, arguments, strict=True))
        feeds = {name: one.numpy() for name, one in inputs.items() if name in self._input_names}
        return tuple(torch.from_numpy(output) for output in self._session.run(None, feeds))


class GraphModule(nn.Module, ABC):
    """Defines a module that can run by graphs, once its weights change no more."""

    @abstractmethod
    def to_graph(self) -> None:
        """Exports the graphs now; from then on ``forward`` uses them for every call that they can serve."""


def use_graphs(model: nn.Module) -> None:
    """Calls ``to_graph`` of every module in ``model`` that is on the CPU, in float32, and small enough to gain by
    it."""
    for module in model.modules():
        if isinstance(module, GraphModule) and _is_suitable(module):
            module.to_graph()


def _is_suitable(module: nn.Module) -> bool:
    weights = [*module.parameters(), *module.buffers()]
    plain = all(one.device.type == "cpu" and one.dtype == torch.float32 for one in weights)
    return plain and sum(one.numel() for one in weights) <= MAX_PARAMETERS


class _Function(nn.Module):
    """Wraps a bound method as a module, which is what can be exported."""

    def __init__(self, module: nn.Module, function: Callable[..., tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.module, self.function = module, function

    def forward(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        return self.function(*arguments)
