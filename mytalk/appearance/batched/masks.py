"""Computes which pixels of several sessions may change, as `mytalk.appearance.mask` does it for one."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from mytalk.appearance.batched.fields import blur, grid
from mytalk.appearance.mask import (
    DIRECTIONS,
    ERODE,
    FEATHER,
    FEATHER_CUT,
    FLOW_BLUR,
    LIPS,
    MOVED_FLOW,
    PAINTED_DISTANCE,
    REGION,
    SKIN_FEATHER,
    SKIN_MARGIN,
    STILL_FLOW,
    UNPAINTED_DISTANCE,
)
from mytalk.face.pose import CROP_PIXELS

_LAST = CROP_PIXELS - 1
_LEAST = 1e-6  # square of a length, crop pixels, that it is taken for at least, where it divides


@cache
def _outlines_on(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the mouth region's landmarks, the lips', and the directions of a hull's sides, on a device."""
    region, lips, directions = (torch.from_numpy(one).to(device) for one in (REGION, LIPS, DIRECTIONS))
    return region, lips, directions


def mouth_masks(points: Tensor) -> Tensor:
    """Masks the mouth regions of landmarks ``(B, 169, 2)``, ``(B, 128, 128)`` in 0..1."""
    region, _, _ = _outlines_on(points.device)
    depth = _depth_in_hull(points[:, region], -ERODE) / FEATHER
    feathered = 0.5 * (1 + torch.erf(depth * math.sqrt(0.5)))
    feathered = torch.where(depth > 3, 1, torch.where(depth > -3, feathered, 0))
    mask = ((feathered - FEATHER_CUT) / (1 - 2 * FEATHER_CUT)).clamp(0, 1)
    return mask * (_to_edge(points.device) > 0)


def moving_masks(source: Tensor, target: Tensor) -> Tensor:
    """Masks where the current frames' own skin may follow the landmarks, ``(B, 128, 128)`` in 0..1."""
    depth = torch.minimum(_depth_in_hull(torch.cat([source, target], dim=1), SKIN_MARGIN), _to_edge(source.device))
    return _ramp(depth / (2 * SKIN_FEATHER))


def painted_masks(region: Tensor, points: Tensor, flow: Tensor) -> Tensor:
    """Masks the part of the mouth ``region`` that is painted: lips always, other skin where ``flow`` moves it."""
    _, lips, _ = _outlines_on(points.device)
    away = UNPAINTED_DISTANCE - _distance_from(points[:, lips], UNPAINTED_DISTANCE)
    share = _ramp(away / (UNPAINTED_DISTANCE - PAINTED_DISTANCE))
    moved = blur((flow - grid(flow.device)).square().sum(-1).sqrt(), FLOW_BLUR)
    return torch.maximum(share, _ramp((moved - STILL_FLOW) / (MOVED_FLOW - STILL_FLOW))) * region


def _to_edge(device: torch.device) -> Tensor:
    """Measures how far each pixel is from the crop's border, ``(128, 128)``."""
    places = grid(device)
    return torch.minimum(places, _LAST - places).amin(-1)


def _depth_in_hull(points: Tensor, grow: float) -> Tensor:
    """Measures how deep each pixel lies in the convex hulls of ``points``, grown by ``grow``, ``(B, 128, 128)``."""
    _, _, directions = _outlines_on(points.device)
    x, y = grid(points.device).unbind(-1)
    depth = torch.full((), torch.inf, device=points.device)
    for direction in directions:
        farthest = (points * direction).sum(-1).amax(1) + grow
        away = farthest[:, None, None] - y * direction[1] - x * direction[0]
        depth = torch.minimum(depth, away)
    return depth


def _distance_from(polygon: Tensor, reach: float) -> Tensor:
    """Measures how far each pixel is outside polygons ``(B, N, 2)``, ``reach`` at most; 0 within."""
    places, far = grid(polygon.device), torch.full((), reach * reach, device=polygon.device)
    crossings = torch.zeros((), dtype=torch.long, device=polygon.device)
    for corner, following in zip(polygon.unbind(1), polygon.roll(-1, dims=1).unbind(1), strict=True):
        edge, away = (following - corner)[:, None, None], places - corner[:, None, None]  # (B, 128, 128, 2)
        along = ((away * edge).sum(-1) / edge.square().sum(-1).clamp(min=_LEAST)).clamp(0, 1)
        squared = (away - along[..., None] * edge).square().sum(-1)
        far = torch.minimum(far, squared)
        (ax, ay), (dx, dy), (x, y) = corner[:, None, None].unbind(-1), edge.unbind(-1), places.unbind(-1)
        down = y - ay
        crosses = (down >= 0) != (down - dy >= 0)
        crossings = crossings + (crosses & (x < ax + down / torch.where(dy == 0, 1, dy) * dx)).long()
    return torch.where(crossings % 2 == 1, 0, far.sqrt())


def _ramp(value: Tensor) -> Tensor:
    """Maps values to 0 below 0 and 1 above 1, smoothly between."""
    share = value.clamp(0, 1)
    return share * share * (3 - 2 * share)
