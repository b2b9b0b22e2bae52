"""Exports a module's arithmetic as an ONNX graph without its weights. Needs torch and onnx; running one does not."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable, Iterator, Mapping

import onnx
import torch
from onnx import TensorProto, numpy_helper
from torch import Tensor, nn

from mytalk.runtime.graph_module import GraphModule, GraphSpec
from mytalk.runtime.onnx_graph import FREE_AXES, ExportedGraph

_OPSET = 17
_IR_VERSION = 10  # that the oldest ONNX Runtime in use reads


def export(module: GraphModule, weights: Mapping[str, Tensor]) -> ExportedGraph:
    """Exports a module on the CPU in float32; ``weights`` are those of its tensors that stay out of the graph, by the
    name ``PART/TENSOR`` that a checkpoint has them by.

    A copy of the module is exported whose weights are random: so no two are alike, and each is found in the graph by
    its values. What becomes of buffers that are not among them is part of the graph.
    """
    names = list(weights)
    copied, held = copy.deepcopy((module, [weights[name] for name in names]))
    generator = torch.Generator().manual_seed(0)
    for tensor in held:
        tensor.data = torch.randn(tensor.shape, generator=generator)
    by_value = {_key(tensor): name for name, tensor in zip(names, held, strict=True)}
    spec = copied.graph_spec()
    model = _trace(copied, spec)
    shapes = {}
    for tensor in _constants(model):
        name = by_value.get(_key(torch.from_numpy(numpy_helper.to_array(tensor).copy())))
        if name is not None:
            _rename(model, tensor.name, name)
            _leave_out(tensor, name)
            shapes[name] = tuple(tensor.dims)
    state = {name: _first(spec.example[name]) for name in spec.state}
    return ExportedGraph(model.SerializeToString(), tuple(spec.example), dict(sorted(shapes.items())), state)


def _trace(module: nn.Module, spec: GraphSpec) -> onnx.ModelProto:
    exported = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that shapes become constants, of which the free ones do not
        torch.onnx.export(
            _Function(module, spec.function).eval(),
            tuple(spec.example.values()),
            exported,  # type: ignore[arg-type]  # it writes to any file
            dynamo=False,
            opset_version=_OPSET,
            do_constant_folding=False,  # so that weights stay what they are
            input_names=list(spec.example),
            dynamic_axes={name: dict(enumerate(FREE_AXES[:count])) for name, count in spec.free_axes.items()},
        )
    model = onnx.load_from_string(exported.getvalue())
    model.ir_version = min(model.ir_version, _IR_VERSION)
    for node in model.graph.node:
        node.ClearField("doc_string")
    return model


def _constants(model: onnx.ModelProto) -> Iterator[TensorProto]:
    """Yields all initializers of a graph, after making initializers of its larger constants."""
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        if node.op_type == "Constant" and node.attribute[0].t.dims:
            tensor = model.graph.initializer.add()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = node.output[0]
        else:
            model.graph.node.append(node)
    yield from model.graph.initializer


def _rename(model: onnx.ModelProto, before: str, after: str) -> None:
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == before:
                node.input[place] = after


def _leave_out(tensor: TensorProto, name: str) -> None:
    """Makes an initializer one whose values are given when the graph is loaded."""
    tensor.name = name
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="checkpoint")


def _key(tensor: Tensor) -> tuple[object, ...]:
    return tuple(tensor.shape), tensor.dtype, tensor.detach().contiguous().numpy().tobytes()


def _first(value: Tensor) -> list[float] | None:
    return value.flatten().tolist() if bool(value.any()) else None


class _Function(nn.Module):
    """Wraps a bound method as a module, which is what can be exported."""

    def __init__(self, module: nn.Module, function: Callable[..., tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.module, self.function = module, function

    def forward(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        return self.function(*arguments)
