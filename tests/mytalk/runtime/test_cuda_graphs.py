"""Recordings calculate what their functions do, whatever the batch. Where there is a GPU, on it; elsewhere by a
recorder that calls the function again, in the same memory."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mytalk.appearance.model import BATCH, AppearanceModel
from mytalk.motion.conditions import Conditions
from mytalk.motion.conformer import no_past
from mytalk.motion.cuda_graph_sampling import MAX_BATCH, MAX_FRAMES
from mytalk.motion.memory import Past
from mytalk.motion.model import MotionModel
from mytalk.motion.sampler import DDIM
from mytalk.presets import PRESETS, PROFILES
from mytalk.random_pipeline import random_pipeline
from mytalk.runtime.cuda_graphs import MAX_RECORDINGS, CudaGraphs, Function, PaddedGraphs, Recording, record_batches
from mytalk.speech.frontend import FeatureExtractor, FeatureExtractorState
from mytalk.speech.stream import SpeechStream
from mytalk.torch_backend import load_motion

GPU = torch.cuda.is_available()


def call_again(function: Function, arguments: tuple[Tensor, ...]) -> Recording:
    inputs = tuple(one.clone() for one in arguments)
    outputs = function(*inputs)

    def replay() -> None:
        for held, new in zip(outputs, function(*inputs), strict=True):
            held.copy_(new)

    return Recording(inputs, outputs, replay)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Recorded:
    """``call_again``, and the batches it was asked for."""

    def __init__(self) -> None:
        self.batch: list[int] = []

    def __call__(self, function: Function, arguments: tuple[Tensor, ...]) -> Recording:
        self.batch.append(len(arguments[0]))
        return call_again(function, arguments)


def test_results_are_the_callers_own() -> None:
    twice = CudaGraphs(lambda x: (2 * x,), call_again)
    first = twice(torch.ones(3))[0]
    second = twice(torch.full((3,), 5.0))[0]
    assert first.tolist() == [2.0] * 3
    assert second.tolist() == [10.0] * 3


def test_each_set_of_shapes_is_recorded_once_and_only_so_many() -> None:
    recorded = Recorded()
    double = CudaGraphs(lambda x: (2 * x,), recorded)
    for batch in [1, 2, 1, 2, *range(1, MAX_RECORDINGS + 5)]:
        assert torch.equal(double(torch.arange(batch))[0], 2 * torch.arange(batch))
    assert recorded.batch == list(range(1, MAX_RECORDINGS + 1))


def test_a_function_that_cannot_be_recorded_is_called_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    tries = []

    def too_large(function: Function, arguments: tuple[Tensor, ...]) -> Recording:
        tries.append(arguments)
        raise torch.cuda.OutOfMemoryError("no room")

    double = CudaGraphs(lambda x: (2 * x,), too_large)
    assert [double(torch.ones(1))[0].item() for _ in range(3)] == [2.0] * 3
    assert len(tries) == 1  # and it is said once
    assert [record.message for record in caplog.records] == [
        "a CUDA graph could not be recorded: its kernels are launched one by one"
    ]


def test_threads_do_not_write_into_each_others_arguments() -> None:
    square = CudaGraphs(lambda x: (x * x,), call_again)
    with ThreadPoolExecutor(8) as threads:
        outputs = list(threads.map(lambda n: square(torch.full((50,), float(n)))[0], range(400)))
    assert all(one.eq(n * n).all() for n, one in enumerate(outputs))


def test_batches_are_filled_up_to_a_power_of_two() -> None:
    recorded = Recorded()
    cube = PaddedGraphs(lambda x, y: (x**3, x + y), recorded)
    for batch in (1, 2, 3, 5, 8):
        x = random(batch, 4, seed=batch)
        cubes, sums = cube(x, -x)
        assert_close(cubes, x**3)
        assert torch.equal(sums, torch.zeros(batch, 4))
    assert recorded.batch == [1, 2, 4, 8]


def test_batches_that_the_device_has_no_room_for_are_not_tried_on(caplog: pytest.LogCaptureFixture) -> None:
    attempted = []

    def run(batch: int) -> None:
        attempted.append(batch)
        if batch > 4:
            raise torch.cuda.OutOfMemoryError("no room")

    record_batches(run, 64)
    assert attempted == [1, 2, 4, 8]
    assert "batches of 8" in caplog.text
    attempted.clear()
    record_batches(attempted.append, 6)
    assert attempted == [1, 2, 4]


@pytest.fixture(scope="module", params=["edge", "people as landmarks, upper faces seen, no readout"])
def model(request: pytest.FixtureRequest) -> MotionModel:
    torch.manual_seed(1)
    edge = PRESETS["edge"]
    motion = replace(edge.motion, readout=0.4)
    if request.param != "edge":
        motion = replace(edge.motion, readout=0.0, upper_face=True, identity_as="landmarks", conditioning="concat")
    model = MotionModel(replace(edge, motion=motion)).eval()
    model.to_cuda_graphs(2, call_again)
    return model


def past(model: MotionModel, batch: int) -> Past:
    """Sessions that remember nothing, some frames, and more than a window."""
    empty = no_past(batch, model.preset, model.denoiser.prefix.weight)
    ends = torch.tensor([0, 40, 1000]).repeat(batch)[:batch]
    filled = [random(*one.shape, seed=seed) for seed, one in enumerate(empty[:3])]
    return Past(*filled, ends, ends.clamp(max=model.preset.window))


def windows(model: MotionModel, lengths: list[int], frames: int) -> tuple[Tensor, Conditions]:
    """Noise and conditions of windows of these lengths, in a batch of ``frames``; noise where they have ended."""
    batch, motion = len(lengths), model.preset
    inputs = Conditions(
        random(batch, frames, model.denoiser.speech_width),
        random(batch, frames, 38, 2, seed=1) * 0.02,
        random(batch, model.denoiser.identity_width, seed=2),
        random(batch, frames, motion.coefficients, seed=3),
        (torch.arange(frames) < 4).expand(batch, -1),
        None if min(lengths) == frames else torch.arange(frames) < torch.tensor(lengths)[:, None],
        random(batch, frames, motion.coefficients, seed=5) if model.readout is not None else None,
        past(model, batch),
    )
    return random(batch, frames, motion.coefficients, seed=4), inputs


@pytest.mark.parametrize("lengths", [[64], [7], [40, 40, 40], [9, 60, 33], [48] * 5], ids=str)
def test_windows_are_sampled_as_without_graphs(model: MotionModel, lengths: list[int]) -> None:
    noise, inputs = windows(model, lengths, max(lengths))
    replayed, kept = model.sample(noise, inputs, DDIM(2))
    with torch.inference_mode():
        alone, kept_alone = model._sample(noise, inputs, 2)
    for one, other in zip(kept.of(0, lengths[0]), kept_alone.of(0, lengths[0]), strict=True):
        assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert replayed.shape == alone.shape
    for one, other, length in zip(replayed, alone, lengths, strict=True):
        assert one.isfinite().all()
        assert_close(one[:length], other[:length], rtol=1e-4, atol=1e-4)


def test_sampling_is_recorded_beforehand_and_what_fits_no_graph_is_sampled_all_the_same() -> None:
    torch.manual_seed(1)
    model, recorded = MotionModel(PRESETS["edge"]).eval(), Recorded()
    model.to_cuda_graphs(1, recorded)
    assert recorded.batch[:7] == [1, 2, 4, 8, 16, 32, 64]
    assert recorded.batch[7:] == [1] * 4  # hearing: 1, 2, 6 and 12 motion frames at a time
    for batch, frames in ((MAX_BATCH + 1, 8), (1, MAX_FRAMES + 1)):
        noise, inputs = windows(model, [frames] * batch, frames)
        assert_close(model.sample(noise, inputs, DDIM(1))[0], model._sample(noise, inputs, 1)[0], rtol=1e-4, atol=1e-4)
    noise, inputs = windows(model, [8], 8)
    for steps in range(1, 8):
        assert_close(
            model.sample(noise, inputs, DDIM(steps))[0], model._sample(noise, inputs, steps)[0], rtol=1e-4, atol=1e-4
        )
    assert recorded.batch[11:] == [1, 1, 1]  # of the numbers of steps after the first, three have graphs


def pictures(model: AppearanceModel, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    side = model.preset.window
    return (random(batch, model.preset.references, side, side, 3), *random(2, batch, side, side, 3, seed=1))


def test_mouths_that_threads_ask_for_come_out_as_alone() -> None:
    torch.manual_seed(1)
    model, recorded = AppearanceModel(PRESETS["edge"].appearance).eval(), Recorded()
    torch.nn.init.normal_(model.decoder.conv_out.weight, std=0.05)  # which starts at zero
    wanted = pictures(model, 24)
    with torch.inference_mode():
        alone = model.refine(*wanted)
    model.to_cuda_graphs(recorded)
    assert recorded.batch == [1, 2, 4, 8]
    assert alone.std() > 0.01
    with ThreadPoolExecutor(6) as threads:
        outputs = threads.map(lambda row: model.refine(*(one[row : row + 1] for one in wanted)), range(24))
    assert_close(torch.cat(list(outputs)), alone, rtol=1e-4, atol=1e-4)
    assert recorded.batch == [1, 2, 4, 8]


def test_a_painting_model_paints_as_alone() -> None:
    torch.manual_seed(1)
    preset = replace(PRESETS["edge"].appearance, residual=False, framing="face", size=48, window=96, references=2)
    model = AppearanceModel(preset).eval()
    references, non_lip, landmarks = (one.movedim(-1, -3) for one in pictures(model, BATCH))
    with torch.inference_mode():
        lips = model.lip_features(references)
        alone = model.paint(lips, non_lip, landmarks)
        model.to_cuda_graphs(call_again)
        assert_close(model.paint(lips, non_lip, landmarks), alone, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not GPU, reason="needs a GPU")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_on_a_gpu_sampling_and_refinement_are_what_they_are_without_graphs(dtype: str) -> None:
    pipeline = random_pipeline("edge", "cuda", dtype)
    model, kind = pipeline.motion.model, getattr(torch, pipeline.dtype)
    noise, inputs = windows(model, [60, 9, 33], 60)
    assert inputs.past is not None
    moved = Conditions(
        *(one.cuda() for one in (inputs.speech, inputs.upper, inputs.identity, inputs.history, inputs.known)),
        past=Past(*(one.to("cuda", kind if one.is_floating_point() else None) for one in inputs.past)),
    )
    with torch.inference_mode():
        asked: list[tuple[Callable[..., Tensor], Callable[..., Tensor]]] = [
            (
                lambda: model.sample(noise.cuda(), moved, DDIM(1))[0],
                lambda: model._sample(noise.cuda(), moved, 1)[0],
            ),
            (
                lambda: pipeline.appearance.refine(*(one.to("cuda", kind) for one in wanted)),
                lambda: pipeline.appearance._refine(*(one.to("cuda", kind) for one in wanted))[0],
            ),
        ]
        wanted = pictures(pipeline.appearance, 3)
        for graphs, eager in asked:
            assert_close(graphs(), eager(), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("profile", ["low", "balanced", "quality", "offline"])
def test_speech_is_heard_as_without_graphs_whatever_the_packets(profile: str) -> None:
    model = load_motion("edge").eval()
    speech = 0.1 * random(640 * 90).numpy()
    hop, lookahead = PROFILES[profile].hop, PROFILES[profile].lookahead
    heard = []
    for graphs, packet in ((False, 5000), (True, 5000), (True, 1111)):
        extractor = FeatureExtractor(model.speech, model.front, model.readout)
        if graphs:
            extractor.to_cuda_graphs(call_again)
        stream = SpeechStream(extractor, hop, lookahead % hop, readout_frames=hop + lookahead)
        parts = [stream.push(speech[first : first + packet]) for first in range(0, len(speech), packet)]
        parts.append(stream.finish())
        estimates = [estimate for part in parts for estimate in part.estimates]
        heard.append(
            tuple(
                torch.from_numpy(np.concatenate(one))
                for one in ([part.features for part in parts], [estimate.motion for estimate in estimates])
            )
        )
        assert [estimate.end for estimate in estimates][-1] == len(heard[-1][0]) == 90
    alone, replayed, again = heard
    for one, other, parts in zip(alone, replayed, again, strict=True):
        assert one.std() > 0.1
        assert_close(other, one, rtol=1e-3, atol=1e-3)
        assert torch.equal(other, parts)


def test_sessions_that_are_heard_by_the_same_graphs_do_not_hear_one_another() -> None:
    model = load_motion("edge").eval()
    model._extractor = model.extractor
    sounds = [0.1 * random(1, 1280 * 6, seed=seed) for seed in range(2)]

    def features(sound: Tensor, state: FeatureExtractorState, hop: int) -> Tensor:
        with torch.inference_mode():
            return model.extractor(sound[:, 1280 * hop : 1280 * (hop + 1)], state)[0]

    alone = []
    for sound in sounds:
        state = model.extractor.start(5)
        alone.append([features(sound, state, hop) for hop in range(6)])
    model.extractor.to_cuda_graphs(call_again)
    states = [model.extractor.start(5) for _ in sounds]
    for hop in range(6):
        for sound, state, one in zip(sounds, states, alone, strict=True):
            assert_close(features(sound, state, hop), one[hop], rtol=1e-3, atol=1e-3)
