"""Decodes a latent to pictures. MyTalk, figure 9 (b): the encoder's mirror image."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from mytalk.appearance.blocks import ResnetBlock, middle, norm, wide_middle
from mytalk.appearance.preset import AppearancePreset


class Upsample(nn.Module):
    """Doubles a feature map's side by repeating pixels, then convolves."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, 2 H, 2 W)
        out: Tensor = self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


class Decoder(nn.Module):
    """Decodes a latent ``(B, latent, s, s)`` to ``(B, outputs, S, S)``. The last layer of a residual preset starts
    at zero."""

    def __init__(self, preset: AppearancePreset) -> None:
        super().__init__()
        self.stem = preset.stem
        groups = preset.norm_groups
        width = preset.decoder_hidden * preset.multipliers[-1]
        self.conv_in = nn.Conv2d(preset.latent, width, 3, padding=1)
        levels: list[nn.Module] = []
        if preset.decoder_middle:
            levels.append(wide_middle(width, preset.decoder_middle, groups))
        elif preset.middle:
            levels.append(middle(width, groups))
        widths = [preset.decoder_hidden * multiplier for multiplier in reversed(preset.multipliers)]
        for level, here in enumerate(widths):
            # As in the encoder's mirror image, channels change at the lower resolution, where it costs a quarter.
            beyond = widths[min(level + 1, len(widths) - 1)]
            levels += [ResnetBlock(here, here, groups) for _ in range(preset.decoder_blocks - 1)]
            levels.append(ResnetBlock(here, beyond, groups))
            width = beyond
            if level < len(widths) - 1:
                levels.append(Upsample(width))
        self.levels = nn.Sequential(*levels)
        self.norm_out = norm(width, groups)
        self.conv_out = nn.Conv2d(width, preset.outputs * preset.stem**2, 3, padding=1)
        if preset.residual:
            nn.init.zeros_(self.conv_out.weight)
            nn.init.zeros_(self.conv_out.bias)  # type: ignore[arg-type]

    def forward(self, latent: Tensor) -> Tensor:
        hidden = self.levels(self.conv_in(latent))
        out: Tensor = self.conv_out(functional.silu(self.norm_out(hidden)))
        return functional.pixel_shuffle(out, self.stem) if self.stem > 1 else out
