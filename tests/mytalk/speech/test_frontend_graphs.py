"""Graphs of the live front end give what its modules give, of any sound, in the hops of every profile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import mytalk
from mytalk import Pipeline
from mytalk.media.speech import SpeechReader
from mytalk.pipeline import load_motion
from mytalk.presets import PROFILES
from mytalk.speech import SpeechStream, select_state, stack_states
from mytalk.speech.mel import MELS
from mytalk.speech.mel_phones import MelPhones
from mytalk.speech.moonshine import MoonshineState
from mytalk.speech.readout import Readout
from mytalk.speech.state_batching import tensors_of

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


@pytest.fixture(scope="module")
def readouts() -> tuple[Readout, Readout]:
    """As a module, and as a graph."""
    one, other = load_motion("edge").readout, load_motion("edge").readout
    assert one is not None
    assert other is not None
    other.to_graph()
    return one, other


def by_hops(front: MelPhones, sounds: Tensor, hop: int) -> Tensor:
    state = front.start(len(sounds))
    with torch.inference_mode():
        return torch.cat([front.stream(part, state) for part in sounds.split(640 * hop, dim=1)], dim=1)


def test_power_by_a_product_is_that_of_the_fft(sounds: Tensor) -> None:
    front = MelPhones()
    for power in (front.mel.power, front.phones.cepstra.power):
        samples = sounds[:, : len(power.window) + 160 * 200]
        fft, product = power(samples), power.by_product(samples)
        assert_close(product, fft, rtol=1e-3, atol=1e-6)
        assert fft[0].max() > 1


@pytest.mark.parametrize("hop", HOPS)
def test_a_front_hears_the_same_by_a_graph(sounds: Tensor, hop: int) -> None:
    module, graph = MelPhones(), MelPhones()
    graph.to_graph()
    one, other = by_hops(module, sounds, hop), by_hops(graph, sounds, hop)
    assert_close(other[..., :MELS], one[..., :MELS], rtol=0, atol=1e-4)
    assert_close(other[..., MELS:], one[..., MELS:], rtol=0, atol=1e-3)
    assert_close(by_hops(graph, sounds[:1], hop), one[:1], rtol=0, atol=1e-3)
    assert (one[0].std(0) > 0.01).all()


def test_a_front_goes_from_graph_to_module_and_back(sounds: Tensor) -> None:
    """Chunks that are too long for the graph are heard without it, in the same session."""
    module, graph = MelPhones(), MelPhones()
    graph.to_graph()
    parts = sounds.split([640, 640 * 20, 640 * 3, 640 * 17, 640 * 12, sounds.shape[1] - 640 * 53], dim=1)
    one, other = module.start(len(sounds)), graph.start(len(sounds))
    for part in parts:
        assert_close(graph.stream(part, other), module.stream(part, one), rtol=0, atol=1e-3)
    assert_close(other.mel.tail, one.mel.tail)
    assert_close(other.phones.total, one.phones.total, rtol=1e-4, atol=1e-2)


def test_a_front_of_graphs_hears_long_silence_as_the_module_does(speech: Tensor) -> None:
    """Graphs and modules forget alike what the running mean forgets."""
    module, graph = MelPhones(), MelPhones()
    graph.to_graph()
    long = torch.cat([torch.zeros(60 * 16_000), speech])[None]
    assert_close(by_hops(graph, long, 12), by_hops(module, long, 12), rtol=0, atol=1e-3)


def test_a_stream_by_a_graph_is_a_recording_by_the_module(sounds: Tensor) -> None:
    graph = MelPhones()
    graph.to_graph()
    assert_close(by_hops(graph, sounds, 3), MelPhones().offline(sounds), rtol=0, atol=1e-3)


def readings(
    readout: Readout, sounds: Tensor, frames: int, chunks: list[int], state: MoonshineState | None = None
) -> Tensor:
    """Motion and voice of the newest ``frames`` after each chunk, ``(chunks, B, frames, K + 1)``."""
    state = state or readout.start(frames, len(sounds))
    with torch.inference_mode():
        made = [readout(part, state) for part in sounds.split([640 * chunk for chunk in chunks], dim=1)]
    return torch.stack([torch.cat([one.motion, one.voice[..., None]], dim=-1) for one in made])


@pytest.mark.parametrize("profile", PROFILES)
def test_a_readout_tells_the_same_by_a_graph(readouts: tuple[Readout, Readout], sounds: Tensor, profile: str) -> None:
    hop, lookahead = PROFILES[profile].hop, PROFILES[profile].lookahead
    first = lookahead % hop or hop
    chunks = [first, *[hop] * ((25 * SECONDS - first) // hop)]
    heard = sounds[:, : 640 * sum(chunks)]
    one, other = (readings(readout, heard, hop + lookahead, chunks) for readout in readouts)
    assert_close(other, one, rtol=0, atol=1e-4)
    assert_close(readings(readouts[1], heard[:1], hop + lookahead, chunks), one[:, :1], rtol=0, atol=1e-4)
    assert one[:, 0].std() > 0.2


def test_a_readout_goes_from_graph_to_module_and_back(readouts: tuple[Readout, Readout], sounds: Tensor) -> None:
    """Chunks that are longer than what is asked for are heard without it, in the same session; rows may be of any
    age."""
    chunks = [1, 5, 4, 5, 33, 5, 2, 20]
    states = [readout.start(5, len(sounds)) for readout in readouts]
    for state in states:
        state.position = torch.tensor([0, 1, 3, 200, 100_001, A_DAY])
    one, other = (readings(readout, sounds, 5, chunks, state) for readout, state in zip(readouts, states, strict=True))
    assert_close(other, one, rtol=0, atol=1e-4)
    for kept, by_graph in zip(tensors_of(states[0]), tensors_of(states[1]), strict=True):
        assert kept.shape == by_graph.shape
        assert_close(by_graph, kept, rtol=1e-4, atol=1e-3)


def test_sessions_of_a_graph_share_a_batch_and_part_again(readouts: tuple[Readout, Readout], sounds: Tensor) -> None:
    _, graph = readouts
    alone = readings(graph, sounds[:2], 5, [3] * 25)
    early, late = (graph.start(5) for _ in range(2))
    for state, sound in ((early, sounds[:1]), (late, sounds[1:2])):
        readings(graph, sound[:, : 640 * 30], 5, [3] * 10, state)
    both = stack_states([early, late])
    together = readings(graph, sounds[:2, 640 * 30 : 640 * 60], 5, [3] * 10, both)
    by_itself = readings(graph, sounds[1:2, 640 * 60 :], 5, [3] * 5, select_state(both, 1))
    assert_close(together, alone[10:20], rtol=0, atol=1e-4)
    assert_close(by_itself, alone[20:, 1:2], rtol=0, atol=1e-4)


def test_packet_sizes_do_not_change_a_bit_of_what_graphs_hear(pipeline: Pipeline, speech: Tensor) -> None:
    motion, samples = pipeline.motion, speech.numpy()[: 64 * 640]
    assert motion.readout is not None
    made = []
    for packet in (160, 1001, 16_000):
        stream = SpeechStream(motion.extractor, 3, 1, readout_frames=6)
        heard = [stream.push(samples[start : start + packet]) for start in range(0, len(samples), packet)]
        estimates = torch.cat([guess.motion for one in heard for guess in one.estimates])
        made.append((torch.cat([one.features for one in heard]), estimates))
    for features, estimates in made[1:]:
        assert torch.equal(features, made[0][0])
        assert torch.equal(estimates, made[0][1])
    assert len(made[0][0]) == 64
