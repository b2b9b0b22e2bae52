"""Promises of the appearance networks: sizes, and what an untrained one does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from mytalk.appearance.blocks import Attention
from mytalk.appearance.model import AppearanceModel
from mytalk.appearance.preset import EDGE, PAPER


def test_paper_preset_maps_256_pixels_to_a_32_cell_latent_and_back() -> None:
    with torch.device("meta"):
        model = AppearanceModel(PAPER).eval()
        picture = torch.zeros(2, 3, 256, 256)
        assert model.lip_encoder(picture).shape == (2, 6, 32, 32)
        out = model(torch.zeros(2, 3, 3, 256, 256), picture, picture)
    assert out.change.shape == (2, 3, 256, 256)
    assert out.blend.shape == (2, 2, 256, 256)
    assert PAPER.latent_side == 32


@pytest.mark.parametrize("preset", [EDGE, replace(EDGE, multipliers=(1, 2), middle=True, norm_groups=8)])
def test_untrained_residual_network_gives_back_the_first_reference(preset: object) -> None:
    torch.manual_seed(0)
    model = AppearanceModel(preset).eval()  # type: ignore[arg-type]
    references = torch.rand(1, 3, 3, 96, 96)
    painted = model(references, torch.rand(1, 3, 96, 96), torch.rand(1, 3, 96, 96))
    assert torch.equal(painted.mouth(references), references[:, 0])


def test_training_draws_from_the_latent_and_inference_does_not() -> None:
    torch.manual_seed(0)
    model = AppearanceModel(EDGE)
    nn.init.normal_(model.decoder.conv_out.weight)
    inputs = torch.rand(1, 3, 3, 96, 96), torch.rand(1, 3, 96, 96), torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        assert not torch.equal(model(*inputs).change, model(*inputs).change)
        assert model(*inputs).kl > 0
        model.eval()
        assert torch.equal(model(*inputs).change, model(*inputs).change)


SMALL_FACE = replace(
    PAPER, size=32, window=64, hidden=32, decoder_hidden=32, multipliers=(1, 2), blocks=1, decoder_blocks=1
)


@pytest.mark.parametrize("references", [1, 3])
def test_painting_from_kept_lip_features_is_the_whole_network(references: int) -> None:
    torch.manual_seed(0)
    model = AppearanceModel(replace(SMALL_FACE, references=references, fusion_hidden=32)).eval()
    lips = torch.rand(2, references, 3, 64, 64)
    frame = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        kept = model.lip_features(lips)
        assert torch.allclose(model.paint(kept, *frame), model(lips, *frame).mouth(lips), atol=1e-5)


def test_a_residual_network_refuses_to_paint_without_its_references() -> None:
    model = AppearanceModel(EDGE).eval()
    picture = torch.rand(1, 3, 96, 96)
    with pytest.raises(ValueError, match="references"):
        model.paint(model.lip_features(torch.rand(1, 3, 3, 96, 96)), picture, picture)


def test_a_residual_network_with_one_reference_refines_it() -> None:
    model = AppearanceModel(replace(EDGE, references=1)).eval()
    reference, picture = torch.rand(1, 1, 3, 96, 96), torch.rand(1, 3, 96, 96)
    assert torch.equal(model(reference, picture, picture).mouth(reference), reference[:, 0])


def test_attention_in_heads_sees_every_place() -> None:
    torch.manual_seed(0)
    attention, x = Attention(128, 32).eval(), torch.randn(1, 128, 6, 6)
    changed = x.clone()
    changed[..., 5, 5] += 1
    with torch.inference_mode():
        assert (attention(x) - attention(changed)).abs().amax(dim=1).min() > 1e-6
