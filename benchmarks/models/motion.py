"""Measures how long motion takes, component by component, and what a live hop comes to.

    python -m benchmarks.models.motion [--preset paper|edge] [--device cpu|cuda] [--steps N] [--seconds 20]
        [--json FILE]

Networks alone, with random weights and random inputs; a batch is as many sessions. A hop of the balanced profile (2
frames) needs the speech front and the audio encoder once, on two new frames and their kept past, and as many denoiser
steps as are asked for (``--steps``, else the preset's): the "hop" lines are that sum. Each step sees a full window of
250 frames, of which all but seven are remembered as keys and values: the two that became final since the last hop, and
those that it makes, two and three ahead. "A whole window" is the same step with nothing remembered, for comparison. The
identity extractor runs once a second. Speech front and audio encoder stay float32 in the engine whatever the number
type of the rest; here each cell is in its own. The front of the paper preset is a wav2vec 2.0 of the base size,
streamed; edge's log-mel is left out. For floor and limits see timing.py; beside it one frame of a network of Wav2Lip's
shape.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.models.render import WAV2LIP
from benchmarks.models.timing import Cell, Part, add_options, grid_of, heading, measure_all, tables, written
from benchmarks.models.wav2lip_shape import Wav2LipShape
from mytalk.errors import PresetError
from mytalk.face.landmarks import LOWER_COUNT, UPPER_COUNT
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.conditions import Conditions
from mytalk.motion.conformer import no_past
from mytalk.motion.identity import LANDMARKS
from mytalk.motion.memory import Past
from mytalk.motion.model import MotionModel
from mytalk.motion.sampler import TIMESTEPS
from mytalk.presets import PRESETS, PROFILES, Preset
from mytalk.speech.interfaces import Front
from mytalk.speech.wav2vec import Wav2Vec2
from mytalk.speech.wav2vec_loader import import_transformers

HOP = PROFILES["balanced"].hop
ROWS = 2 * HOP + PROFILES["balanced"].lookahead
FRONT, ENCODER, STEP = "speech front, a hop", "audio encoder, a hop", "denoiser, one step"
WHOLE = "denoiser, one step of a whole window"


def wav2vec_base(preset: Preset) -> Front[Any] | None:
    """Builds a wav2vec 2.0 of the published base size with random weights, or None without its package."""
    try:
        transformers = import_transformers()
    except PresetError:
        return None
    network = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(attn_implementation="sdpa"))
    return Wav2Vec2(network, lookback=preset.speech.lookback, source="random", sha256="")


def streamed(module: Any, method: Callable[..., Tensor]) -> Callable[[Tensor], Tensor]:
    """Makes a call that goes on where the last one of its batch ended."""
    states: dict[int, Any] = {}

    def call(x: Tensor) -> Tensor:
        if len(x) not in states:
            states[len(x)] = module.start(len(x))
        return method(x, states[len(x)])

    return call


def denoising(model: MotionModel, remembered: bool) -> Callable[..., Tensor]:
    """Makes a call of one step: of a hop with a full window remembered, or of a window as long."""
    pasts: dict[int, Past] = {}

    def call(noisy: Tensor, speech: Tensor, upper: Tensor, person: Tensor, history: Tensor) -> Tensor:
        batch = len(noisy)
        if remembered and batch not in pasts:
            full = torch.full((batch,), model.preset.window, device=noisy.device)
            pasts[batch] = no_past(batch, model.preset, noisy)._replace(end=full, frames=full)
        known = torch.zeros(noisy.shape[:2], dtype=torch.bool, device=noisy.device)
        known[:, : noisy.shape[1] - ROWS + HOP] = True
        t = torch.full((batch,), TIMESTEPS, device=noisy.device)
        given = Conditions(speech, upper, person, history, known, past=pasts.get(batch))
        out: Tensor = model.denoiser(noisy, t, given)
        return out

    return call


def parts(preset: Preset, device: torch.device, dtype: torch.dtype) -> list[Part]:
    """Lists the motion model's networks on a device, and Wav2Lip's shape."""
    front = wav2vec_base(preset) if preset.speech.front == "wav2vec2" and device.type != "meta" else None
    with device:
        model, other = MotionModel(preset, front).eval(), Wav2LipShape().eval()
    model, other = model.to(device, dtype), other.to(device, dtype)
    sizes, width = preset.motion, preset.speech.width
    person = LANDMARKS if sizes.identity_as == "landmarks" else preset.identity.embedding
    rate = model.front.rate

    def inputs(rows: int) -> tuple[tuple[int, ...], ...]:
        motion = (rows, sizes.coefficients)
        return (motion, (rows, width), (rows, UPPER_COUNT, 2), (person,), motion)

    heard = (rate * HOP, preset.speech.features)
    found = [
        Part(WAV2LIP, other, ((1, 80, 16), (6, 96, 96))),
        Part("identity extractor", model.identity, ((LOWER_COUNT, 3), (UPPER_COUNT, 3))),
        Part(ENCODER, model.speech, (heard,), HOP, streamed(model.speech, model.speech)),
        Part(STEP, model.denoiser, inputs(ROWS), HOP, denoising(model, remembered=True)),
        Part(WHOLE, model.denoiser, inputs(sizes.window), HOP, denoising(model, remembered=False)),
    ]
    extractor = front_part(preset, model, front) if preset.speech.front == "wav2vec2" else None
    return found if extractor is None else [*found, extractor]


def front_part(preset: Preset, model: MotionModel, front: Front[Any] | None) -> Part | None:
    """Builds the wav2vec front; where only its operations are wanted, they are counted on the CPU, and nothing is
    timed."""
    samples = (HOP * FRAME_SAMPLES,)
    if front is not None:
        return Part(FRONT, front, (samples,), HOP, streamed(front, front.stream))
    counted = wav2vec_base(preset)
    if counted is None:
        return None
    call = streamed(counted, counted.stream)
    return Part(FRONT, model.front, (samples,), HOP, lambda x: call(torch.zeros(x.shape)))


def hops(cells: list[Cell], steps: int) -> list[dict[str, object]]:
    """Computes milliseconds of a hop for each batch, number type and mode that has all that a hop needs."""
    found: list[dict[str, object]] = []
    needed = {cell.part for cell in cells} & {FRONT, ENCODER, STEP}
    for last in (cell for cell in cells if cell.part == STEP):
        same = [
            c for c in cells if c.part in needed and (c.batch, c.dtype, c.mode) == (last.batch, last.dtype, last.mode)
        ]
        if all(cell.ms is not None for cell in same):
            ms = sum((steps if cell.part == STEP else 1) * (cell.ms or 0.0) for cell in same)
            growing = {"batch": last.batch, "dtype": last.dtype, "mode": last.mode, "steps": steps}
            found.append({**growing, "ms": ms, "frames_a_second": 1e3 * HOP * last.batch / ms})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--steps", type=int, default=None, help="denoiser steps of a hop")
    arguments = parser.parse_args()
    grid, device = grid_of(arguments)
    preset = PRESETS[arguments.preset]
    steps = arguments.steps or preset.steps
    cells, rates = measure_all(lambda where, dtype: parts(preset, where, dtype), grid, device)
    print(f"{heading(preset.name, rates, device)}\n\n{tables(cells, grid)}\n")
    for hop in hops(cells, steps):
        print(
            f"{hop['dtype']}, {hop['mode']}, {hop['batch']} session(s): a hop of {HOP} frames at {steps} step(s) takes "
            f"{hop['ms']:.1f} ms; {HOP * 40} ms is real time"
        )
    if preset.speech.front == "wav2vec2" and not any(cell.part == FRONT for cell in cells):
        print("the speech front is left out: its package is missing (pip install 'mytalk-streamer[paper]')")
    if arguments.json is not None:
        own = {"preset": preset.name, "hops": hops(cells, steps), **written(cells, rates, device)}
        arguments.json.write_text(json.dumps(own, indent=2) + "\n")


if __name__ == "__main__":
    main()
