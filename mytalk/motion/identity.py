"""Embeds one frame's landmarks so that one person's embeddings are close. ArcFace trains the extractor."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mytalk.face.landmarks import LOWER_COUNT, LOWER_FACE, TEMPLATE, UPPER_COUNT, UPPER_FACE
from mytalk.presets import IdentityPreset

LANDMARKS = 2 * (LOWER_COUNT + UPPER_COUNT)
"""Numbers that describe one frame's face."""


class Residual(nn.Module):
    """Adds two layers around an inner width to the input."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:  # (..., width)
        return x + self.down(F.gelu(self.up(self.norm(x))))  # type: ignore[no-any-return]


class IdentityExtractor(nn.Module):
    """Embeds canonical landmarks, lower ``(..., 169, 3)`` and upper ``(..., 38, 3)``, as unit vectors ``(..., E)``, by
    an MLP.

    Only x and y are used; depth is too coarse to tell people apart.
    """

    def __init__(self, preset: IdentityPreset) -> None:
        super().__init__()
        self.mean: Tensor
        self.register_buffer(
            "mean", torch.from_numpy(TEMPLATE[list(LOWER_FACE + UPPER_FACE), :2].flatten()), persistent=False
        )
        self.residual = bool(preset.inner)
        if self.residual:
            inside = [Residual(preset.width, preset.inner) for _ in range(preset.layers)]
            ends = nn.Linear(LANDMARKS, preset.width), nn.Linear(preset.width, preset.embedding)
            self.layers = nn.ModuleList([ends[0], *inside, ends[1]])
        else:
            widths = [LANDMARKS, *[preset.width] * (preset.layers - 1), preset.embedding]
            self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, lower: Tensor, upper: Tensor) -> Tensor:
        x = self.landmarks(lower, upper)
        for index, layer in enumerate(self.layers):
            x = layer(x if index == 0 or self.residual else F.gelu(x))
        return F.normalize(x, dim=-1)

    def landmarks(self, lower: Tensor, upper: Tensor) -> Tensor:
        """Returns how the face ``(..., 414)`` differs from the mean face, in numbers around 1."""
        points = torch.cat([lower[..., :2].flatten(-2), upper[..., :2].flatten(-2)], dim=-1)
        return (points - self.mean) * 5.0


class ArcFace(nn.Module):
    """Computes the additive angular margin loss over ``people`` classes. Deng et al. 2019, eq. 3."""

    def __init__(self, embedding: int, people: int, scale: float = 16.0, margin: float = 0.3) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(people, embedding))
        self.scale = scale
        self.margin = margin

    def forward(self, embedding: Tensor, person: Tensor) -> Tensor:
        cosine = (embedding @ F.normalize(self.centres, dim=-1).T).clamp(-1 + 1e-6, 1 - 1e-6)
        angle = cosine.acos() + self.margin * F.one_hot(person, cosine.shape[-1])
        return F.cross_entropy(self.scale * angle.clamp(max=math.pi).cos(), person)
