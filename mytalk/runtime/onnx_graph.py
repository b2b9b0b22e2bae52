"""A module's arithmetic as one ONNX graph, which ONNX Runtime runs on the CPU.

For networks as small as these its kernels need about half of torch's time. And a graph is one call: torch gives
Python's lock away at every layer, and to get it back may wait for what another thread does in Python.
"""

from __future__ import annotations

import io
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import onnxruntime
import torch
from torch import Tensor, nn

LARGEST = 20_000_000
"""Numbers in a module that gains by it. The time of a larger one goes into large matrices, at which torch is as fast,
and a graph keeps weights of its own."""

_OPSET = 17
_ERRORS_ONLY = 3
_FREE_AXES = ("rows", "frames")


class Graph:
    """A function of float32 tensors, with its module's weights as they are now. Any thread may call it.

    Equal to the module to rounding; without gradients. Memory of its own: the weights, and what one call needs.
    """

    def __init__(
        self,
        module: nn.Module,
        function: Callable[..., tuple[Tensor, ...]],
        example: Mapping[str, Tensor],
        free: Mapping[str, int],
    ) -> None:
        """``example``: arguments by name, in order. ``free``: how many of an argument's first axes may have another
        length in a call, 2 at most; for those it does not name, none.
        """
        traced = _Function(module, function).eval()
        written = io.BytesIO()
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that shapes become constants, of which the free ones do not
            torch.onnx.export(
                traced,
                tuple(example.values()),
                written,  # type: ignore[arg-type]  # it writes to any file
                dynamo=False,
                opset_version=_OPSET,
                input_names=list(example),
                dynamic_axes={name: dict(enumerate(_FREE_AXES[:count])) for name, count in free.items()},
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = _ERRORS_ONLY
        # A thread that spins keeps others waiting.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(written.getvalue(), options, providers=["CPUExecutionProvider"])
        self._names = list(example)
        self._taken = {one.name for one in self._session.get_inputs()}  # without those that the function never looks at

    def __call__(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """The function's results, one or more."""
        given = dict(zip(self._names, arguments, strict=True))
        fed = {name: one.numpy() for name, one in given.items() if name in self._taken}
        return tuple(torch.from_numpy(made) for made in self._session.run(None, fed))


class Graphed(nn.Module, ABC):
    """A module that can do its work by graphs, once its weights change no more."""

    @abstractmethod
    def to_graph(self) -> None:
        """From now on ``forward`` runs graphs, made here and now, where it is asked for no more than they give."""


def use_graphs(model: nn.Module) -> None:
    """``to_graph`` of every module in ``model`` that is on the CPU, in float32, and not too large to gain by it."""
    for module in model.modules():
        if isinstance(module, Graphed) and _gains(module):
            module.to_graph()


def _gains(module: nn.Module) -> bool:
    weights = [*module.parameters(), *module.buffers()]
    usual = all(one.device.type == "cpu" and one.dtype == torch.float32 for one in weights)
    return usual and sum(one.numel() for one in weights) <= LARGEST


class _Function(nn.Module):
    """A bound method as a module of its own, which is what can be exported."""

    def __init__(self, module: nn.Module, function: Callable[..., tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.module, self.function = module, function

    def forward(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        return self.function(*arguments)
