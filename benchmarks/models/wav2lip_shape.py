"""Builds a network of the size and shape of Wav2Lip's generator, to be timed beside ours; its weights are random.

Layer table: Prajwal et al. 2020, "A Lip Sync Expert Is All You Need", as published with the paper (96 x 96 faces, mel
spectrograms of 80 x 16). Each row of the tables below is a convolution with batch norm and ReLU.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

PARAMETERS = 36.3e6
"""As published."""

Row = tuple[int, int, int, int | tuple[int, int], int, int]
"""Channels in and out, kernel, stride, padding, and how many residual 3 x 3 convolutions follow."""

FACE: tuple[tuple[Row, ...], ...] = (
    ((6, 16, 7, 1, 3, 0),),  # 96 x 96
    ((16, 32, 3, 2, 1, 2),),  # 48
    ((32, 64, 3, 2, 1, 3),),  # 24
    ((64, 128, 3, 2, 1, 2),),  # 12
    ((128, 256, 3, 2, 1, 2),),  # 6
    ((256, 512, 3, 2, 1, 1),),  # 3
    ((512, 512, 3, 1, 0, 0), (512, 512, 1, 1, 0, 0)),  # 1
)
AUDIO: tuple[Row, ...] = (
    (1, 32, 3, 1, 1, 2),  # 80 x 16
    (32, 64, 3, (3, 1), 1, 2),  # 27 x 16
    (64, 128, 3, 3, 1, 2),  # 9 x 6
    (128, 256, 3, (3, 2), 1, 1),  # 3 x 3
    (256, 512, 3, 1, 0, 0),  # 1
    (512, 512, 1, 1, 0, 0),
)
# Transposed convolutions but the first, each fed with the face features of its size as well.
DECODER: tuple[tuple[int, int, int, int, int], ...] = (  # channels in and out, stride, padding, residual ones
    (1024, 512, 1, 0, 1),  # 3
    (1024, 512, 2, 1, 2),  # 6
    (768, 384, 2, 1, 2),  # 12
    (512, 256, 2, 1, 2),  # 24
    (320, 128, 2, 1, 2),  # 48
    (160, 64, 2, 1, 2),  # 96
)


class Layer(nn.Module):
    """Applies convolution, batch norm, the input where residual, ReLU."""

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d, residual: bool = False) -> None:
        super().__init__()
        self.convolution, self.norm = convolution, nn.BatchNorm2d(convolution.out_channels)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.norm(self.convolution(x))
        return torch.relu(hidden + x if self.residual else hidden)


def residuals(channels: int, count: int) -> list[nn.Module]:
    return [Layer(nn.Conv2d(channels, channels, 3, padding=1), residual=True) for _ in range(count)]


def stage(rows: tuple[Row, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs, kernel, stride, padding, extra in rows:
        layers += [Layer(nn.Conv2d(inputs, outputs, kernel, stride, padding)), *residuals(outputs, extra)]
    return nn.Sequential(*layers)


class Wav2LipShape(nn.Module):
    """Maps mel ``(B, 1, 80, 16)`` and two faces ``(B, 6, 96, 96)``, one masked, to a face ``(B, 3, 96, 96)``."""

    def __init__(self) -> None:
        super().__init__()
        self.face, self.audio = nn.ModuleList(stage(rows) for rows in FACE), stage(AUDIO)
        stages = [nn.Sequential(Layer(nn.Conv2d(512, 512, 1)))]
        for inputs, outputs, stride, padding, extra in DECODER:
            grow = nn.ConvTranspose2d(inputs, outputs, 3, stride, padding, output_padding=stride - 1)
            stages.append(nn.Sequential(Layer(grow), *residuals(outputs, extra)))
        self.decoder = nn.ModuleList(stages)
        self.out = nn.Sequential(Layer(nn.Conv2d(80, 32, 3, padding=1)), nn.Conv2d(32, 3, 1), nn.Sigmoid())

    def forward(self, mel: Tensor, faces: Tensor) -> Tensor:
        skips: list[Tensor] = []
        x = faces
        for block in self.face:
            x = block(x)
            skips.append(x)
        x = self.audio(mel)  # (B, 512, 1, 1)
        for block in self.decoder:
            x = torch.cat([block(x), skips.pop()], dim=1)
        out: Tensor = self.out(x)
        return out
