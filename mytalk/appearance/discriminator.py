"""Scores patches of a mouth crop as filmed or rendered, in training only. Isola et al. 2017 (PatchGAN)."""

from __future__ import annotations

from torch import Tensor, nn

from mytalk.appearance.preset import AppearancePreset


class Discriminator(nn.Module):
    """Maps pictures ``(B, 3, S, S)`` in -1..1 to one logit a patch, ``(B, 1, s, s)``."""

    def __init__(self, preset: AppearancePreset) -> None:
        super().__init__()
        width = preset.discriminator_hidden
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for layer in range(1, preset.discriminator_layers + 1):
            stride = 2 if layer < preset.discriminator_layers else 1
            layers += [
                nn.Conv2d(width, 2 * width, 4, stride=stride, padding=1, bias=False),
                nn.GroupNorm(8, 2 * width),
                nn.LeakyReLU(0.2),
            ]
            width *= 2
        layers.append(nn.Conv2d(width, 1, 4, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, picture: Tensor) -> Tensor:
        out: Tensor = self.layers(picture)
        return out
