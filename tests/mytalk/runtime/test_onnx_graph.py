"""Graphs calculate what their modules do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import mytalk
from mytalk.motion.conditions import Conditions
from mytalk.motion.model import Denoiser
from mytalk.pipeline import load_motion, random_pipeline
from mytalk.presets import PRESETS
from mytalk.runtime.onnx_graph import MAX_PARAMETERS, Graph, GraphModule, use_graphs


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def both_ways(module: Any, work: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
    """Results of ``work`` by torch, and then by graphs."""
    with torch.inference_mode():
        before = work()
    module.to_graph()
    with torch.inference_mode():
        return before, work()


@pytest.fixture
def motion() -> mytalk.motion.model.MotionModel:
    return load_motion("edge").eval()


def test_the_readout_tells_the_same_whatever_the_profile(motion: Any) -> None:
    readout = motion.readout
    for frames, rows in ((5, 1), (37, 3)):
        sound = 0.1 * random(rows, 640 * 8)
        readout._graph = None

        def tell(frames: int = frames, rows: int = rows, sound: Tensor = sound) -> Tensor:
            state = readout.start(frames, rows)
            return torch.cat([readout(part, state).motion for part in sound.split(1280, dim=1)])

        one, other = both_ways(readout, tell)
        assert one.std() > 0.1
        assert torch.allclose(one, other, atol=1e-4)


def test_the_encoder_hears_the_same_in_chunks_and_whole(motion: Any) -> None:
    features = random(2, 40, 122)

    def hear() -> Tensor:
        state = motion.speech.start(2)
        return torch.cat([motion.speech(part, state) for part in features.split((4, 16, 20), dim=1)], dim=1)

    one, other = both_ways(motion.speech, hear)
    assert torch.allclose(one, other, atol=1e-4)
    assert torch.allclose(one, motion.speech(features), atol=1e-4)


def test_mel_and_phones_are_the_same(motion: Any) -> None:
    sound = 0.1 * random(1, 640 * 5)
    one, other = both_ways(motion.front, lambda: motion.front.stream(sound, motion.front.start()))
    assert torch.allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("conditioning", ["cross", "concat", "add"])
@pytest.mark.parametrize("upper_face", [True, False])
def test_windows_of_any_length_and_number_are_denoised_alike(conditioning: Any, upper_face: bool) -> None:
    edge = PRESETS["edge"]
    preset = replace(edge, motion=replace(edge.motion, conditioning=conditioning, upper_face=upper_face))
    denoiser = Denoiser(preset).eval()
    for rows, frames in ((1, 40), (3, 9)):
        inputs = Conditions(
            random(rows, frames, preset.speech.width),
            random(rows, frames, 38, 2, seed=1),
            random(rows, preset.identity.embedding, seed=2),
            random(rows, frames, preset.motion.coefficients, seed=3),
            (torch.arange(frames) < 4).expand(rows, -1),
        )
        noisy, t = random(rows, frames, preset.motion.coefficients, seed=4), torch.arange(rows) + 500
        denoiser._graph = None
        one, other = both_ways(denoiser, lambda noisy=noisy, t=t, inputs=inputs: denoiser(noisy, t, inputs))
        assert torch.allclose(one, other, atol=1e-4)
        assert torch.equal(other[:, :4], inputs.history[:, :4])


def test_padded_windows_are_left_to_torch(motion: Any) -> None:
    denoiser = motion.denoiser
    inputs = Conditions(
        random(2, 9, denoiser.speech_width),
        random(2, 9, 38, 2),
        random(2, denoiser.identity_width),
        random(2, 9, denoiser.coefficients),
        torch.zeros(2, 9, dtype=torch.bool),
        torch.arange(9) < torch.tensor([[9], [5]]),
    )
    one, other = both_ways(denoiser, lambda: denoiser(random(2, 9, denoiser.coefficients), torch.ones(2), inputs))
    assert torch.equal(one, other)


def test_mouths_are_painted_alike() -> None:
    model = mytalk.load("edge", "cpu").appearance
    model._graph = None
    pictures = random(2, 5, 96, 96, 3)

    def paint() -> Tensor:
        return model.refine(pictures[:, :3], pictures[:, 3], pictures[:, 4])

    one, other = both_ways(model, paint)
    assert one.std() > 0.01
    assert torch.allclose(one, other, atol=1e-4)


def test_a_pipeline_on_the_cpu_runs_graphs_and_one_of_narrow_numbers_does_not() -> None:
    quick, narrow = (random_pipeline("edge", "cpu", dtype) for dtype in ("float32", "bfloat16"))
    assert quick.appearance._graph is not None
    assert quick.motion.denoiser._graph is not None
    assert narrow.appearance._graph is narrow.motion.denoiser._graph is None


class Twice(GraphModule):
    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((numbers,), 2.0))
        self.graph: Graph | None = None

    def to_graph(self) -> None:
        self.graph = Graph(self, self.work, {"x": torch.zeros(1, 3), "ignored": torch.zeros(1)}, {"x": 1})

    def work(self, x: Tensor, ignored: Tensor) -> tuple[Tensor]:
        return (x * self.weight[0],)


def test_a_graph_keeps_the_weights_it_was_made_with_and_takes_what_it_does_not_look_at() -> None:
    module = Twice(1)
    use_graphs(nn.Sequential(module))
    assert module.graph is not None
    module.weight.data.fill_(5.0)
    assert module.graph(torch.ones(2, 3), torch.zeros(1))[0].tolist() == [[2.0] * 3] * 2
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        module.graph(torch.ones(2, 3))


def test_large_modules_stay_as_they_are() -> None:
    module = Twice(MAX_PARAMETERS + 1)
    use_graphs(module)
    assert module.graph is None
