"""Promises of the appearance networks: sizes, and what an untrained one does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from mytalk.appearance.discriminator import Discriminator
from mytalk.appearance.model import AppearanceModel
from mytalk.appearance.preset import EDGE, PAPER


def parameters(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize(
    ("part", "count"),
    [
        ("lip_encoder", 237e6),
        ("non_lip_encoder", 237e6),
        ("landmark_encoder", 237e6),
        ("fusion", 4.8e6),
        ("decoder", 280e6),
        ("appearance_quant", 42),
        ("landmark_quant", 42),
        ("joint_quant", 21),
        ("post_quant", 12),
    ],
)
def test_paper_preset_has_table_9s_parameters(part: str, count: float) -> None:
    with torch.device("meta"):
        model = AppearanceModel(PAPER)
    assert parameters(getattr(model, part)) == pytest.approx(count, rel=0.03)


def test_paper_discriminator_has_table_9s_parameters() -> None:
    with torch.device("meta"):
        assert parameters(Discriminator(PAPER)) == pytest.approx(17.5e6, rel=0.03)


def test_paper_preset_maps_256_pixels_to_a_64_cell_latent_and_back() -> None:
    with torch.device("meta"):
        model = AppearanceModel(PAPER).eval()
        picture = torch.zeros(2, 3, 256, 256)
        assert model.lip_encoder(picture).shape == (2, 6, 64, 64)
        out = model(torch.zeros(2, 3, 3, 256, 256), picture, picture)
    assert out.change.shape == (2, 3, 256, 256)
    assert out.blend.shape == (2, 2, 256, 256)
    assert PAPER.latent_side == 64


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
