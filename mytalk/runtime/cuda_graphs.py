"""Keeps a GPU busy: CUDA graphs, and page-locked memory.

A GPU runs the small kernels of a live window sooner than Python can launch the next, so launching takes the time: a
step of the paper's denoiser is some 600 kernels and takes 20 ms for one window as for 64, launched one by one
(`benchmarks/models/motion.py`). A graph is launched once. And from page-locked memory a GPU's copy engine reads while
the CPU goes on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

log = logging.getLogger(__name__)

MAX_RECORDINGS = 16
"""Recordings of one function at most: each holds its inputs, outputs and what lies between them."""

_WARM_UP = 2  # calls before a recording: libraries choose kernels and take memory in the first

_CAPTURE_LOCK = threading.Lock()  # in a process, torch asks

Function = Callable[..., tuple[Tensor, ...]]


class Recording(NamedTuple):
    """Holds a captured graph: ``replay`` launches the kernels, which read ``inputs`` and write ``outputs`` in place."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    replay: Callable[[], None]


class Recorder(Protocol):
    """Captures a function for arguments like these."""

    def __call__(self, function: Function, arguments: tuple[Tensor, ...]) -> Recording: ...


class CudaGraphs:
    """Runs a function of GPU tensors by graphs, one recording for each set of shapes. Any thread may call it.

    The function must launch the same kernels for the same shapes, and never wait for the device. Where a recording
    cannot be made, for want of memory above all, or would be one too many, the function is called directly.
    """

    def __init__(self, function: Function, record: Recorder | None = None) -> None:
        """``record`` None: on the GPU that the arguments are on."""
        self._function = function
        self._record = record or GpuRecorder()
        self._recordings: dict[tuple[object, ...], Recording | None] = {}  # None: cannot be made
        self._lock = threading.Lock()  # one recording's memory is written and read by one call at a time

    @torch.inference_mode()
    def __call__(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """Returns the function's results, which are the caller's own."""
        key = tuple((one.shape, one.dtype, one.device) for one in arguments)
        with self._lock, torch.cuda.device_of(arguments[0]):
            recording = self._recording(key, arguments)
            if recording is not None:
                for buffer, inputs in zip(recording.inputs, arguments, strict=True):
                    buffer.copy_(inputs, non_blocking=True)
                recording.replay()
                return tuple(one.clone() for one in recording.outputs)  # launched before the next replay
        return self._function(*arguments)

    def _recording(self, key: tuple[object, ...], arguments: tuple[Tensor, ...]) -> Recording | None:
        if key not in self._recordings and len(self._recordings) < MAX_RECORDINGS:
            try:
                self._recordings[key] = self._record(self._function, arguments)
            except Exception:  # of the device's memory, or of a kernel that a driver cannot record
                log.warning("a CUDA graph could not be recorded: its kernels are launched one by one", exc_info=True)
                self._recordings[key] = None
        return self._recordings.get(key)


class GpuRecorder:
    """Captures one function on one GPU. Other threads may use the device meanwhile, in any stream but this one's.

    All recordings share memory for what lies between inputs and outputs, so none may be replayed before another's
    results were taken.
    """

    def __init__(self) -> None:
        self._capture_stream: tuple[torch.cuda.Stream, Any] | None = None  # where it is recorded, and that memory

    def __call__(self, function: Function, arguments: tuple[Tensor, ...]) -> Recording:
        # What fails in the middle may leave its own stream the current one: the outer context brings this one back.
        with _CAPTURE_LOCK, torch.cuda.stream(torch.cuda.current_stream()), _autotuned_convolutions():
            if self._capture_stream is None:
                self._capture_stream = torch.cuda.Stream(), torch.cuda.graph_pool_handle()
            stream, memory = self._capture_stream
            inputs = tuple(one.clone() for one in arguments)
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UP):
                    function(*inputs)
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, memory, stream, capture_error_mode="thread_local"):
                outputs = function(*inputs)
        return Recording(inputs, outputs, graph.replay)


def _autotuned_convolutions() -> AbstractContextManager[None]:
    """Lets cuDNN find the quickest kernel for each shape by trying: worth it for shapes that stay."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=True)


class PaddedGraphs:
    """Runs a function whose first axis is the batch by graphs of batches padded to a power of two; returns when the
    device has finished."""

    def __init__(self, function: Function, record: Recorder | None = None) -> None:
        self._graphs = CudaGraphs(function, record)

    def __call__(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        batch = len(arguments[0])
        missing = padded_batch(batch) - batch
        padded = [torch.cat([one, one[:1].expand(missing, *one.shape[1:])]) if missing else one for one in arguments]
        return synchronised(tuple(outputs[:batch] for outputs in self._graphs(*padded)))


def record_batches(run: Callable[[int], object], max_batch: int) -> None:
    """Calls ``run`` with batches of 1, 2, 4... up to ``max_batch``, so that none is recorded while sessions wait.
    Where the device has no room for more, larger ones are left to their first caller."""
    for batch in (1 << power for power in range(max_batch.bit_length())):
        try:
            run(batch)
        except torch.cuda.OutOfMemoryError:
            log.warning("the device has no room for batches of %d: smaller ones are recorded", batch)
            return


def padded_batch(batch: int) -> int:
    """Returns the next power of two, so that few recordings serve every number of sessions."""
    return 1 << (batch - 1).bit_length()


def synchronised(outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Waits until the device has made these tensors, and returns them; other threads run meanwhile."""
    if outputs[0].is_cuda:
        with torch.cuda.device_of(outputs[0]):
            done = torch.cuda.Event(blocking=True)
            done.record()
            done.synchronize()
    return outputs


def to_device(values: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Copies ``values`` to a device, in ``dtype`` where one is given. The caller may change or free its own at once."""
    if device.type != "cuda" or values.is_cuda:
        return values.to(device, dtype)
    moved = values.pin_memory().to(device, non_blocking=True)  # whose memory is kept until the copy is done
    return moved if dtype is None else moved.to(dtype)


def to_host(values: Tensor) -> Tensor:
    """Copies ``values`` to the CPU, once the device has made them."""
    if not values.is_cuda:
        return values
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    host.copy_(values, non_blocking=True)
    synchronised((values,))
    return host
