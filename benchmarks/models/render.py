"""Measures how long a rendered face takes, component by component, beside a network of Wav2Lip's size and shape.

    python -m benchmarks.models.render [--preset paper|edge] [--device cpu|cuda] [--seconds 20] [--json FILE]

First what of a frame is no network, part by part, on the CPU (edge): milliseconds of CPU in one thread. Then
networks alone, with random weights and random inputs: no tracking, no compositing, no copies from or to a GPU. For a
painting preset (paper) lip features are computed once a session, so a live frame is the non-lip encoder, the landmark
encoder, FusionNet and the decoder; for a residual preset (edge) the references change with every frame, and a live
frame is everything. GFLOP and floor are those of the first batch; floor = GFLOP / the matrix product rate that this
device reaches in the same number type. ``--seconds`` bounds each cell: what does not fit is left out, and said to be.
CUDA is synchronised, warmed up and, compiled, runs CUDA graphs. MyTalk's own ratio to Wav2Lip, whole programs, is 19.5
(table 10: 631.5 s to 32.4 s).
"""

from __future__ import annotations

import argparse
import json

import torch

from benchmarks.models.render_parts import part_times
from benchmarks.models.timing import Cell, Part, add_options, grid_of, heading, measure_all, tables, written
from benchmarks.models.wav2lip_shape import Wav2LipShape
from mytalk.appearance.model import AppearanceModel
from mytalk.presets import PRESETS, Preset

WAV2LIP = "network of Wav2Lip's shape"
LIVE = "live frame"


def parts(preset: Preset, device: torch.device, dtype: torch.dtype) -> list[Part]:
    """Lists the appearance model's networks on a device, and Wav2Lip's shape; channels last on CUDA, as `Pipeline`
    has it."""
    layout = torch.channels_last if device.type == "cuda" else torch.preserve_format
    sizes = preset.appearance
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device:
            model, other = AppearanceModel(sizes).eval(), Wav2LipShape().eval()
    finally:
        torch.set_default_dtype(before)
    model, other = model.to(memory_format=layout), other.to(memory_format=layout)
    side, cells, count = sizes.window, sizes.latent_side, sizes.references
    picture, moments = (3, side, side), (2 * sizes.latent, cells, cells)
    lips, references = (count, *moments), (count, *picture)
    once = "lip encoder, once a session" if not sizes.residual else "lip encoder, every frame"
    whole = (
        Part(LIVE, model, (references, picture, picture), call=lambda *conditions: model(*conditions).change)
        if sizes.residual
        else Part(LIVE, model, (lips, picture, picture), call=model.paint)
    )
    return [
        Part(WAV2LIP, other, ((1, 80, 16), (6, 96, 96))),
        Part("non-lip encoder", model.non_lip_encoder, (picture,)),
        Part("landmark encoder", model.landmark_encoder, (picture,)),
        Part("FusionNet", model.fusion, (lips, moments)),
        Part("decoder", model.decoder, ((sizes.latent, cells, cells),)),
        Part(f"{once} ({count})", model, (references,), call=model.lip_features),
        whole,
    ]


def ratios(cells: list[Cell]) -> list[dict[str, object]]:
    """Computes how many times longer than Wav2Lip's shape a live frame takes, for each cell that has both."""
    found: list[dict[str, object]] = []
    for cell in cells:
        same = (cell.batch, cell.dtype, cell.mode)
        other = next(c for c in cells if c.part == WAV2LIP and (c.batch, c.dtype, c.mode) == same)
        if cell.part == LIVE and cell.ms and other.ms:
            ratio, work = cell.ms / other.ms, cell.gflop / other.gflop
            found.append({"batch": cell.batch, "dtype": cell.dtype, "mode": cell.mode, "time": ratio, "work": work})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    arguments = parser.parse_args()
    grid, device = grid_of(arguments)
    preset = PRESETS[arguments.preset]
    compiled = part_times(preset.appearance) if preset.appearance.residual else {}
    for name, ms in compiled.items():
        print(f"{name:32}{ms:8.2f} ms of CPU", flush=True)
    cells, rates = measure_all(lambda where, dtype: parts(preset, where, dtype), grid, device)
    print(f"{heading(preset.name, rates, device)}\n\n{tables(cells, grid)}\n")
    for ratio in ratios(cells):
        print(
            f"{ratio['dtype']}, {ratio['mode']}, batch {ratio['batch']}: a live frame takes {ratio['time']:.2f} x "
            f"Wav2Lip's shape, at {ratio['work']:.2f} x its work"
        )
    if arguments.json is not None:
        own = {"preset": preset.name, "compiled_ms": compiled, "ratios": ratios(cells), **written(cells, rates, device)}
        arguments.json.write_text(json.dumps(own, indent=2) + "\n")


if __name__ == "__main__":
    main()
