"""Measures each stage on one device, by CUDA graphs and without, and compares its picture with the CPU's.

    python -m benchmarks.models.device_parts [--preset edge|paper] [--device cpu|cuda] [--dtype float32|bfloat16]
        [--batches 1 8 64] [--seconds 2]

Frames a second of batches of so many sessions: motion frames for the denoiser, which makes a hop of two a window,
pictures for the network that draws, and whole frames for what warps and blends them (``edge``). ``paper`` has random
weights. The picture of ``edge``: a second of the embedded portrait, dubbed on the device and on the CPU, and how far
pixels differ, of 255. On a CPU, where there are no CUDA graphs, what needs a GPU is left out, and says so.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from itertools import islice

import numpy as np
import torch

import mytalk
from benchmarks.clips import ASSETS, SPEECH
from benchmarks.models.timing import machine
from mytalk import Pipeline, VideoFrame
from mytalk.appearance.batched.kernel import empty_frames, render_batch
from mytalk.appearance.model import AppearanceModel
from mytalk.checkpoint import read_preset
from mytalk.media import SpeechReader, open_face
from mytalk.media_time import to_samples
from mytalk.motion.model import MotionModel
from mytalk.motion.sampler import DDIM
from mytalk.preset_folders import NumberType, preset_folder
from mytalk.presets import PRESETS, PROFILES
from mytalk.runtime.cuda_graphs import PaddedGraphs
from mytalk.torch_backend import load_by_torch, new_appearance, torch_device

SIDE = 256  # rows and columns of the part of a picture that a mouth is rendered into
HOP = PROFILES["balanced"].hop
FRAMES = 25


def rate(run: Callable[[], object], frames: int, seconds: float, device: torch.device) -> float:
    """Measures how many frames a second ``run``, which makes so many, comes to."""
    run()
    _wait(device)
    began, made = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        run()
        _wait(device)
        made += frames
    return made / (time.perf_counter() - began)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def models_on(preset: str, device: torch.device, dtype: NumberType) -> tuple[MotionModel, AppearanceModel]:
    """Builds both stages with random weights on a device, without CUDA graphs."""
    sizes = PRESETS[preset]
    motion, number = MotionModel(sizes), getattr(torch, dtype)
    motion.denoiser.to(number)
    return motion.to(device).eval(), new_appearance(sizes, number).to(device).eval()


@torch.inference_mode()
def print_rates(preset: str, device: torch.device, dtype: NumberType, batches: list[int], seconds: float) -> None:
    """Prints frames a second by stage and batch, eagerly and by graphs."""
    motion, appearance = models_on(preset, device, dtype)
    steps, sizes = DDIM(PRESETS[preset].steps), PRESETS[preset].appearance
    ways = ["eager"] if device.type == "cpu" else ["eager", "graphs"]
    print(f"{'frames a second':24}" + "".join(f"{f'batch {batch}':>12}" for batch in batches))
    for way in ways:
        if way == "graphs":
            motion.to_cuda_graphs(steps.steps)
            appearance.to_cuda_graphs()
        windows = [motion._zeros(batch) for batch in batches]
        made = [
            rate(lambda given=given: motion.sample(*given, steps), HOP * batch, seconds, device)
            for batch, given in zip(batches, windows, strict=True)
        ]
        print(f"{f'motion, {way}':24}" + "".join(f"{one:12.0f}" for one in made), flush=True)
        made = [rate(lambda batch=batch: appearance._render_black(batch), batch, seconds, device) for batch in batches]
        print(f"{f'pictures, {way}':24}" + "".join(f"{one:12.0f}" for one in made), flush=True)
        if sizes.residual:
            frames = [empty_frames(sizes, device, SIDE, batch) for batch in batches]
            render = PaddedGraphs(render_batch) if way == "graphs" else render_batch
            made = [
                rate(partial(render, *given), batch, seconds, device)
                for batch, given in zip(batches, frames, strict=True)
            ]
            print(f"{f'frames, {way}':24}" + "".join(f"{one:12.0f}" for one in made), flush=True)
    if device.type == "cpu":
        print("left out: CUDA graphs (they need a GPU)")


def print_difference(device: torch.device, dtype: NumberType) -> None:
    """Prints how far the pictures of ``edge`` on the device are from those on the CPU."""
    if device.type == "cpu" and dtype == "float32":
        print("left out: the picture on a GPU beside the CPU's (it needs a GPU)")
        return
    folder = preset_folder("edge")
    sizes = read_preset(folder)
    wanted = _dubbed(mytalk.load("edge", "cpu"))
    found = _dubbed(Pipeline(sizes, *load_by_torch(folder, sizes, str(device), dtype=dtype), dtype))
    apart = np.abs(found - wanted)
    mouth = apart[:, np.abs(wanted - wanted[0]).max(axis=(0, 3)) > 0]
    print(
        f"pictures beside the CPU's: at most {apart.max():.0f} of 255 apart, in the mouth {mouth.mean():.3f} on average"
    )


def _dubbed(pipeline: Pipeline) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    base = Fraction(1, 25)
    picture = next(open_face(ASSETS / "astronaut.png").frames()).picture
    frames = [VideoFrame(picture, to_samples(n, base), n, base) for n in range(FRAMES)]
    speech = np.concatenate(list(islice(SpeechReader(SPEECH).samples(), 20)))
    return np.stack([frame.picture.rgb() for frame in pipeline.dub(frames, speech)]).astype(np.float32)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="edge", choices=sorted(PRESETS))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"))
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=2)
    arguments = parser.parse_args()
    device = torch_device(arguments.device)
    print(f"{arguments.preset}, {arguments.dtype}, {machine(device)}")
    print_rates(arguments.preset, device, arguments.dtype, arguments.batches, arguments.seconds)
    if arguments.preset == "edge":
        print_difference(device, arguments.dtype)


if __name__ == "__main__":
    main()
