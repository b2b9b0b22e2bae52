"""Warps mouths of several sessions at once by the mesh of `mytalk.appearance.warp`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from mytalk.appearance.batched.fields import grid
from mytalk.appearance.mesh import BORDER, LOOP, LOWER_LIP, MESH_ROWS, TRIANGLES, UPPER_LIP
from mytalk.appearance.warp import (
    BORDER_MARGIN,
    CLOSED_GAP,
    MAX_STRETCH,
    MIN_HEIGHT,
    MIN_STRETCH,
    OPEN_GAP,
    RIM,
    SKIN_TRIANGLES,
)
from mytalk.face.pose import CROP_PIXELS

_LEAST = 1e-3  # crop pixels that a length is taken for at least, where it divides
_LAST = CROP_PIXELS - 1
_FAR = 4  # rank of a triangle that is not drawn


@dataclass(frozen=True, slots=True)
class Mesh:
    """Holds what never changes of the mesh, on one device."""

    rows: Tensor  # landmarks that are mesh points
    border: Tensor  # (32, 2)
    loop: Tensor
    triangles: Tensor  # (T, 3)
    upper: Tensor  # the upper lip's 11 landmarks, corner to corner
    lower: Tensor


@cache
def mesh_on(device: torch.device) -> Mesh:
    """Returns the mesh on a device."""
    arrays = (MESH_ROWS, BORDER, LOOP, TRIANGLES, UPPER_LIP, LOWER_LIP)
    return Mesh(*(torch.from_numpy(one).to(device) for one in arrays))


@dataclass(frozen=True, slots=True)
class Target:
    """Holds wanted landmarks of ``B`` sessions, prepared so that any number of sources can be warped to them."""

    points: Tensor  # (B, 169, 2)
    triangles: Tensor  # (B, 128, 128): the one that each pixel lies in
    barycentric: Tensor  # (B, T, 3, 3): the weight of each corner, as a map of (x, y, 1)


@dataclass(frozen=True, slots=True)
class Fit:
    """Says how sources' inner lips meet the targets', as `mytalk.appearance.warp.Fit`."""

    anchored: Tensor  # (B, 169, 2)
    visible: Tensor  # (B, 11)
    covered: Tensor  # (B, 11)


def target_of(points: Tensor) -> Target:
    """Prepares wanted landmarks ``(B, 169, 2)``."""
    corners = _vertices(points, points)[:, mesh_on(points.device).triangles]  # (B, T, 3, 2)
    (ax, ay), (bx, by), (cx, cy) = (corner.unbind(-1) for corner in corners.unbind(2))
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    edges = corners - corners.roll(-1, dims=2)
    longest = torch.hypot(edges[..., 0], edges[..., 1]).amax(2)
    drawn = area.abs() > MIN_HEIGHT * longest
    p, q = corners.roll(-1, dims=2), corners.roll(-2, dims=2)
    maps = torch.stack(
        [p[..., 1] - q[..., 1], q[..., 0] - p[..., 0], p[..., 0] * q[..., 1] - q[..., 0] * p[..., 1]], dim=-1
    )
    barycentric = torch.where(drawn[..., None, None], maps / torch.where(drawn, area, 1)[..., None, None], 0)
    skin = torch.arange(area.shape[1], device=area.device) < SKIN_TRIANGLES
    rank = torch.where(drawn, 2 * skin.long() + (area > 0).long(), -_FAR)
    return Target(points, _drawn(corners, barycentric, rank), barycentric)


def _drawn(corners: Tensor, barycentric: Tensor, rank: Tensor) -> Tensor:
    """Finds the triangle of each pixel: of those that reach it, the last one of the highest rank."""
    count = rank.shape[1]
    x, y = grid(corners.device).unbind(-1)
    low, high = torch.ceil(corners.amin(2) - RIM), torch.floor(corners.amax(2) + RIM)  # (B, T, 2)
    (left, top), (right, bottom) = low[..., None, None, :].unbind(-1), high[..., None, None, :].unbind(-1)
    reached = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)  # (B, T, 128, 128)
    for one in barycentric[..., None, None].unbind(2):
        across, down, least = one.unbind(2)
        reached &= across * x + down * y + least + RIM * torch.maximum(across.abs(), down.abs()) >= 0
    order = (rank * count + torch.arange(count, device=rank.device))[..., None, None]
    highest = torch.where(reached & (order >= 0), order, 0).amax(1)
    return highest % count


def fit_lips(source: Tensor, target: Tensor) -> Fit:
    """Places the targets' inner lips in the sources so that the inside is stretched by 0.8 to 1.4 at most."""
    mesh = mesh_on(source.device)
    upper, lower = source[:, mesh.upper], source[:, mesh.lower]
    across = upper[:, -1] - upper[:, 0]
    across = across / across.square().sum(-1, keepdim=True).sqrt().clamp(min=_LEAST)
    down = torch.stack([-across[:, 1], across[:, 0]], dim=-1)[:, None]  # (B, 1, 2)
    gap = ((lower - upper) * down).sum(-1).clamp(min=0)  # (B, 11)
    apart = target[:, mesh.lower] - target[:, mesh.upper]
    wanted = torch.hypot(apart[..., 0], apart[..., 1])
    limited = torch.minimum(torch.maximum(gap, wanted / MAX_STRETCH), wanted / MIN_STRETCH)
    anchored = source.clone()
    anchored[:, mesh.lower] = lower + (limited - gap)[..., None] * down
    visible = (gap / limited.clamp(min=_LEAST)).clamp(max=1)
    covered = ((gap - limited) / gap.clamp(min=_LEAST)).clamp(0, 1)
    trust = ((gap.amax(1, keepdim=True) - CLOSED_GAP) / (OPEN_GAP - CLOSED_GAP)).clamp(0, 1)
    return Fit(anchored, visible * (trust + (1 - trust) * visible.square()), covered)


def flow_from(target: Target, source: Tensor, anchored: Tensor) -> Tensor:
    """Returns where each pixel of the targets lies in crops with landmarks ``source``, ``(B, 128, 128, 2)``."""
    places = grid(source.device)
    flow = _flow(target.barycentric, target.triangles, _vertices(source, anchored), places)
    inside = ((places > 0) & (places < _LAST)).all(-1)[..., None]  # the border stays exact
    return torch.where(inside, flow, places)


def half_flows(target: Target, sources: Tensor) -> Tensor:
    """Returns the flows from ``N`` sources ``(B, N, 169, 2)`` at half the resolution, ``(B, N, 64, 64, 2)``.

    They are in pixels of sources that are half as large.
    """
    batch, count = sources.shape[:2]
    flat, wanted = sources.flatten(0, 1), target.points.repeat_interleave(count, 0)
    mesh = _vertices(flat, fit_lips(flat, wanted).anchored)
    barycentric, triangles = (
        one.repeat_interleave(count, 0) for one in (target.barycentric, target.triangles[:, ::2, ::2])
    )
    flow = _flow(barycentric, triangles, mesh, grid(sources.device)[::2, ::2] + 0.5)
    return ((flow - 0.5) * 0.5).reshape(batch, count, *flow.shape[1:])


def _flow(barycentric: Tensor, triangles: Tensor, mesh: Tensor, places: Tensor) -> Tensor:
    """Maps ``places`` ``(S, S, 2)`` from targets to mesh points of sources, ``(B, S, S, 2)``."""
    corners = mesh[:, mesh_on(mesh.device).triangles]  # (B, T, 3, 2)
    affine = (barycentric[..., None, :] * corners[..., None]).sum(2)  # (B, T, 2, 3)
    index = triangles.reshape(len(mesh), -1, 1).expand(-1, -1, 6)
    each = affine.flatten(2).gather(1, index).reshape(*triangles.shape, 2, 3)
    x, y = places[..., 0, None], places[..., 1, None]
    return each[..., 0] * x + each[..., 1] * y + each[..., 2]


def displacement(target: Tensor, source: Tensor) -> Tensor:
    """Returns the largest distance along one axis that any landmark of the mesh moves, ``(B,)`` crop pixels."""
    rows = mesh_on(target.device).rows
    return (target[:, rows] - source[:, rows]).abs().amax((1, 2))


def _vertices(points: Tensor, inside: Tensor) -> Tensor:
    """Assembles mesh points ``(B, V, 2)``: landmarks, border, and the inner lip loop for the mouth's inside."""
    mesh = mesh_on(points.device)
    held = points[:, mesh.rows].clamp(BORDER_MARGIN, _LAST - BORDER_MARGIN)
    return torch.cat([held, mesh.border.expand(len(points), -1, -1), inside[:, mesh.loop]], dim=1)
