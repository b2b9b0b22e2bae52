"""Modules that become CUDA graphs can be recorded: tried without a GPU, on PyTorch's device that has no memory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mytalk.appearance.batched.kernel import BatchedKernel
from mytalk.appearance.model import AppearanceModel
from mytalk.motion.model import MotionModel
from mytalk.presets import PRESETS, Preset
from mytalk.runtime.cuda_graphs import Function, Recording
from mytalk.speech.wav2vec_loader import load_wav2vec
from mytalk.torch_backend import load_motion

NetworkMaker = Callable[..., Path]
NOWHERE = torch.device("meta")


class FromTheCpu(TorchDispatchMode):
    """Notes what cannot be recorded of work on a device: what reads the CPU's memory. Single numbers become arguments
    of a kernel. What waits for a result raises, for there is none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        given, there = ([one for one in tree_leaves(x) if isinstance(one, Tensor)] for x in ((args, kwargs), made))
        if any(one.is_cpu and one.dim() for one in given) and not all(one.is_cpu for one in there):
            self.found.append(str(func))
        self.calls += 1
        return made


class FromNumbers(TorchFunctionMode):
    """Notes tensors that are made of Python's numbers on a device."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if func in (torch.tensor, torch.as_tensor, Tensor.new_tensor) and not made.is_cpu:
            self.found.append(str(func))
        return made


class Recordings:
    """Look at what would be recorded, and make none."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, function: Function, arguments: tuple[Tensor, ...]) -> Recording:
        with FromTheCpu() as cpu, FromNumbers() as numbers:
            made = function(*arguments)
        if cpu.calls < 20 or cpu.found or numbers.found:
            raise ValueError(f"{cpu.calls} calls, which read {cpu.found + numbers.found}")
        self.made += 1
        return Recording(arguments, made, lambda: None)


def small(preset: Preset) -> Preset:
    """The paper's kinds of layers, few and narrow."""
    return replace(
        preset,
        speech=replace(preset.speech, features=64, hidden=32, layers=2, heads=2, ffn=32, lookback=8, width=32),
        identity=replace(preset.identity, width=32, embedding=32, inner=16),
        motion=replace(preset.motion, layers=2, width=32, ffn=32, heads=2),
        appearance=replace(
            preset.appearance,
            size=32,
            window=64,
            hidden=32,
            decoder_hidden=32,
            fusion_hidden=32,
            fusion_blocks=1,
        ),
    )


@pytest.fixture(autouse=True)
def _without_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which that device does not know. It is off where graphs are recorded."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())


def test_nothing_of_edge_reads_the_cpu_or_waits(caplog: pytest.LogCaptureFixture) -> None:
    motion, recordings = load_motion("edge").eval().to(NOWHERE), Recordings()
    motion.to_cuda_graphs(3, recordings)
    AppearanceModel(PRESETS["edge"].appearance).eval().to(NOWHERE).to_cuda_graphs(recordings)
    assert caplog.records == []  # a failure would be a warning
    assert recordings.made == 7 + 6 + 4  # sizes of batches of windows, of groups of speech, of batches of mouths


@pytest.mark.parametrize("norm", ["layer", "group"])
def test_nothing_of_the_papers_models_does(
    make_network: NetworkMaker, norm: str, caplog: pytest.LogCaptureFixture
) -> None:
    preset, recordings = small(PRESETS["paper"]), Recordings()
    front = load_wav2vec(make_network(norm, stable=norm == "layer"), lookback=preset.speech.lookback)
    MotionModel(preset, front).eval().to(NOWHERE).to_cuda_graphs(2, recordings)
    AppearanceModel(preset.appearance).eval().to(NOWHERE).to_cuda_graphs(recordings)
    assert caplog.records == []
    assert recordings.made == 7 + 4 + 4


@pytest.mark.parametrize(
    "work",
    [
        lambda x: x + torch.arange(3.0).to(NOWHERE),
        lambda x: x.copy_(torch.arange(3.0)),
        lambda x: x + x.new_tensor([1.0, 2.0, 3.0]),
        lambda x: x + torch.tensor([1.0, 2.0, 3.0], device=NOWHERE),
    ],
)
def test_a_read_of_the_cpu_is_found(work: Callable[[Tensor], Tensor]) -> None:
    with FromTheCpu() as cpu, FromNumbers() as numbers:
        work(torch.zeros(3, device=NOWHERE))
    assert len(cpu.found + numbers.found) == 1


def test_what_renders_frames_can_be_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mytalk.appearance.batched.kernel.BATCH", 1)
    monkeypatch.setattr("mytalk.appearance.batched.kernel._RECORDED_SIDES", (128,))
    BatchedKernel(NOWHERE, PRESETS["edge"].appearance, Recordings()).record()  # which brings tables to the device
    recordings = Recordings()
    BatchedKernel(NOWHERE, PRESETS["edge"].appearance, recordings).record()
    assert recordings.made == 1
