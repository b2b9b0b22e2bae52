"""Encodes a picture to a latent. MyTalk, figure 9 (a). Lips, non-lip region and landmarks each have one encoder."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from mytalk.appearance.blocks import ResnetBlock, middle, norm
from mytalk.appearance.preset import AppearancePreset


class Encoder(nn.Module):
    """Encodes pictures ``(B, 3, S, S)`` in -1..1 to mean and log variance of a latent, ``(B, 2 latent, s, s)``."""

    def __init__(self, preset: AppearancePreset) -> None:
        super().__init__()
        self.stem = preset.stem
        groups, width = preset.norm_groups, preset.hidden
        # A cell of an unshuffled stem already sees its stem x stem pixels.
        kernel = 3 if preset.stem == 1 else 1
        self.conv_in = nn.Conv2d(3 * preset.stem**2, width, kernel, padding=kernel // 2)
        levels: list[nn.Module] = []
        for level, multiplier in enumerate(preset.multipliers):
            if level:
                levels.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
            for _ in range(preset.blocks):
                levels.append(ResnetBlock(width, preset.hidden * multiplier, groups))
                width = preset.hidden * multiplier
        if preset.middle:
            levels.append(middle(width, groups))
        self.levels = nn.Sequential(*levels)
        self.norm_out = norm(width, groups)
        self.conv_out = nn.Conv2d(width, 2 * preset.latent, 3, padding=1)

    def forward(self, picture: Tensor) -> Tensor:
        hidden = self.levels(self._cells(picture) if self.stem > 1 else self.conv_in(picture))
        out: Tensor = self.conv_out(functional.silu(self.norm_out(hidden)))
        return out

    def _cells(self, picture: Tensor) -> Tensor:
        """Applies ``conv_in`` to the picture's ``pixel_unshuffle``, as one convolution: no pixel is moved."""
        layer = self.conv_in
        weight = layer.weight.reshape(-1, 3, self.stem, self.stem)
        return functional.conv2d(picture, weight, layer.bias, stride=self.stem)
