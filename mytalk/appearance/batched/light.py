"""Matches the light of several sessions' mouths to their frames, and finds what covers them, as `colour_match` and
`occlusion` do it for one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from mytalk.appearance.batched.fields import blur, enlarged, reduced
from mytalk.appearance.colour_match import (
    CELLS,
    FAR,
    FAR_SHARE,
    LOG_OFFSET,
    MAX_LIGHT_CHANGE,
    MAX_SHADING,
    MIN_WEIGHT,
    NEAR,
    OTHER_CONTENT,
    RING_REACH,
)
from mytalk.appearance.occlusion import (
    ATTACK,
    CELL_SIGMA,
    COVERED_SHARE,
    FREE_SHARE,
    LIPS_REACH,
    LIPS_SHARE,
    MAX_FRAME_SHARE,
    MIN_SHARE,
    OBJECT_DIFFERENCE,
    RELEASE,
    SKIN_DIFFERENCE,
)
from mytalk.face.pose import CROP_PIXELS

_BLOCK = CROP_PIXELS // CELLS


@dataclass(frozen=True, slots=True)
class Matcher:
    """Holds what is known of the current frames around the mouth regions."""

    current: Tensor  # (B, 32, 32, 3): logarithms of the frames' colours
    known: Tensor  # (B, 32, 32): 1 where the frame stays as it is
    ring: Tensor  # (B, 32, 32): whether it is skin right around the region


@cache
def _kernels_on(device: torch.device) -> tuple[Tensor, Tensor]:
    near, far = (torch.from_numpy(one).to(device) for one in (NEAR, FAR))
    return near, far


def matcher_of(current: Tensor, region: Tensor) -> Matcher:
    """Prepares the current frames ``(B, 128, 128, 3)``, of which ``region`` ``(B, 128, 128)`` is painted."""
    known = (1 - 2 * reduced(region, CELLS)).clamp(min=0)
    known = functional.pad(known[:, 1:-1, 1:-1], (1, 1, 1, 1))
    side = 2 * RING_REACH + 1
    near_region = functional.max_pool2d((known == 0).float()[:, None], side, 1, RING_REACH)[:, 0] > 0
    return Matcher(_log_cells(current), known, (known == 1) & near_region)


def correction(matcher: Matcher, warped: Tensor) -> Tensor:
    """Returns what to add to ``warped`` ``(B, S, S, 3)`` so that its light meets the frames' around the regions."""
    cells = _log_cells(warped)
    light = _light(matcher, cells)
    difference = matcher.current - cells - light
    same = (OTHER_CONTENT - difference.abs().amax(-1)) / (OTHER_CONTENT - MAX_SHADING)
    least = -functional.max_pool2d(-same[:, None], 3, 1, 1)[:, 0]  # a cell beside other content holds some of it
    known = matcher.known * least.clamp(max=1).clamp(min=MIN_WEIGHT)
    shading = difference.clamp(-MAX_SHADING, MAX_SHADING)
    weighted = torch.cat([known[..., None] * shading, known[..., None]], dim=-1)
    near, far = (_smoothed(weighted, kernel) for kernel in _kernels_on(warped.device))
    both = near + FAR_SHARE * far
    smooth = both[..., :3] / (both[..., 3:] + 1e-6)
    gain = enlarged(torch.exp(smooth + light) - 1, warped.shape[1])
    return gain * (warped + LOG_OFFSET)


def _light(matcher: Matcher, cells: Tensor) -> Tensor:
    """Estimates how much lighter the frames are than ``cells``, ``(B, 1, 1, 3)``: a median over the ring."""
    values = torch.where(matcher.ring[..., None], matcher.current - cells, torch.inf).flatten(1, 2)
    count = matcher.ring.flatten(1).sum(1)
    middle = (count // 2).clamp(max=values.shape[1] - 1)[:, None, None].expand(-1, 1, 3)
    light = values.sort(dim=1).values.gather(1, middle)[:, 0]
    usual = (light.abs().amax(1) < MAX_LIGHT_CHANGE) & (count > 0)
    return torch.where(usual[:, None], light, 0)[:, None, None]


def _log_cells(colours: Tensor) -> Tensor:
    return torch.log(reduced(colours, CELLS).clamp(min=0) + LOG_OFFSET)


def _smoothed(values: Tensor, matrix: Tensor) -> Tensor:
    """Multiplies rows and columns of ``(B, 32, 32, 4)`` by a symmetric matrix, in full float32."""
    rows = (matrix[:, :, None, None] * values[:, None]).sum(2)
    return (matrix[:, :, None] * rows[:, :, None]).sum(3)


def track_cover(shares: Tensor, expected: Tensor, interior: Tensor, matcher: Matcher) -> tuple[Tensor, Tensor]:
    """Updates how far each cell is covered, ``(B, 32, 32)``, from the last frames to these; says whose mouths are."""
    now = _covered_shares(expected, interior, matcher)
    change = now - shares
    followed = shares + torch.where(change > 0, ATTACK, RELEASE) * change
    some = (shares > 0).flatten(1).any(1)[:, None, None]
    shares = torch.where(some, followed, now)
    covered = shares.flatten(1).amax(1) > MIN_SHARE
    return torch.where(covered[:, None, None], shares, 0), covered


def _covered_shares(expected: Tensor, interior: Tensor, matcher: Matcher) -> Tensor:
    """Returns how far each cell is covered, ``(B, 32, 32)`` in 0..1."""
    cells = _log_cells(expected)
    apart = (matcher.current - cells - _light(matcher, cells)).abs().amax(-1)
    comparable = _without_lips(interior)
    foreign = ((apart - SKIN_DIFFERENCE) / (OBJECT_DIFFERENCE - SKIN_DIFFERENCE)).clamp(0, 1) * comparable
    nearby = blur(foreign, CELL_SIGMA) / (blur(comparable, CELL_SIGMA) + 1e-3)
    covered = ((nearby - FREE_SHARE) / (COVERED_SHARE - FREE_SHARE)).clamp(0, 1)
    usual = covered.flatten(1).sum(1) < MAX_FRAME_SHARE * CELLS * CELLS
    return torch.where(usual[:, None, None], covered, 0)


def _without_lips(interior: Tensor) -> Tensor:
    """Marks the cells that hold next to nothing of the inside of the mouth, ``(B, 32, 32)``."""
    before, side = LIPS_REACH - 1, 2 + 2 * LIPS_REACH
    after = side - _BLOCK - before  # pixels that the last cell's neighbourhood reaches beyond the crop
    padded = functional.pad(interior[:, None], (before, after, before, after), value=-torch.inf)
    most = functional.max_pool2d(padded, side, _BLOCK)[:, 0]
    return (most < LIPS_SHARE).float()
