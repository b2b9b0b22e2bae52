"""Benchmarks of the networks: the yardstick has its published size, and what does not fit is left out, not guessed."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor, nn

from benchmarks.models import motion, render, timing
from benchmarks.models.timing import Cell, Grid, Part
from benchmarks.models.wav2lip_shape import PARAMETERS, Wav2LipShape
from mytalk.presets import PRESETS

CPU = torch.device("cpu")


def test_wav2lips_shape_has_its_published_size() -> None:
    with torch.device("meta"):
        model = Wav2LipShape().eval()
        assert sum(weight.numel() for weight in model.parameters()) == pytest.approx(PARAMETERS, rel=0.001)
        assert model(torch.zeros(2, 1, 80, 16), torch.zeros(2, 6, 96, 96)).shape == (2, 3, 96, 96)


def test_operations_of_a_known_layer() -> None:
    with torch.device("meta"):
        assert timing.flops(nn.Linear(30, 50), [torch.zeros(4, 30)]) == 2 * 4 * 30 * 50


class Slow(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        until = time.process_time() + 60  # busy: a limit may go by the processor's time
        while time.process_time() < until:
            x = x + 1
        return x


def test_a_cell_that_does_not_end_in_time_is_left_out() -> None:
    cell = timing.measure(Part("slow", Slow(), ((2,),)), 1, "fp32", "eager", 1e-9, 1e9, 0.2, CPU)
    assert (cell.ms, cell.note) == (None, "over 0 s")


def test_a_cell_whose_floor_is_over_the_limit_is_not_even_begun() -> None:
    cell = timing.measure(Part("huge", Slow(), ((2,),)), 4, "fp32", "eager", 100.0, 1e9, 5.0, CPU)
    assert cell.ms is None
    assert cell.note == "its floor alone is 400 s"


def test_a_layer_that_fails_is_left_out_with_its_reason() -> None:
    cell = timing.measure(Part("narrow", nn.Linear(3, 3), ((2,),)), 1, "fp32", "eager", 1e-9, 1e9, 5.0, CPU)
    assert cell.ms is None
    assert cell.note.startswith("RuntimeError: ")


def test_nothing_larger_is_tried_beyond_what_was_left_out() -> None:
    def parts(device: torch.device, dtype: torch.dtype) -> list[Part]:
        layer = nn.Linear(8, 8).to(device, dtype)
        return [Part("layer", layer, ((8,),)), Part("slow", Slow() if device == CPU else layer, ((8,),))]

    cells, rates = timing.measure_all(parts, Grid((1, 2), ("fp32",), ("eager",), 0.2, 0.0), CPU)
    found = {(cell.part, cell.batch): cell for cell in cells}
    assert found["layer", 1].ms is not None
    assert found["slow", 1].note == "over 0 s"
    assert found["slow", 2].ms is None
    assert "left out, as batch 1" in found["slow", 2].note
    assert rates["fp32"] > 0
    assert "slow: from batch 1 on left out (over 0 s)" in timing.table(cells, "fp32", "eager")


@pytest.mark.parametrize("preset", ["edge", "paper"])
@pytest.mark.parametrize("script", [render, motion])
def test_every_part_takes_the_inputs_that_it_is_timed_with(
    script: object, preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(motion, "wav2vec_base", lambda preset: None)  # seconds to build, and tested where it lives
    meta = torch.device("meta")
    for part in script.parts(PRESETS[preset], meta, torch.float32):  # type: ignore[attr-defined]
        assert timing.flops(part.module, part.inputs(1, meta, torch.float32), part.call) > 0


def test_a_live_frame_is_its_parts() -> None:
    meta = torch.device("meta")
    parts = render.parts(PRESETS["paper"], meta, torch.float32)
    work = {part.name: timing.flops(part.module, part.inputs(1, meta, torch.float32), part.call) for part in parts}
    live = sum(work[name] for name in ("non-lip encoder", "landmark encoder", "FusionNet", "decoder"))
    assert work[render.LIVE] == pytest.approx(live, rel=1e-4)


def test_the_ratio_compares_cells_of_one_kind() -> None:
    def cell(part: str, kind: str, ms: float | None, gflop: float) -> Cell:
        return Cell(part, 1, kind, "eager", gflop, 1.0, ms, 1)

    cells = [cell(render.WAV2LIP, "fp32", 10.0, 8.0), cell(render.LIVE, "fp32", 55.0, 80.0)]
    cells += [cell(render.WAV2LIP, "bf16", 10.0, 8.0), cell(render.LIVE, "bf16", None, 80.0)]
    assert render.ratios(cells) == [{"batch": 1, "dtype": "fp32", "mode": "eager", "time": 5.5, "work": 10.0}]


def test_a_hop_is_its_steps_and_what_it_hears() -> None:
    def cell(part: str, ms: float) -> Cell:
        return Cell(part, 2, "fp32", "eager", 1.0, 1.0, ms, 1)

    cells = [cell(motion.STEP, 10.0), cell(motion.ENCODER, 2.0), cell(motion.FRONT, 5.0)]
    (hop,) = motion.hops(cells, steps=4)
    assert hop["ms"] == 47.0
    assert hop["frames_a_second"] == pytest.approx(1e3 * motion.HOP * 2 / 47.0)
