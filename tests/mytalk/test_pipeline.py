"""A pipeline in the number type asked for, with weights or without."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import mytalk
from mytalk import Picture, Pipeline, VideoFrame
from mytalk.errors import OptionError, PresetError
from mytalk.media_time import to_samples
from mytalk.presets import PRESETS, Preset
from mytalk.random_pipeline import random_pipeline
from mytalk.torch_backend import load_appearance, load_motion


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_networks_come_in_the_number_type_asked_for_and_draw_nearly_the_same(dtype: str) -> None:
    exact, narrow = load_appearance("edge"), mytalk.load("edge", device="cpu", dtype=dtype)
    assert {weight.dtype for weight in narrow.appearance.parameters()} == {getattr(torch, dtype)}
    assert {weight.dtype for weight in narrow.motion.model.denoiser.parameters()} == {getattr(torch, dtype)}
    assert {weight.dtype for weight in narrow.motion.model.speech.parameters()} == {torch.float32}
    assert narrow.motion.space.basis.dtype == np.float32
    references, non_lip = torch.rand(1, 3, 3, 96, 96), torch.rand(1, 3, 96, 96)
    with torch.inference_mode():
        change = exact(references, non_lip, non_lip).change
        kind = getattr(torch, dtype)
        rounded = narrow.appearance(references.to(kind), non_lip.to(kind), non_lip.to(kind)).change.float()
    assert (rounded - change).abs().max() < 0.1 * change.abs().max()


def test_random_weights_say_so_and_need_no_files() -> None:
    pipeline = random_pipeline("edge", device="cpu", dtype="bfloat16")
    assert pipeline.preset.name == "edge (random weights)"
    assert pipeline.dtype == "bfloat16"
    assert next(pipeline.appearance.parameters()).dtype == torch.bfloat16
    assert not torch.equal(pipeline.motion.model.denoiser.out.weight.float(), load_motion("edge").denoiser.out.weight)


def test_building_in_a_number_type_leaves_the_default_alone() -> None:
    random_pipeline("edge", device="cpu", dtype="float16")
    assert torch.get_default_dtype() == torch.float32


def test_random_weights_of_an_unknown_preset_are_an_error() -> None:
    with pytest.raises(PresetError, match="'nonsense' is unknown"):
        random_pipeline("nonsense")


def spoken(pipeline: Pipeline, picture: Picture, speech: NDArray[np.float32]) -> NDArray[np.float32]:
    base = Fraction(1, 25)
    frames = [VideoFrame(picture, to_samples(n, base), n, base) for n in range(12)]
    return np.stack([frame.picture.rgb() for frame in pipeline.dub(frames, speech[:8_000])]).astype(np.float32)


def test_a_film_in_bf16_looks_like_one_in_float32(portrait: Picture, babble: NDArray[np.float32]) -> None:
    exact = spoken(mytalk.load("edge", device="cpu"), portrait, babble)
    narrow = spoken(mytalk.load("edge", device="cpu", dtype="bfloat16"), portrait, babble)
    moved = np.abs(exact - spoken(mytalk.load("edge", device="cpu"), portrait, 0 * babble)).mean()
    assert np.abs(exact - narrow).mean() < 0.2 * moved


def test_a_small_network_of_the_papers_kind_dubs(portrait: Picture, babble: NDArray[np.float32]) -> None:
    """Builds a preset with its own projections, a residual identity, the whole face painted; bf16, random weights."""
    edge, paper = PRESETS["edge"], PRESETS["paper"]
    # On a processor without bf16 arithmetic a convolution takes up to a hundred times as long.
    narrow = {"hidden": 8, "decoder_hidden": 8, "fusion_hidden": 8, "multipliers": (1, 1, 1, 2), "blocks": 1}
    small = Preset(
        "small",
        edge.speech,
        replace(edge.identity, inner=32),
        replace(edge.motion, own_conditions=True, layers=1),
        replace(paper.appearance, **narrow, norm_groups=8, decoder_blocks=1, decoder_middle=1),
        steps=2,
    )
    film = spoken(random_pipeline(small, device="cpu", dtype="bfloat16"), portrait, babble)
    assert np.isfinite(film).all()
    assert np.abs(film[-1] - portrait.rgb()).max() > 10  # noise was painted


def test_arrays_are_dubbed_as_frames_are(portrait: Picture, babble: NDArray[np.float32]) -> None:
    pipeline, bgr = mytalk.load("edge", device="cpu"), portrait.rgb()[..., ::-1].copy()
    frames = spoken(pipeline, portrait, babble)
    arrays = list(pipeline.dub_arrays([bgr] * 12, 25, (babble[:8_000] * 32767).astype(np.int16), 16_000, "bgr"))
    assert [array.shape for array in arrays] == [bgr.shape] * 12
    made = np.stack(arrays)[..., ::-1].astype(np.float32)
    moved = np.abs(made - portrait.rgb()).max(axis=(0, 3)) > 0
    assert 0 < moved.mean() < 0.5  # the mouth, and nothing else
    assert np.abs(made - frames).mean() < 1.0
    np.testing.assert_array_equal(arrays[-1][0], bgr[0])


def test_what_is_wrong_is_said_before_the_first_frame_is_asked_for(portrait: Picture) -> None:
    pipeline = mytalk.load("edge", device="cpu")
    with pytest.raises(OptionError, match="order"):
        pipeline.dub_arrays([], 25, np.zeros(1, np.float32), 16_000, "rbg")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="dub_arrays"):
        pipeline.dub([], np.zeros(1, np.int16))  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="frame 0 is of type ndarray"):
        list(pipeline.dub([portrait.rgb()], np.zeros(1, np.float32)))  # type: ignore[list-item]
