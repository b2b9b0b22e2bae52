"""Graphs calculate what their modules do, and those in the package are today's modules'."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from torch import Tensor, nn

from mytalk.appearance.model import AppearanceModel
from mytalk.checkpoint import read_preset
from mytalk.errors import PresetError, WeightsError
from mytalk.graph_export import MAX_PARAMETERS, arrays_of, export_graphs, graph_modules, graph_tensors
from mytalk.graph_files import has_graphs, read_graphs, sizes_hash
from mytalk.motion.model import MotionModel
from mytalk.preset_folders import EMBEDDED
from mytalk.presets import PRESETS, Preset
from mytalk.random_pipeline import random_pipeline
from mytalk.runtime.graph_module import GraphModule, GraphSpec
from mytalk.runtime.onnx_export import export
from mytalk.runtime.onnx_graph import ExportedGraph, Graph
from mytalk.torch_backend import load_appearance, load_motion

EDGE = PRESETS["edge"]
NAMES = ["front", "encoder", "identity", "denoiser", "readout", "appearance"]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def models() -> tuple[MotionModel, AppearanceModel]:
    return load_motion("edge").eval(), load_appearance("edge")


@pytest.fixture(scope="module")
def shipped() -> dict[str, ExportedGraph]:
    return read_graphs(EMBEDDED / "edge")


def arguments_like(spec: GraphSpec, rows: int, frames: int) -> list[Tensor]:
    """Makes random arguments of a graph, for so many sessions and frames."""
    made = []
    for place, (name, example) in enumerate(spec.example.items()):
        free = (rows, frames)[: spec.free_axes.get(name, 0)]
        shape = (*free, *example.shape[len(free) :])
        if example.dtype == torch.bool:
            made.append((torch.arange(frames) < 4).expand(shape))
        elif example.dtype == torch.long:
            made.append(example.expand(shape).clone() if name == "count" else torch.full(shape, 500))
        else:
            made.append(random(*shape, seed=place))
    return made


@pytest.mark.parametrize("name", NAMES)
def test_the_graphs_in_the_package_are_those_of_todays_modules(
    models: tuple[MotionModel, AppearanceModel], shipped: dict[str, ExportedGraph], name: str
) -> None:
    """A failure means changed code or sizes: run ``mytalk train graphs mytalk/weights/edge``."""
    module = graph_modules(*models)[name]
    exported = export(module, graph_tensors(*models)[name])
    assert exported.arguments == shipped[name].arguments
    assert exported.weights == shipped[name].weights
    assert exported.state == shipped[name].state
    graph, spec = Graph(shipped[name], arrays_of(*models)[name]), module.graph_spec()
    rows = 1 if name == "identity" else 2
    for frames in (6, 10):
        given = arguments_like(spec, rows, frames)
        with torch.inference_mode():
            wanted = spec.function(*given)
        found = graph(*(one.numpy() for one in given))
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(torch.from_numpy(one), other, rtol=1e-3, atol=1e-3)
        assert any(one.std() > 0.01 for one in found)


def test_the_graphs_in_the_package_hold_no_weights(shipped: dict[str, ExportedGraph]) -> None:
    assert sorted(shipped) == sorted(NAMES)
    assert sum(len(one.model) for one in shipped.values()) < 500_000


@pytest.mark.parametrize("conditioning", ["cross", "concat", "add"])
@pytest.mark.parametrize("upper_face", [True, False])
def test_hops_of_any_length_and_number_are_denoised_alike(conditioning: Any, upper_face: bool) -> None:
    """Also padded ones, of sessions of different age."""
    preset = replace(EDGE, motion=replace(EDGE.motion, conditioning=conditioning, upper_face=upper_face, layers=2))
    models = MotionModel(preset).eval(), AppearanceModel(preset.appearance).eval()
    denoiser = models[0].denoiser
    graph = Graph(export(denoiser, graph_tensors(*models)["denoiser"]), arrays_of(*models)["denoiser"])
    for rows, frames in ((1, 40), (3, 9)):
        spec = denoiser.graph_spec()
        given = dict(zip(spec.example, arguments_like(spec, rows, frames), strict=True))
        given["valid"] = torch.arange(frames) < torch.tensor([[40], [5], [9]])[:rows]
        given["end"] = torch.tensor([400, 0, 7])[:rows]
        given["frames"] = given["end"].clamp(max=250)
        with torch.inference_mode():
            wanted = spec.function(*given.values())
        found = graph(*(one.numpy() for one in given.values()))
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(torch.from_numpy(one), other, rtol=0, atol=1e-4)
        np.testing.assert_array_equal(found[0][:, :4], given["history"][:, :4].numpy())


def test_only_what_decides_the_arithmetic_counts_for_the_sizes() -> None:
    with_readout = replace(EDGE, motion=replace(EDGE.motion, readout=0.8))
    same = replace(EDGE, name="other", steps=4, motion=replace(EDGE.motion, readout=0.5))
    assert sizes_hash(same) == sizes_hash(with_readout)
    assert sizes_hash(replace(EDGE, motion=replace(EDGE.motion, heads=8))) != sizes_hash(EDGE)
    assert sizes_hash(replace(EDGE, motion=replace(EDGE.motion, readout=0.5))) != sizes_hash(EDGE)
    assert sizes_hash(replace(EDGE, motion=replace(EDGE.motion, window=100))) != sizes_hash(EDGE)


def test_the_graphs_in_the_package_are_of_the_presets_sizes() -> None:
    folder = EMBEDDED / "edge"
    assert has_graphs(folder, read_preset(folder))


def test_a_pipeline_on_the_cpu_runs_graphs_and_one_of_narrow_numbers_does_not() -> None:
    quick, narrow = (random_pipeline("edge", "cpu", dtype) for dtype in ("float32", "bfloat16"))
    assert not isinstance(quick.appearance, nn.Module)
    assert isinstance(narrow.appearance, nn.Module)


class Twice(GraphModule):
    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((numbers,), 2.0))
        self.register_buffer("known", torch.full((3,), 10.0))
        self.known: Tensor

    def graph_spec(self) -> GraphSpec:
        example = {"x": torch.zeros(1, 3), "ignored": torch.zeros(1), "total": torch.full((1, 3), 7.0)}
        return GraphSpec(self.work, example, {"x": 1}, ("total",))

    def work(self, x: Tensor, ignored: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        return x * self.weight[0] + self.known, total + x.sum(0)


def test_a_graph_takes_the_weights_it_is_given_and_what_it_does_not_look_at() -> None:
    module = Twice(1)
    exported = export(module, {"part/weight": module.weight})
    assert exported.weights == {"part/weight": (1,)}
    (left_out,) = [
        one
        for one in onnx.load_from_string(exported.model).graph.initializer
        if one.data_location == TensorProto.EXTERNAL
    ]
    assert left_out.name == "part/weight"
    for weight in (2.0, 5.0):
        graph = Graph(exported, {"part/weight": np.full(1, weight, np.float32), "part/other": np.zeros(1, np.float32)})
        state = graph.start()
        assert state[0].tolist() == [[7.0] * 3]
        (made,) = graph.stream(np.ones((2, 3), np.float32), np.zeros(1, np.float32), state=state)
        assert made.tolist() == [[weight + 10] * 3] * 2
        assert state[0].tolist() == [[9.0] * 3]
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        graph(np.ones((2, 3), np.float32))


def test_weights_that_do_not_fit_a_graph_are_named() -> None:
    module = Twice(1)
    exported = export(module, {"part/weight": module.weight})
    with pytest.raises(WeightsError, match="tensor part/weight is missing"):
        Graph(exported, {})
    with pytest.raises(WeightsError, match=r"tensor part/weight has shape \(2,\), need \(1,\)"):
        Graph(exported, {"part/weight": np.zeros(2, np.float32)})


def test_large_models_are_not_exported(models: tuple[MotionModel, AppearanceModel]) -> None:
    motion, _ = models
    large: Preset = replace(EDGE, appearance=replace(EDGE.appearance, hidden=1024))
    appearance = AppearanceModel(large.appearance)
    assert sum(one.numel() for one in appearance.parameters()) > MAX_PARAMETERS
    with pytest.raises(PresetError, match="cannot run as graphs"):
        export_graphs(motion, appearance)
