"""Fuses lip features of the references and the non-lip feature to one appearance feature. MyTalk, figure 9 (c)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mytalk.appearance.blocks import ResnetBlock, norm
from mytalk.appearance.preset import AppearancePreset


class FusionNet(nn.Module):
    """Computes equation 6 of MyTalk. All features are ``(B, 2 latent, s, s)``."""

    def __init__(self, preset: AppearancePreset) -> None:
        super().__init__()
        width, groups = preset.fusion_hidden, preset.norm_groups
        self.conv_in = nn.Conv2d((preset.references + 1) * 2 * preset.latent, width, 3, padding=1)
        self.blocks = nn.Sequential(*(ResnetBlock(width, width, groups) for _ in range(preset.fusion_blocks)))
        self.norm_out = norm(width, groups)
        self.conv_out = nn.Conv2d(width, 2 * preset.latent, 3, padding=1)

    def forward(self, lips: Tensor, non_lip: Tensor) -> Tensor:
        """Fuses ``lips`` ``(B, references, 2 latent, s, s)`` with ``non_lip``."""
        hidden = self.blocks(self.conv_in(torch.cat([lips.flatten(1, 2), non_lip], dim=1)))
        out: Tensor = self.conv_out(functional.silu(self.norm_out(hidden)))
        return out
