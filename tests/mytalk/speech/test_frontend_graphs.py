"""Graphs of the live front end give what its modules give, of any sound, in the hops of every profile."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.testing import assert_close

import mytalk
from mytalk import Pipeline
from mytalk.graph_export import arrays_of
from mytalk.graph_files import read_graphs
from mytalk.media.speech import SpeechReader
from mytalk.preset_folders import EMBEDDED
from mytalk.presets import PROFILES
from mytalk.runtime.onnx_graph import Graph
from mytalk.speech.filters import MELS
from mytalk.speech.mel_phones import MelPhones
from mytalk.speech.moonshine import MoonshineState
from mytalk.speech.readout import Readout, ReadoutResult
from mytalk.speech.state_batching import tensors_of
from mytalk.speech.stream import SpeechStream
from mytalk.speech.timing import BACK, TOKEN, TOKENS
from mytalk.torch_backend import load_appearance, load_motion

SECONDS = 3
HOPS = sorted({1, *(profile.hop for profile in PROFILES.values())})  # the first of a stream may be shorter
A_DAY = 24 * 3600 * 50  # tokens


@pytest.fixture(scope="module")
def speech() -> Tensor:
    reader = SpeechReader(Path(mytalk.__file__).parent / "assets" / "demo_speech.flac")
    return torch.from_numpy(np.concatenate(list(reader.samples())))[: SECONDS * 16_000]


@pytest.fixture(scope="module")
def sounds(speech: Tensor) -> Tensor:
    """Sessions of one batch: speech, near and far, with a hum, after silence, hiss that 16 bits can hardly tell, and
    nothing at all."""
    noise = torch.randn(len(speech), generator=torch.Generator().manual_seed(1))
    late = torch.cat([torch.zeros(16_000), speech[:-16_000]])
    hum = 0.2 * torch.sin(torch.arange(len(speech)) * (2 * torch.pi * 50 / 16_000))
    return torch.stack([speech, 1e-2 * speech, 0.5 * speech + hum, late, 2e-5 * noise, torch.zeros(len(speech))])


class GraphFront:
    """Hears by the package's graph as `MelPhones` does, for sessions of one batch."""

    def __init__(self, rows: int = 1) -> None:
        self.graph = shipped("front")
        self.state = batch_of(self.graph.start(), rows)

    def stream(self, samples: Tensor) -> Tensor:
        frames = samples.reshape(len(samples), -1, 640)
        return torch.from_numpy(self.graph.stream(frames.numpy(), state=self.state)[0])


class GraphReadout:
    """Reads mouths by the package's graph as `Readout` does; chunks are no longer than what is asked for."""

    def __init__(self, frames: int, rows: int = 1) -> None:
        self.graph, self.tokens = shipped("readout"), TOKENS * (frames + BACK)
        self.state = batch_of(self.graph.start(self.tokens), rows)

    def stream(self, samples: Tensor) -> ReadoutResult:
        count = samples.shape[1] // TOKEN
        given = np.zeros((len(samples), self.tokens, TOKEN), np.float32)
        given[:, self.tokens - count :] = samples.reshape(len(samples), count, TOKEN).numpy()
        made = self.graph.stream(given, np.array([count]), state=self.state)
        return ReadoutResult(*(torch.from_numpy(one) for one in made))


@cache
def shipped(name: str) -> Graph:
    return Graph(read_graphs(EMBEDDED / "edge")[name], arrays_of(load_motion("edge"), load_appearance("edge"))[name])


def batch_of(state: list[NDArray[Any]], rows: int) -> list[NDArray[Any]]:
    return [np.repeat(one, rows, axis=0) for one in state]


@pytest.fixture(scope="module")
def readout() -> Readout:
    readout = load_motion("edge").readout
    assert readout is not None
    return readout


def by_hops(front: MelPhones, sounds: Tensor, hop: int) -> Tensor:
    state = front.start(len(sounds))
    with torch.inference_mode():
        return torch.cat([front.stream(part, state) for part in sounds.split(640 * hop, dim=1)], dim=1)


def graph_by_hops(sounds: Tensor, hop: int) -> Tensor:
    front = GraphFront(len(sounds))
    return torch.cat([front.stream(part) for part in sounds.split(640 * hop, dim=1)], dim=1)


def test_power_by_a_product_is_that_of_the_fft(sounds: Tensor) -> None:
    front = MelPhones()
    for power in (front.mel.power, front.phones.cepstra.power):
        samples = sounds[:, : len(power.window) + 160 * 200]
        fft, product = power(samples), power.by_product(samples)
        assert_close(product, fft, rtol=1e-3, atol=1e-6)
        assert fft[0].max() > 1


@pytest.mark.parametrize("hop", HOPS)
def test_a_front_hears_the_same_by_a_graph(sounds: Tensor, hop: int) -> None:
    one, other = by_hops(MelPhones(), sounds, hop), graph_by_hops(sounds, hop)
    assert_close(other[..., :MELS], one[..., :MELS], rtol=0, atol=1e-4)
    assert_close(other[..., MELS:], one[..., MELS:], rtol=0, atol=1e-3)
    assert_close(graph_by_hops(sounds[:1], hop), one[:1], rtol=0, atol=1e-3)
    assert (one[0].std(0) > 0.01).all()


def test_a_front_of_graphs_hears_long_silence_as_the_module_does(speech: Tensor) -> None:
    """Graphs and modules forget alike what the running mean forgets."""
    long = torch.cat([torch.zeros(60 * 16_000), speech])[None]
    assert_close(graph_by_hops(long, 12), by_hops(MelPhones(), long, 12), rtol=0, atol=1e-3)


def test_a_stream_by_a_graph_is_a_recording_by_the_module(sounds: Tensor) -> None:
    assert_close(graph_by_hops(sounds, 3), MelPhones().offline(sounds), rtol=0, atol=1e-3)


def joined(made: list[ReadoutResult]) -> Tensor:
    """Motion and voice of the newest frames after each chunk, ``(chunks, B, frames, K + 1)``."""
    return torch.stack([torch.cat([one.motion, one.voice[..., None]], dim=-1) for one in made])


def by_module(readout: Readout, sounds: Tensor, frames: int, chunks: list[int], state: MoonshineState) -> Tensor:
    with torch.inference_mode():
        return joined([readout(part, state) for part in sounds.split([640 * chunk for chunk in chunks], dim=1)])


def by_graph(graph: GraphReadout, sounds: Tensor, chunks: list[int]) -> Tensor:
    return joined([graph.stream(part) for part in sounds.split([640 * chunk for chunk in chunks], dim=1)])


@pytest.mark.parametrize("profile", PROFILES)
def test_a_readout_tells_the_same_by_a_graph(readout: Readout, sounds: Tensor, profile: str) -> None:
    hop, lookahead = PROFILES[profile].hop, PROFILES[profile].lookahead
    frames, first = hop + lookahead, lookahead % hop or hop
    chunks = [first, *[hop] * ((25 * SECONDS - first) // hop)]
    heard = sounds[:, : 640 * sum(chunks)]
    one = by_module(readout, heard, frames, chunks, readout.start(frames, len(heard)))
    assert_close(by_graph(GraphReadout(frames, len(heard)), heard, chunks), one, rtol=0, atol=1e-4)
    assert_close(by_graph(GraphReadout(frames), heard[:1], chunks), one[:, :1], rtol=0, atol=1e-4)
    assert one[:, 0].std() > 0.2


def test_rows_of_a_graph_may_be_of_any_age(readout: Readout, sounds: Tensor) -> None:
    chunks = [1, 5, 4, 5, 5, 2]
    heard = sounds[:, : 640 * sum(chunks)]
    state, graph = readout.start(5, len(sounds)), GraphReadout(5, len(sounds))
    state.position = torch.tensor([0, 1, 3, 200, 100_001, A_DAY])
    graph.state[0] = state.position.numpy()
    one, other = by_module(readout, heard, 5, chunks, state), by_graph(graph, heard, chunks)
    assert_close(other, one, rtol=0, atol=1e-4)
    for kept, of_graph in zip(tensors_of(state), graph.state, strict=True):
        assert_close(torch.from_numpy(of_graph), kept, rtol=1e-4, atol=1e-3)


def test_chunks_longer_than_a_graph_takes_are_heard_in_parts(pipeline: Pipeline, speech: Tensor) -> None:
    """A front takes 16 motion frames at a time, a readout as many as are asked for."""
    extractor, samples = pipeline.motion.extractor, speech.numpy()[: 70 * 640]
    whole, parts = extractor.start(5), extractor.start(5)
    at_once = extractor.extract(samples, whole)
    by_frames = [extractor.extract(samples[first : first + 640], parts) for first in range(0, len(samples), 640)]
    features = np.concatenate([one.features for one in by_frames])
    np.testing.assert_allclose(at_once.features, features, rtol=0, atol=2e-3)
    last = by_frames[-1].readout
    assert at_once.readout is not None
    assert last is not None
    np.testing.assert_allclose(at_once.readout.motion, last.motion, rtol=0, atol=0.1)
    assert at_once.readout.motion.std() > 0.2


def test_packet_sizes_do_not_change_a_bit_of_what_graphs_hear(pipeline: Pipeline, speech: Tensor) -> None:
    motion, samples = pipeline.motion, speech.numpy()[: 64 * 640]
    made = []
    for packet in (160, 1001, 16_000):
        stream = SpeechStream(motion.extractor, 3, 1, readout_frames=6)
        heard = [stream.push(samples[start : start + packet]) for start in range(0, len(samples), packet)]
        estimates = np.concatenate([guess.motion for one in heard for guess in one.estimates])
        made.append((np.concatenate([one.features for one in heard]), estimates))
    for features, estimates in made[1:]:
        np.testing.assert_array_equal(features, made[0][0])
        np.testing.assert_array_equal(estimates, made[0][1])
    assert len(made[0][0]) == 64
    assert len(made[0][1]) > 0
