"""Computes mel cepstra as CMU Sphinx does, causally: its acoustic models were trained on them.

Differs from Sphinx in two places, both so that streamed equals offline: the mean that is subtracted is a running one,
and a frame's deltas follow 30 ms later, when all samples that they need have come. Its noise removal is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mytalk.speech.band_power import BandPower
from mytalk.speech.filters import CEPSTRA_WINDOW, HOP, cepstra_bands
from mytalk.speech.timing import CEPSTRA_AT_ONCE

COUNT = 13
LEFT = CEPSTRA_WINDOW - HOP + 1
"""Samples before a chunk that its first row still looks at."""

_EMPHASIS = 0.97
_LIFTER = 22
_FLOOR = 30.0  # of power on the scale of 16-bit samples: noise of 2 steps, which no sound is without
_DELTA_FRAMES = 6  # rows before the newest that its changes are made of
_MEMORY = 400  # rows: the time constant of the running mean
_USUAL_ROWS = 100.0  # rows that the usual mean counts for at the start
USUAL = (51.9, 4.4, 2.3, 12.0, 0.1, -0.7, -4.1, -3.3, -0.8, -2.0, 2.7, -0.6, -0.5)
"""Mean cepstrum of people who talk, at the level of most films."""


@dataclass(slots=True)
class CepstraState:
    """Holds what the next chunk still needs of the past, for B sessions."""

    tail: Tensor  # (B, LEFT) samples
    total: Tensor  # (B, 13), of what was heard, fading
    weight: Tensor  # (B, 1), rows that ``total`` is of
    rows: Tensor  # (B, 6, 13), the newest


class Cepstra(nn.Module):
    """Maps samples to 13 cepstra, their deltas and the deltas of these, 100 times a second. No learned parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.power = BandPower(bands := cepstra_bands())
        self.register_buffer("cosines", _cosines(bands.filters.shape[1]), persistent=False)
        self.register_buffer("usual", torch.tensor(USUAL), persistent=False)
        fading = (1 - 1 / _MEMORY) ** torch.arange(CEPSTRA_AT_ONCE + 1, dtype=torch.float32)
        ages = torch.arange(CEPSTRA_AT_ONCE)[:, None] - torch.arange(CEPSTRA_AT_ONCE)
        self.register_buffer("fading", fading, persistent=False)
        self.register_buffer("past_weights", fading[ages.clamp(min=0)] * (ages >= 0), persistent=False)
        self.cosines: Tensor
        self.usual: Tensor
        self.fading: Tensor
        self.past_weights: Tensor

    def start(self, batch: int = 1) -> CepstraState:
        """Makes the state of ``batch`` sessions before their first sample."""
        total = (_USUAL_ROWS * self.usual).expand(batch, -1)
        weight = self.usual.new_full((batch, 1), _USUAL_ROWS)
        return CepstraState(
            self.usual.new_zeros(batch, LEFT), total, weight, self.usual.new_zeros(batch, _DELTA_FRAMES, COUNT)
        )

    def forward(self, samples: Tensor, state: CepstraState) -> Tensor:
        """Maps the next samples ``(B, 160 * N)`` to ``(B, N, 3, 13)`` and updates the state in place."""
        samples = torch.cat([state.tail, samples], dim=-1)
        state.tail = samples[:, -LEFT:]
        cepstra = self._cepstra(samples)
        count = cepstra.shape[1]
        parts = [
            self._less_mean(cepstra[:, first : first + CEPSTRA_AT_ONCE], state)
            for first in range(0, count, CEPSTRA_AT_ONCE)
        ]
        rows = torch.cat([state.rows, *parts], dim=1)  # (B, 6 + N, 13)
        state.rows = rows[:, -_DELTA_FRAMES:]
        # (B, N, 13) each: three before the row of the moment, itself, and three after
        behind = [rows[:, first : first - _DELTA_FRAMES or None] for first in range(_DELTA_FRAMES + 1)]
        delta = behind[5] - behind[1]
        delta_delta = (behind[6] - behind[2]) - (behind[4] - behind[0])
        return torch.stack([behind[3], delta, delta_delta], dim=2)

    def _cepstra(self, samples: Tensor) -> Tensor:
        scaled = samples * 32768
        power = self.power(scaled[:, 1:] - _EMPHASIS * scaled[:, :-1])
        return torch.log(power.clamp(min=_FLOOR)) @ self.cosines

    def _less_mean(self, cepstra: Tensor, state: CepstraState) -> Tensor:
        """Subtracts from cepstra ``(B, N, 13)``, N at most 64, the mean of the past up to each."""
        count = cepstra.shape[1]
        fading, past_weights = self.fading[1 : count + 1, None], self.past_weights[:count, :count]
        totals = fading * state.total[:, None] + past_weights @ cepstra  # (B, N, 13)
        weights = fading * state.weight[:, None] + past_weights.sum(1, keepdim=True)
        state.total, state.weight = totals[:, -1], weights[:, -1]
        return cepstra - totals / weights


def _cosines(bands: int) -> Tensor:
    """Returns the map from log power of bands to 13 liftered cepstra ``(bands, 13)``: an orthogonal cosine transform,
    scaled."""
    order = torch.arange(COUNT)
    cosines = torch.cos(math.pi / bands * (torch.arange(bands)[:, None] + 0.5) * order) * math.sqrt(2 / bands)
    cosines[:, 0] = math.sqrt(1 / bands)
    lifter = 1 + _LIFTER / 2 * torch.sin(order * math.pi / _LIFTER)
    return cosines * lifter
