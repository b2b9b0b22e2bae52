"""Times a network on whatever device is there: floors, time limits, eager and compiled. For render.py and motion.py.

The floor of a call is its floating-point operations, counted on the meta device, over the best matrix product rate that
this device reaches with the same number type. What lies between floor and measured time is memory traffic, launches,
and kernels that do not reach that rate.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch._inductor.config
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from mytalk.presets import PRESETS

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
MODES = ("eager", "compiled")
ENOUGH = 20
"""Timed runs of one cell at most."""
SHORT = 0.05
"""Seconds that one timing is of at least, if that is under 1000 runs."""
SLOW = 2.0
"""Seconds from which one run is enough, and after which no further one begins."""


@dataclass(frozen=True, slots=True)
class Part:
    """Holds a network, and what it is called with for a batch: shapes without the batch."""

    name: str
    module: nn.Module
    shapes: tuple[tuple[int, ...], ...]
    frames: int = 1  # rendered or emitted frames that one row of the batch is worth
    call: Callable[..., Tensor] | None = None  # a method of the module; None: the module itself

    def inputs(self, batch: int, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
        return [torch.rand(batch, *shape, device=device, dtype=dtype) for shape in self.shapes]


@dataclass(frozen=True, slots=True)
class Cell:
    """Holds one measurement. ``ms`` is None where it was left out, and ``note`` says why."""

    part: str
    batch: int
    dtype: str
    mode: str
    gflop: float
    floor_ms: float
    ms: float | None
    runs: int
    note: str = ""
    frames: int = 1

    @property
    def frames_a_second(self) -> float | None:
        return None if self.ms is None else 1e3 * self.batch * self.frames / self.ms

    @property
    def over_floor(self) -> float | None:
        return None if self.ms is None or not self.floor_ms else self.ms / self.floor_ms


class Late(BaseException):
    """Says that a cell's time is up. Not an Exception: compilers catch those and go on."""


def alone(device: torch.device) -> bool:
    """Says whether one CPU thread does all the work: it is timed, and limited, by what it computed, so that other
    programs on the machine do not count. Anything else goes by the wall clock."""
    return device.type == "cpu" and torch.get_num_threads() == 1


def clock(device: torch.device) -> Callable[[], float]:
    """Reads the clock in seconds."""
    return time.process_time if alone(device) else time.perf_counter


@contextmanager
def limit(seconds: float, device: torch.device) -> Iterator[None]:
    """Raises Late inside once the time is up, between two operations of torch. Main thread only."""

    def late(*_: object) -> None:
        raise Late

    timer, number = (signal.ITIMER_PROF, signal.SIGPROF) if alone(device) else (signal.ITIMER_REAL, signal.SIGALRM)
    before = signal.signal(number, late)
    signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        signal.setitimer(timer, 0)
        signal.signal(number, before)


def machine(device: torch.device) -> str:
    """Describes the machine that the figures are of."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    threads = torch.get_num_threads()
    times = "1 thread, its own CPU time" if threads == 1 else f"{threads} threads"
    return f"{platform.machine()}, {os.cpu_count()} cores ({times}), torch {torch.__version__}"


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Measures the best floating-point operations a second of a square matrix product, over about a second."""
    side = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    now, best, until = clock(device), float("inf"), time.perf_counter() + 1.0
    for run in range(1000):
        synchronise(device)
        start = now()
        a @ b
        synchronise(device)
        took = now() - start
        if run:  # the first one loads kernels
            best = min(best, took)
            if time.perf_counter() > until:
                break
    return 2 * side**3 / best


def flops(module: nn.Module, inputs: list[Tensor], call: Callable[..., object] | None = None) -> int:
    """Counts floating-point operations of one call; nothing is computed where module and inputs are on the meta
    device."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        (call or module)(*inputs)
    return int(counter.get_total_flops())


def timed(run: Callable[[], object], device: torch.device, seconds: float, warm_up: int) -> tuple[float | None, int]:
    """Measures the median seconds of a run and how many times it was taken; None where not one ended in time.
    ``warm_up`` runs are not counted, unless there is one and it was so slow that warmth is nothing to it. Fast runs
    are taken many at a time, for clocks are coarse.

    ``warm_up`` runs are not counted, unless there is one and it was so slow that warmth is nothing to it. Fast runs are
    taken many at a time, for clocks are coarse.
    """
    now = clock(device)
    until = now() + seconds
    times: list[float] = []
    repeat = 1

    def once() -> float:
        synchronise(device)
        start = now()
        for _ in range(repeat):
            run()
        synchronise(device)
        return (now() - start) / repeat

    try:
        with limit(seconds, device):
            for _ in range(warm_up):
                took = once()
            if warm_up == 1 and took > SLOW:
                times.append(took)
            while took * repeat < SHORT and repeat < 1000:
                repeat = min(1000, repeat * 4)
                took = once()
            while not times or (len(times) < ENOUGH and sum(times) * repeat < SLOW and now() < until):
                times.append(once())
    except Late:
        synchronise(device)
    return (statistics.median(times), len(times)) if times else (None, 0)


def measure(
    part: Part, batch: int, kind: str, mode: str, gflop: float, rate: float, seconds: float, device: torch.device
) -> Cell:
    """Measures one cell, eager or compiled. ``gflop`` is one row's, ``rate`` in operations a second. Compiling
    counts as warming up, and is within the limit of ``seconds``. On CUDA it includes CUDA graphs.

    Compiling counts as warming up, and is within the limit of ``seconds``. On CUDA it includes CUDA graphs.
    """
    floor = gflop * 1e9 * batch / rate
    conditions = (part.name, batch, kind, mode, gflop * batch, floor * 1e3)
    if floor > seconds:
        return Cell(*conditions, None, 0, f"its floor alone is {floor:.0f} s", part.frames)
    call: Callable[..., object] = part.call or part.module
    if mode == "compiled":
        torch._dynamo.reset()
        call = torch.compile(call, mode="reduce-overhead" if device.type == "cuda" else None, dynamic=False)
    try:
        inputs = part.inputs(batch, device, DTYPES[kind])

        def run() -> None:
            if mode == "compiled" and device.type == "cuda":  # a graph's output is overwritten by its next run
                torch.compiler.cudagraph_mark_step_begin()
            call(*inputs)

        with torch.inference_mode():
            took, runs = timed(run, device, seconds, warm_up=3 if device.type == "cuda" or mode == "compiled" else 1)
    except torch.cuda.OutOfMemoryError:
        torch.cuda.empty_cache()
        return Cell(*conditions, None, 0, "not enough memory", part.frames)
    except Exception as error:  # a compiler that is not there, or a kernel that this device lacks
        return Cell(*conditions, None, 0, f"{type(error).__name__}: {str(error).splitlines()[0][:80]}", part.frames)
    if took is None:
        return Cell(*conditions, None, 0, f"over {seconds:.0f} s", part.frames)
    return Cell(*conditions, took * 1e3, runs, frames=part.frames)


@dataclass(frozen=True, slots=True)
class Grid:
    """Lists which cells to measure."""

    batches: tuple[int, ...]
    kinds: tuple[str, ...]
    modes: tuple[str, ...]
    seconds: float
    compile_seconds: float


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", default="paper", choices=sorted(PRESETS))
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1...")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=None, help="fp32 bf16, and fp16 on CUDA")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--batches", nargs="+", type=int, default=(1, 2, 4, 8, 16))
    parser.add_argument("--seconds", type=float, default=20.0, help="time limit of one cell, warming up included")
    parser.add_argument("--compile-seconds", type=float, default=60.0, help="what a compiled cell may take on top")
    parser.add_argument("--threads", type=int, default=1, help="of a CPU")
    parser.add_argument("--json", type=Path, default=None)


def grid_of(arguments: argparse.Namespace) -> tuple[Grid, torch.device]:
    """Reads the cells and the device from the options."""
    torch.set_num_threads(arguments.threads)
    if arguments.threads == 1:
        torch._inductor.config.compile_threads = 1
    here = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(here if arguments.device == "auto" else arguments.device)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32, as convolutions have by default: one floor for both
    kinds = arguments.dtypes or (("fp32", "bf16", "fp16") if device.type == "cuda" else ("fp32", "bf16"))
    limits = arguments.seconds, arguments.compile_seconds
    return Grid(tuple(arguments.batches), tuple(kinds), tuple(arguments.modes), *limits), device


def measure_all(
    parts_in: Callable[[torch.device, torch.dtype], list[Part]], grid: Grid, device: torch.device
) -> tuple[list[Cell], dict[str, float]]:
    """Measures every cell, and the matrix product rate of each number type. ``parts_in`` builds the networks. Beyond
    a batch that was left out nothing larger is tried, and nothing is compiled that was left out eager.

    Beyond a batch that was left out nothing larger is tried, and nothing is compiled that was left out eager.
    """
    meta = torch.device("meta")
    gflop = {
        part.name: flops(part.module, part.inputs(1, meta, torch.float32), part.call) / 1e9
        for part in parts_in(meta, torch.float32)
    }
    cells: list[Cell] = []
    rates: dict[str, float] = {}
    for kind in grid.kinds:
        rates[kind] = rate = matmul_rate(device, DTYPES[kind])
        parts = parts_in(device, DTYPES[kind])
        todo = [(mode, part, batch) for mode in grid.modes for part in parts for batch in grid.batches]
        for mode, part, batch in tqdm(todo, desc=kind, unit="cell", leave=False):
            gone = {(cell.part, cell.mode): cell for cell in cells if cell.dtype == kind and cell.ms is None}
            before = gone.get((part.name, mode)) or gone.get((part.name, "eager"))
            if before is not None and batch >= before.batch:
                note = f"left out, as batch {before.batch} ({before.mode}: {before.note.split(' (')[0]})"
                if "left out" in before.note:
                    note = before.note
                work = gflop[part.name] * batch
                cells.append(Cell(part.name, batch, kind, mode, work, work / rate * 1e12, None, 0, note, part.frames))
                continue
            seconds = grid.seconds + (grid.compile_seconds if mode == "compiled" else 0)
            cells.append(measure(part, batch, kind, mode, gflop[part.name], rate, seconds, device))
        del parts
    return cells, rates


def table(cells: list[Cell], kind: str, mode: str) -> str:
    """Prints one number type and mode: a row a part; milliseconds a call at each batch, and what is left out and
    why."""
    here = [cell for cell in cells if (cell.dtype, cell.mode) == (kind, mode)]
    batches = sorted({cell.batch for cell in here})
    head = f"{kind}, {mode}"
    lines = [
        f"{head:34} {'GFLOP':>8} {'floor ms':>9}  ms a call, batch "
        + " ".join(f"{batch:>9}" for batch in batches)
        + "   x floor  frames/s, best"
    ]
    for name in dict.fromkeys(cell.part for cell in here):
        row = {cell.batch: cell for cell in here if cell.part == name}
        first = row[batches[0]]
        best = max((cell for cell in row.values() if cell.ms), key=lambda cell: cell.frames_a_second or 0, default=None)
        times = " ".join(f"{'-' if row[b].ms is None else format(row[b].ms, '.2f'):>9}" for b in batches)
        line = f"{name:34} {first.gflop:8.2f} {first.floor_ms:9.2f} {'':17}{times}"
        if best is not None:
            line += f" {first.over_floor or float('nan'):9.1f} {best.frames_a_second:9.2f} at {best.batch}"
        lines.append(line)
    left = {cell.part: cell for cell in reversed(here) if cell.ms is None}
    lines += [f"    {cell.part}: from batch {cell.batch} on left out ({cell.note})" for cell in left.values()]
    return "\n".join(lines)


def heading(preset: str, rates: dict[str, float], device: torch.device) -> str:
    """Names the machine, the preset, and the rate of matrix products that the floors are reckoned by."""
    peaks = ", ".join(f"{kind} {rate / 1e9:.1f}" for kind, rate in rates.items())
    return f"{machine(device)}; preset {preset}, random weights; matrix products reach {peaks} GFLOP/s"


def tables(cells: list[Cell], grid: Grid) -> str:
    """Returns a table for each number type and mode."""
    return "\n\n".join(table(cells, kind, mode) for kind in grid.kinds for mode in grid.modes)


def written(cells: list[Cell], rates: dict[str, float], device: torch.device) -> dict[str, object]:
    """Converts the figures to what goes into the JSON file."""
    own = [{**asdict(c), "frames_a_second": c.frames_a_second, "over_floor": c.over_floor} for c in cells]
    peaks = {kind: rate / 1e9 for kind, rate in rates.items()}
    return {"machine": machine(device), "matmul_gflops": peaks, "cells": own}
