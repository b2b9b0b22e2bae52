"""What live speech is heard with as graphs: the same as by the modules, of any sound, in the hops of every profile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import mytalk
from mytalk.media.speech import SpeechReader
from mytalk.presets import PROFILES
from mytalk.speech.mel import MELS
from mytalk.speech.mel_phones import MelPhones

SECONDS = 3
HOPS = sorted({1, *(profile.hop for profile in PROFILES.values())})  # the first of a stream may be shorter


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
    """What the running mean forgets is forgotten alike."""
    module, graph = MelPhones(), MelPhones()
    graph.to_graph()
    long = torch.cat([torch.zeros(60 * 16_000), speech])[None]
    assert_close(by_hops(graph, long, 12), by_hops(module, long, 12), rtol=0, atol=1e-3)
