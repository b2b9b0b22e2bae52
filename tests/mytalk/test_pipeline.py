"""A pipeline in the number type asked for, with weights or without."""

from __future__ import annotations

import copy

import pytest
import torch

import mytalk
from mytalk.errors import PresetError
from mytalk.pipeline import random_pipeline


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_networks_come_in_the_number_type_asked_for_and_draw_nearly_the_same(dtype: str) -> None:
    exact, narrow = mytalk.load("edge", device="cpu"), mytalk.load("edge", device="cpu", dtype=dtype)
    assert {weight.dtype for weight in narrow.appearance.parameters()} == {getattr(torch, dtype)}
    assert {weight.dtype for weight in narrow.motion.denoiser.parameters()} == {getattr(torch, dtype)}
    assert {weight.dtype for weight in narrow.motion.speech.parameters()} == {torch.float32}
    assert narrow.motion.space.basis.dtype == torch.float32
    references, non_lip = torch.rand(1, 3, 3, 96, 96), torch.rand(1, 3, 96, 96)
    with torch.inference_mode():
        change = exact.appearance(references, non_lip, non_lip).change
        kind = getattr(torch, dtype)
        rounded = narrow.appearance(references.to(kind), non_lip.to(kind), non_lip.to(kind)).change.float()
    assert (rounded - change).abs().max() < 0.1 * change.abs().max()


def test_random_weights_say_so_and_need_no_files() -> None:
    pipeline = random_pipeline("edge", device="cpu", dtype="bfloat16")
    assert pipeline.preset.name == "edge (random weights)"
    assert pipeline.dtype == next(pipeline.appearance.parameters()).dtype == torch.bfloat16
    shipped = copy.deepcopy(mytalk.load("edge", device="cpu").motion.denoiser.out.weight)
    assert not torch.equal(pipeline.motion.denoiser.out.weight.float(), shipped)


def test_building_in_a_number_type_leaves_the_default_alone() -> None:
    random_pipeline("edge", device="cpu", dtype="float16")
    assert torch.get_default_dtype() == torch.float32


def test_random_weights_of_an_unknown_preset_are_an_error() -> None:
    with pytest.raises(PresetError, match="'nonsense' is unknown"):
        random_pipeline("nonsense")
