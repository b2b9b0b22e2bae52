"""What keeps a GPU busy: CUDA graphs, and page-locked memory.

A GPU does the small kernels of a live window sooner than Python can ask for the next, so what takes time is the asking:
a step of the paper's denoiser is some 600 kernels and takes 20 ms for one window as for 64, asked for one by one
(`benchmarks/models/motion.py`). A recording is asked for once. And from page-locked memory a GPU's copy engine
reads while the
CPU goes on.
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

MOST = 16
"""Recordings of one function: each holds its arguments, results and what lies between them."""

_WARM_UP = 2  # calls before a recording: libraries choose kernels and take memory in the first

_ONE_AT_A_TIME = threading.Lock()  # in a process, torch asks

Function = Callable[..., tuple[Tensor, ...]]


class Recording(NamedTuple):
    """``replay`` launches the kernels, which read ``given`` and write ``made``: the same memory every time."""

    given: tuple[Tensor, ...]
    made: tuple[Tensor, ...]
    replay: Callable[[], None]


class Recorder(Protocol):
    """Makes recordings of a function for arguments like these."""

    def __call__(self, function: Function, arguments: tuple[Tensor, ...]) -> Recording: ...


class CudaGraphs:
    """A function of tensors on a GPU, a recording for each set of shapes. Any thread may call it.

    It must launch the same kernels for the same shapes, and never wait for the device. Where a recording cannot be
    made, for want of memory above all, or would be one too many, the function is called as it is.
    """

    def __init__(self, function: Function, record: Recorder | None = None) -> None:
        """``record`` None: on the GPU that the arguments are on."""
        self._function = function
        self._record = record or GpuRecorder()
        self._recordings: dict[tuple[object, ...], Recording | None] = {}  # None: cannot be made
        self._lock = threading.Lock()  # one recording's memory is written and read by one call at a time

    @torch.inference_mode()
    def __call__(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """The function's results, which are the caller's own."""
        key = tuple((one.shape, one.dtype, one.device) for one in arguments)
        with self._lock, torch.cuda.device_of(arguments[0]):
            recording = self._recording(key, arguments)
            if recording is not None:
                for place, given in zip(recording.given, arguments, strict=True):
                    place.copy_(given, non_blocking=True)
                recording.replay()
                return tuple(one.clone() for one in recording.made)  # launched before the next replay
        return self._function(*arguments)

    def _recording(self, key: tuple[object, ...], arguments: tuple[Tensor, ...]) -> Recording | None:
        if key not in self._recordings and len(self._recordings) < MOST:
            try:
                self._recordings[key] = self._record(self._function, arguments)
            except Exception:  # of the device's memory, or of a kernel that a driver cannot record
                log.warning("a CUDA graph could not be recorded: its kernels are launched one by one", exc_info=True)
                self._recordings[key] = None
        return self._recordings.get(key)


class GpuRecorder:
    """Records one function on one GPU. Other threads may use the device meanwhile, in whatever stream but this one's.

    All recordings share memory for what lies between arguments and results, so none may be replayed before another's
    results were taken.
    """

    def __init__(self) -> None:
        self._beside: tuple[torch.cuda.Stream, Any] | None = None  # where it is recorded, and that memory

    def __call__(self, function: Function, arguments: tuple[Tensor, ...]) -> Recording:
        # What fails in the middle may leave its own stream the current one: the outer context brings this one back.
        with _ONE_AT_A_TIME, torch.cuda.stream(torch.cuda.current_stream()), _convolutions_tried_out():
            if self._beside is None:
                self._beside = torch.cuda.Stream(), torch.cuda.graph_pool_handle()
            stream, memory = self._beside
            given = tuple(one.clone() for one in arguments)
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UP):
                    function(*given)
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, memory, stream, capture_error_mode="thread_local"):
                made = function(*given)
        return Recording(given, made, graph.replay)


def _convolutions_tried_out() -> AbstractContextManager[None]:
    """The quickest kernel for each shape is found by trying: worth it for shapes that stay."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=True)


class PaddedGraphs:
    """A function of tensors whose first axis is the batch, by graphs of batches of a power of two; it returns when the
    device has done it."""

    def __init__(self, function: Function, record: Recorder | None = None) -> None:
        self._graphs = CudaGraphs(function, record)

    def __call__(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        rows = len(arguments[0])
        missing = padded_rows(rows) - rows
        padded = [torch.cat([one, one[:1].expand(missing, *one.shape[1:])]) if missing else one for one in arguments]
        return finished(tuple(made[:rows] for made in self._graphs(*padded)))


def record_batches(run: Callable[[int], object], most: int) -> None:
    """Calls ``run`` with 1, 2, 4... up to ``most`` rows beforehand, so that none is recorded while sessions wait. Where
    the device has no room for more, larger ones are left to whoever asks for them.
    """
    for rows in (1 << power for power in range(most.bit_length())):
        try:
            run(rows)
        except torch.cuda.OutOfMemoryError:
            log.warning("the device has no room for batches of %d: smaller ones are recorded", rows)
            return


def padded_rows(rows: int) -> int:
    """The next power of two: so that few recordings serve every number of sessions."""
    return 1 << (rows - 1).bit_length()


def finished(made: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The same once the device has made them; other threads run meanwhile."""
    if made[0].is_cuda:
        with torch.cuda.device_of(made[0]):
            done = torch.cuda.Event(blocking=True)
            done.record()
            done.synchronize()
    return made


def to_device(values: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """``values`` there, in ``dtype`` where one is given. The caller may change or free its own at once."""
    if device.type != "cuda" or values.is_cuda:
        return values.to(device, dtype)
    there = values.pin_memory().to(device, non_blocking=True)  # whose memory is kept until the copy is done
    return there if dtype is None else there.to(dtype)


def to_host(values: Tensor) -> Tensor:
    """``values`` on the CPU, once the device has made them."""
    if not values.is_cuda:
        return values
    here = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    here.copy_(values, non_blocking=True)
    finished((values,))
    return here
